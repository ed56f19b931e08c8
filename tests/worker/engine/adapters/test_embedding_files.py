"""Embeddings' files: which models they fit, and those that are refused with a sentence."""

import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from latentry.contracts import AdapterKind
from latentry.errors import AdapterGone, AdapterUnusable
from tests.worker.engine import tiny
from tests.worker.engine.adapters import written
from tests.worker.engine.conftest import serving
from worker.engine.adapters.file import AdapterFile
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.simulated.adapters import SimulatedShelf

SD, XL = ("sd1-", "sd2-"), ("sdxl-",)
ONES = {name: torch.ones(2, width) for name, width in (("clip_l", 32), ("clip_g", 40))}
WIDTHS = {768: "SD 1.x", 1024: "SD 2.x"}


def inspected(backend: Any, folder: Path, weights: dict[str, torch.Tensor], **metadata: str) -> Any:
    return backend.adapters.inspect(written.save(weights, folder / "a.safetensors", **metadata))


@pytest.mark.parametrize(
    ("weights", "fits", "vectors", "title"),
    [
        ({"emb_params": torch.ones(8, 32)}, SD, 8, None),
        ({"<cat-toy>": torch.ones(32)}, SD, 1, "<cat-toy>"),
        ({"<v1.5 toy>": torch.ones(1, 32)}, SD, 1, "<v1.5 toy>"),
        ({"EasyNegative": torch.ones(75, 32)}, SD, 75, "EasyNegative"),
        ({"clip_l": ONES["clip_l"]}, SD, 2, None),  # SD 1.x's encoder too
        (ONES, XL, 2, None),
        ({"text_encoders_0": ONES["clip_l"], "text_encoders_1": ONES["clip_g"]}, XL, 2, None),
    ],
)
def test_a_file_fits_the_models_whose_text_encoders_are_so_wide(
    every_model: Diffusion,
    tmp_path: Path,
    weights: dict[str, torch.Tensor],
    fits: tuple[str, ...],
    vectors: int,
    title: str | None,
) -> None:
    """The tiny SD 1.x and 2.x are equally wide, as the published ones are not."""
    entry = inspected(every_model, tmp_path, weights)
    assert entry.models == tuple(name for name in every_model.models if name.startswith(fits))
    assert (entry.kind, entry.vectors, entry.rank) == (AdapterKind.EMBEDDING, vectors, 0)
    assert (entry.title, entry.reason) == (title, None)
    assert entry.networks == ("text_encoder", "text_encoder_2")[: len(weights)]
    assert entry.family == ("SDXL" if fits == XL else "SD 1.x")
    assert entry.named("Easy Negative").trigger_words == ("Easy Negative",)


@pytest.fixture(scope="module")
def refiner(tmp_path_factory: pytest.TempPathFactory) -> Diffusion:
    folder = tmp_path_factory.mktemp("refiner") / "m"
    return serving({"refiner": tiny.make(folder, tiny.EPSILON, family=tiny.Family.REFINER)})


