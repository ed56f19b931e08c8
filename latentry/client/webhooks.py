"""Whether a notification is from the service, by its signature (Standard Webhooks)."""

import base64
import hmac
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic import ValidationError

from latentry.contracts import Notification
from latentry.errors import ConfigurationError, LatentryError

TOLERANCE_S: Final = 300.0
_PREFIX: Final = "whsec_"


class WebhookRefused(LatentryError):
    """The notification is not from the service, or too old."""

    code = "webhook_refused"


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance_s: float = TOLERANCE_S,
) -> Notification:
    """The notification in a request's body, if one of the secrets signed it.

    `secret`: `whsec_…`, or several while it is rotated; `tolerance_s`: how far the clocks may be
    apart. The header `webhook-id` is the same on every retry: use it to ignore repetitions. Raises
    WebhookRefused, or ConfigurationError for a secret or a tolerance that is none.
    """
    if not tolerance_s >= 0:  # NaN is not, and would let every age pass
        raise ConfigurationError(f"tolerance_s must be 0 or more seconds, not {tolerance_s}.")
    given = {name.lower(): value for name, value in headers.items()}
    try:
        id, at, signatures = (given[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        age_s = abs(time.time() - int(at))
    except KeyError as error:
        raise WebhookRefused(f"The header {error.args[0]} is missing.") from None
    except ValueError:
        raise WebhookRefused("The header webhook-timestamp is not a number.") from None
    if age_s > tolerance_s:
        raise WebhookRefused(f"The notification is {age_s:.0f} s off; is a clock wrong?")
    signed = f"{id}.{at}.".encode() + body
    secrets = [secret] if isinstance(secret, str) else secret
    if not any(_signed(signed, signatures, key) for key in _keys(secrets)):
        raise WebhookRefused("The signature is not that of any secret.")
    try:
        return Notification.model_validate_json(body)
    except ValidationError as error:
        raise WebhookRefused("The body is signed, but it is no notification.") from error


def _signed(text: bytes, signatures: str, key: bytes) -> bool:
    ours = b"v1," + base64.b64encode(hmac.digest(key, text, "sha256"))
    return any(hmac.compare_digest(ours, theirs.encode()) for theirs in signatures.split())


def _keys(secrets: Sequence[str]) -> Iterator[bytes]:
    for secret in secrets:
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except ValueError:
            key = b""
        if not key:
            raise ConfigurationError(f"A webhook secret is {_PREFIX}… in base64.")
        yield key
