"""A T2I-Adapter's config, from the shapes of its weights; and where a UNet takes its features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from latentry.errors import AdapterUnusable
from worker.engine.models.sources.single_file.configs import count
from worker.engine.models.weights import StoredTensor

Weights = Mapping[str, StoredTensor]

_CLASS: Final = "T2IAdapter"
_FULL, _XL, _LIGHT = "full_adapter", "full_adapter_xl", "light_adapter"
# What a config of its own may not say otherwise: its weights do.
_ALIKE: Final = ("in_channels", "channels", "num_res_blocks", "downscale_factor")
_GREY_OR_RGB: Final = (1, 3)
_ATTENDING, _PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"


@dataclass(frozen=True, slots=True)
class Site:
    """Features' channels, and how many pixels of the picture each of their cells has a side."""

    channels: int
    pixels: int


def t2i_config(
    weights: Weights, unet: Mapping[str, Any], own: Mapping[str, Any] | None, *, cell: int
) -> dict[str, Any]:
    """The config of diffusers' T2IAdapter; weights are under its names.

    own: the config of a folder. cell: pixels of a picture for each of the latent's cells, along a
    side. Raises AdapterUnusable, also for one whose features find no place in this UNet.
    """
    try:
        config = _shapes(weights, cell)
    except KeyError as error:
        raise AdapterUnusable(f"It is not whole: it lacks {error}.") from None
    if own is not None:
        config["adapter_type"] = _said_type(own, config)
    features, sites = _features(config), _sites(unet, cell)
    if len(features) > len(sites):
        raise AdapterUnusable(f"It has {len(features)} features, and the UNet {len(sites)} places.")
    for number, (feature, site) in enumerate(zip(features, sites, strict=False)):
        if feature != site:
            raise AdapterUnusable(
                f"Its feature {number} has {feature.channels} channels for each"
                f" {feature.pixels} pixels, and the UNet {site.channels} for each {site.pixels}."
            )
    return config


def _shapes(weights: Weights, cell: int) -> dict[str, Any]:
    light = "adapter.conv_in.weight" not in weights
    first = weights["adapter.body.0.in_conv.weight" if light else "adapter.conv_in.weight"]
    takes = first.shape[1]
    pairs = ((own, factor) for factor in (cell, 2 * cell) for own in _GREY_OR_RGB)
    found = next(((own, factor) for own, factor in pairs if own * factor**2 == takes), None)
    if found is None:
        raise AdapterUnusable(
            f"It sees {takes} numbers at a time, which is neither a grey nor an RGB picture of"
            f" {cell} or {2 * cell} pixels a side."
        )
    width = "out_conv.weight" if light else "resnets.0.block1.weight"
    blocks = count(weights, "adapter.body.{}.resnets.0.block1.weight")
    widths = [weights[f"adapter.body.{number}.{width}"].shape[0] for number in range(blocks)]
    in_channels, factor = found
    return {
        "in_channels": in_channels,
        "channels": widths[:-1] if light else widths,  # a light one ends with two alike
        "num_res_blocks": count(weights, "adapter.body.0.resnets.{}.block1.weight"),
        "downscale_factor": factor,
        "adapter_type": _LIGHT if light else _FULL if factor == cell else _XL,
    }


def _said_type(own: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Its type, which its weights alone do not tell for sure. Raises AdapterUnusable."""
    if (kind := own.get("_class_name", _CLASS)) != _CLASS:
        raise AdapterUnusable(f"It is a {kind}, which is not supported; {_CLASS} is.")
    for name in _ALIKE:
        if (said := own.get(name, config[name])) != config[name]:
            raise AdapterUnusable(f"Its {name} is {said}, and by its weights {config[name]}.")
    found = own.get("adapter_type", config["adapter_type"])
    if found not in (_FULL, _XL, _LIGHT):
        raise AdapterUnusable(f"Its adapter_type is {found}, which is not supported.")
    return str(found)


def _features(config: Mapping[str, Any]) -> list[Site]:
    """What its network makes, as diffusers builds it."""
    widths, factor = list(config["channels"]), config["downscale_factor"]
    if config["adapter_type"] == _XL:  # halved once, before the third
        if len(set(widths[2:])) > 1:
            raise AdapterUnusable(f"Its channels are {widths}: from the third on they must be one.")
        return [Site(width, factor * (1 if k < 2 else 2)) for k, width in enumerate(widths)]
    if config["adapter_type"] == _LIGHT:
        widths += widths[-1:]
    return [Site(width, factor * 2**k) for k, width in enumerate(widths)]


def _sites(unet: Mapping[str, Any], cell: int) -> Sequence[Site]:
    """Where diffusers' UNet2DConditionModel adds them: in each block on the way down and after the
    middle; before a block's downsampler if it attends to prompts, and else after it.
    """
    types, widths = unet["down_block_types"], unet["block_out_channels"]
    if others := set(types) - {_ATTENDING, _PLAIN}:
        raise AdapterUnusable(f"The UNet has blocks of other kinds: {', '.join(sorted(others))}.")
    if unet["downsample_padding"] != 1:
        raise AdapterUnusable("The UNet halves its features otherwise.")
    last = len(types) - 1
    levels = [k + (kind == _PLAIN and k < last) for k, kind in enumerate(types)]
    sites = [Site(width, cell * 2**level) for width, level in zip(widths, levels, strict=True)]
    return [*sites, Site(widths[-1], cell * 2**last)] if unet["mid_block_type"] else sites
