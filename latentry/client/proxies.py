"""The way of each request: directly, or through a proxy of the environment.

httpx reads the same variables, but makes every transport at once: a SOCKS proxy without its extra,
or an address in NO_PROXY, would end the program even if no request went that way.
"""

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Generic, TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx

from latentry.addresses import is_loopback
from latentry.errors import ConfigurationError

T = TypeVar("T")
EXTENSION = "latentry.proxy"
"""The extension of a request that has its proxy."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the variable that names it."""

    url: str
    variable: str

    def __str__(self) -> str:
        """Without the password that a URL may have."""
        address = self.url.rpartition("@")[2].rpartition("//")[2].rstrip("/")
        return f"{self.variable} ({address})"


def proxy_for(url: httpx.URL, proxies: Mapping[str, str]) -> Proxy | None:
    """The proxy of a URL, among those that `getproxies` returns. This machine needs none."""
    scheme = next((name for name in (url.scheme, "all") if proxies.get(name)), None)
    if scheme is None or is_loopback(url.host) or _is_excepted(url, proxies.get("no", "")):
        return None
    return Proxy(proxies[scheme], f"{scheme}_proxy".upper())


def _is_excepted(url: httpx.URL, no_proxy: str) -> bool:
    """Whether NO_PROXY names the host: `*`, a domain, host:port, an address or a network."""
    entries = re.split(r"[,\s]+", no_proxy.lower())
    if any(_covers(entry, url) for entry in entries if entry):
        return True
    return bool(proxy_bypass(url.host))  # on macOS, the system's own list


def _covers(entry: str, url: httpx.URL) -> bool:
    if entry == "*":
        return True
    try:
        return ip_address(url.host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:  # a name on either side
        name, _, port = entry.lstrip("*.").partition(":")
        is_port = not port or port == str(url.port or {"http": 80, "https": 443}[url.scheme])
        return is_port and (url.host == name or url.host.endswith(f".{name}"))


class _Ways(Generic[T]):
    """One transport for each proxy, made when a request first needs it."""

    def __init__(self, make: Callable[..., T]) -> None:
        self._make = make
        self._proxies = getproxies()
        self._tls = _tls()
        self.made: dict[Proxy | None, T] = {}

    def of(self, request: httpx.Request) -> T:
        """The transport of a request. Raises ConfigurationError if its proxy cannot be used."""
        proxy = proxy_for(request.url, self._proxies)
        if proxy:
            request.extensions[EXTENSION] = proxy
        if proxy not in self.made:
            self.made[proxy] = self._transport(proxy, request.url.host)
        return self.made[proxy]

    def _transport(self, proxy: Proxy | None, host: str) -> T:
        if proxy is None:
            return self._make(verify=self._tls)
        url = proxy.url if "://" in proxy.url else f"http://{proxy.url}"
        otherwise = f"or add {host} to NO_PROXY"
        try:
            tls = self._tls if url.startswith("https:") else None
            return self._make(verify=self._tls, proxy=httpx.Proxy(url, ssl_context=tls))
        except ImportError as error:
            raise ConfigurationError(
                f"{proxy} is a SOCKS proxy, which needs an extra: pip install 'httpx[socks]',"
                f" {otherwise}."
            ) from error
        except (ValueError, httpx.InvalidURL) as error:
            raise ConfigurationError(
                f"{proxy} cannot be used: a proxy begins with http://, https:// or socks5://,"
                f" {otherwise}."
            ) from error


class Transport(httpx.BaseTransport):
    """The blocking client's transport."""

    def __init__(self) -> None:
        self._ways = _Ways(httpx.HTTPTransport)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on its way."""
        return self._ways.of(request).handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        for transport in self._ways.made.values():
            transport.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """The transport of the client for asyncio."""

    def __init__(self) -> None:
        self._ways = _Ways(httpx.AsyncHTTPTransport)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on its way."""
        return await self._ways.of(request).handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        for transport in self._ways.made.values():
            await transport.aclose()


def _tls() -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise ConfigurationError(
            f"SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error}."
        ) from error
