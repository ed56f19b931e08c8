"""Where an output lies: `{tenant}/{job id}/{fence}-{index}[-{name}]{suffix}`.

All parts are the service's own, never a client's words.
"""

import re
from typing import Final

from latentry.contracts.outputs import ClipFormat, OutputFormat

_FORMATS: Final[tuple[OutputFormat | ClipFormat, ...]] = (*OutputFormat, *ClipFormat)
MANIFEST_SUFFIX: Final = ".c2pa"
_CONTENT_TYPES: Final = {form.suffix: form.content_type for form in _FORMATS} | {
    MANIFEST_SUFFIX: "application/octet-stream"  # after a line of JSON
}
_SUFFIXES: Final = "|".join(map(re.escape, _CONTENT_TYPES))
# The suffix has a key's only dot, so that no key leads out of its folder.
_WORD: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_PREFIX: Final = re.compile(f"{_WORD}/{_WORD}")
_KEY: Final = re.compile(f"{_WORD}/{_WORD}/[0-9]{{1,19}}-[0-9]{{1,4}}(?:-{_WORD})?(?:{_SUFFIXES})")


def key_of(tenant: str, job_id: str, *, fence: int, index: int, suffix: str, name: str = "") -> str:
    """The key of one output of a job. Raises ValueError for parts that cannot be in one.

    The fence keeps a worker that lost its lease from overwriting its successor's output.
    """
    own = f"{index}-{name}" if name else str(index)
    key = f"{prefix_of(tenant, job_id)}/{fence}-{own}{suffix}"
    if not is_key(key):
        raise ValueError("not a storage key")
    return key


def file_key(tenant: str, file_id: str) -> str:
    """The key of an uploaded picture. Raises ValueError for parts that cannot be in one."""
    return key_of(tenant, file_id, fence=0, index=0, suffix=OutputFormat.PNG.suffix)


def manifest_key(tenant: str, file_id: str) -> str:
    """The key of what an uploaded picture said of its origin. Raises as `file_key`."""
    return key_of(tenant, file_id, fence=0, index=0, suffix=MANIFEST_SUFFIX)


def prefix_of(tenant: str, job_id: str) -> str:
    """What all keys of a job begin with. Raises ValueError for parts that are not ours."""
    prefix = f"{tenant}/{job_id}"
    if not is_prefix(prefix):
        raise ValueError("not a storage prefix")
    return prefix


def owner_of(key: str) -> tuple[str, str]:
    """The tenant and the job id in a key."""
    tenant, job_id, _ = key.split("/")
    return tenant, job_id


def is_key(text: str) -> bool:
    """Whether `key_of` can have made this; any other key is forged."""
    return _KEY.fullmatch(text) is not None


def is_prefix(text: str) -> bool:
    """Whether `prefix_of` can have made this."""
    return _PREFIX.fullmatch(text) is not None


def content_type_of(key: str) -> str:
    """The media type that a key's suffix stands for."""
    return _CONTENT_TYPES[key[key.rindex(".") :]]
