"""The checker of histories finds each invariant that is broken."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from pydantic import SecretStr

from latentry.contracts import JobStatus
from latentry.ledger import JobRef, Ledger, commands
from latentry.settings import Settings
from latentry.storage import Storage, key_of, open_storage
from tests.faults.history import History
from tests.faults.house import House
from tests.latentry.ledger.factory import image, new_job


@dataclass(slots=True)
class Scene:
    """What the checker asks a house, and the job that was done in it."""

    ledger: Ledger
    storage: Storage
    logs: str = ""
    key: str = ""

    def text_of_logs(self) -> str:
        return self.logs

    def change(self, ref: JobRef, **fields: Any) -> None:
        self.ledger.client.hset(f"{self.ledger.root}:job:{ref}", mapping=fields)


@pytest.fixture
def scene(settings: Settings, ledger: Ledger) -> Scene:
    kept = {"storage_url": "memory://", "signing_key": SecretStr("k")}
    return Scene(ledger, open_storage(settings.model_copy(update=kept)))


def live(scene: Scene) -> tuple[History, JobRef]:
    """One job, from its entry to its end."""
    ref = scene.ledger.run(commands.create(new_job(), max_queued=9)).ref
    [lease] = scene.ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=9))
    scene.key = key_of(ref.tenant, ref.id, fence=lease.fence, index=0, suffix=".png")
    scene.storage.put(scene.key, b"a picture")
    scene.ledger.run(commands.add_output(lease, image(key=scene.key)))
    scene.ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    scene.logs = f"job.claimed fence={lease.fence} job={ref.id}\n"
    history = History(cast(House, scene))
    history.accepted.add(ref.id)
    history.seen[ref.id] += [JobStatus.QUEUED, JobStatus.SUCCEEDED]
    return history, ref


def tell(scene: Scene, ref: JobRef, kind: str) -> None:
    scene.ledger.client.xadd(f"{scene.ledger.root}:events:{ref}", {"type": kind, "data": "{}"})


BROKEN: dict[str, Callable[[Scene, JobRef, History], object]] = {
    "I1": lambda scene, ref, history: history.accepted.add("gen_gone"),
    "I2": lambda scene, ref, history: tell(scene, ref, "succeeded"),
    "I3": lambda scene, ref, history: setattr(scene, "logs", scene.logs * 2),
    "I4": lambda scene, ref, history: history.seen[ref.id].append(JobStatus.FAILED),
    "I5": lambda scene, ref, history: scene.ledger.client.zadd(
        f"{scene.ledger.root}:leases", {str(ref): 1}
    ),
    "I6": lambda scene, ref, history: scene.change(ref, crashes=4),
    "I7": lambda scene, ref, history: scene.storage.delete(scene.key),
    "I8": lambda scene, ref, history: scene.change(ref, deadline_ms=1),
}


def test_a_history_without_fault_passes(scene: Scene) -> None:
    history, _ = live(scene)
    assert len(history.check()) == 1


@pytest.mark.parametrize("invariant", BROKEN)
def test_a_broken_invariant_is_found(scene: Scene, invariant: str) -> None:
    history, ref = live(scene)
    BROKEN[invariant](scene, ref, history)
    with pytest.raises(AssertionError, match=invariant):
        history.check()


def test_a_job_that_never_ended_is_found(scene: Scene) -> None:
    history, _ = live(scene)
    history.accepted.add(scene.ledger.run(commands.create(new_job(), max_queued=9)).ref.id)
    with pytest.raises(AssertionError, match="never ended"):
        history.check()
