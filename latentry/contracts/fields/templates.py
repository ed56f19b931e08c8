"""What prompts are made of: styles, and the prompts before styles and wildcards were filled in."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from latentry.contracts.fields import conditioning
from latentry.contracts.fields.bounds import MAX_STYLE_NAME_CHARS, MAX_STYLES
from latentry.contracts.fields.conditioning import PromptSyntax
from latentry.contracts.wire import RequestModel

StyleName = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=MAX_STYLE_NAME_CHARS, pattern=r"^[^\x00-\x1f\x7f]*$"
    ),
]
Styles = Annotated[
    tuple[StyleName, ...],
    Field(
        max_length=MAX_STYLES,
        description="Names of styles of `GET /v1/styles`, applied to both prompts in this order. "
        "What they set besides holds where the request omits it.",
    ),
]


class Template(RequestModel):
    """What a request's prompts were made of. It changes no image."""

    model_config = ConfigDict(extra="ignore")  # a newer service may say more

    prompt: conditioning.Prompt
    negative_prompt: conditioning.NegativePrompt = ""
    prompt_syntax: conditioning.Syntax = PromptSyntax.WEIGHTED
    styles: Styles = ()


FilledTemplate = Annotated[
    Template | None,
    Field(
        description="What the prompts were made of, where styles or wildcards were filled in. The "
        "service sets it; sent back it is kept, and changes nothing."
    ),
]
