"""The fields that were sent and have no effect, by name, for a header."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic import BaseModel

from service.doors.automatic1111.requests.generations import AnyGeneration
from service.doors.automatic1111.requests.options import Options
from service.doors.automatic1111.translation.sampling import has_idle_eta
from service.doors.fates import MAX_NAMES, ignored_fields

HEADER: Final = "X-Ignored-Fields"
_NAME: Final = re.compile(r"[A-Za-z0-9_.\- ()]{1,64}")


def ignored(body: BaseModel) -> dict[str, str]:
    """The header that names them; none if there are none."""
    return _header([*ignored_fields(body), *_known(body)])


def unknown_options(options: Mapping[str, object]) -> dict[str, str]:
    """The header that names those of them that mean nothing here."""
    return _header(sorted(options.keys() - Options.model_fields.keys() - {"sd_checkpoint_hash"}))


def _header(names: Sequence[str]) -> dict[str, str]:
    found = [name for name in names if _NAME.fullmatch(name)][:MAX_NAMES]
    return {HEADER: ", ".join(found)} if found else {}


def _known(body: BaseModel) -> Iterator[str]:
    if isinstance(body, AnyGeneration):
        if has_idle_eta(body):
            yield "eta"
        scripts = body.alwayson_scripts
        of_units = (name for _, unit in scripts.units for name in ignored_fields(unit))
        named = [*scripts.idle, *(f"ControlNet.{name}" for name in of_units)]
        yield from (f"alwayson_scripts.{name}" for name in dict.fromkeys(named))
        options = body.override_settings.keys() - Options.model_fields.keys()
        yield from (f"override_settings.{name}" for name in sorted(options))
