"""Uploaded pictures, to be named in requests."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from latentry.contracts.provenance.marks import C2paState
from latentry.contracts.wire import Listing, ResponseModel


class File(ResponseModel):
    """One picture as stored: decoded, rotated upright and encoded again without its metadata."""

    id: str
    bytes: int = Field(description="Size of what is stored in bytes.")
    width: int
    height: int
    content_type: str
    sha256: str = Field(description="SHA-256 of the stored file.")
    pixel_sha256: str = Field(
        "", description="SHA-256 of the pixels, RGB or RGBA bytes row by row."
    )
    c2pa: C2paState = Field(
        C2paState.NONE,
        description="What the C2PA manifest of the uploaded picture was worth; it is kept, and goes"
        " into what is made of the picture.",
    )
    created_at: datetime
    expires_at: datetime


class FileList(Listing[File]):
    """One page of files, those that expire last first."""

    object: Literal["list"] = "list"
    next_cursor: str | None = Field(
        None, description="Pass as `cursor` for the next page; null on the last."
    )
