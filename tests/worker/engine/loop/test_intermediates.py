"""Steps stored as pictures: which, how exact, how few at a time, and none lost or doubled."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from latentry.contracts import IntermediateKind, Intermediates, Sampler
from latentry.contracts.fields.intermediates import name_of
from latentry.errors import EngineError, NonFiniteOutput
from tests.worker.engine import tiny
from tests.worker.engine.conftest import sharing
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import (
    Done,
    Engine,
    Event,
    Failed,
    Intermediate,
    Joined,
    Order,
    Saved,
    Step,
)
from worker.engine.loop.backend import Taken
from worker.engine.simulated import Charge, Simulated

LATENT, PREDICTED = IntermediateKind
BOTH = Intermediates(every=1)


def every(steps: int, *kinds: IntermediateKind) -> Intermediates:
    return Intermediates(every=steps, kinds=kinds or tuple(IntermediateKind))


def shown(events: list[Event], job: str = "job") -> list[tuple[int, IntermediateKind]]:
    found = [one for one in events if isinstance(one, Intermediate) and one.job == job]
    return [(one.step, one.kind) for one in found]


def stored(events: list[Event]) -> dict[str, bytes]:
    """The pictures of one image by their names; "" for the finished one. Each comes once."""
    found: dict[str, bytes] = {}
    for event in events:
        if isinstance(event, Intermediate | Done):
            name = name_of(event.kind, event.step) if isinstance(event, Intermediate) else ""
            assert name not in found
            found[name] = event.pixels.tobytes()
    return found


def drawn(backend: Diffusion, *orders: Order) -> list[Event]:
    engine = Engine(sharing(backend))
    for order in orders:
        engine.submit(order)
    return tiny.drain(engine)


@pytest.mark.parametrize("sampler", [Sampler.DDIM, Sampler.HEUN, Sampler.PNDM, Sampler.DPMPP_SDE])
@pytest.mark.parametrize(
    ("wanted", "steps"),
    [(every(1, LATENT), range(1, 8)), (every(3), [3, 6]), (every(7, PREDICTED), [7])],
)
def test_every_kth_step_comes_in_order_and_before_the_picture(
    backend: Diffusion, sampler: Sampler, wanted: Intermediates, steps: Any
) -> None:
    order = tiny.order(num_inference_steps=7, sampler=sampler, intermediates=wanted)
    events = drawn(backend, order)
    assert shown(events) == [(step, kind) for step in steps for kind in wanted.kinds]
    assert isinstance(events[-1], Done)


@pytest.mark.parametrize("sampler", [Sampler.DDIM, Sampler.EULER_A, Sampler.HEUN, Sampler.UNIPC])
@pytest.mark.parametrize("mode", ["fast", "strict"])
def test_no_picture_is_changed_by_them(backend: Diffusion, mode: str, sampler: Sampler) -> None:
    fields = {"determinism": mode, "sampler": sampler, "seed": 5, "num_inference_steps": 5}
    plain = stored(drawn(backend, tiny.order(**fields)))
    beside = stored(drawn(backend, tiny.order(**fields, intermediates=BOTH)))
    assert beside[""] == plain[""]
    assert len(set(beside.values())) >= 8


def test_the_last_latent_is_the_picture_and_the_model_s_last_guess_nearly_so(
    backend: Diffusion,
) -> None:
    order = tiny.order(determinism="strict", intermediates=BOTH, num_inference_steps=6)
    pictures = stored(drawn(backend, order))
    assert pictures["latent-0006"] == pictures[""]
    guess, end = (
        np.frombuffer(pictures[name], np.uint8).astype(int) for name in ("", "predicted-0006")
    )
    assert np.abs(guess - end).mean() < 2


@pytest.mark.parametrize("sampler", [Sampler.EULER, Sampler.DDIM])
def test_a_latent_is_shown_as_the_model_sees_it(backend: Diffusion, sampler: Sampler) -> None:
    """Of unit variance whatever the sampler: Euler's own x has a deviation of up to 14."""
    order = tiny.order(sampler=sampler, num_inference_steps=20, guidance_scale=1.0)
    trajectory, _ = backend.begin(order, backend.plan(order))
    backend.advance([trajectory], 1)
    assert 0.5 < float(trajectory.seen.std()) < 2.0


