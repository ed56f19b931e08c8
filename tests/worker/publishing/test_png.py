"""The PNG writer, read back by an independent reader."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from worker.publishing import png

sides = st.integers(1, 70)
pictures = st.tuples(sides, sides, st.just(3)).flatmap(lambda shape: arrays.arrays(np.uint8, shape))
# What the contract lets into a prompt: everything but NUL and lone surrogates.
prompts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def _read(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data), formats=["PNG"])
    picture.load()
    return picture


@given(pictures)
def test_every_pixel_survives(pixels: np.ndarray) -> None:
    picture = _read(png.encode(pixels, {}))
    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture), pixels)


def test_pixels_need_not_lie_in_one_piece() -> None:
    whole = np.random.default_rng(1).integers(0, 256, (3, 33, 65), dtype=np.uint8)
    view = whole.transpose(1, 2, 0)[::-1, ::2]
    assert np.array_equal(np.asarray(_read(png.encode(view, {}))), view)


@given(prompts)
def test_every_prompt_comes_back(text: str) -> None:
    picture = _read(png.encode(np.zeros((1, 1, 3), np.uint8), {"parameters": text, "latentry": ""}))
    assert picture.info["parameters"] == text
    assert picture.info["latentry"] == ""


@pytest.mark.parametrize(
    ("text", "kind"),
    [("a café\nin red", b"tEXt"), ("a 🐸 and a 兎", b"iTXt"), ("“quoted”", b"iTXt")],
)
def test_text_is_latin_1_where_that_is_enough(text: str, kind: bytes) -> None:
    data = png.encode(np.zeros((2, 2, 3), np.uint8), {"parameters": text})
    assert kind + b"parameters\0" in data
    assert _read(data).info["parameters"] == text
