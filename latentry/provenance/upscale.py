"""What the file of an enlarged picture says about its making."""

from latentry import __version__
from latentry.contracts import ResolvedUpscale


def upscale_infotext(request: ResolvedUpscale, profile: str | None = None) -> str:
    """One line of settings, with AUTOMATIC1111's names where it has any.

    What the picture's own file said is not kept: uploads lose their metadata.
    """
    width, height = request.final_size
    settings = {
        "Postprocess upscale by": f"{request.scale:g}",
        "Postprocess upscaler": request.upscaler,
        "Init image": request.image.pixel_sha256,
        "Size": f"{width}x{height}",
        "Profile": profile,
        "Version": f"latentry {__version__}",
    }
    return ", ".join(f"{name}: {value}" for name, value in settings.items() if value is not None)


def upscale_recipe(request: ResolvedUpscale) -> str:
    """A body for `POST /v1/upscales` that makes this picture again, while its file is there."""
    return request.model_dump_json(exclude={"steps", "metadata"})
