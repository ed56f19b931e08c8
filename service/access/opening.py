"""Start-up check: no gateway is reachable from other machines without API keys by accident."""

from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from latentry.addresses import is_loopback
from latentry.api_keys import ApiKey
from latentry.errors import ConfigurationError, LedgerUnavailable
from latentry.ledger import Ledger, keyring
from latentry.settings import Settings


def check(settings: Settings) -> None:
    """Raises ConfigurationError if other machines can connect and no API key is required."""
    has_key = bootstrap_key(settings) is not None
    if settings.auth == "off":
        if is_loopback(settings.host):
            return
        raise ConfigurationError(
            f"LATENTRY_HOST={settings.host} is reachable from other machines, and LATENTRY_AUTH=off"
            " disables API keys; set LATENTRY_HOST to 127.0.0.1, or LATENTRY_AUTH to on."
        )
    setting = _exposed_by(settings)
    if setting and not (has_key or _has_keys(settings)):
        raise ConfigurationError(
            f"{setting} is reachable from other machines, and there is no API key yet; create one"
            " with `latentry keys create`, or set LATENTRY_BOOTSTRAP_KEY to one that"
            " `latentry keys new` prints."
        )


def bootstrap_key(settings: Settings) -> ApiKey | None:
    """The first key, from its variable or its file. Raises ConfigurationError."""
    text, source = settings.bootstrap_key.get_secret_value(), "LATENTRY_BOOTSTRAP_KEY"
    if settings.bootstrap_key_file:
        source = "LATENTRY_BOOTSTRAP_KEY_FILE"
        try:
            text = text or Path(settings.bootstrap_key_file).read_text()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{source} cannot be read.") from error
    if not text.strip():
        return None
    key = ApiKey.parse(text.strip())
    if key is None:
        raise ConfigurationError(f"{source} is not an API key; `latentry keys new` prints one.")
    return key


def _exposed_by(settings: Settings) -> str:
    if not is_loopback(settings.host):
        return f"LATENTRY_HOST={settings.host}"
    # A public URL means that a proxy on this machine forwards to us.
    is_local = is_loopback(urlsplit(settings.base_url).hostname or "")
    return "" if is_local else "LATENTRY_PUBLIC_URL"


def _has_keys(settings: Settings) -> bool:
    with closing(Ledger.open(settings)) as ledger:
        try:
            return ledger.run(keyring.authorize(None)).any_keys
        except LedgerUnavailable:
            return True  # requests are refused until the ledger responds
