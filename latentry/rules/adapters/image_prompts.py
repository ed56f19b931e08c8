"""The image prompts of a request: their IP-Adapters found in the catalogue, and their files."""

from collections.abc import Mapping, Sequence

from latentry.contracts import (
    Adapter,
    AdapterKind,
    ImagePrompt,
    InputFile,
    ModelCard,
    WantedImagePrompt,
)
from latentry.errors import AdapterChanged, AdapterMismatch, InvalidRequest, UnknownAdapter
from latentry.rules.adapters.found import found_adapter


def found_image_prompts(
    wanted: Sequence[WantedImagePrompt],
    files: Mapping[str, InputFile],
    adapters: Sequence[Adapter],
    card: ModelCard,
) -> tuple[ImagePrompt, ...]:
    """Each with its adapter as the model's workers have it; files: of its pictures, by place.

    Raises UnknownAdapter, AdapterMismatch or AdapterChanged, with JSON pointers to all such.
    """
    found, wrong, kinds = [], dict[str, str](), list[type[InvalidRequest]]()
    for number, one in enumerate(wanted):
        try:
            adapter = found_adapter(
                one.id, [AdapterKind.IP_ADAPTER], adapters, card, sha256=one.sha256
            )
        except (UnknownAdapter, AdapterMismatch, AdapterChanged) as error:
            wrong[f"/image_prompts/{number}/id"] = error.message
            kinds.append(type(error))
            continue
        file = files[f"image_prompts/{number}/image"]
        found.append(
            ImagePrompt(id=adapter.id, image=file, weight=one.weight, sha256=adapter.sha256)
        )
    if wrong:
        raise kinds[0](next(iter(wrong.values())), fields=wrong)
    return tuple(found)
