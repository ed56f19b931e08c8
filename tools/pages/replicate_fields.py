"""Writes the tables of docs/replicate.md: what becomes of each field, from the models that read it.

`python -m tools.pages.replicate_fields`
"""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from latentry.contracts import GenerationRequest
from service.doors.own_fields import OwnFields
from service.doors.replicate.requests import ModelInput, PredictionRequest
from tools.pages.fields import code, page_of, table, wrapped

PAGE: Final = page_of("replicate", "tools.pages.replicate_fields")
MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "the request": PredictionRequest,
    "`input`": ModelInput,
}
# Of `input` these are ours alone; both have the others of our own.
_OURS: Final = {"n", *OwnFields.model_fields} - {
    *("negative_prompt", "num_inference_steps", "guidance_scale", "seed", "output_quality"),
}


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields that Replicate's models have, without those of ours alone."""
    return {name: field for name, field in model.model_fields.items() if name not in _OURS}


def section() -> str:
    """What the page has between both marks."""
    refused = [n for n in GenerationRequest.model_fields if n not in ModelInput.model_fields]
    own = [name for name in ModelInput.model_fields if name in _OURS]
    parts = [
        *table("Replicate's field", {of: fields(model) for of, model in MODELS.items()}, MODELS),
        "",
        *wrapped("**Ours, obeyed** in `input`:", map(code, own)),
        "",
        *wrapped("**Ours, refused** by name:", map(code, refused)),
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write(section())
