"""The cost of a request: one formula, for admission, for fair queueing and for the caller."""

import math
from dataclasses import dataclass
from typing import Final

from latentry.contracts import (
    AdapterKind,
    AnyRequest,
    Cost,
    InpaintArea,
    ModelCard,
    ResolvedBackground,
    ResolvedRequest,
    Sampler,
    Upscaler,
)
from latentry.contracts.fields.intermediates import name_of
from latentry.contracts.fields.places import FIELDS
from latentry.contracts.fields.sampling import steps_before
from latentry.rules.compositions import parts
from latentry.rules.passes import passes
from latentry.rules.sequences.frames import clip

# Until a worker has been measured, costs only compare requests with each other.
NOMINAL_STEP_MEGAPIXEL_S: Final = 1.0
# What a LoRA adds to a row's part of a call, as a fraction: docs/decisions/0045.
LORA_CALLS: Final = 0.25
# What a ControlNet's call is of a UNet's: docs/decisions/0049.
CONTROL_CALLS: Final = 0.4
# What an IP-Adapter adds to it; and each of its pictures, which an encoder of its own reads, in
# megapixels that the VAE encodes: docs/decisions/0056.
IP_ADAPTER_CALLS: Final = 0.05
IMAGE_PROMPT_MEGAPIXELS: Final = 0.1
_TWO_CALLS_A_STEP: Final = frozenset({Sampler.HEUN, Sampler.DPM2, Sampler.DPM2_A})


@dataclass(frozen=True, slots=True)
class Price:
    """The cost of a request as the ledger counts it.

    `cost_ms` is milliseconds of one worker; `seats` is the number of images that one worker of the
    model steps together, 0 if none has been measured.
    """

    step_megapixels: float = 1.0
    cost_ms: int = 1_000
    seats: int = 0
    images: int = 1

    @property
    def takes_ms(self) -> int:
        """Milliseconds from the first step to the end on a full worker; 0 if unknown."""
        rounds = math.ceil(self.images / self.seats) if self.seats else 0
        return math.ceil(self.cost_ms / self.images * self.seats * rounds)

    @property
    def cost(self) -> Cost:
        """The cost as clients see it."""
        seconds = self.cost_ms / 1000 if self.seats else None
        return Cost(step_megapixels=self.step_megapixels, worker_seconds=seconds)


def price(request: ResolvedRequest, card: ModelCard, refiner: ModelCard | None = None) -> Price:
    """The cost of this request for the workers of this model, and of its refiner."""
    more = 1 + LORA_CALLS * sum(bool(lora.weight) for lora in request.loras)
    shown = [one for one in request.image_prompts if one.has_effect]
    more += IP_ADAPTER_CALLS * len({one.sha256 for one in shown})
    by_pass = [
        _megapixels(one) * (more * _calls_of_two(one) + CONTROL_CALLS * _control_calls_of_two(one))
        for one in passes(request)
    ]
    calls, last = sum(by_pass), _megapixels(passes(request)[-1])
    besides = (
        _input_megapixels(request) + _between_megapixels(request) + _stored_megapixels(request)
    )
    besides += IMAGE_PROMPT_MEGAPIXELS * len(shown)
    if clip(request):
        besides += last  # each frame is encoded once more
    # What is decoded without a call of its own counts as one: it must not be free.
    work = request.n * ((calls or last) + besides)
    if card.pace:
        last_pace = (refiner and refiner.pace) or card.pace
        paces = [card.pace] * (len(by_pass) - 1) + [last_pace]
        seconds = request.n * sum(
            one * pace.step_megapixel_s for one, pace in zip(by_pass, paces, strict=True)
        )
        seconds += request.n * (last + besides) * card.pace.image_megapixel_s
    else:
        seconds = work * NOMINAL_STEP_MEGAPIXEL_S
    return Price(
        step_megapixels=round(work, 6),
        cost_ms=max(1, round(seconds * 1000)),
        seats=card.pace.images_at_once if card.pace else 0,
        images=request.pictures,
    )


