"""The bounds of a request's fields, whatever the model."""

from typing import Final

MAX_PROMPT_CHARS: Final = 8_000
MAX_IMAGES: Final = 10
MAX_SIDE_PX: Final = 4_096
PREVIEW_SIDE_PX: Final = 128
MAX_PREVIEW_SIDE_PX: Final = 1_024
MAX_STEPS: Final = 1_000
MAX_GUIDANCE: Final = 50.0
# CLIP ViT-L, the smallest text encoder of the published models, has this many layers.
MAX_CLIP_SKIP: Final = 12
MAX_CACHE_INTERVAL: Final = 10
# SDXL's size conditioning describes training images, which may be larger than generated ones.
MAX_EXTENT_PX: Final = 16_384
# The largest integer that survives every JSON reader (JavaScript's are doubles).
MAX_SEED: Final = 2**53 - 1
# Pictures that one job stores besides its images.
MAX_INTERMEDIATES: Final = 100
# Frames of a clip, whose motion module may know fewer.
MAX_CLIP_FRAMES: Final = 64
MAX_FRAMES: Final = 100
MAX_FPS: Final = 60
DEFAULT_FPS: Final = 8
# Of an interpolation, beside its first and last one.
MAX_VIA: Final = 8
MAX_PADDING_PX: Final = 512
MAX_STYLES: Final = 16
MAX_STYLE_NAME_CHARS: Final = 100
MAX_WITHIN_S: Final = 86_400
MAX_USER_CHARS: Final = 512
MAX_KEEP_S: Final = 315_360_000
MODEL_ID: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
MAX_LORAS: Final = 16
MAX_LORA_WEIGHT: Final = 10.0
MAX_CONTROLS: Final = 4
MAX_CONTROL_WEIGHT: Final = 2.0
MAX_IMAGE_PROMPTS: Final = 8
MAX_IMAGE_PROMPT_WEIGHT: Final = 10.0
MAX_EMBEDDINGS: Final = 64
