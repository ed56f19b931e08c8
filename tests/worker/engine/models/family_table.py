"""Every layout that we know of, and what becomes of it: the table in docs/models.md.

`python -m tests.worker.engine.models.family_table` writes the table; a test holds every row to
what the worker does, and the document to the rows.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file

from tests.worker.engine.models import layouts, published
from tests.worker.engine.models.layouts import CLIP, OPEN_CLIP, UNET, VAE, Change, Weights

DOCUMENT: Final = Path(__file__).parents[4] / "docs" / "models.md"
BEGIN, END = "<!-- layouts -->\n", "<!-- /layouts -->\n"
FP16, BF16, FP8 = torch.float16, torch.bfloat16, torch.float8_e4m3fn

# What a weight [of a network] of the folder becomes in this layout.
Meaning = Callable[[str, torch.Tensor], torch.Tensor]


def same(_: str, tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def as_type(dtype: torch.dtype) -> Meaning:
    return lambda _, tensor: tensor.to(dtype)


def as_scaled(part: str, tensor: torch.Tensor) -> torch.Tensor:
    return layouts.as_scaled(tensor) if part == "unet" and tensor.ndim == 2 else tensor


@dataclass(frozen=True)
class Row:
    """One layout. `says`: a piece of the refusal, or of the warning on the card; "" for none."""

    what: str
    family: str
    says: str = ""
    is_served: bool = True
    why: str = ""
    predicts: str = "epsilon"
    has_zero_snr: bool = False
    side_px: int | None = None
    means: Meaning = same

    def write(self, folder: Path, place: Path) -> Path:
        """Make it from the family's folder; its path."""
        raise NotImplementedError


@dataclass(frozen=True)
class File(Row):
    """One file. `beside`: further files by the ends of their names, as text or as weights."""

    change: Change = dict
    name: str = "dream.safetensors"
    metadata: dict[str, str] | None = None
    beside: Mapping[str, str | Change] = field(default_factory=dict)

    def write(self, folder: Path, place: Path) -> Path:
        weights = published.weights_of(folder)
        file = published.save(self.change(dict(weights)), place / self.name, self.metadata)
        for end, content in self.beside.items():
            other = place / f"{self.name.partition('.')[0]}{end}"
            if isinstance(content, str):
                other.write_text(content)
            else:
                published.save(content(dict(weights)), other)
        return file


@dataclass(frozen=True)
class Folder(Row):
    """A folder in diffusers layout, changed in place."""

    edit: Callable[[Path], None] = lambda _: None

    def write(self, folder: Path, place: Path) -> Path:
        copy = Path(shutil.copytree(folder, place / "model"))
        self.edit(copy)
        return copy


def refused(row: type[Row], what: str, family: str, says: str, why: str, **how: Any) -> Row:
    return row(what, family, says, is_served=False, why=why, **how)


def served_files() -> Iterator[Row]:
    yield File("SD 1.x as published", "sd1")
    yield File("SD 2.x as published, 768 px", "sd2", "predicts v", predicts="v_prediction")
    yield File("SD 2.x as published, 512 px", "sd2-epsilon", "predicts ε", side_px=512)
    yield File("SDXL as published, merges, Turbo, Lightning", "sdxl")
    yield File("SD 1.x inpainting models", "sd1-inpainting")
    yield File("SD 2.x inpainting models", "sd2-inpainting", "predicts ε", side_px=512)
    yield File("SDXL inpainting models", "sdxl-inpainting")
    yield File("SD 1.x edit models (InstructPix2Pix)", "sd1-edit")
    yield File("SDXL edit models", "sdxl-edit")
    yield File("SDXL's refiner", "refiner")
    yield File("SSD-1B, Segmind Vega", "ssd-1b")
    yield File("KOALA", "koala")
    for name, dtype in {"fp16": FP16, "bf16": BF16, "plain fp8": FP8}.items():
        for family in ("sd1", "sdxl"):
            yield File(
                f"{'SDXL' if family == 'sdxl' else 'SD 1.x'}, {name}", family,
                change=layouts.cast(dtype), means=as_type(dtype),
            )  # fmt: skip
    old = layouts.fp8_scaled("scale_weight", "scale_input", marks="scaled_fp8")
    new = layouts.fp8_scaled("weight_scale", "input_scale", marks="comfy_quant")
    yield File("scaled fp8: `scale_weight`, `scaled_fp8`", "sdxl", change=old, means=as_scaled)
    yield File("scaled fp8: `weight_scale`, `comfy_quant`", "sdxl", change=new, means=as_scaled)
    yield File("extension `.SAFETENSORS`", "sd1", name="dream.SAFETENSORS")
    yield File("all names below `state_dict.`", "sd1", change=layouts.under_state_dict)
    yield File(
        "EMA weights beside the plain ones", "sd1", "EMA", change=layouts.with_ema,
        why="the plain weights are used, as in stock diffusers",
    )  # fmt: skip
    pruned = layouts.only(UNET, VAE, CLIP)
    yield File("pruned: weights only", "sd1", change=pruned)
    yield from _served_text_encoders()
    yield from _served_vaes()
    yield from _served_predictions()


