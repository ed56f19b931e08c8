"""The embeddings that a request's prompts name, found in the catalogue."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from latentry.contracts import (
    Adapter,
    AdapterKind,
    Embedding,
    ModelCard,
    PromptSyntax,
    ResolvedRequest,
    WantedEmbedding,
)
from latentry.contracts.fields.bounds import MAX_EMBEDDINGS
from latentry.errors import (
    AdapterChanged,
    AdapterMismatch,
    InvalidPrompt,
    InvalidRequest,
    UnknownAdapter,
)
from latentry.rules.adapters.embeddings.names import Name, pieces
from latentry.rules.adapters.found import found_adapter, mismatch
from latentry.rules.passes import passes
from latentry.rules.prompt_rows import written_rows
from latentry.rules.prompts import parse

_PROMPT: Final = "/prompt"
_NEGATIVE: Final = "/negative_prompt"


def found_embeddings(
    request: ResolvedRequest,
    wanted: Sequence[WantedEmbedding] | None,
    adapters: Sequence[Adapter],
    card: ModelCard,
) -> tuple[Embedding, ...]:
    """Those that stand in one of its prompts at one of its calls, by id.

    wanted: those that may; None for all that fit its models, and in a plain prompt none. A bare
    name of one that does not fit is text; in angle brackets it is refused. Raises AdapterMismatch,
    UnknownAdapter, AdapterChanged or InvalidPrompt.
    """
    if wanted is None:
        usable, others = _all_there(request, adapters)
    else:
        usable, others = _wanted(wanted, adapters, card, request), {}
    found: dict[str, Adapter] = {}
    for at, text in dict.fromkeys(_texts(request)) if usable or others else ():
        for piece in pieces(text, tuple(usable)):
            if isinstance(piece, Name):
                found[piece.id] = usable[piece.id]
            else:
                _refuse_misfits(piece, others, card, at)
        if len(found) > MAX_EMBEDDINGS:
            why = f"The prompts name more than {MAX_EMBEDDINGS} embeddings."
            raise InvalidPrompt(why, fields={at: why})
    return tuple(
        Embedding(id=id, sha256=one.sha256, vectors=one.vectors)
        for id, one in sorted(found.items())
    )


def _all_there(
    request: ResolvedRequest, adapters: Sequence[Adapter]
) -> tuple[Mapping[str, Adapter], Mapping[str, Adapter]]:
    """By id those that fit the request's models, and the others."""
    if request.prompt_syntax is PromptSyntax.PLAIN:
        return {}, {}
    usable, others = dict[str, Adapter](), dict[str, Adapter]()
    needed = frozenset(request.models)
    for one in adapters:  # there may be thousands
        if one.kind is AdapterKind.EMBEDDING:
            (usable if needed.issubset(one.models) else others)[one.id] = one
    return usable, others


def _refuse_misfits(text: str, others: Mapping[str, Adapter], card: ModelCard, at: str) -> None:
    """Raises AdapterMismatch for one of these others in brackets; its bare name is text."""
    for piece in pieces(text, tuple(others)):
        if isinstance(piece, Name) and piece.is_marked:
            why = mismatch(others[piece.id], card)
            raise AdapterMismatch(why, fields={at: why})


def _wanted(
    wanted: Sequence[WantedEmbedding],
    adapters: Sequence[Adapter],
    card: ModelCard,
    request: ResolvedRequest,
) -> Mapping[str, Adapter]:
    """Those that the request lists, by id. Raises UnknownAdapter and others, with all pointers."""
    found, wrong, kinds = dict[str, Adapter](), dict[str, str](), list[type[InvalidRequest]]()
    for number, one in enumerate(wanted):
        try:
            kinds_wanted = [AdapterKind.EMBEDDING]
            adapter = found_adapter(one.id, kinds_wanted, adapters, card, sha256=one.sha256)
            if not set(request.models).issubset(adapter.models):
                raise AdapterMismatch(mismatch(adapter, card))
        except (UnknownAdapter, AdapterMismatch, AdapterChanged) as error:
            wrong[f"/embeddings/{number}/id"] = error.message
            kinds.append(type(error))
        else:
            found[adapter.id] = adapter
    if wrong:
        raise kinds[0](next(iter(wrong.values())), fields=wrong)
    return found


def _texts(request: ResolvedRequest) -> Iterator[tuple[str, str]]:
    """All texts that its calls have, phrase by phrase, and which prompt each is of."""
    for one in passes(request):
        for row in written_rows(one):
            for text in row.distinct:
                for segment in parse(text, request.prompt_syntax):
                    at = _NEGATIVE if row.is_negative else _PROMPT
                    yield from ((at, phrase.text) for phrase in segment)
