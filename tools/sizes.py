"""`python -m tools.sizes`: names every module, function and folder that has grown too large.

A function's lines run from its `def` to its end, docstring included. Its branches are its decision
points: `if`, `elif`, `for`, `while`, `except`, `case`, conditional expressions, the `if` of a
comprehension, and each `and` or `or`; not the `for` of a comprehension. A function inside another
counts towards the other's lines, but not towards its branches. Ruff's mccabe check, which counts
fewer kinds against a lower limit, applies as well.

`--figures` prints the median, p90 and max of each package; `--root` reads another checkout.
"""

import argparse
import ast
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

PACKAGES: Final = ("latentry", "service", "worker", "tools", "benchmarks")
MODULE_LINES: Final = 250
FUNCTION_LINES: Final = 40
BRANCHES: Final = 10
FOLDER_MODULES: Final = 15

_ONE_BRANCH: Final = (
    ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case,
)  # fmt: skip
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A source file, by its path below the root."""

    path: str
    source: str

    @property
    def lines(self) -> int:
        """Number of lines."""
        return len(self.source.splitlines())

    @property
    def folder(self) -> str:
        """The package that it is part of, as a path."""
        return self.path.rpartition("/")[0]

    @property
    def is_init(self) -> bool:
        """Whether it is the `__init__` of its folder."""
        return self.path.endswith("/__init__.py")

    @property
    def has_docstring(self) -> bool:
        """Whether it has a docstring."""
        return ast.get_docstring(self._tree) is not None

    @property
    def functions(self) -> list[Function]:
        """Every function and method, inner ones too."""
        return [node for node in ast.walk(self._tree) if isinstance(node, _FUNCTIONS)]

    @cached_property
    def _tree(self) -> ast.Module:
        return ast.parse(self.source)


def function_lines(function: Function) -> int:
    """Lines from `def` to the end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def branches(function: Function) -> int:
    """Decision points of the function, without those of functions inside it."""
    return sum(_branches_at(node) for node in _own_nodes(function))


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _FUNCTIONS):
            yield child
            yield from _own_nodes(child)


def _branches_at(node: ast.AST) -> int:
    match node:
        case ast.comprehension(ifs=ifs):
            return len(ifs)
        case ast.BoolOp(values=values):
            return len(values) - 1
    return int(isinstance(node, _ONE_BRANCH))


def modules(root: Path, package: str) -> list[Module]:
    """The source files of a package that have any lines, and every `__init__`."""
    paths = sorted((root / package).rglob("*.py"))
    found = [Module(path.relative_to(root).as_posix(), path.read_text()) for path in paths]
    return [module for module in found if module.lines or module.is_init]


def too_large(found: Sequence[Module]) -> Iterator[str]:
    """A line for everything above its limit, and for each `__init__` without a docstring."""
    for module in found:
        if module.lines > MODULE_LINES:
            yield f"{module.path}: {module.lines} lines; a module has at most {MODULE_LINES}"
        if module.is_init and not module.has_docstring:
            yield f"{module.path}: no docstring says what the folder is for"
        for function in module.functions:
            yield from _too_large(f"{module.path}:{function.lineno}: {function.name}", function)
    folders = [module.folder for module in found if not module.is_init]
    for folder in dict.fromkeys(folders):
        if (count := folders.count(folder)) > FOLDER_MODULES:
            yield f"{folder}/: {count} modules; a folder has at most {FOLDER_MODULES}"


def _too_large(name: str, function: Function) -> Iterator[str]:
    if (lines := function_lines(function)) > FUNCTION_LINES:
        yield f"{name}: {lines} lines; a function has at most {FUNCTION_LINES}"
    if (count := branches(function)) > BRANCHES:
        yield f"{name}: {count} branches; a function has at most {BRANCHES}"


def figures(found: Sequence[Module]) -> str:
    """How large modules and functions are: count, then median, p90 and max of their lines."""
    functions = [function for module in found for function in module.functions]
    return (
        f"{_spread('modules', [module.lines for module in found if module.lines])}; "
        f"{_spread('functions', [function_lines(function) for function in functions])}"
    )


def _spread(name: str, lines: Sequence[int]) -> str:
    if not lines:
        return f"0 {name}"
    ordered = sorted(lines)
    p90 = ordered[-(-9 * len(ordered) // 10) - 1]
    return f"{len(ordered)} {name}, {statistics.median(ordered):g} / {p90} / {ordered[-1]} lines"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is too large, or the figures. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--figures", action="store_true", help="median / p90 / max per package")
    options = parser.parse_args(arguments)
    by_package = {package: modules(options.root, package) for package in PACKAGES}
    if options.figures:
        for package, found in by_package.items():
            print(f"{package}: {figures(found)}")
        return 0
    lines = [line for found in by_package.values() for line in too_large(found)]
    print("\n".join(lines), end="\n" * bool(lines))
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
