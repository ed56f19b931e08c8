"""Files that are refused, each with a sentence that says why."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from latentry.errors import AdapterGone, AdaptersTooLarge, AdapterUnusable, NoAdapterRoom
from tests.worker.engine.adapters import written
from tests.worker.engine.adapters.damage import damaged
from tests.worker.engine.adapters.written import Style, Weights
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.shelf import Shelf
from worker.engine.diffusion.diffusion import Diffusion

STEM = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
Q = f"{STEM}.lora_down.weight"


@pytest.fixture(scope="module")
def good(tiny_networks: SimpleNamespace) -> Weights:
    found = written.terms(tiny_networks, Style(), 1)
    return {n: t for n, t in written.kohya(found).items() if n.startswith(STEM)}


def without(name: str) -> Callable[[Weights], Weights]:
    return lambda weights: {n: t for n, t in weights.items() if not n.endswith(name)}


def adding(name: str, tensor: torch.Tensor) -> Callable[[Weights], Weights]:
    return lambda weights: weights | {name: tensor}


ONE = torch.ones(1)
REFUSED: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "nothing": (lambda _: {}, "no layers"),
    "an unknown key": (adding("extra", ONE), "1 of its tensors find no layer, for example extra"),
    "unknown keys": (
        lambda w: w | {f"x{k}.lora_down.weight": ONE for k in range(5)},
        r"5 of its tensors find no layer, for example x0\S+, x1\S+, x2\S+\.$",
    ),
    "a layer that the model has not": (
        lambda w: {n.replace("mid_block", "mid_blocks"): t for n, t in w.items()},
        "3 of its tensors find no layer",
    ),
    "a text encoder of SDXL": (
        adding("lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha", ONE), "find no layer"
    ),
    "half a layer": (without("lora_up.weight"), "not whole"),
    "an alpha alone": (lambda w: {n: t for n, t in w.items() if "alpha" in n}, "not whole"),
    "another width": (adding(Q, torch.ones(4, 65)), r"the shape \[4, 65\].*takes \[4, 64\]"),
    "another rank": (adding(Q, torch.ones(5, 64)), "the shape"),
    "no rank": (adding(Q, torch.ones(0, 64)), "no rank"),
    "a convolution for a linear layer": (adding(Q, torch.ones(4, 64, 3, 3)), "the shape"),
    "an alpha of two numbers": (adding(f"{STEM}.alpha", torch.ones(2)), "must be one number"),
    "an infinite alpha": (adding(f"{STEM}.alpha", torch.tensor(torch.inf)), "not finite"),
    "a weight that is not a number": (adding(Q, torch.full((4, 64), torch.nan)), "not finite"),
    "an infinite weight": (adding(Q, torch.full((4, 64), -torch.inf).bfloat16()), "not finite"),
    "an 8-bit one that is not a number": (
        adding(Q, torch.full((4, 64), torch.nan).to(torch.float8_e4m3fn)), "not finite"
    ),
    "integers": (adding(Q, torch.ones(4, 64, dtype=torch.int32)), "the type I32"),
    "DoRA": (adding(f"{STEM}.dora_scale", torch.ones(64)), "It is DoRA"),
    "LoKr": (adding(f"{STEM}.lokr_w1", ONE), "It is LoKr"),
    "LoHa in Tucker form": (adding(f"{STEM}.hada_t1", ONE), "It is LoHa in Tucker form"),
    "biases": (adding(f"{STEM}.lora_up.bias", ONE), "It is a LoRA with biases"),
    "the same layer twice": (
        adding("unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight", ONE),
        "of the same layer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_is_refused_with_a_reason(
    loaded: Diffusion, good: Weights, tmp_path: Path, what: str
) -> None:
    change, why = REFUSED[what]
    path = written.save(change(dict(good)), tmp_path / "a.safetensors")
    with pytest.raises(AdapterUnusable, match=why):
        loaded.adapters.inspect(path)


def test_the_same_file_unchanged_is_taken(loaded: Diffusion, good: Weights, tmp_path: Path) -> None:
    entry = loaded.adapters.inspect(written.save(good, tmp_path / "a.safetensors"))
    assert entry.models == ("epsilon", "v_zero_snr")


@pytest.mark.parametrize(
    ("name", "width", "family"),
    [("sdxl", 2048, "SDXL"), ("sd15", 768, "SD 1.x"), ("sd21", 1024, "SD 2.x")],
)
def test_a_file_for_models_that_are_not_served_is_known_by_its_cross_attention(
    loaded: Diffusion, tmp_path: Path, name: str, width: int, family: str
) -> None:
    module = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    weights = {
        f"{module}.lora_down.weight": torch.ones(4, width),
        f"{module}.lora_up.weight": torch.ones(640, 4),
    }
    entry = loaded.adapters.inspect(written.save(weights, tmp_path / f"{name}.safetensors"))
    assert (entry.family, entry.models, entry.rank) == (family, (), 4)
    why = "no model" if family != "SD 1.x" else "2 of its tensors find no layer, for example"
    assert why in (entry.reason or "")


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.uint8])
def test_an_alpha_may_be_an_integer(
    loaded: Diffusion, good: Weights, tmp_path: Path, dtype: torch.dtype
) -> None:
    """As kohya-ss writes it where it was not given, and no precision to save in."""
    found = []
    for alpha in (torch.tensor(3.0), torch.tensor(3, dtype=dtype)):
        path = written.save(good | {f"{STEM}.alpha": alpha}, tmp_path / f"{alpha.dtype}")
        [one] = loaded.adapters.load("epsilon", {AdapterFile.read(path).sha256: path}).values()
        found += [layer.scale for layer in one.networks["unet"].values()]  # type: ignore[attr-defined]
    assert found == [0.75, 0.75]


def test_what_is_no_file_is_not_waited_for(loaded: Diffusion, tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "pipe.safetensors")
    with pytest.raises(AdapterUnusable, match="is no file"):
        loaded.adapters.inspect(path)


def test_a_reason_that_names_tensors_is_short_and_fits_into_json(
    loaded: Diffusion, good: Weights, tmp_path: Path
) -> None:
    """A header's names may be surrogates, control characters, megabytes."""
    path = tmp_path / "odd.safetensors"
    names = ["\ud800\n\x1b[2J", "down.attn2_to_k.lora_down.weight", "x" * 1_000_000]
    shapes = [[1], [1, 768], [1]]
    fields, at = {}, 0
    for name, shape in zip(names, shapes, strict=True):
        size = 4 * shape[-1]
        fields[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    header = json.dumps(fields).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(at))
    entry = loaded.adapters.inspect(path)
    assert "3 of its tensors find no layer" in (entry.reason or "")
    assert len(entry.model_dump_json()) < 2000


