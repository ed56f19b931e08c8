"""AUTOMATIC1111's prompt schedules and alternations: the text of a prompt at each UNet call."""

from functools import lru_cache
from typing import Final

from latentry.rules.switches import Alternating, Pieces, Scheduled, parse, switches

# Each may take another part of the prompt at each call; people write a handful.
MAX_SWITCHES: Final = 32
# They are encoded when an image begins, between two steps of all the others.
MAX_TEXTS: Final = 16
_CACHED_PROMPTS: Final = 64


@lru_cache(_CACHED_PROMPTS)
def texts_by_call(prompt: str, calls: int) -> tuple[str, ...]:
    """The prompt's text at call 0, 1, …, `calls`; a fraction is of `calls`.

    As reconstruct_cond_batch of AUTOMATIC1111's modules/prompt_parser.py: it counts calls from 0
    and the ends of texts from 1, both inclusive, so that the first text has one call more than is
    written. A prompt with more than MAX_SWITCHES is text; after MAX_TEXTS texts and one the rest is
    left out, so that what a caller writes here stays small.
    """
    pieces, calls = parse(prompt), max(calls, 1)
    found = list(switches(pieces))
    if not found or len(found) > MAX_SWITCHES:
        return (prompt,) * (calls + 1)
    ends = {calls}
    for one in found:
        ends.update([_end(one, calls)] if isinstance(one, Scheduled) else range(1, calls + 1))
    texts: list[str] = []
    known: dict[str, str] = {}
    for end in sorted(end for end in ends if end >= 1):
        text = _text(pieces, end, calls)
        texts += [known.setdefault(text, text)] * (end + 1 - len(texts))
        if len(known) > MAX_TEXTS:
            break
    return tuple(texts)


def switch_count(prompt: str) -> int:
    """How many schedules and alternations it has."""
    return sum(1 for _ in switches(parse(prompt)))


def _end(one: Scheduled, calls: int) -> int:
    """The last call, counted from 1, with the text before; with a point it is a fraction."""
    number = float(one.when) * (calls if "." in one.when else 1)
    return int(min(max(number, -1.0), calls))


def _text(pieces: Pieces, end: int, calls: int) -> str:
    chosen = []
    for piece in pieces:
        match piece:
            case Scheduled():
                is_before = end <= _end(piece, calls)
                chosen.append(_text(piece.before if is_before else piece.after, end, calls))
            case Alternating(options):
                chosen.append(_text(options[(end - 1) % len(options)], end, calls))
            case _:
                chosen.append(piece)
    return "".join(chosen)
