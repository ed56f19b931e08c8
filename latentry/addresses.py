"""Checks on host names and URLs."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, which may resolve to anything
        return False


def dialable(host: str) -> str:
    """The host part of a URL that reaches a listening address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{host}]" if ":" in host else host


def without_credentials(url: str) -> str:
    """What may be told of a URL, or of a text that was to be one: no `user:password@`.

    A password with an unescaped `/` or `@` is one too: all up to the last `@` is left out.
    """
    before, _, rest = url.rpartition("@")
    scheme, slashes, _ = before.partition("://")
    return f"{scheme}://{rest}" if slashes else rest


def is_redis_url(text: str) -> bool:
    """Whether a text is redis://[[user]:password@]host[:port][/db], or rediss://.

    Nothing else, because redis-py and kombu read queries differently, and to kombu a `;` separates
    URLs.
    """
    try:
        url = urlsplit(text)
        is_server = url.scheme in ("redis", "rediss") and bool(url.hostname) and url.port != 0
    except ValueError:  # the port is not a number
        return False
    has_more = url.query or url.fragment or re.search(r"[;\s]", text)
    return is_server and not has_more and re.fullmatch("/?[0-9]*", url.path) is not None


def is_base_url(text: str) -> bool:
    """Whether a text is http[s]://host[:port][/path], to which paths can be appended."""
    try:
        url = urlsplit(text)
        is_server = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # the port is not a number
        return False
    return is_server and "@" not in url.netloc and re.fullmatch(r"[^\s?#\\]+", text) is not None
