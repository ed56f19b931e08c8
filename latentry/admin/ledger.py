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
    settings = Settings.from_env(env)
    if "redis_url" not in settings.model_fields_set:
        valkey = Valkey.previous(settings.data_dir / "valkey")
        if valkey:
            settings = settings.model_copy(update={"redis_url": SecretStr(valkey.url)})
    with closing(Ledger.open(settings)) as ledger:
        try:
            yield ledger
        except LedgerMisconfigured:  # it responds
            raise
        except LedgerUnavailable as error:
            raise LedgerUnavailable(
                "The ledger does not respond. Start a service here with `latentry serve`, or set"
                " LATENTRY_REDIS_URL to its Redis."
            ) from error
