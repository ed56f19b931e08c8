"""Where jobs and images are kept."""

from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from latentry.addresses import is_redis_url
from latentry.settings.section import LocalPath, Section


class StoreSettings(Section):
    """Redis, the image storage and the local data folder."""

    data_dir: LocalPath = Field(Path(".latentry"), description="Folder of all local state.")
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="URL of Valkey or Redis, 7.0 or later."
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
    s3_endpoint: str = Field("", description="URL of an S3-compatible server; AWS if empty.")
    s3_public_endpoint: str = Field("", description="URL of that server for clients, if another.")
    s3_region: str = Field("us-east-1", description="S3 region.")
    s3_access_key: SecretStr = Field(SecretStr(""), description="S3 access key id.")
    s3_secret_key: SecretStr = Field(SecretStr(""), description="S3 secret access key.")

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr) -> SecretStr:
        # Not the URL parser's own message, which would quote a password.
        if not is_redis_url(value.get_secret_value()):
            raise ValueError("it must be redis://[[user]:password@]host[:port][/db], or rediss://")
        return value
