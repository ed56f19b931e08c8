"""LoRAs through the whole service: files in a folder, a request that names them, its pixels."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from PIL import Image
from transformers.models.clip.modeling_clip import CLIPTextModel

from latentry.client import ApiError, Client
from latentry.contracts import Job
from tests.e2e.conftest import SHAPES, settings_for
from tests.e2e.processes import Stack, until
from tests.valkey import Valkey
from tests.worker.engine.adapters import written
from tests.worker.engine.adapters.written import Style

STRENGTH, TEXT_STRENGTH = 0.8, 0.5


@pytest.fixture(scope="module")
def bundled() -> SimpleNamespace:
    return SimpleNamespace(
        unet=UNet2DConditionModel.from_pretrained(SHAPES / "unet", low_cpu_mem_usage=False),
        text_encoder=CLIPTextModel.from_pretrained(SHAPES / "text_encoder"),
    )


@pytest.fixture(scope="module")
def closet(bundled: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of adapters: one that fits, one for SDXL."""
    folder = tmp_path_factory.mktemp("closet")
    style = Style(networks=("unet", "text_encoder"), size=0.15, alphas=(2.0, 4.0))
    ink = written.terms(bundled, style, seed=1)
    said = {"ss_output_name": "Ink", "modelspec.trigger_phrase": "inky, wet"}
    written.save(written.kohya(ink), folder / "Ink v1.safetensors", **said)
    name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    large = {f"{name}.lora_down.weight": torch.ones(4, 2048)}
    large[f"{name}.lora_up.weight"] = torch.ones(640, 4)
    written.save(large, folder / "large.safetensors")
    return folder


@pytest.fixture(scope="module")
def stack(
    valkey: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
    bundled: SimpleNamespace,
    closet: Path,
) -> Iterator[Stack]:
    """The bundled model, and beside it the same with the LoRA merged into its weights."""
    merged = tmp_path_factory.mktemp("merged") / "model"
    shutil.copytree(SHAPES, merged, ignore=shutil.ignore_patterns("styles.json"))
    style = Style(networks=("unet", "text_encoder"), size=0.15, alphas=(2.0, 4.0))
    deltas = written.deltas(written.terms(bundled, style, seed=1))
    with written.merged(bundled, (deltas, STRENGTH, TEXT_STRENGTH)):
        for part in ("unet", "text_encoder"):
            shutil.rmtree(merged / part)
            getattr(bundled, part).save_pretrained(merged / part)
    settings = settings_for(
        valkey, tmp_path_factory.mktemp("e2e"), "loras", threads="1",
        models=f"shapes={SHAPES},merged={merged}", adapters=str(closet),
    )  # fmt: skip
    with Stack(settings) as running:
        running.start_worker()
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url) as client:
        yield client


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
    ink, large = client.adapters().data
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
    client: Client, stack: Stack, closet: Path, bundled: SimpleNamespace
) -> None:
    def ids() -> set[str]:
        return {one["id"] for one in httpx.get(f"{stack.url}/v1/adapters").json()["data"]}

    late = closet / "later" / "late.safetensors"
    late.parent.mkdir()
    written.save(written.kohya(written.terms(bundled, Style(), seed=2)), late)
    until(lambda: "late" in ids(), what="finding a new file")
    job = client.generate("a frog <lora:late:0.2>", model="shapes", num_inference_steps=2, seed=1)
    assert job.images
    late.unlink()
    until(lambda: "late" not in ids(), what="missing a removed file")
