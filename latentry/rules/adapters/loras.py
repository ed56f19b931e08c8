"""The LoRAs of a request: named in its field or by tags in its prompt, found in the catalogue."""

import re
from collections.abc import Sequence
from typing import Final, NoReturn

from pydantic import ValidationError

from latentry.contracts import (
    Adapter,
    AdapterKind,
    GenerationRequest,
    Lora,
    ModelCard,
    PromptSyntax,
    WantedLora,
)
from latentry.contracts.fields.bounds import MAX_LORAS
from latentry.errors import (
    AdapterChanged,
    AdapterMismatch,
    InvalidPrompt,
    InvalidRequest,
    UnknownAdapter,
)
from latentry.rules.adapters.found import found_adapter

# AUTOMATIC1111's re_extra_net, for the two words that it takes for a LoRA: its
# modules/extra_networks.py and extensions-builtin/Lora.
_TAG: Final = re.compile(r"<(?:lora|lyco):([^<>]++)>")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]{1,3})?")


def with_tags(request: GenerationRequest) -> GenerationRequest:
    """The request with what tags in its prompt say in `loras`, and without the tags.

    As there, the first number is the text encoders' weight and the second one the UNet's, which is
    the same if it is left out; `te=` and `unet=` name them. Raises InvalidPrompt.
    """
    if request.prompt_syntax is PromptSyntax.PLAIN or "<" not in request.prompt:
        return request
    tags = _TAG.findall(request.prompt)
    if not tags:
        return request
    if (count := len(request.loras) + len(tags)) > MAX_LORAS:
        _refuse(f"It has {count} LoRAs with those of its tags; at most {MAX_LORAS} are used.")
    loras = (*request.loras, *map(_wanted, tags))
    return request.model_copy(update={"prompt": _TAG.sub("", request.prompt), "loras": loras})


def found_loras(
    wanted: Sequence[WantedLora],
    adapters: Sequence[Adapter],
    card: ModelCard,
    *,
    in_field: int = MAX_LORAS,
) -> tuple[Lora, ...]:
    """Each with its file as the model's workers have it. All after the first `in_field` are tags.

    Raises UnknownAdapter, AdapterMismatch or AdapterChanged, with JSON pointers to all such; to the
    prompt for the first of its tags.
    """
    found, wrong, kinds = [], dict[str, str](), dict[str, type[InvalidRequest]]()
    for number, one in enumerate(wanted):
        at = f"/loras/{number}/id" if number < in_field else "/prompt"
        if at in wrong:
            continue
        try:
            adapter = found_adapter(one.id, [AdapterKind.LORA], adapters, card, sha256=one.sha256)
        except (UnknownAdapter, AdapterMismatch, AdapterChanged) as error:
            wrong[at], kinds[at] = error.message, type(error)
        else:
            found.append(_lora(one, adapter))
    if wrong:
        first = next(iter(wrong))
        raise kinds[first](wrong[first], fields=wrong)
    return tuple(found)


def _lora(wanted: WantedLora, adapter: Adapter) -> Lora:
    text = wanted.text_encoder_weight
    return Lora(
        id=adapter.id,
        weight=wanted.weight,
        text_encoder_weight=wanted.weight if text is None else text,
        sha256=adapter.sha256,
        autov3=adapter.autov3,
    )


def _wanted(tag: str) -> WantedLora:
    name, *rest = tag.split(":")
    named = dict(one.split("=", 1) for one in rest if "=" in one)
    numbers = [one for one in rest if "=" not in one]
    text = named.pop("te", numbers[0] if numbers else "1")
    unet = named.pop("unet", numbers[1] if len(numbers) > 1 else text)
    shown = f"<lora:{tag}>"
    if named or len(numbers) > 2:
        _refuse(f"{shown} says more than a name and two weights, which is not supported.")
    if not (_NUMBER.fullmatch(text.strip()) and _NUMBER.fullmatch(unet.strip())):
        _refuse(f"A weight in {shown} is not a number.")
    try:
        return WantedLora(id=name.strip(), weight=float(unet), text_encoder_weight=float(text))
    except ValidationError:
        _refuse(f"{shown} has no valid name, or a weight that is out of range.")


def _refuse(why: str) -> NoReturn:
    raise InvalidPrompt(why, fields={"/prompt": why})
