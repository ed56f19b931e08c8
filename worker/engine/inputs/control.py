"""What a ControlNet is shown: a picture that the request brings, at the sizes that are drawn."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from latentry.contracts import Control, Preprocess, ResolvedRequest
from latentry.rules.passes import passes
from worker.engine.inputs.canny import canny
from worker.engine.inputs.canvas import Canvas, Pixels, on_white
from worker.engine.inputs.resize import resized, resized_in_strips


def control_pictures(
    control: Control, picture: Pixels, request: ResolvedRequest, canvas: Canvas | None
) -> tuple[Pixels, ...]:
    """RGB bytes [H, W, 3] in the size of each pass, of RGB or RGBA bytes of any size.

    Of a picture that is drawn in part it is the same part, as AUTOMATIC1111's extension crops it.
    """
    image = on_white(Image.fromarray(picture))
    if canvas is not None and canvas.whole is not None and request.extend is None:
        height, width = canvas.whole.shape[:2]
        if canvas.box != (0, 0, width, height):
            image = resized(image, width, height, control.resize_mode).crop(canvas.box)
    sizes = [(one.width, one.height) for one in passes(request)]
    found = {
        size: _preprocessed(
            control, resized_in_strips(np.asarray(image), *size, control.resize_mode)
        )
        for size in sizes
    }
    return tuple(found[size] for size in sizes)


def _preprocessed(control: Control, picture: npt.NDArray[np.uint8]) -> Pixels:
    match control.preprocess:
        case Preprocess.CANNY:
            return canny(picture, *control.thresholds)
        case Preprocess.INVERT:
            return 255 - picture
        case Preprocess.NONE:
            return picture
