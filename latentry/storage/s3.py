"""An S3 bucket: where it is and who we are there, from our settings or else AWS's own variables.

obstore reads the environment too, so what we set must leave nothing for it to add.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store

from latentry.certificates import read_authorities
from latentry.errors import ConfigurationError
from latentry.proxies import proxy_for, read_proxies
from latentry.settings import Settings
from latentry.storage.store import Storage

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Credential, S3CredentialProvider

# A try takes at most 4 s and none starts later than 6 s after the first: at most 10 s in all.
_TRY: Final = timedelta(seconds=4)
_RETRY: Final = timedelta(seconds=6)
_BACKOFF: Final = (timedelta(milliseconds=100), timedelta(seconds=1))
# The longest that AWS accepts for a presigned URL.
MAX_URL_TTL_S: Final = 604_800
# Where obstore finds who we are, if not from the machine's role.
_IDENTITIES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


def open_bucket(bucket: str, prefix: str, settings: Settings, env: Mapping[str, str]) -> Storage:
    """A bucket, or a folder of it. `env` has AWS's variables. Raises ConfigurationError."""
    if settings.url_ttl_s > MAX_URL_TTL_S:
        raise ConfigurationError(
            f"LATENTRY_URL_TTL_S is {settings.url_ttl_s}; S3 signs URLs for at most"
            f" {MAX_URL_TTL_S} seconds (7 days)."
        )
    endpoint = settings.s3_endpoint or _first(env, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    region = settings.s3_region or _first(env, "AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1"
    identity = _identity(settings, env)

    def store_at(url: str) -> S3Store:
        return S3Store(
            bucket,
            prefix=prefix or None,
            config={"endpoint": url} if url else {},
            region=region,
            client_options=_client_options(url, settings, env),
            retry_config={
                "max_retries": 20,
                "retry_timeout": _RETRY,
                "backoff": {"init_backoff": _BACKOFF[0], "max_backoff": _BACKOFF[1], "base": 2},
            },
            **identity,
        )

    # A signature covers the host, so URLs are signed for the endpoint that clients use.
    public = store_at(settings.s3_public_endpoint or endpoint)

    def presigned(key: str, expires_s: int) -> str:
        return obstore.sign(public, "GET", key, timedelta(seconds=expires_s))

    return Storage(store_at(endpoint), presigned)


def _identity(settings: Settings, env: Mapping[str, str]) -> dict[str, Any]:
    """Our keys and nothing else; or what AWS's variables or the machine's role say."""
    access, secret = settings.s3_access_key, settings.s3_secret_key
    if bool(access.get_secret_value()) != bool(secret.get_secret_value()):
        raise ConfigurationError(
            "LATENTRY_S3_ACCESS_KEY and LATENTRY_S3_SECRET_KEY must both be set, or neither."
        )
    if access.get_secret_value():
        # Keys in the configuration would be joined by AWS_SESSION_TOKEN.
        provider = _provider(access.get_secret_value(), secret.get_secret_value())
        return {"credential_provider": provider, "skip_signature": False}
    profile = _first(env, "AWS_PROFILE", "AWS_DEFAULT_PROFILE")
    if profile and not _first(env, *_IDENTITIES):
        raise ConfigurationError(
            f"AWS_PROFILE is {profile}, but the service reads no profiles; set"
            " LATENTRY_S3_ACCESS_KEY and LATENTRY_S3_SECRET_KEY, or unset AWS_PROFILE to use the"
            " machine's role."
        )
    return {}


def _provider(access: str, secret: str) -> "S3CredentialProvider":
    def credentials() -> "S3Credential":
        return {"access_key_id": access, "secret_access_key": secret, "expires_at": None}

    return credentials


def _client_options(endpoint: str, settings: Settings, env: Mapping[str, str]) -> "ClientConfig":
    options: ClientConfig = {
        "allow_http": endpoint.startswith("http://"),
        "connect_timeout": _TRY / 2,
        "timeout": _TRY,
    }
    if endpoint and proxy_for(endpoint, read_proxies(env)) is None:
        # obstore would still ask one for this machine, and NO_PROXY=* exempts no addresses.
        host = urlsplit(endpoint).hostname or ""
        options["proxy_url"], options["proxy_excludes"] = endpoint, host
    if settings.s3_ca_file:
        authorities = read_authorities(settings.s3_ca_file, "LATENTRY_S3_CA_FILE")
        options["root_certificate"] = authorities
    return options


def _first(env: Mapping[str, str], *names: str) -> str:
    return next((env[name] for name in names if env.get(name)), "")
