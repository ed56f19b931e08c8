"""The ETag of a job as `GET /v1/generations/{id}` shows it.

It changes with the job, and at each half of its URLs' life: a client that is told that nothing has
changed still has URLs that live for the other half. It is weak (RFC 9110, section 8.8.1): estimates
of a queued job's start move all the time, and do not count. Caches still keep nothing, as answers
have prompts and signed URLs: it is for clients that keep the answer themselves.
"""

import hashlib
from collections.abc import Mapping

from starlette.responses import Response

from latentry.ledger import JobRecord


def etag(record: JobRecord, *, now_s: float, url_ttl_s: int) -> str:
    """The tag of this record's answer at this Unix time."""
    progress = record.progress
    facts = (
        *(record.ref.id, record.state, record.fence, record.claims, record.stopping),
        *(record.position, progress and (progress.step, progress.steps)),
        *(len(record.outputs), len(record.warnings), record.finished_ms),
        int(now_s // (url_ttl_s / 2)),
    )
    digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
    return f'W/"{digest}"'


def is_known(tag: str, headers: Mapping[str, str]) -> bool:
    """Whether the client has this already, by its `If-None-Match`."""
    known = headers.get("if-none-match", "")
    return known.strip() == "*" or any(
        one.strip().removeprefix("W/") == tag.removeprefix("W/") for one in known.split(",")
    )


def not_modified(tag: str) -> Response:
    """The answer to a client that has it."""
    return Response(None, 304, {"ETag": tag, "Cache-Control": "no-store"})
