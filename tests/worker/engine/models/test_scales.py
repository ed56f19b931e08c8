"""Scales beside fp8 weights are applied; every other way to quantize refuses the model."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from latentry.errors import ConfigurationError
from worker.engine.models.sources.scales import METADATA, with_scales
from worker.engine.models.weights import StoredTensor, stored_in

VALUES = torch.tensor([[0.5, -448.0], [0.0, 3.0]])


def stored(folder: Path, **tensors: torch.Tensor) -> dict[str, StoredTensor]:
    file = folder / "x.safetensors"
    save_file({name.replace("__", "."): tensor.clone() for name, tensor in tensors.items()}, file)
    return stored_in(file)[0]


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("name", ["weight_scale", "scale_weight"])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_weight_is_multiplied_by_its_scale(
    tmp_path: Path, dtype: torch.dtype, name: str, shape: tuple[int, ...]
) -> None:
    values = VALUES.to(dtype)
    scale = torch.full(shape, 0.3)
    weights = stored(
        tmp_path, a__weight=values, b__weight=values, a__input_scale=torch.tensor(2.0),
        **{f"a__{name}": scale},
    )  # fmt: skip
    found = with_scales("x", weights)
    assert found.keys() == {"a.weight", "b.weight"}
    assert torch.equal(found["a.weight"].read(), values.float() * 0.3)
    assert torch.equal(found["b.weight"].read().float(), values.float())


def test_a_scaled_weight_may_be_turned_and_split(tmp_path: Path) -> None:
    values = torch.randn(6, 4).to(torch.float8_e4m3fn)
    weights = stored(tmp_path, a__weight=values, a__weight_scale=torch.tensor(0.5))
    found = with_scales("x", weights)["a.weight"]
    assert torch.equal(torch.cat([found.third(k).read() for k in range(3)]), values.float() * 0.5)
    turned = type(found)(found.file, found.info, transposed=True, scale=found.scale)
    assert torch.equal(turned.read(), (values.float() * 0.5).T)


def mark(**entries: object) -> torch.Tensor:
    return torch.tensor(list(json.dumps(entries).encode()), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"a__weight_scale": torch.ones(2, 1)}, "shape \\[2, 1\\]"),
        ({"c__weight_scale": torch.ones(1)}, "scale for c.weight"),
        ({"h__weight_scale": torch.ones(1)}, "scale for h.weight"),
        ({"a__comfy_quant": mark(format="nvfp4")}, "nvfp4"),
        ({"a__comfy_quant": mark(format="float8_e4m3fn", convrot=True)}, "convrot"),
        ({"a__comfy_quant": torch.tensor([123], dtype=torch.uint8)}, "cannot be read"),
    ],
)
def test_what_is_not_a_scale_for_a_whole_weight_is_refused(
    tmp_path: Path, more: dict[str, torch.Tensor], sentence: str
) -> None:
    whole = {"a__weight": VALUES.to(torch.float8_e4m3fn), "h__weight": VALUES.half()}
    with pytest.raises(ConfigurationError, match=sentence):
        with_scales("x", stored(tmp_path, **whole, **more))


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ({"a": {"format": "float8_e4m3fn", "full_precision_matrix_mult": True}}, None),
        ({"a": {"format": "int8_blockwise", "group_size": 128}}, "int8_blockwise"),
        (["a"], "cannot be read"),
    ],
)
def test_metadata_may_say_how_layers_are_quantized(
    tmp_path: Path, layers: object, sentence: str | None
) -> None:
    weights = stored(tmp_path, a__weight=VALUES.to(torch.float8_e4m3fn))
    metadata = {METADATA: json.dumps({"format_version": "1.0", "layers": layers})}
    if sentence is None:
        assert with_scales("x", weights, metadata).keys() == {"a.weight"}
        return
    with pytest.raises(ConfigurationError, match=sentence):
        with_scales("x", weights, metadata)
