"""Sentences for scenes, in many phrasings.

What a sentence leaves out has a meaning: no position is the centre, no size is medium. A missing
colour, shape or background means any, and those captions are what a negative prompt learns from.
"""

from __future__ import annotations

import random
import string

from tools.scenes.scene import Scene, Thing
from tools.scenes.wording import (
    ANY_THING,
    BACKGROUND_WORDS,
    CLOSINGS,
    OPENINGS,
    POSITION_PHRASES,
    SHAPE_WORDS,
    SIZE_WORDS,
    SPARE_WORDS,
)


def caption(scene: Scene, rng: random.Random, *, empty: float = 0.1, partial: float = 0.12) -> str:
    """Say what the scene holds, or some of it, or nothing."""
    if rng.random() < empty:
        return ""
    if rng.random() < partial:
        text = _partial(scene, rng)
    elif len(scene.things) == 2:
        text = _two(scene, rng)
    else:
        text = _one(scene, rng)
    return _finish(text, rng)


def _finish(text: str, rng: random.Random) -> str:
    if rng.random() < 0.08:
        text = f"{rng.choice(OPENINGS)} {text}"
    if rng.random() < 0.06:
        text = f"{text}, {rng.choice((*CLOSINGS, *SPARE_WORDS))}"
    if rng.random() < 0.02:
        text = f"{text} {''.join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 6)))}"
    if rng.random() < 0.1:
        text += "."
    return text


def _one(scene: Scene, rng: random.Random) -> str:
    thing = scene.things[0]
    noun, where = _noun(thing, rng), place_words(thing, rng)
    ground = f"{scene.background} {rng.choice(BACKGROUND_WORDS)}"
    article = rng.choice(("a ", "a ", "the ", ""))
    forms = [
        f"{_with_article(noun)}{where} on {article}{ground}",
        f"{_with_article(noun)} on {article}{ground}{where}",
        f"{_with_article(noun)}{where}, {ground}",
        f"{noun}{where}, {ground}",
        f"{noun} on {scene.background}{where}",
        f"{noun}{where} on {scene.background}",
        f"{ground}, {noun}{where}",
        f"{_with_article(noun)}{where} with {article}{ground}",
        f"on {article}{ground}, {_with_article(noun)}{where}",
        f"{scene.background} {rng.choice(BACKGROUND_WORDS)} with {_with_article(noun)}{where}",
    ]
    if where:
        forms.append(f"{_with_article(noun)}{where} of {article}{ground}")
        forms.append(f"{where.strip()}, {_with_article(noun)}, {ground}")
    return rng.choice(forms)


def _two(scene: Scene, rng: random.Random) -> str:
    first, second = scene.things
    ground = f"{scene.background} {rng.choice(BACKGROUND_WORDS)}"
    pair = (first.position, second.position)
    nouns = [_noun(thing, rng) for thing in scene.things]
    forms = []
    if pair == ("left", "right"):
        forms.append(f"{_with_article(nouns[0])} and {_with_article(nouns[1])}")
        forms.append(f"{_with_article(nouns[0])} to the left of {_with_article(nouns[1])}")
        forms.append(f"{_with_article(nouns[1])} to the right of {_with_article(nouns[0])}")
        forms.append(f"{nouns[0]} and {nouns[1]}")
    if pair == ("top", "bottom"):
        forms.append(f"{_with_article(nouns[0])} above {_with_article(nouns[1])}")
        forms.append(f"{_with_article(nouns[1])} below {_with_article(nouns[0])}")
        forms.append(f"{_with_article(nouns[1])} under {_with_article(nouns[0])}")
    placed = [
        f"{_with_article(n)}{place_words(t, rng)}" for n, t in zip(nouns, scene.things, strict=True)
    ]
    if rng.random() < 0.4:
        placed.reverse()
    forms += [f"{placed[0]} and {placed[1]}", f"{placed[0]}, {placed[1]}"] * 2
    things = rng.choice(forms)
    article = rng.choice(("a ", "the ", ""))
    return rng.choice(
        (
            f"{things}, {ground}",
            f"{things} on {article}{ground}",
            f"{things} with {article}{ground}",
            f"{ground}, {things}",
            f"on {article}{ground}, {things}",
        )
    )


def _partial(scene: Scene, rng: random.Random) -> str:
    thing = rng.choice(scene.things)
    ground = f"{scene.background} {rng.choice(BACKGROUND_WORDS)}"
    shape = rng.choice(SHAPE_WORDS[thing.shape])
    bare = [thing.colour, shape, f"a {shape}", ground, f"{thing.colour} {shape}"]
    if len(scene.things) == 2:
        other = scene.things[0] if thing is scene.things[1] else scene.things[1]
        bare += [f"{_noun(thing, rng)} and {_noun(other, rng)}", f"{shape} and {other.shape}"]
        return rng.choice(bare)
    where = place_words(thing, rng)
    anything = f"{thing.colour} {rng.choice(ANY_THING)}"
    forms = [
        _with_article(_noun(thing, rng)) + where,
        f"a {shape}{where} on a {ground}",
        f"{shape}{where}, {ground}",
        f"{_with_article(anything)}{where} on a {ground}",
        f"something {thing.colour}{where} on {scene.background}",
        f"{shape} on {scene.background}{where}",
    ]
    return rng.choice(forms if rng.random() < 0.6 else bare)


def _noun(thing: Thing, rng: random.Random) -> str:
    words = [thing.colour, rng.choice(SHAPE_WORDS[thing.shape])]
    if thing.size != "medium" or rng.random() < 0.1:
        size = rng.choice(SIZE_WORDS[thing.size])
        words.insert(0 if rng.random() < 0.9 else 1, size)
    return " ".join(words)


def place_words(thing: Thing, rng: random.Random) -> str:
    """Where it is, with a blank before; often nothing for the centre."""
    if thing.position == "centre" and rng.random() < 0.7:
        return ""
    return " " + rng.choice(POSITION_PHRASES[thing.position])


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
