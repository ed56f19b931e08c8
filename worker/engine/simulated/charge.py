"""What a simulation charges for calls and pictures."""

from dataclasses import dataclass

from worker.batching import BatchKey


@dataclass(frozen=True, slots=True)
class Charge:
    """A model's seconds on some device: a call takes `call_s` + `row_s` · rows at `area` cells.

    Rows and pictures of another size cost in proportion to their area. `picture_s` is one VAE
    decode, `preview_s` one by the tiny decoder.
    """

    call_s: float
    row_s: float
    area: int
    picture_s: float = 0.0
    preview_s: float = 0.0
    strict_rows: int = 8

    def call(self, key: BatchKey, rows: int) -> float:
        """One UNet call."""
        return self.call_s + self.row_s * rows * key.area / self.area

    def picture(self, key: BatchKey) -> float:
        """One picture, or one frame of a clip, through the VAE."""
        return self.picture_s * key.area / key.frames / self.area

    def preview(self, key: BatchKey) -> float:
        """One through the tiny decoder."""
        return self.preview_s * key.area / self.area
