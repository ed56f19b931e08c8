"""Several workers, clients and sweepers at once on one ledger: every job ends exactly once."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

from latentry.contracts import JobStatus
from latentry.errors import EngineError, LeaseLost
from latentry.ledger import JobRef, Lease, Ledger, commands
from tests.latentry.ledger.audit import audit
from tests.latentry.ledger.factory import image, new_job

JOBS = 300
TURNS = 20_000  # far more than it takes: a crowd that gets nowhere fails instead of hanging


class Member:
    """One thread of the crowd: it claims, works, cancels, sweeps and abandons, all by chance."""

    def __init__(self, ledger: Ledger, refs: list[JobRef], seed: int) -> None:
        self.ledger = ledger
        self.refs = refs
        self.chance = random.Random(seed)
        self.claimed: list[Lease] = []
        self.settled: list[JobRef] = []

    def run(self, all_are_in: threading.Event) -> None:
        for _ in range(TURNS):
            lease_s = self.chance.choice([0.0, 60.0])
            room = self.chance.randint(1, 4)
            claim = commands.claim("w", ["shapes"], room=room, lease_s=lease_s)
            was_last = all_are_in.is_set()
            leases = self.ledger.run(claim)
            self.claimed += leases
            for lease in leases:
                self.work(lease, may_abandon=lease_s == 0)
            if self.chance.random() < 0.3:
                self.ledger.run(commands.sweep(lease_s=60))
            if self.chance.random() < 0.2:
                self.ledger.run(commands.cancel(self.chance.choice(self.refs)))
            if not leases and was_last and not self.is_any_left():
                return
        raise AssertionError("the crowd got nowhere")

    def work(self, lease: Lease, *, may_abandon: bool) -> None:
        try:
            self.ledger.run(commands.report_progress([(lease, 1, 4)]))
            if may_abandon and self.chance.random() < 0.3:
                return
            [answer] = self.ledger.run(commands.renew([lease], lease_s=60))
            if answer == "stop":
                self.ledger.run(commands.settle(lease, JobStatus.CANCELED))
            elif self.chance.random() < 0.2:
                self.ledger.run(commands.release(lease))
                return
            elif self.chance.random() < 0.2:
                self.ledger.run(commands.settle(lease, JobStatus.FAILED, EngineError()))
            else:
                self.ledger.run(commands.add_output(lease, image()))
                self.ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
            self.settled.append(lease.ref)
        except LeaseLost:
            pass  # somebody's sweep was faster

    def is_any_left(self) -> bool:
        """Whether a job runs or waits, perhaps by this member's own sweep after its last claim."""
        root, count = self.ledger.root, self.ledger.client.zcard
        # In this order: what is claimed between the two is another member's, who goes on.
        return bool(count(f"{root}:leases") or count(f"{root}:queue:shapes"))


def test_a_crowd_ends_every_job_exactly_once(ledger: Ledger) -> None:
    jobs = [new_job() for _ in range(JOBS)]
    crowd = [Member(ledger, [job.ref for job in jobs], seed) for seed in range(4)]
    all_are_in = threading.Event()
    with ThreadPoolExecutor(len(crowd)) as pool:
        turns = [pool.submit(member.run, all_are_in) for member in crowd]
        for job in jobs:
            ledger.run(commands.create(job, max_queued=JOBS))
        all_are_in.set()
        for turn in turns:
            turn.result()

    entries = audit(ledger)
    assert entries.keys() == {job.ref for job in jobs}
    assert all(entry.state.is_terminal for entry in entries.values())
    claims = [(lease.ref, lease.fence) for member in crowd for lease in member.claimed]
    assert len(claims) == len(set(claims)), "no two holders at one fence"
    settled = [ref for member in crowd for ref in member.settled]
    assert len(settled) == len(set(settled)), "no two workers end one job"
    ends = [entry.state for entry in entries.values()]
    assert len(set(ends)) >= 3, "the crowd met more than the happy end"
