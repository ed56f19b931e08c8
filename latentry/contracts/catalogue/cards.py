"""The cards of all that workers serve."""

from typing import TypeAlias

from latentry.contracts.background.captions import CaptionerCard
from latentry.contracts.background.controls import PreprocessorsCard
from latentry.contracts.catalogue.models import ModelCard
from latentry.contracts.upscales import UpscalerCard

AnyCard: TypeAlias = ModelCard | UpscalerCard | PreprocessorsCard | CaptionerCard