def _served_text_encoders() -> Iterator[Row]:
    width = torch.eye(64)
    yield File(
        "SD 1.x, text encoder without `text_model.`", "sd1",
        change=layouts.moved(f"{CLIP}text_model.", CLIP),
    )  # fmt: skip
    projection = {f"{CLIP}text_projection.weight": width, "cond_stage_model.logit_scale": width}
    yield File(
        "SD 1.x, text encoder with a projection", "sd1", change=layouts.adding(projection),
        why="SD 1.x does not use it",
    )  # fmt: skip
    ids = {f"{CLIP}text_model.embeddings.position_ids": torch.arange(77)[None].float()}
    yield File("SD 1.x, position ids as numbers", "sd1", change=layouts.adding(ids))
    v: dict[str, Any] = {"says": "predicts v", "predicts": "v_prediction"}
    yield File("SD 2.x, 23 text layers", "sd2", change=layouts.last_layer_dropped, **v)
    yield File(
        "SD 2.x, text encoder below `cond_stage_model.transformer`", "sd2",
        change=layouts.open_clip_as_transformers, **v,
    )  # fmt: skip
    sgm = layouts.moved(OPEN_CLIP, "conditioner.embedders.0.model.")
    yield File(
        "SD 2.x in the layout of generative-models, SD Turbo", "sd2-epsilon", "predicts ε",
        side_px=512, change=sgm,
    )  # fmt: skip
    second = "conditioner.embedders.1.model.text_projection"
    yield File(
        "SDXL, second projection as a matrix of torch", "sdxl",
        change=lambda w: {
            (f"{n}.weight" if n == second else n): (t.T if n == second else t)
            for n, t in w.items()
        },
    )  # fmt: skip


def _served_vaes() -> Iterator[Row]:
    apart = layouts.moved(VAE, "")
    yield File("VAE attention as `to_q`, …", "sd1", change=layouts.vae_attention_as_matrices)
    only_vae = layouts.then(layouts.only(VAE), apart)
    yield File(
        "no VAE, one beside it as `dream.vae.safetensors`", "sd1", "dream.vae.safetensors",
        change=layouts.without(VAE), beside={".vae.safetensors": only_vae},
    )  # fmt: skip
    other = layouts.adding({f"{VAE}decoder.conv_out.bias": torch.zeros(3)})
    yield File(
        "a VAE of its own and one beside it", "sd1", "dream.vae.safetensors", change=other,
        beside={".vae.safetensors": only_vae},
        why="the one beside it is used, as AUTOMATIC1111 does",
    )  # fmt: skip
    loss = {f"{VAE}loss.logvar": torch.zeros(1)}
    yield File("VAE with what it was trained by (`loss.`)", "sd1", change=layouts.adding(loss))


def _served_predictions() -> Iterator[Row]:
    v: dict[str, Any] = {"predicts": "v_prediction"}
    mark, zero = {"v_pred": torch.zeros(0)}, {"ztsnr": torch.zeros(0)}
    yield File("the mark `v_pred`", "sdxl", change=layouts.adding(mark), **v)
    yield File(
        "the marks `v_pred` and `ztsnr`", "sdxl", change=layouts.adding(mark | zero),
        has_zero_snr=True, **v,
    )  # fmt: skip
    yield File("`modelspec.prediction_type: v`", "sdxl", metadata=_spec("v"), **v)
    yield File("a `.yaml` that says v-prediction", "sd1", beside={".yaml": layouts.YAML_V}, **v)
    yield File(
        "a `.yaml` of SD 2.x, 768 px", "sd2", side_px=768, beside={".yaml": layouts.YAML_V_2}, **v
    )
    yield File(
        "a `.yaml` of SD 2.x, 512 px", "sd2", side_px=512, beside={".yaml": layouts.YAML_EPSILON_2}
    )
    yield File(
        "a `.yaml` of generative-models, v", "sdxl", beside={".yaml": layouts.YAML_SGM_V}, **v
    )
    yield File(
        "a `.yaml` that asks for an earlier text layer", "sd1", "clip_skip",
        beside={".yaml": layouts.YAML_NO_CLIP}, why="requests say it with `clip_skip`",
    )  # fmt: skip


