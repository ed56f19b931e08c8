"""The URL of the service and the headers of every request."""

import re
from dataclasses import dataclass, field
from typing import Any, TypedDict

import httpx

from latentry import __version__
from latentry.addresses import without_credentials
from latentry.client.api_calls import ApiCall
from latentry.errors import ConfigurationError

CONNECT_S = 5.0
# A service that is there responds within this, after it has held a response.
GRACE_S = 2.0
# A socket counts milliseconds in 31 bits.
LONGEST_S = 2_000_000.0


class Options(TypedDict):
    """An address as a client's arguments."""

    base_url: str
    api_key: str | None
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL, the API key that is sent only there, and the timeout per response in seconds."""

    base_url: str = field(repr=False)
    api_key: str | None = field(repr=False)
    timeout_s: float

    def __post_init__(self) -> None:
        if self.api_key and not re.fullmatch(r"[!-~]+", self.api_key):
            raise ConfigurationError("The API key must be printable ASCII without spaces.")
        if not self.timeout_s > 0:  # NaN is not
            raise ConfigurationError(f"timeout_s must be more than 0 s, not {self.timeout_s}.")
        if not _is_http(self.base_url):
            shown = without_credentials(self.base_url)
            raise ConfigurationError(
                f"The base URL {shown} is invalid; use one such as http://127.0.0.1:8000."
            )

    @property
    def options(self) -> Options:
        """What a client of this address is made with."""
        return Options(base_url=self.base_url, api_key=self.api_key, timeout_s=self.timeout_s)

    def request(self, http: httpx.Client | httpx.AsyncClient, call: ApiCall[Any]) -> httpx.Request:
        """The call as an HTTP request. Raises ConfigurationError if the client is closed."""
        if http.is_closed:
            raise ConfigurationError("The client is closed; call it within its `with` block.")
        timeout_s = min(self.timeout_s + call.hold_s, call.within_s + GRACE_S, LONGEST_S)
        request = http.build_request(
            call.method,
            call.url,
            params=call.params or None,
            headers={"User-Agent": f"latentry/{__version__}", **call.headers},
            content=call.content,
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
        )
        # Image URLs may point to another server, which must never see the key.
        if self.api_key and _origin(request.url) == _origin(httpx.URL(self.base_url)):
            request.headers["Authorization"] = f"Bearer {self.api_key}"
        return request


def _is_http(url: str) -> bool:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:  # its message may quote a password
        return False
    return parts.scheme in ("http", "https") and bool(parts.host)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
