"""The last step of a file: signed, or left as it is and counted."""

import io
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from latentry.contracts import (
    C2paState,
    InputFile,
    JobStatus,
    OutputFormat,
    Preprocess,
    Provenance,
    ResolvedControl,
    ResolvedRequest,
    ResolvedUpscale,
)
from latentry.errors import ConfigurationError
from latentry.ledger import JobRecord, JobRef, Ledger, NewJob, commands, files
from latentry.ledger.files import FileRef, NewFile
from latentry.provenance.confined.process import Said, examine
from latentry.provenance.confined.watermark import detect
from latentry.provenance.signing.chain import Chain, KnownSigners
from latentry.provenance.signing.development import ensure_chain
from latentry.settings import Settings
from latentry.storage import Storage, file_key, manifest_key, open_storage
from tests import marks
from tests.marks import Authority
from worker.claims.claimed_job import ClaimedJob
from worker.claims.inbox import Inbox
from worker.claims.inputs import Inputs
from worker.metrics import Metrics
from worker.publishing.encoding import encode
from worker.publishing.picture import Picture
from worker.publishing.publisher import Publisher
from worker.publishing.signing import Signing, open_signing
from worker.publishing.watermarking import payload_of

Pixels = NDArray[np.uint8]


@pytest.fixture
def own(tmp_path: Path) -> Authority:
    return Authority.new(tmp_path / "own")


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(Settings(data_dir=tmp_path))


class House:
    """A publisher and what it stored."""

    def __init__(self, ledger: Ledger, storage: Storage, signing: Signing, metrics: Metrics):
        self.ledger, self.storage, self.metrics = ledger, storage, metrics
        self.publisher = Publisher(
            ledger, storage, metrics, Inbox(), budget_bytes=1, signing=signing
        )

    def brought(self, file: InputFile) -> None:
        """It is entered and stored, as the gateway does."""
        new = NewFile(FileRef("default", file.file), 1, "", file.width, file.height)
        self.ledger.run(files.keep(new, ttl_ms=60_000, max_files=9, max_bytes=9))
        self.storage.put(file_key("default", file.file), marks.unsigned())

    def published(self, request: Any, pixels: Pixels, **more: Any) -> JobRecord:
        ref = JobRef("default", "gen_1")
        self.ledger.run(commands.create(NewJob(ref, request, 60_000, 60_000), max_queued=9))
        queue = [request.model]
        [lease] = self.ledger.run(commands.claim("w1", queue, room=1, lease_s=60))
        job = ClaimedJob(lease)
        Inputs(self.storage).prepare(job)
        self.publisher.submit(Picture(job, 0, pixels, **more))
        self.publisher.stop()
        record = self.ledger.run(commands.get(ref))
        assert record is not None
        return record

    def counted(self, result: str) -> float:
        name = "latentry_files_marked_total"
        return self.metrics.registry.get_sample_value(name, {"result": result}) or 0.0


def house(ledger: Ledger, storage: Storage, own: Authority | None, **more: Any) -> House:
    metrics = Metrics()
    return House(ledger, storage, Signing(own and own.signer, metrics, **more), metrics)


def said(storage: Storage, record: JobRecord, own: Authority) -> Said:
    [stored] = record.images
    file = storage.get(stored.key)
    return examine(file, stored.content_type, KnownSigners(trust=own.root)).said


def one(request: ResolvedRequest, **fields: Any) -> ResolvedRequest:
    return request.model_copy(update={"n": 1, "metadata": {}, **fields})


@pytest.mark.parametrize("form", OutputFormat)
def test_a_picture_is_signed_last_and_its_bytes_before_that_are_named(
    ledger: Ledger,
    storage: Storage,
    own: Authority,
    pixels: Pixels,
    request_made: ResolvedRequest,
    form: OutputFormat,
) -> None:
    request, at = one(request_made, output_format=form), house(ledger, storage, own)
    record = at.published(request, pixels, profile="p", fingerprints=("f" * 64,))
    [stored] = record.images
    found = said(storage, record, own)
    assert (found.c2pa.state, stored.signed) == (C2paState.TRUSTED, True)
    bare = encode(pixels, request, 7, "p")
    assert stored.unsigned_sha256 == sha256(bare).hexdigest()
    [manifest] = found.c2pa.history
    assert (manifest.unsigned_sha256, manifest.job) == (stored.unsigned_sha256, "gen_1")
    [action] = manifest.actions
    assert (action.action, action.software) == ("c2pa.created", "shapes")
    assert found.infotext is not None
    assert found.infotext.startswith("a red circle")
    assert at.counted("signed") == 1
    shown = Image.open(io.BytesIO(storage.get(stored.key))).convert("RGB")
    assert shown.tobytes() == Image.open(io.BytesIO(bare)).convert("RGB").tobytes()


