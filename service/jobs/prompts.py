"""The prompts of a request: styles applied, wildcards drawn."""

import secrets

from latentry.contracts import GenerationRequest, PromptSyntax, Template
from latentry.contracts.fields.bounds import MAX_PROMPT_CHARS
from latentry.errors import InvalidPrompt
from latentry.rules.dynamic import drawn
from latentry.rules.styles import styled
from service.jobs.admission import RANDOM_SEEDS
from service.templates.library import Library

_PROMPTS = ("prompt", "negative_prompt")


def with_prompts(request: GenerationRequest, library: Library) -> GenerationRequest:
    """The request as if its caller had written out what styles and wildcards stand for.

    Wildcards are drawn by the seed, which is drawn here if the request has none: one prompt for
    all images of a job. Raises UnknownStyle or InvalidPrompt.
    """
    is_dynamic = request.prompt_syntax is PromptSyntax.DYNAMIC
    if not (request.styles or is_dynamic):
        return request
    template = Template(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        prompt_syntax=request.prompt_syntax,
        styles=request.styles,
    )
    filled = styled(request, library.styles)
    if is_dynamic:
        seed = secrets.randbelow(RANDOM_SEEDS) if request.seed is None else request.seed
        prompts = {
            name: drawn(getattr(filled, name), library.wildcards, seed=seed, name=name)
            for name in _PROMPTS
        }
        fixed = {"seed": seed, "prompt_syntax": PromptSyntax.WEIGHTED}
        filled = filled.model_copy(update=prompts | fixed)
    _refuse_long(filled)
    return filled.model_copy(update={"template": template})


def _refuse_long(request: GenerationRequest) -> None:
    why = f"With its styles it is longer than {MAX_PROMPT_CHARS} characters."
    wrong = {f"/{name}": why for name in _PROMPTS if len(getattr(request, name)) > MAX_PROMPT_CHARS}
    if wrong:
        raise InvalidPrompt(why, fields=wrong)
