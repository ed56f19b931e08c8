"""An uploaded picture, to be named in requests."""

from datetime import datetime

from pydantic import Field

from latentry.contracts.provenance.marks import C2paState
from latentry.contracts.wire import ResponseModel


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
