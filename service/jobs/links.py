"""URLs of the gateway itself that expire, need no key, and mind none that is sent along."""

import time
from dataclasses import dataclass
from functools import cached_property

from latentry.errors import LinkRefused, Unavailable
from latentry.settings import Settings
from latentry.storage import sign, verify


@dataclass(frozen=True)
class GatewayLinks:
    """Signs such URLs and checks them, whether or not the storage signs its own.

    Where it does, the secret is read at its first use: such a gateway may have no data folder.
    """

    settings: Settings

    def file(self, key: str) -> str:
        """What reads a stored output."""
        return f"{self.settings.base_url}/v1/files/{key}?{self.signature(key)}"

    def signature(self, key: str) -> str:
        """The query that lets its bearer read what `key` names."""
        exp = int(time.time()) + self.settings.url_ttl_s
        return f"exp={exp}&sig={sign(self._secret, key, exp)}"

    def check(self, key: str, exp: str, sig: str) -> None:
        """Check that `signature` made it and that it has not expired. Raises LinkRefused."""
        if not (exp.isascii() and exp.isdigit() and len(exp) < 16):
            raise LinkRefused
        verify(self._secret, key, int(exp), sig, time.time())

    @cached_property
    def _secret(self) -> bytes:
        try:
            return self.settings.signing_secret()
        except OSError:
            raise Unavailable(
                "There is no secret to sign URLs with: LATENTRY_SIGNING_KEY."
            ) from None
