"""Trace loras: its files, its rounds and its goals."""

import asyncio
import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file

from benchmarks.contenders.contender import child
from benchmarks.contenders.grouping import ByAdapter
from benchmarks.contenders.stock import SHAPES
from benchmarks.contenders.stock_loras import Merged
from benchmarks.load.traces import Mix, Wish, wish_of
from benchmarks.loras.__main__ import KINDS
from benchmarks.loras.files import NAMES, ONE, RANKS, WITH_CONVOLUTIONS, write
from benchmarks.loras.goals import (
    EACH,
    ENGINES,
    GOALS,
    GROUPED,
    NONE,
    ONE_FOR_ALL,
    ONE_OVER_NONE,
    OVER_GROUPED,
    OVER_NONE,
    OVER_STOCK,
    STOCK,
    allowed,
    goals,
    report,
)
from benchmarks.loras.measure import LORAS, Plan, measure
from latentry.contracts import Lora
from tests.worker.engine.adapters import written
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Order


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("loras")
    write(found)
    return found


@pytest.fixture(scope="module")
def backend() -> Diffusion:
    """With the bundled model, in fp32."""
    found = Diffusion(device="cpu", dtype="float32")
    found.open({"shapes": SHAPES})
    return found


def test_files_are_what_the_trace_is_said_to_have(folder: Path, backend: Diffusion) -> None:
    for number, (name, rank) in enumerate(zip(NAMES, RANKS, strict=True)):
        found = backend.adapters.inspect(folder / f"{name}.safetensors")
        assert (found.models, found.rank, found.networks) == (("shapes",), rank, ("unet",))
        downs = [
            tensor.ndim
            for key, tensor in load_file(folder / f"{name}.safetensors").items()
            if key.endswith("lora_down.weight")
        ]
        assert (4 in downs) == (number in WITH_CONVOLUTIONS)
    assert (min(RANKS), max(RANKS), len(WITH_CONVOLUTIONS)) == (8, 32, 2)
    unet = backend.models["shapes"].unet
    linears = [
        path
        for path, module in unet.named_modules()
        if isinstance(module, torch.nn.Linear) and (".attn" in path or ".ff." in path)
    ]
    own = {key.partition(".")[0] for key in load_file(folder / f"{ONE}.safetensors")}
    assert own == {f"lora_unet_{path.replace('.', '_')}" for path in linears}


def test_loras_come_in_equal_shares_and_change_nothing_else() -> None:
    each, plain = (Mix(loras=LORAS[name]).first(3 * len(NAMES)) for name in (EACH, NONE))
    assert Counter(wish.lora for wish in each) == dict.fromkeys(NAMES, 3)
    assert [one.seed for one in each] == [one.seed for one in plain]
    assert "lora" not in plain[0].plain()  # another checkout may not know it
    assert all(wish_of(wish.plain()) == wish for wish in (*each, plain[0]))
    assert len({wish.likeness for wish in each}) == len(NAMES)


def test_grouping_gives_calls_to_equal_adapters_alone(folder: Path, backend: Diffusion) -> None:
    grouping, keys = ByAdapter.of(backend), []
    for wish in Mix((1,), loras=(NAMES[0], NAMES[1])).first(4):
        path = folder / f"{wish.lora}.safetensors"
        sha256 = backend.adapters.inspect(path).sha256
        lora = Lora(id=wish.lora, weight=1, text_encoder_weight=1, sha256=sha256)
        request = wish.request("shapes").model_copy(update={"loras": (lora,)})
        loaded = backend.adapters.load("shapes", {sha256: path})
        order = Order("job", 0, request, wish.seed, adapters=loaded)
        plan = grouping.plan(order)
        begun, _ = grouping.begin(order, plan)
        assert begun.key == plan.key
        assert plan.key.cost_key == backend.plan(order).key.cost_key  # one curve for all
        keys.append((wish.lora, plan.key))
    assert len(set(keys)) == len({key for _, key in keys}) == 2


def test_merged_weights_are_those_of_the_definition_and_go_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTRY_ADAPTERS", str(folder))
    unet = UNet2DConditionModel.from_pretrained(SHAPES / "unet").float()
    before = {name: weight.clone() for name, weight in unet.state_dict().items()}
    merged = Merged(unet)
    convolutions = NAMES[min(WITH_CONVOLUTIONS)]
    for name in (ONE, convolutions):  # one after the other: the first leaves nothing behind
        merged.wear(name)
    file, changed = load_file(folder / f"{convolutions}.safetensors"), 0
    for path, module in unet.named_modules():
        layer = f"lora_unet_{path.replace('.', '_')}"
        if f"{layer}.alpha" not in file:
            continue
        down, up = (file[f"{layer}.lora_{part}.weight"] for part in ("down", "up"))
        term = written.Term(
            "unet", path, tuple(module.weight.shape), {"down": down, "up": up},
            float(file[f"{layer}.alpha"]),
        )  # fmt: skip
        want = before[f"{path}.weight"].double() + term.delta
        torch.testing.assert_close(module.weight.double(), want, rtol=0, atol=1e-6)
        changed += 1
    assert changed == sum(key.endswith(".alpha") for key in file)
    merged.wear("")
    for name, weight in unet.state_dict().items():
        assert torch.equal(weight, before[name]), name


