"""The pictures that jobs start from, made ready before the jobs reach the step loop."""

import io
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import structlog
from PIL import Image

from latentry.contracts import InputFile, JobStatus, ResolvedRequest
from latentry.contracts.fields.places import FIELDS
from latentry.errors import EngineError, FileGone, FileNotFound, StorageUnavailable
from latentry.ledger import Lease
from latentry.provenance.confined.process import Examined
from latentry.rules.sequences.frames import files, keyframes
from latentry.storage import Storage, file_key, manifest_key
from worker.claims.claimed_job import ClaimedJob, Outcome
from worker.engine.inputs.canvas import Canvas, Pixels
from worker.engine.inputs.clip_picture import clip_picture
from worker.engine.inputs.control import control_pictures

_PROMPTS: Final = "image_prompts/"
log = structlog.get_logger()


class Inputs:
    """Reads and prepares the files that a job pins. Decoding takes no time of the step loop's."""

    def __init__(self, storage: Storage) -> None:
        self._storage: Final = storage

    def prepare(self, job: ClaimedJob) -> None:
        """Give a job what it starts from, or end it early. Raises StorageUnavailable."""
        if not files(job.lease.record.request):  # as of most jobs
            return
        try:
            job.canvases = self.load(job.lease)
            job.manifests = self._manifests(job.lease)
            found = dict(self.listed(job.lease))
            job.controls = _controls(job, found)
            job.pictures = found
        except FileGone as gone:
            job.end_early(Outcome(JobStatus.FAILED, gone))  # the step loop closes its images
        except StorageUnavailable:
            raise
        except Exception:  # one odd picture must not end the worker, and all its jobs with it
            log.exception("inputs.failed", job=job.lease.ref.id)
            error = EngineError("The picture could not be made ready.")
            job.end_early(Outcome(JobStatus.FAILED, error))

    def load(self, lease: Lease) -> list[Canvas | None]:
        """What the job starts from, keyframe by keyframe. Raises FileGone or StorageUnavailable.

        Keyframes that start alike share a canvas.
        """
        found: dict[str, Canvas | None] = {}
        canvases = []
        whole = lease.record.request
        for request in keyframes(whole) if isinstance(whole, ResolvedRequest) else (whole,):
            named = {at: one for at, one in request.inputs().items() if at in FIELDS}
            facts = request.model_dump_json(include={*named, "resize_mode"})
            if facts not in found:
                read = {one.file: self._read(lease.ref.tenant, one) for one in named.values()}
                pictures = {name: read[one.file] for name, one in named.items()}
                found[facts] = Canvas.of(request, pictures)
            canvases.append(found[facts])
        return canvases

    def listed(self, lease: Lease) -> Mapping[str, Pixels]:
        """The pictures in its request's lists, by place, each file read once. Raises as `load`.

        RGB or RGBA bytes [height, width, channels], as they were sent; image prompts as CLIP's
        image encoders see them.
        """
        named = lease.record.request.inputs()
        wanted = {at: one for at, one in named.items() if at not in FIELDS}
        files = {one.file: one for one in wanted.values()}
        read = {name: self._read(lease.ref.tenant, one) for name, one in files.items()}
        return {
            at: clip_picture(read[one.file]) if at.startswith(_PROMPTS) else read[one.file]
            for at, one in wanted.items()
        }

    def _manifests(self, lease: Lease) -> dict[str, bytes]:
        """The archives of pictures that came with a manifest. Raises StorageUnavailable."""
        found = {}
        named = {one.file: one for one in files(lease.record.request).values() if one.c2pa.is_any}
        for file in named:
            try:
                kept = self._storage.get(manifest_key(lease.ref.tenant, file))
            except FileNotFound:  # too large to be kept: the picture is named without it
                continue
            if archive := Examined.read(kept).archive:
                found[file] = archive
        return found

    def _read(self, tenant: str, named: InputFile) -> Pixels:
        """RGB or RGBA bytes [height, width, channels] of a PNG that the gateway wrote."""
        try:
            image = Image.open(
                io.BytesIO(self._storage.get(file_key(tenant, named.file))), formats=["PNG"]
            )
            if image.size != (named.width, named.height):
                raise FileGone
            return np.asarray(image)
        except (FileNotFound, OSError, ValueError):  # or what is there is no file of ours
            raise FileGone from None


def _controls(job: ClaimedJob, found: dict[str, Pixels]) -> Sequence[Sequence[Pixels]]:
    """What each of its ControlNets is shown, pass by pass, of the pictures that are taken out."""
    request = job.lease.record.request
    if not isinstance(request, ResolvedRequest):
        return ()
    return [
        control_pictures(one, found.pop(f"controls/{number}/image"), request, job.canvas)
        for number, one in enumerate(request.controls)
    ]
