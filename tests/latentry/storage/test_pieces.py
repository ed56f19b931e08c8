"""Large files are passed on piece by piece."""

import pytest

from latentry.errors import FileNotFound
from latentry.storage import open_storage

KEY = "default/gen_1/1-0.png"


def test_a_file_is_read_in_pieces_that_make_the_whole(settings) -> None:
    storage = open_storage(settings)
    data = bytes(range(256)) * 8192
    storage.put(KEY, data)
    size, pieces = storage.pieces(KEY)
    read = list(pieces)
    assert (size, b"".join(read)) == (len(data), data)
    assert max(map(len, read)) < len(data) / 4


@pytest.mark.parametrize("key", [KEY, "../secret", "default/gen_1"])
def test_what_is_not_there_has_no_pieces(settings, key: str) -> None:
    with pytest.raises(FileNotFound):
        open_storage(settings).pieces(key)
