"""The settings of a process, from LATENTRY_* variables."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final, Self

from pydantic import Field, SecretStr, ValidationError

from latentry.errors import ConfigurationError
from latentry.secret_file import kept_secret
from latentry.settings.gateway import GatewaySettings
from latentry.settings.ledger import LedgerSettings
from latentry.settings.provenance import ProvenanceSettings
from latentry.settings.section import PREFIX, Word
from latentry.settings.worker import WorkerSettings

# Variables of the command line, not settings of the service.
CLIENT_VARIABLES: Final = frozenset({"LATENTRY_URL", "LATENTRY_API_KEY", "LATENTRY_PICTURES"})


class Settings(WorkerSettings, LedgerSettings, GatewaySettings, ProvenanceSettings):
    """All settings of gateway and worker. Field `redis_url` is variable LATENTRY_REDIS_URL."""

    log_level: Word = Field(
        "info", pattern=r"^(debug|info|warning|error)$", description="Minimum level of log lines."
    )
    log_format: Word = Field("text", pattern=r"^(text|json)$", description="Format of log lines.")

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read every LATENTRY_* variable. Raises ConfigurationError with what to change."""
        given = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in env.items()
            if name.startswith(PREFIX) and name not in CLIENT_VARIABLES
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise ConfigurationError(_sentence(error)) from None

    def to_env(self) -> dict[str, str]:
        """The variables that were set, for a child process."""
        given = self.model_dump(exclude_unset=True)
        return {
            PREFIX + name.upper(): value.get_secret_value()
            if isinstance(value, SecretStr)
            else str(value)
            for name, value in given.items()
        }

    def signing_secret(self) -> bytes:
        """The secret that signs local file URLs: the setting, or one created once in data_dir."""
        if self.signing_key.get_secret_value():
            return self.signing_key.get_secret_value().encode()
        return kept_secret(self.data_dir / "signing.key")


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0])
    variable = PREFIX + name.upper()
    if first["type"] == "extra_forbidden":
        near = get_close_matches(name, Settings.model_fields, n=1)
        hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
        return f"There is no setting {variable}{hint}"
    return f"{variable} is invalid: {first['msg'].removeprefix('Value error, ')}."
