"""What is wrong with a request, in a sentence: pydantic's errors as our own."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

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
    return InvalidRequest(text if text.endswith("?") else f"{text}.", fields=fields)


def _why(wrong: Any, model: type[BaseModel]) -> str:
    if wrong["type"] == "model_type":  # pydantic names the class, unless it reads JSON
        return "Input should be an object"
    if wrong["type"] != "extra_forbidden":
        return str(wrong["msg"])
    *path, last = wrong["loc"]
    name, owner = str(last), _owner(model, path)
    known = _named(owner) if owner else {}
    near = get_close_matches(name[:64], known, n=1)
    other = _OTHER_NAMES.get(name)
    meant = other if other in known else near[0] if near else None
    return "Unknown field" + (f"; did you mean {meant}?" if meant else ".")


def _owner(model: type[BaseModel], path: Sequence[int | str]) -> type[BaseModel] | None:
    """Which model a field below `path` is one of; None where that is not known."""
    owner: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, str):
            found = _named(owner).get(part) if owner else None
            owner = found and next(_models(found.annotation), None)
    return owner


def _named(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Its fields, as callers name them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for one in get_args(annotation):
        yield from _models(one)


def _name(pointer: str) -> str:
    """A field as callers write it, such as `webhook.url`."""
    return pointer.removeprefix("/").replace("/", ".") or "The body"


def _pointer(path: tuple[int | str, ...]) -> str:
    # RFC 6901. Names are cut: one may be as long as the body.
    return "".join("/" + str(part)[:64].replace("~", "~0").replace("/", "~1") for part in path)
