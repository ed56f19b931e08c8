"""Runs the confined programs: a file in, what it says of itself or its signed form out."""

import importlib.util
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Final, Self, TypeAlias

from pydantic import ValidationError

from latentry.contracts import C2pa, Watermark, Xmp
from latentry.contracts.wire import ResponseModel
from latentry.errors import BrokenImage, SigningFailed
from latentry.provenance.signing.chain import KnownSigners
from latentry.provenance.signing.keys import Sign

DETECTOR: Final = Path(__file__).with_name("detector.py")
EXAMINER: Final = Path(__file__).with_name("examiner.py")
SIGNER: Final = Path(__file__).with_name("signer.py")
WITHIN_S: Final = 20.0
AT_ONCE: Final = 2  # a process takes up to 100 MB and a core
_turns: Final = BoundedSemaphore(AT_ONCE)
MAX_ARCHIVE_BYTES: Final = 1024**2  # of an ingredient's manifests; larger ones are not kept
_MAX_SAID_BYTES: Final = 2 * 1024**2
_MAX_TO_BE_SIGNED: Final = 1024**2


class Said(ResponseModel):
    """What a file says of itself. own: whether one of this service's certificates signed it.

    sha256: of the file.
    """

    c2pa: C2pa = C2pa()
    own: bool = False
    sha256: str = ""
    infotext: str | None = None
    xmp: Xmp | None = None


# What names it in the manifest, and its own manifests as `examine` kept them.
Ingredient: TypeAlias = tuple[Mapping[str, str], bytes]


@dataclass(frozen=True, slots=True)
class Examined:
    """The same, and its manifests as an archive to be kept, if there are any to go on with."""

    said: Said
    archive: bytes = b""

    @property
    def kept(self) -> bytes:
        """As it is stored beside the picture: a line of JSON, then the archive."""
        return self.said.model_dump_json().encode() + b"\n" + self.archive

    @classmethod
    def read(cls, kept: bytes) -> Self:
        """What was stored. Raises ValueError."""
        line, _, archive = kept.partition(b"\n")
        return cls(Said.model_validate_json(line), archive)


def examine(file: bytes, content_type: str, known: KnownSigners, *, keep: bool = False) -> Examined:
    """Read a file's marks. Blocks. Raises BrokenImage.

    keep: its manifests too, so that they go into what is made of the picture.
    """
    asked = {"content_type": content_type, "keep": keep, **asdict(known)}
    max_bytes = len(file) + _MAX_SAID_BYTES
    answer = _run([EXAMINER], [_head(asked, [file], max_bytes), file], max_bytes=max_bytes)
    if answer is None:
        raise BrokenImage("What the picture says of its origin cannot be read.")
    try:
        found = Examined.read(answer)
    except ValidationError:
        raise BrokenImage("What the picture says of its origin cannot be read.") from None
    said = found.said.model_copy(update={"sha256": sha256(file).hexdigest()})
    return Examined(said, found.archive if len(found.archive) <= MAX_ARCHIVE_BYTES else b"")


def can_detect() -> bool:
    """Whether watermarks can be looked for here: it takes NumPy, the extra `watermark`."""
    return importlib.util.find_spec("numpy") is not None


def detect(file: bytes, max_pixels: int) -> Watermark | None:
    """The watermark of a picture, if it has one and can be decoded. Blocks."""
    answer = _run([DETECTOR, str(max_pixels)], [file], max_bytes=4096)
    try:
        return Watermark.model_validate_json(answer) if answer else None
    except ValidationError:
        return None


def sign_confined(
    file: bytes,
    content_type: str,
    definition: Mapping[str, Any],
    ingredients: Sequence[Ingredient],
    *,
    chain: str,
    algorithm: str,
    sign: Sign,
) -> bytes:
    """The file, signed with ingredients that have manifests of their own. Blocks.

    Raises SigningFailed. The process asks for one signature, and gets no second one.
    """
    asked = {
        "content_type": content_type,
        "definition": definition,
        "ingredients": [named for named, _ in ingredients],
        "chain": chain,
        "algorithm": algorithm,
    }
    blobs = [file, *(archive for _, archive in ingredients)]
    max_bytes = sum(map(len, blobs)) + _MAX_SAID_BYTES
    sent = [_head(asked, blobs, max_bytes), *blobs]
    answer = _run([SIGNER], sent, max_bytes=max_bytes, sign=sign)
    if not answer:
        raise SigningFailed("The image could not be signed with its pictures' own manifests.")
    return answer


def _head(asked: Mapping[str, Any], blobs: Sequence[bytes], max_bytes: int) -> bytes:
    head = {**asked, "lengths": [len(one) for one in blobs], "max_bytes": max_bytes}
    return json.dumps(head).encode() + b"\n"


def _run(
    program: Sequence[Path | str],
    sent: Sequence[bytes],
    *,
    max_bytes: int,
    sign: Sign | None = None,
) -> bytes | None:
    """The program's answer; None if it gave none."""
    # Files instead of pipes: the kernel limits their size, and neither side waits for the other.
    with _turns, tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as result:
        source.writelines(sent)
        source.seek(0)
        ours, theirs = socket.socketpair()
        with closing(ours), closing(theirs):
            link = [theirs.fileno()] if sign else []
            process = subprocess.Popen(  # noqa: S603 - our own programs; their arguments are numbers
                [sys.executable, "-I", *program, *map(str, link)],
                stdin=source,
                stdout=result,
                stderr=subprocess.DEVNULL,
                pass_fds=link,
                env={"OPENBLAS_NUM_THREADS": "1"},  # each thread would reserve memory
                cwd="/",
            )
            theirs.close()
            try:
                if sign:
                    _sign_once(ours, sign)
                status = process.wait(WITHIN_S)
            except (subprocess.TimeoutExpired, OSError, EOFError):
                return None
            finally:
                process.kill()
                process.wait()
        if status:
            return None
        result.seek(0)
        return result.read(max_bytes)


def _sign_once(link: socket.socket, sign: Sign) -> None:
    """Answer the only request for a signature. Raises OSError, EOFError or SigningFailed."""
    link.settimeout(WITHIN_S)
    length = int.from_bytes(_received(link, 4))
    if length > _MAX_TO_BE_SIGNED:
        raise EOFError
    signature = sign(_received(link, length))
    link.sendall(len(signature).to_bytes(4) + signature)


def _received(link: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        part = link.recv(length - len(found))
        if not part:
            raise EOFError
        found += part
    return found
