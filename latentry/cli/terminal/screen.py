"""Where pictures appear in a terminal: one place above the progress bars, which each replaces."""

import os
from collections.abc import Iterator, Mapping
from random import randrange
from typing import Final, Self

from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import ControlType, Segment
from rich.style import Style

from latentry.cli.terminal import detect
from latentry.cli.terminal.pictures import Box, Protocol, blocks, escape

_MOST_ROWS: Final = 16
_LEFT_ROWS: Final = 6  # for the bars below, and what was typed above
_SAVE, _RESTORE = "\x1b7", "\x1b8"


class Screen:
    """Draws pictures at one place of a console."""

    def __init__(self, console: Console, protocol: Protocol, cell: tuple[int, int]) -> None:
        self._console, self._protocol = console, protocol
        rows = max(1, min(_MOST_ROWS, console.height - _LEFT_ROWS))
        self._box = Box(console.width - 1, rows, cell)
        self._number = randrange(1, 2**24)  # noqa: S311 - a name among kitty's pictures
        self._above = 0  # rows of the picture that the next one replaces

    @classmethod
    def of(cls, console: Console, env: Mapping[str, str] = os.environ) -> Self | None:
        """The screen of this terminal; None if it draws no pictures."""
        found = detect.protocol(console, env)
        return None if found is None else cls(console, found, detect.cell())

    def show(self, data: bytes, size: tuple[int, int]) -> None:
        """Draw the file of a picture of this size in pixels, in the place of the last one."""
        box = self._box.fit(size)
        if drawn := self._drawn(data, box):
            self._console.print(_Frame(drawn, self._above, box.rows), end="", crop=False)
            self._above = box.rows

    def keep(self) -> None:
        """The next picture comes below the last one."""
        self._above = 0
        self._number += 1

    def _drawn(self, data: bytes, box: Box) -> RenderableType | None:
        if self._protocol is Protocol.BLOCKS:
            cells = blocks(data, box)
            return _Cells(cells) if cells else None
        text = escape(self._protocol, data, box, self._number)
        return _Escaped(text, box.rows) if text else None


class _Frame:
    """A picture over the one before, of which no row remains."""

    def __init__(self, picture: RenderableType, above: int, rows: int) -> None:
        self._picture, self._above, self._rows = picture, above, rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        if self._above:
            yield _control(f"\x1b[{self._above}A\r" + "\x1b[2K\x1b[B" * self._above)
            yield _control(f"\x1b[{self._above}A")
        yield from console.render(self._picture, options)


class _Escaped:
    """A picture that the terminal draws at the cursor, whatever it does to the cursor then."""

    def __init__(self, text: str, rows: int) -> None:
        self._text, self._rows = text, rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        # Lines first, as the terminal may have to scroll.
        room = "\n" * self._rows + f"\x1b[{self._rows}A"
        yield _control(f"{room}{_SAVE}{self._text}{_RESTORE}\x1b[{self._rows}B")


class _Cells:
    """A picture of half blocks."""

    def __init__(self, cells: list[list[tuple[tuple[int, ...], tuple[int, ...]]]]) -> None:
        self._cells = cells

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for row in self._cells:
            for upper, lower in row:
                colours = Color.from_rgb(*upper), Color.from_rgb(*lower)
                yield Segment("▀", Style(color=colours[0], bgcolor=colours[1]))
            yield Segment.line()


def _control(text: str) -> Segment:
    """Text that moves the cursor or draws, and takes no room in a line."""
    return Segment(text, None, [(ControlType.HOME,)])
