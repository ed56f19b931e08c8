"""The spreading of tests over workers ends, whoever dies."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from xdist.remote import Producer

from tests.rooms import Rooms

TESTS = [f"tests/{room}.py::{test}" for room in "abcd" for test in ("one", "two", "three")]


class Node:
    """A worker as the scheduler knows it, and what it does: it runs what it was sent, in order.

    Like xdist's it begins no test before it knows the next one, or that none follows.
    """

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down = False
        self.waiting: list[int] = []

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        self.waiting.extend(indices)

    def shutdown(self) -> None:
        self.shutting_down = True

    def run(self) -> int | None:
        """The test that it has run; None if it waits."""
        may_run = len(self.waiting) > 1 or (self.waiting and self.shutting_down)
        return self.waiting.pop(0) if may_run else None


@pytest.mark.parametrize("ran_before", range(6))
@pytest.mark.parametrize("ran_elsewhere", range(4))
def test_every_test_is_run_and_every_worker_told_to_end_if_one_dies(
    pytestconfig: pytest.Config,
    monkeypatch: pytest.MonkeyPatch,
    ran_before: int,
    ran_elsewhere: int,
) -> None:
    monkeypatch.setattr(pytestconfig.option, "tx", ["2*popen"])
    rooms = Rooms(pytestconfig, Producer("rooms", enabled=False))
    dying, living, heir = Node("dying"), Node("living"), Node("heir")
    ran: set[str] = set()

    def run(node: Node, at_most: int = len(TESTS)) -> None:
        for _ in range(at_most):
            if (index := node.run()) is None:
                break
            ran.add(TESTS[index])
            rooms.mark_test_complete(node, index)

    for node in (dying, living):
        rooms.add_node(node)
        rooms.add_node_collection(node, TESTS)
    rooms.schedule()
    run(living, ran_elsewhere)
    run(dying, ran_before)
    died_of = TESTS[dying.waiting[0]]
    assert rooms.remove_node(dying) == died_of
    rooms.add_node(heir)
    rooms.add_node_collection(heir, TESTS)
    rooms.schedule()
    for _ in TESTS:
        run(living)
        run(heir)
    assert ran == set(TESTS) - {died_of}
    assert rooms.tests_finished
    assert living.shutting_down
    assert heir.shutting_down
