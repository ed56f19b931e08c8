"""Pictures of one colour, which follows from prompt and seed."""

import hashlib
import io
from dataclasses import dataclass

from latentry.client.pictures.png import png
from latentry.contracts import OutputFormat
from latentry.testing.answers import NotFaked

# A grey JPEG of 8 × 8 pixels, as previews are.
PREVIEW_URL = (
    "data:image/jpeg;base64,/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP///////////////////////////////////"
    "///////////////////////////////////////////////////wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAA"
    "AAAAAP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z"
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One encoded picture."""

    data: bytes
    content_type: str
    width: int
    height: int
    pixel_sha256: str


def draw(text: str, size: tuple[int, int], form: OutputFormat) -> Drawn:
    """A picture of one colour. Raises NotFaked for JPEG and WebP where Pillow is not installed."""
    width, height = size
    pixels = hashlib.sha256(text.encode()).digest()[:3] * (width * height)
    data = png(width, height, 3, pixels)
    if form is not OutputFormat.PNG:
        data = _encoded(data, form.value)
    return Drawn(data, form.content_type, width, height, hashlib.sha256(pixels).hexdigest())


def animate(frames: list[bytes], form: str, fps: int) -> bytes:
    """All frames in one file. Raises NotFaked without Pillow, and for MP4."""
    if form == "mp4":
        raise NotFaked("The fake service makes no MP4; let output be webp, gif or frames.")
    return _encoded(frames[0], form, [*frames[1:]], 1000 // fps)


def _encoded(first: bytes, form: str, others: list[bytes] | None = None, ms: int = 0) -> bytes:
    try:
        from PIL import Image
    except ImportError:
        raise NotFaked(f"The fake service needs Pillow for {form}: pip install pillow.") from None
    into = io.BytesIO()
    more = [Image.open(io.BytesIO(one)) for one in others or []]
    animated = {"save_all": True, "append_images": more, "duration": ms} if more else {}
    Image.open(io.BytesIO(first)).save(into, form, **animated)
    return into.getvalue()


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of a picture that was sent; of what is no PNG 512 × 512."""
    if data.startswith(b"\x89PNG") and len(data) > 24:
        return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    return 512, 512
