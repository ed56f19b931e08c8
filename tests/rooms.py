"""How xdist spreads the tests over its workers: files that share what is dear stay together."""

import os
from typing import Final

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

# What a room shares is made once: a running service, models, a server of S3. Rooms are begun in
# this order, the longest first, and all other files after them, so that all workers end together.
ROOMS: Final = (
    "tests/e2e/test_resume.py",
    "tests/faults/test_workers.py",
    "tests/worker/engine/models/",
    "tests/worker/engine/",
    "tests/e2e/test_faults.py",
    "tests/e2e/test_two_commands.py",
    "tests/e2e/test_cookbook.py",
    "tests/e2e/test_s3.py",
    "tests/e2e/",
    "tests/faults/test_ledger.py",
    "tests/deploy/test_start.py",
    "tests/service/webhooks/test_webhook_faults.py",
    "tests/service/test_process.py",
    "tests/latentry/storage/",
)


def room_of(nodeid: str) -> str:
    """The first room that the test lies in, or else its file."""
    return next((room for room in ROOMS if nodeid.startswith(room)), nodeid.partition("::")[0])


def workers() -> int:
    """Two for each core: most tests wait for other processes most of the time."""
    return min(8, 2 * len(os.sched_getaffinity(0)))


class Rooms(LoadScopeScheduling):
    """Gives a worker one room after another."""

    def remove_node(self, node: WorkerController) -> str | None:
        """Give others what a worker that died has left, but for the test that it died of.

        xdist queues its finished rooms too. Whoever is given one of those is told to run nothing,
        never reports, and is waited for until CI's time is over.
        """
        rooms = self.assigned_work.pop(node)
        left = [(room, test) for room, tests in rooms.items() for test in tests if not tests[test]]
        for room, test in left[1:]:
            self.workqueue.setdefault(room, {})[test] = False
        for other in self.assigned_work:
            self._reschedule(other)
        return left[0][1] if left else None

    def _reschedule(self, node: WorkerController) -> None:
        # A worker begins a test when it knows the next one, or that none follows.
        super()._reschedule(node)
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)

    def _split_scope(self, nodeid: str) -> str:
        return room_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        ranks = {room: rank for rank, room in enumerate(ROOMS)}
        first = min(self.workqueue, key=lambda room: ranks.get(room, len(ROOMS)))
        self.workqueue.move_to_end(first, last=False)
        super()._assign_work_unit(node)
