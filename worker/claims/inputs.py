"""The pictures that jobs start from, read from storage before the jobs reach the step loop."""

from typing import Final

from latentry.errors import FileGone, FileNotFound
from latentry.ledger import Lease
from latentry.storage import Storage, file_key
from worker.engine.loop import Input


class Inputs:
    """Reads the files that a job pins."""

    def __init__(self, storage: Storage) -> None:
        self._storage: Final = storage

    def load(self, lease: Lease) -> tuple[Input, ...]:
        """The job's files, by the names of their fields. Raises FileGone or StorageUnavailable."""
        named, read = lease.record.request.inputs(), dict[str, bytes]()
        for one in named.values():
            if one.file not in read:
                read[one.file] = self._read(lease.ref.tenant, one.file)
        return tuple(Input(name, read[one.file]) for name, one in named.items())

    def _read(self, tenant: str, file: str) -> bytes:
        try:
            return self._storage.get(file_key(tenant, file))
        except (FileNotFound, ValueError):  # or the record names what is no file of ours
            raise FileGone from None
