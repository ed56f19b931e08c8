"""The engine's arithmetic in torch: resident Stable Diffusion models on one device."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Final

import torch

from latentry.contracts import IntermediateKind, JobWarning, ModelCard
from latentry.errors import EngineError, JobFailed
from latentry.low_memory import LowMemory
from latentry.sources import ModelLocation
from worker.batching import BatchKey
from worker.engine.adapters.shelf import Shelf
from worker.engine.adapters.vae.loaded import models_of
from worker.engine.device import Device
from worker.engine.diffusion import checkpoint
from worker.engine.diffusion.denoise import denoise
from worker.engine.diffusion.examples import drawn_s, example
from worker.engine.diffusion.model_reader import DiffusionReader
from worker.engine.diffusion.opening import add_model, open_models
from worker.engine.diffusion.plan import plan, planned_passes
from worker.engine.diffusion.predicted_x0 import preview, preview_side
from worker.engine.diffusion.profile import profile_of
from worker.engine.diffusion.start.start import mask_warnings
from worker.engine.diffusion.trajectory import Trajectory
from worker.engine.job_failures import as_job_failed
from worker.engine.loop.backend import Pictures, Plan, Taken, TimedCall
from worker.engine.loop.messages import Order
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.models.residents import Residents
from worker.engine.threads import Threads, choose_threads
from worker.engine.timing import Timing
from worker.engine.unet.compiled import CompiledUNets
from worker.engine.vae.decode import decode
from worker.engine.vae.fp32_retry import Fp32Retry

DEFAULT_ADAPTER_BYTES: Final = 2 * 2**30


class Diffusion:
    """A `Backend`. All its methods must be called from one thread: see docs/decisions/0004."""

    def __init__(
        self,
        *,
        device: str = "auto",
        dtype: str,
        low_memory: frozenset[LowMemory] = frozenset(),
        threads: int = 0,
        model_memory_bytes: int = 0,
        adapter_memory_bytes: int = DEFAULT_ADAPTER_BYTES,
        compiled: CompiledUNets | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        choose_threads(threads)
        self.at = Device.choose(device, dtype, low_memory)
        if self.at.device.type == "cuda":
            torch.cuda.set_device(self.at.device)
        self.longest_test_s = 0.0
        self._clock = clock
        self._residents = Residents(
            self.at, prove=self.self_test, budget_bytes=model_memory_bytes, now=clock
        )
        listed = self._residents.listed
        self.reader = DiffusionReader(self.at, listed)
        self.adapters = Shelf(
            self.at, lambda: listed.blueprints, adapter_memory_bytes, lambda: listed.edition
        )
        self.compiled = compiled
        self._timing = Timing(self.at.device)
        self.threads = Threads()

    @property
    def identity(self) -> str:
        """Device, precision and software: what a call's time depends on, apart from its shape."""
        how = "eager" if self.compiled is None else "compiled"
        if LowMemory.OFFLOAD in self.at.low_memory:
            how = f"{how}, offload"
        return f"{self.at.identity} {how}"

    def open(
        self,
        sources: Mapping[str, ModelLocation],
        *,
        before: Callable[[ModelLocation], None] | None = None,
        may_be_none: bool = False,
    ) -> list[ModelCard]:
        """Serve these models. Those that fit are loaded now, the others when a request needs them.

        `before` is called with each source. One that cannot be used is left out; raises a
        LatentryError if none is left, unless there may be none.
        """
        return open_models(self._residents, sources, before=before, may_be_none=may_be_none)

    @property
    def models(self) -> Mapping[str, LoadedModel]:
        """The models in memory by id, read-only."""
        return self._residents.models

    @property
    def resident(self) -> tuple[str, ...]:
        """The models in memory. May be read from any thread."""
        return tuple(self.models)

    @property
    def failed(self) -> tuple[str, ...]:
        """The models that did not load and are not tried for now. May be read from any thread."""
        return self._residents.listed.failed

    def reserve(self, size_bytes: int) -> None:
        """So much of the memory for models is taken by others. Before any model is loaded."""
        self._residents.memory.reserve(size_bytes)

    def load(self, model: str, source: ModelLocation) -> ModelCard:
        """Make a model resident, prove and serve it. Raises ConfigurationError or a JobFailed."""
        card = add_model(self._residents, model, source)
        self._residents.load(model)
        return card

    def adopt(self, model: str, loaded: LoadedModel) -> None:
        """Serve a model that is in memory already, instead of its namesake; never evict it."""
        self._residents.adopt(model, loaded)

    def self_test(self, model: str) -> float:
        """Draw one real step and decode it; its seconds at native size. Raises a JobFailed."""
        is_small = self.at.device.type == "cpu"
        seconds = drawn_s(self, self.models[model].card, is_small=is_small)
        self.longest_test_s = max(self.longest_test_s, seconds)
        return seconds

    def now(self) -> float:
        """Seconds of this process's clock."""
        return self._clock()

    def ready(self, *models: str) -> bool:
        """Whether all are resident. Raises UnsupportedField, and what `Residents.ready` does."""
        self._residents.listed.refuse_together(models)
        ready = [self._residents.ready(model) for model in models]  # each is wanted from now on
        return all(ready)

    @property
    def is_loading(self) -> bool:
        """Whether the next `continue_loading` may prove a model."""
        return self._residents.is_loading

    def continue_loading(self, *, idle: bool) -> None:
        """Spend a moment on models that are being loaded; wait a little for them if `idle`."""
        self._residents.continue_loading(idle=idle)

    @property
    def is_changing(self) -> bool:
        """Whether `continue_loading` has something to do even where no order waits."""
        return self._residents.is_changing

    def change_model(self, model: str, blueprint: object) -> None:
        """Serve a model as `reader` has read it, or no longer."""
        assert blueprint is None or isinstance(blueprint, Blueprint)
        self._residents.listed.change(model, blueprint)

    def examples(self) -> list[Order]:
        """One order of each resident model, of its native size with guidance."""
        return [example(model.card, steps=4) for model in self.models.values()]

    def plan(self, order: Order) -> Plan:
        """The batch key and rows of an order's calls. Raises InvalidRequest or ModelNotLoaded."""
        self.adapters.refuse_outdated(order)
        return plan(order, *models_of(order, self.models))

    def begin(self, order: Order, plan: Plan) -> tuple[Trajectory, list[JobWarning]]:
        """Encode its prompts, draw its first noise, or go on from its checkpoint."""
        models = models_of(order, self.models)
        with as_job_failed():
            passes = planned_passes(order, *models)
            trajectory = Trajectory.begin(order, passes)
            if order.checkpoint is not None:
                checkpoint.resume(trajectory, order.checkpoint, self.profile(trajectory) or "")
        for name in order.request.models:
            self._residents.use(name, trajectory)
        warnings = [warning for one in passes for warning in one.conditioning.warnings]
        return trajectory, [*warnings, *mask_warnings(order, models[0])]

    def advance(self, members: Sequence[Trajectory], rows: int) -> None:
        """One UNet call; all members advance or none. Raises OutOfMemory or EngineError."""
        key = members[0].key
        if entering := [one for one in members if one.is_between_passes]:
            with as_job_failed(), self._spare(key):  # before the call, whose time is measured
                for one in entering:
                    one.enter_pass()
        with as_job_failed(), self._timing.call(key, rows), self._spare(key):
            denoise(members[0].model, members, rows, self.compiled)

    def calls(self) -> list[TimedCall]:
        """The calls that ended since the last call of this method."""
        return self._timing.ended()

    def decode(self, members: Sequence[Trajectory]) -> Pictures:
        """Put finished latents through the VAE."""
        return self._decode(members[0], [one.seen for one in members])

    def decode_frames(self, member: Trajectory, frames: range) -> Pictures:
        """Put these frames of a finished clip through the VAE."""
        return self._decode(member, member.frames[frames.start : frames.stop])

    def show(self, member: Trajectory, kind: IntermediateKind) -> Pictures:
        """Put the latent of an unfinished image, or its predicted end, through the VAE."""
        if kind is IntermediateKind.LATENT:
            return self._decode(member, [member.seen])
        if member.predicted_x0 is None:
            return Taken([EngineError("The model's prediction at this step is missing.")])
        return self._decode(member, [member.predicted_x0])

    def _decode(self, of: Trajectory, latents: Sequence[torch.Tensor]) -> Pictures:
        """Latents of this image's model and size; one by one if memory holds no more at once."""
        try:
            with as_job_failed(), self._spare(of.key):
                decoded = decode(of.model, latents, seamless=of.key.seamless)
                return Fp32Retry(of.model, latents, decoded, of.key.seamless)
        except JobFailed as error:
            if len(latents) == 1:
                return Taken([error])
        apart = [self._decode(of, [one]) for one in latents]
        return Taken([answer for pictures in apart for answer in pictures.take()])

    def preview(self, members: Sequence[Trajectory]) -> Pictures:
        """The pictures that the model predicts of unfinished images, by the tiny autoencoder."""
        latents = [one.latent if one.predicted_x0 is None else one.predicted_x0 for one in members]
        sides = [preview_side(one.order.request) for one in members]
        try:
            with as_job_failed():
                return preview(members[0].model, latents, sides)
        except JobFailed as error:
            return Taken([error] * len(members))

    def _spare(self, key: BatchKey) -> AbstractContextManager[None]:
        """Around a call that leaves CPUs to other processes if it may: strict bits depend on its
        threads, compiled UNets are made for all of them, and a GPU has none.
        """
        may_share = not key.is_strict and self.compiled is None and self.at.device.type == "cpu"
        return self.threads.spare() if may_share else nullcontext()

    def save(self, member: Trajectory) -> bytes:
        """A checkpoint, from which any process may go on. Waits for the device."""
        return checkpoint.save(member, self.profile(member) or "")

    def profile(self, member: Trajectory) -> str | None:
        """The id of the profile under which a strict picture has these bits; None in fast mode."""
        return profile_of(member, self.at)
