"""What the step loop needs of whatever computes: torch, or a clock that only charges for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from latentry.contracts import Adapter, IntermediateKind, JobWarning
from latentry.errors import AdapterUnusable, JobFailed
from worker.batching import BatchKey
from worker.engine.inputs.canvas import Pixels
from worker.engine.loop.messages import LoadedAdapter, Order


@dataclass(frozen=True, slots=True)
class Plan:
    """What an order's calls need, known before it is begun: their key, and rows in each of them."""

    key: BatchKey
    rows: int


@dataclass(frozen=True, slots=True)
class TimedCall:
    """A UNet call that has ended, and how many seconds the device took."""

    key: BatchKey
    rows: int
    seconds: float


class Trajectory(Protocol):
    """One image's denoising state, which the backend keeps.

    since: seconds on the backend's clock, when it last stepped or arrived; the engine sets it.
    watched_every: after a step that this divides somebody wants to see it; 0 if nobody looks. The
    engine sets it too.
    """

    since: float
    watched_every: int

    @property
    def order(self) -> Order:
        """What is being drawn."""

    @property
    def key(self) -> BatchKey:
        """Rows with an equal key may share its next call."""

    @property
    def rows(self) -> int:
        """How many rows its next call takes."""

    @property
    def step(self) -> int:
        """How many of its steps are done."""

    @property
    def has_stepped(self) -> bool:
        """Whether its last call ended a step."""

    @property
    def calls_left(self) -> int:
        """UNet calls until only the VAE is left."""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Which models draw it, by their content."""

    @property
    def is_redrawn(self) -> bool:
        """Whether the VAE decodes and encodes it before its next call, of a second pass."""


T = TypeVar("T", bound=Trajectory)


class Pictures(Protocol):
    """Decoded pictures on their way from the device to the host."""

    @property
    def ready(self) -> bool:
        """Whether taking them would not wait."""

    def take(self) -> list[Pixels | JobFailed]:
        """One answer for each latent, in their order."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Pictures, or why there is none, that are on the host already."""

    answers: list[Pixels | JobFailed]
    ready: bool = True

    def take(self) -> list[Pixels | JobFailed]:
        """One for each latent."""
        return self.answers


class Backend(Protocol[T]):
    """All methods are called from one thread. What they raise is a LatentryError.

    A JobFailed or InvalidRequest fails the order; anything else ends the process.
    """

    def now(self) -> float:
        """Seconds on the clock of the batching policy."""

    def ready(self, *models: str) -> bool:
        """Whether all of one order's models are resident; if not, they are loaded soon.

        Raises UnknownModel, InvalidRequest if they can never be together, or JobFailed.
        """

    @property
    def is_loading(self) -> bool:
        """Whether the next `continue_loading` may prove a model."""

    @property
    def is_changing(self) -> bool:
        """Whether `continue_loading` has something to do even where no order waits."""

    def continue_loading(self, *, idle: bool) -> None:
        """Spend a moment on models that are being loaded; wait a little for them if `idle`."""

    def change_model(self, model: str, blueprint: object) -> None:
        """Serve a model as its files are now, or no longer if there is no blueprint of them.

        Images that have begun are drawn with what they began with.
        """

    def examples(self) -> list[Order]:
        """One order of each resident model, of its native size with guidance."""

    def plan(self, order: Order) -> Plan:
        """Check an order of a model that is ready. Raises InvalidRequest."""

    def begin(self, order: Order, plan: Plan) -> tuple[T, list[JobWarning]]:
        """Encode its prompts, and draw its first noise or read its checkpoint."""

    def advance(self, members: Sequence[T], rows: int) -> None:
        """One UNet call with exactly so many rows: every member advances, or none does.

        Raises OutOfMemory where the call was too large.
        """

    def calls(self) -> list[TimedCall]:
        """The calls that ended since the last call of this method."""

    def decode(self, members: Sequence[T]) -> Pictures:
        """Put finished latents of one key and one VAE through it."""

    def decode_frames(self, member: T, frames: range) -> Pictures:
        """Put some frames of a finished clip through the VAE; one picture each."""

    def preview(self, members: Sequence[T]) -> Pictures:
        """Small pictures of what unfinished images of one key are heading for. Changes nothing."""

    def show(self, member: T, kind: IntermediateKind) -> Pictures:
        """Put the step that an image has just made through the VAE; one picture. Changes nothing.

        Its checkpoint, taken or read by now, has all that this needs.
        """

    def save(self, member: T) -> bytes:
        """A checkpoint: all that `begin` needs to go on from here, in any process."""

    def profile(self, member: T) -> str | None:
        """The id of the profile under which a strict picture has these bits; None in fast mode."""


class Shelf(Protocol):
    """The adapters of a backend. Called from threads beside that of the steps."""

    @property
    def identity(self) -> str:
        """All that an inspection depends on besides the file."""

    @property
    def edition(self) -> int:
        """Another number when the identity may be another one."""

    def inspect(self, path: Path) -> Adapter:
        """What a file is, and which models it fits, perhaps none. Raises AdapterUnusable."""

    def load(self, model: str, files: Mapping[str, Path]) -> Mapping[str, LoadedAdapter]:
        """The adapters in these files, by the SHA-256 that these must have.

        They are in memory as long as anybody has them. Raises NoAdapterRoom or a JobFailed.
        """

    @property
    def held(self) -> frozenset[str]:
        """The SHA-256 of those in memory. From any thread."""


class EmptyShelf:
    """Of a backend that applies none."""

    identity = ""
    edition = 0

    def inspect(self, path: Path) -> Adapter:
        """Always raises AdapterUnusable."""
        raise AdapterUnusable("There is no model that it could fit.")

    def load(self, model: str, files: Mapping[str, Path]) -> Mapping[str, LoadedAdapter]:
        """There are none to load."""
        return {}

    @property
    def held(self) -> frozenset[str]:
        """None."""
        return frozenset()


class ServedBackend(Backend[T], Protocol[T]):
    """A backend, with what the worker around the engine reads."""

    @property
    def identity(self) -> str:
        """Device, precision and software: what a call's time depends on, apart from its shape."""

    @property
    def adapters(self) -> Shelf:
        """The adapters that requests may name."""

    @property
    def resident(self) -> tuple[str, ...]:
        """The models in memory. May be read from any thread."""

    @property
    def failed(self) -> tuple[str, ...]:
        """The models that did not load and are not tried for now. May be read from any thread."""

    @property
    def longest_test_s(self) -> float:
        """Seconds of the longest self-test so far."""
