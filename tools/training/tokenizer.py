"""A CLIP tokenizer: every vocabulary word is one token, all else is spelt in bytes."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

from transformers import CLIPTokenizer

from tools.scenes.wording import vocabulary

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77


def byte_letters() -> list[str]:
    """The printable letter of each byte, in CLIP's (GPT-2's) order."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in plain]
    return letters + [chr(256 + k) for k in range(256 - len(plain))]


def learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Byte-pair encoding to the end: merge the most frequent pair until each word is whole."""
    spelt = [[*word[:-1], f"{word[-1]}</w>"] for word in words]
    merges: list[tuple[str, str]] = []
    while pairs := Counter(pair for word in spelt for pair in pairwise(word)):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        spelt = [_merge(word, best) for word in spelt]
    return merges


def _merge(word: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for symbol in word:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def write(folder: Path) -> CLIPTokenizer:
    """Write the tokenizer's files into `folder` and load it back."""
    merges = learn_merges(vocabulary())
    letters = byte_letters()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += ["".join(pair) for pair in merges]
    tokens += [START, END]
    folder.mkdir(parents=True, exist_ok=True)
    ids = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=LENGTH, pad_token=END)
    tokenizer.save_pretrained(folder)
    return tokenizer


def load(folder: Path) -> CLIPTokenizer:
    """The tokenizer that was written there."""
    return CLIPTokenizer.from_pretrained(folder)
