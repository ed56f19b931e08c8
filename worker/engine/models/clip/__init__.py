"""CLIP's vocabulary: a single-file checkpoint holds weights only, and no hub is asked."""

from pathlib import Path
from typing import Any, Final

from transformers.models.clip.tokenization_clip import CLIPTokenizer

START: Final = "<|startoftext|>"
END: Final = "<|endoftext|>"
WORDS: Final = 49_408
MAX_TOKENS: Final = 77


def tokenizer(*, pad: str = END) -> Any:
    """The tokenizer of every Stable Diffusion. OpenCLIP's encoders were padded with `!`."""
    lines = (Path(__file__).parent / "merges.txt").read_text("utf-8").splitlines()
    merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines)]
    # The order in which CLIP counts the bytes: those that print as they are come first.
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    plain += range(ord("®"), ord("ÿ") + 1)
    letters = [chr(byte) for byte in plain] + [chr(256 + k) for k in range(256 - len(plain))]
    words = [
        *letters,
        *(f"{letter}</w>" for letter in letters),
        *map("".join, merges),
        START,
        END,
    ]
    return CLIPTokenizer(
        vocab={word: number for number, word in enumerate(words)},
        merges=merges,
        pad_token=pad,
        model_max_length=MAX_TOKENS,
    )
