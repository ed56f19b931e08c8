"""Who joins and who shares the next batch, without a tensor."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.batching import BatchKey, Costs, next_batch, next_to_join, room

BUCKET = 8


def key(height: int = 8, bucket: int = 0) -> BatchKey:
    return BatchKey("model", height, 8, 1, bucket)


def costs(max_rows: int = 16, *, max_slowdown: float = 100) -> Costs:
    """Calls of 10 ms, and 1 ms more for each row of 8 × 8 cells."""
    made = Costs(max_rows=max_rows, max_slowdown=max_slowdown)
    for rows in (2, 4, 8, 16, 32, 64, 128):
        for _ in range(2):
            made.observe(key(), rows, 0.010 + 0.001 * rows)
    return made


@dataclass(slots=True, eq=False)
class Member:
    key: BatchKey
    rows: int
    since: float = 0.0


members = st.builds(
    Member,
    key=st.builds(key, height=st.sampled_from([8, 12, 16]), bucket=st.sampled_from([0, BUCKET])),
    rows=st.sampled_from([1, 2]),
    since=st.integers(0, 5).map(float),
)
crowds = st.lists(members, min_size=1, max_size=30)
caps = st.integers(2, 16).map(costs)


def test_without_candidates_there_is_no_batch() -> None:
    assert next_batch([], costs=costs()) is None


@given(crowds, caps)
def test_a_batch_shares_one_model_and_size_and_keeps_its_limit(
    crowd: list[Member], costs: Costs
) -> None:
    batch = next_batch(crowd, costs=costs)
    assert batch is not None
    assert {member.key.fast for member in batch.members} == {batch.key.fast}
    taken = sum(member.rows for member in batch.members)
    if batch.key.is_strict:
        assert taken <= batch.rows == BUCKET
    else:
        assert taken == batch.rows <= costs.max_rows


@given(crowds, caps)
def test_a_batch_leaves_out_no_member_that_would_fit(crowd: list[Member], costs: Costs) -> None:
    batch = next_batch(crowd, costs=costs)
    assert batch is not None
    free = costs.cap(batch.key) - sum(member.rows for member in batch.members)
    left = [one for one in crowd if one.key == batch.key and one not in batch.members]
    assert all(one.rows > free for one in left)


@given(crowds, caps)
def test_strict_ones_never_step_in_a_fast_batch(crowd: list[Member], costs: Costs) -> None:
    batch = next_batch(crowd, costs=costs)
    assert batch is not None
    if not batch.key.is_strict:
        assert not any(member.key.is_strict for member in batch.members)


@given(crowds, caps)
def test_of_one_size_the_one_that_waited_longest_is_in_the_next_batch(
    crowd: list[Member], costs: Costs
) -> None:
    for member in crowd:
        member.key = key()
    batch = next_batch(crowd, costs=costs)
    assert batch is not None
    assert min(crowd, key=lambda one: one.since) in batch.members


@given(crowds, caps, st.lists(st.lists(members, max_size=2), max_size=40))
def test_none_starves_however_many_newcomers_of_other_sizes_arrive(
    crowd: list[Member], costs: Costs, arrivals: list[list[Member]]
) -> None:
    candidates, now = list(crowd), 6.0
    unserved = set(crowd)
    for turn in range(400):
        batch = next_batch(candidates, costs=costs)
        assert batch is not None
        now += costs.seconds(batch.key, batch.rows)
        for member in batch.members:
            member.since = now
            unserved.discard(member)
        for newcomer in arrivals[turn] if turn < len(arrivals) else []:
            newcomer.since = now
            candidates.append(newcomer)
    assert not unserved


def test_a_small_picture_steps_more_often_than_a_large_one_beside_it() -> None:
    small, large, measured = Member(key(8), 2), Member(key(64), 2), costs()
    turns, now = [], 0.0
    for _ in range(30):
        batch = next_batch([small, large], costs=measured)
        assert batch is not None
        (member,) = batch.members
        turns.append(member)
        member.since = now = now + measured.seconds(batch.key, batch.rows)
    assert turns.count(large) >= 5
    assert turns.count(small) > 1.5 * turns.count(large)


def test_fast_ones_ride_in_the_empty_rows_of_a_strict_batch() -> None:
    strict = Member(key(bucket=BUCKET), 2)
    fast = [Member(key(), 2, since=1.0) for _ in range(5)]
    batch = next_batch([*fast, strict], costs=costs())
    assert batch is not None
    assert batch.rows == BUCKET
    assert batch.members == (strict, *fast[:3])


def test_a_single_row_takes_the_last_place_that_a_pair_does_not_fit() -> None:
    pairs, single = [Member(key(), 2) for _ in range(2)], Member(key(), 1, since=1.0)
    batch = next_batch([*pairs, single], costs=costs(3))
    assert batch is not None
    assert batch.members == (pairs[0], single)


def test_a_newcomer_joins_while_its_size_has_a_free_row() -> None:
    stepping = [Member(key(), 2) for _ in range(3)]
    waiting = [Member(key(), 2), Member(key(), 2)]
    assert next_to_join(waiting, stepping, costs=costs(8), now=0) is waiting[0]
    assert next_to_join(waiting, [*stepping, waiting[0]], costs=costs(8), now=0) is None


def test_an_order_that_fits_passes_a_size_that_is_full() -> None:
    stepping = [Member(key(8), 2)]
    waiting = [Member(key(8), 2), Member(key(12), 2)]
    assert next_to_join(waiting, stepping, costs=costs(2), now=0) is waiting[1]


def test_so_many_sizes_take_turns_that_a_round_stays_bounded() -> None:
    serial = Costs(max_rows=16, max_slowdown=2)
    waiting, stepping = [Member(key(height), 2) for height in range(8, 40)], []
    while one := next_to_join(waiting, stepping, costs=serial, now=0):
        waiting.remove(one)
        stepping.append(one)
    assert 2 <= len(stepping) <= 4


def test_a_size_that_waited_for_a_whole_round_is_not_passed_any_more() -> None:
    measured = costs(max_slowdown=4)
    stepping = [Member(key(8), 2)]
    odd, common = Member(key(8000), 2, since=0.99), Member(key(8), 2, since=1.0)
    assert next_to_join([odd, common], stepping, costs=measured, now=1.0) is common
    assert next_to_join([odd, common], stepping, costs=measured, now=1000.0) is None
    assert next_to_join([odd, common], [], costs=measured, now=1000.0) is odd


@given(crowds, crowds, caps)
def test_an_order_always_joins_an_empty_engine(
    waiting: list[Member], stepping: list[Member], costs: Costs
) -> None:
    assert next_to_join(waiting, [], costs=costs, now=9) is waiting[0]
    joined = next_to_join(waiting, stepping, costs=costs, now=9)
    if joined is not None and joined.key in {one.key for one in stepping}:
        rows = sum(one.rows for one in stepping if one.key == joined.key)
        assert rows + joined.rows <= costs.cap(joined.key)


@pytest.mark.parametrize(
    ("stepping", "waiting", "wanted"),
    [(0, 0, 8), (0, 3, 5), (3, 0, 5), (8, 0, 1), (8, 1, 0), (3, 2, 3)],
)
def test_there_is_room_for_as_many_as_fit_and_one_that_waits(
    stepping: int, waiting: int, wanted: int
) -> None:
    many = [[Member(key(), 2) for _ in range(count)] for count in (waiting, stepping)]
    assert room(*many, costs=costs(16)) == wanted


def test_an_order_that_waits_for_another_size_counts_too() -> None:
    small, large = Member(key(8), 2), [Member(key(16), 2) for _ in range(7)]
    assert room(large, [small], costs=costs(16)) == 0


def test_one_of_many_rows_is_not_passed_for_ever_by_others_of_its_size() -> None:
    measured = costs(8, max_slowdown=4)
    stepping = [Member(key(), 2) for _ in range(3)]
    wide, common, other = Member(key(), 6), Member(key(), 2), Member(key(12), 2)
    assert next_to_join([wide, common], stepping, costs=measured, now=0.01) is common
    assert next_to_join([wide, common], stepping, costs=measured, now=1000.0) is None
    assert next_to_join([wide, common, other], stepping, costs=measured, now=1000.0) is other
    assert next_to_join([wide, common], stepping[:1], costs=measured, now=1000.0) is wide
