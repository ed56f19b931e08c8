"""A file system that has no inodes, as FUSE mounts of object stores."""

import itertools
import os
from typing import Any

import pytest


def invent_inodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one for every file whenever it is asked for."""
    numbers = itertools.count(2**40)

    def inventing(asks: Any) -> Any:
        def asked(*arguments: Any, **options: Any) -> os.stat_result:
            found = asks(*arguments, **options)
            named = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
            return os.stat_result((found[0], next(numbers), *found[2:]), named)

        return asked

    for name in ("stat", "fstat", "lstat"):
        monkeypatch.setattr(os, name, inventing(getattr(os, name)))
