"""Clips in the loop: their events, strict bits, checkpoints, and who shares their calls."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from latentry.contracts import Determinism
from latentry.errors import EngineError, JobFailed, TooManyFrames, UnsupportedField
from tests.worker.engine import tiny
from tests.worker.engine.clips import tiny_motion
from tests.worker.engine.trajectories import begun, drawn
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Canceled, Done, Engine, Failed, Order, Step
from worker.engine.loop.backend import Taken

STRICT = Determinism.STRICT


def strict(job: str = "strict", **changes: Any) -> Order:
    return tiny_motion.order(job, determinism=STRICT, num_inference_steps=3, seed=4, **changes)


def done(engine: Engine, *orders: Order) -> dict[str, Done]:
    for order in orders:
        engine.submit(order)
    return {event.job: event for event in tiny.drain(engine) if isinstance(event, Done)}


def test_a_clip_is_one_image_of_many_frames(clip_engine: Engine) -> None:
    clip_engine.submit(tiny_motion.order(num_inference_steps=3, width=96))
    _, *steps, end = tiny.drain(clip_engine)
    assert steps == [Step("clip", 0, step, 3) for step in (1, 2, 3)]
    assert isinstance(end, Done)
    assert end.pixels.shape == (4, 64, 96, 3)
    assert end.pixels.dtype == np.uint8


def test_frames_are_decoded_as_pictures_are(clip_engine: Engine, clip_backend: Diffusion) -> None:
    order = tiny_motion.order(num_inference_steps=2)
    frames = done(clip_engine, order)["clip"].pixels
    clip = begun(clip_backend, order)
    drawn(clip_backend, clip)
    alone = [
        clip_backend.decode_frames(clip, range(frame, frame + 1)).take()[0] for frame in range(4)
    ]
    assert np.abs(np.stack(alone).astype(int) - frames).max() <= 1  # levels, of rounding


def test_a_clips_decoding_is_spread_over_step_boundaries(
    clip_engine: Engine, clip_backend: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[range] = []
    decode = clip_backend.decode_frames

    def spy(member: Any, frames: range) -> Any:
        sent.append(frames)
        return decode(member, frames)

    monkeypatch.setattr(clip_backend, "decode_frames", spy)
    clip_engine.submit(tiny_motion.order(frames=6, num_inference_steps=1))
    clip_engine.submit(tiny.order("picture", num_inference_steps=8))
    per_step = []
    while not clip_engine.idle:
        before = len(sent)
        clip_engine.step()
        per_step.append(len(sent) - before)
    assert sent == [range(2), range(2, 3), range(3, 4), range(4, 5), range(5, 6)]
    assert max(per_step) == 1


def test_the_frames_of_calls_that_may_come_are_known(clip_engine: Engine) -> None:
    """The watchdog waits as many times longer for a step."""
    assert clip_engine.most_frames == 1
    clip_engine.submit(tiny.order("picture", num_inference_steps=9))
    clip_engine.submit(tiny_motion.order("short", frames=3, num_inference_steps=2))
    clip_engine.submit(tiny_motion.order("long", frames=5, num_inference_steps=1))
    assert clip_engine.most_frames == 5
    while clip_engine.most_frames == 5:
        clip_engine.step()
    assert clip_engine.most_frames in (1, 3)
    tiny.drain(clip_engine)
    assert clip_engine.most_frames == 1


def test_strict_bits_do_not_depend_on_other_clips_and_pictures(clip_engine: Engine) -> None:
    alone = done(clip_engine, strict())["strict"]
    crowd = [
        strict("twin", prompt="a blue square"),
        tiny_motion.order("fast", num_inference_steps=3),
        tiny.order("picture", determinism=STRICT),
        tiny.order("another"),
        strict("unguided", guidance_scale=1.0),
    ]
    together = done(clip_engine, *crowd, strict())
    assert together.keys() == {"strict", *(one.job for one in crowd)}
    assert np.array_equal(together["strict"].pixels, alone.pixels)
    assert together["strict"].profile == alone.profile
    assert alone.profile not in (None, together["picture"].profile), "the module is part of it"
    assert together["fast"].profile is None


def test_strict_calls_are_of_one_clip(clip_backend: Diffusion) -> None:
    for guidance, rows in ((5.0, 2), (1.0, 1)):
        assert clip_backend.plan(strict(guidance_scale=guidance)).key.bucket == rows


def test_strict_bits_stay_when_guidance_stops(clip_engine: Engine) -> None:
    order = strict(guidance_stop=0.5)
    alone = done(clip_engine, order)["strict"].pixels
    # A fast one may fill the rows that come free.
    together = done(clip_engine, order, tiny_motion.order("fast", guidance_scale=1.0))
    assert np.array_equal(together["strict"].pixels, alone)


def test_clips_share_calls_with_clips_of_as_many_frames_alone(
    clip_engine: Engine, clip_backend: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    advance = clip_backend.advance

    def spy(members: Sequence[Any], rows: int) -> None:
        calls.append([one.order.job for one in members])
        advance(members, rows)

    monkeypatch.setattr(clip_backend, "advance", spy)
    orders = [
        tiny_motion.order("one"),
        tiny_motion.order("two", prompt="a blue square", sampler="euler", guidance_scale=1.0),
        tiny_motion.order("longer", frames=5),
        tiny.order("picture"),
    ]
    for order in orders:
        clip_engine.submit(order)
    tiny.drain(clip_engine)
    assert ["one", "two"] in [sorted(call) for call in calls]
    mixed = {frozenset(call) for call in calls if len(call) > 1}
    assert mixed == {frozenset({"one", "two"})}


@pytest.mark.parametrize("sampler", ["ddim", "euler_a", "dpmpp_2m", "heun"])
def test_a_clip_goes_on_from_every_call_to_the_same_last_bit(
    clip_backend: Diffusion, sampler: str
) -> None:
    order = strict(sampler=sampler)
    plan = clip_backend.plan(order)
    whole = clip_backend.begin(order, plan)[0]
    saved = [clip_backend.save(whole)]
    while whole.calls_left:
        clip_backend.advance([whole], plan.key.bucket)
        saved.append(clip_backend.save(whole))
    for calls, checkpoint in enumerate(saved):
        resumed = clip_backend.begin(replace(order, checkpoint=checkpoint), plan)[0]
        assert resumed.calls == calls
        while resumed.calls_left:
            clip_backend.advance([resumed], plan.key.bucket)
        assert resumed.latent.numpy().tobytes() == whole.latent.numpy().tobytes()


def test_a_checkpoint_is_of_a_clip_of_as_many_frames(clip_backend: Diffusion) -> None:
    short, long = tiny_motion.order(frames=3), tiny_motion.order(frames=4)
    one = begun(clip_backend, short)
    clip_backend.advance([one], one.rows)
    checkpoint = clip_backend.save(one)
    for order, calls in ((short, 1), (long, 0), (tiny.order(), 0)):
        resumed, _ = clip_backend.begin(
            replace(order, checkpoint=checkpoint), clip_backend.plan(order)
        )
        assert resumed.calls == calls


def test_a_clip_saved_while_it_is_decoded_needs_no_step(clip_engine: Engine) -> None:
    order = strict()
    clip_engine.submit(order)
    while clip_engine.rows or not clip_engine.save("strict"):
        clip_engine.step()
    [saved] = clip_engine.save("strict")
    whole = next(event for event in tiny.drain(clip_engine) if isinstance(event, Done))
    again = done(clip_engine, replace(order, checkpoint=saved.checkpoint))["strict"]
    assert saved.step == 3
    assert np.array_equal(again.pixels, whole.pixels)


def test_a_clip_ends_once_if_a_frame_fails(
    clip_engine: Engine, clip_backend: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(member: Any, frames: range) -> Taken:
        return Taken([EngineError("no frame") for _ in frames])

    monkeypatch.setattr(clip_backend, "decode_frames", fail)
    clip_engine.submit(tiny_motion.order(num_inference_steps=1))
    clip_engine.submit(tiny.order("picture", num_inference_steps=6))
    ends = [event for event in tiny.drain(clip_engine) if isinstance(event, Done | Failed)]
    assert [(end.job, type(end)) for end in ends] == [("clip", Failed), ("picture", Done)]
    assert isinstance(ends[0], Failed)
    assert isinstance(ends[0].error, JobFailed)


def test_a_clip_that_is_dropped_while_it_is_decoded_ends_once(clip_engine: Engine) -> None:
    clip_engine.submit(tiny_motion.order(frames=6, num_inference_steps=1))
    clip_engine.submit(tiny.order("picture", num_inference_steps=6))
    while clip_engine.rows > 2 or not clip_engine.save("clip"):
        clip_engine.step()
    clip_engine.drop("clip")
    events = tiny.drain(clip_engine)
    assert [one for one in events if not isinstance(one, Step) and one.job == "clip"] == [
        Canceled("clip", 0)
    ]


def test_more_frames_than_the_module_knows_are_refused(clip_backend: Diffusion) -> None:
    assert clip_backend.plan(tiny_motion.order(frames=tiny_motion.FRAMES)).key.frames == 6
    with pytest.raises(TooManyFrames) as refused:
        clip_backend.plan(tiny_motion.order(frames=tiny_motion.FRAMES + 1))
    assert "6 frames" in refused.value.fields["/frames"]


@pytest.mark.parametrize(
    "changes",
    [
        {"cache_interval": 2},
        {"seamless": "x"},
        {"guidance_rescale": 0.5},
        {"preview_interval": 1},
        {"intermediates": {"every": 1}},
        {"variation_strength": 0.5},
        {"n": 2},
    ],
    ids=str,
)
def test_what_clips_are_drawn_without_is_refused(
    clip_backend: Diffusion, changes: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedField):
        clip_backend.plan(tiny_motion.order(**changes))


def test_a_model_without_a_motion_module_draws_no_clips(backend: Diffusion) -> None:
    with pytest.raises(UnsupportedField) as refused:
        backend.plan(tiny_motion.order())
    assert refused.value.fields.keys() == {"/frames"}
