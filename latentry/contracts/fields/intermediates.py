"""Pictures of the way to an image: which of its steps are stored beside it."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from latentry.contracts.fields.bounds import MAX_STEPS
from latentry.contracts.wire import RequestModel, ResponseModel


class IntermediateKind(StrEnum):
    """What a step is shown by."""

    LATENT = "latent"  # the noisy latent, decoded
    PREDICTED = "predicted"  # the model's guess of the end, decoded


def _once(kinds: tuple[IntermediateKind, ...]) -> tuple[IntermediateKind, ...]:
    return tuple(kind for kind in IntermediateKind if kind in kinds)


class Intermediates(ResponseModel):
    """Every so many steps, and what is stored after each of them."""

    every: int
    kinds: tuple[IntermediateKind, ...] = tuple(IntermediateKind)

    def due(self, step: int) -> tuple[IntermediateKind, ...]:
        """What is stored after this step."""
        return self.kinds if step and step % self.every == 0 else ()


class WantedIntermediates(RequestModel):
    """Pictures of every so many steps, stored and listed in the job's `outputs`."""

    every: int = Field(
        strict=True, ge=1, le=MAX_STEPS, description="Store every N-th step; the last one too."
    )
    kinds: Annotated[
        tuple[IntermediateKind, ...],
        AfterValidator(_once),
        Field(
            min_length=1,
            max_length=len(IntermediateKind),
            description="`latent`: the noisy latent, decoded. `predicted`: the model's guess of "
            "the finished image at that step. Both if omitted.",
        ),
    ] = tuple(IntermediateKind)


IntermediatesOption = Annotated[
    WantedIntermediates | None,
    Field(
        description="Store every N-th step as a picture of its own: `{every, kinds}`. Images do "
        "not change; each picture costs as much as one UNet call."
    ),
]


def name_of(kind: IntermediateKind, step: int) -> str:
    """The name of an output among those of its image, such as `latent-0005`."""
    return f"{kind.value}-{step:04d}"
