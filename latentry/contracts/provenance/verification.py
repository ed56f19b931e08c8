"""`POST /v1/verify`: which picture, and what was found in it."""

from typing import Annotated

from pydantic import Field, StringConstraints

from latentry.contracts.fields.inputs import PICTURE_PATTERN
from latentry.contracts.provenance.marks import C2paState
from latentry.contracts.wire import RequestModel, ResponseModel


class VerifyRequest(RequestModel):
    """A picture to be examined."""

    image: Annotated[
        str,
        StringConstraints(pattern=PICTURE_PATTERN),
        Field(
            description="A file id of `POST /v1/files`, a `data:` URL, or an `https:` URL that is "
            "fetched once. Of a file id it is known what the upload said if it had a manifest.",
            repr=False,
        ),
    ]


class Action(ResponseModel):
    """One thing that was done to a picture, as a manifest says."""

    action: str = Field(description="C2PA's name, such as `c2pa.created`.")
    digital_source_type: str = Field("", description="IPTC's URI of what made it.")
    software: str = ""
    when: str = ""


class Ingredient(ResponseModel):
    """A picture that went into another one."""

    title: str = ""
    relationship: str = ""
    manifest: str = Field("", description="The label of its own manifest in this history.")
    state: C2paState = C2paState.NONE


class Manifest(ResponseModel):
    """One manifest of a file: its own, or that of an ingredient."""

    label: str
    generator: str = Field("", description="The software that made the claim.")
    issuer: str = Field("", description="The organization in the signer's certificate.")
    common_name: str = Field("", description="The name in the signer's certificate.")
    signed_at: str = Field("", description="By a time stamp's authority, if there is one.")
    actions: tuple[Action, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()
    unsigned_sha256: str = Field(
        "", description="Of latentry's files: SHA-256 of the file before it was signed."
    )
    job: str = Field("", description="Of latentry's files: the job that made it, as it claims.")


class C2pa(ResponseModel):
    """What the file's C2PA manifest says, and whether it holds."""

    state: C2paState = C2paState.NONE
    codes: tuple[str, ...] = Field(
        (), description="C2PA's status codes of what failed, `signingCredential.untrusted` too."
    )
    history: tuple[Manifest, ...] = Field(
        (), description="The file's own manifest, then those of its ingredients."
    )


class Xmp(ResponseModel):
    """What its XMP says; nothing protects that."""

    digital_source_type: str = Field("", description="IPTC's URI of what made it.")
    creator_tool: str = ""


class Watermark(ResponseModel):
    """A mark in the pixels, as a service with `LATENTRY_WATERMARK=on` writes it.

    Nothing protects it: anybody can write it.
    """

    payload: Annotated[int, Field(strict=True, ge=0, le=0xFFFF)] = Field(
        description="16 bits of a hash of what the pixels depend on: equal requests, equal bits."
    )


class MadeHere(ResponseModel):
    """Whether this service made the file, and which of the caller's jobs."""

    verified: bool = Field(
        description="True: its manifest is valid, and this service's certificate signed it or one "
        "of the caller's jobs has it. What only says so does not count."
    )
    job: str | None = Field(None, description="The job, if it is the caller's and still there.")


class Verification(ResponseModel):
    """What a file says of its origin, and whether that holds."""

    content_type: str
    c2pa: C2pa = Field(default_factory=C2pa)
    infotext: str | None = Field(
        None, description="Generation parameters as AUTOMATIC1111 writes them, unprotected."
    )
    xmp: Xmp | None = None
    watermark: Watermark | None = Field(
        None, description="Null if there is none, or the service cannot look for one."
    )
    made_here: MadeHere
