"""What is left of a picture's marks after what people do to pictures.

`python -m tools.pages.survival` prints the table of docs/provenance.md.
"""

import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from latentry.contracts import OutputFormat, ResolvedRequest, Sampler, StoredOutput
from latentry.provenance.confined.process import Said, examine
from latentry.provenance.manifest import Claim, manifest
from latentry.provenance.signing.chain import KnownSigners
from latentry.provenance.signing.development import ensure_chain
from latentry.provenance.signing.signer import Signer
from latentry.settings import Settings
from service.intake.kinds import content_type_of
from worker.publishing.encoding import encode

SIDE: Final = 128
HEAD: Final = ("what is done", "file", "C2PA", "XMP", "parameters")
Change = Callable[[bytes], bytes]


def _saved(form: str, **options: Any) -> Change:
    def save(file: bytes) -> bytes:
        into = io.BytesIO()
        Image.open(io.BytesIO(file)).convert("RGB").save(into, form, **options)
        return into.getvalue()

    return save


def _with_metadata(file: bytes) -> bytes:
    """As an editor saves that keeps EXIF and XMP."""
    image = Image.open(io.BytesIO(file))
    return _saved("JPEG", quality=95, exif=image.getexif(), xmp=image.info.get("xmp"))(file)


def _changed(change: Callable[[Image.Image], Image.Image], form: str, **options: Any) -> Change:
    def make(file: bytes) -> bytes:
        into = io.BytesIO()
        changed = change(Image.open(io.BytesIO(file)).convert("RGB"))
        Image.fromarray(np.asarray(changed)).save(into, form, **options)  # pixels and nothing else
        return into.getvalue()

    return make


CHANGES: Final[dict[str, Change]] = {
    "downloaded, copied, renamed": lambda file: file,
    "saved again, as PNG": _saved("PNG"),
    "saved again, as JPEG": _saved("JPEG", quality=90),
    "saved again, as WebP": _saved("WEBP"),
    "saved as JPEG with EXIF and XMP": _with_metadata,
    "screenshot": _changed(lambda image: image, "PNG"),
    "cropped by a fifth": _changed(lambda image: image.crop((13, 13, 115, 115)), "PNG"),
    "half as large, JPEG 80": _changed(lambda image: image.resize((64, 64)), "JPEG", quality=80),
}


def table() -> Iterator[str]:
    """Lines of Markdown; formats of which the same is left share one."""
    yield f"| {' | '.join(HEAD)} |"
    yield f"|{'---|' * len(HEAD)}"
    with tempfile.TemporaryDirectory() as folder:
        files = _files(Path(folder))
        for name, change in CHANGES.items():
            left: dict[tuple[str, ...], list[str]] = {}
            for form, file in files.items():
                left.setdefault(_left(change(file)), []).append(_label(form))
            for what, forms in left.items():
                yield f"| {' | '.join((name, ', '.join(forms), *what))} |"


def _files(folder: Path) -> dict[OutputFormat, bytes]:
    settings = Settings(data_dir=folder)
    ensure_chain(settings.c2pa_folder)
    signer = Signer.open(settings)
    assert signer is not None, "its chain was just made"
    cells = np.random.default_rng(7).integers(0, 256, (8, 8, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(cells).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return {form: _file(signer, pixels, form) for form in OutputFormat}


def _file(signer: Signer, pixels: Any, form: OutputFormat) -> bytes:
    request = ResolvedRequest(
        model="shapes", prompt="a circle", width=SIDE, height=SIDE, num_inference_steps=25,
        guidance_scale=4, sampler=Sampler.EULER, seed=7, output_format=form,
    )  # fmt: skip
    output = StoredOutput(
        index=0, seed=7, width=SIDE, height=SIDE, content_type=form.content_type, pixel_sha256="",
        key="",
    )  # fmt: skip
    claim = Claim(request, output, "gen_1", "2026-11-30T00:00:00+00:00")
    return signer.signed(encode(pixels, request, 7), form.content_type, manifest(claim))


def _left(file: bytes) -> tuple[str, ...]:
    said: Said = examine(file, content_type_of(file), KnownSigners()).said
    is_marked = said.xmp is not None and bool(said.xmp.digital_source_type)
    return said.c2pa.state.value, _yes(is_marked), _yes(said.infotext is not None)


def _yes(there: bool) -> str:
    return "yes" if there else "no"


def _label(form: OutputFormat) -> str:
    return "WebP" if form is OutputFormat.WEBP else form.name


if __name__ == "__main__":
    print("\n".join(table()))
