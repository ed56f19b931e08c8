"""URLs of the gateway itself that expire, need no key, and mind none that is sent along."""

import hmac
import time
from dataclasses import dataclass
from functools import cached_property

from latentry.errors import LinkRefused, Unavailable
from latentry.settings import Settings
from latentry.storage import sign, verify


@dataclass(frozen=True)
class GatewayLinks:
    """Signs such URLs and checks them, whether or not the storage signs its own.

    Where it does, gateways share no folder: what they share is the bucket's secret key, from which
    theirs is made; or else LATENTRY_SIGNING_KEY. It is read at its first use, as few need it there.
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

    @property
    def _is_bucket(self) -> bool:
        return self.settings.storage_url.startswith("s3:")

    @cached_property
    def _secret(self) -> bytes:
        settings = self.settings
        shared = settings.s3_secret_key.get_secret_value()
        if shared and not settings.signing_key.get_secret_value() and self._is_bucket:
            return hmac.digest(shared.encode(), b"latentry's links", "sha256")
        try:
            return settings.signing_secret()
        except OSError:
            raise Unavailable(
                "There is no secret to sign URLs with: LATENTRY_SIGNING_KEY."
            ) from None
