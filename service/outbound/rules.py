"""Which URLs are allowed, as far as their text tells. Pure.

URLs are parsed here once, by a strict grammar, and what it does not match is refused. The result is
what the client connects to: no second parser can read the same URL differently.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final, Self

import idna

from latentry.contracts.webhooks.webhook import MAX_URL_CHARS
from latentry.errors import ConfigurationError, UrlNotAllowed
from latentry.settings import Settings
from service.outbound.addresses import Address, Network, is_public

_PORTS: Final = {"http": 80, "https": 443}
# RFC 3986 without user information and fragment, and nothing that parsers disagree about.
_URL: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9a-fA-F:.]{2,45}\]|[^/?#@:\\\[\]\x00-\x20\x7f]{1,255})"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?)"
    r"(?P<query>(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?)",
    re.IGNORECASE | re.ASCII,  # without ASCII, IGNORECASE matches letters of other alphabets
)
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# The last label has letters: many parsers read names of digits, or 0x and digits, as addresses.
_TOP_LABEL: Final = re.compile(r"[a-z]{2,63}|xn--[a-z0-9-]{1,59}")
# Names of this machine or network (RFC 6761, 6762, 8375, 9476, and ICANN's `internal`).
_LOCAL_NAMES: Final = ("localhost", "local", "internal", "home.arpa", "invalid", "onion", "alt")
_ALLOWED: Final = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+):(?P<port>[1-9][0-9]{0,4})")


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of an allowed URL; `host` is canonical ASCII without brackets."""

    scheme: str
    host: str
    port: int
    path: str
    is_trusted: bool  # LATENTRY_WEBHOOK_ALLOW lists host and port: any address will do

    @property
    def authority(self) -> str:
        """The Host header: host, and port unless it is the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Rules:
    """What is allowed: https to public hosts on these ports, and what the operator listed."""

    ports: frozenset[int] = frozenset({443})
    hosts: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Of LATENTRY_WEBHOOK_PORTS and LATENTRY_WEBHOOK_ALLOW. Raises ConfigurationError."""
        ports = {_port(entry) for entry in _entries(settings.webhook_ports)}
        return cls._listing(settings.webhook_allow, "LATENTRY_WEBHOOK_ALLOW", frozenset(ports))

    @classmethod
    def for_pictures(cls, settings: Settings) -> Self:
        """Of LATENTRY_IMAGE_URL_ALLOW. Raises ConfigurationError."""
        return cls._listing(settings.image_url_allow, "LATENTRY_IMAGE_URL_ALLOW", frozenset({443}))

    @classmethod
    def _listing(cls, allow: str, setting: str, ports: frozenset[int]) -> Self:
        hosts, networks = set[tuple[str, int]](), list[Network]()
        for entry in _entries(allow):
            if named := _ALLOWED.fullmatch(entry):
                hosts.add((named["host"].strip("[]"), int(named["port"])))
            else:
                networks.append(_network(entry, setting))
        return cls(ports, frozenset(hosts), tuple(networks))

    def read(self, url: str) -> Target:
        """The target of a URL. Raises UrlNotAllowed, which says what to change."""
        parts = _URL.fullmatch(url) if len(url) <= MAX_URL_CHARS else None
        if parts is None:
            raise UrlNotAllowed
        scheme, host = parts["scheme"].lower(), _canonical(parts["host"])
        port = int(parts["port"] or _PORTS[scheme])
        is_trusted = (host, port) in self.hosts
        if not is_trusted:
            self._refuse_others(scheme, host, port)
        path = (parts["path"] or "/") + parts["query"]
        return Target(scheme, host, port, path, is_trusted)

    def allows(self, target: Target, address: Address) -> bool:
        """Whether the client may connect to this address for this target."""
        return target.is_trusted or is_public(address) or self._within(address)

    def _refuse_others(self, scheme: str, host: str, port: int) -> None:
        # Raises UrlNotAllowed for what neither the public rules nor listed networks allow.
        if scheme != "https":
            raise UrlNotAllowed("The URL must begin with https://.")
        if port not in self.ports:
            raise UrlNotAllowed("The URL's port is not allowed.")
        if not (self._is_listed(host) if _is_literal(host) else _is_public_name(host)):
            raise UrlNotAllowed("The URL's host must be a public host name with its domain.")

    def _is_listed(self, literal: str) -> bool:
        return self._within(ip_address(literal))

    def _within(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def _canonical(host: str) -> str:
    if host.startswith("["):
        try:
            return ip_address(host[1:-1]).compressed
        except ValueError:
            raise UrlNotAllowed from None
    if not host.isascii() and host.replace(".", "").isnumeric():  # an IP in other scripts' digits
        raise UrlNotAllowed
    try:
        return ".".join(map(_ascii, host.split(".")))
    except idna.IDNAError:
        raise UrlNotAllowed from None


def _ascii(label: str) -> str:
    # IDNA 2008 without a mapping: round digits, wide dots and other look-alikes of ASCII fail.
    lower = label.lower() if label.isascii() else label
    is_plain = lower.isascii() and not lower.startswith("xn--")
    return lower if is_plain else idna.alabel(lower).decode()


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_public_name(host: str) -> bool:
    labels = host.split(".")
    is_name = len(host) <= 253 and all(map(_LABEL.fullmatch, labels))
    is_full = len(labels) > 1 and _TOP_LABEL.fullmatch(labels[-1]) is not None
    is_local = f".{host}".endswith(tuple(f".{name}" for name in _LOCAL_NAMES))
    return is_name and is_full and not is_local


def _entries(text: str) -> list[str]:
    return [entry.strip().lower() for entry in text.split(",") if entry.strip()]


def _port(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text):
        raise ConfigurationError(f"LATENTRY_WEBHOOK_PORTS is invalid: {text!r} is not a port.")
    return int(text)


def _network(text: str, setting: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ConfigurationError(
            f"{setting} is invalid: {text!r} is neither host:port nor a network such as 10.0.0.0/8."
        ) from None
