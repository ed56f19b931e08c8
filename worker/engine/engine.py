"""The engine: the resident models, and one step of everybody's denoising loop at a time."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import structlog
import torch

from latentry.contracts import JobWarning, ModelCard, ResolvedRequest
from latentry.errors import EngineError, JobFailed, LatentryError, OutOfMemory, UnknownModel
from latentry.limits import refuse_unsupported
from worker.batching import Batch, BatchKey, next_batch
from worker.engine.denoise import denoise
from worker.engine.device import Device
from worker.engine.folder import load_folder
from worker.engine.messages import Canceled, Done, Event, Failed, Order, Pace, Step
from worker.engine.samplers import SAMPLERS
from worker.engine.stack import Stack
from worker.engine.trajectory import Trajectory

log = structlog.get_logger()


class Engine:
    """Draws every admitted order, many per UNet call. All its work happens in the caller's thread.

    Every admitted order ends in exactly one Done, Failed or Canceled.
    """

    def __init__(
        self,
        *,
        device: str = "auto",
        dtype: str = "auto",
        threads: int = 0,
        max_rows: int = 16,
        strict_rows: int = 8,
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.max_rows = max_rows
        self.pace = Pace()
        self._strict_rows = strict_rows
        self._at = Device.choose(device, dtype)
        self._stacks: dict[str, Stack] = {}
        self._stepping: list[Trajectory] = []
        self._finished: deque[Trajectory] = deque()
        self._untold: list[Event] = []
        self._caps: dict[BatchKey, int] = {}
        self._ticks = 0

    @property
    def rows(self) -> int:
        """UNet rows of the orders that are still denoising."""
        return sum(trajectory.rows for trajectory in self._stepping)

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing and tell nothing."""
        return not (self._stepping or self._finished or self._untold)

    def load(self, model: str, path: Path) -> ModelCard:
        """Make a model resident and serve it. Raises ConfigurationError with a sentence."""
        self._stacks[model] = stack = load_folder(model, path, self._at)
        log.info(
            "engine.loaded", model=model, device=str(self._at.device), dtype=str(self._at.dtype)
        )
        return stack.card

    def self_test(self, model: str) -> None:
        """Draw one real step and decode it. Raises EngineError, OutOfMemory or NonFiniteOutput."""
        stack = self._stacks[model]
        defaults = stack.card.defaults.model_copy(update={"num_inference_steps": 1})
        request = ResolvedRequest(model=model, prompt="a test", seed=0, **defaults.model_dump())
        with _told_as_job_failed():
            trajectory, _ = self._begin(Order("self-test", 0, request, seed=0))
            while not trajectory.is_finished:
                denoise(stack, [trajectory], trajectory.rows)
            stack.decode(trajectory.latent)

    def admit(self, order: Order) -> list[JobWarning]:
        """Take an order; it joins at the next step. Raises InvalidRequest or JobFailed."""
        with _told_as_job_failed():
            trajectory, warnings = self._begin(order)
        self._stepping.append(trajectory)
        return warnings

    def drop(self, job: str) -> None:
        """Take a job's images out of the loop; the next step tells that they are canceled."""
        held = [*self._stepping, *self._finished]
        dropped = [trajectory for trajectory in held if trajectory.order.job == job]
        self._untold += [Canceled(job, trajectory.order.index) for trajectory in dropped]
        for trajectory in dropped:
            self._leave(trajectory)

    def step(self) -> list[Event]:
        """One UNet call for those who waited longest; then some finished pictures are decoded."""
        events, self._untold = self._untold, []
        self._ticks += 1
        batch = next_batch(self._stepping, cap=self._cap, strict_rows=self._strict_rows)
        begin = perf_counter()
        if batch is not None:
            events += self._denoise(batch)
        called = perf_counter()
        events += self._decode()
        rows, decode_s = batch.rows if batch else 0, perf_counter() - called
        self.pace = Pace(rows, called - begin, decode_s)
        return events

    def _begin(self, order: Order) -> tuple[Trajectory, list[JobWarning]]:
        request = order.request
        stack = self._stacks.get(request.model)
        if stack is None:
            raise UnknownModel(f"This engine holds no model {request.model}.")
        refuse_unsupported(stack.card, request)
        guided = request.guidance_scale > 1
        prompts = [request.negative_prompt, request.prompt] if guided else [request.prompt]
        encoded = [stack.text.encode(prompt) for prompt in prompts]
        _, height, width = stack.latent_shape(request.width, request.height)
        trajectory = Trajectory.begin(
            order,
            stack,
            SAMPLERS[request.sampler](stack.schedule, request.num_inference_steps),
            key=BatchKey(request.model, height, width, 1, request.determinism),
            since=self._ticks,
            embeddings=tuple(one.embedding for one in encoded),
        )
        return trajectory, [one.warning for one in encoded if one.warning]

    def _cap(self, key: BatchKey) -> int:
        return self._caps.get(key, self.max_rows)

    def _denoise(self, batch: Batch[Trajectory]) -> list[Event]:
        """Advance the batch. If that fails, run its members apart, so that only a culprit fails."""
        try:
            return self._advance(batch.members, batch.rows)
        except torch.OutOfMemoryError:
            log.warning("engine.out_of_memory", rows=batch.rows, members=len(batch.members))
            if batch.rows > 2 and not batch.key.is_strict:
                self._caps[batch.key] = max(2, batch.rows // 2)
                return []
        except Exception:
            log.exception("engine.call_failed", rows=batch.rows, members=len(batch.members))
        events: list[Event] = []
        for member in batch.members:
            try:
                with _told_as_job_failed():
                    rows = self._strict_rows if member.key.is_strict else member.rows
                    events += self._advance([member], rows)
            except JobFailed as error:
                self._leave(member)
                events.append(Failed(member.order.job, member.order.index, error))
        return events

    def _advance(self, members: Sequence[Trajectory], rows: int) -> list[Event]:
        before = [member.step for member in members]
        denoise(members[0].stack, members, rows)
        events: list[Event] = []
        for member, step in zip(members, before, strict=True):
            order, member.since = member.order, self._ticks
            if member.step > step:
                steps = order.request.num_inference_steps
                events.append(Step(order.job, order.index, member.step, steps))
            if member.is_finished:
                self._stepping.remove(member)
                self._finished.append(member)
        return events

    def _decode(self) -> list[Event]:
        """Decode one finished latent, or a quarter of many.

        So a lone picture stalls the loop by one decode, a burst is told within a few steps, and
        what waits stays bounded however many finish in each step.
        """
        events: list[Event] = []
        for _ in range(math.ceil(len(self._finished) / 4)):
            trajectory = self._finished.popleft()
            order = trajectory.order
            try:
                with _told_as_job_failed():
                    pixels = trajectory.stack.decode(trajectory.latent)
                events.append(Done(order.job, order.index, pixels))
            except JobFailed as error:
                events.append(Failed(order.job, order.index, error))
        return events

    def _leave(self, trajectory: Trajectory) -> None:
        place = self._finished if trajectory.is_finished else self._stepping
        place.remove(trajectory)


@contextmanager
def _told_as_job_failed() -> Iterator[None]:
    """Whatever torch raises, as one of our errors."""
    try:
        yield
    except LatentryError:
        raise
    except torch.OutOfMemoryError as error:
        raise OutOfMemory from error
    except Exception as error:
        kind = type(error).__name__
        raise EngineError(f"The engine failed on this picture ({kind}).") from error
