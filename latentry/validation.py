"""What is wrong with a request, in a sentence: pydantic's errors as our own."""

from difflib import get_close_matches
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from latentry.errors import InvalidRequest

_REPORTED: Final = 16
# Names that other services give to our fields.
_OTHER_NAMES: Final = {
    "steps": "num_inference_steps",
    "cfg_scale": "guidance_scale",
    "cfg": "guidance_scale",
    "guidance": "guidance_scale",
    "scheduler": "sampler",
    "sampler_name": "sampler",
    "num_images": "n",
    "num_images_per_prompt": "n",
    "num_outputs": "n",
    "batch_size": "n",
    "denoising_strength": "strength",
    "prompt_strength": "strength",
    "init_image": "image",
    "num_steps": "num_inference_steps",
}


def invalid(error: ValidationError, model: type[BaseModel]) -> InvalidRequest:
    """The error of a request that is no `model`, with a sentence for each field.

    It quotes the names of fields only, never their values, which may be prompts.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    fields: dict[str, str] = {}
    for wrong in found[:_REPORTED]:
        fields.setdefault(_pointer(wrong["loc"]), _why(wrong, model))
    sentences = [f"{_name(pointer)}: {why}" for pointer, why in fields.items()]
    rest = [f"{len(found) - _REPORTED} more errors"] if len(found) > _REPORTED else []
    text = "; ".join(sentence.removesuffix(".") for sentence in [*sentences, *rest])
    return InvalidRequest(f"{text}.", fields=fields)


def _why(wrong: Any, model: type[BaseModel]) -> str:
    if wrong["type"] != "extra_forbidden":
        return str(wrong["msg"])
    name = str(wrong["loc"][-1])
    near = get_close_matches(name[:64], model.model_fields, n=1)
    other = _OTHER_NAMES.get(name)
    meant = other if other in model.model_fields else near[0] if near else None
    return "Unknown field" + (f"; did you mean {meant}?" if meant else ".")


def _name(pointer: str) -> str:
    """A field as callers write it, such as `webhook.url`."""
    return pointer.removeprefix("/").replace("/", ".") or "The body"


def _pointer(path: tuple[int | str, ...]) -> str:
    # RFC 6901. Names are cut: one may be as long as the body.
    return "".join("/" + str(part)[:64].replace("~", "~0").replace("/", "~1") for part in path)
