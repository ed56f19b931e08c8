"""What a client can tell of a service: whether it answers, lets it in, and has workers."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from latentry import __version__
from latentry.addresses import without_credentials
from latentry.cli.doctor.findings import Finding, fault, ok, warning
from latentry.client import ApiError, Client, Retries
from latentry.client.http.transports import Transport
from latentry.contracts.catalogue.capabilities import Capabilities
from latentry.errors import LatentryError

# URLs of images and deadlines go by the service's clock, certificates and tokens by both.
CLOCKS_APART_S: Final = 5.0
_TIMEOUT_S: Final = 5.0
_KEY: Final = "set LATENTRY_API_KEY or --api-key; `latentry keys create` makes one on its machine"


def examine(url: str, api_key: str | None) -> Iterator[Finding]:
    """Ask the service at this URL. Nothing is drawn."""
    once = Retries(attempts=1)
    try:
        with Client(url, api_key=api_key, retries=once, timeout_s=_TIMEOUT_S) as client:
            yield from _ready(url)
            found = client.capabilities()
    except ApiError as error:
        yield _refused(error)
        return
    except LatentryError as error:
        yield fault(
            "service",
            f"{error} Start it with `latentry serve`, or name another with --url or LATENTRY_URL.",
        )
        return
    yield ok("key", "it may read." if api_key else "the service needs none.")
    yield _version(found)
    yield from _models(found)


def _ready(url: str) -> Iterator[Finding]:
    """Whether it takes jobs, and how far its clock is from ours. Raises LatentryError."""
    with httpx.Client(transport=Transport(), timeout=_TIMEOUT_S) as http:
        try:
            answer = http.get(f"{url.rstrip('/')}/readyz")
        except httpx.HTTPError:
            return  # the client's own call says why
    shown = without_credentials(url)
    if answer.is_success:
        yield ok("service", f"{shown} takes jobs.")
    elif answer.status_code == httpx.codes.NOT_FOUND:
        yield fault("service", f"{shown} is not latentry: it has no /readyz; see --url.")
    else:
        yield fault("service", f"{shown} takes no jobs: {ApiError.of(answer)}")
    with suppress(KeyError, ValueError):  # a proxy may write what it likes
        yield clock(parsedate_to_datetime(answer.headers["Date"]), datetime.now(UTC))


def clock(theirs: datetime, ours: datetime) -> Finding:
    """How far two clocks are apart. A time without a zone is UTC."""
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    apart_s = abs((ours - theirs).total_seconds())
    if apart_s <= CLOCKS_APART_S:
        return ok("clock", "the service's agrees with this machine's.")
    return warning(
        "clock",
        f"the service's differs from this machine's by {apart_s:.0f} s: set both by NTP, or links"
        " to images end too early or too late.",
    )


def _refused(error: ApiError) -> Finding:
    match error.status:
        case httpx.codes.UNAUTHORIZED:
            return fault("key", f"{error.message} To be let in, {_KEY}.")
        case httpx.codes.FORBIDDEN:
            return warning("key", f"{error.message} It can be used, but not looked at with it.")
    return fault("service", str(error))


def _version(found: Capabilities) -> Finding:
    if found.version == __version__:
        return ok("version", f"{__version__}, here and there.")
    return warning(
        "version",
        f"the service has {found.version} and this command line {__version__}: install the same.",
    )


def _models(found: Capabilities) -> Iterator[Finding]:
    if not found.models:
        yield fault(
            "models",
            "there is none: start a worker with LATENTRY_MODELS, or wait until it has loaded one.",
        )
    for model in found.models:
        if model.workers:
            workers = "1 worker" if model.workers == 1 else f"{model.workers} workers"
            family = f" ({model.family})" if model.family else ""  # a simulated one has none
            yield ok("models", f"{model.id}{family}, {workers}.")
        else:
            yield fault(
                "models", f"{model.id} has no live worker: its jobs wait until one is started."
            )
