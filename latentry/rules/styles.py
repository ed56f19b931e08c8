"""A request with styles applied, as AUTOMATIC1111 and Fooocus apply theirs."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from latentry.contracts import GenerationRequest, Style
from latentry.errors import UnknownStyle

_PROMPT: Final = "{prompt}"
_SPACED: Final = ("sampler", "spacing")
_NEAR: Final = 3


def styled(request: GenerationRequest, styles: Mapping[str, Style]) -> GenerationRequest:
    """The request with its styles in its prompts and their defaults in the fields it omits.

    Later styles wrap earlier ones, and their defaults come before theirs. Raises UnknownStyle.
    """
    chosen = _chosen(request.styles, styles)
    prompt, negative_prompt = request.prompt or "", request.negative_prompt
    defaults: dict[str, Any] = {}
    for style in chosen:
        prompt = merged(style.prompt, prompt)
        negative_prompt = merged(style.negative_prompt, negative_prompt)
        defaults |= style.defaults.model_dump(exclude_none=True)
    if any(getattr(request, name) is not None for name in _SPACED):
        # A sampler need not have the spacing that belongs to another.
        defaults = {name: value for name, value in defaults.items() if name not in _SPACED}
    omitted = {
        name: value for name, value in defaults.items() if getattr(request, name, None) is None
    }
    prompts = {"prompt": prompt, "negative_prompt": negative_prompt, "styles": ()}
    return request.model_copy(update=omitted | prompts)


def merged(template: str, prompt: str) -> str:
    """The template with the prompt in its place, or behind it if it has none.

    As merge_prompts of AUTOMATIC1111's modules/styles.py.
    """
    if _PROMPT in template:
        return template.replace(_PROMPT, prompt)
    return ", ".join(text for text in (prompt.strip(), template.strip()) if text)


def _chosen(names: Sequence[str], styles: Mapping[str, Style]) -> list[Style]:
    """The styles of these names, capitals or not where that is unambiguous."""
    found, unknown = [], {}
    for position, name in enumerate(names):
        alike = [known for known in styles if known.casefold() == name.casefold()]
        if name in styles:
            found.append(styles[name])
        elif len(alike) == 1:
            found.append(styles[alike[0]])
        else:
            unknown[f"/styles/{position}"] = f"There is no style “{name}”{hint(name, styles)}"
    if unknown:
        raise UnknownStyle(next(iter(unknown.values())), fields=unknown)
    return found


def hint(name: str, known: Mapping[str, Any]) -> str:
    """The end of a sentence: the known names that are near, if any."""
    lowered = {one.casefold(): one for one in known}
    near = get_close_matches(name.casefold(), lowered, n=_NEAR)
    names = " or ".join(f"“{lowered[one]}”" for one in near)
    return f"; did you mean {names}?" if near else "."
