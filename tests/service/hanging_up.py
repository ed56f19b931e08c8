"""A client that asks and leaves, as soon as its job is there and no earlier."""

import socket
from collections.abc import Callable
from typing import Any

import httpx


def hang_up(address: str, *, once: Callable[[], object], **request: Any) -> None:
    """POST to a gateway, and close the connection when `once` is true.

    By the clock a busy machine would have made no job yet. `request`: as httpx.Request takes it.
    """
    built = httpx.Request("POST", address, **request)
    body = built.read()
    fields = [f"{name}: {value}" for name, value in built.headers.items()]
    head = "\r\n".join([f"POST {built.url.raw_path.decode()} HTTP/1.1", *fields])
    with socket.create_connection((built.url.host, built.url.port or 80)) as caller:
        caller.sendall(head.encode() + b"\r\n\r\n" + body)
        while not once():
            pass
