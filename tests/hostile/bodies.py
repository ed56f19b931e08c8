"""Bodies of generations that a schema alone hardly ever finds: all modes, with any pictures.

Schemathesis loads it by `checks.py`. Every other body stays as it was generated.
"""

import os
import random
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from tests.hostile.pictures import animated, encoded, png
from tests.modes import MODES, pictures
from tests.modes import png as png_of

FILES: Final = "HOSTILE_FILES"  # the variable with the ids of files that are there

_ONE: Final = {"width": 96, "height": 96, "num_inference_steps": 6, "prompt": "a red circle"}
# What a picture may be: of other sizes and colours than the image; some are refused.
_PICTURES: Final = (
    *(png_of(one) for one in pictures(1).values()),
    encoded("PNG", size=(1, 1), mode="L"),
    encoded("PNG", size=(300, 3), mode="P"),
    encoded("PNG", size=(64, 64), mode="RGBA"),
    encoded("PNG", size=(20, 30), mode="1"),
    png(width=1, height=1, depth=16, pixels=bytes(7)),
    encoded("JPEG", size=(200, 100), mode="CMYK"),
    encoded("WEBP", size=(10, 90), lossless=True),
    png(width=0, height=4),
    png(width=10_000, height=1, pixels=bytes(30_001)),
    animated("WEBP"),
    b"no picture",
)


def body_of(number: int, generated: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `number`-th body: as it was generated, or a mode's with some field of that."""
    names = list(MODES)
    turn, is_mode = divmod(number, 2)
    if not is_mode:
        return generated
    chance = random.Random(number)
    fields: dict[str, Any] = {**_ONE, **MODES[names[turn % len(names)]].as_sent(turn % 4)}
    first_time = turn < len(names)
    for name, value in fields.items():
        if isinstance(value, bytes):
            fields[name] = _reference(value if first_time else chance.choice(_PICTURES), chance)
    for name in () if first_time else chance.sample(sorted(generated), min(1, len(generated))):
        fields[name] = generated[name]
    return fields


def _reference(picture: bytes, chance: random.Random) -> str:
    files = os.environ.get(FILES, "").split()
    if files and chance.random() < 0.3:
        return chance.choice(files)
    return f"data:application/octet-stream;base64,{b64encode(picture).decode()}"
