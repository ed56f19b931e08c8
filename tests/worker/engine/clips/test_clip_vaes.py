"""A clip's frames through another VAE."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from latentry.contracts import Vae
from tests.worker.engine import tiny
from tests.worker.engine.adapters import vaes
from tests.worker.engine.adapters.test_vaes import own_vae
from tests.worker.engine.clips import tiny_motion
from tests.worker.engine.conftest import serving
from worker.engine.adapters.file import AdapterFile
from worker.engine.loop import Engine


def test_they_are_as_if_the_model_had_that_vae(
    motion_folders: dict[str, Path], tmp_path: Path
) -> None:
    own = own_vae(motion_folders["epsilon"])
    glazed = shutil.copytree(motion_folders["epsilon"], tmp_path / "glazed")
    vaes.kin(own).save_pretrained(glazed / "vae")
    path = vaes.write_folder(tmp_path / "glass", vaes.kin(own))
    backend = serving({"epsilon": motion_folders["epsilon"], "glazed": glazed})
    order, as_own = (tiny_motion.order(one, model=one) for one in ("epsilon", "glazed"))
    sha256 = AdapterFile.read(path).sha256
    request = order.request.model_copy(update={"vae": Vae(id="glass", sha256=sha256)})
    loaded = backend.adapters.load("epsilon", {sha256: path})
    engine = Engine(backend)
    for one in (replace(order, request=request, adapters=loaded), as_own):
        engine.submit(one)
    found = tiny.pixels(tiny.drain(engine))
    assert found["epsilon"].ndim == 4, "frames"
    assert np.array_equal(found["epsilon"], found["glazed"])
