"""Embeddings through the whole service: files in a folder, prompts that name them, the pixels.

Their vectors are those of words that the bundled model knows, so the pictures must be the same.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTokenizer
from transformers.models.clip.modeling_clip import CLIPTextModel

from latentry.client import ApiError, Client
from latentry.contracts import Job
from tests.e2e.conftest import SHAPES, settings_for
from tests.e2e.processes import Stack, until
from tests.valkey import Valkey

PROMPT = "a red circle on a blue background"
FIELDS: dict[str, Any] = {"seed": 3, "determinism": "strict", "num_inference_steps": 3}


def vectors(words: str) -> torch.Tensor:
    """[tokens, width]: what they mean to the bundled model's text encoder."""
    ids = CLIPTokenizer.from_pretrained(SHAPES / "tokenizer")(words, add_special_tokens=False)
    table = CLIPTextModel.from_pretrained(SHAPES / "text_encoder").get_input_embeddings().weight
    found: torch.Tensor = table.detach()[ids.input_ids]
    return found


@pytest.fixture(scope="module")
def closet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("closet")
    save_file({"emb_params": vectors("red circle")}, folder / "Ruby-Thing v2.safetensors")
    save_file({"<backdrop>": vectors("blue background")}, folder / "Backdrop.safetensors")
    large = {"clip_l": torch.ones(2, 768), "clip_g": torch.ones(2, 1280)}
    save_file(large, folder / "large.safetensors")
    torch.save({"string_to_param": {"*": torch.ones(1, 768)}}, folder / "Old One.pt")
    return folder


@pytest.fixture(scope="module")
def stack(
    valkey: Valkey, tmp_path_factory: pytest.TempPathFactory, closet: Path
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("e2e")
    settings = settings_for(valkey, folder, "embeddings", threads="1", adapters=str(closet))
    with Stack(settings) as running:
        running.start_worker()
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url) as client:
        yield client


def pixels(client: Client, job: Job) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(client.download(one)))) for one in job.images]


def test_a_name_draws_what_its_vectors_mean(client: Client) -> None:
    words = client.generate(PROMPT, **FIELDS)
    for prompt in (
        "a ruby-thing V2 on a BACKDROP",
        "a <Ruby-Thing v2> on a <backdrop>",
        "a embedding:Ruby-Thing v2.pt on a embedding:backdrop",
    ):
        job = client.generate(prompt, **FIELDS)
        assert (pixels(client, job)[0] == pixels(client, words)[0]).all(), prompt
        assert [one.id for one in job.request.embeddings] == ["Backdrop", "Ruby-Thing v2"]
        assert job.warnings == []
    weighted = client.generate("a ruby-thing v2 on (a backdrop:1.3)", **FIELDS)
    same = client.generate("a red circle on (a blue background:1.3)", **FIELDS)
    assert (pixels(client, weighted)[0] == pixels(client, same)[0]).all()
    assert words.images[0].pixel_sha256 != weighted.images[0].pixel_sha256
    assert words.images[0].profile != job.images[0].profile, "it names the files"


def test_a_recipe_and_a_file_say_which_it_was(client: Client) -> None:
    job = client.generate("a frog", negative_prompt="(ruby-thing v2:1.2)", **FIELDS)
    same = client.generate("a frog", negative_prompt="(red circle:1.2)", **FIELDS)
    assert (pixels(client, job)[0] == pixels(client, same)[0]).all()
    [used] = job.request.embeddings
    text = Image.open(io.BytesIO(client.download(job.images[0]))).info["parameters"]
    assert f'TI hashes: "Ruby-Thing v2: {used.sha256[:12]}"' in text
    recipe = job.request.model_dump(mode="json", exclude_none=True)
    again = client.generate(**recipe)
    assert (pixels(client, again)[0] == pixels(client, job)[0]).all()
    assert again.request.embeddings == job.request.embeddings


def test_frames_lie_between_pictures_that_name_others(client: Client) -> None:
    ends = [{"prompt": prompt, **FIELDS} for prompt in ("a ruby-thing v2", "a <backdrop>")]
    known = [{"prompt": prompt, **FIELDS} for prompt in ("a red circle", "a blue background")]
    frames, same = (
        pixels(client, client.interpolate(first, last, 3)) for first, last in (ends, known)
    )
    assert all((one == other).all() for one, other in zip(frames, same, strict=True))


def test_the_catalogue_says_what_there_is(client: Client) -> None:
    backdrop, old, ruby, large = client.adapters().data
    assert [one.kind for one in (backdrop, old, ruby, large)] == ["embedding"] * 4
    assert (ruby.id, ruby.family, ruby.models) == ("Ruby-Thing v2", "SD 1.x", ("shapes",))
    assert (ruby.vectors, ruby.trigger_words) == (len(vectors("red circle")), ("Ruby-Thing v2",))
    assert backdrop.title == "<backdrop>"
    assert (large.family, large.models, large.vectors) == ("SDXL", (), 2)
    assert (old.id, old.models) == ("Old One", ())
    assert "It is a pickle" in (old.reason or "")


def test_what_does_not_fit_is_refused_at_once_and_what_is_unknown_is_a_warning(
    client: Client,
) -> None:
    for prompt, why in (
        ("a <large>", "“large” is for SDXL models, and shapes is of SD 1.x."),
        ("a <old one>", "“Old One” cannot be used. It is a pickle"),
    ):
        with pytest.raises(ApiError) as refused:
            client.submit(prompt)
        assert (refused.value.status, refused.value.code) == (422, "adapter_mismatch")
        assert refused.value.message.startswith(why)
    job = client.generate("a <cat-toy>, large, old one", **FIELDS)
    [warning] = job.warnings
    assert warning.code == "unknown_embedding"
    assert "<cat-toy>" in warning.message
    assert job.request.embeddings == ()


def test_files_come_change_and_go_without_a_restart(
    client: Client, stack: Stack, closet: Path
) -> None:
    def hashes() -> dict[str, str]:
        listed = httpx.get(f"{stack.url}/v1/adapters").json()["data"]
        return {one["id"]: one["sha256"] for one in listed}

    late = closet / "later" / "late.safetensors"
    late.parent.mkdir()
    save_file({"emb_params": vectors("red")}, late)
    until(lambda: "late" in hashes(), what="finding a new file")
    job = client.generate("a <late> circle", **FIELDS)
    same = client.generate("a red circle", **FIELDS)
    assert (pixels(client, job)[0] == pixels(client, same)[0]).all()
    before = hashes()["late"]
    save_file({"emb_params": vectors("blue")}, late.parent / "new")
    (late.parent / "new").replace(late)
    until(lambda: hashes()["late"] != before, what="seeing that it has changed")
    with pytest.raises(ApiError) as changed:
        client.submit(**job.request.model_dump(mode="json", exclude_none=True))
    assert (changed.value.status, changed.value.code) == (422, "adapter_changed")
    blue = client.generate("a <late> circle", **FIELDS)
    same = client.generate("a blue circle", **FIELDS)
    assert (pixels(client, blue)[0] == pixels(client, same)[0]).all()
    late.unlink()
    until(lambda: "late" not in hashes(), what="missing a removed file")
