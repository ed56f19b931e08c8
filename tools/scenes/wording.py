"""The words captions are made of, each of which the tokenizer keeps whole."""

from __future__ import annotations

from tools.scenes.scene import COLOURS, POSITIONS, SHAPES

SHAPE_WORDS = {
    "circle": ("circle", "circle", "circle", "disc", "dot", "ball"),
    "square": ("square", "square", "square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
    "ring": ("ring", "ring", "ring", "donut", "hoop"),
    "cross": ("cross", "cross", "plus"),
    "heart": ("heart",),
    "frog": ("frog",),
    "rabbit": ("rabbit", "rabbit", "rabbit", "bunny"),
    "house": ("house",),
}
SIZE_WORDS = {
    "small": ("small", "small", "small", "little", "tiny"),
    "medium": ("medium", "medium-sized"),
    "large": ("large", "large", "big", "huge"),
}
POSITION_PHRASES = {
    "centre": ("in the centre", "in the center", "in the middle", "at the center", "centred"),
    "left": ("on the left", "at the left", "on the left side", "to the left", "left"),
    "right": ("on the right", "at the right", "on the right side", "to the right", "right"),
    "top": ("at the top", "on top", "in the upper part", "at the top centre", "top"),
    "bottom": ("at the bottom", "in the lower part", "at the bottom centre", "bottom"),
    "top left": (
        "at the top left",
        "in the top left corner",
        "in the upper left corner",
        "in the top-left corner",
        "top left",
    ),
    "top right": (
        "at the top right",
        "in the top right corner",
        "in the upper right corner",
        "in the top-right corner",
        "top right",
    ),
    "bottom left": (
        "at the bottom left",
        "in the bottom left corner",
        "in the lower left corner",
        "in the bottom-left corner",
        "bottom left",
    ),
    "bottom right": (
        "at the bottom right",
        "in the bottom right corner",
        "in the lower right corner",
        "in the bottom-right corner",
        "bottom right",
    ),
}
OPENINGS = (
    "a picture of",
    "a drawing of",
    "an image of",
    "a photo of",
    "draw",
    "please draw",
    "there is",
    "illustration of",
    "show me",
    "i want",
    "a simple picture of",
)
CLOSINGS = ("flat colours", "clean", "simple", "high quality", "vector art", "minimal", "cute")
ANY_THING = ("shape", "thing", "figure", "object")
BACKGROUND_WORDS = ("background", "background", "background", "backdrop", "canvas", "ground")
# Words no template needs, known to the tokenizer all the same.
_SPARE_LINES = (
    "one two and not no without only of to with over under near beside next by from is",
    "are its shapes colour color colours colors plain bright dark light hello world test",
    "cat dog house tree sun moon sky sea man woman car flower blurry bad quality ugly",
    "grey gray pink brown beautiful nice very photo realistic art style icon logo",
    "square-shaped round",
)
SPARE_WORDS = [word for line in _SPARE_LINES for word in line.split()]


def vocabulary() -> list[str]:
    """Every word a caption may hold, each of which becomes one token."""
    phrases = [*COLOURS, *SHAPES, *POSITIONS, *OPENINGS, *CLOSINGS, *ANY_THING, *BACKGROUND_WORDS]
    for table in (SHAPE_WORDS, SIZE_WORDS, POSITION_PHRASES):
        phrases += [phrase for options in table.values() for phrase in options]
    phrases += [*SPARE_WORDS, "a an the on at in above below it something filled"]
    words = " ".join(phrases).replace("-", " ").lower().split()
    return sorted(set(words))
