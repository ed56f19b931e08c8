"""A model takes only the steps between its files and memory that make sense."""

from pathlib import Path

import pytest

from worker.engine.models.served_model import RETRY_S, TURN_LOADS, Residency, ServedModel
from worker.engine.models.sources.folder import blueprint_from_folder


@pytest.fixture
def model(folders: dict[str, Path]) -> ServedModel:
    blueprint = blueprint_from_folder("m", folders["epsilon"], prefer_fp16=False)
    return ServedModel(blueprint, size_bytes=1)


def test_a_model_that_is_in_use_is_loaded_before_and_drained_before_it_returns(
    model: ServedModel,
) -> None:
    for state in ("waiting", "loading", "resident", "draining", "resident", "absent"):
        model.become(Residency(state))
    assert model.state is Residency.ABSENT


@pytest.mark.parametrize("state", ["resident", "draining", "failed", "absent"])
def test_a_step_that_makes_no_sense_is_refused_and_changes_nothing(
    model: ServedModel, state: str
) -> None:
    with pytest.raises(ValueError, match=f"cannot become {state}: it is absent"):
        model.become(Residency(state))
    assert model.state is Residency.ABSENT


def test_a_model_that_failed_is_not_tried_again_before_the_retry_time(
    model: ServedModel,
) -> None:
    model.become(Residency.LOADING)
    model.fail(100.0)
    assert model.has_failed_lately(100.0 + RETRY_S - 1)
    assert not model.has_failed_lately(100.0 + RETRY_S)
    model.become(Residency.WAITING)
    assert not model.has_failed_lately(100.0)


def test_a_turn_is_longer_for_what_took_longer_to_load(model: ServedModel) -> None:
    model.become(Residency.LOADING)
    model.enter(200.0, began=100.0)
    assert not model.has_had_its_turn(200.0 + TURN_LOADS * 100.0 - 1)
    assert model.has_had_its_turn(200.0 + TURN_LOADS * 100.0)


def test_a_model_is_free_when_nothing_is_drawn_with_it_and_no_order_needs_it(
    model: ServedModel,
) -> None:
    class Trajectory:
        pass

    model.become(Residency.LOADING)
    model.enter(100.0, began=99.0)
    assert not model.occupant(101.0, needed_since=100.0).is_free
    assert model.occupant(101.0, needed_since=100.5).is_free
    drawn = Trajectory()
    model.users.add(drawn)
    assert not model.occupant(101.0, needed_since=100.5).is_free
    del drawn
    model.become(Residency.DRAINING)
    assert model.occupant(101.0, needed_since=100.0).is_free, "a draining model takes no new orders"
