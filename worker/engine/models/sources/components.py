"""What a model folder in diffusers layout consists of, and which classes its index may name.

A class is never looked up by a name that came from a file: files choose among these.
"""

from collections.abc import Mapping
from typing import Final

from worker.engine.models.networks import NETWORKS
from worker.engine.samplers.published import EXACT, NEAREST

TOKENIZERS: Final = ("tokenizer", "tokenizer_2")
# The tiny autoencoder of previews; no index names it, because stock pipelines have none.
PREVIEWER: Final = "taesd"
# The layers between those of the UNet that draw the frames of a clip together.
MOTION: Final = "motion_adapter"

SD_NETWORKS: Final = ("text_encoder", "unet", "vae")
SD_TOKENIZERS: Final = TOKENIZERS[:1]
# A folder with a second text encoder is an SDXL.
SDXL_NETWORKS: Final = (*SD_NETWORKS, "text_encoder_2")
SDXL_TOKENIZERS: Final = TOKENIZERS
# One with the second alone is its refiner.
REFINER_NETWORKS: Final = ("unet", "vae", "text_encoder_2")
REFINER_TOKENIZERS: Final = TOKENIZERS[1:]

_CLIP_TOKENIZERS: Final = frozenset({"CLIPTokenizer", "CLIPTokenizerFast"})
# All of them draw with the same parts; their UNets take more or fewer channels.
PIPELINES: Final = (
    "StableDiffusionPipeline",
    "StableDiffusionXLPipeline",
    "LatentConsistencyModelPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "StableDiffusionXLInpaintPipeline",
    "AnimateDiffPipeline",
    "StableDiffusionInstructPix2PixPipeline",
    "StableDiffusionXLInstructPix2PixPipeline",
)
# Parts that an index may name and text to image does without: they judge pictures or take them.
UNUSED_PARTS: Final = ("feature_extractor", "image_encoder", "safety_checker")
CLASSES: Final[Mapping[str, frozenset[str]]] = {
    **{name: frozenset({network.name}) for name, network in NETWORKS.items()},
    # The latter is split into both of its parts.
    "unet": frozenset({"UNet2DConditionModel", "UNetMotionModel"}),
    # The projection of the first encoder is never used.
    "text_encoder": frozenset({"CLIPTextModel", "CLIPTextModelWithProjection"}),
    **dict.fromkeys(TOKENIZERS, _CLIP_TOKENIZERS),
    "scheduler": frozenset({*EXACT, *NEAREST}),
}
