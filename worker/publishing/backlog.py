"""Pictures that are not in storage yet, and the memory that they take."""

import threading


class Backlog:
    """Counts bytes of pixels and of encoded files, within a budget. For any thread.

    The budget bounds what is claimed: what is drawn by then is always taken in.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.bytes = 0
        self.is_refused = False  # storage took nothing when it was last tried
        self._budget_bytes = budget_bytes
        self._lock = threading.Lock()

    @property
    def has_room(self) -> bool:
        """Whether more pictures may be drawn."""
        return self.bytes < self._budget_bytes

    def add(self, bytes: int) -> None:
        """So much more waits."""
        with self._lock:
            self.bytes += bytes

    def remove(self, bytes: int) -> bool:
        """So much less waits; whether there is room only now."""
        with self._lock:
            had_room = self.has_room
            self.bytes -= bytes
            return self.has_room and not had_room
