"""What the UNet is told besides latent and timestep: prompts as embeddings, and SDXL's sizes."""

from worker.engine.conditioning.clip import Clip
from worker.engine.conditioning.conditioner import Conditioner, Conditioning

__all__ = ["Clip", "Conditioner", "Conditioning"]
