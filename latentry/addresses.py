"""What an address is worth: whether it is one, who can dial it, and how."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether only this machine can dial an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, which may lead anywhere
        return False


def dialable(host: str) -> str:
    """How a URL names an address that one listens on."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{host}]" if ":" in host else host


def is_redis_url(text: str) -> bool:
    """Whether a text is redis://[[user]:password@]host[:port][/db], or rediss://."""
    try:
        url = urlsplit(text)
        is_server = url.scheme in ("redis", "rediss") and bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is no number
        return False
    return is_server and re.fullmatch("/?[0-9]*", url.path) is not None
