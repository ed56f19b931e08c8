"""Files with damage, most of it in their headers: names, shapes, numbers."""

import random
from collections.abc import Callable
from pathlib import Path

from latentry.contracts import Adapter
from latentry.errors import AdapterUnusable


def damaged(
    path: Path, inspect: Callable[[Path], Adapter], *, seed: int, times: int
) -> tuple[int, set[str]]:
    """How often a damaged copy of a file was taken all the same, and why others were refused."""
    chance = random.Random(seed)
    whole, taken, reasons = path.read_bytes(), 0, set[str]()
    length = int.from_bytes(whole[:8], "little")
    for _ in range(times):
        copy = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 5])):
            where = chance.choice([chance.randrange(8 + length), chance.randrange(len(whole))])
            copy[where] = chance.choice([chance.randrange(256), *b'0198"{}[],:.'])
        path.write_bytes(copy)
        try:
            taken += bool(inspect(path).models)
        except AdapterUnusable as error:
            reasons.add(error.message)
    return taken, reasons
