"""What must be equal for rows to share a UNet call."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Model, latent height and width, prompt chunks, how features are reused, the call's rows.

    A row's bits depend on the shape of its call and on nothing else in it. So a strict row's
    `bucket` is the one number of rows its calls have; 0 means that any number will do.

    `interval`: every so many calls one is full; those between are `shallow` and reuse its features.
    """

    model: str
    height: int
    width: int
    chunks: int
    bucket: int = 0
    interval: int = 1
    shallow: bool = False

    @property
    def is_strict(self) -> bool:
        """Whether the call must have the one shape that strict mode promises."""
        return self.bucket > 0

    @property
    def loose(self) -> "BatchKey":
        """The same without a bucket."""
        return replace(self, bucket=0)

    @property
    def full(self) -> "BatchKey":
        """The same in a full call: where its trajectories begin."""
        return replace(self, shallow=False)

    @property
    def priced(self) -> "BatchKey":
        """What the time of a call depends on, besides its rows. Strict ones are never compiled."""
        return replace(self, interval=1)

    @property
    def area(self) -> int:
        """Cells of the latent."""
        return self.height * self.width
