"""What all upscalers have in common: in which calls they work, and their example."""

from latentry.contracts import InputFile, ResolvedUpscale, UpscalerCard
from latentry.rules.upscaling import call_sizes
from worker.engine.background.tool import Call

_EXAMPLE_PX = 512  # side of an example's result, where no network has tiles of its own


class Upscaler:
    """Lanczos, or a network."""

    __slots__ = ()

    card: UpscalerCard

    def calls(self, request: ResolvedUpscale) -> list[Call]:
        """Tiles or strips."""
        return [Call(*size) for size in call_sizes(request, self.card)]

    def example(self) -> ResolvedUpscale:
        """A request of one tile or strip."""
        side = self.card.tile or round(_EXAMPLE_PX / self.card.scale)
        image = InputFile(file="", pixel_sha256="", width=side, height=side)
        return ResolvedUpscale(image=image, scale=self.card.scale, upscaler=self.card.id)
