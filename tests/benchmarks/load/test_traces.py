import itertools
import statistics
from collections import Counter

import pytest

from benchmarks.contenders.dynamic import next_group
from benchmarks.load.traces import GUIDANCE, MIXES, SAMPLERS, STEPS, Mix, arrivals
from latentry.contracts import GenerationRequest


def test_a_trace_has_every_value_in_equal_shares() -> None:
    wishes = MIXES["full"].first(7 * 5 * 4 * 3)
    for field, values in (
        ("num_inference_steps", STEPS),
        ("guidance_scale", GUIDANCE),
        ("sampler", SAMPLERS),
        ("side", (96, 128, 160)),
    ):
        counts = Counter(getattr(wish, field) for wish in wishes)
        assert counts == dict.fromkeys(values, len(wishes) // len(values)), field


def test_values_of_a_trace_vary_independently() -> None:
    wishes = MIXES["full, one size"].first(700)
    met = {(wish.num_inference_steps, wish.guidance_scale, wish.sampler) for wish in wishes}
    assert len(met) > 0.95 * len(STEPS) * len(GUIDANCE) * len(SAMPLERS)


def test_a_trace_is_the_same_for_the_same_seed_only() -> None:
    mix = MIXES["full"]
    assert mix.first(50, seed=3) == mix.first(50, seed=3)
    assert mix.first(50, seed=3) != mix.first(50, seed=4)


def test_the_steps_of_a_trace_do_not_depend_on_what_else_varies() -> None:
    steps = [[w.num_inference_steps for w in MIXES[name].first(50)] for name in ("steps", "full")]
    assert steps[0] == steps[1]


@pytest.mark.parametrize("name", MIXES)
def test_the_service_takes_every_wish(name: str) -> None:
    for wish in MIXES[name].first(100):
        GenerationRequest(
            prompt=wish.prompt,
            seed=wish.seed,
            num_inference_steps=wish.num_inference_steps,
            guidance_scale=wish.guidance_scale,
            sampler=wish.sampler,
            width=wish.side,
            height=wish.side,
        )


def test_arrivals_come_at_their_rate_and_by_chance() -> None:
    times = arrivals(4.0, 4_000)
    gaps = [later - time for time, later in itertools.pairwise(times)]
    assert statistics.mean(gaps) == pytest.approx(0.25, rel=0.05)
    assert statistics.stdev(gaps) == pytest.approx(0.25, rel=0.1)  # as exponential gaps have it


def test_another_rate_stretches_the_same_arrivals() -> None:
    assert arrivals(2.0, 9) == pytest.approx([2 * time for time in arrivals(4.0, 9)])


def test_equal_requests_are_found_anywhere_in_the_queue_oldest_first() -> None:
    queue = ["b1", "a1", "b2", "c1", "b3"]
    assert next_group(queue, lambda name: name[0], 8) == ["b1", "b2", "b3"]
    assert next_group(queue, lambda name: name[0], 2) == ["b1", "b2"]
    assert next_group(queue, lambda name: name[0], 1) == ["b1"]


def test_guidance_of_one_costs_one_row() -> None:
    rows = {wish.guidance_scale: wish.rows for wish in Mix(guidance=GUIDANCE).first(10)}
    assert rows == {1.0: 1, 2.0: 2, 3.0: 2, 5.0: 2, 7.5: 2}
