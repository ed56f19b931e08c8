"""The text embeddings that were used last, within a bound of bytes."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from worker.engine.conditioning.clip import TextEmbedding
from worker.engine.conditioning.terms import TermsKey
from worker.engine.conditioning.tokens import Chunk


@dataclass(frozen=True, slots=True)
class EmbeddingKey:
    """All that an embedding depends on: which of the model's encoders, its input, its layer, and
    the adapters of the encoder.
    """

    encoder: int
    chunk: Chunk
    clip_skip: int | None
    terms: TermsKey = ()


class EmbeddingCache:
    """Drops the least recently used. Embeddings are kept on the device, where they are used."""

    def __init__(self, capacity_bytes: int) -> None:
        self.size_bytes = 0
        self._capacity_bytes = capacity_bytes
        self._kept: OrderedDict[EmbeddingKey, TextEmbedding] = OrderedDict()

    def get(self, key: EmbeddingKey, encode: Callable[[], TextEmbedding]) -> TextEmbedding:
        """The embedding under this key, or else what `encode` makes."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        embedding = self._kept[key] = encode()
        self.size_bytes += embedding.size_bytes
        while self.size_bytes > self._capacity_bytes:
            _, dropped = self._kept.popitem(last=False)
            self.size_bytes -= dropped.size_bytes
        return embedding