def skipped_steps(request: AnyRequest) -> int:
    """Steps that its first pass skips, as it starts from a picture; as diffusers rounds."""
    if isinstance(request, ResolvedBackground):
        return 0
    steps = request.num_inference_steps
    if request.strength is None:
        return steps_before(request.denoise_start, steps)
    return max(steps - min(int(steps * request.strength), steps), 0)


def made_steps(request: AnyRequest) -> range:
    """The steps of each image, by their number from 1 on, that are made."""
    return range(skipped_steps(request) + 1, request.total_steps + 1)


def intermediates(request: AnyRequest) -> dict[str, int]:
    """What is stored of each image besides its picture, in order: its name and its step."""
    wanted = request.intermediates
    if isinstance(request, ResolvedBackground) or wanted is None:
        return {}
    steps = made_steps(request)
    return {name_of(kind, step): step for step in steps for kind in wanted.due(step)}


def unet_calls(sampler: Sampler, steps: int, skipped: int = 0, last: int | None = None) -> int:
    """The UNet calls of all but the first `skipped` of so many steps, up to the `last`."""
    last = steps if last is None else last
    made = last - skipped
    if made < 1:
        return 0
    if sampler in _TWO_CALLS_A_STEP:  # except the very last step, which is of first order
        return 2 * made - (last == steps)
    return made + 1 if sampler is Sampler.PNDM and steps > 1 else made


def pass_calls(one: ResolvedRequest) -> int:
    """The number of UNet calls of a pass of one image."""
    return unet_calls(one.sampler, one.num_inference_steps, skipped_steps(one), one.last_step)


def scheduled_calls(sampler: Sampler, steps: int) -> int:
    """How many calls AUTOMATIC1111 expects: what prompt schedules count, and fractions are of."""
    return 2 * steps if sampler in _TWO_CALLS_A_STEP else steps


def _megapixels(one: ResolvedRequest) -> float:
    """Of one image of a pass; of all frames of a clip."""
    return one.frames * one.width * one.height / 1e6


def _calls_of_two(one: ResolvedRequest) -> float:
    """A pass's UNet calls for one image, as so many calls of two rows."""
    rows = len(parts(one.prompt, one.prompt_syntax)) + one.negative_rows * one.guidance_stop
    return pass_calls(one) * rows / 2


def _control_calls_of_two(one: ResolvedRequest) -> float:
    """Those of its ControlNets in a pass, each in its window and on its rows.

    A T2I-Adapter has none: it is called once a pass, for one picture.
    """
    calls, found = pass_calls(one), 0.0
    positive, negative = len(parts(one.prompt, one.prompt_syntax)), one.negative_rows
    for control in one.controls:
        if control.has_effect and control.kind is not AdapterKind.T2I_ADAPTER:
            rows = positive + (0 if control.mode.is_of_prompt_alone else negative)
            found += len(control.window(calls)) * rows / 2
    return found


def _input_megapixels(request: ResolvedRequest) -> float:
    """Of the pictures that are encoded, and of a larger one that the drawn one is pasted into."""
    drawn = _megapixels(request)
    encoded = sum(getattr(request, name) is not None for name in FIELDS)
    if request.image is None or request.inpaint_area is InpaintArea.WHOLE:
        return encoded * drawn
    whole = request.image.width * request.image.height / 1e6
    return encoded * drawn + max(whole - drawn, 0.0)


def _stored_megapixels(request: ResolvedRequest) -> float:
    """Of all that is stored of one image besides itself, each in the size of its pass."""
    first, last = passes(request)[0], passes(request)[-1]
    return sum(
        _megapixels(first if step <= request.num_inference_steps else last)
        for step in intermediates(request).values()
    )


def _between_megapixels(request: ResolvedRequest) -> float:
    """Of what one image's passes take of the VAE between them: a decode and an encode, or none."""
    if request.hires is None or request.hires.upscaler is not Upscaler.LANCZOS:
        return 0.0
    return sum(_megapixels(one) for one in passes(request))
