"""What goes into the engine and what comes out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from latentry.contracts import (
    IntermediateKind,
    JobWarning,
    ResolvedBackground,
    ResolvedRequest,
)
from latentry.errors import LatentryError
from latentry.rules.sequences.frames import frame
from worker.engine.inputs.canvas import Canvas, Pixels


class LoadedAdapter(Protocol):
    """An adapter in memory; what else it is, its backend knows."""

    @property
    def sha256(self) -> str:
        """Of its file."""


@dataclass(frozen=True, slots=True)
class Towards:
    """The other picture of an image that is on its way from one to another: the next keyframe.

    weight: how much of the way is behind the image, above 0 and below 1. canvas: as in Order.
    """

    request: ResolvedRequest
    weight: float
    canvas: Canvas | None = None

    def pixel_fields(self) -> dict[str, Any]:
        """All that an image's pixels depend on here, ready for JSON."""
        own = {"seed": self.request.seed, "weight": self.weight}
        if (variation_seed := self.request.variation_seed_of(0)) is not None:
            own["variation_seed"] = variation_seed
        return self.request.pixel_fields() | own


@dataclass(frozen=True, slots=True)
class Order:
    """One image to draw: the `index`-th of a job, from its own seed or from its checkpoint.

    The engine does no I/O, so pictures come as a `canvas`, and the `checkpoint` as bytes. listed:
    the names of its outputs that are stored already. pictures: those in lists of the request, by
    place, such as `controls/0/image`. controls: what each of its ControlNets sees, in the size of
    each pass, RGB bytes [H, W, 3]. adapters: those that the request uses, by the
    SHA-256 of their files. towards: of a frame between two pictures, the second one; its
    request is the first one's then, for one image.
    """

    job: str
    index: int
    request: ResolvedRequest
    seed: int
    checkpoint: bytes | None = None
    canvas: Canvas | None = None
    listed: frozenset[str] = frozenset()
    pictures: Mapping[str, Pixels] = field(default_factory=dict)
    controls: Sequence[Sequence[Pixels]] = ()
    adapters: Mapping[str, LoadedAdapter] = field(default_factory=dict)
    towards: Towards | None = None

    @classmethod
    def of(
        cls,
        job: str,
        request: ResolvedRequest,
        index: int,
        canvases: Sequence[Canvas | None] = (),
        **more: Any,
    ) -> "Order":
        """That of the `index`-th image of a job's request; canvases: of its keyframes, if any.

        more: other fields.
        """
        one = frame(request, index)
        own, other = (*canvases[one.keyframe : one.keyframe + 2], None, None)[:2]
        towards = Towards(one.towards, one.weight, other) if one.towards else None
        seed = one.request.seed
        return cls(job, index, one.request, seed, canvas=own, towards=towards, **more)

    def pixel_fields(self) -> dict[str, Any]:
        """All that its pixels depend on besides the model, ready for JSON; pictures by SHA-256."""
        fields = self.request.pixel_fields() | {"seed": self.seed}
        if self.variation_seed is not None:
            fields["variation_seed"] = self.variation_seed
        if self.towards is not None:
            fields["towards"] = self.towards.pixel_fields()
        return fields

    @property
    def variation_seed(self) -> int | None:
        """The seed of the noise that its own is varied towards; None if it is not."""
        return self.request.variation_seed_of(self.index % self.request.n)  # one image: a frame

    @property
    def vae(self) -> str | None:
        """The SHA-256 of the VAE that decodes it; None for its model's own."""
        return self.request.vae.sha256 if self.request.vae else None

    @property
    def is_background(self) -> bool:
        """Whether it is made beside the steps of others, in time of its own."""
        return isinstance(self, BackgroundOrder)

    @property
    def megapixels(self) -> float:
        """The finished image's width times its height, in millions of pixels; of all its frames."""
        width, height = self.request.final_size
        return self.request.frames * width * height / 1e6


@dataclass(frozen=True, slots=True)
class BackgroundOrder(Order):
    """Something to make of one picture. The router gives it to the backend of the background."""

    request: ResolvedBackground  # type: ignore[assignment]

    @property
    def vae(self) -> None:
        """It has no latent."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The image was begun, with warnings for its caller.

    `step`: how many of its steps its checkpoint has done already.
    """

    job: str
    index: int
    warnings: tuple[JobWarning, ...]
    step: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """`step` of the image's `steps` are done."""

    job: str
    index: int
    step: int
    steps: int


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """A small picture of the image after `step`, RGB bytes [height, width, 3]."""

    job: str
    index: int
    step: int
    pixels: Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Intermediate:
    """A step of the image as a picture to be stored, RGB bytes [height, width, 3]."""

    job: str
    index: int
    step: int
    kind: IntermediateKind
    pixels: Pixels
    profile: str | None = None
    fingerprints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """The picture, RGB bytes [height, width, 3]; in strict mode with the id of its profile.

    Of a clip its frames, [frames, height, width, 3]; of a caption its UTF-8 bytes, [bytes].
    fingerprints: of the models that drew it.
    """

    job: str
    index: int
    pixels: Pixels
    profile: str | None = None
    fingerprints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The image will not be drawn, and why."""

    job: str
    index: int
    error: LatentryError


@dataclass(frozen=True, slots=True)
class Canceled:
    """The image was dropped before it was done."""

    job: str
    index: int


@dataclass(frozen=True, slots=True)
class Saved:
    """An unfinished image's checkpoint: enough to go on after `step` in another process."""

    job: str
    index: int
    step: int
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class StepTiming:
    """One step of the loop: rows of its UNet call, padding included, and seconds of its parts.

    `used`: rows that are not padding. `background`: calls that were made beside it. `decoded`:
    latents that were sent to the VAE, of clips their frames. On a GPU
    `call_s` is the time until the call was queued behind the one before: only sums over many steps
    mean something.
    """

    rows: int = 0
    used: int = 0
    join_s: float = 0.0
    call_s: float = 0.0
    decode_s: float = 0.0
    background: int = 0
    decoded: int = 0

    @property
    def total_s(self) -> float:
        """Seconds of the whole step."""
        return self.join_s + self.call_s + self.decode_s


# Every submitted order ends in exactly one Done, Failed or Canceled; nothing of it comes later.
Event: TypeAlias = Joined | Step | Preview | Intermediate | Done | Failed | Canceled
