"""How many more jobs a worker offers to claim."""

from typing import Any

from worker.engine.loop import Engine
from worker.publishing.publisher import Publisher


def room_for(engine: Engine[Any], publisher: Publisher, *, has_jobs: bool) -> tuple[int, int]:
    """As many as there are rows, and memory for the pictures; and how many of the background."""
    if publisher.is_refused:  # one of any kind finds out when storage is back
        return (0, 0) if has_jobs else (1, min(1, engine.background_room))
    if not publisher.has_room:
        return 0, 0
    return engine.room, engine.background_room