def _spec(prediction: str) -> dict[str, str]:
    return {"modelspec.prediction_type": prediction}


def refused_files() -> Iterator[Row]:
    change = layouts.input_channels(5)
    yield refused(File, "depth-to-image models", "sd1", "depth", "not a mode yet", change=change)
    sigma = {"edm_vpred.sigma_max": torch.tensor(120.0), "edm_vpred.sigma_min": torch.tensor(0.002)}
    yield refused(File, "CosXL", "sdxl", "EDM", "no sampler for it", change=layouts.adding(sigma))
    edm = {"edm_mean": torch.zeros(4), "edm_std": torch.ones(4)}
    yield refused(
        File, "Playground v2.5", "sdxl", "EDM", "no sampler for it", change=layouts.adding(edm)
    )
    yield refused(
        File, "a `.yaml` that says EDM", "sdxl", "EDM", "no sampler for it",
        beside={".yaml": layouts.YAML_SGM_EDM},
    )  # fmt: skip
    yield refused(
        File, "marks that contradict each other", "sdxl", "contradict", "`latentry.json` decides",
        change=layouts.adding({"v_pred": torch.zeros(0)}), metadata=_spec("epsilon"),
    )  # fmt: skip
    yield from _refused_weights()
    yield from _refused_strangers()


def _refused_weights() -> Iterator[Row]:
    why = "leaving weights out would change pictures"
    lcm = {f"{UNET}time_embed.cond_proj.weight": torch.zeros(64, 256)}
    yield refused(
        File, "LCM with a guidance embedding", "sd1", "cond_proj", why, change=layouts.adding(lcm)
    )
    more = {"adapter.proj.weight": torch.zeros(4, 4)}
    yield refused(
        File, "weights that we do not know", "sd1", "adapter.proj", why, change=layouts.adding(more)
    )
    extra = {f"{UNET}middle_block.3.weight": torch.zeros(4)}
    yield refused(
        File, "a UNet with more than its layout has", "sd1", "does not use", why,
        change=layouts.adding(extra),
    )  # fmt: skip
    yield refused(
        File, "another noise schedule", "sd1", "alphas_cumprod", "not the family's",
        change=lambda w: w | {"alphas_cumprod": w["alphas_cumprod"] ** 2},
    )  # fmt: skip
    yield refused(
        File, "fp8 with a scale for each block", "sdxl", "scale", "not implemented",
        change=layouts.fp8_in_blocks,
    )  # fmt: skip
    yield refused(File, "int8", "sdxl", "I8", "not implemented", change=layouts.int8)
    yield refused(
        File, "a VAE with a decoder only", "sd1", "no encoder", "add a whole one beside it",
        change=layouts.without(f"{VAE}encoder.", f"{VAE}quant_conv."),
    )  # fmt: skip
    yield refused(File, "no VAE", "sd1", "no VAE", "add one", change=layouts.without(VAE))
    yield refused(
        File, "EMA weights only", "sd1", "EMA", "use a file with plain weights",
        change=layouts.then(layouts.with_ema, layouts.without(UNET)),
    )  # fmt: skip


