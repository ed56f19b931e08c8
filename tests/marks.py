"""Signed pictures, and every way in which one is tampered with: verification walks this table."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from latentry.contracts import C2paState, OutputFormat
from latentry.provenance.exif import exif
from latentry.provenance.signing.chain import Chain, now
from latentry.provenance.signing.development import new_chain
from latentry.provenance.signing.signer import Signer
from latentry.provenance.xmp import KEYWORD, SourceType, packet

_SIGNED: Final = Path(__file__).parent / "latentry" / "provenance" / "signed"
# Signed by a chain that was valid for five seconds on 2026-11-30.
EXPIRED: Final = (_SIGNED / "expired.png").read_bytes()
EXPIRED_ROOT: Final = (_SIGNED / "expired-root.pem").read_text()
REMOTE_XMP: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{url}"/></rdf:RDF></x:xmpmeta>'
    '<?xpacket end="w"?>'
)
PROMPT: Final = "a frog that nobody else may know of"


@dataclass(frozen=True)
class Authority:
    """A signer and the root that vouches for it."""

    signer: Signer
    key: str
    root: str

    @classmethod
    def new(cls, folder: Path, life: timedelta = timedelta(days=365)) -> "Authority":
        """Valid since an hour."""
        begins = now() - timedelta(hours=1)
        chain, key, root = new_chain(begins, begins + life)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "chain.pem").write_bytes(chain)
        (folder / "key.pem").write_bytes(key)
        signer = Signer(Chain.read(folder / "chain.pem"), key=key.decode())
        return cls(signer, key.decode(), root.decode())

    def picture(self, form: OutputFormat = OutputFormat.PNG, seed: int = 0) -> bytes:
        """A signed picture of this format."""
        return self.signer.signed(unsigned(form, seed), form.content_type, definition(seed))


def unsigned(form: OutputFormat = OutputFormat.PNG, seed: int = 0) -> bytes:
    """A small picture with XMP and a prompt."""
    cells = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    image = Image.fromarray(cells).resize((96, 64), Image.Resampling.BICUBIC)
    xmp, file = packet(SourceType.GENERATED), io.BytesIO()
    if form is not OutputFormat.PNG:
        image.save(file, form.name, xmp=xmp.encode(), exif=exif(PROMPT))
        return file.getvalue()
    image.save(file, "PNG")
    text = chunk(b"tEXt", b"parameters\0" + PROMPT.encode())
    head = chunk(b"iTXt", KEYWORD.encode() + b"\0\0\0\0\0" + xmp.encode()) + text
    return with_chunks(file.getvalue(), lambda kind, whole: whole + head * (kind == b"IHDR"))


def definition(seed: int = 0, **more: Any) -> dict[str, Any]:
    """A manifest as ours are."""
    created = {"action": "c2pa.created", "digitalSourceType": SourceType.GENERATED.uri}
    return {
        "claim_version": 2,
        "claim_generator_info": [{"name": "latentry", "version": "0"}],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {
                "label": "org.latentry.picture",
                "data": {"job": f"gen_{seed}", "unsigned_sha256": "7"},
            },
        ],
        **more,
    }


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each chunk."""
    at = 8
    while at < len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4])
        yield png[at + 4 : at + 8], png[at:end]
        at = end


def with_chunks(png: bytes, change: Callable[[bytes, bytes], bytes]) -> bytes:
    """The same PNG with each chunk changed."""
    return png[:8] + b"".join(change(kind, whole) for kind, whole in chunks(png))


def manifest_of(png: bytes) -> bytes:
    """The chunk that has its manifest."""
    return next(whole for kind, whole in chunks(png) if kind == b"caBX")


def with_manifest(png: bytes, manifest: bytes) -> bytes:
    """The same PNG with another chunk in that one's place."""
    return with_chunks(png, lambda kind, whole: manifest if kind == b"caBX" else whole)


