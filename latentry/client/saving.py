"""Images as files, and as images of Pillow's."""

import errno
import os
from collections.abc import Iterator
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from latentry.contracts import Image, Job, Output, OutputKind
from latentry.errors import ConfigurationError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


def image_path(path: Path | None, job: Job, index: int, *, name: str = "") -> Path:
    """The file of one output: numbered from 1 where the job has several images.

    In the directory `path`, or without one, files are named by the job's id.
    """
    own = _named(job, job.request.output_format.suffix)
    path = own if path is None else path / own if path.is_dir() else path
    return numbered_path(path, index, job.request.pictures, name=name)


def numbered_path(path: Path, index: int, total: int, *, name: str = "") -> Path:
    """The file of one of several images, numbered from 1; or of a step of it, by its name."""
    number = [str(index + 1)] if total > 1 else []
    return path.with_stem("-".join([path.stem, *number, *([name] if name else [])]))


def clip_path(path: Path | None, job: Job, clip: Output) -> Path:
    """The file of all frames of a job, whose ending is its own."""
    own = _named(job)
    named = own if path is None else path / own if path.is_dir() else path
    return named.with_suffix("." + clip.content_type.partition("/")[2])


def _named(job: Job, suffix: str = "") -> Path:
    """A file in some folder, whatever a service that is none of ours calls its jobs."""
    return Path(Path(job.id).name + suffix)


def targets(
    what: Job | Image | str, path: str | PathLike[str] | None
) -> Iterator[tuple[Image | str, Path]]:
    """Each image to save, and its file. Raises FileNotFoundError for a folder that is not there."""
    given = None if path is None else _given(os.fspath(path))
    if isinstance(what, Job):
        clips = [one for one in what.outputs if one.kind is OutputKind.CLIP]
        for clip in clips:
            yield clip, clip_path(given, what, clip)
        for image in [] if clips else what.images:
            yield image, image_path(given, what, image.index)
        return
    url = what if isinstance(what, str) else what.url
    name = url.partition("?")[0].rpartition("/")[2]
    yield what, Path(name) if given is None else given / name if given.is_dir() else given


def opened(data: bytes) -> "PillowImage":
    """An image of Pillow's, wholly read. Raises ConfigurationError without Pillow."""
    try:
        from PIL import Image as Pillow
    except ImportError as error:
        raise ConfigurationError("pil() needs Pillow: pip install pillow") from error
    image = Pillow.open(BytesIO(data))
    image.load()
    return image


def _given(path: str) -> Path:
    """A path, which has no sign any more that a folder was meant. Raises FileNotFoundError."""
    if path.endswith(("/", os.sep)) and not os.path.isdir(path):
        raise FileNotFoundError(errno.ENOENT, "There is no such folder", path)
    return Path(path)
