"""The choice of the next batch, without a tensor."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from latentry.contracts import Determinism
from worker.batching import BatchKey, next_batch

STRICT_ROWS = 8


def key(height: int = 8, mode: Determinism = Determinism.FAST) -> BatchKey:
    return BatchKey("model", height, 8, 1, mode)


@dataclass(slots=True)
class Waiting:
    key: BatchKey
    rows: int
    since: float = 0.0


waiting = st.builds(
    Waiting,
    key=st.builds(key, height=st.sampled_from([8, 12, 16]), mode=st.sampled_from(Determinism)),
    rows=st.sampled_from([1, 2]),
    since=st.integers(0, 5).map(float),
)
crowds = st.lists(waiting, min_size=1, max_size=30)
caps = st.integers(2, 16)


def test_nobody_waiting_means_no_batch() -> None:
    assert next_batch([], cap=lambda key: 16, strict_rows=STRICT_ROWS) is None


@given(crowds, caps)
def test_a_batch_shares_one_model_and_size_and_keeps_its_limit(
    crowd: list[Waiting], cap: int
) -> None:
    batch = next_batch(crowd, cap=lambda key: cap, strict_rows=STRICT_ROWS)
    assert batch is not None
    assert {(m.key.model, m.key.height, m.key.width, m.key.chunks) for m in batch.members} == {
        (batch.key.model, batch.key.height, batch.key.width, batch.key.chunks)
    }
    taken = sum(member.rows for member in batch.members)
    assert taken <= batch.rows
    assert batch.rows == STRICT_ROWS if batch.key.is_strict else batch.rows == taken <= cap


@given(crowds, caps)
def test_strict_ones_never_step_in_a_fast_batch(crowd: list[Waiting], cap: int) -> None:
    batch = next_batch(crowd, cap=lambda key: cap, strict_rows=STRICT_ROWS)
    assert batch is not None
    if not batch.key.is_strict:
        assert not any(member.key.is_strict for member in batch.members)


@given(crowds, caps)
def test_whoever_waited_longest_is_in_the_next_batch(crowd: list[Waiting], cap: int) -> None:
    batch = next_batch(crowd, cap=lambda key: cap, strict_rows=STRICT_ROWS)
    assert batch is not None
    first = min(crowd, key=lambda one: one.since)
    assert any(member is first for member in batch.members)


@given(crowds, caps, st.lists(st.lists(waiting, max_size=3), max_size=20))
def test_nobody_starves_however_many_newcomers_of_other_sizes_arrive(
    crowd: list[Waiting], cap: int, arrivals: list[list[Waiting]]
) -> None:
    everybody = list(crowd)
    for one in everybody:
        one.since = 0.0
    unserved = {id(one) for one in crowd}
    for now in range(1, len(crowd) + 1):
        batch = next_batch(everybody, cap=lambda key: cap, strict_rows=STRICT_ROWS)
        assert batch is not None
        for member in batch.members:
            member.since = float(now)
            unserved.discard(id(member))
        for newcomer in arrivals[now - 1] if now <= len(arrivals) else []:
            newcomer.since = float(now)
            everybody.append(newcomer)
    assert not unserved


def test_sizes_take_turns() -> None:
    small, large = Waiting(key(8), 2), Waiting(key(16), 2, since=0.5)
    turns = []
    for now in range(1, 5):
        batch = next_batch([small, large], cap=lambda key: 16, strict_rows=STRICT_ROWS)
        assert batch is not None
        (member,) = batch.members
        member.since = float(now)
        turns.append(member.key.height)
    assert turns == [8, 16, 8, 16]


def test_fast_ones_ride_in_the_empty_rows_of_a_strict_batch() -> None:
    strict = Waiting(key(mode=Determinism.STRICT), 2)
    fast = [Waiting(key(), 2, since=1.0) for _ in range(5)]
    batch = next_batch([*fast, strict], cap=lambda key: 16, strict_rows=STRICT_ROWS)
    assert batch is not None
    assert batch.rows == STRICT_ROWS
    assert batch.members == (strict, *fast[:3])


def test_a_lone_row_takes_the_last_place_that_a_pair_does_not_fit() -> None:
    pairs, lone = [Waiting(key(), 2) for _ in range(2)], Waiting(key(), 1, since=1.0)
    batch = next_batch([*pairs, lone], cap=lambda key: 3, strict_rows=STRICT_ROWS)
    assert batch is not None
    assert batch.members == (pairs[0], lone)
