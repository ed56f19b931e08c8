"""The UNet's inputs other than latent and timestep: prompt embeddings, and SDXL's sizes."""

from worker.engine.conditioning.clip import Clip
from worker.engine.conditioning.conditioner import Conditioner
from worker.engine.conditioning.conditioning import Conditioning, ConditioningByCall
from worker.engine.conditioning.terms import TextAdapters, TextTerm
from worker.engine.conditioning.tokens import reading_all_words

__all__ = [
    "Clip",
    "Conditioner",
    "Conditioning",
    "ConditioningByCall",
    "TextAdapters",
    "TextTerm",
    "reading_all_words",
]