def test_a_file_of_another_architecture_is_known_too(loaded: Diffusion, tmp_path: Path) -> None:
    weights = {"transformer.blocks.0.attn.to_q.lora_A.weight": torch.ones(4, 64)}
    entry = loaded.adapters.inspect(written.save(weights, tmp_path / "a.safetensors"))
    assert (entry.family, entry.models) == ("another architecture", ())


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"peft_type": "LOHA"}, "peft_type is 'LOHA'"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "trains biases"),
        ({"init_lora_weights": "pissa_niter_4"}, "changes the model itself"),
        ({"modules_to_save": ["conv_in"]}, "modules_to_save"),
        ({"alpha_pattern": {"(a+)+b": 4}}, "is a regular expression"),
        ({"alpha_pattern": []}, None),
        ({"alpha_pattern": [1]}, "not an object"),
        ({"lora_alpha": "8"}, "not a number"),
        ({"lora_alpha": True}, "not a number"),
    ],
)
def test_a_folder_of_pefts_is_refused_for_what_its_config_asks_more(
    loaded: Diffusion,
    tiny_networks: SimpleNamespace,
    tmp_path: Path,
    config: dict[str, Any],
    why: str | None,
) -> None:
    found = written.terms(tiny_networks, Style(alphas=(None,)), 1)
    folder = written.peft_folder(found, tmp_path / "mine", **config)
    if why is None:
        assert loaded.adapters.inspect(folder).models
        return
    with pytest.raises(AdapterUnusable, match=why):
        loaded.adapters.inspect(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "{" * 100_000, '{"peft_type": "LORA"}'])
def test_a_config_or_file_that_is_not_there_or_broken_is_refused(
    loaded: Diffusion, tmp_path: Path, text: str
) -> None:
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(AdapterUnusable):
        loaded.adapters.inspect(tmp_path)
    with pytest.raises(AdapterUnusable, match="cannot be read"):
        loaded.adapters.inspect(tmp_path / "none.safetensors")


def test_a_file_that_was_cut_short_is_refused(
    loaded: Diffusion, good: Weights, tmp_path: Path
) -> None:
    path = written.save(good, tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AdapterUnusable, match="cut short"):
        loaded.adapters.inspect(path)


def test_what_is_too_large_for_the_models_precision_is_refused(
    loaded: Diffusion, good: Weights, tmp_path: Path, folders: dict[str, Path]
) -> None:
    half = Diffusion(device="cpu", dtype="float16", threads=1)
    half.load("epsilon", folders["epsilon"])
    path = written.save(good | {Q: torch.full((4, 64), 1e6)}, tmp_path / "a.safetensors")
    sha256 = AdapterFile.read(path).sha256
    assert loaded.adapters.load("epsilon", {sha256: path})
    with pytest.raises(AdapterUnusable, match=r"too large for torch\.float16"):
        half.adapters.load("epsilon", {sha256: path})


