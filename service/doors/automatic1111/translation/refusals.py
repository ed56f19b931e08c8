"""What a request may ask and cannot be had here: refused, with the field's name."""

from typing import Final, NoReturn

from latentry.errors import UnsupportedField
from service.doors.automatic1111.requests.generations import AnyGeneration
from service.doors.automatic1111.requests.options import Options
from service.doors.fates import Fate, Here, with_fate

# Without hires fix the fields of its second pass mean nothing; with it, `hires` compares them.
_OF_HIRES: Final = ("hr_", "firstphase_")


def refuse(name: str, why: str) -> NoReturn:
    """Raises UnsupportedField."""
    raise UnsupportedField(f"{name}: {why}", fields={f"/{name.replace('.', '/')}": why})


def refuse_impossible(body: AnyGeneration) -> None:
    """Raises UnsupportedField for fields that would change the picture, and cannot."""
    for name, here in with_fate(type(body), Fate.REFUSED).items():
        if not name.startswith(_OF_HIRES) and is_asked(getattr(body, name), here):
            refuse(name, refused_as(type(body).model_fields[name].description))
    for name in body.alwayson_scripts.missing:
        refuse(
            f"alwayson_scripts.{name}",
            "Always on script not found; it is not here. Leave it out, or switch it off.",
        )


def refuse_options(options: Options, *, at: str = "") -> None:
    """Raises UnsupportedField for options that would change pictures. `at`: where they stand."""
    for name, here in with_fate(Options, Fate.REFUSED).items():
        if is_asked(getattr(options, name), here):
            refuse(f"{at}{name}", "It would change the picture, and cannot be obeyed here.")


def is_asked(value: object, here: Here) -> bool:
    """Whether a value is more than what its field may always have."""
    return value is not None and value not in here.unless


def refused_as(description: str | None) -> str:
    """Why, by what a field's description says: `Refused, unless …`."""
    if not description:
        return "It cannot be obeyed here."
    return f"It is {description[:1].lower()}{description[1:]}"
