"""A picture leaves the service, comes back, and is known."""

import io
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from latentry.cli.app import app
from latentry.client import ApiError, Client
from latentry.contracts import C2paState, Job, OutputKind
from tests.e2e.processes import Stack, before_signing

FIELDS = {"num_inference_steps": 4, "seed": 5}


def file_of(client: Client, job: Job) -> bytes:
    return client.download(job.images[0])


def test_a_picture_is_known_by_the_service_that_made_it(client: Client) -> None:
    job = client.generate("a red circle", **FIELDS)
    found = client.verify(file_of(client, job))
    assert (found.c2pa.state, found.made_here.job) == (C2paState.VALID, job.id)
    [manifest] = found.c2pa.history
    assert manifest.unsigned_sha256 == job.images[0].unsigned_sha256
    assert manifest.actions[0].software == "shapes"
    assert found.infotext is not None
    assert found.infotext.startswith("a red circle")
    client.delete(job)
    assert client.verify(found_again := file_of(client, client.generate("b", **FIELDS)))
    assert client.verify(found_again).made_here.verified


def test_strict_files_are_equal_before_they_are_signed(client: Client) -> None:
    one, other = (client.generate("a red circle", determinism="strict", **FIELDS) for _ in range(2))
    assert before_signing(one.images[0]) == before_signing(other.images[0])
    assert one.images[0].pixel_sha256 == other.images[0].pixel_sha256
    files = [file_of(client, job) for job in (one, other)]
    assert files[0] != files[1], "each signature has its own time and number"
    shown = [Image.open(io.BytesIO(file)).tobytes() for file in files]
    assert shown[0] == shown[1]


def test_what_is_made_of_a_signed_picture_tells_of_it(client: Client) -> None:
    first = client.generate("a red circle", **FIELDS)
    upload = client.upload(file_of(client, first))
    assert upload.c2pa is C2paState.VALID
    assert client.verify(upload.id).made_here.job == first.id
    edited = client.generate("a blue circle", image=upload.id, strength=0.5, **FIELDS)
    found = client.verify(file_of(client, edited))
    assert found.c2pa.state is C2paState.VALID
    made, before = found.c2pa.history
    assert [one.action for one in made.actions] == ["c2pa.opened", "c2pa.edited"]
    assert [one.state for one in made.ingredients] == [C2paState.VALID]
    assert (made.job, before.job) == (edited.id, first.id)


def test_clips_are_signed_too(client: Client) -> None:
    ends = [{"prompt": "a red circle", **FIELDS}, {"prompt": "a blue circle", **FIELDS}]
    job = client.interpolate(*ends, 3, output="gif")
    assert all(output.signed for output in job.outputs)
    [clip] = [output for output in job.outputs if output.kind is OutputKind.CLIP]
    found = client.verify(client.download(clip))
    assert (found.content_type, found.c2pa.state) == ("image/gif", C2paState.VALID)
    assert found.made_here.job == job.id


def test_a_minimal_picture_keeps_its_prompt_to_itself(client: Client) -> None:
    job = client.generate("a red circle", provenance="minimal", **FIELDS)
    file = file_of(client, job)
    assert b"red circle" not in file
    assert client.verify(file).made_here.job == job.id
    bare = client.generate("a red circle", provenance="none", **FIELDS)
    assert client.verify(file_of(client, bare)).c2pa.state is C2paState.NONE
    assert not bare.images[0].signed
    assert bare.images[0].pixel_sha256 == job.images[0].pixel_sha256


def test_the_command_line_tells_and_its_status_says_whether_it_holds(
    stack: Stack, client: Client, tmp_path: Path
) -> None:
    job = client.generate("a red circle", **FIELDS)
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(file_of(client, job))
    bad.write_bytes(good.read_bytes() + b"x")
    run = CliRunner().invoke
    told = run(app, ["verify", str(good), "--url", stack.url])
    assert told.exit_code == 0
    assert "C2PA: valid; nobody vouches for its signer." in told.output
    assert f"Made by this service, by job {job.id}." in told.output
    told = run(app, ["verify", str(bad), "--url", stack.url])
    assert told.exit_code == 1
    assert "assertion.dataHash.mismatch" in told.output
    assert (
        '"state": "valid"' in run(app, ["verify", "--json", str(good), "--url", stack.url]).output
    )


def test_what_is_no_picture_is_refused(client: Client) -> None:
    with pytest.raises(ApiError, match="PNG, JPEG, WebP, GIF or MP4"):
        client.verify(b"<svg/>")
