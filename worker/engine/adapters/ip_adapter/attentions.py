"""The cross attentions of a UNet, as an IP-Adapter numbers them."""

from dataclasses import dataclass
from typing import Any

import torch

from latentry.errors import AdapterUnusable
from worker.engine.adapters.ip_adapter.layout import IPAdapterFile
from worker.engine.models.blueprint import Blueprint


@dataclass(frozen=True, slots=True)
class CrossAttention:
    """Its path, its number among all attentions, and its sizes: of keys, of tokens, and heads."""

    path: str
    number: int
    inner: int
    width: int
    heads: int


def attentions(blueprint: Blueprint) -> tuple[CrossAttention, ...]:
    """In the order in which files number them: that of diffusers' `attn_processors`."""
    with torch.device("meta"):
        unet: Any = blueprint.parts["unet"].make()
    found = []
    for number, name in enumerate(unet.attn_processors):
        path = name.removesuffix(".processor")
        if path.endswith("attn2"):
            module = unet.get_submodule(path)
            inner, width = module.to_k.weight.shape
            found.append(CrossAttention(path, number, inner, width, module.heads))
    return tuple(found)


def refuse_misfit(file: IPAdapterFile, model: tuple[CrossAttention, ...]) -> None:
    """Raises AdapterUnusable unless the file has all of a model's attentions, and no others."""
    if (has := sorted(file.layers)) != [one.number for one in model]:
        raise AdapterUnusable(
            f"It has keys and values for {len(has)} attentions; this model has {len(model)}."
        )
    for one in model:
        layer, wanted = file.layers[one.number], (one.inner, one.width)
        for name, tensor in (("k", layer.key), ("v", layer.value)):
            if tensor.shape != wanted or file.width != one.width:
                raise AdapterUnusable(
                    f"Its ip_adapter.{one.number}.to_{name}_ip.weight has the shape"
                    f" {list(tensor.shape)}, for tokens of {file.width}; {one.path} of this model"
                    f" takes {list(wanted)}."
                )
