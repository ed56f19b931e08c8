"""`info` of a finished request: what AUTOMATIC1111 says of its images, as JSON in a text."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from latentry import __version__
from latentry.contracts import OutputKind, ResolvedRequest, StoredOutput
from latentry.ledger import JobRecord
from latentry.provenance.infotext import infotext
from service.doors.automatic1111.translation.sampling import NAMES

_NO_VARIATION: Final = -1
# What readers may expect, and is always so.
_NOT_HERE: Final[dict[str, Any]] = {
    "restore_faces": False,
    "face_restoration_model": None,
    "sd_model_hash": None,
    "seed_resize_from_w": -1,
    "seed_resize_from_h": -1,
    "index_of_first_image": 0,
    "is_using_inpainting_conditioning": False,
    "version": f"latentry {__version__}",
}


def info(record: JobRecord, batch_size: int) -> str:
    """Of an ended job's images, as `Processed.js` of modules/processing.py has it.

    Where it has no more than one key of a kind for all images, that is the first one's.
    """
    request, images = record.request, record.images
    assert isinstance(request, ResolvedRequest), "a generation"
    found = _seeds(request, images) | _settings(request) | _NOT_HERE
    found |= {
        "batch_size": batch_size,
        "infotexts": [_text(request, image) for image in images],
        "job_timestamp": _timestamp(record.created_ms),
        "job": record.ref.id,
        "warnings": [warning.model_dump() for warning in record.warnings],
    }
    return json.dumps(found, ensure_ascii=False)


def _seeds(request: ResolvedRequest, images: Sequence[StoredOutput]) -> dict[str, Any]:
    seeds = [image.seed for image in images] or [request.seed]
    subseeds = [_subseed(image) for image in images] or [_NO_VARIATION]
    return {
        "prompt": request.prompt,
        "all_prompts": [request.prompt] * len(seeds),
        "negative_prompt": request.negative_prompt,
        "all_negative_prompts": [request.negative_prompt] * len(seeds),
        "seed": seeds[0],
        "all_seeds": seeds,
        "subseed": subseeds[0],
        "all_subseeds": subseeds,
        "subseed_strength": request.variation_strength,
    }


def _settings(request: ResolvedRequest) -> dict[str, Any]:
    width, height = request.final_size
    vae, template = request.vae, request.template
    return {
        "width": request.width,
        "height": request.height,
        "sampler_name": NAMES.get(request.sampler, request.sampler.value),
        "cfg_scale": request.guidance_scale,
        "steps": request.num_inference_steps,
        "sd_model_name": request.model,
        "sd_vae_name": vae.id if vae else None,
        "sd_vae_hash": vae.sha256[:10] if vae else None,
        "denoising_strength": request.hires.strength if request.hires else request.strength,
        "extra_generation_params": {"Final size": f"{width}x{height}"} if request.hires else {},
        "styles": list(template.styles) if template else [],
        "clip_skip": (request.clip_skip or 0) + 1,
    }


def pictures(record: JobRecord, maps: Sequence[bool]) -> list[StoredOutput]:
    """The images, and behind them what its ControlNets were shown, where that is wanted."""
    shown = [one for one in record.outputs if one.kind is OutputKind.CONTROL and one.key]
    wanted = {f"control-{k + 1}" for k, is_wanted in enumerate(maps) if is_wanted}
    return [*record.images, *(one for one in shown if one.name in wanted)]


def _text(request: ResolvedRequest, image: StoredOutput) -> str:
    return infotext(request.of_image(image.index), image.seed)


def _subseed(image: StoredOutput) -> int:
    return _NO_VARIATION if image.variation_seed is None else image.variation_seed


def _timestamp(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y%m%d%H%M%S")
