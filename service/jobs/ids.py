"""Job ids: `gen_` and 32 hexadecimal digits."""

import re
import secrets
from typing import Final

from latentry.errors import JobNotFound
from latentry.ledger import JobRef

_PREFIX: Final = "gen_"
_ID: Final = re.compile(_PREFIX + r"[0-9a-f]{32}")


def new_ref(tenant: str) -> JobRef:
    """The reference of a new job; its id is random and cannot be guessed."""
    return JobRef(tenant, f"{_PREFIX}{secrets.token_hex(16)}")


def ref_of(tenant: str, job_id: str) -> JobRef:
    """The reference of a tenant's job. Raises JobNotFound for an id that is not well-formed."""
    if not _ID.fullmatch(job_id):
        raise JobNotFound
    return JobRef(tenant, job_id)
