"""Where what an adapter needs besides its own file is looked for. Without torch."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeAlias

from worker.engine.file_state import FileState, file_state

IMAGE_ENCODER: Final = "image_encoder"
_PUBLISHED: Final = ("models", "sdxl_models")
State: TypeAlias = tuple[FileState, ...]


def image_encoders(folder: Path) -> tuple[Path, ...]:
    """The folders of image encoders for the files in this folder, the nearest first.

    In the folder itself and in the one above; and where the repository h94/IP-Adapter has them,
    each of whose folders has files that were made with the encoder of the other one.
    """
    around = (folder, folder.parent, *(folder.parent / name for name in _PUBLISHED))
    found = dict.fromkeys(one / IMAGE_ENCODER for one in around)
    return tuple(one for one in found if _is_file(one / "config.json"))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that nobody lets us look into
        return False


def state_of(paths: Iterable[Path]) -> State:
    """What changes when a file is written or replaced.

    Of a folder, that of its files. What is not there has none.
    """
    found: list[FileState] = []
    for path in paths:
        try:
            files = sorted(path.iterdir()) if path.is_dir() else [path]
            stats = [file.stat() for file in files]
        except OSError:
            continue
        found += map(file_state, stats)
    return tuple(found)
