"""What clients saw and what is left behind, checked against the eight invariants, as Jepsen does.

I1 what was acknowledged ends once; I2 one commit each; I3 fences only rise; I4 an end is an end;
I5 a job is in one place; I6 attempts are capped; I7 what is named exists; I8 deadlines hold.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Lock

from latentry.client import ApiError, Unreachable
from latentry.contracts import EventType, Job, JobStatus, StoredOutput
from latentry.contracts.any_request import read_request
from latentry.errors import FileNotFound
from latentry.ledger import JobRef
from latentry.ledger.accounts import read_usage
from latentry.rules.adapters.controls import control_names
from latentry.rules.pricing import intermediates
from latentry.rules.sequences.frames import CLIP_NAME, clip
from tests.e2e.processes import before_signing
from tests.faults.house import House
from tests.latentry.ledger.audit import Entry, audit

_CLAIM = re.compile(r"job\.claimed .*fence=(\d+) job=(\S+)")


@dataclass(slots=True)
class History:
    """Every call of a test's clients with its outcome. An unknown one may have had its effect."""

    house: House
    accepted: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    unknown: int = 0
    seen: dict[str, list[JobStatus]] = field(default_factory=lambda: defaultdict(list))
    fetched: int = 0
    _lock: Lock = field(default_factory=Lock)

    def submit(self, steps: int = 10, **fields: object) -> Job | None:
        """Submit a job; None if it was refused, or if the reply was lost."""
        return self.note(lambda: self.house.submit(steps, **fields))

    def note(self, submit: Callable[[], Job]) -> Job | None:
        """A submission of any kind of job; None as of `submit`."""
        try:
            job = submit()
        except ApiError as error:
            with self._lock:
                self.refused.append(error.code)
            return None
        except Unreachable:
            with self._lock:
                self.unknown += 1
            return None
        with self._lock:
            self.accepted.add(job.id)
            self.seen[job.id].append(job.status)
        return job

    def end_of(self, id: str, timeout_s: float = 120) -> Job:
        """Wait for a job's end; its pictures must be there to fetch by then."""
        job = self.house.client.wait(id, timeout_s=timeout_s)
        with self._lock:
            self.seen[id].append(job.status)
            self.fetched += len(job.images)
        for image in job.images:
            assert self.house.client.download(image), "the picture of an end is there (I7)"
        return job

    def check(self) -> dict[JobRef, Entry]:
        """Each invariant, over what was seen and over what is left. Everything must be at rest."""
        entries = audit(self.house.ledger)  # I2, I4, I5, I6 as the ledger's own keys show them
        ids = {ref.id: entry for ref, entry in entries.items()}
        lost = self.accepted - ids.keys()
        assert not lost, f"{len(lost)} acknowledged jobs are gone (I1): {sorted(lost)[:3]}"
        running = [id for id, entry in ids.items() if not entry.state.is_terminal]
        assert not running, f"{len(running)} jobs never ended (I1): {running[:3]}"
        assert len(ids) <= len(self.accepted) + self.unknown, "no job without a request"
        for id, statuses in self.seen.items():
            self._check_sight(statuses, ids[id].state)
        for ref, entry in entries.items():
            self._check_pictures(ref, entry)
            _check_deadline(entry)
        self._check_fences(ids)
        self._check_usage(entries)
        return entries

    def _check_sight(self, statuses: list[JobStatus], at_last: JobStatus) -> None:
        ends = {status for status in statuses if status.is_terminal}
        assert ends <= {at_last}, f"an end that changed (I4): {ends} and then {at_last}"

    def _check_pictures(self, ref: JobRef, entry: Entry) -> None:
        rows = [text for name, text in entry.fields.items() if name.startswith("output:")]
        images = [StoredOutput.model_validate_json(text) for text in rows]
        if entry.state is JobStatus.SUCCEEDED:
            request = read_request(entry.fields["request"])
            names = ["", *intermediates(request)]
            each = [(index, name) for index in range(request.pictures) for name in names]
            each += [(0, CLIP_NAME)] if clip(request) else []
            each += [(0, name) for name in control_names(request)]
            found = sorted((image.index, image.name) for image in images)
            assert found == sorted(each), (
                "each picture, each of its steps, and their clip, once (I2)"
            )
        for image in images:
            assert self.is_stored(image.key), "it exists (I7)"
            assert image.key.startswith(f"{ref.tenant}/{ref.id}/"), "and is its own"

    def is_stored(self, key: str) -> bool:
        try:
            return bool(self.house.storage.get(key))
        except FileNotFound:
            return False

    def _check_usage(self, entries: dict[JobRef, Entry]) -> None:
        today = datetime.now(UTC).date()
        tenants = {ref.tenant for ref in entries}
        days = [read_usage(one, today - timedelta(1), today + timedelta(1)) for one in tenants]
        used = sum(day.images for one in days for day in self.house.ledger.run(one))
        made = sum(len(entry.images) for entry in entries.values())
        assert used == made, "each picture is charged for, once"

    def _check_fences(self, ids: dict[str, Entry]) -> None:
        claims = defaultdict(list)
        for fence, id in _CLAIM.findall(self.house.text_of_logs()):
            claims[id].append(int(fence))
        for id, fences in claims.items():
            assert len(set(fences)) == len(fences), f"a fence was given twice (I3): {id} {fences}"
            if id in ids:
                assert max(fences) <= int(ids[id].fields["fence"]), "fences only rise (I3)"


def _check_deadline(entry: Entry) -> None:
    """Where a job begins anew its deadline moves on: never back."""
    names = {"deadline_ms", "finish_by_ms"} & entry.fields.keys()
    deadline = min(int(entry.fields[name]) for name in names)
    began = [
        int(id.partition("-")[0])
        for kind, id in zip(entry.events, entry.ids, strict=True)
        if kind is EventType.RUNNING
    ]
    assert all(at <= deadline for at in began), "nothing begins past its deadline (I8)"


def claims_of(entry: Entry) -> int:
    """How many times it began to run."""
    return entry.events.count(EventType.RUNNING)


def digest(house: House, job: Job) -> str:
    """The files of a job's pictures before they were signed, as one hash; all are there."""
    assert all(house.client.download(image) for image in job.images)
    return sha256("".join(map(before_signing, job.images)).encode()).hexdigest()