def edited(png: bytes, edit: Callable[[bytes], bytes]) -> bytes:
    """The same PNG with an edited manifest, in a chunk whose checksum is right."""
    return with_manifest(png, chunk(b"caBX", edit(manifest_of(png)[8:-4])))


def flipped(data: bytes, at: int) -> bytes:
    """One bit of it."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _resaved(png: bytes, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(file, **{"format": "PNG", **options})
    return file.getvalue()


MISMATCH: Final = ("assertion.dataHash.mismatch",)


@dataclass(frozen=True)
class Case:
    """A picture that was signed, what became of it, and what is said of that.

    `trusts`: whether verification knows its authority.
    """

    made: Callable[[Authority, Authority], bytes]
    state: C2paState
    codes: tuple[str, ...] = ()
    trusts: bool = True


CASES: Final[dict[str, Case]] = {
    "untouched": Case(lambda own, _: own.picture(), C2paState.TRUSTED),
    "unknown signer": Case(
        lambda own, _: own.picture(), C2paState.VALID, ("signingCredential.untrusted",), False
    ),
    "signer of another authority": Case(
        lambda _, other: other.picture(), C2paState.VALID, ("signingCredential.untrusted",)
    ),
    "a byte of the picture's data": Case(
        lambda own, _: flipped(png := own.picture(), png.index(b"IDAT") + 40),
        C2paState.INVALID,
        MISMATCH,
    ),
    "saved again by Pillow": Case(lambda own, _: _resaved(own.picture()), C2paState.NONE),
    "saved as JPEG": Case(lambda own, _: _resaved(own.picture(), format="JPEG"), C2paState.NONE),
    "text added": Case(
        lambda own, _: with_chunks(
            own.picture(),
            lambda kind, whole: (chunk(b"tEXt", b"a\0b") if kind == b"IEND" else b"") + whole,
        ),
        C2paState.INVALID,
        MISMATCH,
    ),
    "bytes appended": Case(lambda own, _: own.picture() + b"more", C2paState.INVALID, MISMATCH),
    "manifest of another picture": Case(
        lambda own, _: with_manifest(own.picture(), manifest_of(own.picture(seed=1))),
        C2paState.INVALID,
        MISMATCH,
    ),
    "a claim edited": Case(
        lambda own, _: edited(own.picture(), lambda m: m.replace(b"gen_0", b"gen_9")),
        C2paState.INVALID,
        ("assertion.hashedURI.mismatch",),
    ),
    "a byte of the signature": Case(
        lambda own, _: edited(own.picture(), lambda m: flipped(m, len(m) - 40)),
        C2paState.INVALID,
        ("claimSignature.mismatch",),
    ),
    "padding of the signature": Case(  # not covered by it: docs/provenance.md says so
        lambda own, _: edited(own.picture(), lambda m: flipped(m, m.index(bytes(200)) + 100)),
        C2paState.TRUSTED,
    ),
    "manifest cut": Case(
        lambda own, _: edited(own.picture(), lambda m: m[: len(m) // 2]),
        C2paState.INVALID,
        ("manifest.unreadable",),
    ),
    "manifest taken out": Case(lambda own, _: with_manifest(own.picture(), b""), C2paState.NONE),
    "manifest elsewhere": Case(
        lambda own, _: remote("http://127.0.0.1:9/x.c2pa"),
        C2paState.NONE,
        ("manifest.inaccessible",),
    ),
    "expired": Case(
        lambda *_: EXPIRED,
        C2paState.INVALID,
        ("signingCredential.untrusted", "signingCredential.expired"),
    ),
}


def remote(url: str) -> bytes:
    """An unsigned PNG whose XMP says that its manifest is at this address."""
    xmp = REMOTE_XMP.format(url=url).encode()
    head = chunk(b"iTXt", KEYWORD.encode() + b"\0\0\0\0\0" + xmp)
    return with_chunks(_resaved(unsigned()), lambda kind, whole: whole + head * (kind == b"IHDR"))
