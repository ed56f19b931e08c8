"""API keys as text, `ltk_<id>_<secret>_<checksum>`, and their scopes.

With the prefix and the checksum, scanners find keys that leaked into files, and a mistyped key is
refused without asking the ledger.
"""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH: Final = 12
_SECRET_BYTES: Final = 32
_SECRET_LENGTH: Final = 43  # 62 ** 43 > 2 ** 256
_CHECKSUM_LENGTH: Final = 6  # 62 ** 6 > 2 ** 32
_WORD: Final = "[0-9A-Za-z]"
_KEY: Final = re.compile(
    f"ltk_({_WORD}{{{_ID_LENGTH}}})_({_WORD}{{{_SECRET_LENGTH}}})_({_WORD}{{{_CHECKSUM_LENGTH}}})"
)
# It is part of Redis keys and storage keys, so it has neither colons nor slashes.
TENANT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
DEFAULT_TENANT: Final = "default"


class Scope(StrEnum):
    """What a key may do."""

    WRITE = "generations:write"
    READ = "generations:read"
    FILES = "files"
    USAGE = "usage:read"
    USAGE_OF_ALL = "usage:tenant"


ALL_SCOPES: Final = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key. The ledger stores its id and the digest of its secret, never the secret."""

    id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls, id: str | None = None) -> Self:
        """A new key: a new secret, with this id or a new one."""
        new_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
        number = int.from_bytes(secrets.token_bytes(_SECRET_BYTES))
        return cls(id or new_id, _base62(number, _SECRET_LENGTH))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The key in a text, or None if the text is no valid key."""
        found = _KEY.fullmatch(text)
        if found is None:
            return None
        key = cls(found[1], found[2])
        return key if key.text == text else None

    @property
    def text(self) -> str:
        """The key as its owner uses it."""
        body = f"ltk_{self.id}_{self.secret}"
        return f"{body}_{_base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)}"

    @property
    def digest(self) -> str:
        """SHA-256 of the secret, hex. A fast hash is safe for a random secret of 256 bits."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
