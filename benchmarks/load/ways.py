"""Ways to make an image that share the calls of one batch, and the stock pipeline of each.

Left out are those of another batch: seamless images, whose convolutions are others, and hires fix,
which has two sizes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from latentry.contracts import InputFile

Pixels: TypeAlias = npt.NDArray[np.uint8]
SIDE: Final = 128  # of the pictures that requests bring


@dataclass(frozen=True, slots=True)
class Way:
    """More fields of a request; those of the prompt are made of it.

    brings: the pictures among them. strength: as the field, also where it is its default. room:
    pixels that are painted to the left of the picture.
    """

    more: Mapping[str, Any] = field(default_factory=dict)
    brings: tuple[str, ...] = ()
    strength: float = 1.0
    prompt: Callable[[str], str] = str
    room: int = 0

    def fields(self, prompt: str, side: int) -> dict[str, Any]:
        """What a plain request with this prompt, side by side pixels large, has besides."""
        found = {**self.more, "prompt": self.prompt(prompt)}
        if self.brings:
            file = InputFile(file="file_1", pixel_sha256="0", width=side, height=side)
            found |= {**dict.fromkeys(self.brings, file), "strength": self.strength}
        return found | ({"extend": {"left": self.room}} if self.room else {})


_IMAGE: Final = ("image",)
_MASKED: Final = ("image", "mask")

WAYS: Final[dict[str, Way]] = {
    "": Way(),
    "image to image": Way(brings=_IMAGE, strength=0.8),
    "variation of a picture": Way(brings=_IMAGE, strength=0.4),
    "inpainting": Way(brings=_MASKED),
    "inpainting, in part": Way({"inpaint_area": "masked"}, _MASKED, 0.8),
    "outpainting": Way(brings=_IMAGE, room=32),
    "variation of the noise": Way({"variation_seed": 1, "variation_strength": 0.3}),
    "prompt schedule": Way(prompt=lambda prompt: f"[{prompt}:a green frog:0.5]"),
    "alternation": Way(prompt=lambda prompt: f"[{prompt}|a green frog]"),
    "AND": Way(prompt=lambda prompt: f"{prompt} AND a green frog :0.5"),
}


def pictures(seed: int, side: int = SIDE) -> dict[str, Pixels]:
    """An `image` of smooth colours and a `mask` of its middle, RGB bytes [side, side, 3]."""
    cells = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    image = Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC)
    mask = Image.new("RGB", (side, side))
    ImageDraw.Draw(mask).ellipse((side // 4, side // 4, 3 * side // 4, 3 * side // 4), "white")
    return {"image": np.asarray(image), "mask": np.asarray(mask)}
