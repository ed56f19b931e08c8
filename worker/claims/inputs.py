"""The pictures that jobs start from, made ready before the jobs reach the step loop."""

import io
from collections.abc import Mapping
from typing import Final

import numpy as np
from PIL import Image

from latentry.contracts import InputFile
from latentry.errors import FileGone, FileNotFound
from latentry.ledger import Lease
from latentry.storage import Storage, file_key
from worker.engine.inputs.canvas import Canvas, Pixels


class Inputs:
    """Reads and prepares the files that a job pins. Decoding takes no time of the step loop's."""

    def __init__(self, storage: Storage) -> None:
        self._storage: Final = storage

    def load(self, lease: Lease) -> Canvas | None:
        """What the job starts from, if anything. Raises FileGone or StorageUnavailable."""
        request = lease.record.request
        named: Mapping[str, InputFile] = request.inputs()
        read = {one.file: self._read(lease.ref.tenant, one) for one in named.values()}
        return Canvas.of(request, {name: read[one.file] for name, one in named.items()})

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
