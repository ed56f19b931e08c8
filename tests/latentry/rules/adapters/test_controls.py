"""Controls by their ids, and what cannot be had with them."""

import pytest

from latentry.contracts import (
    Adapter,
    AdapterKind,
    Control,
    ControlMode,
    GenerationRequest,
    InputFile,
    ResizeMode,
    WantedControl,
)
from latentry.errors import AdapterChanged, InvalidRequest, UnsupportedField, UnsupportedSize
from latentry.rules.adapters.controls import control_names, found_controls, refuse_other_sizes
from latentry.rules.limits import refuse_unsupported
from tests.latentry.ledger.factory import card, request

CARD = card().model_copy(update={"family": "SD 1.x"})
FILE = InputFile(file="file_1", pixel_sha256="1", width=8, height=8)


def entry(id: str, kind: AdapterKind, models: tuple[str, ...] = ("shapes",)) -> Adapter:
    return Adapter(
        id=id, kind=kind, family="SD 1.x" if models else "SDXL", models=models,
        sha256="1" * 64, autov3="2" * 12, size_bytes=1, networks=("unet",),
    )  # fmt: skip


SHELF = [
    entry("lines", AdapterKind.CONTROLNET),
    entry("xl", AdapterKind.CONTROLNET, ()),
    entry("ink", AdapterKind.LORA),
    entry("sketch", AdapterKind.T2I_ADAPTER),
]
CONTROL = Control(id="lines", image=FILE, sha256="1" * 64)


def found(*wanted: WantedControl) -> tuple[Control, ...]:
    files = {f"controls/{number}/image": FILE for number in range(len(wanted))}
    return found_controls(wanted, SHELF, CARD, inputs=files, resize_mode=ResizeMode.PAD)


def test_each_has_its_file_and_picture_and_the_request_s_resize_mode() -> None:
    one, other = found(
        WantedControl(id="LINES", image="file_1", weight=0.5, mode="control"),
        WantedControl(id="lines", image="file_1", resize_mode="crop"),
    )
    assert (one.id, one.sha256, one.image, one.weight) == ("lines", "1" * 64, FILE, 0.5)
    assert (one.resize_mode, other.resize_mode) == (ResizeMode.PAD, ResizeMode.CROP)


def test_what_a_service_answers_is_found_again() -> None:
    controls = found(*(WantedControl(id=id, image="file_1") for id in ("lines", "sketch")))
    assert [one.kind for one in controls] == [AdapterKind.CONTROLNET, AdapterKind.T2I_ADAPTER]
    sent = [one.model_dump(mode="json") for one in controls]
    again = GenerationRequest.model_validate({"prompt": "", "controls": sent})
    assert found(*again.controls) == controls


@pytest.mark.parametrize(
    ("id", "code", "why"),
    [
        ("none", "unknown_adapter", "no adapter “none”"),
        ("ink", "adapter_mismatch", "“ink” is a LoRA, not a ControlNet or a T2I-Adapter"),
        ("xl", "adapter_mismatch", "“xl” is for SDXL models, and shapes is of SD 1.x"),
    ],
)
def test_what_is_no_control_of_the_model_is_refused(id: str, code: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        found(WantedControl(id="lines", image="file_1"), WantedControl(id=id, image="file_1"))
    assert refused.value.code == code
    assert refused.value.fields.keys() == {"/controls/1/id"}


def test_another_file_under_the_same_id_is_refused() -> None:
    with pytest.raises(AdapterChanged):
        found(WantedControl(id="lines", image="file_1", sha256="9" * 64))


def test_calls_lie_in_the_window_as_diffusers_rounds() -> None:
    window = CONTROL.model_copy(update={"start": 0.3, "end": 0.7}).window(5)
    assert window == range(2, 3)
    assert CONTROL.window(7) == range(7)


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"refiner": "shapes-refiner"}, "/refiner"),
        ({"cache_interval": 2}, "/cache_interval"),
        (
            {"num_inference_steps": 4, "controls": [CONTROL.model_copy(update={"end": 0.2})]},
            "/controls/0/end",
        ),
    ],
)
def test_what_cannot_be_had_with_them_is_refused_by_name(fields: dict, at: str) -> None:
    with pytest.raises(UnsupportedField) as refused:
        refuse_unsupported(CARD, request(**({"controls": [CONTROL]} | fields)))
    assert at in refused.value.fields


SKETCH = CONTROL.model_copy(update={"id": "sketch", "kind": AdapterKind.T2I_ADAPTER})


@pytest.mark.parametrize("mode", [one for one in ControlMode if one is not ControlMode.BALANCED])
def test_a_t2i_adapter_has_no_modes(mode: ControlMode) -> None:
    refuse_unsupported(CARD, request(controls=[SKETCH]))
    with pytest.raises(UnsupportedField, match=f"has no mode {mode}") as refused:
        refuse_unsupported(
            CARD, request(controls=[CONTROL, SKETCH.model_copy(update={"mode": mode})])
        )
    assert refused.value.fields.keys() == {"/controls/1/mode"}


def test_a_size_that_it_cannot_be_shown_is_refused_by_name() -> None:
    large = [SHELF[-1].model_copy(update={"size_step": 16})]
    hires = {"width": 128, "height": 136, "steps": 2, "strength": 0.5}
    fields = {"controls": [SKETCH], "width": 64, "height": 80}
    refuse_other_sizes(request(**fields), large)
    for odd, at in (({"width": 72}, "/width"), ({"hires": hires}, "/hires/height")):
        with pytest.raises(UnsupportedSize, match="multiples of 16 pixels") as refused:
            refuse_other_sizes(request(**(fields | odd)), large)
        assert refused.value.fields.keys() == {at}
    absent = SKETCH.model_copy(update={"weight": 0.0})
    refuse_other_sizes(request(**(fields | {"controls": [absent], "width": 72})), large)


@pytest.mark.parametrize("limit", ["edits", "refines"])
def test_models_that_edit_or_refine_take_none(limit: str) -> None:
    special = CARD.model_copy(
        update={"limits": CARD.limits.model_copy(update={limit: True, "images": True})}
    )
    with pytest.raises(UnsupportedField, match="takes no controls") as refused:
        refuse_unsupported(special, request(controls=[CONTROL], image=FILE, strength=None))
    assert refused.value.fields.keys() == {"/controls"}


def test_a_resize_mode_may_be_for_controls_alone() -> None:
    refuse_unsupported(CARD, request(controls=[CONTROL], resize_mode="crop"))
    with pytest.raises(UnsupportedField):
        refuse_unsupported(CARD, request(resize_mode="crop"))


def test_what_has_an_effect_is_shown() -> None:
    none = CONTROL.model_copy(update={"weight": 0.0})
    assert control_names(request(controls=[CONTROL, none, CONTROL])) == {
        "control-1": 0,
        "control-3": 2,
    }
    assert request(controls=[none]).adapters == ()
