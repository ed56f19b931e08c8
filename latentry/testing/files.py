"""The fake's answers about pictures: uploads, images by signed URL, verification."""

from email import message_from_bytes
from typing import Final

import httpx

from latentry.contracts import (
    ClipFormat,
    FileList,
    MadeHere,
    OutputFormat,
    Verification,
    VerifyRequest,
)
from latentry.errors import FileNotFound, LinkRefused, MalformedBody, UnsupportedMediaType
from latentry.testing import answers
from latentry.testing.creating import body_of, media_type
from latentry.testing.state import FakeCall, State, bytes_of, kind_of

_PICTURES: Final = {form.content_type for form in OutputFormat} | {"application/octet-stream"}
_CLIPS: Final = {form.content_type for form in ClipFormat}


def create_file(state: State, call: FakeCall) -> httpx.Response:
    """An uploaded picture, as the body or as the form part `file`."""
    file = state.keep(_sent(call, _PICTURES))
    return answers.json(file, 201, Location=f"{state.url}/v1/files/{file.id}")


def list_files(state: State, call: FakeCall) -> httpx.Response:
    """All of them, the latest first, on one page."""
    kept = [file for file, _ in reversed(state.files.values())]
    return answers.json(FileList(data=kept))


def get_file_record(state: State, call: FakeCall) -> httpx.Response:
    """What is known of it."""
    return answers.json(state.file(call.path["file_id"])[0])


def get_file_content(state: State, call: FakeCall) -> httpx.Response:
    """Its bytes, as they were sent."""
    file, data = state.file(call.path["file_id"])
    return answers.content(data, file.content_type)


def delete_file(state: State, call: FakeCall) -> httpx.Response:
    """It is forgotten."""
    del state.files[state.file(call.path["file_id"])[0].id]
    return answers.empty()


def get_file(state: State, call: FakeCall) -> httpx.Response:
    """An image, by a URL that has not expired."""
    if call.request.url.params.get("sig") != str(state.links):
        raise LinkRefused
    _, _, rest = call.path["key"].partition("/")
    job_id, _, name = rest.partition("/")
    job = state.jobs.get(job_id)
    if job is None or name not in job.files:
        raise FileNotFound
    _, drawn = job.files[name]
    return answers.content(drawn.data, drawn.content_type)


def verify(state: State, call: FakeCall) -> httpx.Response:
    """Whether a job of the fake made it; nothing is signed here."""
    if media_type(call) == "application/json":
        named = body_of(call, VerifyRequest).image
        data = state.file(named)[1] if named.startswith("file_") else bytes_of(named)
    else:
        data = _sent(call, _PICTURES | _CLIPS)
    made_by = (
        job.id
        for job in state.jobs.values()
        if any(drawn.data == data for _, drawn in job.files.values())
    )
    job = next(made_by, None)
    made_here = MadeHere(verified=job is not None, job=job)
    return answers.json(Verification(content_type=kind_of(data), made_here=made_here))


def _sent(call: FakeCall, kinds: set[str]) -> bytes:
    """The file that a body is, or has as a form's part `file`.

    Raises UnsupportedMediaType for another body, or MalformedBody.
    """
    kind = media_type(call)
    if kind != "multipart/form-data":
        if kind not in kinds:
            raise UnsupportedMediaType
        return call.request.content
    head = b"Content-Type: " + call.request.headers["Content-Type"].encode() + b"\r\n\r\n"
    for part in message_from_bytes(head + call.request.content).walk():
        name = part.get_param("name", None, "Content-Disposition")
        data = part.get_payload(decode=True)
        if name == "file" and isinstance(data, bytes):
            return data
    raise MalformedBody("The multipart body must have exactly one part 'file'.")
