"""Rules of the service, applied to a request before it becomes a job."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import structlog

from latentry.contracts import JobWarning, ResolvedCaption, ResolvedRequest
from latentry.contracts.fields.bounds import MAX_PROMPT_CHARS, PREVIEW_SIDE_PX
from latentry.contracts.fields.safety import ImageRule
from latentry.errors import (
    InvalidPrompt,
    LedgerUnavailable,
    NoClassifier,
    PromptRefused,
    UnsupportedField,
)
from latentry.ledger import AsyncLedger, CatalogueEntry, accounts
from latentry.ledger.accounts import Applied
from latentry.rules.moderation.prompt_rules import PromptAction
from latentry.rules.moderation.rulebook import Found, Rulebook
from latentry.rules.moderation.texts import Text, texts
from latentry.rules.prompt_rows import leads_away
from latentry.rules.sequences.frames import keyframes
from service.access.auth import Caller
from service.jobs.admission import Admitted
from service.metrics import Metrics
from service.templates.library import Library

log = structlog.get_logger()

# Characters times rules: more would hold up the event loop for ten milliseconds or longer. Folding
# a text takes as long as six rules.
_MUCH: Final = 28_000
_FOLDING: Final = 6


@dataclass(frozen=True, slots=True)
class Moderated:
    """A request that may become a job. `applied`: the rules that it met, and what each did."""

    admitted: Admitted
    warnings: tuple[JobWarning, ...] = ()
    image_rules: tuple[ImageRule, ...] = ()
    applied: tuple[Applied, ...] = ()


@dataclass(frozen=True, slots=True)
class Moderation:
    """Applies the rules of the operator's file, and counts what they do."""

    library: Library
    ledger: AsyncLedger
    metrics: Metrics

    async def moderate(
        self, caller: Caller, admitted: Admitted, *, is_low: bool = False
    ) -> Moderated:
        """The request as the rules leave it; is_low: its caller asks for less moderation.

        Raises PromptRefused, InvalidPrompt, UnsupportedField or NoClassifier.
        """
        rules = self.library.rules
        found = await _found(rules, admitted, caller.tenant, is_low=is_low)
        refusing = next((one for one in found if one.rule.action is PromptAction.REFUSE), None)
        if refusing is not None:
            await self._count_refusal(caller, refusing)
            raise PromptRefused(
                refusing.rule.reason, fields={refusing.pointer: refusing.rule.reason}
            )
        moderated = _with_negative(Moderated(admitted), found)
        return _with_image_rules(moderated, rules.image_rules(caller.tenant, is_low=is_low))

    def count(self, caller: Caller, applied: Sequence[Applied], job: str = "") -> None:
        """In metrics and in the log: rules have done this to a request of the caller's."""
        for name, action in applied:
            self.metrics.rule_applied(name, caller.tenant, action)
            log.info("rules.applied", rule=name, action=action, tenant=caller.tenant, job=job)

    async def _count_refusal(self, caller: Caller, one: Found) -> None:
        applied = [(one.rule.name, one.rule.action.value)]
        self.count(caller, applied)
        with suppress(LedgerUnavailable):  # it is refused all the same
            await self.ledger.run(accounts.count_rules(caller.tenant, caller.account, applied))


async def _found(
    rules: Rulebook, admitted: Admitted, tenant: str, *, is_low: bool
) -> Sequence[Found]:
    request, entry = admitted.request, admitted.entry
    if not (rules.prompt and isinstance(request, ResolvedRequest)):
        return ()
    assert isinstance(entry, CatalogueEntry), "of a model"
    read = texts(request, tuple(entry.adapters))

    def look() -> Sequence[Found]:
        return rules.found(read, tenant, is_low=is_low)

    work = _chars(read) * (_FOLDING + len(rules.prompt))
    return await asyncio.to_thread(look) if work > _MUCH else look()


def _chars(read: Sequence[Text]) -> int:
    return sum(len(one.text) for one in read)


def _with_negative(moderated: Moderated, found: Sequence[Found]) -> Moderated:
    """With what rules add to the negative prompt, and a warning of each that is met."""
    request, warnings = moderated.admitted.request, []
    for one in found:
        if one.rule.action is PromptAction.FLAG:
            warnings.append(JobWarning(code="prompt_flagged", message=one.rule.reason))
            continue
        assert isinstance(request, ResolvedRequest), "it has prompts"
        request = _added(request, one)
        why = f"{one.rule.reason} Added to the negative prompt: “{one.rule.negative_prompt}”."
        if request.guidance_stop < 1:
            why += f" `guidance_stop` ends its effect after {request.guidance_stop:g} of the calls."
        warnings.append(JobWarning(code="negative_prompt_added", message=why))
    return replace(
        moderated,
        admitted=replace(moderated.admitted, request=request),
        warnings=tuple(warnings),
        applied=tuple((one.rule.name, one.rule.action.value) for one in found),
    )


def _added(request: ResolvedRequest, found: Found) -> ResolvedRequest:
    """With the rule's text before the negative prompt, where no bracket of that reaches it."""

    def longer(negative: str) -> str:
        text = found.rule.negative_prompt
        if negative == text or negative.startswith(f"{text}, "):  # it was sent back as answered
            return negative
        return f"{text}, {negative}" if negative else text

    changed = _of_all_prompts(request, longer)
    each = keyframes(changed)
    if any(len(one.negative_prompt) > MAX_PROMPT_CHARS for one in each):
        why = f"With what a rule adds to it, it is longer than {MAX_PROMPT_CHARS} characters."
        raise InvalidPrompt(why, fields={"/negative_prompt": why})
    if not all(map(leads_away, each)):
        why = f"{found.rule.reason} Without guidance a negative prompt has no effect."
        raise PromptRefused(why, fields={"/guidance_scale": why})
    return changed


def _of_all_prompts(request: ResolvedRequest, longer: Callable[[str], str]) -> ResolvedRequest:
    own = {"negative_prompt": longer(request.negative_prompt)}
    if (way := request.interpolation) is None:
        return request.model_copy(update=own)
    via, to = (
        tuple(
            one.model_copy(update={"negative_prompt": longer(one.negative_prompt)}) for one in some
        )
        for some in (way.via, (way.to,))
    )
    changed = way.model_copy(update={"via": via, "to": to[0]})
    return request.model_copy(update={**own, "interpolation": changed})


def _with_image_rules(moderated: Moderated, rules: tuple[ImageRule, ...]) -> Moderated:
    """With the rules on its pictures; what would show them unjudged is withheld."""
    admitted, request = moderated.admitted, moderated.admitted.request
    if isinstance(request, ResolvedCaption):  # it shows no picture
        return moderated
    if not {rule.label for rule in rules} <= set(admitted.entry.card.safety_labels):
        raise NoClassifier
    moderated = replace(moderated, image_rules=rules)
    if not any(rule.action.hides for rule in rules) or not isinstance(request, ResolvedRequest):
        return moderated
    if request.intermediates is not None:
        why = "Steps of a picture are not stored where a rule may withhold the picture."
        raise UnsupportedField(why, fields={"/intermediates": why})
    if not request.preview_interval:
        return moderated
    none = {"preview_interval": 0, "preview_size": PREVIEW_SIDE_PX}  # a size alone is refused
    why = "Previews are not sent where a rule may withhold the picture."
    return replace(
        moderated,
        admitted=replace(admitted, request=request.model_copy(update=none)),
        warnings=(*moderated.warnings, JobWarning(code="previews_withheld", message=why)),
    )
