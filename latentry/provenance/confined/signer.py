"""The program that signs a picture whose ingredients came with manifests of their own.

Its request is on stdin: a line of JSON, then the picture and an archive for each ingredient, whose
lengths that line has. On stdout is the signed picture. Exit status 0 or BROKEN.

Whoever sent an ingredient may take over its parser. So this runs as a script without our packages
and without an environment, and can open no file or socket, fork, or exceed its limits of memory and
CPU time. It has no key: what it wants signed it sends through the socket that it was given.
"""

import ctypes
import io
import json
import resource
import signal
import socket
import sys
from typing import Any

import c2pa

BROKEN = 3
MEMORY_BYTES = 600 * 1024**2
CPU_S = 10
PR_SET_PDEATHSIG = 1  # prctl(2)
SETTINGS: dict[str, Any] = {
    # Neither a manifest nor a certificate's status is fetched from where a file says.
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
    "builder": {
        "thumbnail": {"enabled": False},
        "actions": {
            "auto_created_action": {"enabled": False},
            "auto_opened_action": {"enabled": False},
            "auto_placed_action": {"enabled": False},
        },
    },
}


def sandbox(max_bytes: int) -> None:
    """Set this process's resource limits to what parsing needs."""
    limits = {
        resource.RLIMIT_AS: MEMORY_BYTES + 8 * max_bytes,
        resource.RLIMIT_CPU: CPU_S,
        resource.RLIMIT_FSIZE: max_bytes,
        resource.RLIMIT_NOFILE: 3,  # what is open stays open
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


def sign(asked: dict[str, Any], blobs: list[bytes], link: socket.socket) -> bytes:
    """The file with its manifest, whose ingredients have manifests of their own."""

    def signature(data: bytes) -> bytes:
        link.sendall(len(data).to_bytes(4) + data)
        length = int.from_bytes(_received(link, 4))
        return _received(link, length)

    file, *archives = blobs
    kind = c2pa.C2paSigningAlg[asked["algorithm"]]
    into = io.BytesIO()
    with c2pa.Context.from_dict(SETTINGS) as context:
        signer = c2pa.Signer.from_callback(signature, kind, asked["chain"])
        builder = c2pa.Builder(asked["definition"], context)
        for named, archive in zip(asked["ingredients"], archives, strict=True):
            builder.add_ingredient_from_stream(named, "application/c2pa", io.BytesIO(archive))
        builder.sign(signer, asked["content_type"], io.BytesIO(file), into)
    return into.getvalue()


def _received(link: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        part = link.recv(length - len(found))
        if not part:
            raise EOFError
        found += part
    return found


def main() -> int:
    """Answer one request; returns the exit status. Ends with its parent, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    asked = json.loads(sys.stdin.buffer.readline())
    blobs = [sys.stdin.buffer.read(length) for length in asked["lengths"]]
    link = socket.socket(fileno=int(sys.argv[1]))
    sandbox(asked["max_bytes"])
    try:
        sys.stdout.buffer.write(sign(asked, blobs, link))
        sys.stdout.buffer.flush()
    except Exception:  # whatever a parser raises; its text may tell of our memory and files
        return BROKEN
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
