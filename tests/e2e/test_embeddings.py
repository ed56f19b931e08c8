"""Embeddings through the whole service: files in a folder, prompts that name them, the pixels.

Their vectors are those of words that the bundled model knows, so the pictures must be the same.
"""

import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from latentry.client import ApiError, Client
from latentry.contracts import Job
from tests.e2e.adapted import vectors
from tests.e2e.processes import Stack, until

PROMPT = "a red circle on a blue background"
FIELDS: dict[str, Any] = {"seed": 3, "determinism": "strict", "num_inference_steps": 3}


@pytest.fixture
def stack(adapted: Stack) -> Stack:
    return adapted


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
    found = [one for one in client.adapters() if one.kind == "embedding"]
    backdrop, old, ruby, huge = found
    assert (ruby.id, ruby.family, ruby.models) == ("Ruby-Thing v2", "SD 1.x", ("shapes", "merged"))
    assert (ruby.vectors, ruby.trigger_words) == (len(vectors("red circle")), ("Ruby-Thing v2",))
    assert backdrop.title == "<backdrop>"
    assert (huge.family, huge.models, huge.vectors) == ("SDXL", (), 2)
    assert (old.id, old.models) == ("Old One", ())
    assert "It is a pickle" in (old.reason or "")


def test_what_does_not_fit_is_refused_at_once_and_what_is_unknown_is_a_warning(
    client: Client,
) -> None:
    for prompt, why in (
        ("a <huge>", "“huge” is for SDXL models, and shapes is of SD 1.x."),
        ("a <old one>", "“Old One” cannot be used. It is a pickle"),
    ):
        with pytest.raises(ApiError) as refused:
            client.submit(prompt)
        assert (refused.value.status, refused.value.code) == (422, "adapter_mismatch")
        assert refused.value.message.startswith(why)
    job = client.generate("a <cat-toy>, huge, old one", **FIELDS)
    [warning] = job.warnings
    assert warning.code == "unknown_embedding"
    assert "<cat-toy>" in warning.message
    assert job.request.embeddings == ()


def test_files_come_change_and_go_without_a_restart(
    client: Client, stack: Stack, embeddings: Path
) -> None:
    def hashes() -> dict[str, str]:
        listed = httpx.get(f"{stack.url}/v1/adapters").json()["data"]
        return {one["id"]: one["sha256"] for one in listed}

    late = embeddings / "later" / "tardy.safetensors"
    late.parent.mkdir()
    save_file({"emb_params": vectors("red")}, late)
    until(lambda: "tardy" in hashes(), what="finding a new file")
    job = client.generate("a <tardy> circle", **FIELDS)
    same = client.generate("a red circle", **FIELDS)
    assert (pixels(client, job)[0] == pixels(client, same)[0]).all()
    before = hashes()["tardy"]
    save_file({"emb_params": vectors("blue")}, late.parent / "new")
    (late.parent / "new").replace(late)
    until(lambda: hashes()["tardy"] != before, what="seeing that it has changed")
    with pytest.raises(ApiError) as changed:
        client.submit(**job.request.model_dump(mode="json", exclude_none=True))
    assert (changed.value.status, changed.value.code) == (422, "adapter_changed")
    blue = client.generate("a <tardy> circle", **FIELDS)
    same = client.generate("a blue circle", **FIELDS)
    assert (pixels(client, blue)[0] == pixels(client, same)[0]).all()
    late.unlink()
    until(lambda: "tardy" not in hashes(), what="missing a removed file")
