"""Tables on standard output."""

import sys
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from latentry.cli.terminal.text import shown

_ALL: Final = 100_000  # columns; more than any row has
_WIDE: Final = 120


def table(first: str, *others: str) -> Table:
    """An empty table with these heads. `first`: of what each row is called by.

    Where the terminal is too narrow, the others are wrapped; nothing is cut.
    """
    wrapped = (Column(name, overflow="fold") for name in others)
    return Table(Column(first, no_wrap=True), *wrapped, box=None)


def is_narrow() -> bool:
    """Whether somebody reads in a terminal that has no room for many columns."""
    return sys.stdout.isatty() and Console().width < _WIDE


def add(to: Table, *cells: str) -> None:
    """A row of plain texts."""
    to.add_row(*(escape(shown(cell)) for cell in cells))


def show(found: Table) -> None:
    """Print it. Where no terminal is, as in a pipe, each row is one line."""
    Console(width=None if sys.stdout.isatty() else _ALL).print(found)
