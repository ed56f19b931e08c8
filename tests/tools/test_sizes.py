"""What is too large is named with its place and its size."""

import ast
from pathlib import Path

import pytest

from tools.sizes import (
    BRANCHES,
    FOLDER_MODULES,
    FUNCTION_LINES,
    MODULE_LINES,
    Function,
    Module,
    branches,
    figures,
    function_lines,
    main,
    too_large,
)


def function(source: str) -> Function:
    node = ast.parse(source).body[0]
    assert isinstance(node, Function)
    return node


def module(lines: int, path: str = "latentry/one.py") -> Module:
    return Module(path, "x = 1\n" * lines)


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("pass", 0),
        ("if a: b", 1),
        ("if a: b\n elif c: d\n else: e", 2),
        ("for a in b:\n  while c: d", 2),
        ("try: a\n except B: c\n except D: e\n else: f\n finally: g", 2),
        ("match a:\n  case 1: b\n  case _: c", 2),
        ("return a if b else c", 1),
        ("return a and b and c or d", 3),
        ("return [a for b in c for a in b]", 0),
        ("return [a for a in b if a if c or d]", 3),
        ("with a: b", 0),
        ("return lambda a: a or b", 1),
        ("def inner():\n  if a: b", 0),
    ],
)
def test_branches_are_decision_points(body: str, count: int) -> None:
    assert branches(function(f"def f():\n {body}")) == count


def test_a_function_inside_another_has_its_own_branches_and_shares_its_lines() -> None:
    outer = function("def f():\n if a: b\n async def g():\n  if a or b: c\n return g")
    [inner] = [node for node in outer.body if isinstance(node, ast.AsyncFunctionDef)]
    assert (function_lines(outer), branches(outer)) == (5, 1)
    assert (function_lines(inner), branches(inner)) == (2, 2)


def test_decorators_do_not_count_as_lines_of_a_function() -> None:
    assert function_lines(function("@cache\n@slow\ndef f():\n    return 1")) == 2


def test_what_is_at_its_limit_is_not_named() -> None:
    body = " x\n" * (FUNCTION_LINES - 1 - BRANCHES) + " if x: y\n" * BRANCHES
    fits = Module("latentry/fits.py", f"def f():\n{body}")
    assert list(too_large([module(MODULE_LINES), fits])) == []


def test_what_is_above_its_limit_is_named() -> None:
    source = "class A:\n def f(self):\n" + "  if x: y\n" * FUNCTION_LINES
    found = [module(MODULE_LINES + 1), Module("latentry/two.py", source)]
    assert list(too_large(found)) == [
        "latentry/one.py: 251 lines; a module has at most 250",
        "latentry/two.py:2: f: 41 lines; a function has at most 40",
        "latentry/two.py:2: f: 40 branches; a function has at most 10",
    ]


def test_a_folder_counts_the_modules_of_its_own_level_without_its_init() -> None:
    full = [module(1, f"latentry/{number}.py") for number in range(FOLDER_MODULES)]
    init = Module("latentry/__init__.py", '"""What it is for."""')
    below = module(1, "latentry/jobs/one.py")
    assert list(too_large([init, *full, below])) == []
    assert list(too_large([init, *full, below, module(1, "latentry/more.py")])) == [
        "latentry/: 16 modules; a folder has at most 15"
    ]


@pytest.mark.parametrize("source", ["", "import this\n"])
def test_an_init_says_what_its_folder_is_for(source: str) -> None:
    assert list(too_large([Module("latentry/jobs/__init__.py", source)])) == [
        "latentry/jobs/__init__.py: no docstring says what the folder is for"
    ]


def test_figures_are_the_median_the_p90_and_the_largest() -> None:
    found = [module(lines) for lines in range(1, 11)]
    assert figures(found) == "10 modules, 5.5 / 9 / 10 lines; 0 functions"


def test_another_checkout_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "latentry").mkdir()
    (tmp_path / "latentry" / "__init__.py").write_text('"""One line."""\n')
    (tmp_path / "latentry" / "f.py").write_text("def f() -> None:\n    pass\n")
    assert main(["--root", str(tmp_path), "--figures"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "latentry: 2 modules, 1.5 / 2 / 2 lines; 1 functions, 2 / 2 / 2 lines"
    )
    assert main(["--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""
    (tmp_path / "latentry" / "__init__.py").write_text("")
    assert main(["--root", str(tmp_path)]) == 1
    assert capsys.readouterr().out == (
        "latentry/__init__.py: no docstring says what the folder is for\n"
    )
