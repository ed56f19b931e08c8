"""The chain that signs, the key that goes with it, and what is signed."""

import shlex
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from latentry.contracts import C2paState, InputFile, OutputFormat, Provenance, StoredOutput
from latentry.errors import ConfigurationError, SigningFailed
from latentry.provenance.confined.process import examine
from latentry.provenance.manifest import Claim, manifest, source_type
from latentry.provenance.signing.chain import Chain, KnownSigners, now
from latentry.provenance.signing.command import MOST_BYTES, answer
from latentry.provenance.signing.development import ensure_chain, new_chain
from latentry.provenance.signing.keys import check, sign_by_command, sign_by_key
from latentry.provenance.signing.signer import Signer
from latentry.provenance.xmp import SourceType
from latentry.settings import Settings
from tests import marks
from tests.latentry.contracts.resolved import RESOLVED
from tests.marks import Authority

PNG = OutputFormat.PNG.content_type
FILE = InputFile(file="file_1", pixel_sha256="1" * 64, width=64, height=64)


def _settings(folder: Path, **more: str) -> Settings:
    given = {f"LATENTRY_{name.upper()}": value for name, value in more.items()}
    return Settings.from_env({"LATENTRY_DATA_DIR": str(folder), **given})


def test_a_chain_for_development_is_made_once_and_signs(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    assert Signer.open(settings) is None
    assert ensure_chain(settings.c2pa_folder)
    assert not ensure_chain(settings.c2pa_folder)
    signer = Signer.open(settings)
    assert signer is not None
    signed = signer.signed(marks.unsigned(), PNG, marks.definition())
    trust = (settings.c2pa_folder / "root.pem").read_text()
    assert examine(signed, PNG, KnownSigners(trust=trust)).said.c2pa.state is C2paState.TRUSTED
    assert examine(signed, PNG, KnownSigners.read(settings)).said.own
    for file in settings.c2pa_folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0


def test_it_is_made_anew_in_time_and_the_one_before_stays_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(tmp_path)
    ensure_chain(settings.c2pa_folder)
    before = Signer.open(settings)
    assert before is not None
    signed = before.signed(marks.unsigned(), PNG, marks.definition())
    late = before.chain.ends - timedelta(days=29)
    monkeypatch.setattr("latentry.provenance.signing.development.now", lambda: late)
    assert ensure_chain(settings.c2pa_folder)
    known = KnownSigners.read(settings)
    assert before.chain.serial in known.serials
    assert len(known.serials) == 3, "the present one is named twice"
    assert examine(signed, PNG, known).said.own


def test_a_damaged_chain_is_made_anew(tmp_path: Path) -> None:
    ensure_chain(tmp_path)
    (tmp_path / "chain.pem").write_text("not PEM")
    assert ensure_chain(tmp_path)
    assert Chain.read(tmp_path / "chain.pem").algorithm == "ES256"


@pytest.mark.parametrize(
    ("days", "told"),
    [(31, ""), (29, "expires on"), (0, "expired on"), (-5, "expired on"), (400, "is valid from")],
)
def test_an_end_is_told_thirty_days_before(tmp_path: Path, days: int, told: str) -> None:
    begins = now()
    pem, _, _ = new_chain(begins, begins + timedelta(days=365))
    (tmp_path / "chain.pem").write_bytes(pem)
    chain = Chain.read(tmp_path / "chain.pem")
    at = chain.ends - timedelta(days=days)
    assert told in chain.complaint(at)
    assert bool(told) == bool(chain.complaint(at))
    assert chain.holds(at) == (0 < days < 365)


def test_nothing_is_signed_by_an_expired_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = Authority.new(tmp_path).signer
    late = signer.chain.ends + timedelta(seconds=1)
    monkeypatch.setattr("latentry.provenance.signing.signer.now", lambda: late)
    with pytest.raises(SigningFailed, match="expired on"):
        signer.signed(marks.unsigned(), PNG, marks.definition())


SIGN = """
import sys
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
key = load_pem_private_key(open(sys.argv[1], "rb").read(), None)
sys.stdout.buffer.write(key.sign(sys.stdin.buffer.read(), ec.ECDSA(hashes.SHA256())))
"""


def test_the_key_may_be_a_command_s(tmp_path: Path) -> None:
    authority = Authority.new(tmp_path)
    (tmp_path / "sign.py").write_text(SIGN)
    command = f"{sys.executable} {tmp_path / 'sign.py'} {tmp_path / 'key.pem'}"
    settings = _settings(
        tmp_path / "data",
        c2pa_certificate_file=str(tmp_path / "chain.pem"),
        c2pa_sign_command=command,
    )
    signer = Signer.open(settings)
    assert signer is not None
    signed = signer.signed(marks.unsigned(), PNG, marks.definition())
    known = KnownSigners(trust=authority.root)
    assert examine(signed, PNG, known).said.c2pa.state is C2paState.TRUSTED
    other = Authority.new(tmp_path / "other")
    for change in (lambda file: file.write_text(other.key), lambda file: file.unlink()):
        change(tmp_path / "key.pem")  # its signatures would be wrong, and then there are none
        with pytest.raises(SigningFailed):
            signer.signed(marks.unsigned(), PNG, marks.definition())


def test_a_command_that_prints_without_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(SigningFailed, match="more than a signature"):
        sign_by_command("yes")(b"data")


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("cat", b"x" * MOST_BYTES),  # more than a pipe holds either way
        ("true", b""),
        ("sh -c 'echo 1; exec cat >/dev/null'", b"1\n"),
        ("sh -c 'head -c 1000000 /dev/zero >&2; echo 1'", b"1\n"),
    ],
)
def test_a_command_may_read_all_or_nothing(command: str, printed: bytes) -> None:
    assert answer(shlex.split(command), b"x" * MOST_BYTES, within_s=20) == (0, printed)


