"""Writes the tables of docs/automatic1111.md: what becomes of each field, from the models that read
them.

`python -m tools.pages.automatic1111_fields`
"""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from service.doors.automatic1111.requests.controls import ControlUnit
from service.doors.automatic1111.requests.detect import Detect
from service.doors.automatic1111.requests.extras import (
    ExtraBatchImages,
    ExtraSingleImage,
    Interrogate,
)
from service.doors.automatic1111.requests.generations import AnyGeneration, Img2Img, Txt2Img
from service.doors.automatic1111.requests.options import Options
from tools.pages.fields import page_of, short_table, table

PAGE: Final = page_of("automatic1111", "tools.pages.automatic1111_fields")
DRAWING: Final[Mapping[str, type[AnyGeneration]]] = {"txt2img": Txt2Img, "img2img": Img2Img}
EXTRAS: Final[Mapping[str, type[BaseModel]]] = {
    "extra-single-image": ExtraSingleImage,
    "extra-batch-images": ExtraBatchImages,
}


def section() -> str:
    """What the page has between both marks."""
    parts = [
        *_table("Field of `txt2img`, `img2img`", DRAWING),
        "",
        *short_table("Option, also in `override_settings`", Options),
        "",
        *short_table("Field of a unit of `alwayson_scripts.ControlNet`", ControlUnit),
        "",
        *_table("Field of the extras", EXTRAS),
        "",
        *short_table("Field of `/controlnet/detect`", Detect),
        "",
        *short_table("Field of `interrogate`", Interrogate),
    ]
    return "\n".join(parts) + "\n"


def _table(head: str, models: Mapping[str, type[BaseModel]]) -> list[str]:
    fields = {route: model.model_fields for route, model in models.items()}
    return table(head, fields, models)


if __name__ == "__main__":
    PAGE.write(section())
