"""Whether the gateway may open at all: nobody serves strangers without keys by accident."""

from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from latentry.addresses import is_loopback
from latentry.api_keys import ApiKey
from latentry.errors import ConfigurationError, LedgerUnavailable
from latentry.ledger import Ledger, keyring
from latentry.settings import Settings


def check(settings: Settings) -> None:
    """Raises ConfigurationError where others could come in and no key keeps them out."""
    has_key = bootstrap_key(settings) is not None
    if settings.auth == "off":
        if is_loopback(settings.host):
            return
        raise ConfigurationError(
            f"LATENTRY_HOST={settings.host} is not for this machine alone, and LATENTRY_AUTH=off"
            " lets everybody in; set LATENTRY_HOST to 127.0.0.1, or LATENTRY_AUTH to on."
        )
    door = _door_to_others(settings)
    if door and not (has_key or _has_keys(settings)):
        raise ConfigurationError(
            f"{door} is not for this machine alone, and there is no API key"
            " yet; make one with `latentry keys create`, or set LATENTRY_BOOTSTRAP_KEY to one that"
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
        raise ConfigurationError(f"{source} is no API key; `latentry keys new` prints one.")
    return key


def _door_to_others(settings: Settings) -> str:
    if not is_loopback(settings.host):
        return f"LATENTRY_HOST={settings.host}"
    # A proxy on this machine lets them in.
    is_ours_alone = is_loopback(urlsplit(settings.base_url).hostname or "")
    return "" if is_ours_alone else "LATENTRY_PUBLIC_URL"


def _has_keys(settings: Settings) -> bool:
    with closing(Ledger.open(settings)) as ledger:
        try:
            return ledger.run(keyring.authorize(None)).any_keys
        except LedgerUnavailable:
            return True  # nobody comes in until it is there to be asked
