"""Signed, expiring links to the gateway's own file route, for storage that cannot sign."""

import hashlib
import hmac

from latentry.errors import LinkRefused


def sign(secret: bytes, key: str, exp: int) -> str:
    """The signature that lets its bearer read `key` until `exp` (Unix seconds): HMAC-SHA256, hex.

    The leading word keeps other uses of the secret apart; the line breaks, the number and the key.
    """
    return hmac.new(secret, f"file\n{exp}\n{key}".encode(), hashlib.sha256).hexdigest()


def verify(secret: bytes, key: str, exp: int, sig: str, now: float) -> None:
    """Check that `sign` made a link and that it has not expired. Raises LinkRefused."""
    genuine = hmac.compare_digest(sign(secret, key, exp).encode(), sig.encode(errors="replace"))
    if not genuine or now >= exp:
        raise LinkRefused
