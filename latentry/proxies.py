"""The proxies of the environment, and which URLs are reached through them. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

from latentry.addresses import is_loopback

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the variable that names it."""

    url: str = field(repr=False)  # it may have a password
    variable: str

    def __str__(self) -> str:
        """Without the password that a URL may have."""
        address = self.url.rpartition("@")[2].rpartition("//")[2].rstrip("/")
        return f"{self.variable} ({address})"


def read_proxies(env: Mapping[str, str]) -> dict[str, str]:
    """`http`, `https`, `all` and `no`, from `http_proxy` and so on; lower case goes first."""
    names = ("http", "https", "all", "no")
    found = {name: env.get(f"{name}_proxy") or env.get(f"{name}_proxy".upper()) for name in names}
    return {name: value for name, value in found.items() if value}


def proxy_for(url: str, proxies: Mapping[str, str]) -> Proxy | None:
    """The proxy of a URL, among those of `read_proxies`. This machine needs none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    scheme = next((name for name in (parts.scheme, "all") if proxies.get(name)), None)
    if scheme is None or is_loopback(host) or _is_excepted(parts, proxies.get("no", "")):
        return None
    return Proxy(proxies[scheme], f"{scheme}_proxy".upper())


def _is_excepted(url: SplitResult, no_proxy: str) -> bool:
    """Whether NO_PROXY names the host: `*`, a domain, host:port, an address or a network."""
    entries = re.split(r"[,\s]+", no_proxy.lower())
    return any(_covers(entry, url) for entry in entries if entry)


def _covers(entry: str, url: SplitResult) -> bool:
    if entry == "*":
        return True
    host = url.hostname or ""
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:  # a name on either side
        name, _, port = entry.lstrip("*.").partition(":")
        is_port = not port or port == str(url.port or _PORTS.get(url.scheme))
        return is_port and (host == name or host.endswith(f".{name}"))