@pytest.mark.parametrize("form", OutputFormat)
def test_a_minimal_file_names_no_prompt_seed_or_model(
    ledger: Ledger,
    storage: Storage,
    own: Authority,
    pixels: Pixels,
    request_made: ResolvedRequest,
    form: OutputFormat,
) -> None:
    request = one(request_made, output_format=form, provenance=Provenance.MINIMAL, seed=123454321)
    record = house(ledger, storage, own).published(request, pixels, fingerprints=("f" * 64,))
    found = said(storage, record, own)
    assert (found.c2pa.state, found.infotext) == (C2paState.TRUSTED, None)
    assert found.xmp is not None
    assert found.xmp.digital_source_type.endswith("trainedAlgorithmicMedia")
    file = storage.get(record.images[0].key)
    for word in (b"red circle", b"123454321", b"shapes", b"f" * 64):
        assert word not in file


@pytest.mark.parametrize("form", OutputFormat)
def test_none_is_none(
    ledger: Ledger,
    storage: Storage,
    own: Authority,
    pixels: Pixels,
    request_made: ResolvedRequest,
    form: OutputFormat,
) -> None:
    request = one(request_made, output_format=form, provenance=Provenance.NONE)
    record = house(ledger, storage, own).published(request, pixels)
    found = said(storage, record, own)
    assert found == Said(sha256=found.sha256)
    assert b"latentry" not in storage.get(record.images[0].key)
    assert not record.images[0].signed


def test_without_a_certificate_pictures_stay_unsigned_and_are_counted(
    ledger: Ledger, storage: Storage, own: Authority, pixels: Pixels, request_made: ResolvedRequest
) -> None:
    at = house(ledger, storage, None)
    record = at.published(one(request_made), pixels)
    assert said(storage, record, own).c2pa.state is C2paState.NONE
    assert said(storage, record, own).xmp is not None
    assert at.counted("no_certificate") == 1


@pytest.mark.parametrize("allows", [False, True])
def test_an_expired_certificate_fails_the_job_or_leaves_the_picture_unsigned_with_a_warning(
    ledger: Ledger,
    storage: Storage,
    own: Authority,
    pixels: Pixels,
    request_made: ResolvedRequest,
    monkeypatch: pytest.MonkeyPatch,
    allows: bool,
) -> None:
    late = own.signer.chain.ends + timedelta(seconds=1)
    monkeypatch.setattr("latentry.provenance.signing.signer.now", lambda: late)
    at = house(ledger, storage, own, allows_unsigned=allows)
    record = at.published(one(request_made), pixels)
    assert at.counted("signing_failed") == 1
    if allows:
        assert record.state is JobStatus.SUCCEEDED
        assert [warning.code for warning in record.warnings] == ["unsigned"]
        assert not record.images[0].signed
    else:
        assert record.state is JobStatus.FAILED
        assert record.error is not None
        assert record.error.code == "signing_failed"
        assert "expired" in record.error.message
        assert record.images == ()


def from_a_signed_picture(
    at: House, folder: Path, provenance: Provenance = Provenance.FULL
) -> JobRecord:
    """What is made of somebody else's picture, which names its prompt."""
    told = marks.definition()
    told["assertions"][1]["data"]["request"] = {"prompt": marks.PROMPT}
    signed = Authority.new(folder).signer.signed(marks.unsigned(), "image/png", told)
    kept = examine(signed, "image/png", KnownSigners(), keep=True)
    brought = Image.open(io.BytesIO(marks.unsigned()))
    file = InputFile(
        file="file_1", pixel_sha256="1" * 64, width=brought.width, height=brought.height,
        c2pa=kept.said.c2pa.state,
    )  # fmt: skip
    at.brought(file)
    at.storage.put(manifest_key("default", "file_1"), kept.kept)
    request = ResolvedUpscale(image=file, scale=2, upscaler="lanczos", provenance=provenance)
    return at.published(request, np.zeros((brought.height * 2, brought.width * 2, 3), np.uint8))


def test_a_picture_that_went_in_is_an_ingredient_with_its_own_manifest(
    ledger: Ledger, storage: Storage, own: Authority, tmp_path: Path
) -> None:
    record = from_a_signed_picture(house(ledger, storage, own), tmp_path / "other")
    found = said(storage, record, own)
    assert found.c2pa.state is C2paState.TRUSTED
    made, before = found.c2pa.history
    assert [one.action for one in made.actions] == ["c2pa.opened", "c2pa.resized"]
    [ingredient] = made.ingredients
    assert (ingredient.title, ingredient.relationship) == ("image", "parentOf")
    assert (ingredient.state, ingredient.manifest) == (C2paState.VALID, before.label)
    assert found.xmp is not None
    assert found.xmp.digital_source_type.endswith("algorithmicallyEnhanced")
    assert marks.PROMPT.encode() in storage.get(record.images[0].key)


