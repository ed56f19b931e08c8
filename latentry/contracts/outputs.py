"""What a job stores: as the ledger lists it, and a finished picture as a client sees it."""

import math
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from latentry.contracts.fields.safety import Safety
from latentry.contracts.problems import JobError
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


class ClipFormat(StrEnum):
    """How a sequence of pictures is encoded as one file."""

    WEBP = "webp"
    GIF = "gif"
    MP4 = "mp4"

    @property
    def content_type(self) -> str:
        """The media type, such as `video/mp4`."""
        return f"video/{self.value}" if self is ClipFormat.MP4 else f"image/{self.value}"

    @property
    def suffix(self) -> str:
        """The file name's ending, such as `.mp4`."""
        return f".{self.value}"


class _Picture(ResponseModel):
    index: int = Field(ge=0, description="Which of the request's n images this is.")
    seed: int
    variation_seed: int | None = None
    width: int
    height: int
    content_type: str
    pixel_sha256: str = Field(
        description="SHA-256 of the RGB bytes, row by row: equal pixels, equal hash. Of a clip, of"
        " all its frames' in turn, before they are encoded."
    )
    unsigned_sha256: str = Field(
        "", description="SHA-256 of the file before its C2PA manifest was signed into it."
    )
    signed: bool = Field(False, description="Whether it has a signed C2PA manifest.")
    profile: str | None = Field(
        None,
        description="Strict mode: equal request, seed and profile give equal pixels, and equal"
        " files but for the signature: an equal `unsigned_sha256`. Else null.",
    )
    safety: Safety | None = Field(
        None,
        description="What rules on pictures made of it, where the service has any.",
        exclude_if=lambda safety: safety is None,
    )


class OutputKind(StrEnum):
    """The role of an output in its job."""

    IMAGE = "image"  # a final picture, one of the n requested
    LATENT = "latent"  # the noisy latent after one of its steps, decoded
    PREDICTED = "predicted"  # what the model took the picture for at one of its steps, decoded
    FRAME = "frame"  # a final picture that is one of a sequence
    CLIP = "clip"  # all frames in one file
    CONTROL = "control"  # what a ControlNet was shown
    CAPTION = "caption"  # what a picture shows, in words: no file

    @property
    def is_final(self) -> bool:
        """Whether it is one of the job's `images`."""
        return self in (OutputKind.IMAGE, OutputKind.FRAME)


_Error = Annotated[
    JobError | None,
    Field(
        description="Why there is no picture, such as `picture_refused`; else left out.",
        exclude_if=lambda error: error is None,
    ),
]


class StoredOutput(_Picture):
    """One output under its storage key; no URL, because URLs are signed when they are read.

    `index`, `name` and the suffix of its key are unique within the job. `name` is empty for a final
    picture and distinguishes other outputs of the same index. One with an `error` has no key.
    `is_charged`: it is paid for all the same. `applied`: rules on pictures, and what each did.
    `signed_sha256`: of the file with its signature, if it has one. `text`: of a caption, which has
    no file, and so no key.
    """

    kind: OutputKind = OutputKind.IMAGE
    name: str = ""
    step: int | None = None
    key: str
    error: _Error = None
    is_charged: bool = Field(False, exclude_if=lambda charged: not charged)
    applied: tuple[tuple[str, str], ...] = Field((), exclude_if=lambda applied: not applied)
    signed_sha256: str = Field("", exclude_if=lambda digest: not digest)
    text: str | None = Field(None, repr=False, exclude_if=lambda text: text is None)

    @property
    def is_picture(self) -> bool:
        """Whether it is one of the job's final pictures."""
        return self.kind.is_final and self.error is None

    @property
    def place(self) -> tuple[bool, int, float, str]:
        """Where it stands among the job's outputs: image by image, its steps before its end.

        A clip of all of them comes last.
        """
        step = math.inf if self.step is None else self.step
        return self.kind is OutputKind.CLIP, self.index, step, self.name

    @property
    def label(self) -> str:
        """How the ledger lists it: `kind:index:name`. A failed one is of a kind of its own."""
        kind = self.kind.value
        if self.error is not None:
            kind = "charged" if self.is_charged else "refused"
        return f"{kind}:{self.index}:{self.name}"


class Image(_Picture):
    """A picture under a URL that works now and expires later."""

    url: str = Field(description="Empty if there is no picture.")


class Output(Image):
    """One of a job's stored pictures, whatever its role."""

    name: str = Field(description="Distinguishes outputs of one image; empty for the final one.")
    kind: OutputKind
    step: int | None = Field(None, description="The step after which it was taken, if any.")
    error: _Error = None
