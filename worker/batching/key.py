"""What must be equal for rows to share a UNet call."""

from dataclasses import dataclass, replace

from latentry.contracts import Seamless


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Rows with equal keys may share a call; `height` and `width` are the latent's, in cells.

    `chunks`: of 75 tokens, in the prompts. `bucket`: a row's bits depend on the shape of its call
    and on nothing else in it, so a strict row's calls always have this number of rows; 0 means
    that any number will do. `interval`: of DeepCache, every so many calls one is full; those
    between are `shallow` and reuse its features. `adapters`: the ids of what changes the weights
    themselves; adapters whose effect can be added row by row are not part of the key. `seamless`:
    how the convolutions of the whole call pad. `frames`: if there are several, each row is a clip
    of so many, whose latent has them one below the other. `background`: no call of a UNet, but one
    that is made beside those (`BackgroundShare`); height and width are then the pixels that it
    makes, and `operation` is what it does.
    """

    model: str
    height: int
    width: int
    chunks: int
    bucket: int = 0
    interval: int = 1
    shallow: bool = False
    adapters: tuple[str, ...] = ()
    seamless: Seamless = Seamless.NONE
    frames: int = 1
    background: bool = False
    operation: str = ""

    @property
    def is_strict(self) -> bool:
        """Whether the call must have the one shape that strict mode promises."""
        return self.bucket > 0

    @property
    def fast(self) -> "BatchKey":
        """The key of fast-mode rows of the same kind: they may fill a strict call's empty rows."""
        return replace(self, bucket=0)

    @property
    def full(self) -> "BatchKey":
        """The key of the full calls, with one of which a trajectory begins."""
        return replace(self, shallow=False)

    @property
    def cost_key(self) -> "BatchKey":
        """What the time of a call depends on, apart from its rows.

        Other weights of the same shapes take the same time. Strict calls have curves of their own,
        and so have seamless ones, whatever their directions: they are never compiled.
        """
        is_plain = self.interval == 1 and not self.adapters
        if is_plain and self.seamless in (Seamless.NONE, Seamless.BOTH):
            return self
        seamless = Seamless.BOTH if self.seamless is not Seamless.NONE else Seamless.NONE
        return replace(self, interval=1, adapters=(), seamless=seamless)

    @property
    def area(self) -> int:
        """Cells of the latent."""
        return self.height * self.width
