"""The step loop: its events, which orders fail, and that each ends exactly once."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import structlog
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentry.errors import (
    EngineError,
    NonFiniteOutput,
    OutOfMemory,
    TooManySteps,
    UnknownModel,
    UnsupportedSize,
)
from tests.worker.engine import tiny
from worker.batching import Costs
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Canceled, Done, Engine, Event, Failed, Joined, Step

Unet = Callable[..., tuple[torch.Tensor]]


def replace_unet(engine: Engine, call: Callable[[Unet, torch.Tensor, Any], Any]) -> None:
    """Put `call(unet, x, timesteps, **options)` in the place of the model's UNet."""
    model = engine.backend.models["epsilon"]

    class Unet:
        config = model.unet.config

        def __call__(self, x: torch.Tensor, *args: Any, **options: Any) -> Any:
            return call(model.unet, x, *args, **options)

    engine.backend.adopt("epsilon", dataclasses.replace(model, unet=Unet()))


def jobs_with(events: list[Event], kind: type) -> set[str]:
    return {event.job for event in events if isinstance(event, kind)}


def poison(engine: Engine) -> torch.Tensor:
    conditioner = engine.backend.models["epsilon"].conditioner
    return conditioner.condition(tiny.request(prompt="poison")).at(0).hidden[-1]


def test_a_picture_has_an_event_for_each_step_and_then_a_done(engine: Engine) -> None:
    engine.submit(tiny.order("job", 2, num_inference_steps=3, width=96))
    joined, *steps, done = tiny.drain(engine)
    assert joined == Joined("job", 2, ())
    assert steps == [Step("job", 2, step, 3) for step in (1, 2, 3)]
    assert isinstance(done, Done)
    assert done.pixels.shape == (64, 96, 3)
    assert done.pixels.dtype == np.uint8


def test_an_idle_engine_has_no_events(engine: Engine) -> None:
    assert engine.idle
    assert engine.rows == 0
    assert engine.step() == []


def test_guidance_of_one_or_less_costs_one_row(engine: Engine) -> None:
    for number, guidance in enumerate([0.0, 1.0, 1.5]):
        engine.submit(tiny.order(f"job-{number}", guidance_scale=guidance))
    engine.step()
    assert engine.rows == 1 + 1 + 2


def test_images_of_a_job_have_their_own_seeds_and_pixels(engine: Engine) -> None:
    for index in range(2):
        engine.submit(tiny.order("job", index, n=2))
    first, second = (event.pixels for event in tiny.drain(engine) if isinstance(event, Done))
    assert not np.array_equal(first, second)


def test_a_dropped_job_leaves_at_the_next_boundary_with_one_canceled_an_image(
    engine: Engine,
) -> None:
    for index in range(2):
        engine.submit(tiny.order("gone", index, n=2))
    engine.submit(tiny.order("stays"))
    engine.step()
    engine.drop("gone")
    engine.drop("gone")
    assert engine.rows == 2
    events = tiny.drain(engine)
    assert [e for e in events if isinstance(e, Canceled)] == [
        Canceled("gone", 0),
        Canceled("gone", 1),
    ]
    assert jobs_with(events, Done) == {"stays"}
    assert jobs_with(events, Step) == {"stays"}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("admit"), st.integers(0, 4), st.sampled_from([1.0, 5.0])),
            st.tuples(st.just("drop"), st.integers(0, 4), st.none()),
            st.tuples(st.just("step"), st.integers(1, 3), st.none()),
        ),
        max_size=40,
    )
)
def test_every_order_ends_exactly_once_and_is_silent_after(
    engine: Engine, script: list[tuple[str, int, float | None]]
) -> None:
    replace_unet(engine, lambda unet, x, *args, **options: (x * 0.5,))
    admitted = 0
    events: list[Event] = []
    for verb, number, guidance in script:
        if verb == "admit":
            fields = {"num_inference_steps": number + 1, "guidance_scale": guidance}
            engine.submit(tiny.order(f"job-{number}", admitted, **fields))
            admitted += 1
        elif verb == "drop":
            engine.drop(f"job-{number}")
        else:
            events += [event for _ in range(number) for event in engine.step()]
    events += tiny.drain(engine)
    ended: set[int] = set()
    for event in events:
        assert event.index not in ended
        if not isinstance(event, Joined | Step):
            ended.add(event.index)
    assert ended == set(range(admitted))
    assert not any(isinstance(event, Failed) for event in events)


def test_a_latent_that_is_not_finite_fails_its_own_picture_alone(engine: Engine) -> None:
    bad = poison(engine)

    def call(unet: Unet, x: torch.Tensor, t: torch.Tensor, **options: Any) -> Any:
        (output,) = unet(x, t, **options)
        for row, embedding in enumerate(options["encoder_hidden_states"]):
            if torch.equal(embedding, bad):
                output[row] = float("nan")
        return (output,)

    replace_unet(engine, call)
    for number in range(4):
        engine.submit(tiny.order(f"job-{number}", prompt="poison" if number == 2 else "fine"))
    events = tiny.drain(engine)
    assert jobs_with(events, Done) == {"job-0", "job-1", "job-3"}
    (failed,) = (event for event in events if isinstance(event, Failed))
    assert failed.job == "job-2"
    assert isinstance(failed.error, NonFiniteOutput)


