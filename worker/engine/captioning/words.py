"""Tokens to text: BERT's word pieces, of which the vocabulary alone is read."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from latentry.errors import ConfigurationError

_MAX_BYTES: Final = 16 * 2**20
_MORE: Final = "##"  # begins a piece that goes on with the word before
# As transformers' tokenizers put punctuation to the word before.
_TOGETHER: Final = (
    *((" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't")),
    *((" 'm", "'m"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re")),
)


@dataclass(frozen=True, slots=True)
class Words:
    """The pieces by their numbers."""

    pieces: Mapping[int, str]

    @classmethod
    def of(cls, folder: Path) -> "Words":
        """From `vocab.txt`, or else from `tokenizer.json`. Raises ConfigurationError."""
        listed, whole = folder / "vocab.txt", folder / "tokenizer.json"
        if listed.is_file():
            return cls(dict(enumerate(read_small(listed).rstrip("\n").split("\n"))))
        try:
            vocabulary = json.loads(read_small(whole))["model"]["vocab"]
            "".join(vocabulary).encode()  # halves of characters would fail in captions
            return cls({number: piece for piece, number in vocabulary.items()})
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
            raise ConfigurationError(
                f"{folder} needs vocab.txt, or BERT's tokenizer.json."
            ) from None

    def text(self, tokens: Iterable[int]) -> str:
        """What they say, without marks such as [SEP]."""
        known = (self.pieces[one] for one in tokens if one in self.pieces)
        said = " ".join(one for one in known if not (one.startswith("[") and one.endswith("]")))
        said = said.replace(f" {_MORE}", "")
        for apart, together in _TOGETHER:
            said = said.replace(apart, together)
        return said.strip()


def read_small(file: Path) -> str:
    """A text file's content. Raises ConfigurationError."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ConfigurationError(f"{file} is larger than {_MAX_BYTES} bytes.")
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{file} cannot be read.") from None
