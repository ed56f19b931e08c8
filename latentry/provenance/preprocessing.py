"""What the file of a preprocessed picture says about its making."""

from latentry import __version__
from latentry.contracts import Preprocess, ResolvedControl


def control_infotext(request: ResolvedControl, profile: str | None = None) -> str:
    """One line of settings, as `upscale_infotext` has them."""
    width, height = request.final_size
    low, high = request.thresholds
    settings = {
        "Preprocessor": request.preprocess.value,
        "Thresholds": f"{low}-{high}" if request.preprocess is Preprocess.CANNY else None,
        "Init image": request.image.pixel_sha256,
        "Size": f"{width}x{height}",
        "Profile": profile,
        "Version": f"latentry {__version__}",
    }
    return ", ".join(f"{name}: {value}" for name, value in settings.items() if value is not None)


def control_recipe(request: ResolvedControl) -> str:
    """A body for `POST /v1/controls` that makes this picture again, while its file is there."""
    return request.model_dump_json(exclude={"steps", "metadata"})
