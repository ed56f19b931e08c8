"""What the service answers, as the clients give it: with images that can be read and saved."""

import asyncio
from base64 import b64decode
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, PrivateAttr

from latentry import contracts
from latentry.client.saving import opened, targets
from latentry.contracts.wire import Listing
from latentry.errors import ConfigurationError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


class Source:
    """What images are read with: the client that they came from, and by itself nothing.

    It is no part of what an image is: copies share it, pickles leave it out, comparisons ignore it.
    """

    def read(self, image: "Image") -> bytes:
        """The encoded bytes of an image."""
        raise ConfigurationError("This image came from no client; use client.download(image).")

    async def aread(self, image: "Image") -> bytes:
        """The same for asyncio."""
        return self.read(image)

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> tuple[type["Source"], tuple[()]]:
        return Source, ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source)

    def __hash__(self) -> int:
        return hash(Source)


class Image(contracts.Image):
    """A picture that the service made. Its URL expires, the methods below get a new one.

    Images of an AsyncClient are read by the methods whose names begin with `a`.
    """

    _source: Source = PrivateAttr(default_factory=Source)
    _job_id: str | None = PrivateAttr(None)

    def model_post_init(self, context: Any, /) -> None:
        """Remember what it is read with: the context of its validation."""
        if isinstance(context, Source):
            self._source = context

    @property
    def job_id(self) -> str | None:
        """The job that made it, if it came as a part of one."""
        return self._job_id

    def is_same(self, other: "Image") -> bool:
        """Whether the other one is this image of the same job, whatever their URLs."""
        return self.index == other.index

    def read(self) -> bytes:
        """The encoded bytes."""
        return self._source.read(self)

    async def aread(self) -> bytes:
        """The encoded bytes."""
        return await self._source.aread(self)

    def save(self, path: str | PathLike[str] | None = None) -> Path:
        """Write it into a file, or into a folder under its own name; the file. Raises OSError."""
        [(_, target)] = targets(self, path)
        target.write_bytes(self.read())
        return target

    async def asave(self, path: str | PathLike[str] | None = None) -> Path:
        """As `save`."""
        [(_, target)] = targets(self, path)
        await asyncio.to_thread(target.write_bytes, await self.aread())
        return target

    def pil(self) -> "PillowImage":
        """It, opened by Pillow. Raises ConfigurationError if Pillow is not installed."""
        return opened(self.read())

    async def apil(self) -> "PillowImage":
        """As `pil`."""
        return opened(await self.aread())

    def show(self) -> None:
        """Show it in the system's viewer, by Pillow."""
        self.pil().show()

    def __str__(self) -> str:
        return repr(self)

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield "index", self.index
        yield "seed", self.seed
        yield "size", (self.width, self.height)
        yield "content_type", self.content_type


class Output(Image, contracts.Output):
    """One of a job's stored pictures, whatever its role."""

    def is_same(self, other: Image) -> bool:
        """Whether the other one is this output of the same job."""
        if not isinstance(other, Output):
            return False
        return (self.kind, self.index, self.name) == (other.kind, other.index, other.name)

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield "kind", self.kind.value
        yield "name", self.name
        yield from super().__repr_args__()


class Job(contracts.Job):
    """A job, in the same shape wherever it is returned."""

    images: list[Image] = Field(default_factory=list)  # type: ignore[assignment]  # frozen
    outputs: list[Output] = Field(default_factory=list)  # type: ignore[assignment]

    def model_post_init(self, _: Any, /) -> None:
        """Tell its images whose they are."""
        for one in (*self.images, *self.outputs):
            one._job_id = self.id

    def now(self, image: Image) -> Image | None:
        """The same image with the URL that this job says."""
        among: Sequence[Image] = self.outputs if isinstance(image, Output) else self.images
        return next((one for one in among if one.is_same(image)), None)

    def save(self, path: str | PathLike[str] | None = None) -> Sequence[Path]:
        """Write its images into files, as `client.save` does; the files. Raises OSError."""
        return [image.save(target) for image, target in self._targets(path)]

    async def asave(self, path: str | PathLike[str] | None = None) -> Sequence[Path]:
        """As `save`."""
        return [await image.asave(target) for image, target in self._targets(path)]

    def _targets(self, path: str | PathLike[str] | None) -> Iterator[tuple[Image, Path]]:
        return (
            (image, target) for image, target in targets(self, path) if isinstance(image, Image)
        )

    def __str__(self) -> str:
        return repr(self)

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield "id", self.id
        yield "kind", self.kind.value
        yield "status", self.status.value
        if self.progress and not self.done:
            yield "progress", f"{self.progress.step}/{self.progress.steps}"
        if self.error:
            yield "error", self.error.code
        if self.images:
            yield "images", len(self.images)


class JobList(Listing[Job]):
    """One page of jobs, newest first."""

    next_cursor: str | None = None
    """Pass as `cursor` for the next page; None on the last."""
    count: int | None = None
    """How many jobs match, with `count=True`."""


class BatchItem(contracts.BatchItem):
    """What became of one request: one of a job, an estimate and a problem."""

    job: Job | None = None


class BatchResult(Listing[BatchItem]):
    """One item for each request, in their order."""


class Preview(contracts.Preview):
    """A small picture of an unfinished image: a JPEG."""

    def read(self) -> bytes:
        """The encoded bytes."""
        return b64decode(self.url.partition(",")[2])

    def pil(self) -> "PillowImage":
        """It, opened by Pillow. Raises ConfigurationError if Pillow is not installed."""
        return opened(self.read())

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield "index", self.index
        yield "step", self.step


class Event(contracts.Event):
    """One event of a job. Only the field that belongs to its type is set."""

    preview: Preview | None = None
    image: Image | None = None
    output: Output | None = None
    job: Job | None = None

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield "type", self.type.value
        for name in ("position", "progress", "preview", "image", "output", "job"):
            if (value := getattr(self, name)) is not None:
                yield name, value
