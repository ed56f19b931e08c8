"""What must be equal for rows to share a UNet call."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Model, latent height and width, prompt chunks, and in strict mode the call's exact rows.

    A row's bits depend on the shape of its call and on nothing else in it. So a strict row's
    `bucket` is the one number of rows its calls have; 0 means that any number will do.
    """

    model: str
    height: int
    width: int
    chunks: int
    bucket: int = 0

    @property
    def is_strict(self) -> bool:
        """Whether the call must have the one shape that strict mode promises."""
        return self.bucket > 0

    @property
    def loose(self) -> "BatchKey":
        """The same without a bucket."""
        return replace(self, bucket=0)

    @property
    def area(self) -> int:
        """Cells of the latent."""
        return self.height * self.width
