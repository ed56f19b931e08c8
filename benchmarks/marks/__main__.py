"""What marks cost a picture of 512²: XMP and signature, by format, on one core.

    python -m benchmarks.marks [--rounds 40]

All ways alternate in each round; shown are medians of this process's CPU time, and of the wall's
where another process works. Under a minute.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, Final

import numpy as np
from PIL import Image

from latentry.contracts import (
    InputFile,
    OutputFormat,
    Provenance,
    ResolvedRequest,
    Sampler,
    StoredOutput,
)
from latentry.provenance.confined.process import examine
from latentry.provenance.manifest import Claim, ingredient, manifest
from latentry.provenance.signing.chain import KnownSigners
from latentry.provenance.signing.development import ensure_chain
from latentry.provenance.signing.signer import Signer
from latentry.settings import Settings
from worker.publishing.encoding import encode

SIDE: Final = 512
MAX_MS, MAX_BYTES = 8.0, 4096
_REQUEST: Final = ResolvedRequest(
    model="shapes",
    prompt="a red fox in the snow, golden hour, 85 mm, film grain",
    negative_prompt="blurry, text",
    width=SIDE,
    height=SIDE,
    num_inference_steps=25,
    guidance_scale=7.5,
    sampler=Sampler.DPMPP_2M,
    seed=123_456_789,
)
_Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def pixels() -> _Pixels:
    """A smooth picture with grain, as a VAE draws one; (512, 512, 3)."""
    dice = np.random.default_rng(7)
    cells = Image.fromarray(dice.integers(0, 256, (16, 16, 3), np.uint8))
    clean = np.asarray(cells.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float)
    return (clean + dice.normal(0, 3, clean.shape)).clip(0, 255).astype(np.uint8)


def ways(signer: Signer, form: OutputFormat) -> dict[str, Callable[[], bytes]]:
    """What is timed, each as what makes a file of these bytes."""
    shown, seed = pixels(), _REQUEST.seed
    none, xmp, texts = (
        _REQUEST.model_copy(update={"output_format": form, "provenance": one}) for one in Provenance
    )
    unsigned = encode(shown, texts, seed)
    return {
        "none": lambda: encode(shown, none, seed),
        "xmp": lambda: encode(shown, xmp, seed),
        "texts": lambda: encode(shown, texts, seed),
        "signed": lambda: signed(signer, unsigned, texts),
    }


def signed(signer: Signer, file: bytes, request: ResolvedRequest) -> bytes:
    """The file with its manifest."""
    form = request.output_format
    return signer.signed(file, form.content_type, manifest(_claim(request)))


def edit(signer: Signer, file: bytes) -> bytes:
    """One whose picture had a manifest of its own: signed in a confined process."""
    kept = examine(file, OutputFormat.PNG.content_type, KnownSigners(), keep=True)
    image = InputFile(
        file="file_1", pixel_sha256="1" * 64, width=SIDE, height=SIDE, c2pa=kept.said.c2pa.state
    )
    claim = _claim(_REQUEST, inputs={"image": image}, embedded=frozenset({"file_1"}))
    named = [(ingredient("image", image), kept.archive)]
    return signer.signed(file, OutputFormat.PNG.content_type, manifest(claim), named)


def _claim(request: ResolvedRequest, **more: Any) -> Claim:
    output = StoredOutput(
        index=0,
        seed=request.seed,
        width=SIDE,
        height=SIDE,
        content_type=request.output_format.content_type,
        pixel_sha256="2" * 64,
        unsigned_sha256="3" * 64,
        key="",
    )
    job, made_at = "gen_" + "0" * 32, "2026-11-30T00:00:00+00:00"
    return Claim(request, output, job, made_at, fingerprints=("4" * 64,), **more)


def measure(signer: Signer, rounds: int) -> Iterator[str]:
    """A line for each format, then those of the ways that take a process."""
    worst_ms, worst_bytes = 0.0, 0
    for form in OutputFormat:
        timed, files = _alternated(ways(signer, form), rounds)
        texts_ms, size = timed["texts"] - timed["none"], {n: len(one) for n, one in files.items()}
        manifest_bytes = size["signed"] - size["texts"]
        xmp_bytes = size["xmp"] - size["none"]
        worst_ms = max(worst_ms, timed["signed"] + max(texts_ms, 0))
        worst_bytes = max(worst_bytes, manifest_bytes + xmp_bytes)
        yield (
            f"{form.value:5} encoding {timed['none']:6.2f} ms; text and XMP {texts_ms:+5.2f} ms,"
            f" {size['texts'] - size['none']:5} B, of which XMP {xmp_bytes} B;"
            f" signature {timed['signed']:5.2f} ms, {manifest_bytes} B"
        )
    yield f"Texts and signature: {worst_ms:.2f} ms (≤ {MAX_MS:g})"
    yield f"XMP and signature: {worst_bytes} B (≤ {MAX_BYTES})"
    yield _in_processes(signer, max(rounds // 8, 2))


def _in_processes(signer: Signer, rounds: int) -> str:
    picture = signed(signer, encode(pixels(), _REQUEST, _REQUEST.seed), _REQUEST)
    known = KnownSigners()
    timed, files = _alternated(
        {
            "verify": lambda: examine(picture, "image/png", known, keep=True).archive,
            "edit": lambda: edit(signer, picture),
        },
        rounds,
        perf_counter,
    )
    added = len(files["edit"]) - len(picture)
    return (
        f"In a process of its own: verify {timed['verify']:.0f} ms; that and to sign with the"
        f" picture's own manifest, {timed['edit']:.0f} ms, {added} B"
    )


def _alternated(
    timed: dict[str, Callable[[], bytes]], rounds: int, clock: Callable[[], float] = process_time
) -> tuple[dict[str, float], dict[str, bytes]]:
    """Median milliseconds of each, and what it made last; a first round is not counted."""
    took: dict[str, list[float]] = {name: [] for name in timed}
    files: dict[str, bytes] = {}
    for _ in range(rounds + 1):
        for name, make in timed.items():
            began = clock()
            files[name] = make()
            took[name].append((clock() - began) * 1000)
    return {name: median(each[1:]) for name, each in took.items()}, files


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what marks cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        ensure_chain(settings.c2pa_folder)
        signer = Signer.open(settings)
        assert signer is not None, "its chain was just made"
        for line in measure(signer, options.rounds):
            print(line)


if __name__ == "__main__":
    main()