def test_strict_intermediates_keep_their_bits_in_a_crowd(backend: Diffusion) -> None:
    order = tiny.order(determinism="strict", intermediates=BOTH, seed=3, sampler=Sampler.EULER_A)
    alone = stored(drawn(backend, order))
    others = [
        tiny.order(f"other-{k}", seed=k, num_inference_steps=3 + k, intermediates=every(1 + k % 2))
        for k in range(4)
    ]
    crowd = drawn(backend, *others[:2], order, *others[2:])
    assert stored([event for event in crowd if event.job == "job"]) == alone
    profiles = {one.profile for one in crowd if isinstance(one, Intermediate) and one.job == "job"}
    assert len(profiles) == 1
    assert None not in profiles


def steps_of(engine: Engine, calls: int) -> list[Event]:
    return [event for _ in range(calls) for event in engine.step()]


@pytest.mark.parametrize(
    ("fields", "turns"),
    [
        ({"sampler": Sampler.DDIM}, range(1, 20)),
        ({"sampler": Sampler.EULER_A}, (5, 11)),
        ({"sampler": Sampler.HEUN}, range(1, 26)),
        ({"sampler": Sampler.DDIM, "cache_interval": 2}, range(1, 20)),
    ],
)
def test_none_is_lost_or_doubled_by_a_resume_wherever_it_comes(
    backend: Diffusion, fields: dict[str, Any], turns: Any
) -> None:
    wanted = tiny.order(determinism="strict", seed=3, intermediates=every(2), num_inference_steps=6)
    order = replace(wanted, request=wanted.request.model_copy(update=fields))
    whole = stored(drawn(backend, order))
    for calls in turns:
        engine = Engine(sharing(backend))
        engine.submit(order)
        before = stored(steps_of(engine, calls))
        if "" in before:
            break
        (saved,) = engine.save("job")
        listed = frozenset(before)
        events = drawn(backend, replace(order, checkpoint=saved.checkpoint, listed=listed))
        (joined,) = [event for event in events if isinstance(event, Joined)]
        at_anchor = fields.get("cache_interval", 1) > 1  # its last full call
        assert saved.step - at_anchor <= joined.step <= saved.step, "the checkpoint was used"
        after = stored(events)
        assert not before.keys() & after.keys()
        assert before | after == whole, calls


@pytest.mark.parametrize("sampler", [Sampler.DDIM, Sampler.HEUN])
def test_steps_that_were_lost_on_their_way_are_drawn_again(
    backend: Diffusion, sampler: Sampler
) -> None:
    """Drawn and perhaps uploaded, but not listed when the worker died."""
    order = tiny.order(
        determinism="strict", intermediates=every(2), num_inference_steps=6, sampler=sampler
    )
    whole = stored(drawn(backend, order))
    engine = Engine(sharing(backend))
    engine.submit(order)
    saved = saved_at(engine, 3)
    listed = frozenset({"latent-0002"})
    events = drawn(backend, replace(order, checkpoint=saved.checkpoint, listed=listed))
    (joined,) = [event for event in events if isinstance(event, Joined)]
    assert joined.step == 0
    assert stored(events) == {k: v for k, v in whole.items() if k not in listed}


def saved_at(engine: Engine, step: int) -> Saved:
    while True:
        engine.step()
        (saved,) = engine.save("job")
        if saved.step == step:
            return saved


def test_what_the_last_step_of_a_checkpoint_shows_needs_no_call(backend: Diffusion) -> None:
    order = tiny.order(determinism="strict", intermediates=every(4), num_inference_steps=4)
    engine = Engine(sharing(backend))
    engine.submit(order)
    saved = saved_at(engine, 4)
    events = drawn(backend, replace(order, checkpoint=saved.checkpoint))
    assert not any(isinstance(event, Step) for event in events)
    assert stored(events) == stored(drawn(backend, order))


class Counting(Simulated):
    """Counts what is put through the VAE, between one look and the next."""

    shows = 0

    def show(self, member: Any, kind: Any) -> Any:
        self.shows += 1
        return super().show(member, kind)

    def looked(self) -> int:
        shows, self.shows = self.shows, 0
        return shows


@pytest.fixture
def counting() -> Counting:
    return Counting({"epsilon": Charge(0.01, 0.001, 64, picture_s=0.05)})


