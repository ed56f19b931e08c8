"""What tells a T2I-Adapter by the names of its tensors, without torch."""

import re
from collections.abc import Collection
from typing import Final

_FIRST: Final = re.compile(r"(adapter\.)?body\.0\.((resnets|body)\.0\.)?block1\.weight")


def is_t2i_adapter(names: Collection[str]) -> bool:
    """Whether a file with these tensors is one, of any architecture and layout."""
    return any(_FIRST.fullmatch(name) for name in names)
