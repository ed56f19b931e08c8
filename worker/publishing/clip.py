"""Frames to the bytes of one file: animated WebP, GIF, or MP4."""

import hashlib
import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from latentry.contracts import ClipFormat, ModelCard
from latentry.provenance.exif import exif

Pixels = NDArray[np.uint8]
C = TypeVar("C")

_CODEC: Final = "libx264"
_CRF: Final = "16"  # x264's scale: 23 is its default, and 18 is hard to tell from the original
_WEBP_QUALITY: Final = 90
_INDEX_BYTES, _INDEX_FRAME_BYTES = 4096, 64  # ample: a frame's sizes and times take up to 24
_BT709: Final = 1  # ISO/IEC 23001-8: primaries, transfer and matrix of HD video


def writable_formats() -> tuple[ClipFormat, ...]:
    """What this process can write: MP4 only with PyAV, the extra `video`."""
    return tuple(form for form in ClipFormat if form is not ClipFormat.MP4 or _has_mp4())


def with_clips(cards: Iterable[C]) -> list[C | ModelCard]:
    """The cards, those of models with what this process can write."""
    formats = {"clips": writable_formats()}
    return [
        card.model_copy(update={"limits": card.limits.model_copy(update=formats)})
        if isinstance(card, ModelCard)
        else card
        for card in cards
    ]


def encode_clip(
    frames: Sequence[Pixels], fps: int, form: ClipFormat, text: str, xmp: str = ""
) -> bytes:
    """The file of (height, width, 3) RGB frames of one size, with `text` in its metadata.

    XMP goes into WebP alone: of the others no writer of ours has a place for it.

    Frames are asked for one by one, in order, so that a lazy sequence need not hold them; GIF keeps
    a byte a pixel of each. WebP and GIF repeat for ever. GIF counts hundredths of a second and WebP
    thousandths. Raises ValueError or OSError for frames that the format cannot hold, and
    ImportError for MP4 without PyAV.
    """
    if form is ClipFormat.MP4:
        import av

        try:
            return _mp4(frames, fps, text)
        except av.FFmpegError as error:  # the encoder's own are neither ValueError nor OSError
            raise ValueError(str(error)) from error
    file = io.BytesIO()
    moving = _Moving(frames)
    if form is ClipFormat.GIF:
        hundredths = max(round(100 / fps), 2)  # players take less for "as slow as usual"
        comment = text.encode()
        moving.save(file, "GIF", save_all=True, duration=10 * hundredths, loop=0, comment=comment)
    else:
        moving.save(
            file,
            "WEBP",
            save_all=True,
            duration=1000 / fps,
            loop=0,
            quality=_WEBP_QUALITY,
            **({"exif": exif(text)} if text else {}),
            xmp=xmp.encode(),
        )
    return file.getvalue()


class HashedFrames(Sequence[Pixels]):
    """The same frames, with a SHA-256 of the RGB bytes of all that were asked for, in order."""

    def __init__(self, frames: Sequence[Pixels]) -> None:
        self._frames = frames
        self._hash = hashlib.sha256()
        self._hashed = 0

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: Any) -> Any:
        pixels = self._frames[index]
        if index == self._hashed:
            self._hash.update(np.ascontiguousarray(pixels).data)
            self._hashed += 1
        return pixels

    @property
    def pixel_sha256(self) -> str:
        """Of the frames so far."""
        return self._hash.hexdigest()


class _Moving(Image.Image):
    """Frames as one of Pillow's images of several frames, of which it holds the current one."""

    def __init__(self, frames: Sequence[Pixels]) -> None:
        super().__init__()
        self._frames = frames
        self._show(0)

    @property
    def n_frames(self) -> int:
        return len(self._frames)

    def tell(self) -> int:
        return self._at

    def seek(self, frame: int) -> None:
        if frame >= len(self._frames):
            raise EOFError
        if frame > self._at:  # whoever goes back to the first one has saved all
            self._show(frame)

    def _show(self, frame: int) -> None:
        shown = Image.fromarray(self._frames[frame])
        self.im, self._mode, self._size = shown.im, shown.mode, shown.size
        self._at = frame


def _has_mp4() -> bool:
    try:
        import av
    except ImportError:
        return False
    return _CODEC in av.codecs_available


def _mp4(frames: Sequence[Pixels], fps: int, text: str) -> bytes:
    """H.264 in 4:2:0, which every player shows, in the colours of HD video."""
    import av
    from av.video.reformatter import Colorspace

    first = frames[0]
    height, width, _ = first.shape
    if height % 2 or width % 2:
        raise ValueError("MP4 needs even sides.")
    file = io.BytesIO()
    # The index comes first, so that a player can begin: its room is kept, which "faststart" does in
    # a second pass over a file that has a name.
    index_bytes = _INDEX_BYTES + _INDEX_FRAME_BYTES * len(frames) + len(text.encode())
    options = {"moov_size": str(index_bytes)}
    with av.open(file, "w", format="mp4", options=options) as container:
        container.metadata["comment"] = text
        stream = container.add_stream(_CODEC, rate=Fraction(fps), options={"crf": _CRF})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.thread_count = 1  # the others are the step loop's
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        for index in range(len(frames)):
            pixels = np.ascontiguousarray(frames[index] if index else first)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            shown = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            container.mux(stream.encode(shown))
        container.mux(stream.encode())
    return file.getvalue()
