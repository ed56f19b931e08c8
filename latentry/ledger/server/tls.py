"""TLS to Redis, in the words that redis-py and kombu both take."""

import ssl
from typing import Any

from latentry.certificates import read_authorities
from latentry.errors import ConfigurationError
from latentry.settings import Settings


def tls_options(settings: Settings) -> dict[str, Any]:
    """Options of redis-py's connections, which kombu passes on to them; empty without TLS.

    kombu verifies nothing unless it is told to. Raises ConfigurationError if a file cannot be read,
    which would look like a server that does not respond.
    """
    if not settings.redis_speaks_tls:
        return {}
    verifies = settings.redis_tls_verify == "on"
    ca = settings.redis_tls_ca_file or None
    cert, key = settings.redis_tls_cert_file or None, settings.redis_tls_key_file or None
    if ca:
        read_authorities(ca, "LATENTRY_REDIS_TLS_CA_FILE")
    if cert:
        _read_certificate(cert, key)
    return {
        "ssl_cert_reqs": "required" if verifies else "none",
        "ssl_check_hostname": verifies,
        "ssl_ca_certs": ca,
        "ssl_certfile": cert,
        "ssl_keyfile": key,
    }


def _read_certificate(cert: str, key: str | None) -> None:
    try:
        ssl.create_default_context().load_cert_chain(cert, key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(
            f"LATENTRY_REDIS_TLS_CERT_FILE or LATENTRY_REDIS_TLS_KEY_FILE cannot be read: {error}."
        ) from error
