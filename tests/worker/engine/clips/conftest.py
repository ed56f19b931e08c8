"""A tiny model with a motion module, in every layout."""

from pathlib import Path

import pytest

from tests.worker.engine import tiny
from tests.worker.engine.clips import tiny_motion
from tests.worker.engine.conftest import serving, sharing
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine

LAYOUTS = ("epsilon", "published", "without-middle")


@pytest.fixture(scope="session")
def motion_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("motion")
    folders = {name: tiny.make(root / name, tiny.EPSILON) for name in LAYOUTS}
    tiny_motion.write(folders["epsilon"], tiny_motion.adapter())
    tiny_motion.write(folders["published"], tiny_motion.adapter(), as_published=True)
    without = tiny_motion.adapter(use_motion_mid_block=False, motion_max_seq_length=4)
    tiny_motion.write(folders["without-middle"], without)
    return folders


@pytest.fixture(scope="session")
def moving(motion_folders: dict[str, Path]) -> Diffusion:
    return serving(motion_folders)


@pytest.fixture
def clip_backend(moving: Diffusion) -> Diffusion:
    return sharing(moving)


@pytest.fixture
def clip_engine(clip_backend: Diffusion) -> Engine:
    return Engine(clip_backend)