def test_sdxls_refiner_takes_the_second_encoders(refiner: Diffusion, tmp_path: Path) -> None:
    path = written.save(ONES, tmp_path / "a.safetensors")
    assert refiner.adapters.inspect(path).models == ("refiner",)
    [one] = refiner.adapters.load("refiner", {AdapterFile.read(path).sha256: path}).values()
    assert [tuple(own.shape) for own in one.vectors] == [(2, 40)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_family_of_one_for_other_models_is_known_by_its_width(
    every_model: Diffusion, tmp_path: Path, width: int
) -> None:
    entry = inspected(every_model, tmp_path, {"emb_params": torch.ones(2, width)})
    assert (entry.family, entry.models, entry.vectors) == (WIDTHS[width], (), 2)
    assert entry.reason.startswith(f"Its vectors have {width} numbers; the text encoders of sd")


HUGE = torch.full((2, 32), 1e6)
REFUSED: dict[str, tuple[dict[str, torch.Tensor], str]] = {
    "another width": ({"emb_params": torch.ones(2, 33)}, "33 numbers; the text encoders of sd"),
    "the second encoder alone": ({"clip_g": ONES["clip_g"]}, "40 numbers; the text encoders"),
    "the encoders exchanged": (
        {"clip_g": ONES["clip_l"], "clip_l": ONES["clip_g"]}, "40 and 32 numbers"
    ),
    "no vectors": ({"emb_params": torch.ones(0, 32)}, r"shape \[0, 32\]; it must be vectors"),
    "a number": ({"<x>": torch.ones(())}, "it must be vectors"),
    "a picture": ({"<x>": torch.ones(2, 2, 32)}, "it must be vectors"),
    "too many vectors": ({"emb_params": torch.ones(76, 32)}, "76 vectors; 75 fit into a chunk"),
    "unequally many": (ONES | {"clip_g": torch.ones(3, 40)}, "another number of vectors"),
    "two tokens": ({"<a>": torch.ones(32), "<b>": torch.ones(32)}, "2 embeddings"),
    "the same encoder twice": (
        ONES | {"text_encoders_0": ONES["clip_l"]}, "same text encoder under two names"
    ),
    "not a number": ({"emb_params": torch.full((1, 32), torch.nan)}, "not finite"),
    "infinite": ({"emb_params": torch.full((1, 32), -torch.inf).half()}, "not finite"),
    "integers": ({"emb_params": torch.ones(1, 32, dtype=torch.int32)}, "the type I32"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_is_refused_with_a_reason(every_model: Diffusion, tmp_path: Path, what: str) -> None:
    weights, why = REFUSED[what]
    with pytest.raises(AdapterUnusable, match=why):
        inspected(every_model, tmp_path, weights)


def test_what_is_too_large_for_the_models_precision_is_refused(
    every_model: Diffusion, folders: dict[str, Path], tmp_path: Path
) -> None:
    half = Diffusion(device="cpu", dtype="float16", threads=1)
    half.load("epsilon", folders["epsilon"])
    path = written.save({"emb_params": HUGE}, tmp_path / "a.safetensors")
    files = {AdapterFile.read(path).sha256: path}
    with pytest.raises(AdapterUnusable, match="vectors for text_encoder is too large"):
        half.adapters.load("epsilon", files)
    assert every_model.adapters.load("sd1-epsilon", files), "fp32 holds it"


def test_a_file_that_was_replaced_is_gone(every_model: Diffusion, tmp_path: Path) -> None:
    path = written.save({"emb_params": torch.ones(1, 32)}, tmp_path / "a.safetensors")
    sha256 = AdapterFile.read(path).sha256
    written.save({"emb_params": torch.zeros(1, 32)}, path)
    with pytest.raises(AdapterGone):
        every_model.adapters.load("sd1-epsilon", {sha256: path})


def test_memory_is_of_its_vectors_and_given_back(every_model: Diffusion, tmp_path: Path) -> None:
    bank = every_model.adapters.bank
    path = written.save({"emb_params": torch.full((5, 32), 0.25)}, tmp_path / "a.safetensors")
    sha256, before = AdapterFile.read(path).sha256, bank.used_bytes
    kept = every_model.adapters.load("sd1-epsilon", {sha256: path})
    assert bank.used_bytes - before == 5 * 32 * 4
    assert every_model.adapters.load("sd1-epsilon", {sha256: path}) == kept


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file_is_refused_or_another_one(
    every_model: Diffusion, tmp_path: Path, seed: int
) -> None:
    """Any flipped byte: a sentence, or a file with another hash, and never anything else."""
    good = save({"emb_params": torch.ones(2, 32)})
    length = struct.unpack("<Q", good[:8])[0]
    at = seed * 7 % (8 + length + 16)
    path = tmp_path / "a.safetensors"
    path.write_bytes(good[:at] + bytes([good[at] ^ (1 + seed)]) + good[at + 1 :])
    try:
        sha256 = every_model.adapters.inspect(path).sha256
    except AdapterUnusable:
        sha256 = ""
    assert sha256 != AdapterFile.of("a", good).sha256


def test_a_simulation_lists_them(tmp_path: Path) -> None:
    path = written.save({"emb_params": torch.ones(3, 5)}, tmp_path / "a.safetensors")
    entry = SimulatedShelf(["one"]).inspect(path)
    assert (entry.kind, entry.vectors, entry.models) == (AdapterKind.EMBEDDING, 3, ("one",))
