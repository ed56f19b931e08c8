"""The stored frames of a job, whichever worker drew them, as one more output: its clip."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from PIL import Image

from latentry.contracts import (
    OutputFormat,
    OutputKind,
    Provenance,
    ResolvedRequest,
    StoredOutput,
)
from latentry.errors import EngineError, FileNotFound
from latentry.provenance.infotext import infotext
from latentry.provenance.manifest import source_type
from latentry.provenance.xmp import packet
from latentry.rules.sequences.frames import CLIP_NAME, clip, files
from latentry.storage import key_of
from worker.claims.claimed_job import ClaimedJob
from worker.publishing.clip import HashedFrames, Pixels, encode_clip
from worker.publishing.signing import Origin

_FORMATS = [form.name for form in OutputFormat]


@dataclass(frozen=True, slots=True, eq=False)
class StoredFrames(Sequence[Pixels]):
    """Frames as RGB bytes [height, width, 3], each read from storage when it is asked for."""

    outputs: Sequence[StoredOutput]
    read: Callable[[str], bytes]

    def __len__(self) -> int:
        return len(self.outputs)

    def __getitem__(self, index: Any) -> Any:
        data = self.read(self.outputs[index].key)
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return np.asarray(image.convert("RGB"))


def encoded_clip(job: ClaimedJob, read: Callable[[str], bytes]) -> tuple[StoredOutput, bytes]:
    """The entry and the file of a job's clip. Raises EngineError, and what `read` raises.

    read: the bytes under a key of storage.
    """
    request, lease = job.lease.record.request, job.lease
    wanted = clip(request)
    assert wanted is not None, "its job has one"
    assert isinstance(request, ResolvedRequest), "of frames"
    stored = [one for one in job.outputs.values() if one.kind is OutputKind.FRAME]
    stored.sort(key=lambda one: one.index)
    frames = HashedFrames(StoredFrames(stored, read))
    try:
        file = encode_clip(frames, wanted.fps, wanted.format, *_marks(request))
    except ImportError:
        raise EngineError("This worker cannot write MP4: PyAV is not installed.") from None
    except (FileNotFound, ValueError, OSError) as error:
        raise EngineError(f"Its frames cannot be stored as {wanted.format}.") from error
    entry = StoredOutput(
        index=0,
        name=CLIP_NAME,
        kind=OutputKind.CLIP,
        key=key_of(
            lease.ref.tenant,
            lease.ref.id,
            fence=lease.fence,
            index=0,
            suffix=wanted.format.suffix,
            name=CLIP_NAME,
        ),
        seed=request.seed,
        width=stored[0].width,
        height=stored[0].height,
        content_type=wanted.format.content_type,
        pixel_sha256=frames.pixel_sha256,
        unsigned_sha256=sha256(file).hexdigest(),
    )
    return entry, file


def origin_of_clip(job: ClaimedJob) -> Origin:
    """What a clip was made of: all its job's pictures, none of which became it alone."""
    request = job.lease.record.request
    inputs = {name: one for name, one in files(request).items() if name != "image"}
    return Origin(request, inputs, sequence={"Frames": str(request.pictures)})


def _marks(request: ResolvedRequest) -> tuple[str, str]:
    """The infotext and the XMP of its clip; empty where it wants none."""
    match request.provenance:
        case Provenance.NONE:
            return "", ""
        case Provenance.MINIMAL:
            return "", packet(source_type(request))
    text = infotext(request, request.seed, sequence={"Frames": str(request.pictures)})
    return text, packet(source_type(request))
