"""LoRAs through the whole service: files in a folder, a request that names them, its pixels."""

import io
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from PIL import Image

from latentry.client import ApiError, Client
from latentry.contracts import Job
from tests.e2e.adapted import STRENGTH, TEXT_STRENGTH
from tests.e2e.processes import Stack, until
from tests.worker.engine.adapters import written
from tests.worker.engine.adapters.written import Style


@pytest.fixture
def stack(adapted: Stack) -> Stack:
    return adapted


def pixels(client: Client, job: Job) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(client.download(job.images[0])))).astype(int)


def test_a_lora_draws_what_the_merged_model_draws(client: Client) -> None:
    fields = {"seed": 3, "determinism": "strict", "num_inference_steps": 3}
    prompt = "a red circle on a blue background"
    lora = {"id": "ink V1", "weight": STRENGTH, "text_encoder_weight": TEXT_STRENGTH}
    job = client.generate(prompt, model="shapes", loras=[lora], **fields)
    merged = client.generate(prompt, model="merged", **fields)
    plain = client.generate(prompt, model="shapes", **fields)
    assert np.abs(pixels(client, job) - pixels(client, merged)).max() <= 1
    assert np.abs(pixels(client, job) - pixels(client, plain)).max() > 20

    [used] = job.request.loras
    assert (used.id, used.weight, used.text_encoder_weight) == ("Ink v1", 0.8, 0.5)
    tagged = client.generate(f"{prompt}<lora:Ink v1:0.5:0.8>", model="shapes", **fields)
    assert tagged.request.loras == job.request.loras
    assert tagged.request.prompt == prompt
    assert (pixels(client, tagged) == pixels(client, job)).all()
    recipe = job.request.model_dump(mode="json", exclude_none=True)
    assert (pixels(client, client.generate(**recipe)) == pixels(client, job)).all()
    absent = client.generate(
        prompt, model="shapes", loras=[{"id": "Ink v1", "weight": 0.0}], **fields
    )
    assert (pixels(client, absent) == pixels(client, plain)).all()


def test_the_catalogue_says_what_there_is(client: Client) -> None:
    ink, large = [one for one in client.adapters() if one.kind == "lora"]
    assert (ink.id, ink.family, ink.models) == ("Ink v1", "SD 1.x", ("shapes", "merged"))
    assert (ink.title, ink.trigger_words, ink.rank) == ("Ink", ("inky", "wet"), 4)
    assert ink.networks == ("unet", "text_encoder")
    assert (large.id, large.family, large.models) == ("large", "SDXL", ())


def test_what_is_not_there_or_does_not_fit_is_refused_at_once(client: Client) -> None:
    with pytest.raises(ApiError) as unknown:
        client.submit("a frog", model="shapes", loras=[{"id": "Ink v2"}])
    assert (unknown.value.status, unknown.value.code) == (422, "unknown_adapter")
    assert "“Ink v1”" in unknown.value.message
    with pytest.raises(ApiError) as misfit:
        client.submit("a frog <lora:large>", model="shapes")
    assert (misfit.value.status, misfit.value.code) == (422, "adapter_mismatch")
    assert misfit.value.message == "“large” is for SDXL models, and shapes is of SD 1.x."
    with pytest.raises(ApiError) as changed:
        client.submit("a frog", model="shapes", loras=[{"id": "Ink v1", "sha256": "0" * 64}])
    assert (changed.value.status, changed.value.code) == (422, "adapter_changed")


def test_files_come_and_go_without_a_restart(
    client: Client, stack: Stack, loras: Path, bundled: SimpleNamespace
) -> None:
    def ids() -> set[str]:
        return {one["id"] for one in httpx.get(f"{stack.url}/v1/adapters").json()["data"]}

    late = loras / "later" / "late.safetensors"
    late.parent.mkdir()
    written.save(written.kohya(written.terms(bundled, Style(), seed=2)), late)
    until(lambda: "late" in ids(), what="finding a new file")
    job = client.generate("a frog <lora:late:0.2>", model="shapes", num_inference_steps=2, seed=1)
    assert job.images
    late.unlink()
    until(lambda: "late" not in ids(), what="missing a removed file")
