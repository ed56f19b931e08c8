"""Pictures that requests name in fields and in lists, by place."""

from latentry.contracts import InputFile
from latentry.contracts.fields.places import below, pictures, with_pictures
from latentry.contracts.wire import ResponseModel


class Entry(ResponseModel):
    """One of a list, which has a picture or none."""

    weight: float = 1.0
    image: InputFile | None = None


class Whole(ResponseModel):
    """A request with a list of them."""

    image: InputFile | None = None
    sides: tuple[int, ...] = ()
    controls: tuple[Entry, ...] = ()
    prompts: tuple[Entry, ...] = ()


def file(name: str) -> InputFile:
    return InputFile(file=name, pixel_sha256=name, width=8, height=8)


WHOLE = Whole(
    image=file("a"),
    sides=(1, 2),
    controls=(Entry(), Entry(weight=0.5, image=file("b"))),
    prompts=(Entry(image=file("a")),),
)


def test_each_picture_has_a_place() -> None:
    assert {place: one.file for place, one in pictures(WHOLE).items()} == {
        "image": "a",
        "controls/1/image": "b",
        "prompts/0/image": "a",
    }


def test_what_is_found_can_be_put_back_by_place() -> None:
    renamed = {place: file(one.file * 2) for place, one in pictures(WHOLE).items()}
    changed = with_pictures(WHOLE, renamed)
    assert pictures(changed) == renamed
    assert changed.controls[0] == WHOLE.controls[0]
    assert changed.controls[1].weight == 0.5
    assert with_pictures(WHOLE, {}) == WHOLE
    assert with_pictures(WHOLE, {"elsewhere/0/image": file("c")}) == WHOLE, "it has no such list"


def test_places_below_an_entry_are_its_own() -> None:
    found = {"controls/1/image": 1, "controls/11/image": 2, "image": 3}
    assert below("controls/1", found) == {"image": 1}