def _refused_strangers() -> Iterator[Row]:
    second = "conditioner.embedders.1."
    yield refused(
        File, "SDXL with one of its text encoders", "sdxl", "no text encoder", "it is incomplete",
        change=layouts.without(second),
    )  # fmt: skip
    one = torch.zeros(4)
    for what, name, said in (
        ("SD unCLIP", "embedder.model.visual.proj", "unCLIP"),
        ("SD x4 upscaler", "low_res_model.betas", "upscaler"),
        ("Stable Video Diffusion", f"{UNET}input_blocks.1.0.time_stack.in_layers.0.bias", "Video"),
        ("ControlNet", "control_model.time_embed.0.weight", "ControlNet"),
    ):
        yield refused(
            File, what, "sd1", said, "not text to image", change=layouts.adding({name: one})
        )
    for what, name, said in (
        ("LoRA", "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", "LoRA"),
        ("textual inversion", "emb_params", "textual inversion"),
        ("SD 3", "model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", "Diffusion 3"),
        ("FLUX", "model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "FLUX"),
        ("one part of a diffusers folder", "down_blocks.0.resnets.0.conv1.weight", "model_index"),
    ):
        yield refused(
            File, f"{what} alone", "sd1", said, "not a whole model",
            change=lambda _, name=name: {name: one},
        )  # fmt: skip
    yield refused(
        File, "a UNet alone", "sd1", "UNet", "not a whole model", change=layouts.only(UNET)
    )
    yield refused(File, "a VAE alone", "sd1", "VAE", "not a whole model", change=layouts.only(VAE))


def folders() -> Iterator[Row]:
    yield Folder("SD 1.x as diffusers writes it", "sd1")
    yield Folder("SD 2.x", "sd2", predicts="v_prediction")
    yield Folder("SDXL", "sdxl")
    yield Folder("SDXL's refiner", "refiner")
    yield Folder("SSD-1B", "ssd-1b")
    yield Folder("KOALA", "koala")
    for variant, dtype in {"fp16": FP16, "bf16": BF16, "fp32": torch.float32}.items():
        yield Folder(
            f"`.{variant}.safetensors` only", "sd1", edit=_variant(variant, dtype),
            means=as_type(dtype),
        )  # fmt: skip
    yield Folder("shards with their index, and left-over ones", "sd1", edit=_with_old_shards)
    yield Folder("`.SAFETENSORS`", "sd1", edit=_shouting)
    yield Folder("JSON with a byte order mark", "sd1", edit=_with_marks)
    yield Folder("scaled fp8", "sdxl", edit=_scaled_unet, means=as_scaled)
    yield Folder(
        "text encoder with a projection", "sd1", edit=_with_a_projection,
        why="SD 1.x does not use it",
    )  # fmt: skip
    yield Folder(
        "scaled fp8 of a projection", "sd1", edit=_with_a_scaled_projection,
        why="SD 1.x does not use it",
    )  # fmt: skip
    yield Folder("VAE with `latents_mean` and `latents_std`", "sdxl", edit=_with_a_mean)
    inpaint = _edit("model_index.json", _class_name="StableDiffusionInpaintPipeline")
    yield Folder("inpainting models", "sd1-inpainting", edit=inpaint)
    for family, kind in {"sd1-edit": "", "sdxl-edit": "XL"}.items():
        name = f"StableDiffusion{kind}InstructPix2PixPipeline"
        edit = _edit("model_index.json", _class_name=name)
        yield Folder(f"edit models (`{name}`)", family, edit=edit)
    yield from _refused_folders()


def _refused_folders() -> Iterator[Row]:
    why = "leaving weights out would change pictures"
    yield refused(Folder, "weights that the config does not use", "sd1", "does not use", why,
                  edit=_with_more)  # fmt: skip
    other = _edit("model_index.json", _class_name="StableDiffusionDepth2ImgPipeline")
    yield refused(Folder, "another pipeline, such as depth to image", "sd1", "Depth2ImgPipeline",
                  "not a mode yet", edit=other)  # fmt: skip
    cosxl = _edit("model_index.json", is_cosxl_edit=True)
    yield refused(Folder, "CosXL's edit model", "sdxl-edit", "EDM", "no sampler for it", edit=cosxl)
    controlled = _edit("model_index.json", controlnet=["diffusers", "ControlNetModel"])
    yield refused(Folder, "further parts, such as a ControlNet", "sd1", "controlnet",
                  "it would be left out", edit=controlled)  # fmt: skip
    yield refused(Folder, "VAE with a `shift_factor`", "sd1", "shift_factor", "no such family",
                  edit=_edit("vae/config.json", shift_factor=0.1))  # fmt: skip
    quantized = _edit("unet/config.json", quantization_config={"quant_method": "bitsandbytes"})
    yield refused(Folder, "quantized by bitsandbytes and others", "sd1", "quantization_config",
                  "not implemented", edit=quantized)  # fmt: skip
    yield refused(Folder, "an index that names a missing shard", "sd1", "00002-of-00002",
                  "it is incomplete", edit=_without_a_shard)  # fmt: skip
    yield refused(Folder, "other files only, such as `.non_ema`", "sd1", "non_ema",
                  "not what pipelines use", edit=_variant("non_ema", torch.float32))  # fmt: skip


def _variant(variant: str, dtype: torch.dtype) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        for file in list(folder.glob("*/*.safetensors")):
            weights = {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
            published.save(weights, file.with_suffix(f".{variant}.safetensors"))
            file.unlink()

    return edit


def _edit(file: str, **changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def _change_unet(folder: Path, change: Change) -> Path:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    return published.save(change(load_file(file)), file)


def _sharded(folder: Path) -> Path:
    """Two shards and an index in place of the UNet's file."""
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights, place = load_file(file), {}
    for number, names in enumerate((sorted(weights)[::2], sorted(weights)[1::2]), start=1):
        shard = file.with_name(f"{file.stem}-0000{number}-of-00002.safetensors")
        published.save({name: weights[name] for name in names}, shard)
        place |= dict.fromkeys(names, shard.name)
    index = {"metadata": {"total_size": 1}, "weight_map": place}
    file.with_suffix(".safetensors.index.json").write_text(json.dumps(index))
    file.unlink()
    return shard


def _with_old_shards(folder: Path) -> None:
    shard = _sharded(folder)
    for number in (1, 2, 3):
        old = shard.with_name(f"diffusion_pytorch_model-0000{number}-of-00003.safetensors")
        shutil.copy(shard, old)


def _without_a_shard(folder: Path) -> None:
    _sharded(folder).unlink()


def _shouting(folder: Path) -> None:
    for file in list(folder.glob("*/*.safetensors")):
        file.rename(file.with_suffix(".SAFETENSORS"))


def _with_marks(folder: Path) -> None:
    for file in [*folder.glob("*.json"), *folder.glob("*/*config.json")]:
        if file.parent.name != "tokenizer":
            file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())


def _scaled_unet(folder: Path) -> None:
    def change(weights: Weights) -> Weights:
        found: Weights = {}
        for name, tensor in weights.items():
            found[name] = tensor
            if tensor.ndim == 2 and name.endswith(".weight"):
                layer = name.removesuffix(".weight")
                found[name], found[f"{layer}.weight_scale"] = layouts.scaled(tensor)
        return found

    _change_unet(folder, change)


def _with_a_projection(folder: Path) -> None:
    file = folder / "text_encoder" / "model.safetensors"
    more = {"text_projection.weight": torch.eye(64)}
    weights = {f"text_model.{name}": tensor for name, tensor in load_file(file).items()}
    published.save(weights | more, file)
    kind = "CLIPTextModelWithProjection"
    _edit("model_index.json", text_encoder=["transformers", kind])(folder)


def _with_a_scaled_projection(folder: Path) -> None:
    _with_a_projection(folder)
    file = folder / "text_encoder" / "model.safetensors"
    values, scale = layouts.scaled(torch.eye(64))
    scaled = {"text_projection.weight": values, "text_projection.scale_weight": scale}
    published.save(load_file(file) | scaled, file)


def _with_a_mean(folder: Path) -> None:
    mean, std = [0.5, -0.2, 0.1, 0.3], [1.5, 0.7, 1.1, 2.0]
    _edit("vae/config.json", latents_mean=mean, latents_std=std)(folder)


def _with_more(folder: Path) -> None:
    more = {"mid_block.attentions.9.norm.bias": torch.zeros(4)}
    _change_unet(folder, layouts.adding(more))


FILES: Final = [*served_files(), *refused_files()]
FOLDERS: Final = list(folders())
ROWS: Final = [*FILES, *FOLDERS]


def table() -> str:
    """The rows as Markdown."""
    lines = ["| layout | | |", "|---|---|---|"]
    for heading, rows in {"one file": FILES, "a folder": FOLDERS}.items():
        lines.append(f"| **{heading}** | | |")
        for row in rows:
            verdict = "served" if row.is_served else "refused"
            if row.is_served and row.says:
                verdict = "served, warning"
            lines.append(f"| {row.what} | {verdict} | {row.why} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(before + BEGIN + table() + END + after)
