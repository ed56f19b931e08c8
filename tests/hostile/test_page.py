"""docs/hostile-input.md names tests that exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "hostile-input.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and ".py" in line]


@pytest.mark.parametrize("row", ROWS)
def test_every_row_names_a_test_that_exists(row: str) -> None:
    named = row.rstrip(" |").rpartition("| ")[2]
    files = re.findall(r"`([^`]+\.py)`", named)
    assert files
    assert [file for file in files if not (TESTS / file).exists()] == []
    words = re.sub(r"`[^`]+`|,", "", named).split()
    code = "".join((TESTS / file).read_text() for file in files)
    assert [word for word in words if word not in code] == []
