"""A finished picture: as the ledger keeps it, and as a client sees it."""

from enum import StrEnum

from pydantic import Field

from latentry.contracts.wire import ResponseModel


class OutputFormat(StrEnum):
    """How a picture is encoded."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"

    @property
    def content_type(self) -> str:
        """The media type, such as `image/png`."""
        return f"image/{self.value}"

    @property
    def suffix(self) -> str:
        """The file name's ending, such as `.png`."""
        return ".jpg" if self is OutputFormat.JPEG else f".{self.value}"


class _Picture(ResponseModel):
    index: int = Field(ge=0, description="Which of the request's n images this is.")
    seed: int
    width: int
    height: int
    content_type: str
    pixel_sha256: str = Field(
        description="SHA-256 of the RGB bytes, row by row: equal pixels, equal hash."
    )
    profile: str | None = Field(
        None,
        description="Strict mode: equal request, seed and profile give equal files. Else null.",
    )


class StoredImage(_Picture):
    """A picture under its storage key; no URL, because URLs are signed when they are read."""

    key: str


class Image(_Picture):
    """A picture under a URL that works now and expires later."""

    url: str
