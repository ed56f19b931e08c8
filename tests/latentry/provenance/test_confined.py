"""What a file says of itself, read in a process that can do nothing else."""

import ast
import random
import socket
from pathlib import Path

import pytest

from latentry.contracts import C2paState, OutputFormat
from latentry.errors import BrokenImage, SigningFailed
from latentry.provenance.confined import examiner
from latentry.provenance.confined import signer as confined_signer
from latentry.provenance.confined.process import Examined, examine, sign_confined
from latentry.provenance.signing import signer as signing
from latentry.provenance.signing.chain import KnownSigners
from tests import marks
from tests.marks import CASES, PROMPT, Authority

NOBODY = KnownSigners()
PNG = OutputFormat.PNG.content_type
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.new(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.new(tmp_path_factory.mktemp("other"))


@pytest.mark.parametrize("name", CASES)
def test_each_way_of_tampering_has_its_own_answer(
    name: str, own: Authority, other: Authority
) -> None:
    case = CASES[name]
    known = KnownSigners(trust=own.root) if case.trusts else NOBODY
    found = examine(case.made(own, other), PNG, known).said.c2pa
    assert (found.state, found.codes) == (case.state, case.codes)


@pytest.mark.parametrize("form", [OutputFormat.JPEG, OutputFormat.WEBP])
def test_other_formats_are_signed_and_checked_alike(form: OutputFormat, own: Authority) -> None:
    signed = own.picture(form)
    pixels = signed.index(b"VP8 ") + 60 if form is OutputFormat.WEBP else len(signed) - 30
    good, bad = (
        examine(file, form.content_type, KnownSigners(trust=own.root)).said
        for file in (signed, marks.flipped(signed, pixels))
    )
    assert (good.c2pa.state, good.c2pa.codes) == (C2paState.TRUSTED, ())
    assert good.infotext == PROMPT
    assert good.xmp is not None
    assert good.xmp.digital_source_type.endswith("/trainedAlgorithmicMedia")
    assert (bad.c2pa.state, bad.c2pa.codes) == (C2paState.INVALID, marks.MISMATCH)


def test_what_is_not_protected_is_told_beside(own: Authority) -> None:
    said = examine(marks.unsigned(), PNG, NOBODY).said
    assert said.c2pa.state is C2paState.NONE
    assert said.infotext == PROMPT
    assert said.xmp is not None
    assert said.xmp.creator_tool.startswith("latentry ")


def test_a_manifest_of_ours_is_known_by_its_signer_and_nobody_else_s_is(
    own: Authority, other: Authority
) -> None:
    chain = own.signer.chain
    known = KnownSigners(authorities=chain.authorities, serials=(chain.serial,))
    assert examine(own.picture(), PNG, known).said.own
    assert not examine(other.picture(), PNG, known).said.own
    # Another signer below the same authority, and one that took our serial.
    assert not examine(own.picture(), PNG, KnownSigners(authorities=chain.authorities)).said.own
    forged = KnownSigners(authorities=other.signer.chain.authorities, serials=(chain.serial,))
    assert not examine(own.picture(), PNG, forged).said.own


@pytest.fixture
def listening() -> socket.socket:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def test_nobody_dials_what_a_file_names(own: Authority, listening: socket.socket) -> None:
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/manifest.c2pa"
    file = marks.remote(url)
    found = examine(file, PNG, NOBODY, keep=True)
    assert found.said.c2pa.codes == ("manifest.inaccessible",)
    signed = own.signer.signed(file, PNG, marks.definition())
    kept = examine(signed, PNG, NOBODY, keep=True)
    named = {"title": "image", "relationship": "parentOf", "instance_id": "1", "label": "1"}
    own.signer.signed(file, PNG, marks.definition(), [(named, kept.archive)])
    with pytest.raises(BlockingIOError):
        listening.accept()


def test_every_context_of_the_library_is_told_not_to_dial() -> None:
    for module in (examiner.SETTINGS, confined_signer.SETTINGS, signing.C2PA_SETTINGS):
        assert module["verify"]["remote_manifest_fetch"] is False
    users = 0
    for path in (*ROOT.glob("latentry/**/*.py"), *ROOT.glob("[sw]or*/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "c2pa.Reader",
                "c2pa.Builder",
            ):
                given = [ast.unparse(one) for one in node.args]
                given += [ast.unparse(one.value) for one in node.keywords]
                assert {"context", "self._context"} & set(given), (path, node.lineno)
                users += 1
    assert users == 5


def test_an_ingredient_s_manifest_is_kept_and_goes_along(own: Authority, other: Authority) -> None:
    kept = examine(other.picture(), PNG, NOBODY, keep=True)
    assert Examined.read(kept.kept) == kept
    named = {"title": "image", "relationship": "parentOf", "instance_id": "1", "label": "1"}
    signed = own.signer.signed(marks.unsigned(), PNG, marks.definition(1), [(named, kept.archive)])
    found = examine(signed, PNG, KnownSigners(trust=own.root)).said.c2pa
    assert found.state is C2paState.TRUSTED
    [ingredient] = found.history[0].ingredients
    assert (ingredient.title, ingredient.state) == ("image", C2paState.VALID)
    assert [one.job for one in found.history] == ["gen_1", "gen_0"]


def test_so_is_one_that_does_not_hold_and_its_state_is_recorded(own: Authority) -> None:
    tampered = CASES["text added"].made(own, own)
    kept = examine(tampered, PNG, KnownSigners(trust=own.root), keep=True)
    named = {"title": "image", "relationship": "parentOf", "instance_id": "1", "label": "1"}
    signed = own.signer.signed(marks.unsigned(), PNG, marks.definition(1), [(named, kept.archive)])
    found = examine(signed, PNG, KnownSigners(trust=own.root)).said.c2pa
    assert found.state is C2paState.TRUSTED, "the new picture is what it says that it is"
    assert found.history[0].ingredients[0].state is C2paState.INVALID


def test_the_confined_signer_gets_one_signature_and_never_the_key(own: Authority) -> None:
    asked = []

    def sign(data: bytes) -> bytes:
        asked.append(data)
        raise SigningFailed("no")

    with pytest.raises(SigningFailed, match="no"):
        sign_confined(
            marks.unsigned(), PNG, marks.definition(), [],
            chain=own.signer.chain.pem, algorithm="ES256", sign=sign,
        )  # fmt: skip
    assert len(asked) == 1


def test_a_damaged_ingredient_fails_the_signature_and_nothing_else(own: Authority) -> None:
    named = {"title": "image", "relationship": "parentOf", "instance_id": "1", "label": "1"}
    with pytest.raises(SigningFailed):
        own.signer.signed(marks.unsigned(), PNG, marks.definition(), [(named, b"no archive")])


@pytest.mark.parametrize("count", [6, pytest.param(2_000, marks=pytest.mark.fuzz)])
def test_no_damage_to_a_manifest_does_more_than_break_it(own: Authority, count: int) -> None:
    png, dice = own.picture(), random.Random(7)
    manifest = marks.manifest_of(png)[8:-4]
    for _ in range(count):
        damaged = bytearray(manifest)
        for _ in range(dice.randint(1, 20)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        whole = marks.edited(png, lambda _, data=bytes(damaged): data)
        try:
            found = examine(whole, PNG, NOBODY, keep=True).said.c2pa
        except BrokenImage:
            continue
        assert found.state is not C2paState.TRUSTED
