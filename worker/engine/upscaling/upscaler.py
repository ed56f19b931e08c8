"""What all upscalers have in common: in which calls they work, and their example."""

from latentry.contracts import InputFile, ResolvedUpscale, UpscalerCard
from latentry.rules.upscaling import call_sizes

_EXAMPLE_PX = 512  # side of an example's result, where no network has tiles of its own


class Upscaler:
    """Lanczos, or a network."""

    __slots__ = ()

    card: UpscalerCard

    def calls(self, request: ResolvedUpscale) -> list[tuple[int, int]]:
        """Height and width of what each call makes."""
        return call_sizes(request, self.card)

    def is_light(self, _request: ResolvedUpscale, _call: int) -> bool:
        """None is."""
        return False

    def example(self) -> ResolvedUpscale:
        """A request of one tile or strip."""
        side = self.card.tile or round(_EXAMPLE_PX / self.card.scale)
        image = InputFile(file="", pixel_sha256="", width=side, height=side)
        return ResolvedUpscale(image=image, scale=self.card.scale, upscaler=self.card.id)
