"""Pictures in a terminal: what each protocol is sent, and which one a terminal gets."""

import base64
import io
import os
import pty
import re
import sys
import threading

import pytest
from PIL import Image as Pixels
from rich.console import Console

from latentry.cli.terminal import detect, pictures
from latentry.cli.terminal.pictures import Box, Protocol, blocks, escape
from latentry.cli.terminal.screen import Screen

CELL = (6, 12)
BOX = Box(4, 2, CELL)  # 24 × 24 pixels


def encoded(form: str, size: tuple[int, int] = (24, 24)) -> bytes:
    """Red above green."""
    image = Pixels.new("RGB", size, (255, 0, 0))
    image.paste((0, 255, 0), (0, size[1] // 2, *size))
    into = io.BytesIO()
    image.save(into, form)
    return into.getvalue()


def kitty_payload(text: str) -> bytes:
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert [keys.rpartition("m=")[2] for keys, _ in parts] == ["1"] * (len(parts) - 1) + ["0"]
    assert all(len(data) <= pictures.KITTY_CHUNK for _, data in parts)
    return base64.b64decode("".join(data for _, data in parts))


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_kitty_gets_png_in_pieces(form: str) -> None:
    data = encoded(form) if form == "JPEG" else os.urandom(0) + encoded("PNG", (24, 24))
    text = escape(Protocol.KITTY, data, BOX, 7)
    assert "a=T,f=100,i=7,p=1,c=4,r=2,C=1,q=2," in text
    payload = kitty_payload(text)
    assert Pixels.open(io.BytesIO(payload)).format == "PNG"
    assert payload == data or form == "JPEG"


def test_kitty_s_pieces_are_as_long_as_the_protocol_allows() -> None:
    noise = pictures.PNG + os.urandom(10_000)
    assert kitty_payload(escape(Protocol.KITTY, noise, BOX, 1)) == noise


def test_iterm2_gets_the_file_itself() -> None:
    data = encoded("JPEG")
    text = escape(Protocol.ITERM2, data, BOX, 1)
    head, _, body = text.removesuffix("\x07").partition(":")
    assert base64.b64decode(body) == data
    assert f"size={len(data)};width=4;height=2" in head


def test_sixels_are_the_picture() -> None:
    text = escape(Protocol.SIXEL, encoded("PNG"), BOX, 1)
    shown = from_sixels(text)
    assert shown.size == (24, 24)
    assert (shown.getpixel((3, 2)), shown.getpixel((20, 22))) == ((255, 0, 0), (0, 255, 0))


def from_sixels(text: str) -> Pixels.Image:
    """What a terminal makes of them."""
    body = text.removeprefix("\x1bPq").removesuffix("\x1b\\")
    [_, _, width, height] = map(int, re.match(r'"(\d+);(\d+);(\d+);(\d+)', body).groups())
    image = Pixels.new("RGB", (width, height))
    palette, colour, x, top = {}, 0, 0, 0
    for token in re.findall(r"#\d+(?:;2;\d+;\d+;\d+)?|!\d+[?-~]|[?-~]|[$-]", body):
        if token.startswith("#"):
            numbers = list(map(int, re.findall(r"\d+", token)))
            colour = numbers[0]
            if len(numbers) > 1:
                palette[colour] = tuple(round(part * 255 / 100) for part in numbers[2:])
        elif token in "$-":
            x, top = 0, top + 6 * (token == "-")
        else:
            end = x + (int(token[1:-1]) if token.startswith("!") else 1)
            while x < end:
                for bit in range(6):
                    if (ord(token[-1]) - 63) >> bit & 1 and top + bit < height:
                        image.putpixel((x, top + bit), palette[colour])
                x += 1
    return image


def test_half_blocks_have_two_pixels_a_cell() -> None:
    first, last = blocks(encoded("PNG"), Box(3, 2))
    assert (len(first), len(last)) == (3, 3)
    assert first[0][0] == pytest.approx((255, 0, 0), abs=12)
    assert last[2][1] == pytest.approx((0, 255, 0), abs=12)


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 64), (32, 16)), ((128, 64), (64, 16)), ((64, 640), (3, 16))]
)
def test_a_picture_keeps_its_shape_in_the_box(size, expected) -> None:
    found = Box(79, 16).fit(size)
    assert (found.columns, found.rows) == expected


@pytest.mark.parametrize("protocol", list(Protocol))
def test_without_pillow_there_is_no_picture_of_pixels_and_nothing_is_said(
    monkeypatch, capsys, protocol
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    needs_pixels = protocol is not Protocol.ITERM2
    assert (escape(protocol, encoded_jpeg, BOX, 1) is None) == needs_pixels
    assert blocks(encoded_jpeg, BOX) == []
    assert capsys.readouterr() == ("", "")


encoded_jpeg = encoded("JPEG")


@pytest.mark.parametrize(
    ("answer", "env", "expected"),
    [
        (b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c", {}, Protocol.KITTY),
        (b"\x1b[?62;4;22c", {}, Protocol.SIXEL),
        (b"\x1b[?64;14;22c", {}, None),
        (b"\x1b[?1;2c", {"TERM_PROGRAM": "iTerm.app"}, Protocol.ITERM2),
        (b"", {"LC_TERMINAL": "iTerm2"}, Protocol.ITERM2),
        (b"\x1b[?1;2c", {"TERM_PROGRAM": "iTerm.app", "TMUX": "x"}, None),
        (b"", {}, None),
    ],
)
def test_a_terminal_is_what_it_answers(answer, env, expected) -> None:
    assert detect.said(answer, env) is expected


def test_a_terminal_is_asked_over_its_own_line() -> None:
    main, other = pty.openpty()

    def terminal() -> None:
        assert os.read(main, 1024).endswith(b"\x1b[c")
        os.write(main, b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c")

    thread = threading.Thread(target=terminal)
    thread.start()
    assert detect.said(detect._asked(other), {}) is Protocol.KITTY
    thread.join()
    os.close(main)
    os.close(other)


@pytest.mark.parametrize("is_terminal", [(True, False), (False, True)])
def test_where_a_pipe_is_nothing_is_shown(monkeypatch, is_terminal) -> None:
    for name, value in zip(("stdout", "stderr"), is_terminal, strict=True):
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda value=value: value)
    console = Console(force_terminal=True)
    assert detect.protocol(console, {detect.VARIABLE: "kitty"}) is None


@pytest.mark.parametrize(("word", "expected"), [("sixel", Protocol.SIXEL), ("off", None)])
def test_a_variable_says_it_for_all(monkeypatch, word, expected) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert detect.protocol(Console(force_terminal=True), {detect.VARIABLE: word}) is expected


def test_a_picture_takes_the_place_of_the_one_before() -> None:
    into = io.StringIO()
    console = Console(file=into, force_terminal=True, color_system="truecolor", width=40, height=12)
    screen = Screen(console, Protocol.BLOCKS, (10, 20))
    screen.show(encoded("PNG"), (24, 24))
    first = into.getvalue()
    assert first.count("\n") == 6, "as many rows as are left"
    assert "\x1b[38;2;255;0;0;48;2;255;0;0m▀" in first
    screen.show(encoded("PNG"), (24, 24))
    second = into.getvalue()[len(first) :]
    assert second.startswith("\x1b[6A")
    screen.keep()
    screen.show(encoded("PNG"), (24, 24))
    assert not into.getvalue()[len(first + second) :].startswith("\x1b[6A")
