"""Where jobs and images are kept."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from latentry.addresses import is_redis_url
from latentry.settings.section import PREFIX, LocalPath, LocalPathText, Section, Word


class StoreSettings(Section):
    """Redis, the image storage and the local data folder."""

    data_dir: LocalPath = Field(Path(".latentry"), description="Folder of all local state.")
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="URL of Valkey or Redis, 7.0 or later."
    )
    redis_tls_ca_file: LocalPathText = Field(
        "",
        description="PEM file of authorities that Redis's certificate may be signed by, besides the"
        " system's.",
    )
    redis_tls_verify: Word = Field(
        "on",
        pattern=r"^(on|off)$",
        description="Verify Redis's certificate. `off`: anybody on the way gets the password.",
    )
    redis_tls_cert_file: LocalPathText = Field(
        "", description="PEM file of our own certificate, if Redis asks for one."
    )
    redis_tls_key_file: LocalPathText = Field(
        "", description="PEM file of its key, if redis_tls_cert_file does not have it."
    )
    redis_prefix: str = Field(
        "latentry",
        pattern=r"^[a-z0-9-]{1,32}$",
        description="Prefix of all Redis keys; separates deployments that share one Redis.",
    )
    storage_url: str = Field(
        "",
        description="`s3://bucket[/prefix]`, `file:///dir` or `memory://`; data_dir if empty. Must"
        " not be shared with another deployment: images without a job in the ledger are deleted.",
    )
    s3_endpoint: str = Field(
        "", description="URL of an S3-compatible server; AWS_ENDPOINT_URL or AWS if empty."
    )
    s3_public_endpoint: str = Field("", description="URL of that server for clients, if another.")
    s3_region: str = Field(
        "", description="S3 region; AWS_REGION, AWS_DEFAULT_REGION or us-east-1 if empty."
    )
    s3_ca_file: LocalPathText = Field(
        "",
        description="PEM file of authorities that the server's certificate may be signed by,"
        " besides public ones.",
    )
    s3_access_key: SecretStr = Field(
        SecretStr(""),
        description="S3 access key id. If empty, the keys, the token or the role are AWS's own:"
        " AWS_ACCESS_KEY_ID and so on.",
    )
    s3_secret_key: SecretStr = Field(SecretStr(""), description="S3 secret access key.")

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr) -> SecretStr:
        # Not the URL parser's own message, which would quote a password.
        if not is_redis_url(value.get_secret_value()):
            raise ValueError(
                "it must be redis://[[user]:password@]host[:port][/db], or rediss:// for TLS;"
                " special characters of a password are percent-encoded, and options of TLS are in"
                f" {PREFIX}REDIS_TLS_*"
            )
        return value

    @field_validator("redis_tls_ca_file", "redis_tls_cert_file", "redis_tls_key_file")
    @classmethod
    def _is_for_tls(cls, value: str, info: ValidationInfo) -> str:
        url = info.data.get("redis_url")  # missing if it was invalid itself
        if value and url and not _speaks_tls(url):
            raise ValueError(f"{PREFIX}REDIS_URL is not rediss://, so nothing would be encrypted")
        return value

    @property
    def redis_speaks_tls(self) -> bool:
        """Whether redis_url is rediss://."""
        return _speaks_tls(self.redis_url)


def _speaks_tls(url: SecretStr) -> bool:
    return url.get_secret_value().startswith("rediss:")
