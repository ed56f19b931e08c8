"""Who leaves memory for another model, over all that the rule can be given."""

from hypothesis import given
from hypothesis import strategies as st

from worker.engine.models.eviction import Decision, Occupant, make_room


@st.composite
def occupants(draw: st.DrawFn) -> list[Occupant]:
    seconds = st.integers(0, 20).map(float)
    return [
        Occupant(
            f"model-{number}",
            draw(st.integers(1, 10)),
            needed_at=draw(seconds),
            resident_at=draw(seconds),
            is_free=draw(st.booleans()),
            is_draining=draw(st.booleans()),
            has_had_its_turn=draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 5)))
    ]


needed = st.integers(1, 20)
budgets = st.integers(20, 40)


def used(among: list[Occupant], *, without: tuple[str, ...] = ()) -> int:
    return sum(one.size_bytes for one in among if one.model not in without)


@given(occupants(), needed, budgets)
def test_only_the_free_are_evicted_and_never_in_vain(
    among: list[Occupant], size: int, budget: int
) -> None:
    evicted = make_room(size, among, budget).evict
    assert set(evicted) <= {one.model for one in among if one.is_free}
    assert not evicted or used(among, without=evicted) + size <= budget


@given(occupants(), needed, budgets)
def test_room_is_made_whenever_the_free_are_enough(
    among: list[Occupant], size: int, budget: int
) -> None:
    free = tuple(one.model for one in among if one.is_free)
    if used(among, without=free) + size <= budget:
        decision = make_room(size, among, budget)
        assert used(among, without=decision.evict) + size <= budget
        assert decision.drain is None


@given(occupants(), needed, budgets)
def test_no_more_are_evicted_than_needed_and_the_least_recently_needed_first(
    among: list[Occupant], size: int, budget: int
) -> None:
    evicted = make_room(size, among, budget).evict
    if evicted:
        assert used(among, without=evicted[:-1]) + size > budget
    needed_at = {one.model: one.needed_at for one in among if one.is_free}
    times = [needed_at[model] for model in evicted]
    assert times == sorted(times)
    stay = [time for model, time in needed_at.items() if model not in evicted]
    assert not times or not stay or max(times) <= min(stay)


@given(occupants(), needed, budgets)
def test_one_that_had_its_turn_drains_only_if_those_that_leave_anyway_are_not_enough(
    among: list[Occupant], size: int, budget: int
) -> None:
    leaving = tuple(one.model for one in among if one.is_free or one.is_draining)
    staying = [one for one in among if one.model not in leaving]
    decision = make_room(size, among, budget)
    if decision.drain is not None:
        assert not decision.evict
        assert used(among, without=leaving) + size > budget
        drained = next(one for one in staying if one.model == decision.drain)
        assert drained.has_had_its_turn
        assert drained.resident_at == min(one.resident_at for one in staying)
    elif not decision.evict and used(among, without=leaving) + size > budget and staying:
        assert not min(staying, key=lambda one: one.resident_at).has_had_its_turn


def test_no_model_leaves_where_there_is_room() -> None:
    one = Occupant("a", 5, 0.0, 0.0, is_free=True, is_draining=False, has_had_its_turn=True)
    assert make_room(5, [one], 10) == Decision()
