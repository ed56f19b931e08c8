"""A finished picture on its way from the engine to storage."""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from latentry.contracts import (
    AnyRequest,
    InputFile,
    IntermediateKind,
    JobError,
    OutputFormat,
    OutputKind,
    Provenance,
    ResolvedCaption,
    ResolvedRequest,
    StoredOutput,
)
from latentry.contracts.fields.intermediates import name_of
from latentry.contracts.fields.safety import ImageAction
from latentry.errors import EngineError, PictureRefused
from latentry.provenance.infotext import frame_settings
from latentry.rules.moderation.image_rules import Verdict
from latentry.rules.sequences.frames import frame
from latentry.storage import key_of
from worker.claims.claimed_job import ClaimedJob
from worker.engine.loop import Done, Intermediate, Pixels
from worker.publishing.encoding import encode, pixel_sha256
from worker.publishing.signing import Origin

# Edges that were blurred by a JPEG would be others; and nothing of it was generated.
_PLAIN: Final = {
    "output_format": OutputFormat.PNG,
    "output_quality": None,
    "provenance": Provenance.NONE,
}


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """The `index`-th picture of a job: (height, width, 3) RGB bytes.

    `profile`: of a strict picture, the id of the profile under which it has these bits. `kind`:
    what is shown of it after `step`; None if it is the finished one. `fingerprints`: of the models
    that drew it. `verdict`: that of its job's rules, once it was judged. `control`: the output's
    name, if it is what a ControlNet of it sees.
    """

    job: ClaimedJob
    index: int
    pixels: Pixels
    profile: str | None = None
    kind: IntermediateKind | None = None
    step: int | None = None
    fingerprints: tuple[str, ...] = ()
    verdict: Verdict | None = None
    control: str = ""

    @classmethod
    def of(cls, job: ClaimedJob, index: int, done: Done) -> "Picture":
        """A finished picture; of a clip the frame of this index."""
        shown = done.pixels[index] if done.pixels.ndim == 4 else done.pixels
        return cls(job, index, shown, done.profile, fingerprints=done.fingerprints)

    @classmethod
    def of_step(cls, job: ClaimedJob, one: Intermediate) -> "Picture":
        """A step on the way to one."""
        return cls(job, one.index, one.pixels, one.profile, one.kind, one.step, one.fingerprints)

    @property
    def is_caption(self) -> bool:
        """Whether it is no picture, but the words of one."""
        return isinstance(self.job.lease.record.request, ResolvedCaption)

    @property
    def name(self) -> str:
        """Its name among the outputs of its image; empty for the finished one."""
        if self.control:
            return self.control
        if self.kind is None or self.step is None:
            return ""
        return name_of(self.kind, self.step)

    def finished(self) -> "Picture":
        """As it is stored: laid back into the picture that it came from, where there is one.

        A step on the way stays as it was drawn.
        """
        if (canvas := self.job.canvas) is None or self.name:
            return self
        return replace(self, pixels=canvas.pasted(self.pixels))

    @property
    def request(self) -> AnyRequest:
        """The request of this picture alone; of a frame between two, the first one's."""
        request = self.job.lease.record.request
        if isinstance(request, ResolvedRequest):
            one = frame(request, self.index).request
            return one.model_copy(update=_PLAIN) if self.control else one
        return request

    @property
    def sequence(self) -> tuple[ResolvedRequest, int] | None:
        """Of a frame on the way between pictures, its job's request and its index."""
        request = self.job.lease.record.request
        if isinstance(request, ResolvedRequest) and request.interpolation is not None:
            return request, self.index
        return None

    @property
    def inputs(self) -> dict[str, InputFile]:
        """The pictures that went into it; of a frame, those of the keyframes around it.

        Only one that is named `image` became it.
        """
        request = self.job.lease.record.request
        if not isinstance(request, ResolvedRequest):
            return request.inputs()
        one = frame(request, self.index)
        if one.towards is None:
            return one.request.inputs()
        ends = {"from": one.request, "to": one.towards}
        return {f"{at}/{n}": file for at, end in ends.items() for n, file in end.inputs().items()}

    @property
    def origin(self) -> Origin:
        """What it was made of."""
        told = frame_settings(*self.sequence) if self.sequence else {}
        return Origin(self.request, self.inputs, self.fingerprints, told)

    @property
    def output_kind(self) -> OutputKind:
        """Its role in its job."""
        if self.control:
            return OutputKind.CONTROL
        if self.kind is not None:
            return OutputKind(self.kind.value)
        return OutputKind.FRAME if self.job.lease.record.request.is_sequence else OutputKind.IMAGE

    @property
    def seed(self) -> int:
        """Its own seed."""
        return self.request.seed

    @property
    def key(self) -> str:
        """Its key in storage. Another claim of the job has another fence, and so another key."""
        lease, suffix = self.job.lease, self.request.output_format.suffix
        return key_of(
            lease.ref.tenant,
            lease.ref.id,
            fence=lease.fence,
            index=self.index,
            suffix=suffix,
            name=self.name,
        )

    @property
    def is_blocked(self) -> bool:
        """Whether a rule withholds it."""
        return self.verdict is not None and self.verdict.action is ImageAction.BLOCK

    def listed(self, file: bytes = b"") -> StoredOutput:
        """Its entry in the ledger; of one that is blocked, that it has failed.

        `file`: as it is before it is signed.
        """
        height, width, _ = self.pixels.shape
        return StoredOutput(
            key="" if self.is_blocked else self.key,
            kind=self.output_kind,
            name=self.name,
            step=self.step,
            index=self.index,
            seed=self.seed,
            variation_seed=self.request.variation_seed_of(0),
            width=width,
            height=height,
            content_type=self.request.output_format.content_type,
            pixel_sha256="" if self.is_blocked else pixel_sha256(self.pixels),
            unsigned_sha256=sha256(file).hexdigest() if file else "",
            profile=self.profile,
            **self._judgement(),
        )

    def told(self) -> StoredOutput:
        """The entry of a caption, which has no file."""
        width, height = self.request.final_size
        return StoredOutput(
            key="",
            kind=OutputKind.CAPTION,
            index=self.index,
            seed=self.seed,
            width=width,
            height=height,
            content_type="text/plain",
            pixel_sha256="",
            text=self.pixels.tobytes().decode(),
        )

    def _judgement(self) -> dict[str, Any]:
        if self.verdict is None:
            return {}
        found: dict[str, Any] = {"safety": self.verdict.safety, "applied": self.verdict.applied}
        if self.is_blocked:
            found["error"] = JobError(code=PictureRefused.code, message=self.verdict.reason)
            found["is_charged"] = self.verdict.is_charged
        return found


def encoded_picture(picture: Picture) -> tuple[StoredOutput, bytes]:
    """Its entry and its file, unsigned. Raises EngineError: drawn again it would fail again."""
    request, seed, profile = picture.request, picture.seed, picture.profile
    try:
        file = encode(
            picture.pixels,
            request,
            seed,
            profile,
            intermediate=picture.name,
            sequence=picture.sequence,
        )
    except (ValueError, OSError) as error:  # of Pillow, as for what a format cannot hold
        raise EngineError(f"It cannot be stored as {request.output_format}.") from error
    return picture.listed(file), file
