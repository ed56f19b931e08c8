"""Which pictures this terminal can draw: what it answers to questions, or what it says it is."""

import fcntl
import os
import re
import select
import struct
import sys
import termios
import time
import tty
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from rich.console import Console

from latentry.cli.terminal.pictures import Protocol

VARIABLE: Final = "LATENTRY_PICTURES"
ANSWER_S: Final = 0.3  # a terminal that knows neither question stays silent
# May you draw this pixel (kitty)? What are you (all; the last answer)?
_QUESTIONS: Final = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c"
_WHAT_IT_IS: Final = re.compile(rb"\x1b\[\?([\d;]*)c")
_SPEAK_ITERM2: Final = {"iTerm.app", "WezTerm"}


def protocol(console: Console, env: Mapping[str, str]) -> Protocol | None:
    """How to draw pictures here; None where nobody looks at a terminal that can."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()) or console.is_dumb_terminal:
        return None
    if wanted := env.get(VARIABLE):
        return Protocol(wanted) if wanted in set(Protocol) else None
    found = said(answers(), env)
    if found is None and console.color_system in ("truecolor", "256"):
        return Protocol.BLOCKS
    return found


def said(answer: bytes, env: Mapping[str, str]) -> Protocol | None:
    """What a terminal's answers and its variables say."""
    if b"_Gi=31;OK" in answer:
        return Protocol.KITTY
    is_inside_another = "TMUX" in env or env.get("TERM", "").startswith(("screen", "tmux"))
    names = {env.get("TERM_PROGRAM"), "iTerm.app" if env.get("LC_TERMINAL") == "iTerm2" else None}
    if names & _SPEAK_ITERM2 and not is_inside_another:
        return Protocol.ITERM2
    found = _WHAT_IT_IS.search(answer)
    return Protocol.SIXEL if found and b"4" in found[1].split(b";") else None


def answers() -> bytes:
    """What the terminal answers to the questions, within a moment."""
    with suppress(OSError, termios.error):
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        try:
            # Asked from the background, a shell would stop us.
            is_ours = os.tcgetpgrp(terminal) == os.getpgrp()
            return _asked(terminal) if is_ours else b""
        finally:
            os.close(terminal)
    return b""


def cell() -> tuple[int, int]:
    """Width and height of a cell in pixels; of a common one if the terminal does not say."""
    with suppress(OSError, ZeroDivisionError):
        rows, columns, width, height = struct.unpack(
            "HHHH", fcntl.ioctl(sys.stderr.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        )
        if width and height:
            return width // columns, height // rows
    return 10, 20


def _asked(terminal: int) -> bytes:
    before = termios.tcgetattr(terminal)
    found = b""
    try:
        tty.setcbreak(terminal)
        os.write(terminal, _QUESTIONS)
        deadline = time.monotonic() + ANSWER_S
        while not _WHAT_IT_IS.search(found):
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([terminal], [], [], left_s)[0]:
                break
            found += os.read(terminal, 1024)
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
    return found
