"""A picture that a caller keeps here, to be named in requests."""

from datetime import datetime

from pydantic import Field

from latentry.contracts.wire import ResponseModel


class File(ResponseModel):
    """One picture as we keep it: decoded, turned upright, and encoded anew without its metadata."""

    id: str
    bytes: int = Field(description="Of the picture as it is kept.")
    width: int
    height: int
    content_type: str
    sha256: str = Field(description="Of the bytes as they are kept.")
    created_at: datetime
    expires_at: datetime
