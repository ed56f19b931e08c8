"""What the UNet gets besides latent and timestep: prompts as embeddings, and SDXL's sizes."""

from worker.engine.conditioning.clip import Clip
from worker.engine.conditioning.conditioner import Conditioner
from worker.engine.conditioning.conditioning import Conditioning

__all__ = ["Clip", "Conditioner", "Conditioning"]
