"""A client asks what a service can do before it tries."""

import pytest

from latentry.contracts import AdapterKind, JobKind, PreprocessorsCard, RegisteredCard
from latentry.contracts.catalogue.capabilities import Capabilities, Mode, modes
from latentry.contracts.catalogue.models import Limits
from latentry.ledger import Ledger, commands
from latentry.settings import Settings
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker


async def asked(client) -> Capabilities:
    answer = await client.get("/v1/capabilities")
    assert answer.status_code == 200, answer.text
    return Capabilities.model_validate_json(answer.content)


async def test_a_service_says_what_it_can_do(
    client, worker: FakeWorker, settings: Settings
) -> None:
    found = await asked(client)
    assert set(found.kinds) == {JobKind.GENERATION, JobKind.INTERPOLATION}
    [model] = found.models
    assert (model.id, model.workers) == ("shapes", 1)
    assert {Mode.TEXT_TO_IMAGE, Mode.INPAINTING} < set(model.modes)
    assert found.limits.keep_for_s == settings.longest_kept_s
    refused = await client.post(
        "/v1/generations", json={"prompt": "a", "n": found.limits.images_per_request + 1}
    )
    assert refused.status_code == 422


async def test_kinds_are_those_that_some_model_makes(client, worker, ledger: Ledger) -> None:
    plain = card("moving")
    moving = plain.model_copy(update={"limits": plain.limits.model_copy(update={"max_frames": 8})})
    ledger.run(commands.register_model(RegisteredCard(**dict(moving))))
    found = await asked(client)
    assert JobKind.CLIP in found.kinds
    assert JobKind.UPSCALE not in found.kinds
    assert JobKind.CONTROL not in found.kinds
    card_of_all = PreprocessorsCard(preprocessors=("canny",))
    ledger.run(commands.heartbeat("w", [card_of_all.queue], ttl_s=60))
    ledger.run(commands.register_model(card_of_all))
    later = await asked(client)
    assert JobKind.CONTROL in later.kinds
    assert later.preprocessors == ("canny",)
    assert found.adapters == {} or set(found.adapters) <= set(AdapterKind)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"edits": True, "images": True}, {Mode.EDIT}),
        ({"refines": True, "images": True}, {Mode.REFINE}),
        ({}, {Mode.TEXT_TO_IMAGE, Mode.INTERPOLATION}),
        ({"max_frames": 16}, {Mode.TEXT_TO_IMAGE, Mode.INTERPOLATION, Mode.CLIP}),
    ],
)
def test_a_models_modes_are_what_its_limits_allow(limits, expected) -> None:
    assert set(modes(Limits(max_side=64, **limits))) == expected
