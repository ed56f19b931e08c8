"""The names of a T2I-Adapter's weights, as diffusers has them.

The original ones are of TencentARC/T2I-Adapter, ldm/modules/encoders/adapter.py: the full one has
its blocks in one row, two a level; the light one has a `body` in each level's block.
"""

import re
from collections.abc import Mapping
from typing import Final

from latentry.errors import AdapterUnusable, ConfigurationError
from worker.engine.models.sources.single_file.names import renamed
from worker.engine.models.weights import StoredTensor

Weights = Mapping[str, StoredTensor]

_PREFIX: Final = "adapter."
_BLOCKS_A_LEVEL: Final = 2
_FULL: Final = re.compile(r"body\.(\d+)\.(block[12]\..+)")
_FULL_INPUT: Final = re.compile(r"body\.(\d+)\.in_conv\.(.+)")
_LIGHT: Final = re.compile(r"body\.(\d+)\.body\.(\d+)\.(.+)")


def under_diffusers_names(weights: Weights) -> dict[str, StoredTensor]:
    """The weights in either layout. Raises AdapterUnusable."""
    bare = {name.removeprefix(_PREFIX) for name in weights}
    is_full = "body.0.block1.weight" in bare

    def name_of(name: str) -> str:
        name = name.removeprefix(_PREFIX)
        return _PREFIX + (_of_full(name) if is_full else _LIGHT.sub(r"body.\1.resnets.\2.\3", name))

    try:
        return renamed(weights, name_of)
    except ConfigurationError as error:
        raise AdapterUnusable(f"Its names are not those of a T2I-Adapter: {error}") from None


def _of_full(name: str) -> str:
    if match := _FULL.fullmatch(name):
        level, block = divmod(int(match[1]), _BLOCKS_A_LEVEL)
        return f"body.{level}.resnets.{block}.{match[2]}"
    if match := _FULL_INPUT.fullmatch(name):
        return f"body.{int(match[1]) // _BLOCKS_A_LEVEL}.in_conv.{match[2]}"
    return name
