"""A worker without an engine: it moves jobs through the ledger exactly as a real one does."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from latentry.contracts import JobKind, JobStatus, OutputKind, StoredOutput
from latentry.errors import LatentryError, LeaseLost
from latentry.ledger import Lease, Ledger, commands
from latentry.storage import Storage, key_of

PICTURE = b"\x89PNG\r\n\x1a\n not really"


class FakeWorker:
    """Step by step for tests that look in between, or `with` a thread that works by itself."""

    def __init__(self, ledger: Ledger, storage: Storage) -> None:
        self.ledger = ledger
        self.storage = storage
        self.fails_with: LatentryError | None = None
        self.queues = ["shapes"]
        self.on_claim: Callable[[Lease], object] = lambda _: None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def claim(self) -> Lease:
        [lease] = self.ledger.run(commands.claim("fake", ["shapes"], room=1, lease_s=30))
        return lease

    def step(self, lease: Lease, step: int) -> None:
        steps = lease.record.request.total_steps
        self.ledger.run(commands.report_progress([(lease, step, steps)]))

    def show(self, lease: Lease, step: int, index: int = 0) -> None:
        self.ledger.run(commands.publish_preview(lease, index, step, PICTURE))

    def draw(self, lease: Lease, index: int = 0, **more: Any) -> StoredOutput:
        """The image, or another output of it where `more` says which."""
        ref, request = lease.ref, lease.record.request
        suffix = request.output_format.suffix
        key = key_of(
            ref.tenant,
            ref.id,
            fence=lease.fence,
            index=index,
            suffix=suffix,
            name=more.get("name", ""),
        )
        self.storage.put(key, PICTURE)
        width, height = request.final_size
        image = StoredOutput(
            index=index,
            seed=request.seed + index,
            width=width,
            height=height,
            content_type=request.output_format.content_type,
            pixel_sha256="0" * 64,
            key=key,
            **more,
        )
        self.ledger.run(commands.add_output(lease, image))
        return image

    def say(self, lease: Lease, text: str = "a red circle") -> None:
        """The words of a caption, which have no file."""
        words = StoredOutput(
            kind=OutputKind.CAPTION,
            index=0,
            seed=0,
            width=1,
            height=1,
            content_type="text/plain",
            pixel_sha256="",
            key="",
            text=text,
        )
        self.ledger.run(commands.add_output(lease, words))

    def settle(self, lease: Lease, status: JobStatus = JobStatus.SUCCEEDED) -> None:
        self.ledger.run(commands.settle(lease, status, self.fails_with))

    def finish(self, lease: Lease) -> None:
        if self.fails_with:
            self.settle(lease, JobStatus.FAILED)
            return
        if lease.record.request.kind is JobKind.CAPTION:
            self.say(lease)
        else:
            for index in range(lease.record.request.pictures):
                self.draw(lease, index)
        self.settle(lease)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._done.wait(0.01):
            for lease in self.ledger.run(commands.claim("fake", self.queues, room=8, lease_s=30)):
                self.on_claim(lease)
                with suppress(LeaseLost):  # it was canceled, or its time is over
                    self.step(lease, 1)
                    self.finish(lease)
