"""A picture that is resized strip by strip has the bytes of one that Pillow resizes at once."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from latentry.contracts import ResizeMode
from latentry.rules.resizing import fit
from worker.engine.inputs.resize import resized, resized_in_strips

SIDES = st.integers(1, 700)


@settings(max_examples=60, deadline=None)
@given(width=SIDES, height=SIDES, to_width=SIDES, to_height=SIDES, mode=st.sampled_from(ResizeMode))
@example(1600, 1200, 512, 768, ResizeMode.CROP)
@example(1200, 1600, 1100, 700, ResizeMode.CROP)
@example(900, 1600, 1100, 700, ResizeMode.STRETCH)
@example(1600, 1200, 512, 768, ResizeMode.PAD)
@example(1601, 1203, 1601, 77, ResizeMode.STRETCH)
@example(333, 700, 1500, 700, ResizeMode.STRETCH)
@example(640, 640, 640, 641, ResizeMode.CROP)
def test_it_has_the_same_bytes(width, height, to_width, to_height, mode) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    expected = resized(Image.fromarray(picture), to_width, to_height, mode)
    assert np.array_equal(
        resized_in_strips(picture, to_width, to_height, mode), np.asarray(expected)
    )


@pytest.mark.parametrize("mode", ResizeMode)
def test_one_that_has_the_size_stays_as_it_is(mode) -> None:
    picture = np.zeros((30, 20, 3), np.uint8)
    part = fit((20, 30), (20, 30), mode)
    assert (part.strips, part.size) == ([], (20, 30))
    assert resized_in_strips(picture, 20, 30, mode) is picture
