"""Opening the operator's ledger."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from pydantic import SecretStr

from latentry.errors import LedgerMisconfigured, LedgerUnavailable
from latentry.ledger import Ledger
from latentry.serve.valkey import Valkey
from latentry.settings import Settings


@contextmanager
def opened(env: Mapping[str, str]) -> Iterator[Ledger]:
    """The ledger of LATENTRY_REDIS_URL, or else of the `latentry serve` running in this folder."""
    read = settings = Settings.from_env(env)
    if "redis_url" not in read.model_fields_set:
        valkey = Valkey.previous(settings.data_dir / "valkey")
        if valkey:
            settings = settings.model_copy(update={"redis_url": SecretStr(valkey.url)})
    with closing(Ledger.open(settings)) as ledger:
        try:
            yield ledger
        except LedgerMisconfigured:  # it responds
            raise
        except LedgerUnavailable as error:
            raise LedgerUnavailable(_where(read)) from error


def _where(settings: Settings) -> str:
    if "redis_url" in settings.model_fields_set:
        return "The ledger of LATENTRY_REDIS_URL does not respond."
    folder = settings.data_dir.absolute()
    return (
        f"No service with the data folder {folder} is running. Start one with `latentry serve`; or"
        " set LATENTRY_DATA_DIR to the folder of the one that runs, or LATENTRY_REDIS_URL to its"
        " Redis."
    )
