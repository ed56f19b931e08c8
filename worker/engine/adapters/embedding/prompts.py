"""Which embeddings stand in an image's prompts."""

from typing import cast

from worker.engine.adapters.embedding.loaded import LoadedEmbedding
from worker.engine.conditioning.vectors import TextVectors
from worker.engine.loop.messages import Order


def text_vectors(order: Order) -> TextVectors:
    """Those that its prompts name, and of an image on its way to another that one's too."""
    named = list(order.request.embeddings)
    if order.towards is not None:
        named += order.towards.request.embeddings
    return {one.sha256: cast(LoadedEmbedding, order.adapters[one.sha256]).vectors for one in named}
