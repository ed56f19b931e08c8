"""Clips: the frames come back in their order, at their times, in their colours."""

import hashlib
import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, ImageSequence

from latentry.contracts import ClipFormat
from worker.publishing.clip import HashedFrames, Pixels, encode_clip, writable_formats

COLOURS = [(200, 30, 30), (30, 160, 60), (30, 60, 200), (230, 220, 40), (20, 20, 20)]


def frames() -> list[Pixels]:
    """A white square that moves over grounds of five colours."""
    found = []
    for i, colour in enumerate(COLOURS):
        pixels = np.full((48, 64, 3), colour, np.uint8)
        pixels[16:32, 8 * i : 8 * i + 16] = 255
        found.append(pixels)
    return found


def shown(file: bytes, form: ClipFormat) -> list[Pixels]:
    if form is ClipFormat.MP4:
        av = pytest.importorskip("av")
        with av.open(io.BytesIO(file)) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with Image.open(io.BytesIO(file)) as image:
        return [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(image)]


@pytest.mark.parametrize("form", writable_formats())
def test_a_clip_shows_its_frames_in_order(form) -> None:
    found = shown(encode_clip(frames(), 8, form, "a text"), form)
    assert len(found) == len(COLOURS)
    for one, sent in zip(found, frames(), strict=True):
        assert np.abs(one.astype(int) - sent).mean() < 3, "of 255 levels"


@pytest.mark.parametrize(("fps", "shown_ms"), [(8, 125), (30, 33)])
def test_a_webp_keeps_its_frames_times(fps, shown_ms) -> None:
    with Image.open(io.BytesIO(encode_clip(frames(), fps, ClipFormat.WEBP, ""))) as image:
        times = []
        for one in ImageSequence.Iterator(image):
            one.load()
            times.append(one.info["duration"])
        assert max(abs(ms - 1000 / fps) for ms in times) < 1
        assert image.info["loop"] == 0


def test_a_gif_counts_hundredths_and_says_its_text() -> None:
    with Image.open(io.BytesIO(encode_clip(frames(), 8, ClipFormat.GIF, "a text"))) as image:
        assert image.info["duration"] == 120
        assert image.info["comment"] == b"a text"
        assert image.info["loop"] == 0


def test_an_mp4_is_h264_with_its_rate_and_text() -> None:
    av = pytest.importorskip("av")
    file = encode_clip(frames(), 8, ClipFormat.MP4, "a text, with a comma")
    with av.open(io.BytesIO(file)) as container:
        [stream] = container.streams.video
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 8)
        assert (stream.width, stream.height) == (64, 48)
        assert container.metadata["comment"] == "a text, with a comma"
    assert file.index(b"moov") < file.index(b"mdat"), "a browser can begin before it has all"


@pytest.mark.parametrize("form", writable_formats())
def test_equal_frames_are_still_frames(form) -> None:
    still = [frames()[0]] * 3
    found = shown(encode_clip(still, 8, form, ""), form)
    assert np.abs(found[-1].astype(int) - still[0]).mean() < 3


@pytest.mark.parametrize("form", writable_formats())
def test_equal_clips_are_equal_bytes(form) -> None:
    assert encode_clip(frames(), 8, form, "t") == encode_clip(frames(), 8, form, "t")


class OneByOne(Sequence[Pixels]):
    """Notes what is asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(COLOURS)

    def __getitem__(self, index):
        self.asked.append(index)
        return frames()[index]


@pytest.mark.parametrize("form", writable_formats())
def test_frames_are_asked_for_in_order_and_hashed(form) -> None:
    asked = OneByOne()
    hashed = HashedFrames(asked)
    encode_clip(hashed, 8, form, "")
    assert asked.asked == list(range(len(COLOURS))), "each is read from storage once"
    whole = hashlib.sha256(b"".join(one.tobytes() for one in frames()))
    assert hashed.pixel_sha256 == whole.hexdigest()


def test_odd_sides_are_no_mp4() -> None:
    pytest.importorskip("av")
    with pytest.raises(ValueError, match="even"):
        encode_clip([np.zeros((47, 64, 3), np.uint8)], 8, ClipFormat.MP4, "")


def test_what_the_encoder_says_no_to_is_a_value_that_it_cannot_hold(monkeypatch) -> None:
    """Its errors of this kind are no ValueError: the job would be tried again and again."""
    av = pytest.importorskip("av")

    def refuses(*_: object, **__: object) -> None:
        raise av.error.ExternalError(av.error.ErrorType.EXTERNAL.value, "Generic error")

    monkeypatch.setattr(av, "open", refuses)
    with pytest.raises(ValueError, match="Generic error"):
        encode_clip(frames(), 8, ClipFormat.MP4, "")
