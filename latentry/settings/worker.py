"""The worker: models, device and the limits of its calls."""

import re
from pathlib import Path
from typing import Final

from pydantic import Field, field_validator

from latentry.contracts.fields.bounds import MODEL_ID
from latentry.local_path import local_path
from latentry.low_memory import LowMemory, parse_low_memory
from latentry.settings.section import LocalPathText, Section, Word
from latentry.sources import (
    AdapterSource,
    Source,
    parse_adapters,
    parse_source,
    parse_upscalers,
)

# The bundled model, and what is bundled for it, in a checkout's folder or an image's.
BUNDLED: Final = Path("models/shapes")
BUNDLED_ADAPTERS: Final = "models/adapters"


class WorkerSettings(Section):
    """What the worker loads and how it runs."""

    models: str = Field(
        f"shapes={BUNDLED}",
        description="Comma-separated `id=source` pairs, and folders of models, which may come and"
        " go. A source is a folder in diffusers layout, a `.safetensors` file, `owner/name@commit`"
        " on a hub, or `simulated:` to test a deployment without a GPU; docs/models.md.",
    )
    upscalers: str = Field(
        "",
        description="Upscaling networks besides Lanczos, comma-separated: `.safetensors` files,"
        " folders of such, or `id=path` pairs; an id is the file's name if none is given.",
    )
    classifier: LocalPathText = Field(
        "",
        description="What scores pictures for rules on them: an `.onnx` file with a JSON file of"
        " its labels beside it, or the folder of a `safety_checker` in diffusers layout;"
        " docs/rules.md. All workers of a model need the same.",
    )
    captioner: LocalPathText = Field(
        "",
        description="What says what pictures show: the folder of a BLIP captioning model, with"
        " config.json, model.safetensors and vocab.txt; docs/captions.md.",
    )
    model_memory_bytes: int = Field(
        0, ge=0, description="Maximum memory for the weights of loaded models; 0 is unlimited."
    )
    adapters: str = Field(
        "",
        description="Comma-separated folders of adapters, searched with all that is below them,"
        " and `id=path` pairs; docs/adapters.md. All workers of a model need the same. If left out,"
        f" `{BUNDLED_ADAPTERS}` where `{BUNDLED}` is served.",
    )
    adapter_memory_bytes: int = Field(
        2 * 2**30, ge=0, description="Maximum memory for loaded adapters, besides the models'."
    )
    device: Word = Field(
        "auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="`auto` is CUDA if available."
    )
    dtype: Word = Field(
        "auto",
        pattern=r"^(auto|float32|float16|bfloat16)$",
        description="`auto` is float16 on CUDA, bfloat16 on a CPU with instructions for it"
        " (AVX512_BF16, AMX, Arm's BF16), and float32 on others.",
    )
    low_memory: Word = Field(
        "",
        description="Comma-separated ways to need less memory: `vae_slices`, `vae_tiles`,"
        " `text_encoders`, `offload`; docs/models.md has what each does to pictures.",
    )
    workers: int = Field(
        1, ge=1, description="Number of workers that `latentry serve` starts on this machine."
    )
    threads: int = Field(
        0,
        ge=0,
        description="Compute threads of each worker on the CPU; 0 is the cores that it may use,"
        " divided among the workers of `latentry serve`.",
    )
    compile: Word = Field(
        "auto",
        pattern=r"^(auto|on|off)$",
        description="Compile UNets in the background, not in strict mode; `auto` is on with CUDA.",
    )
    max_rows: int = Field(32, ge=2, description="Maximum number of rows in one UNet call.")
    max_slowdown: float = Field(
        6.0,
        ge=1,
        description="Maximum time of a batched UNet call, in multiples of a single image's call.",
    )
    backlog_bytes: int = Field(
        256 * 1024 * 1024,
        ge=1,
        description="Memory for pictures that storage has not taken yet; while they take more, the"
        " worker claims no job.",
    )
    worker_max_rss_bytes: int = Field(
        0,
        ge=0,
        description="A worker whose memory exceeds this hands its jobs back and restarts; 0 is"
        " unlimited. Must be well above what its models need.",
    )
    worker_metrics_port: int = Field(
        9101,
        ge=0,
        le=65535,
        description="Port of the worker's metrics; 0 is off. If left out, the next free one from"
        " 9101 on, which the log names.",
    )

    @field_validator("models")
    @classmethod
    def _are_pairs(cls, value: str) -> str:
        pairs, folders = _pairs(value), _folders(value)
        if not (pairs or folders):
            raise ValueError("it must name a model, as id=source, or a folder of models")
        for name, path in pairs:
            if not (re.fullmatch(MODEL_ID, name) and path):
                raise ValueError(
                    f"{name!r} does not start an id=source pair; ids are 1 to 64 characters, "
                    "a-z, 0-9, dots, dashes and underscores"
                )
        for _, path in pairs:
            parse_source(path)
        for folder in folders:
            if not isinstance(parse_source(folder), Path):
                raise ValueError(f"{folder!r} is not a folder: it needs an id, as in id={folder}")
        if len(dict(pairs)) < len(pairs):
            raise ValueError("an id appears twice")
        return value

    @field_validator("upscalers")
    @classmethod
    def _are_upscalers(cls, value: str) -> str:
        parse_upscalers(value)
        return value

    @field_validator("adapters")
    @classmethod
    def _are_folders_or_pairs(cls, value: str) -> str:
        parse_adapters(value)
        return value

    @field_validator("low_memory")
    @classmethod
    def _are_ways(cls, value: str) -> str:
        parse_low_memory(value)
        return value

    @property
    def ways_to_save_memory(self) -> frozenset[LowMemory]:
        """What `low_memory` names."""
        return parse_low_memory(self.low_memory)

    @property
    def upscaler_sources(self) -> list[tuple[str, Path]]:
        """What `upscalers` names: an id, empty for what has its own name, and a path."""
        return parse_upscalers(self.upscalers)

    @property
    def adapter_sources(self) -> tuple[AdapterSource, ...]:
        """What `adapters` names; if it was left out, what is bundled for the bundled model."""
        if "adapters" not in self.model_fields_set and BUNDLED in self.model_sources.values():
            # An image may have been built with the model alone.
            return parse_adapters(BUNDLED_ADAPTERS if Path(BUNDLED_ADAPTERS).is_dir() else "")
        return parse_adapters(self.adapters)

    @property
    def model_sources(self) -> dict[str, Source]:
        """The source of each model, by its id."""
        return {name: parse_source(source) for name, source in _pairs(self.models)}

    @property
    def model_folders(self) -> tuple[Path, ...]:
        """The folders of models: what `models` names without an id."""
        return tuple(map(local_path, _folders(self.models)))


def _pairs(models: str) -> list[tuple[str, str]]:
    parts = (item.partition("=") for item in models.split(",") if "=" in item)
    return [(name.strip(), path.strip()) for name, _, path in parts]


def _folders(models: str) -> list[str]:
    return [item.strip() for item in models.split(",") if item.strip() and "=" not in item]
