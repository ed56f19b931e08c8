"""How many bytes of large bodies one process takes at once, in all and for each tenant."""

from collections import Counter
from typing import Final

from starlette.requests import Request

from latentry.errors import Busy

# Of large bodies that are received or read; a body counts whole from its first byte on.
LARGE_BYTES: Final = 256 * 1024 * 1024
LARGE_BYTES_PER_TENANT: Final = LARGE_BYTES // 2  # so that one tenant's leave room for others


def release_body(request: Request) -> None:
    """There is room for another body in place of this one, of which nothing is kept."""
    request.state.release_body()


class Room:
    """The bytes of the large bodies in this process, by tenant."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    def take(self, tenant: str, size: int) -> None:
        """Count a body of this size. Raises Busy; one larger than a tenant's part comes alone."""
        held, own = self._held.total(), self._held[tenant]
        is_full = held and held + size > LARGE_BYTES
        if is_full or (own and own + size > LARGE_BYTES_PER_TENANT):
            raise Busy("Too many large bodies are being received; try again later.")
        self._held[tenant] += size

    def give_back(self, tenant: str, size: int) -> None:
        """Count it no longer."""
        self._held[tenant] -= size
        self._held += Counter()  # drops tenants at zero


class Share:
    """What one request takes of it."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken: tuple[str, int] | None = None

    def take(self, tenant: str, size: int) -> None:
        """Count the request's body. Raises Busy."""
        self._room.take(tenant, size)
        self._taken = tenant, size

    def keep_only(self, size: int) -> None:
        """Of what is counted, this much has come; a body of unknown length counted whole."""
        if self._taken and size < self._taken[1]:
            tenant, taken = self._taken
            self._room.give_back(tenant, taken - size)
            self._taken = tenant, size

    def release(self) -> None:
        """Count it no longer, if it is counted."""
        if self._taken:
            self._room.give_back(*self._taken)
            self._taken = None
