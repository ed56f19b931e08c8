"""Where a trajectory begins in its table, and how one pass follows another."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.worker.engine import tiny
from worker.engine.diffusion import checkpoint
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.diffusion.passes import Pass
from worker.engine.diffusion.trajectory import Trajectory
from worker.engine.loop import Engine, Order
from worker.engine.samplers import SAMPLERS, Table

STEPS = 8
START = 3


def table_of(backend: Diffusion, order: Order, skip: int = 0) -> Table:
    schedule = backend.models[order.request.model].schedule
    return SAMPLERS[order.request.sampler](schedule, order.request.num_inference_steps, skip)


def begin(backend: Diffusion, order: Order, *tables: Table) -> Trajectory:
    """As the backend begins it, by these tables instead of the sampler's own."""
    model, plan = backend.models[order.request.model], backend.plan(order)
    request = order.request
    passes = tuple(
        Pass.of(
            table,
            model,
            key=plan.key,
            conditioning=model.conditioner.condition(request),
            guidance_scale=request.guidance_scale,
            guided_calls=len(table.inputs) * request.guidance_stop,
        )
        for table in tables
    )
    return Trajectory.begin(order, passes)


def advance(backend: Diffusion, one: Trajectory, calls: int | None = None) -> Trajectory:
    for _ in range(one.calls_left if calls is None else calls):
        backend.advance([one], one.rows)
    return one


def take_up(late: Trajectory, early: Trajectory) -> None:
    """Begin with another one's latents and what its generator has drawn."""
    late.sampler.latents = early.sampler.latents.clone()
    late.sampler.source.restore(early.sampler.source.state)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "euler", "euler_a", "heun", "dpm2_a"])
def test_a_table_that_skips_steps_is_the_tail_of_a_whole_one(
    backend: Diffusion, sampler: str
) -> None:
    """Of samplers that remember nothing from step to step."""
    order = tiny.order(sampler=sampler, num_inference_steps=STEPS, guidance_rescale=0.5)
    calls_a_step = 2 if sampler in ("heun", "dpm2_a") else 1
    whole = advance(backend, begin(backend, order, table_of(backend, order)), START * calls_a_step)
    late = begin(backend, order, table_of(backend, order, START))
    take_up(late, whole)
    assert (late.calls, late.calls_left) == (0, whole.calls_left)
    assert late.step == whole.step, "steps that are skipped count as done"
    advance(backend, whole)
    assert torch.equal(advance(backend, late).latent, whole.latent)
    assert (late.step, late.calls_left) == (STEPS, 0)


def test_guidance_stops_after_a_fraction_of_the_calls_that_are_made(backend: Diffusion) -> None:
    order = tiny.order(num_inference_steps=STEPS, guidance_stop=0.5)
    late = begin(backend, order, table_of(backend, order, 4))
    rows = []
    while late.calls_left:
        rows.append(late.rows)
        advance(backend, late, 1)
    assert rows == [2, 2, 1, 1]


def test_the_first_call_is_a_full_one_wherever_it_is(backend: Diffusion) -> None:
    order = tiny.order(num_inference_steps=STEPS, cache_interval=3)
    late = begin(backend, order, table_of(backend, order, 2))
    shallow = []
    while late.calls_left:
        shallow.append(late.key.shallow)
        advance(backend, late, 1)
    assert shallow == [False, True, True, False, True, True]


@pytest.mark.parametrize("fields", [{}, {"cache_interval": 3}, {"sampler": "euler_a"}], ids=str)
def test_one_that_began_half_way_goes_on_from_its_checkpoint(
    backend: Diffusion, fields: dict[str, Any]
) -> None:
    order = tiny.order(num_inference_steps=STEPS, guidance_stop=0.5, **fields)
    table = table_of(backend, order, 2)
    for calls in range(1, 6):
        first = advance(backend, begin(backend, order, table), calls)
        saved = checkpoint.save(first, "")
        second = begin(backend, order, table)
        assert checkpoint.resume(second, saved, "")
        assert 0 <= second.calls <= first.calls
        assert torch.equal(advance(backend, second).latent, advance(backend, first).latent)


