"""Each field has the fate that the page says; and each that its client knows is there."""

import inspect

import pytest

from latentry.contracts import GenerationRequest
from service.doors.hugging_face.requests import Parameters
from service.doors.own_fields import OwnFields
from tools.pages.hugging_face_fields import PAGE, fields, section


def test_the_page_is_what_the_program_writes() -> None:
    page = PAGE.path.read_text()
    assert page == PAGE.with_section(page, section()), f"run `python -m {PAGE.program}`"
    assert section() in page


def test_what_its_client_sends_has_its_fate() -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    others = {"self", "prompt", "model", "extra_body", "image", "kwargs"}
    for call in (hub.InferenceClient.text_to_image, hub.InferenceClient.image_to_image):
        assert inspect.signature(call).parameters.keys() - others <= fields(Parameters).keys()


def test_the_door_takes_every_field_of_ours_or_refuses_it_by_name() -> None:
    refused = {"model", "template", "preview_interval", "preview_size", "intermediates", "dry_run"}
    taken = Parameters.model_fields.keys() | OwnFields.model_fields.keys()
    assert GenerationRequest.model_fields.keys() - taken == refused | {"webhook", "n"}