def test_a_command_that_does_not_answer_is_ended() -> None:
    with pytest.raises(TimeoutError):
        answer(["sleep", "60"], b"", within_s=0.05)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    authority = Authority.new(tmp_path)
    chain = replace(authority.signer.chain, algorithm="ED25519")
    with pytest.raises(ConfigurationError, match="does not belong"):
        check(sign_by_key(authority.key, chain.algorithm), chain)


def test_what_cannot_sign_is_refused_at_the_start(tmp_path: Path) -> None:
    one, other = Authority.new(tmp_path / "one"), Authority.new(tmp_path / "other")
    del one, other
    chain, key = str(tmp_path / "one" / "chain.pem"), str(tmp_path / "other" / "key.pem")
    for more, why in (
        ({"c2pa_certificate_file": chain}, "needs LATENTRY_C2PA_KEY_FILE or"),
        ({"c2pa_certificate_file": chain, "c2pa_key_file": key}, "does not belong"),
        ({"c2pa_certificate_file": chain, "c2pa_key_file": chain}, "as a PEM private key"),
        ({"c2pa_certificate_file": chain, "c2pa_sign_command": "false"}, "ended with 1"),
        ({"c2pa_certificate_file": chain, "c2pa_sign_command": "no-such-tool"}, "did not answer"),
        ({"c2pa_certificate_file": key, "c2pa_key_file": key}, "as a PEM certificate chain"),
        ({"c2pa_certificate_file": str(tmp_path / "gone")}, "as a PEM certificate chain"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            Signer.open(_settings(tmp_path, **more))


def test_a_certificate_of_openssl_is_refused_with_the_reason(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-nodes", "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=x"]
    subprocess.run(made, check=True, capture_output=True)
    with pytest.raises(ConfigurationError, match="must begin with the signer's certificate"):
        Chain.read(certificate)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ed25519.Ed25519PrivateKey.generate(), "ED25519"),
    ],
)
def test_other_kinds_of_keys_sign_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: ec.EllipticCurvePrivateKey, name: str
) -> None:
    root = ec.generate_private_key(ec.SECP256R1())
    keys = iter([root, key])
    monkeypatch.setattr(ec, "generate_private_key", lambda _: next(keys))
    authority = Authority.new(tmp_path)
    assert authority.signer.chain.algorithm == name
    said = examine(authority.picture(), PNG, KnownSigners(trust=authority.root)).said
    assert said.c2pa.state is C2paState.TRUSTED


def _claim(**more: object) -> Claim:
    request = RESOLVED.model_copy(update={"provenance": Provenance.FULL, **more})
    output = StoredOutput(
        index=0, seed=7, width=64, height=64, content_type=PNG, pixel_sha256="2" * 64,
        unsigned_sha256="3" * 64, key="k",
    )  # fmt: skip
    return Claim(request, output, "gen_1", "2026-11-30T00:00:00+00:00", fingerprints=("f" * 64,))


def _facts(claim: Claim) -> dict:
    return manifest(claim)["assertions"][1]["data"]


def test_a_full_claim_has_the_request_and_the_model(tmp_path: Path) -> None:
    facts = _facts(_claim())
    assert facts["request"]["prompt"] == RESOLVED.prompt
    assert facts["request"]["seed"] == RESOLVED.seed
    assert facts["model_sha256"] == ["f" * 64]
    assert facts["unsigned_sha256"] == "3" * 64


def test_a_minimal_one_names_no_prompt_seed_or_model() -> None:
    told = str(manifest(_claim(provenance=Provenance.MINIMAL)))
    for word in (RESOLVED.prompt, RESOLVED.model, "f" * 64, "seed", "request"):
        assert word not in told
    assert SourceType.GENERATED.uri in told


def test_what_was_made_of_a_picture_is_told_as_an_edit_of_it() -> None:
    inputs = {"image": FILE, "mask": FILE.model_copy(update={"pixel_sha256": "4" * 64})}
    claim = _claim(image=inputs["image"], mask=inputs["mask"], strength=0.5)
    told = manifest(Claim(claim.request, claim.output, "gen_1", "now", inputs=inputs))
    assert [one["relationship"] for one in told["ingredients"]] == ["parentOf", "inputTo"]
    actions = told["assertions"][0]["data"]["actions"]
    assert [one["action"] for one in actions] == ["c2pa.opened", "c2pa.edited"]
    assert source_type(claim.request) is SourceType.COMPOSITE


def test_marks_take_four_kilobytes_at_most(tmp_path: Path) -> None:
    authority = Authority.new(tmp_path)
    claim = _claim(
        prompt="a red fox in the snow, golden hour, 85 mm, film grain",
        negative_prompt="blurry, text",
    )
    for form in OutputFormat:
        bare = marks.unsigned(form)
        signed = authority.signer.signed(bare, form.content_type, manifest(claim))
        xmp = 600  # more than a packet takes
        assert len(signed) - len(bare) + xmp <= 4096
