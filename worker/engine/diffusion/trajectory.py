"""One image's denoising: its passes, where it is in them, and what its next call needs."""

from dataclasses import dataclass, field

import torch

from latentry.contracts import Upscaler
from worker.batching import BatchKey
from worker.engine.adapters.ip_adapter.rows import contexts
from worker.engine.conditioning import Conditioning
from worker.engine.diffusion.passes import Pass
from worker.engine.diffusion.predicted_x0 import prediction_intervals
from worker.engine.diffusion.sampler_state import Anchor, SamplerState
from worker.engine.diffusion.start.enlarged import enlarged, resized
from worker.engine.diffusion.start.repaint import Repaint
from worker.engine.diffusion.start.start import start
from worker.engine.image_attention import Context
from worker.engine.loop.messages import Order
from worker.engine.models.loaded_model import LoadedModel


@dataclass(slots=True, eq=False)
class Reuse:
    """What DeepCache's shallow calls reuse of the last full one.

    features [rows, C', h', w']. anchor: where that call began.
    """

    features: torch.Tensor | None = None
    anchor: Anchor | None = None


@dataclass(slots=True, eq=False, weakref_slot=True)
class Trajectory:
    """An image on its way. It costs one UNet row for each of its prompts: two with guidance.

    current: the pass of the next call, or of the last one before the next pass is entered. calls:
    made in it.
    predicted_x0 [C, h, w]: from the last call after which it is to be shown. since: seconds on the
    engine's clock, when it last stepped or arrived. watched_every: as in the loop's Trajectory.
    picture: the hash that identifies it in checkpoints, once computed. repaint, beside: as in
    Start. contexts: what its rows attend to besides their prompts.
    """

    order: Order
    passes: tuple[Pass, ...]
    sampler: SamplerState
    repaint: Repaint | None = None
    beside: torch.Tensor | None = None
    contexts: tuple[Context, ...] = ()
    pass_index: int = field(init=False)
    current: Pass = field(init=False)
    calls: int = field(init=False)
    reuse: Reuse = field(default_factory=Reuse)
    predicted_x0: torch.Tensor | None = None
    since: float = 0.0
    watched_every: int = 0
    picture: str = ""
    _guided_rows: int = field(init=False)  # kept: the batching policy reads rows many times a step
    _steps_before: int = field(init=False)  # in earlier passes
    _calls_after: int = field(init=False)  # in later passes

    def __post_init__(self) -> None:
        self._guided_rows = self.passes[0].conditioning.rows
        self.move_to(0, 0)

    @classmethod
    def begin(cls, order: Order, passes: tuple[Pass, ...]) -> "Trajectory":
        """Before the first call of the first pass."""
        begun = start(order, passes[0].model, passes[0])
        return cls(order, passes, begun.sampler, begun.repaint, begun.beside, contexts(order))

    @property
    def model(self) -> LoadedModel:
        """Of the current pass."""
        return self.current.model

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Those of its models, each once."""
        if self.order.request.frames > 1:
            return (self.model.clip_fingerprint,)
        return tuple(dict.fromkeys(one.model.fingerprint for one in self.passes))

    def move_to(self, pass_index: int, calls: int) -> None:
        """Make this call of this pass the next one."""
        self.pass_index, self.calls = pass_index, calls
        self.current = self.passes[pass_index]
        self._steps_before = sum(one.steps_done[-1] for one in self.passes[:pass_index])
        self._calls_after = sum(one.calls for one in self.passes[pass_index + 1 :])
        if self.beside is not None:
            self.beside = resized(self.beside, self.current.key.height, self.current.key.width)

    @property
    def is_between_passes(self) -> bool:
        """Whether its next call is the first of the next pass, which is not entered so far."""
        return self._calls_after > 0 and self.calls == self.current.calls

    @property
    def is_redrawn(self) -> bool:
        """Whether the VAE decodes and encodes it before its next call, of a second pass."""
        if not self.is_between_passes:
            return False
        return self.passes[self.pass_index + 1].upscaler is Upscaler.LANCZOS

    @property
    def key(self) -> BatchKey:
        """Rows with an equal key may share its next call."""
        if self.is_between_passes:
            return self.passes[self.pass_index + 1].key_at(0)
        return self.current.key_at(self.calls)

    @property
    def is_guided(self) -> bool:
        """Whether its next call comes before guidance_stop."""
        if self.is_between_passes:
            return self.passes[self.pass_index + 1].is_guided(0)
        return self.current.is_guided(self.calls)

    @property
    def active_conditioning(self) -> Conditioning:
        """Of its next call: both prompts, or the positive one alone when guidance has stopped."""
        conditioning = self.current.conditioning.at(self.calls)
        return conditioning if self.is_guided else conditioning.unguided

    @property
    def rows(self) -> int:
        """How many rows its next call takes."""
        return self._guided_rows if self.is_guided else self.current.conditioning.unguided_rows

    @property
    def beside_rows(self) -> torch.Tensor | None:
        """[rows, C', h, w]: what stands beside x in its next call; None if nothing does.

        The first row of a guided edit sees no picture: zeros.
        """
        if self.beside is None:
            return None
        rows = self.beside.expand(self.rows, *self.beside.shape)
        if self.image_guidance is None:
            return rows
        return torch.cat([torch.zeros_like(rows[:1]), rows[1:]])

    @property
    def negative_rows(self) -> int:
        """How many of the rows of its next call are of the negative prompt: the first ones."""
        return self.rows - self.current.conditioning.unguided_rows

    @property
    def image_guidance(self) -> float | None:
        """image_guidance_scale of its next call; None without guidance or a picture to edit."""
        return self.order.request.image_guidance_scale if self._has_negative else None

    @property
    def _has_negative(self) -> bool:
        return self.negative_rows > 0

    @property
    def rescale(self) -> float:
        """guidance_rescale of its next call; 0 without guidance."""
        rescale = self.order.request.guidance_rescale
        return rescale if rescale and self._has_negative else 0.0

    @property
    def step(self) -> int:
        """How many of its steps are done; those that its first pass skips count as done."""
        return self._steps_before + self.current.steps_done[self.calls]

    @property
    def calls_left(self) -> int:
        """UNet calls until only the VAE is left, in all passes."""
        return self.current.calls - self.calls + self._calls_after

    @property
    def latent(self) -> torch.Tensor:
        """x, [C, h, w]."""
        return self.sampler.x

    @property
    def frames(self) -> tuple[torch.Tensor, ...]:
        """The x of each frame, [C, h, w]."""
        return self.latent.chunk(self.key.frames, dim=1)

    @property
    def seen(self) -> torch.Tensor:
        """x [C, h, w] as its next call sees it, of unit variance whatever the sampler.

        That of an image which ends before its last step is seen as by the call that is not made.
        """
        if self.calls == self.current.calls:
            return self.latent * self.current.final_scale
        return self.latent * self.current.inputs[self.calls, 1]

    @property
    def has_stepped(self) -> bool:
        """Whether its last call ended a step."""
        done, calls = self.current.steps_done, self.calls
        return calls > 0 and done[calls] > done[calls - 1]

    @property
    def prediction_is_due(self) -> bool:
        """Whether its next call ends a step after which its prediction is to be shown."""
        intervals = prediction_intervals(self.order.request, self.watched_every)
        if not intervals:
            return False
        steps = self.current.steps_done[self.calls + 1] - self.current.steps_done[self.calls]
        return steps > 0 and any((self.step + steps) % every == 0 for every in intervals)

    def noise(self) -> torch.Tensor | None:
        """Fresh noise [C, h, w] for the next call, if it needs any; the same until it succeeds.

        On the CPU: a call moves that of all its images at once.
        """
        needs_noise = self.current.draws[self.calls] or self.sampler.drawn is not None
        return self.sampler.noise(self.model) if needs_noise else None

    def resume_point(self) -> Anchor:
        """Where it can be resumed: here, or at its last full call, if the next one is shallow.

        Features in it would make a checkpoint ten times as large, to save a call or two.
        """
        if self.key.shallow and self.reuse.anchor is not None:
            return self.reuse.anchor
        return self.sampler.anchor(self.calls, self.predicted_x0)

    def advance(self, latents: torch.Tensor, features: torch.Tensor | None = None) -> None:
        """Take the state after the next call, and from a full one what shallow ones reuse."""
        if features is not None:
            self.reuse.features = features
        self.sampler.advance(latents)
        self.calls += 1

    @torch.inference_mode()
    def enter_pass(self) -> None:
        """Begin the next pass with the x that the last one ended with, if `is_between_passes`.

        Not at once, but before the call: until then it is what the last step has made of it, at
        that size, and what fails here fails like the call. Nothing has changed then.
        """
        following = self.passes[self.pass_index + 1]
        source, x = self.sampler.source, self.latent
        if following.upscaler is not None:
            x = enlarged(x, following, self.model, source)
        self.sampler = SamplerState.of(x, source)
        self.reuse = Reuse()
        self.move_to(self.pass_index + 1, 0)
