"""What a worker makes of one picture beside the step loop: upscales, controls and captions."""

from typing import Any, ClassVar

from pydantic import Field

from latentry.contracts.fields.inputs import InputFile
from latentry.contracts.fields.job import JobKind
from latentry.contracts.outputs import OutputFormat
from latentry.contracts.provenance.marks import Provenance
from latentry.contracts.wire import ResponseModel


class ResolvedBackground(ResponseModel):
    """Such a request with every omitted field filled in: what a worker runs and what repeats it.

    Without bounds: a reader accepts what an older or newer service admitted. `steps`: the calls
    that it is expected to take, for its progress.
    """

    kind: ClassVar[JobKind]
    """What its job makes."""
    decisive: ClassVar[set[str]]
    """The fields that the result depends on, besides the picture."""
    # What a generation has and these have not.
    n: ClassVar[int] = 1
    pictures: ClassVar[int] = 1
    seed: ClassVar[int] = 0
    intermediates: ClassVar[None] = None
    preview_interval: ClassVar[int] = 0
    is_sequence: ClassVar[bool] = False
    adapters: ClassVar[tuple[()]] = ()

    image: InputFile
    steps: int = 1
    metadata: dict[str, str] = Field(default_factory=dict)

    @property
    def model(self) -> str:
        """What makes it is served as, in the place of a model."""
        raise NotImplementedError

    @property
    def models(self) -> tuple[str, ...]:
        """Nothing else is needed."""
        return (self.model,)

    @property
    def final_size(self) -> tuple[int, int]:
        """Width and height of what is made, in pixels."""
        raise NotImplementedError

    @property
    def total_steps(self) -> int:
        """The number of its last step."""
        return self.steps

    def seed_of(self, _: int) -> int:
        """Nothing is drawn from a seed."""
        return self.seed

    def variation_seed_of(self, _: int) -> None:
        """Nor varied."""

    def inputs(self) -> dict[str, InputFile]:
        """The file that it names, by field."""
        return {"image": self.image}

    def pixel_fields(self) -> dict[str, Any]:
        """What the result depends on, ready for JSON."""
        picture = {"pixel_sha256": self.image.pixel_sha256}
        return {"image": picture, **self.model_dump(mode="json", include=self.decisive)}


class ResolvedPicture(ResolvedBackground):
    """One whose result is a picture."""

    output_format: OutputFormat = OutputFormat.PNG
    output_quality: int | None = None
    output_lossless: bool = False
    provenance: Provenance = Provenance.FULL
