"""How much time calls get that no UNet makes, beside those that one makes. Pure."""

from collections import deque
from typing import Final

# Of the time of all else. So steps become 1.13 times as long, and what is in the background gets
# 0.13 / 1.13 of the time, 11.5 %.
SHARE: Final = 0.13


class BackgroundShare:
    """Time that steps have earned for the background: a call is made once it is earned in full.

    Beside steps, no call is made on credit, and one that took longer than was expected is made up
    for. What is made while nothing else is to do is free. On a GPU calls end later than the steps
    that queued them: until then they count as long as expected.
    """

    def __init__(self) -> None:
        self._earned_s = 0.0
        self._under_way: deque[tuple[float, bool]] = deque()  # expected seconds; whether it is free

    def may_call(self, seconds: float) -> bool:
        """Whether a call that is expected to take so long may be made beside a step."""
        expected = sum(one for one, is_free in self._under_way if not is_free)
        return seconds <= self._earned_s - expected

    def called(self, seconds: float, *, is_free: bool) -> None:
        """A call was made, which is expected to take so long."""
        self._under_way.append((seconds, is_free))

    def failed(self) -> None:
        """The call that was made last has failed, and is never timed."""
        self._under_way.pop()

    def ended(self, seconds: float) -> None:
        """The oldest call under way has ended, and took so long."""
        expected_free = self._under_way.popleft() if self._under_way else (0.0, True)
        if not expected_free[1]:
            self._earned_s -= seconds

    def stepped(self, seconds: float, *, is_wanted: bool) -> None:
        """A step of all else took so long; nothing is earned for a background that is empty."""
        if is_wanted:
            self._earned_s += SHARE * seconds
        elif not self._under_way:
            self._earned_s = min(0.0, self._earned_s)
