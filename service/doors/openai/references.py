"""The further pictures of an edit: references, which an IP-Adapter of the model's reads."""

from typing import Any, Final

from latentry.contracts import Adapter, AdapterKind
from latentry.contracts.fields.bounds import MAX_IMAGE_PROMPTS
from latentry.errors import InvalidRequest, UnsupportedField
from latentry.ledger import CatalogueEntry
from service.doors.openai.requests import AnyImagesRequest, EditRequest

# Of IP-Adapter's own examples of a picture beside a prompt, which an edit always has.
_WEIGHT: Final = 0.6


def image_prompts(body: AnyImagesRequest, entry: CatalogueEntry) -> list[dict[str, Any]]:
    """The request's own image prompts, then one for each further picture.

    Raises UnsupportedField where the model has no IP-Adapter, InvalidRequest for too many.
    """
    own = [one.model_dump(exclude_none=True) for one in body.image_prompts or ()]
    if not isinstance(body, EditRequest) or not body.references:
        return own
    left = MAX_IMAGE_PROMPTS - len(own)
    if len(body.references) > left:
        why = f"At most {1 + left} pictures: one to edit, {left} for its IP-Adapter."
        raise InvalidRequest(f"{body.sent_as}: {why}", fields={f"/{body.sent_as}": why})
    id = body.reference_adapter or _adapter(body, entry).id
    weight = _WEIGHT if body.reference_weight is None else body.reference_weight
    return own + [{"id": id, "image": picture, "weight": weight} for _, picture in body.references]


def _adapter(body: EditRequest, entry: CatalogueEntry) -> Adapter:
    """The first by its id; those for faces, by their names, where there is no other."""
    model = entry.card.id
    fitting = [
        one for one in entry.adapters if one.kind is AdapterKind.IP_ADAPTER and model in one.models
    ]
    if not fitting:
        why = (
            f"An IP-Adapter reads further pictures, and there is none that fits {model}; add its"
            " file to a folder of LATENTRY_ADAPTERS, or send one picture."
        )
        raise UnsupportedField(f"{body.sent_as}: {why}", fields={f"/{body.sent_as}": why})
    return min(fitting, key=lambda one: ("face" in one.id.lower(), one.id))
