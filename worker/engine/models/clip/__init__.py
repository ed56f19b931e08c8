"""CLIP's tokenizer, for single-file checkpoints, which hold weights only."""

from pathlib import Path
from typing import Any, Final

from transformers.models.clip.tokenization_clip import CLIPTokenizer

START: Final = "<|startoftext|>"
END: Final = "<|endoftext|>"
WORDS: Final = 49_408
MAX_TOKENS: Final = 77


def tokenizer(*, pad: str = END) -> Any:
    """The tokenizer of every Stable Diffusion, with a padding token; OpenCLIP's is `!`."""
    lines = (Path(__file__).parent / "merges.txt").read_text("utf-8").splitlines()
    merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines)]
    # The printable bytes come first: bytes_to_unicode in openai/CLIP's simple_tokenizer.py.
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
