"""A wall clock that jumps by `clock=SECONDS` of the arguments, two seconds after the start.

To be imported before whatever keeps `time.time` as its own. libfaketime would do it from outside,
but with it Python's own `time.sleep` and `Event.wait` fail or never return (0.9.10, Python 3.11).
"""

import sys
import time
from typing import Final

BEGAN: Final = time.monotonic()
JUMP_S: Final = next((float(one[6:]) for one in sys.argv if one.startswith("clock=")), 0.0)
_time, _time_ns = time.time, time.time_ns


def _offset_s() -> float:
    return JUMP_S if time.monotonic() - BEGAN > 2 else 0.0


if JUMP_S:
    time.time = lambda: _time() + _offset_s()
    time.time_ns = lambda: _time_ns() + int(_offset_s() * 1e9)
