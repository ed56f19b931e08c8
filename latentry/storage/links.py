"""Signed, expiring links to the gateway's own file route, for storage that cannot sign."""

import hashlib
import hmac

from latentry.errors import LinkRefused


def sign(secret: bytes, key: str, exp: int) -> str:
    """The signature that lets its bearer read `key` until `exp` (Unix seconds): HMAC-SHA256, hex.

    The leading word keeps the secret's other uses apart; the number cannot run into the key.
    """
    return hmac.new(secret, f"file\n{exp}\n{key}".encode(), hashlib.sha256).hexdigest()


def verify(secret: bytes, key: str, exp: int, sig: str, now: float) -> None:
    """Let a link pass that `sign` made and that is still young. Raises LinkRefused."""
    genuine = hmac.compare_digest(sign(secret, key, exp).encode(), sig.encode(errors="replace"))
    if not genuine or now >= exp:
        raise LinkRefused