def test_an_order_that_breaks_the_unet_fails_alone_and_changes_no_other_picture(
    engine: Engine,
) -> None:
    names = ["fine-0", "fine-1", "fine-2"]
    for name in names:
        engine.submit(tiny.order(name, determinism="strict", sampler="euler_a"))
    before = {e.job: e.pixels for e in tiny.drain(engine) if isinstance(e, Done)}
    bad = poison(engine)

    def call(unet: Unet, x: torch.Tensor, t: torch.Tensor, **options: Any) -> Any:
        if any(torch.equal(one, bad) for one in options["encoder_hidden_states"]):
            raise RuntimeError("a prompt this model cannot bear")
        return unet(x, t, **options)

    replace_unet(engine, call)
    for name in [*names[:2], "culprit", names[2]]:
        prompt = "poison" if name == "culprit" else "a red circle"
        fields = {"determinism": "strict", "sampler": "euler_a", "prompt": prompt}
        engine.submit(tiny.order(name, **fields))
    events = tiny.drain(engine)
    after = {e.job: e.pixels for e in events if isinstance(e, Done)}
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[name], before[name]) for name in names)
    (failed,) = (event for event in events if isinstance(event, Failed))
    assert failed.job == "culprit"
    assert isinstance(failed.error, EngineError)


def limit_memory(engine: Engine, most: int) -> list[int]:
    """Let calls of more rows run out of memory; returns the rows of those that ran."""
    sizes: list[int] = []

    def call(unet: Unet, x: torch.Tensor, t: torch.Tensor, **options: Any) -> Any:
        if len(x) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(x))
        return unet(x, t, **options)

    replace_unet(engine, call)
    return sizes


def test_a_two_call_sampler_has_events_for_whole_steps_only(engine: Engine) -> None:
    engine.submit(tiny.order(num_inference_steps=3, sampler="heun"))
    calls, steps = 0, []
    while not engine.idle:
        calls += 1
        steps += [event.step for event in engine.step() if isinstance(event, Step)]
    assert (calls, steps) == (5, [1, 2, 3])


def test_pictures_that_finish_together_are_decoded_within_a_few_steps(
    backend: Diffusion,
) -> None:
    engine = Engine(backend, Costs(max_slowdown=100))
    for number in range(16):
        engine.submit(tiny.order(f"job-{number}", num_inference_steps=1, guidance_scale=1.0))
    decoded = []
    while not engine.idle:
        decoded.append(len(jobs_with(engine.step(), Done)))
    assert decoded == [4, 3, 3, 2, 1, 1, 1, 1]


def test_out_of_memory_halves_the_batch_and_the_cap_is_remembered(engine: Engine) -> None:
    sizes = limit_memory(engine, 8)
    for number in range(8):
        engine.submit(tiny.order(f"job-{number}"))
    with structlog.testing.capture_logs() as logs:
        assert len(jobs_with(tiny.drain(engine), Done)) == 8
    assert [log["rows"] for log in logs if log["event"] == "engine.out_of_memory"] == [16]
    assert max(Counter(sizes)) == 8


def test_a_probe_that_does_not_fit_costs_no_row_of_those_that_do(backend: Diffusion) -> None:
    costs = Costs(max_rows=16, max_slowdown=100)
    key = backend.plan(tiny.order()).key
    for rows in (2, 4, 8, 12, 16):
        for _ in range(2):
            costs.observe(key, rows, 1.0 if rows <= 8 else 100.0)
    engine = Engine(backend, costs)
    limit_memory(engine, 8)
    for number in range(24):
        engine.submit(tiny.order(f"job-{number}", num_inference_steps=60))
    with structlog.testing.capture_logs() as logs:
        assert len(jobs_with(tiny.drain(engine), Done)) == 24
    assert [log["rows"] for log in logs if log["event"] == "engine.out_of_memory"] == [12]
    assert costs.cap(key) == 8


def test_a_picture_too_large_for_the_memory_even_alone_fails_with_a_code(engine: Engine) -> None:
    limit_memory(engine, 1)
    engine.submit(tiny.order("large"))
    engine.submit(tiny.order("small", guidance_scale=1.0))
    events = tiny.drain(engine)
    assert jobs_with(events, Done) == {"small"}
    (failed,) = (event for event in events if isinstance(event, Failed))
    assert isinstance(failed.error, OutOfMemory)


def test_rows_of_one_picture_that_do_not_fit_together_fail_it_and_end(engine: Engine) -> None:
    """They cannot be made apart: to try again with fewer neighbours would never end."""
    limit_memory(engine, 3)
    engine.submit(tiny.order("parts", prompt="a AND b AND c"))
    engine.submit(tiny.order("plain"))
    events = tiny.drain(engine)
    assert jobs_with(events, Done) == {"plain"}
    (failed,) = (event for event in events if isinstance(event, Failed))
    assert isinstance(failed.error, OutOfMemory)


def test_two_rows_that_do_not_fit_together_are_run_apart(engine: Engine) -> None:
    limit_memory(engine, 1)
    for number in range(2):
        engine.submit(tiny.order(f"job-{number}", guidance_scale=1.0))
    assert jobs_with(tiny.drain(engine), Done) == {"job-0", "job-1"}


def test_strict_fails_with_a_code_rather_than_change_its_batch(engine: Engine) -> None:
    limit_memory(engine, 4)
    engine.submit(tiny.order("strict", determinism="strict"))
    engine.submit(tiny.order("fast"))
    events = tiny.drain(engine)
    assert jobs_with(events, Done) == {"fast"}
    (failed,) = (event for event in events if isinstance(event, Failed))
    assert isinstance(failed.error, OutOfMemory)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"model": "missing"}, UnknownModel),
        ({"width": 1024}, UnsupportedSize),
        ({"height": 68}, UnsupportedSize),
        ({"num_inference_steps": 151}, TooManySteps),
        ({"num_inference_steps": 51, "sampler": "lcm"}, TooManySteps),
    ],
)
def test_an_order_that_the_model_cannot_draw_is_refused(
    engine: Engine, fields: dict[str, Any], error: type[Exception]
) -> None:
    engine.submit(tiny.order(**fields))
    (failed,) = tiny.drain(engine)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, error)