def test_a_product_of_lohas_factors_that_overflows_is_refused(
    loaded: Diffusion, tmp_path: Path
) -> None:
    names = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
    shapes = ((64, 2), (2, 64), (64, 2), (2, 64))
    weights = {
        f"{STEM}.{name}": torch.full(shape, 1e30) for name, shape in zip(names, shapes, strict=True)
    }
    path = written.save(weights, tmp_path / "a.safetensors")
    with pytest.raises(AdapterUnusable, match="too large"):
        loaded.adapters.load("epsilon", {AdapterFile.read(path).sha256: path})


def test_another_file_under_the_same_path_is_not_loaded(
    loaded: Diffusion, good: Weights, tmp_path: Path
) -> None:
    path = written.save(good, tmp_path / "a.safetensors")
    with pytest.raises(AdapterGone):
        loaded.adapters.load("epsilon", {"0" * 64: path})


def test_memory_is_bounded_and_what_is_not_used_leaves_it(
    loaded: Diffusion, tiny_networks: SimpleNamespace, tmp_path: Path
) -> None:
    files: list[dict[str, Path]] = []
    for seed in range(3):
        weights = written.kohya(written.terms(tiny_networks, Style(), seed))
        path = written.save(weights, tmp_path / f"{seed}.safetensors")
        files.append({AdapterFile.read(path).sha256: path})
    residents = loaded._residents
    every = files[0] | files[1] | files[2]
    [one] = loaded.adapters.load("epsilon", files[0]).values()
    size = one.size_bytes

    def shelf(adapters: float) -> Shelf:
        return Shelf(loaded.at, lambda: residents.blueprints, int(adapters * size))

    with pytest.raises(AdaptersTooLarge):
        shelf(0.9).load("epsilon", files[0])
    with pytest.raises(AdaptersTooLarge):  # together
        shelf(2.9).load("epsilon", every)

    crowded = shelf(2.9)
    others = crowded.load("epsilon", files[2])
    with pytest.raises(AdaptersTooLarge):  # together, though others use the last one too
        crowded.load("epsilon", every)
    del others

    two = shelf(2)
    held = two.load("epsilon", files[0])
    two.load("epsilon", files[1])
    assert two.bank.used_bytes == 2 * size
    two.load("epsilon", files[2])  # takes the place of the second, which nobody uses
    assert two.bank.used_bytes == 2 * size
    assert two.load("epsilon", files[0]) == held, "it is still there"
    held_too = two.load("epsilon", files[1])
    with pytest.raises(NoAdapterRoom):
        two.load("epsilon", files[2])
    assert two.load("epsilon", files[0] | files[1]) == {**held, **held_too}
    del held, held_too
    assert two.load("epsilon", files[2])


def test_metadata_are_read(loaded: Diffusion, good: Weights, tmp_path: Path) -> None:
    counts = {"10_cat": {"tabby": 7, "cat": 9}, "5_dog": {"cat": 4, "tabby": 6}}
    for metadata, words in [
        ({"modelspec.trigger_phrase": " a , b\nc,,a\x07"}, ("a", "b", "c")),
        ({"ss_tag_frequency": json.dumps(counts)}, ("tabby", "cat")),
        ({"ss_tag_frequency": '{"a": 1}'}, ()),
        ({"ss_tag_frequency": "["}, ()),
        ({}, ()),
    ]:
        path = written.save(good, tmp_path / "a.safetensors", **metadata)
        assert loaded.adapters.inspect(path).trigger_words == words


def test_jobs_that_come_together_load_a_file_once(
    loaded: Diffusion, good: Weights, tmp_path: Path
) -> None:
    path = written.save(good, tmp_path / "a.safetensors")
    sha256 = AdapterFile.read(path).sha256
    residents = loaded._residents
    shelf = Shelf(loaded.at, lambda: residents.blueprints, 2**20)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: shelf.load("epsilon", {sha256: path}), range(32)))
    assert len({id(one[sha256]) for one in found}) == 1
    assert shelf.bank.used_bytes == found[0][sha256].size_bytes


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_is_refused_or_taken_and_nothing_else(
    loaded: Diffusion, good: Weights, tmp_path: Path, seed: int
) -> None:
    rules = json.dumps({"unet.lora_alpha": 4, "unet.alpha_pattern": {"attn1.to_q": 2.0}})
    path = written.save(good, tmp_path / "a.safetensors", lora_adapter_metadata=rules)
    taken, reasons = damaged(path, loaded.adapters.inspect, seed=seed, times=400)
    assert taken, "some damage is to weights alone"
    assert len(reasons) > 10
