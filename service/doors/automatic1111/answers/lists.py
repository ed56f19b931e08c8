"""What its lists have, as models."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Item(BaseModel):
    """Base of the entries: some names of fields begin with `model_`."""

    model_config = ConfigDict(protected_namespaces=())


class SamplerItem(Item):
    """A sampler."""

    name: str
    aliases: list[str]
    options: dict[str, Any]


class SchedulerItem(Item):
    """A schedule type."""

    name: str
    label: str
    aliases: list[str] | None = None
    default_rho: float = -1
    need_inner_model: bool = False


class UpscalerItem(Item):
    """An upscaler."""

    name: str
    model_name: str | None = None
    model_path: str | None = None
    model_url: str | None = None
    scale: float | None = None


class NameItem(Item):
    """Something that has a name only."""

    name: str


class ModelItem(Item):
    """A model; there are no files to speak of."""

    title: str
    model_name: str
    hash: str | None = None
    sha256: str | None = None
    filename: str
    config: str | None = None


class VaeItem(Item):
    """A VAE."""

    model_name: str
    filename: str


class LoraItem(Item):
    """A LoRA."""

    name: str
    alias: str
    path: str
    metadata: dict[str, Any]


class StyleItem(Item):
    """A style."""

    name: str
    prompt: str
    negative_prompt: str


class EmbeddingItem(Item):
    """An embedding. `shape`: the length of its vectors, which is not known here."""

    step: int | None = None
    sd_checkpoint: str | None = None
    sd_checkpoint_name: str | None = None
    shape: int = 0
    vectors: int


class Embeddings(BaseModel):
    """All embeddings: those that fit the current model, and others."""

    loaded: dict[str, EmbeddingItem]
    skipped: dict[str, EmbeddingItem]


class ScriptsList(BaseModel):
    """The scripts that each way to draw knows."""

    txt2img: list[str]
    img2img: list[str]


class ScriptInfo(BaseModel):
    """A script; its arguments are not described."""

    name: str
    is_alwayson: bool
    is_img2img: bool
    args: list[Any]


class Memory(BaseModel):
    """What AUTOMATIC1111 says where it cannot measure."""

    ram: dict[str, Any]
    cuda: dict[str, Any]
