"""Writes the tables of docs/hugging-face.md: what becomes of each field, from the models that read
it.

`python -m tools.pages.hugging_face_fields`
"""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from latentry.contracts import GenerationRequest
from service.doors.hugging_face.requests import InferenceRequest, Parameters
from service.doors.own_fields import OwnFields
from tools.pages.fields import code, page_of, table, wrapped

PAGE: Final = page_of("hugging-face", "tools.pages.hugging_face_fields")
MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "the body": InferenceRequest,
    "`parameters`": Parameters,
}
# Of `parameters` these are ours alone; both have the others of our own.
_OURS: Final = {"image", "mask", *OwnFields.model_fields} - {
    *("negative_prompt", "num_inference_steps", "guidance_scale", "seed", "strength"),
    "target_size",
}


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Hugging Face's fields, without those of ours alone."""
    return {name: field for name, field in model.model_fields.items() if name not in _OURS}


def section() -> str:
    """What the page has between both marks."""
    refused = [n for n in GenerationRequest.model_fields if n not in Parameters.model_fields]
    own = [name for name in Parameters.model_fields if name in _OURS]
    tables = table("Hugging Face's field", {of: fields(m) for of, m in MODELS.items()}, MODELS)
    parts = [
        *tables,
        "",
        *wrapped("**Ours, obeyed** in `parameters`:", map(code, own)),
        "",
        *wrapped("**Ours, refused** by name:", map(code, refused)),
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write(section())
