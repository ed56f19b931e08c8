"""The way of each request: directly, or through a proxy of the environment.

httpx reads the same variables, but makes every transport at once: a SOCKS proxy without its extra,
or an address in NO_PROXY, would end the program even if no request went that way.
"""

import ssl
import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx

from latentry.errors import ConfigurationError
from latentry.proxies import Proxy, proxy_for

T = TypeVar("T")
EXTENSION = "latentry.proxy"
"""The extension of a request that has its proxy."""


class _Ways(Generic[T]):
    """One transport for each proxy, made when a request first needs it."""

    def __init__(self, make: Callable[..., T]) -> None:
        self._make = make
        self._proxies = getproxies()
        self._tls = _tls()
        self._making = threading.Lock()  # threads share a client
        self.made: dict[Proxy | None, T] = {}

    def of(self, request: httpx.Request) -> T:
        """The transport of a request. Raises ConfigurationError if its proxy cannot be used."""
        proxy = proxy_for(str(request.url), self._proxies)
        if proxy and proxy_bypass(request.url.host):  # on macOS, the system's own list
            proxy = None
        if proxy:
            request.extensions[EXTENSION] = proxy
        with self._making:
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
