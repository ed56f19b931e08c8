"""Authentication schemes: how a client presents its API key in the Authorization header."""

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
