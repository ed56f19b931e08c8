"""Where what an adapter needs besides its own file is looked for. Without torch."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeAlias

IMAGE_ENCODER: Final = "image_encoder"
State: TypeAlias = tuple[tuple[int, int, int], ...]


def image_encoders(folder: Path) -> tuple[Path, ...]:
    """The folders of image encoders for the files in this folder, the nearest first.

    As in the repository h94/IP-Adapter: in the folder itself, and in its neighbours, because
    `sdxl_models` has files that were made with the encoder of `models`.
    """
    around = folder.parent
    candidates = (folder, around, *sorted(around.glob("*")))
    found = dict.fromkeys(one / IMAGE_ENCODER for one in candidates)
    return tuple(one for one in found if (one / "config.json").is_file())


def state_of(paths: Iterable[Path]) -> State:
    """What changes when a file is written or replaced: place on disk, size and both times.

    Of a folder, that of its files. What is not there has none.
    """
    found = []
    for path in paths:
        try:
            files = sorted(path.iterdir()) if path.is_dir() else [path]
            stats = [file.stat() for file in files]
        except OSError:
            continue
        found += [(one.st_ino, one.st_size, one.st_ctime_ns) for one in stats]
    return tuple(found)
