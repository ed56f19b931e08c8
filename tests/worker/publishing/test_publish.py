"""Pixels in, a stored picture that says how to make it again out."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
import structlog
from numpy.typing import NDArray
from PIL import Image

from latentry import __version__
from latentry.contracts import (
    GenerationRequest,
    OutputFormat,
    ResolvedRequest,
    Sampler,
    Spacing,
    Template,
)
from latentry.contracts.fields.bounds import (
    MAX_PROMPT_CHARS,
    MAX_STYLE_NAME_CHARS,
    MAX_STYLES,
)
from latentry.ledger import JobRef, Lease, Ledger, NewJob, commands
from latentry.settings import Settings
from latentry.storage import Storage, content_type_of, open_storage
from worker.claims.claimed_job import ClaimedJob
from worker.claims.inbox import Inbox
from worker.metrics import Metrics
from worker.publishing.encoding import encode, pixel_sha256
from worker.publishing.picture import Picture
from worker.publishing.publisher import Publisher

Pixels = NDArray[np.uint8]
WIDE_PROMPTS = ["a 🐸 beside a 兎", "two\nlines, and a comma: “so”", "café", "\t\x7f\x85 odd"]


def _read(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def _user_comment(picture: Image.Image) -> str:
    comment = picture.getexif().get_ifd(0x8769)[0x9286]
    assert comment.startswith(b"UNICODE\0")
    return comment.removeprefix(b"UNICODE\0").decode("utf-16-be")


def _in(form: OutputFormat, request: ResolvedRequest, **changes: object) -> ResolvedRequest:
    return request.model_copy(update={"output_format": form, **changes})


def test_a_png_carries_the_parameters_as_a1111_writes_them(
    pixels: Pixels, request_made: ResolvedRequest
) -> None:
    assert _read(encode(pixels, request_made, seed=9)).info["parameters"] == (
        "a red circle on a blue background\n"
        "Negative prompt: yellow\n"
        "Steps: 25, Sampler: DDIM, CFG scale: 7.5, Seed: 9, Size: 96x64, Model: shapes, "
        f"Version: latentry {__version__}"
    )


def test_fields_that_are_not_at_their_defaults_are_in_the_infotext_too(
    pixels: Pixels, request_made: ResolvedRequest
) -> None:
    unusual = {"sampler": Sampler.DPMPP_2M, "spacing": Spacing.KARRAS, "guidance_rescale": 0.7}
    unusual |= {"clip_skip": 1}  # AUTOMATIC1111 counts the last layer as one
    made = request_made.model_copy(update=unusual)
    text = _read(encode(pixels, made, seed=9)).info["parameters"]
    assert "Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, CFG rescale: 0.7" in text
    assert "Seed: 9, Clip skip: 2, Size: 96x64" in text


def test_every_field_that_changes_pixels_is_in_the_file(
    pixels: Pixels, request_made: ResolvedRequest
) -> None:
    unusual = {"guidance_stop": 0.61234567, "cache_interval": 3, "prompt_syntax": "plain"}
    unusual |= {"original_size": (512, 768), "crops_coords_top_left": (0, 64)}
    unusual |= {"target_size": (1024, 1536)}
    made = ResolvedRequest.model_validate(request_made.model_dump() | unusual)
    text = _read(encode(pixels, made, seed=9)).info["parameters"]
    assert "CFG scale: 7.5, CFG stop: 0.61234567, Cache interval: 3, Seed: 9" in text
    assert "Prompt syntax: plain, Size: 96x64, Original size: 768x512" in text
    assert "Crop left top: 64x0, Target size: 1536x1024, Model: shapes" in text


def test_without_a_negative_prompt_there_is_no_such_line(
    pixels: Pixels, request_made: ResolvedRequest
) -> None:
    plain = request_made.model_copy(update={"negative_prompt": "", "sampler": Sampler.EULER_A})
    text = _read(encode(pixels, plain, seed=9)).info["parameters"]
    assert "Negative" not in text
    assert "Sampler: Euler a," in text


def test_a_png_carries_the_request_that_makes_this_image_alone(
    pixels: Pixels, request_made: ResolvedRequest
) -> None:
    text = _read(encode(pixels, request_made, seed=9)).info["latentry"]
    again = GenerationRequest.model_validate_json(text)
    assert (again.prompt, again.seed, again.n) == (request_made.prompt, 9, 1)
    assert "private-4711" not in text, "labels are the caller's own"


@pytest.mark.parametrize("form", OutputFormat)
def test_a_file_is_the_same_with_and_without_previews(
    pixels: Pixels, request_made: ResolvedRequest, form: OutputFormat
) -> None:
    unseen, shown = (_in(form, request_made, preview_interval=k) for k in (0, 3))
    assert encode(pixels, shown, seed=9) == encode(pixels, unseen, seed=9)


@pytest.mark.parametrize("prompt", WIDE_PROMPTS)
@pytest.mark.parametrize("form", OutputFormat)
def test_prompts_of_every_script_come_back(
    pixels: Pixels, request_made: ResolvedRequest, form: OutputFormat, prompt: str
) -> None:
    picture = _read(encode(pixels, _in(form, request_made, prompt=prompt), seed=9))
    text = picture.info["parameters"] if form is OutputFormat.PNG else _user_comment(picture)
    assert text.startswith(f"{prompt}\nNegative prompt: yellow\nSteps: 25, ")


@pytest.mark.parametrize("form", OutputFormat)
def test_the_longest_prompts_fit(
    pixels: Pixels, request_made: ResolvedRequest, form: OutputFormat
) -> None:
    longest = "🐇" * MAX_PROMPT_CHARS  # four bytes each; a JPEG has 65,533 for all of its EXIF
    styles = tuple("🐇" * (MAX_STYLE_NAME_CHARS - 2) + f"{k:02}" for k in range(MAX_STYLES))
    template = Template(prompt=longest, styles=styles)
    request = _in(form, request_made, prompt=longest, negative_prompt=longest, template=template)
    picture = _read(encode(pixels, request, seed=9))
    assert picture.size == (96, 64)
    text = picture.info["parameters"] if form is OutputFormat.PNG else _user_comment(picture)
    assert text.startswith("🐇🐇")
    assert text.endswith(f'15", Size: 96x64, Model: shapes, Version: latentry {__version__}')


def test_styles_are_in_the_infotext_as_one_value(
    pixels: Pixels, request_made: ResolvedRequest
) -> None:
    def text(*styles: str) -> str:
        made = request_made.model_copy(update={"template": Template(prompt="a", styles=styles)})
        return _read(encode(pixels, made, seed=9)).info["parameters"]

    assert ", Styles: night, Size: 96x64" in text("night")
    assert ', Styles: "night, a: b", Size: 96x64' in text("night", "a: b")
    assert "Styles" not in text()


def test_quality_is_the_encoder_s_and_90_if_omitted(
    pixels: Pixels, request_made: ResolvedRequest
) -> None:
    for form in (OutputFormat.JPEG, OutputFormat.WEBP):
        files = {
            quality: encode(pixels, _in(form, request_made, output_quality=quality), seed=9)
            for quality in (None, 5, 90, 100)
        }
        assert files[None] == files[90]
        assert len(files[5]) < len(files[90]) < len(files[100])
        assert _user_comment(_read(files[5])) == _user_comment(_read(files[100]))
        assert _read(files[100]).format == form.upper()


def test_a_lossless_webp_has_exactly_the_pixels_that_their_hash_names(
    pixels: Pixels, request_made: ResolvedRequest
) -> None:
    """At quality 100 it has not: lossy WebP halves the chroma and rounds."""
    lossless, finest = (
        _read(encode(pixels, _in(OutputFormat.WEBP, request_made, **fields), seed=9))
        for fields in ({"output_lossless": True}, {"output_quality": 100})
    )
    assert pixel_sha256(np.asarray(lossless)) == pixel_sha256(pixels)
    assert pixel_sha256(np.asarray(finest.convert("RGB"))) != pixel_sha256(pixels)
    assert _user_comment(lossless).startswith("a red circle on a blue background\nNegative")


@pytest.mark.parametrize("form", OutputFormat)
def test_the_same_input_gives_the_same_bytes(
    pixels: Pixels, request_made: ResolvedRequest, form: OutputFormat
) -> None:
    request = _in(form, request_made)
    assert encode(pixels, request, seed=9) == encode(pixels.copy(), request, seed=9)
    assert encode(pixels, request, seed=9) != encode(pixels, request, seed=10)


@pytest.mark.parametrize("form", OutputFormat)
def test_a_strict_picture_names_its_profile_and_a_fast_one_has_none(
    pixels: Pixels, request_made: ResolvedRequest, form: OutputFormat
) -> None:
    request = _in(form, request_made)
    texts = []
    for profile in ("7059ca438c7b08e5", None):
        picture = _read(encode(pixels, request, 9, profile))
        is_png = form is OutputFormat.PNG
        texts.append(picture.info["parameters"] if is_png else _user_comment(picture))
    assert ", Model: shapes, Profile: 7059ca438c7b08e5, Version: " in texts[0]
    assert "Profile" not in texts[1]


@pytest.mark.parametrize(("form", "mean"), [("png", 0.0), ("jpeg", 1.5), ("webp", 4.0)])
def test_the_file_shows_the_pixels(
    pixels: Pixels, request_made: ResolvedRequest, form: str, mean: float
) -> None:
    request = _in(OutputFormat(form), request_made)
    picture = _read(encode(pixels, request, seed=9))
    shown = np.asarray(picture.convert("RGB"), dtype=int)
    assert picture.format == form.upper()
    assert np.abs(shown - pixels).mean() <= mean


def published(ledger: Ledger, storage: Storage, request: ResolvedRequest, pixels: Pixels) -> Lease:
    """The third picture of a job goes through the publisher, on its threads."""
    ref = JobRef("default", "gen_1")
    ledger.run(commands.create(NewJob(ref, request, 60_000, 60_000), max_queued=9))
    [lease] = ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=60))
    publisher = Publisher(ledger, storage, Metrics(), Inbox(), budget_bytes=1)
    publisher.submit(Picture(ClaimedJob(lease), 2, pixels, "p"))
    publisher.stop()
    return lease


@pytest.mark.parametrize("form", OutputFormat)
def test_a_published_picture_is_stored_under_its_key_and_listed(
    ledger: Ledger,
    pixels: Pixels,
    request_made: ResolvedRequest,
    form: OutputFormat,
    tmp_path: Path,
) -> None:
    storage = open_storage(Settings(data_dir=tmp_path))
    request = _in(form, request_made)
    lease = published(ledger, storage, request, pixels)
    record = ledger.run(commands.get(lease.ref))
    assert record is not None
    [stored] = record.images
    assert stored.key == f"default/gen_1/{lease.fence}-2{form.suffix}"
    assert storage.get(stored.key) == encode(pixels, request, 9, "p")
    assert (stored.width, stored.height, stored.index, stored.seed) == (96, 64, 2, 9)
    assert stored.profile == "p"
    assert stored.content_type == form.content_type == content_type_of(stored.key)
    assert stored.pixel_sha256 == hashlib.sha256(pixels.tobytes()).hexdigest()


def test_a_full_or_lost_disk_is_our_fault_for_now(
    ledger: Ledger,
    pixels: Pixels,
    request_made: ResolvedRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = open_storage(Settings(data_dir=tmp_path))
    os.rename(tmp_path / "images", tmp_path / "moved")
    (tmp_path / "images").write_bytes(b"a file where the directory was")
    monkeypatch.setattr("worker.publishing.publisher.PATIENCE_S", 0)
    with structlog.testing.capture_logs() as logs:
        lease = published(ledger, storage, request_made, pixels)
    assert [line["event"] for line in logs] == ["storage.unavailable"], "retryable, and no crash"
    record = ledger.run(commands.get(lease.ref))
    assert record is not None
    assert record.images == ()
