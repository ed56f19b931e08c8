"""The program that reads what one file says of itself: C2PA manifests, XMP, text.

Its request is on stdin: a line of JSON, then the file. Its answer is on stdout: a line of JSON,
then the manifests as an archive, if they are asked for. Exit status 0 or BROKEN.

A malicious manifest may take over its parser, so it runs as a script without our packages and
without an environment, and can open no file or socket, fork, or exceed its limits of memory and CPU
time.
"""

import codecs
import contextlib
import copy
import ctypes
import io
import json
import re
import resource
import signal
import sys
from typing import Any

import c2pa
from PIL import (  # all that parsing may need: later no file can be opened
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

BROKEN = 3
MEMORY_BYTES = 600 * 1024**2
CPU_S = 10
PR_SET_PDEATHSIG = 1  # prctl(2)
MAX_TEXT = 100_000
MAX_WORD = 500
MAX_MANIFESTS = 64
MAX_ACTIONS = 64
ASSERTION = "org.latentry.picture"
SETTINGS: dict[str, Any] = {
    # Neither a manifest nor a certificate's status is fetched from where a file says.
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
    "builder": {"thumbnail": {"enabled": False}},
}
# What Pillow imports when it needs it, as `copy` for GIF: in the sandbox it could not any more.
_PLUGINS = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)
_ALSO = (copy, GifImagePlugin)
_UTF16 = codecs.lookup("utf-16-be")
_STATES = {"Trusted": "trusted", "Valid": "valid"}


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


def examine(asked: dict[str, Any], file: bytes) -> tuple[dict[str, Any], bytes]:
    """What the file says of itself; with `keep` its manifest as an ingredient's archive."""
    said = {"c2pa": _manifests(asked, file), **_texts(file)}
    state, archive = said["c2pa"]["state"], b""
    if state in ("trusted", "valid"):
        said["own"] = _is_own(asked, file)
    if asked["keep"] and state != "none":
        with contextlib.suppress(c2pa.C2paError):  # too damaged to go on with
            archive = _archive(asked, file)
    return said, archive


def _is_own(asked: dict[str, Any], file: bytes) -> bool:
    """Whether its signer is one of these, whom one of these authorities vouches for."""
    with _context(trust_anchors=asked["authorities"]) as context:
        reader = c2pa.Reader(asked["content_type"], io.BytesIO(file), context=context)
        signed = (reader.get_active_manifest() or {}).get("signature_info") or {}
        return _state(reader) == "trusted" and signed.get("cert_serial_number") in asked["serials"]


def _archive(asked: dict[str, Any], file: bytes) -> bytes:
    named, into = {"relationship": "parentOf", "instance_id": "input"}, io.BytesIO()
    nobody = {"claim_generator_info": [{"name": "latentry"}]}
    with _context(trust_anchors=asked["trust"]) as context:
        builder = c2pa.Builder(nobody, context)
        builder.add_ingredient_from_stream(named, asked["content_type"], io.BytesIO(file))
        builder.write_ingredient_archive("input", into)
    return into.getvalue()


def _context(**trust: str) -> c2pa.Context:
    """With these certificates in PEM as trusted; none if empty."""
    given = {name: pem for name, pem in trust.items() if pem}
    return c2pa.Context.from_dict(SETTINGS | ({"trust": given} if given else {}))


def _state(reader: c2pa.Reader) -> str:
    return _STATES.get(reader.get_validation_state() or "", "invalid")


def _manifests(asked: dict[str, Any], file: bytes) -> dict[str, Any]:
    with _context(trust_anchors=asked["trust"]) as context:
        try:
            reader = c2pa.Reader(asked["content_type"], io.BytesIO(file), context=context)
            return _history(json.loads(reader.json())) | {"state": _state(reader)}
        except c2pa.C2paError.ManifestNotFound:
            return {"state": "none"}
        except c2pa.C2paError as error:
            if str(error).startswith("Remote"):  # it lies elsewhere, and nobody asks there
                return {"state": "none", "codes": ["manifest.inaccessible"]}
            return {"state": "invalid", "codes": ["manifest.unreadable"]}


def _history(store: dict[str, Any]) -> dict[str, Any]:
    """The active manifest first, then those of its ingredients, each once."""
    known, waiting = store.get("manifests", {}), [str(store.get("active_manifest"))]
    found: list[dict[str, Any]] = []
    seen = set()
    while waiting and len(found) < MAX_MANIFESTS:
        label = waiting.pop(0)
        if label in seen or label not in known:
            continue
        seen.add(label)
        found.append(_told(label, known[label]))
        waiting += [one["manifest"] for one in found[-1]["ingredients"]]
    failed = store.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    codes = [_word(one.get("code")) for one in failed]
    deltas = store.get("validation_results", {}).get("ingredientDeltas") or []
    for delta in deltas:
        failures = delta.get("validationDeltas", {}).get("failure", [])
        codes += [f"ingredient.{_word(one.get('code'))}" for one in failures]
    return {"codes": list(dict[str, Any].fromkeys(codes))[:MAX_ACTIONS], "history": found}


