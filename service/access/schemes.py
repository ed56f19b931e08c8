"""Authentication schemes: how a client presents its API key in the Authorization header."""

from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fastapi.openapi.models import HTTPBase, HTTPBearer

from latentry.api_keys import ApiKey


@dataclass(frozen=True, slots=True)
class Scheme:
    """One scheme. A door whose clients cannot send a bearer token brings its own."""

    name: str  # in the API document
    challenge: str  # the `WWW-Authenticate` header of a 401 (RFC 9110, 11.6.1)
    model: HTTPBase
    # The key in an Authorization header; None if it contains no well-formed one.
    read: Callable[[str], ApiKey | None]


def _bearer(authorization: str) -> ApiKey | None:
    scheme, _, credentials = authorization.partition(" ")
    return ApiKey.parse(credentials.strip()) if scheme.lower() == "bearer" else None


BEARER: Final = Scheme(
    name="API key",
    challenge="Bearer",
    model=HTTPBearer(bearerFormat="ltk_…", description="Created by `latentry keys create`."),
    read=_bearer,
)


def _basic(authorization: str) -> ApiKey | None:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return _bearer(authorization)
    try:
        text = b64decode(credentials.strip(), validate=True).decode()
    except ValueError:  # no base64, or no UTF-8
        return None
    name, _, password = text.partition(":")
    return ApiKey.parse(password) or ApiKey.parse(name)


BASIC: Final = Scheme(
    name="HTTP Basic",
    challenge="Basic",  # as AUTOMATIC1111, without a realm
    model=HTTPBase(
        scheme="basic",
        description="The API key is the password, whatever the user's name. Bearer works too.",
    ),
    read=_basic,
)
