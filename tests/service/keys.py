"""Keys for tests, straight at the ledger."""

from typing import Any

from latentry.api_keys import ApiKey
from latentry.ledger import Ledger, keyring


def issue(ledger: Ledger, tenant: str = "acme", **what: Any) -> ApiKey:
    """A key that stands."""
    key = ApiKey.new()
    assert ledger.run(keyring.enter(key, tenant, **what))
    return key


def bearer(key: ApiKey) -> dict[str, str]:
    """The header that shows it."""
    return {"Authorization": f"Bearer {key.text}"}
