"""Queues of models in memory come first, and none of the others is forgotten."""

from worker.claims.queue_choice import ALL_S, QueueChoice


def test_models_in_memory_come_first_and_all_get_their_turn() -> None:
    queues = QueueChoice(["a", "b", "c"], lambda: {"b", "c"})
    assert queues.choose(1.0) == ["a", "b", "c"]
    assert queues.choose(2.0) == ["b", "c"]
    assert queues.choose(1.0 + ALL_S) == ["a", "b", "c"]
    assert queues.choose(2.0 + ALL_S) == ["b", "c"]


def test_when_those_are_empty_the_others_are_tried_at_once_but_only_once() -> None:
    queues = QueueChoice(["a", "b"], lambda: ["b"])
    queues.choose(1.0)
    queues.choose(2.0)
    assert queues.are_empty()
    assert queues.choose(2.0) == ["a", "b"]
    assert not queues.are_empty()
    assert queues.choose(3.0) == ["b"]


def test_a_worker_with_nothing_in_memory_claims_from_all() -> None:
    queues = QueueChoice(["a", "b"], tuple)
    assert queues.choose(1.0) == queues.choose(2.0) == ["a", "b"]


def test_queues_whose_model_did_not_load_are_left_to_others_for_as_long() -> None:
    failed = {"c"}
    queues = QueueChoice(["a", "b", "c"], lambda: ["b"], lambda: failed)
    assert queues.choose(1.0) == ["a", "b"]
    assert not queues.are_empty(), "nothing is left to be tried"
    assert queues.choose(2.0) == ["b"]
    failed |= {"a", "b"}
    assert queues.choose(3.0) == []
    failed.clear()
    assert queues.choose(3.0 + ALL_S) == ["a", "b", "c"]