def _told(label: str, one: dict[str, Any]) -> dict[str, Any]:
    signed = one.get("signature_info") or {}
    data: dict[str, Any] = {}
    for assertion in one.get("assertions", []):
        name = assertion.get("label", "").partition("__")[0]
        if isinstance(assertion.get("data"), dict):
            data.setdefault(name, assertion["data"])
    own = data.get(ASSERTION, {})
    actions = data.get("c2pa.actions.v2") or data.get("c2pa.actions") or {}
    generators = one.get("claim_generator_info") or [{}]
    return {
        "label": _word(label),
        "generator": _word(
            " ".join(str(generators[0].get(n) or "") for n in ("name", "version")).strip()
            or one.get("claim_generator")
        ),
        "issuer": _word(signed.get("issuer")),
        "common_name": _word(signed.get("common_name")),
        "signed_at": _word(signed.get("time")),
        "actions": [_action(each) for each in actions.get("actions", [])[:MAX_ACTIONS]],
        "ingredients": [_ingredient(each) for each in one.get("ingredients", [])[:MAX_ACTIONS]],
        "unsigned_sha256": _word(own.get("unsigned_sha256")),
        "job": _word(own.get("job")),
    }


def _action(one: dict[str, Any]) -> dict[str, Any]:
    agent = one.get("softwareAgent")
    return {
        "action": _word(one.get("action")),
        "digital_source_type": _word(one.get("digitalSourceType")),
        "software": _word(agent.get("name") if isinstance(agent, dict) else agent),
        "when": _word(one.get("when")),
    }


def _ingredient(one: dict[str, Any]) -> dict[str, Any]:
    state = "none"
    if one.get("active_manifest"):
        results = (one.get("validation_results") or {}).get("activeManifest", {})
        codes = [each.get("code") for each in results.get("failure", [])]
        is_trusted = any("trusted" in str(e.get("code")) for e in results.get("success", []))
        bad = [code for code in codes if code != "signingCredential.untrusted"]
        state = "invalid" if bad else "trusted" if is_trusted and not codes else "valid"
    return {
        "title": _word(one.get("title")),
        "relationship": _word(one.get("relationship")),
        "manifest": _word(one.get("active_manifest")),
        "state": state,
    }


def _word(value: object) -> str:
    return str(value or "")[:MAX_WORD]


def _texts(file: bytes) -> dict[str, Any]:
    """Infotext and XMP, without decoding a pixel."""
    try:
        image = Image.open(io.BytesIO(file), formats=["PNG", "JPEG", "WEBP", "GIF"])
        comment = image.getexif().get_ifd(0x8769).get(0x9286)
    except Exception:  # no picture, or damaged: whatever Pillow raises
        return {}
    infotext = image.info.get("parameters")
    if isinstance(comment, bytes) and comment.startswith(b"UNICODE\0"):
        infotext, _ = _UTF16.decode(comment[8:], "replace")
    elif image.format == "GIF":
        infotext = _text(image.info.get("comment"))
    xmp = _text(image.info.get("xmp"))
    return {"infotext": str(infotext)[:MAX_TEXT] if infotext else None, "xmp": _xmp(xmp)}


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _xmp(packet: str) -> dict[str, Any] | None:
    if not packet:
        return None
    names = {"digital_source_type": "DigitalSourceType", "creator_tool": "CreatorTool"}
    return {key: _property(packet[:MAX_TEXT], name) for key, name in names.items()}


def _property(packet: str, name: str) -> str:
    """An attribute or an element: no parser of XML for two words."""
    found = re.search(rf":{name}(?:=[\"']|>)([^\"'<]{{0,{MAX_WORD}}})", packet)
    return found[1].strip() if found else ""


def main() -> int:
    """Answer one request; returns the exit status. Ends with its parent, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    asked = json.loads(sys.stdin.buffer.readline())
    file = sys.stdin.buffer.read()
    Image.preinit()
    sandbox(asked["max_bytes"])
    try:
        said, archive = examine(asked, file)
        sys.stdout.buffer.write(json.dumps(said).encode() + b"\n" + archive)
        sys.stdout.buffer.flush()
    except Exception:  # whatever a parser raises; its text may tell of our memory and files
        return BROKEN
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
