"""The reference's files: which may be named, and which are due for removal."""

from collections.abc import Iterable
from dataclasses import dataclass

from latentry.errors import FileGone
from latentry.ledger import JobRef
from latentry.ledger.files import FileRef


@dataclass(slots=True)
class ReferenceFile:
    """One file that has a record."""

    is_usable: bool = True
    is_due: bool = False


class ReferenceFiles:
    """The files, and the jobs that have not ended and pin them."""

    def __init__(self) -> None:
        self.all: dict[FileRef, ReferenceFile] = {}
        self.pins: dict[FileRef, set[JobRef]] = {}

    def keep(self, ref: FileRef) -> None:
        self.all.setdefault(ref, ReferenceFile())

    def is_usable(self, ref: FileRef) -> bool:
        return ref in self.all and self.all[ref].is_usable

    def check(self, refs: Iterable[FileRef]) -> None:
        if not all(map(self.is_usable, refs)):
            raise FileGone

    def pin(self, job: JobRef, refs: Iterable[FileRef]) -> None:
        for ref in refs:
            self.pins.setdefault(ref, set()).add(job)

    def unpin(self, job: JobRef) -> None:
        for ref in [ref for ref, jobs in self.pins.items() if job in jobs]:
            self.pins[ref].remove(job)
            if not self.pins[ref]:
                del self.pins[ref]
                if not self.is_usable(ref):
                    self.all[ref].is_due = True

    def expire(self, ref: FileRef) -> None:
        self.all[ref] = ReferenceFile(is_usable=False, is_due=True)

    def delete(self, ref: FileRef) -> bool:
        if ref not in self.all:
            return False
        self.expire(ref)
        return ref not in self.pins

    def take_due(self) -> set[FileRef]:
        due = {ref for ref, file in self.all.items() if file.is_due}
        for ref in due:
            self.all[ref].is_due = False
        return due - self.pins.keys()

    def forget(self, ref: FileRef) -> bool:
        return self.all.pop(ref, None) is not None
