"""Files, pictures that callers upload, until they expire: records and the tenant's quota."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, Self

from latentry.contracts import C2paState
from latentry.errors import FileQuotaExceeded
from latentry.ledger.connection import Command
from latentry.ledger.refs import JobRef, Ref

PREFIX: Final = "file_"


class FileRef(Ref):
    """A file's full name."""

    __slots__ = ()

    @classmethod
    def of(cls, ref: JobRef) -> Self | None:
        """The file of this name, or None if it is the name of a job."""
        return cls(ref.tenant, ref.id) if ref.id.startswith(PREFIX) else None


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to enter; `bytes` with those of its manifest."""

    ref: FileRef
    bytes: int
    sha256: str
    width: int
    height: int
    pixel_sha256: str = ""
    c2pa: C2paState = C2paState.NONE


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file as it stands. Times are Unix milliseconds by the ledger's clock."""

    ref: FileRef
    bytes: int
    sha256: str
    width: int
    height: int
    created_ms: int
    expires_ms: int
    pixel_sha256: str = ""
    c2pa: C2paState = C2paState.NONE

    @classmethod
    def read(cls, ref: FileRef, flat: Sequence[str]) -> Self | None:
        """A record from HGETALL's answer, or None if that is empty."""
        if not flat:
            return None
        row = dict(zip(flat[::2], flat[1::2], strict=True))
        numbers = ("bytes", "width", "height", "created_ms", "expires_ms")
        return cls(
            ref=ref,
            sha256=row["sha256"],
            pixel_sha256=row.get("pixel_sha256", ""),  # an older version stored none
            c2pa=C2paState(row.get("c2pa", C2paState.NONE)),
            **{name: int(row[name]) for name in numbers},
        )


def keep(file: NewFile, *, ttl_ms: int, max_files: int, max_bytes: int) -> Command[FileRecord]:
    """Enter a file within its tenant's quota. Raises FileQuotaExceeded."""

    def read(answer: Sequence[Any]) -> FileRecord:
        if answer[0] == "full":
            raise FileQuotaExceeded(retry_after_s=max(1, ceil(int(answer[1]) / 1000)))
        record = FileRecord.read(file.ref, answer[1])
        assert record is not None, "what is kept has its record"
        return record

    facts = (file.sha256, file.width, file.height, file.pixel_sha256, file.c2pa)
    args = (str(file.ref), file.ref.tenant, file.bytes, ttl_ms, max_files, max_bytes, *facts)
    return Command("files/keep", args, read)


def get(ref: FileRef) -> Command[FileRecord | None]:
    """One file that requests may name, or None."""
    return Command("files/get", (str(ref),), lambda answer: FileRecord.read(ref, answer))


def list_files(
    tenant: str, limit: int, *, after: tuple[int, FileRef] | None = None
) -> Command[list[FileRecord]]:
    """A tenant's files that requests may name, those that expire last first.

    after: when the last file of the page before expires, in Unix milliseconds, and its name.
    """

    def read(answer: Sequence[Any]) -> list[FileRecord]:
        pairs = zip(answer[::2], answer[1::2], strict=True)
        records = (FileRecord.read(FileRef.parse(ref), flat) for ref, flat in pairs)
        return [record for record in records if record]

    place = ("+inf", "") if after is None else (after[0], str(after[1]))
    return Command("files/list", (tenant, limit, *place), read)


def exists(ref: FileRef) -> Command[bool]:
    """Whether there is a record, also of a file that only its jobs still keep."""
    return Command("files/exists", (str(ref),), bool)


def delete(ref: FileRef) -> Command[bool]:
    """From now on no request can name the file. True: no job pins it, and it may be removed."""
    return Command("files/delete", (str(ref),), bool)


def forget(ref: FileRef) -> Command[bool]:
    """Remove a file's record; its bytes go before. False: there was none."""
    return Command("files/forget", (str(ref), ref.tenant), bool)


def take_due(limit: int) -> Command[list[FileRef]]:
    """Files that have expired or were deleted, and that no job pins, for this caller to remove."""

    def read(answer: Iterable[str]) -> list[FileRef]:
        return [FileRef.parse(ref) for ref in answer]

    return Command("files/take_due", (limit,), read)
