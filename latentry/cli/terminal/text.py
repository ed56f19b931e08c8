"""Texts of others on a terminal, which obeys some characters instead of showing them."""

import re
from typing import Final

# C0, DEL and C1, with which escape sequences begin; and what turns the direction of a line.
_OBEYED: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """A line in which every character can be seen: a prompt may come from anybody."""
    return _OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)
