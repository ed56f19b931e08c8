"""What large bodies count for, in all and for each tenant."""

import pytest

from latentry.errors import Busy
from service.http.body_room import LARGE_BYTES, LARGE_BYTES_PER_TENANT, Room, Share


def test_a_body_of_unknown_length_counts_whole_until_it_has_come() -> None:
    room = Room()
    chunked, other = Share(room), Share(room)
    chunked.take("ada", LARGE_BYTES_PER_TENANT)
    with pytest.raises(Busy):
        other.take("ada", 2)
    chunked.keep_only(LARGE_BYTES_PER_TENANT - 2)
    other.take("ada", 2)
    chunked.keep_only(LARGE_BYTES)  # no more than was counted
    with pytest.raises(Busy):
        Share(room).take("ada", 1)
    chunked.release()
    other.release()
    Share(room).take("bob", LARGE_BYTES)
    assert room._held.total() == LARGE_BYTES, "and nothing of others is left"