def test_a_checkpoint_of_another_start_is_of_another_picture(backend: Diffusion) -> None:
    order = tiny.order(num_inference_steps=STEPS)
    table = table_of(backend, order)
    saved = checkpoint.save(advance(backend, begin(backend, order, table), 2), "")
    late = begin(backend, order, table_of(backend, order, 1))
    assert not checkpoint.resume(late, saved, "")
    assert late.calls == 0


def halves(table: Table, at: int) -> tuple[Table, Table]:
    steps = table.steps_done
    first = replace(
        table,
        inputs=table.inputs[:at],
        updates=table.updates[:at],
        steps_done=steps[: at + 1],
        levels=table.levels[: at + 1],
    )
    second = replace(
        table,
        inputs=table.inputs[at:],
        updates=table.updates[at:],
        levels=table.levels[at:],
        steps_done=tuple(step - steps[at] for step in steps[at:]),
    )
    return first, second


@pytest.fixture
def order() -> Order:
    """Of a sampler that remembers nothing from call to call."""
    return tiny.order(sampler="euler_a", num_inference_steps=STEPS)


def test_a_pass_goes_on_from_the_latent_that_the_last_one_ended_with(
    backend: Diffusion, order: Order
) -> None:
    table = table_of(backend, order)
    whole, split = begin(backend, order, table), begin(backend, order, *halves(table, START))
    seen = []
    while split.calls_left:
        seen.append((split.pass_index, split.step, split.calls_left))
        advance(backend, split, 1)
    assert seen == [(int(k > START), k, STEPS - k) for k in range(STEPS)]
    assert split.step == STEPS
    assert torch.equal(split.latent, advance(backend, whole).latent)


def test_the_key_is_read_anew_in_each_pass(backend: Diffusion, order: Order) -> None:
    split = begin(backend, order, *halves(table_of(backend, order), START))
    first, second = split.passes
    larger = replace(second, key=replace(second.key, chunks=2))
    split.passes = (first, larger)
    split.move_to(0, 0)
    keys = []
    while split.calls_left:
        keys.append(split.key.chunks)
        advance(backend, split, 1)
    assert keys == [1] * START + [2] * (STEPS - START)


@pytest.mark.parametrize("calls", [2, START, 5, STEPS])
def test_a_checkpoint_contains_the_pass(backend: Diffusion, order: Order, calls: int) -> None:
    tables = halves(table_of(backend, order), START)
    first = advance(backend, begin(backend, order, *tables), calls)
    second = begin(backend, order, *tables)
    assert checkpoint.resume(second, checkpoint.save(first, ""), "")
    assert (second.pass_index, second.step) == (first.pass_index, first.step)
    assert torch.equal(advance(backend, second).latent, advance(backend, first).latent)


def test_a_latent_has_the_vaes_channels_whatever_the_unet_takes(backend: Diffusion) -> None:
    model = backend.models["epsilon"]
    wide = type("Unet", (), {"config": type("Config", (), {"in_channels": 9})})
    assert replace(model, unet=wide).latent_shape(64, 96) == (4, 12, 8)


def test_an_engine_draws_a_trajectory_of_two_passes(
    backend: Diffusion, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of(backend, order)
    split = begin(backend, order, *halves(table, START))
    whole = advance(backend, begin(backend, order, table)).latent
    latents: list[torch.Tensor] = []
    decode = backend.decode

    def watched(members: list[Trajectory]) -> Any:
        latents.extend(member.latent for member in members)
        return decode(members)

    monkeypatch.setattr(backend, "begin", lambda *_: (split, []))
    monkeypatch.setattr(backend, "decode", watched)
    engine = Engine(backend)
    engine.submit(order)
    while not engine.idle:
        engine.step()
    assert torch.equal(latents[0], whole)
