"""Prompts to embeddings, with the model's own tokenizer and text encoder."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

import torch

from latentry.contracts import JobWarning

# 512 embeddings of SD 1.x are 118 MB in fp32.
_REMEMBERED: Final = 512
_WORDS_SHOWN: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """An embedding [tokens, width], and what did not fit into it."""

    embedding: torch.Tensor
    warning: JobWarning | None = None


class TextEncoder:
    """CLIP with a memory of the prompts it saw last."""

    def __init__(self, tokenizer: Any, model: Any) -> None:
        self._tokenizer = tokenizer
        self._model = model
        # A tokenizer whose config does not say claims to take any length.
        self._length = min(tokenizer.model_max_length, model.config.max_position_embeddings)
        self._memory: OrderedDict[str, Encoded] = OrderedDict()

    def encode(self, prompt: str) -> Encoded:
        """Encode one prompt. Never several at once: an embedding's bits depend on its call."""
        if prompt in self._memory:
            self._memory.move_to_end(prompt)
        else:
            self._memory[prompt] = self._encode(prompt)
            if len(self._memory) > _REMEMBERED:
                self._memory.popitem(last=False)
        return self._memory[prompt]

    @torch.inference_mode()
    def _encode(self, prompt: str) -> Encoded:
        tokens = self._tokenizer(
            prompt,
            padding="max_length",
            max_length=self._length,
            truncation=True,
            return_tensors="pt",
        )
        device = self._model.device
        masked = getattr(self._model.config, "use_attention_mask", False)
        hidden = self._model(
            tokens.input_ids.to(device),
            attention_mask=tokens.attention_mask.to(device) if masked else None,
        )
        return Encoded(hidden.last_hidden_state[0], self._warning(prompt))

    def _warning(self, prompt: str) -> JobWarning | None:
        tokens = self._tokenizer(prompt, verbose=False).input_ids
        dropped = tokens[self._length - 1 : -1]
        if not dropped:
            return None
        words = self._tokenizer.decode(dropped).split()
        shown = " ".join(words[:_WORDS_SHOWN]) + (" …" if len(words) > _WORDS_SHOWN else "")
        return JobWarning(
            code="prompt_truncated",
            message=f"The prompt is longer than {self._length - 2} tokens; the last {len(dropped)} "
            f"were left out, from here on: {shown}",
        )
