"""An uploaded picture, what was found in one, and what a key has used."""

from datetime import timedelta
from typing import Final

from latentry.contracts import (
    C2pa,
    C2paState,
    File,
    FileList,
    MadeHere,
    Manifest,
    Usage,
    UsageList,
    Verification,
    Xmp,
)
from latentry.contracts.provenance.verification import Action
from service.doors.native.examples.jobs import BEGAN, JOB

_MADE_BY_A_MODEL: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
FILE: Final = File(
    id="file_7b0e4c92d1a84f35b6e7a8c9d0e1f2a3",
    bytes=18_204,
    width=512,
    height=512,
    content_type="image/png",
    sha256="5c8e1f7a0b2d3946" * 4,
    pixel_sha256="d07a94c1e63b582f" * 4,
    created_at=BEGAN,
    expires_at=BEGAN + timedelta(days=1),
)
FILES: Final = FileList(data=[FILE])
VERIFICATION: Final = Verification(
    content_type="image/png",
    c2pa=C2pa(
        state=C2paState.VALID,
        codes=("signingCredential.untrusted",),
        history=(
            Manifest(
                label="urn:c2pa:6c1d2e3f-4a5b-46c7-8d9e-0f1a2b3c4d5e",
                generator="latentry",
                issuer="Example Studio",
                common_name="images.example.com",
                actions=(Action(action="c2pa.created", digital_source_type=_MADE_BY_A_MODEL),),
                unsigned_sha256=JOB.images[0].unsigned_sha256,
                job=JOB.id,
            ),
        ),
    ),
    infotext=(
        "a red circle on a blue background\n"
        "Steps: 25, Sampler: DDIM, CFG scale: 2, Seed: 7, Size: 128x128, Model: shapes"
    ),
    xmp=Xmp(digital_source_type=_MADE_BY_A_MODEL, creator_tool="latentry"),
    made_here=MadeHere(verified=True, job=JOB.id),
)
USAGE: Final = UsageList(
    data=[
        Usage(
            day=BEGAN.date(),
            key="b7f3a9c1",
            jobs={"succeeded": 41, "canceled": 1},
            images=52,
            step_megapixels=42.6,
        )
    ]
)
