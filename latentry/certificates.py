"""Files of authorities that sign certificates of servers we connect to."""

import ssl
from pathlib import Path

from latentry.errors import ConfigurationError


def read_authorities(file: str, variable: str) -> str:
    """The PEM text of a file that a variable names. Raises ConfigurationError."""
    try:
        ssl.create_default_context(cafile=file)  # refuses what is no certificate
        return Path(file).read_text()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigurationError(f"{variable} cannot be read: {error}.") from error
