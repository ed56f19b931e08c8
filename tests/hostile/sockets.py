"""A client that speaks in bytes."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit


class Wire:
    """One connection to a gateway."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=20)

    def say(self, data: bytes) -> "Wire":
        self.socket.sendall(data)
        return self

    def hear(self) -> bytes:
        """All that comes until the other side hangs up."""
        heard = b""
        try:
            while data := self.socket.recv(65_536):
                heard += data
        except ConnectionResetError:
            pass  # it hung up on what we still had to say
        return heard

    def head(self) -> bytes:
        """The beginning of the answer, as far as it has come."""
        return self.socket.recv(65_536)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def problem(answer: bytes) -> tuple[int, dict[str, Any], str]:
    """Status, problem and head of a raw answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body), head.decode().lower()
