"""Files of IP-Adapters and their image encoders: found, refused with a sentence, loaded once."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from latentry.contracts import AdapterKind
from latentry.errors import AdapterGone, AdaptersTooLarge, AdapterUnusable
from tests.worker.engine.adapters.damage import damaged
from tests.worker.engine.adapters.ip_adapter import pasted
from tests.worker.engine.adapters.ip_adapter.pasted import KINDS, Weights
from worker.engine.adapters.shelf import Shelf
from worker.engine.diffusion.diffusion import Diffusion


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pasted.image_encoder(tmp_path_factory.mktemp("encoder") / "image_encoder")


@pytest.fixture
def folder(tmp_path: Path, encoder: Path) -> Path:
    """As `models` of the repository h94/IP-Adapter."""
    shutil.copytree(encoder, tmp_path / "models" / "image_encoder")
    return tmp_path / "models"


@pytest.fixture(scope="module")
def plain(epsilon: Any) -> Weights:
    return pasted.ip_adapter(epsilon, KINDS["ip-adapter"], 1)


@pytest.fixture(scope="module")
def plus(epsilon: Any) -> Weights:
    return pasted.ip_adapter(epsilon, KINDS["ip-adapter-plus"], 1)


@pytest.fixture
def shelf(loaded: Diffusion) -> Shelf:
    return Shelf(loaded.at, lambda: loaded._residents.blueprints, 2**30)


def adding(**tensors: torch.Tensor) -> Callable[[Weights], Weights]:
    return lambda weights: weights | {n.replace("__", "."): t for n, t in tensors.items()}


def without(name: str) -> Callable[[Weights], Weights]:
    return lambda weights: {n: t for n, t in weights.items() if n != name}


ONE = torch.ones(1)
K = "ip_adapter.1.to_k_ip.weight"
REFUSED: dict[str, tuple[str, Callable[[Weights], Weights], str]] = {
    "an unknown key": ("plain", adding(extra=ONE), "1 of its tensors find no place, such as extra"),
    "another projection's": (
        "plain", adding(image_proj__latents=torch.ones(1, 4, 32)), "image_proj.proj_out.weight"
    ),
    "a projection's that is unknown": (
        "plus", adding(image_proj__more=ONE), "1 of its tensors find no place, such as image_proj."
    ),
    "a layer of a resampler that is not whole": (
        "plus", without("image_proj.layers.1.0.to_kv.weight"), "to_kv.weight is nothing; it takes"
    ),
    "no projection": (
        "plain", lambda w: {n: t for n, t in w.items() if "image_proj" not in n}, "is nothing"
    ),
    "no layers": (
        "plain", lambda w: {n: t for n, t in w.items() if "image_proj" in n}, "not both keys and"
    ),
    "half a layer": ("plain", without(K), "not both keys and values"),
    "a layer less": (
        "plain", lambda w: {n: t for n, t in w.items() if "ip_adapter.1." not in n},
        "for 3 attentions; this model has 4",
    ),
    "another width": ("plain", adding(**{K.replace(".", "__"): torch.ones(32, 768)}), "takes"),
    "tokens of no whole number": (
        "plain", adding(image_proj__norm__weight=torch.ones(7)), "makes 128 numbers, and tokens"
    ),
    "no tokens": (
        "plus", adding(image_proj__latents=torch.ones(1, 0, 40)), "no IP-Adapter's"
    ),
    "a weight that is not a number": (
        "plain", adding(**{K.replace(".", "__"): torch.full((32, 32), torch.nan)}), "not finite"
    ),
    "integers": ("plain", adding(**{K.replace(".", "__"): torch.ones(32, 32).int()}), "type I32"),
    "FaceID": (
        "plain",
        lambda w: {"image_proj.proj.0.weight": torch.ones(8, 512), "image_proj.norm.weight": ONE}
        | {n: t for n, t in w.items() if "image_proj" not in n},
        "IP-Adapter FaceID, which is not supported",
    ),
    "FaceID plus": (
        "plain", adding(image_proj__perceiver_resampler__proj_in__weight=ONE), "IP-Adapter FaceID"
    ),
    "FaceID's LoRA": (
        "plain", adding(ip_adapter__0__to_q_lora__down__weight=ONE), "IP-Adapter FaceID"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_is_refused_with_a_reason(
    shelf: Shelf, folder: Path, plain: Weights, plus: Weights, what: str
) -> None:
    kind, change, why = REFUSED[what]
    weights = change(dict(plain if kind == "plain" else plus))
    path = pasted.save(weights, folder / "a.safetensors")
    with pytest.raises(AdapterUnusable, match=why):
        shelf.inspect(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_its_entry_says_what_it_is(
    shelf: Shelf, folder: Path, epsilon: Any, kind: str, dtype: torch.dtype
) -> None:
    weights = {n: t.to(dtype) for n, t in pasted.ip_adapter(epsilon, KINDS[kind], 1).items()}
    entry = shelf.inspect(pasted.save(weights, folder / "a.safetensors"))
    assert entry.kind is AdapterKind.IP_ADAPTER
    assert (entry.family, entry.models) == ("SD 1.x", ("epsilon", "v_zero_snr"))
    assert (entry.networks, entry.rank) == (("unet",), 0)


@pytest.mark.parametrize(("width", "family"), [(2048, "SDXL"), (1024, "SD 2.x"), (768, "SD 1.x")])
def test_a_file_for_models_that_are_not_served_is_known_by_its_cross_attention(
    shelf: Shelf, folder: Path, width: int, family: str
) -> None:
    weights = {
        "image_proj.proj.weight": torch.ones(4 * width, 24),
        "image_proj.proj.bias": torch.ones(4 * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.ones(width),
        "ip_adapter.1.to_k_ip.weight": torch.ones(64, width),
        "ip_adapter.1.to_v_ip.weight": torch.ones(64, width),
    }
    entry = shelf.inspect(pasted.save(weights, folder / "a.safetensors"))
    assert (entry.family, entry.models) == (family, ())
    assert ("no model" if width != 768 else "for 1 attentions") in (entry.reason or "")


def test_one_without_its_encoder_is_unusable_or_listed_with_what_it_lacks(
    loaded: Diffusion, shelf: Shelf, tmp_path: Path, plain: Weights
) -> None:
    path = pasted.save(plain, tmp_path / "alone" / "a.safetensors")
    entry = shelf.inspect(path)
    assert entry.models == ()
    assert "It needs an image encoder that gives embeddings of 24 numbers" in (entry.reason or "")
    with pytest.raises(AdapterUnusable, match="a folder image_encoder beside it"):
        shelf.load("epsilon", {entry.sha256: path})


def test_the_nearest_encoder_that_fits_is_taken(
    shelf: Shelf, tmp_path: Path, encoder: Path, plain: Weights, plus: Weights
) -> None:
    """As in h94/IP-Adapter, where `sdxl_models` has files for the encoder of `models`."""
    shutil.copytree(encoder, tmp_path / "models" / "image_encoder")
    pasted.image_encoder(tmp_path / "sdxl_models" / "image_encoder", projection_dim=48)
    path = pasted.save(plain, tmp_path / "sdxl_models" / "vit-h.safetensors")
    here = pasted.save(plain, tmp_path / "models" / "a.safetensors")
    assert shelf.inspect(path).models
    assert shelf.inspect(path).sha256 == shelf.inspect(here).sha256
    both = pasted.save(plus, tmp_path / "sdxl_models" / "plus.safetensors")
    found = shelf.inspect(both).sha256, shelf.inspect(pasted.save(plus, here)).sha256
    assert found[0] != found[1], "hidden states are as wide in both: each takes its own"


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def larger(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"image_size": 336}))


def other_sizes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 65}))


def odd(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_attention_heads": "x"}))


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (broken_config, "config.json cannot be read"),
        (larger, "takes 336 pixels; supported is 224"),
        (pickled, "pickles are not loaded"),
        (cut, "cut short"),
    ],
)
def test_an_encoder_that_cannot_be_used_is_told_with_the_file(
    shelf: Shelf, folder: Path, plain: Weights, damage: Callable[[Path], None], why: str
) -> None:
    path = pasted.save(plain, folder / "a.safetensors")
    damage(folder / "image_encoder")
    entry = shelf.inspect(path)
    assert entry.models == ()
    assert why in (entry.reason or "")


@pytest.mark.parametrize(
    ("damage", "why"), [(other_sizes, "its config makes it"), (odd, "config is not usable")]
)
def test_one_that_is_another_than_its_config_says_ends_the_job(
    shelf: Shelf, folder: Path, plain: Weights, damage: Callable[[Path], None], why: str
) -> None:
    path = pasted.save(plain, folder / "a.safetensors")
    damage(folder / "image_encoder")
    with pytest.raises(AdapterUnusable, match=why):
        shelf.load("epsilon", {shelf.inspect(path).sha256: path})


def test_another_encoder_makes_another_adapter(shelf: Shelf, folder: Path, plain: Weights) -> None:
    path = pasted.save(plain, folder / "a.safetensors")
    before = shelf.inspect(path).sha256
    shutil.rmtree(folder / "image_encoder")
    pasted.image_encoder(folder / "image_encoder", seed=2)
    with pytest.raises(AdapterGone):
        shelf.load("epsilon", {before: path})
    after = shelf.inspect(path).sha256
    assert after != before
    assert shelf.load("epsilon", {after: path})


def test_a_whole_clip_is_taken_for_its_vision_tower(
    shelf: Shelf, folder: Path, plain: Weights
) -> None:
    """As OpenCLIP's are published: the text tower beside it, and a config of both."""
    from safetensors.torch import load_file

    path = pasted.save(plain, folder / "a.safetensors")
    before = shelf.inspect(path)
    file = folder / "image_encoder" / "model.safetensors"
    more = {"text_model.final_layer_norm.weight": torch.ones(8), "logit_scale": ONE[0]}
    more["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    pasted.save(load_file(file) | more, file)
    config = json.loads((folder / "image_encoder" / "config.json").read_text())
    projection = {"projection_dim": config.pop("projection_dim")}
    whole = {"vision_config": config, "text_config": {}, **projection}
    (folder / "image_encoder" / "config.json").write_text(json.dumps(whole))
    assert shelf.inspect(path) == before


def test_files_share_their_encoder_in_memory_and_count_it_once(
    loaded: Diffusion, shelf: Shelf, folder: Path, plain: Weights, plus: Weights
) -> None:
    paths = [pasted.save(w, folder / f"{k}.safetensors") for k, w in enumerate((plain, plus))]
    files = {shelf.inspect(path).sha256: path for path in paths}
    adapters: list[Any] = list(shelf.load("epsilon", files).values())
    one, two = adapters
    assert one.encoder is two.encoder
    whole = one.size_bytes + two.size_bytes + one.encoder.size_bytes
    assert shelf.bank.used_bytes == whole

    def of(budget: int) -> Shelf:
        return Shelf(loaded.at, lambda: loaded._residents.blueprints, budget)

    assert of(whole).load("epsilon", files)
    with pytest.raises(AdaptersTooLarge):
        of(whole - 1).load("epsilon", files)
    [large] = [of(whole // 2).inspect(path) for path in paths[1:]]
    assert large.models == ()
    assert "LATENTRY_ADAPTER_MEMORY_BYTES" in (large.reason or "")
    crowded = of(whole - 1)
    held = crowded.load("epsilon", dict([*files.items()][:1]))
    with pytest.raises(AdaptersTooLarge):  # not for ever back to the queue
        crowded.load("epsilon", files)
    assert held
    again = of(whole)
    [first] = again.load("epsilon", dict([*files.items()][:1])).values()
    [other] = again.load("v_zero_snr", dict([*files.items()][:1])).values()
    assert first is not other
    assert first.encoder is other.encoder  # type: ignore[attr-defined]


def test_what_is_too_large_for_the_models_precision_is_refused(
    folders: dict[str, Path], folder: Path, plain: Weights
) -> None:
    half = Diffusion(device="cpu", dtype="float16", threads=1)
    half.load("epsilon", folders["epsilon"])
    path = pasted.save(plain | {K: torch.full((32, 32), 1e6)}, folder / "a.safetensors")
    with pytest.raises(AdapterUnusable, match=r"to_k_ip.weight is too large for torch\.float16"):
        half.adapters.load("epsilon", {half.adapters.inspect(path).sha256: path})


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_file_is_refused_or_taken_and_nothing_else(
    shelf: Shelf, folder: Path, plain: Weights, plus: Weights, seed: int
) -> None:
    path = pasted.save([plain, plus][seed % 2], folder / "a.safetensors")
    taken, reasons = damaged(path, shelf.inspect, seed=seed, times=200)
    assert taken, "some damage is to weights alone"
    assert len(reasons) > 5
