"""A certificate authority of the tests' own, and TLS before a server that speaks none."""

import socket
import socketserver
import ssl
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NEW = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """Signs certificates that nobody trusts who was not given its file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.file = folder / "authority.pem"
        self._key = folder / "authority.key"
        _make("-keyout", self._key, "-out", self.file, "-subj", "/CN=tests")

    def sign(self, name: str) -> tuple[Path, Path]:
        """A certificate for a host, `DNS:name` or `IP:address`, and its key."""
        plain = name.replace(":", "-")
        cert, key = self._folder / f"{plain}.pem", self._folder / f"{plain}.key"
        by = ("-CA", self.file, "-CAkey", self._key, "-addext", f"subjectAltName={name}")
        leaf = ("-addext", "basicConstraints=critical,CA:FALSE")
        _make(*by, *leaf, "-keyout", key, "-out", cert, "-subj", "/CN=leaf")
        return cert, key


class TlsFront(socketserver.ThreadingTCPServer):
    """Terminates TLS before a port of this machine, as stunnel does."""

    daemon_threads = True

    def __init__(self, target: int, certificate: tuple[Path, Path], clients: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.port = self.server_address[1]
        self.target = target
        self.received = 0
        """Bytes that clients sent inside of TLS."""
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(*certificate)
        if clients:
            self.tls.load_verify_locations(clients)
            self.tls.verify_mode = ssl.CERT_REQUIRED


class _Connection(socketserver.BaseRequestHandler):
    server: TlsFront

    def handle(self) -> None:
        try:
            ours = self.server.tls.wrap_socket(self.request, server_side=True)
        except OSError:  # the client refuses our certificate, or has none
            return
        with ours, socket.create_connection(("127.0.0.1", self.server.target)) as theirs:
            back = threading.Thread(target=deque, args=(_copy(theirs, ours), 0), daemon=True)
            back.start()
            for count in _copy(ours, theirs):
                self.server.received += count
            back.join()


def _copy(source: socket.socket, sink: socket.socket) -> Iterator[int]:
    """Forward until one side closes; yields the size of each piece."""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
            yield len(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def tls_front(
    target: int, certificate: tuple[Path, Path], *, clients: Path | None = None
) -> Iterator[TlsFront]:
    """A front on threads of its own. `clients`: the authority that signs its clients."""
    with TlsFront(target, certificate, clients) as front:
        thread = threading.Thread(target=front.serve_forever, args=(0.05,))
        thread.start()
        yield front
        front.shutdown()
        thread.join()


def _make(*arguments: object) -> None:
    subprocess.run([*_NEW, "-days", "2", *map(str, arguments)], check=True, capture_output=True)
