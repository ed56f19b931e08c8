"""The fake's answers about pictures: uploads, images by signed URL, verification."""

import httpx

from latentry.contracts import FileList, MadeHere, Verification, VerifyRequest
from latentry.errors import FileNotFound, LinkRefused
from latentry.testing import answers
from latentry.testing.answers import NotFaked
from latentry.testing.creating import body_of
from latentry.testing.state import FakeCall, State, bytes_of, kind_of


def create_file(state: State, call: FakeCall) -> httpx.Response:
    """An uploaded picture, as a plain body. Raises NotFaked for a form."""
    if call.request.headers.get("Content-Type", "").startswith("multipart/"):
        raise NotFaked("The fake service reads no forms; send the picture as the body.")
    file = state.keep(call.request.content)
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
    reference = body_of(call, VerifyRequest).image
    data = state.file(reference)[1] if reference.startswith("file_") else bytes_of(reference)
    made_by = (
        job.id
        for job in state.jobs.values()
        if any(drawn.data == data for _, drawn in job.files.values())
    )
    job = next(made_by, None)
    made_here = MadeHere(verified=job is not None, job=job)
    return answers.json(Verification(content_type=kind_of(data), made_here=made_here))