def test_a_preprocessed_picture_was_filtered_and_has_no_mark_in_its_pixels(
    ledger: Ledger, storage: Storage, own: Authority
) -> None:
    """What a ControlNet will read is what the preprocessor made."""
    at = house(ledger, storage, own)
    at.publisher._watermarks = True
    file = InputFile(file="file_1", pixel_sha256="1" * 64, width=512, height=512)
    at.brought(file)
    request = ResolvedControl(image=file, preprocess=Preprocess.CANNY, width=512, height=512)
    grey = np.full((512, 512, 3), 128, np.uint8)
    record = at.published(request, grey)
    shown = Image.open(io.BytesIO(storage.get(record.images[0].key)))
    assert np.array_equal(np.asarray(shown), grey)
    assert shown.info["parameters"].startswith(
        f"Preprocessor: canny, Thresholds: 100-200, Init image: {file.pixel_sha256}, Size: 512x512,"
    )
    [made] = said(storage, record, own).c2pa.history
    assert [one.action for one in made.actions] == ["c2pa.opened", "c2pa.filtered"]
    assert [one.relationship for one in made.ingredients] == ["parentOf"]


def test_a_minimal_file_leaves_out_what_the_picture_that_went_in_says(
    ledger: Ledger, storage: Storage, own: Authority, tmp_path: Path
) -> None:
    at = house(ledger, storage, own)
    record = from_a_signed_picture(at, tmp_path / "other", Provenance.MINIMAL)
    [made] = said(storage, record, own).c2pa.history
    assert [one.state for one in made.ingredients] == [C2paState.NONE]
    assert marks.PROMPT.encode() not in storage.get(record.images[0].key)


def test_one_without_a_manifest_is_named_by_its_pixels(
    ledger: Ledger, storage: Storage, own: Authority, pixels: Pixels
) -> None:
    file = InputFile(file="file_1", pixel_sha256="1" * 64, width=96, height=64)
    at = house(ledger, storage, own)
    at.brought(file)
    request = ResolvedUpscale(image=file, scale=2, upscaler="lanczos")
    record = at.published(request, pixels)
    [made] = said(storage, record, own).c2pa.history
    assert [one.state for one in made.ingredients] == [C2paState.NONE]


def test_a_worker_opens_the_chain_that_serve_made(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = Metrics()
    left = "latentry_certificate_seconds_left"
    open_signing(settings, metrics)
    assert metrics.registry.get_sample_value(left) is None
    ensure_chain(settings.c2pa_folder)
    open_signing(settings, metrics)
    assert (metrics.registry.get_sample_value(left) or 0) > 365 * 86_400
    chain = settings.c2pa_chain
    assert chain is not None
    late = Chain.read(chain).ends + timedelta(days=1)
    monkeypatch.setattr("worker.publishing.signing.now", lambda: late)
    with pytest.raises(ConfigurationError, match="expired on"):
        open_signing(settings, Metrics())
    open_signing(settings.model_copy(update={"c2pa_unsigned": "allow"}), Metrics())


def test_a_watermark_is_in_the_pixels_that_are_hashed_and_names_itself_in_the_profile(
    ledger: Ledger, storage: Storage, own: Authority, request_made: ResolvedRequest
) -> None:
    at = house(ledger, storage, own)
    at.publisher._watermarks = True
    grey = np.full((512, 512, 3), 128, np.uint8)
    request = one(request_made, width=512, height=512)
    record = at.published(request, grey, profile="p")
    [stored] = record.images
    shown = Image.open(io.BytesIO(storage.get(stored.key))).convert("RGB")
    assert detect(np.asarray(shown.convert("L"))) == payload_of(request)
    assert stored.pixel_sha256 == sha256(shown.tobytes()).hexdigest()
    assert stored.profile == "p+watermark"
    assert "Profile: p+watermark" in (said(storage, record, own).infotext or "")


def test_one_that_wants_to_say_nothing_has_none(
    ledger: Ledger, storage: Storage, own: Authority, request_made: ResolvedRequest
) -> None:
    at = house(ledger, storage, own)
    at.publisher._watermarks = True
    grey = np.full((512, 512, 3), 128, np.uint8)
    record = at.published(one(request_made, provenance=Provenance.NONE), grey)
    shown = Image.open(io.BytesIO(storage.get(record.images[0].key))).convert("RGB")
    assert np.array_equal(np.asarray(shown), grey)


def test_equal_requests_have_equal_marks(request_made: ResolvedRequest) -> None:
    assert payload_of(one(request_made)) == payload_of(one(request_made, output_quality=5))
    assert payload_of(one(request_made)) != payload_of(one(request_made, seed=8))
