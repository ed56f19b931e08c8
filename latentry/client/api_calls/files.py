"""Calls about pictures and files."""

from typing import Final

from latentry.client.api_calls.call import ApiCall, nothing, quoted, reader
from latentry.contracts import File, FileList, Verification, VerifyRequest

_PAGE: Final = 100


def upload(picture: bytes) -> ApiCall[File]:
    """Upload a picture. The service detects the format from the bytes."""
    headers = {"Content-Type": "application/octet-stream"}
    return ApiCall("POST", "/v1/files", reader(File), headers=headers, body=picture)


def files(cursor: str | None) -> ApiCall[FileList]:
    """Read a page of the uploaded pictures."""
    params = {"limit": _PAGE} | ({} if cursor is None else {"cursor": cursor})
    return ApiCall("GET", "/v1/files", reader(FileList), params=params)


def file(file_id: File | str) -> ApiCall[File]:
    """Read what is known of an uploaded picture."""
    return ApiCall("GET", file_path(file_id), reader(File))


def delete_file(file_id: File | str) -> ApiCall[None]:
    """Delete an uploaded picture."""
    return ApiCall("DELETE", file_path(file_id), nothing)


def verify(reference: str) -> ApiCall[Verification]:
    """Examine a picture, named as requests name one."""
    headers = {"Content-Type": "application/json"}
    body = VerifyRequest(image=reference)
    return ApiCall("POST", "/v1/verify", reader(Verification), headers=headers, body=body)


def download(url: str) -> ApiCall[bytes]:
    """Download an image."""
    return ApiCall("GET", url, lambda response: response.content)


def file_path(file: File | str, rest: str = "") -> str:
    """The path of an uploaded picture, or below it."""
    file_id = file if isinstance(file, str) else file.id
    return f"/v1/files/{quoted(file_id)}{rest}"
