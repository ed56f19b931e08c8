"""Every row of the fault matrix has a test, and the page is generated from it."""

import re
from pathlib import Path

from tests.faults import figures
from tests.faults.figures import Figure, Figures
from tests.faults.matrix import ELSEWHERE, MATRIX

HERE = Path(__file__).parent


def test_every_row_has_a_test() -> None:
    docstrings = re.findall(r'"""(T\d[T\d ]*)', "".join(f.read_text() for f in HERE.glob("*.py")))
    held = {row for said in docstrings for row in said.split()} | ELSEWHERE.keys()
    assert held == MATRIX.keys()
    assert all((HERE.parents[1] / file).exists() for files in ELSEWHERE.values() for file in files)


def test_figures_of_later_runs_replace_those_of_earlier_ones(tmp_path: Path, monkeypatch) -> None:
    page, kept = tmp_path / "faults.md", tmp_path / "faults.json"
    page.write_text("before\n<!-- figures -->\nold\n<!-- end -->\nafter\n")
    monkeypatch.setattr(figures, "PAGE", page)
    for value in (9, 2):
        run = Figures()
        run.record(["T1"], "tests/faults/test_x.py::test_a", "passed")
        figure = Figure(run, "test_a")
        figure("a wait", value, "s", at_most=10)
        figure("a long wait", value + 9, "s", at_most=10)
        assert len(figure.missed) == 1
        run.write(str(kept))
    figures.main(kept)
    text = page.read_text()
    assert "| T1 | a wait | 2 s | ≤ 10 |" in text
    assert "| a wait | 9" not in text
    assert "| a long wait | 11 s | ≤ 10, **missed** |" in text
    assert "1 passed" in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
