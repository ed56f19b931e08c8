"""The native door's tags in the API document, in the words that people search for."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Tag(StrEnum):
    """What a route is for."""

    IMAGES = "Image generation"
    VIDEO = "Video"
    UPSCALING = "Upscaling"
    CONTROLS = "Preprocessing"
    CAPTIONS = "Captions"
    JOBS = "Jobs"
    WEBHOOKS = "Webhooks"
    FILES = "Files"
    MODELS = "Models"
    PROVENANCE = "Content credentials"
    USAGE = "Usage"
    HEALTH = "Health"


TAGS: Final[Mapping[str, str]] = {
    Tag.IMAGES: "Text to image, image to image, inpainting, outpainting, ControlNet, LoRA,"
    " IP-Adapter, hires fix: one request, or a batch of them.",
    Tag.VIDEO: "Text to video (AnimateDiff), and frames between pictures (latent interpolation).",
    Tag.UPSCALING: "Super resolution of a picture by itself.",
    Tag.CONTROLS: "What a ControlNet would be shown of a picture: Canny edges, inverted lines.",
    Tag.CAPTIONS: "What a picture shows, in words (image to text, interrogation).",
    Tag.JOBS: "Status, progress, results, events, cancellation and deletion of jobs of any kind.",
    Tag.WEBHOOKS: "What was sent to a job's webhook, and sending it again.",
    Tag.FILES: "Uploads of pictures, and downloads of results.",
    Tag.MODELS: "Checkpoints, LoRAs, ControlNets, embeddings, upscalers, prompt styles, limits.",
    Tag.PROVENANCE: "C2PA manifests, watermarks and generation parameters of a file.",
    Tag.USAGE: "What API keys have used.",
    Tag.HEALTH: "Liveness and readiness probes.",
}