class Paced:
    """Draws every picture in so many seconds."""

    def __init__(self, name: str, picture_s: float) -> None:
        self.name = name
        self._picture_s = picture_s
        self._steps = 0
        self._lock = asyncio.Lock()
        self.loras: set[str] = set()

    async def draw(self, wish: Wish) -> Mapping[str, Any]:
        self.loras.add(wish.lora)
        async with self._lock:
            await asyncio.sleep(self._picture_s)
        self._steps += wish.steps
        return {}

    async def clear(self) -> Mapping[str, Any]:
        steps, self._steps = self._steps, 0
        return {"useful_rows": 2 * steps, "calls": steps}

    async def ask(self, verb: str, **arguments: Any) -> Mapping[str, Any]:
        assert verb == "costs"
        return {"unet_s": {str(rows): 0.01 * rows for rows in arguments["rows"]}}


async def test_rounds_give_the_ratios_and_calls_their_costs() -> None:
    paces = {EACH: 0.02, GROUPED: 0.1, NONE: 0.001, ONE_FOR_ALL: 0.001, STOCK: 0.1}
    contenders = {name: Paced(name, pace) for name, pace in paces.items()}
    found = await measure(Plan(rounds=2, window_s=0.2), contenders)  # type: ignore[arg-type]
    assert {text: len(ratios) for text, ratios in found.each.items()} == dict.fromkeys(GOALS, 2)
    assert all(ratio > 1 for text in (OVER_GROUPED, OVER_STOCK) for ratio in found.each[text])
    assert all(ratio < 1 for ratio in found.each[OVER_NONE])
    assert found.rows == dict.fromkeys(ENGINES, 2)
    assert {name: contenders[name].loras for name in KINDS} == {
        name: set(loras) for name, loras in LORAS.items()
    }
    assert found.unet_s.keys() == set(ENGINES)
    assert found.unet_s[GROUPED]["4"] == pytest.approx(0.04)


def a_run() -> dict[str, Any]:
    return {
        "at": "2026-01-01", "machine": "a machine", "torch": "2", "threads": 2,
        "dtype": "float32", "commit": "abc", "took_s": 280.0, "stock": "merged",
        "each": {
            OVER_GROUPED: [1.5, 1.6], OVER_NONE: [0.71, 0.75],
            ONE_OVER_NONE: [0.85, 0.86], OVER_STOCK: [2.2, 2.3],
        },
        "rows": {EACH: 30.0, GROUPED: 3.0, NONE: 32.0, ONE_FOR_ALL: 32.0},
        "unet_s": {
            EACH: {"2": 0.03, "28": 0.16, "32": 0.18}, NONE: {"2": 0.02, "32": 0.128},
            GROUPED: {"2": 0.02, "4": 0.034}, ONE_FOR_ALL: {"2": 0.03, "32": 0.136},
        },
    }  # fmt: skip


def test_goals_are_met_or_not() -> None:
    run = a_run()
    assert [goal.is_met for goal in goals(run)] == [True, True, False, True]
    text = "\n".join(report(run))
    assert text.count("**not met**") == 1
    assert list(GOALS.values()) == [1.4, 0.7, 0.9, 2.0]


def test_what_calls_allow_is_of_the_rows_that_there_were() -> None:
    bounds = allowed(a_run())
    each_s, grouped_s = 0.17 / 30, 0.027 / 3
    assert bounds[OVER_GROUPED] == pytest.approx(grouped_s / each_s)
    assert bounds[OVER_NONE] == pytest.approx(0.128 / 32 / each_s)
    assert bounds[ONE_OVER_NONE] == pytest.approx(0.128 / 0.136)
    assert f"{bounds[OVER_GROUPED]:.2f}" in "\n".join(report(a_run()))


@pytest.mark.slow
@pytest.mark.timeout(280)
async def test_the_contenders_themselves_draw_with_loras(folder: Path) -> None:
    """As whole processes; how fast they are, is nothing for a test."""
    env = dict(os.environ) | {"LATENTRY_THREADS": "1", "OMP_NUM_THREADS": "1"}
    env["LATENTRY_ADAPTERS"] = str(folder)
    counted = {}
    for kind in ("engine", "grouping", "stock"):
        async with child(kind, kind, env=env) as contender:
            if kind == "engine":
                costs = {"rows": [2, 4], "side": 128, "rounds": 1, "loras": NAMES}
                taken = (await contender.ask("costs", **costs))["unet_s"]
                assert all(s > 0 and math.isfinite(s) for s in taken.values())
            await asyncio.gather(*map(contender.draw, Mix((3,), loras=NAMES).first(8)))
            counted[kind] = await contender.clear()
    assert counted["engine"]["useful_rows"] == counted["grouping"]["useful_rows"] == 8 * 3 * 2
    # Eight images with eight LoRAs share calls only where they may.
    assert counted["grouping"]["calls"] == 8 * 3 > counted["engine"]["calls"]


def test_a_result_survives_its_file() -> None:
    assert report(json.loads(json.dumps(a_run()))) == report(a_run())
