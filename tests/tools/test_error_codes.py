"""docs/errors.md lists every code, as the classes have them."""

import latentry
from latentry.errors import LatentryError
from service.http.failures import STATUS
from tools.pages.error_codes import PAGE, page


def _all(kind: type[LatentryError]) -> set[type[LatentryError]]:
    return {kind}.union(*map(_all, kind.__subclasses__()))


def test_the_page_is_what_the_program_writes() -> None:
    assert PAGE.read_text() == page(), "run `python -m tools.pages.error_codes`"


def test_every_code_that_a_caller_can_meet_is_on_the_page() -> None:
    text = page()
    for kind in _all(LatentryError):
        if not kind.__module__.startswith(("latentry.errors", "latentry.client")):
            continue
        if kind.__name__ in ("LeaseLost", "ApiError"):  # of workers; any code of the service
            continue
        assert f"| `{kind.code}` |" in text, kind
    assert len(STATUS) > 40
    assert latentry.Unreachable.code in text