def test_others_go_on_and_wait_for_one_decode_at_most_between_two_calls(
    counting: Counting,
) -> None:
    engine = Engine(counting)
    engine.submit(tiny.order("plain", num_inference_steps=12))
    for number in range(4):
        engine.submit(tiny.order(f"shown-{number}", num_inference_steps=9, intermediates=BOTH))
    turns, ended = 0, set[str]()
    while "plain" not in ended:
        turns += 1
        events = engine.step()
        ended |= {event.job for event in events if isinstance(event, Done)}
        assert engine.last_step.rows
        assert counting.looked() <= 1
    assert ended == {"plain"}, "the others wait for their pictures by themselves"
    assert turns < 20
    ended = {event.job for event in tiny.drain(engine) if isinstance(event, Done)}
    assert ended == {f"shown-{number}" for number in range(4)}


def test_what_waits_is_bounded_by_the_images_that_step(counting: Counting) -> None:
    engine = Engine(counting)
    for number in range(5):
        engine.submit(tiny.order(f"job-{number}", num_inference_steps=8, intermediates=BOTH))
    engine.submit(tiny.order("plain", num_inference_steps=50))
    for _ in range(50):
        engine.step()
        assert len(engine._intermediates._due) <= 2 * 5


def test_an_image_alone_is_not_held_up_by_turns_without_a_call(counting: Counting) -> None:
    engine = Engine(counting)
    for number in range(4):
        engine.submit(tiny.order(f"job-{number}", num_inference_steps=3, intermediates=BOTH))
    events = tiny.drain(engine)
    assert len([one for one in events if isinstance(one, Intermediate)]) == 4 * 3 * 2


def test_while_they_are_held_their_images_wait_and_others_do_not(counting: Counting) -> None:
    engine = Engine(counting)
    engine.holds_intermediates = True
    engine.submit(tiny.order("shown", num_inference_steps=3, intermediates=BOTH))
    engine.submit(tiny.order("plain", num_inference_steps=3))
    events = steps_of(engine, 9)
    assert [event.job for event in events if isinstance(event, Done)] == ["plain"]
    assert [event.step for event in events if isinstance(event, Step) and event.job == "shown"] == [
        1
    ]
    assert counting.looked() == 0
    engine.holds_intermediates = False
    assert [event.job for event in tiny.drain(engine) if isinstance(event, Done)] == ["shown"]


def test_a_job_that_is_dropped_has_no_more_of_them(counting: Counting) -> None:
    engine = Engine(counting)
    engine.submit(tiny.order("job", num_inference_steps=9, intermediates=BOTH))
    engine.step()
    engine.step()
    engine.drop("job")
    assert shown(tiny.drain(engine)) == []
    assert engine.idle


def test_a_step_that_cannot_be_decoded_fails_its_image_alone(counting: Counting) -> None:
    def show(member: Any, kind: Any) -> Any:
        return Taken([EngineError("told to")]) if member.order.job == "bad" else known(member, kind)

    known, counting.show = counting.show, show  # type: ignore[method-assign]
    engine = Engine(counting)
    for job in ("bad", "good"):
        engine.submit(tiny.order(job, num_inference_steps=3, intermediates=BOTH))
    events = tiny.drain(engine)
    assert [event.job for event in events if isinstance(event, Done)] == ["good"]
    assert [event.job for event in events if isinstance(event, Failed)] == ["bad"]
    assert len(shown(events, "good")) == 6


def test_a_guess_that_is_not_finite_is_an_error_and_no_black_picture(
    backend: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(backend)
    engine.submit(tiny.order(intermediates=every(2, PREDICTED)))
    saved_at(engine, 1)
    (member,) = engine._stepping
    monkeypatch.setattr(type(member), "advance", _spoilt(type(member).advance))
    (failed,) = [one for one in tiny.drain(engine) if isinstance(one, Failed)]
    assert isinstance(failed.error, NonFiniteOutput)


def _spoilt(advance: Any) -> Any:
    def spoilt(self: Any, *args: Any) -> None:
        if self.predicted_x0 is not None:
            self.predicted_x0 = torch.full_like(self.predicted_x0, float("nan"))
        advance(self, *args)

    return spoilt
