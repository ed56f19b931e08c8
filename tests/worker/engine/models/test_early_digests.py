"""Weights that were hashed before the libraries were imported which read them."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from latentry.sources import HubPin, Simulation
from tests.worker.engine import tiny
from worker.engine.device import Device
from worker.engine.models.loading import early_digests, part_reader
from worker.engine.models.loading.early_digests import EarlyDigests
from worker.engine.models.loading.fingerprint import WeightDigest
from worker.engine.models.loading.loading import Loading
from worker.engine.models.sources.folder import blueprint_from_folder
from worker.engine.models.weights import StoredTensor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.make(tmp_path / "model", tiny.EPSILON)


def hashed(early: EarlyDigests) -> EarlyDigests:
    early.start()
    early._thread.join()
    return early


def loaded(folder: Path, early: EarlyDigests | None = None) -> str:
    at = Device.choose("cpu", "bfloat16")
    blueprint = blueprint_from_folder("a", folder, prefer_fp16=False)
    loading = Loading(blueprint, at, threads=2, early=early)
    loading.read()
    return loading.loaded().fingerprint


def test_a_model_is_the_same_whoever_hashed_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_digests, "_BLOCK_BYTES", 1000)  # less than most tensors have
    expected = loaded(folder)
    early = hashed(EarlyDigests.of(folder))
    assert len({file for file, *_ in early._found}) == 3

    def refuse(digest: WeightDigest, piece: torch.Tensor) -> torch.Tensor:
        assert digest._known, "it was hashed already"
        return piece

    monkeypatch.setattr(WeightDigest, "take", refuse)
    assert loaded(folder, early) == expected


def test_what_was_not_hashed_in_time_is_hashed_when_it_is_read(folder: Path) -> None:
    early = EarlyDigests.of(folder)
    early._stopping.set()
    hashed(early)
    early.stop()
    assert len(early._found) == 3, "one of each file"
    assert loaded(folder, early) == loaded(folder)


def test_of_a_file_that_has_changed_nothing_is_known(folder: Path, tmp_path: Path) -> None:
    other = tiny.make(tmp_path / "other", tiny.EPSILON, seed=5)
    early = hashed(EarlyDigests.of(folder))
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    stat = file.stat()
    file.write_bytes((other / "unet" / file.name).read_bytes())
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert loaded(folder, early) == loaded(folder)


def test_one_that_is_written_to_while_it_is_loaded_is_called_what_was_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, before = hashed(EarlyDigests.of(folder)), loaded(folder)
    reads = part_reader._read_weight

    def writing(at: Device, digest: WeightDigest, stored: StoredTensor) -> object:
        if digest._known:
            with stored.file.open("r+b") as file:
                file.seek(stored.info.begin)
                file.write(b"\x01")
        return reads(at, digest, stored)

    monkeypatch.setattr(part_reader, "_read_weight", writing)
    found = loaded(folder, early)
    monkeypatch.undo()
    assert found == loaded(folder) != before


def test_one_that_is_only_touched_while_it_is_loaded_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, before = hashed(EarlyDigests.of(folder)), loaded(folder)
    reads = part_reader._read_weight

    def touching(at: Device, digest: WeightDigest, stored: StoredTensor) -> object:
        os.utime(stored.file)
        return reads(at, digest, stored)

    monkeypatch.setattr(part_reader, "_read_weight", touching)
    assert loaded(folder, early) == before


def test_what_cannot_be_hashed_is_left_to_who_loads_it(folder: Path, tmp_path: Path) -> None:
    file = save_cut(tmp_path / "cut.safetensors")
    (tmp_path / "other.safetensors").write_text("no header")
    shutil.rmtree(folder / "unet")
    shutil.copy(file, folder / "vae" / "another.safetensors")
    found = [EarlyDigests.of(path) for path in (file, tmp_path / "other.safetensors", folder)]
    found.append(EarlyDigests([tmp_path / "gone"]))
    assert not EarlyDigests.of(tmp_path / ("long" * 100))._files
    assert [len(hashed(one)._found) for one in found[:2]] == [0, 0]
    files = {path for path, *_ in hashed(found[2])._found}
    assert files == {folder / "text_encoder" / "model.safetensors"}, "where there is a choice"
    assert found[3].find(tmp_path / "gone", 0, 1) is None


def test_the_model_that_is_loaded_first_is_hashed(folder: Path) -> None:
    pin = HubPin("a/b", "0" * 40)
    early = EarlyDigests.begun([Simulation(), folder, pin])
    assert early is not None
    early._thread.join()
    assert len({file for file, *_ in early._found}) == 3
    assert EarlyDigests.begun([pin, folder]) is None, "another one is loaded before it"
    assert EarlyDigests.begun([Simulation()]) is None


def save_cut(file: Path) -> Path:
    save_file({"a": torch.ones(1000)}, file)
    os.truncate(file, file.stat().st_size - 1)
    return file
