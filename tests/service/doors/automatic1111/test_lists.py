"""What there is, by AUTOMATIC1111's names."""

from typing import Any

import pytest

from latentry.contracts import Adapter, AdapterKind, RegisteredCard, UpscalerCard
from latentry.ledger import commands
from tests.latentry.ledger.factory import card


def adapter(kind: AdapterKind, number: int, models: tuple[str, ...] = ("shapes",)) -> Adapter:
    return Adapter(
        id=f"{kind}-{number}", kind=kind, family="SD 1.x", models=models,
        sha256=f"{number}" * 64, autov3="2" * 12, size_bytes=10, networks=("unet",), vectors=3,
        trigger_words=("inky",),
    )  # fmt: skip


@pytest.fixture
def full(worker) -> None:
    """A model with an adapter of each kind, an embedding of another model, and an upscaler."""
    every = [adapter(kind, number) for number, kind in enumerate(AdapterKind)]
    every += [adapter(AdapterKind.EMBEDDING, 8, ("xl",)), adapter(AdapterKind.LORA, 9, ())]
    facts = dict(card()) | {"family": "SD 1.x", "adapters": tuple(every)}
    worker.ledger.run(commands.register_model(RegisteredCard(**facts)))
    lanczos = UpscalerCard(id="lanczos", architecture="x", scale=8, default_scale=2, created=0)
    worker.ledger.run(commands.heartbeat("another", [lanczos.queue], ttl_s=60))
    worker.ledger.run(commands.register_model(lanczos))


async def got(client, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("sd-models", "title", ["shapes"]),
        ("samplers", "name", ["DDIM", "Euler"]),
        ("upscalers", "name", ["None", "Lanczos"]),
        ("latent-upscale-modes", "name", ["Latent"]),
        ("sd-vae", "model_name", ["vae-1"]),
        ("loras", "name", ["lora-0"]),
        ("hypernetworks", "name", []),
        ("face-restorers", "name", []),
        ("realesrgan-models", "name", []),
        ("sd-modules", "model_name", []),
        ("extensions", "name", []),
    ],
)
async def test_a_list_has_what_there_is(client, full, path, name, expected) -> None:
    assert [one[name] for one in await got(client, f"/sdapi/v1/{path}")] == expected


async def test_samplers_and_schedule_types_are_those_that_requests_may_name(client, full) -> None:
    samplers = await got(client, "/sdapi/v1/samplers")
    assert samplers[1] == {"name": "Euler", "aliases": ["k_euler"], "options": {}}
    schedulers = await got(client, "/sdapi/v1/schedulers")
    assert [one["label"] for one in schedulers][:3] == ["Automatic", "Uniform", "Karras"]
    assert {one["name"] for one in schedulers} >= {"automatic", "sgm_uniform"}


async def test_embeddings_fit_or_are_skipped(client, full) -> None:
    found = await got(client, "/sdapi/v1/embeddings")
    assert (list(found["loaded"]), list(found["skipped"])) == (["embedding-4"], ["embedding-8"])
    assert found["loaded"]["embedding-4"]["vectors"] == 3


async def test_styles_are_the_service_s(client) -> None:
    styles = (await got(client, "/v1/styles"))["data"]
    named = [{name: one[name] for name in ("name", "prompt", "negative_prompt")} for one in styles]
    assert await got(client, "/sdapi/v1/prompt-styles") == named


async def test_scripts_memory_and_flags(client) -> None:
    assert await got(client, "/sdapi/v1/scripts") == {
        "txt2img": ["controlnet"],
        "img2img": ["controlnet"],
    }
    assert len(await got(client, "/sdapi/v1/script-info")) == 2
    unavailable = {"error": "unavailable"}
    assert await got(client, "/sdapi/v1/memory") == {"ram": unavailable, "cuda": unavailable}
    assert (await got(client, "/sdapi/v1/cmd-flags"))["api"] is True


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("refresh-checkpoints", {}),
        ("refresh-loras", {}),
        ("unload-checkpoint", {}),
        ("reload-checkpoint", {}),
    ],
)
async def test_what_needs_no_doing_is_done(client, path: str, said: object) -> None:
    answer = await client.post(f"/sdapi/v1/{path}")
    assert (answer.status_code, answer.json()) == (200, said)


async def test_controlnet_names_what_units_may_name(client, full) -> None:
    models = (await got(client, "/controlnet/model_list?update=false"))["model_list"]
    assert models == [
        "None", "controlnet-2 [22222222]", "ip_adapter-3 [33333333]", "t2i_adapter-5 [55555555]"
    ]  # fmt: skip
    modules = await got(client, "/controlnet/module_list")
    assert modules["module_list"][:2] == ["none", "canny"]
    assert modules["module_detail"]["canny"]["sliders"]
    types = (await got(client, "/controlnet/control_types"))["control_types"]
    assert types["Canny"]["default_model"] == "controlnet-2 [22222222]"
    assert types["T2I-Adapter"]["model_list"] == ["None", "t2i_adapter-5 [55555555]"]
    assert types["IP-Adapter"]["model_list"] == ["None", "ip_adapter-3 [33333333]"]
    assert (await got(client, "/controlnet/settings"))["control_net_unit_count"] == 4
    assert (await got(client, "/controlnet/version"))["version"] == 3


async def test_without_a_model_the_lists_are_there_all_the_same(client) -> None:
    for path in ("sd-models", "upscalers", "samplers", "embeddings", "options"):
        await got(client, f"/sdapi/v1/{path}")
    assert (await got(client, "/sdapi/v1/options"))["sd_model_checkpoint"] is None
