"""Bodies of jobs that a schema alone hardly ever finds: all modes and kinds, with any pictures.

Schemathesis loads it by `checks.py`. Every other body stays as it was generated.
"""

import os
import random
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from tests.hostile.pictures import animated, encoded, png
from tests.kinds import KINDS, with_pictures
from tests.modes import MODES, Mode, pictures
from tests.modes import png as png_of

EDITS: Final = "/v1/images/edits"
PREDICTIONS: Final = "/replicate/v1/predictions"
MODEL_PREDICTIONS: Final = "/replicate/v1/models/{owner}/{name}/predictions"
INFERENCE: Final = "/hf/{model}"
# What an edit may be: a picture is brought, and its model draws from it.
EDITED: Final = [n for n, mode in MODES.items() if "image" in mode.brings and mode.channels == 4]
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


TRIED: Final = "tried"  # in the metadata of all kinds but generations: which one it was


def bodies_of(route: str) -> list[Callable[[int], Mapping[str, Any]]]:
    """What makes a good body from a seed, for each way to ask this route; none of other routes."""
    if route == "/v1/generations":
        return [partial(_of_mode, mode) for mode in MODES.values()]
    if route == EDITS:
        return [partial(_of_edit, name) for name in EDITED]
    if route in (PREDICTIONS, MODEL_PREDICTIONS):
        return [partial(_of_prediction, name) for name in EDITED]
    if route == INFERENCE:
        return [partial(_of_inference, name) for name in EDITED]
    return [partial(_of_kind, name) for name, kind in KINDS.items() if kind.path == route]


def _of_mode(mode: Mode, seed: int) -> Mapping[str, Any]:
    return {**_ONE, **mode.as_sent(seed)}


def _of_edit(name: str, seed: int) -> Mapping[str, Any]:
    """As OpenAI's clients send it, but for the picture, which may be named by one word."""
    body = {**_ONE, **MODES[name].as_sent(seed), "size": "96x96", "metadata": {TRIED: name}}
    return {field: value for field, value in body.items() if field not in ("width", "height")}


def _of_prediction(name: str, seed: int) -> Mapping[str, Any]:
    return {"version": "shapes", "input": {**_ONE, **MODES[name].as_sent(seed)}}


def _of_inference(name: str, seed: int) -> Mapping[str, Any]:
    parameters = {**_ONE, **MODES[name].as_sent(seed)}
    return {"inputs": parameters.pop("prompt"), "parameters": parameters}


def _of_kind(name: str, seed: int) -> Mapping[str, Any]:
    return {**KINDS[name].body(seed, _ONE), "metadata": {TRIED: name}}


def body_of(route: str, number: int, generated: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `number`-th body of a route: as it was generated, or a good one with some field of that.

    Each good one is sent as it is for once.
    """
    good = bodies_of(route)
    each = 2 if route in ("/v1/generations", EDITS) else 4
    turn, place = divmod(number, each)
    if place < each - 1:
        return generated
    chance, first_time = random.Random(number), turn < len(good)

    def named(picture: bytes) -> str:
        return _reference(picture if first_time else chance.choice(_PICTURES), chance)

    fields = with_pictures(good[turn % len(good)](turn % 4), named)
    for name in () if first_time else chance.sample(sorted(generated), min(1, len(generated))):
        fields[name] = generated[name]
    return fields


def _reference(picture: bytes, chance: random.Random) -> str:
    files = os.environ.get(FILES, "").split()
    if files and chance.random() < 0.3:
        return chance.choice(files)
    return f"data:application/octet-stream;base64,{b64encode(picture).decode()}"
