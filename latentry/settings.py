"""Typed settings from LATENTRY_* variables. A misspelt one stops the process with a sentence."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from latentry.addresses import dialable, is_redis_url
from latentry.contracts.fields import MODEL_ID
from latentry.errors import ConfigurationError
from latentry.secret_file import kept_secret
from latentry.sources import Simulation, Source, parse_source

PREFIX = "LATENTRY_"
# The command line's own: where the service is, and the key to it. No settings of the service.
CLIENT_VARIABLES = frozenset({"LATENTRY_URL", "LATENTRY_API_KEY"})
# Ten years. Redis refuses times to live near 2^63 ms, halfway through whatever asks for them.
MAX_TTL_S = 315_360_000


class Settings(BaseModel):
    """Every knob of the gateway and the worker. Field `redis_url` is variable LATENTRY_REDIS_URL.

    Names end in their unit: `_s` seconds, `_bytes` bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Where things are
    data_dir: Path = Field(Path(".latentry"), description="All local state lies under here.")
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="Valkey or Redis ≥ 7.0."
    )
    redis_prefix: str = Field(
        "latentry",
        pattern=r"^[a-z0-9-]{1,32}$",
        description="Keeps deployments in one Redis apart.",
    )
    storage_url: str = Field(
        "",
        description="`s3://bucket[/prefix]`, `file:///dir` or `memory://`; data_dir if empty."
        " Of this deployment alone: pictures whose job its ledger does not know are removed.",
    )
    s3_endpoint: str = Field("", description="For S3-compatible servers other than AWS.")
    s3_public_endpoint: str = Field("", description="The same server as clients reach it.")
    s3_region: str = "us-east-1"
    s3_access_key: SecretStr = SecretStr("")
    s3_secret_key: SecretStr = SecretStr("")

    # The gateway
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    public_url: str = Field("", description="How clients reach us; http://host:port if empty.")
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(9100, ge=0, le=65535, description="The gateway's; 0 is off.")
    default_model: str = Field("", description="For requests that name none; else the first live.")
    max_queued: int = Field(1_000, ge=1, description="Jobs waiting per model before 503.")
    max_queue_wait_s: float = Field(
        900, gt=0, description="A job that would wait longer is refused, where a worker is live."
    )
    max_cost_step_megapixels: float = Field(
        5_000, gt=0, description="The most work of one request: megapixels × UNet calls × images."
    )
    max_body_bytes: int = Field(64 * 1024, ge=1024)
    max_wait_s: int = Field(60, ge=0, description="The longest `Prefer: wait`.")
    url_ttl_s: int = Field(900, ge=1, description="Life of a signed picture URL.")
    max_image_bytes: int = Field(10 * 1024**2, ge=1024, description="One picture sent to us.")
    max_image_pixels: int = Field(4096**2, ge=1, le=8192**2, description="Its area, decoded.")
    max_files: int = Field(1_000, ge=0, description="Pictures that one tenant may keep here.")
    max_files_bytes: int = Field(1024**3, ge=0, description="All of them together.")
    file_ttl_s: int = Field(86_400, ge=1, le=MAX_TTL_S, description="Life of such a picture.")
    webhook_ports: str = Field("443", description="Ports that webhook URLs may name.")
    webhook_allow: str = Field(
        "",
        description="Webhook receivers that are not public: `host:port` pairs, also over http, and"
        " networks such as `10.0.0.0/8`, separated by commas.",
    )
    auth: str = Field(
        "auto",
        pattern=r"^(auto|on|off)$",
        description="API keys; auto asks for them where there are any or others can dial us.",
    )
    bootstrap_key: SecretStr = Field(SecretStr(""), description="A key that stands from the start.")
    bootstrap_key_file: str = Field("", description="The same, in a file.")
    signing_key: SecretStr = Field(
        SecretStr(""), description="Signs local file URLs; kept in data_dir if empty."
    )

    # The ledger
    result_ttl_s: int = Field(
        86_400, ge=1, le=MAX_TTL_S, description="Life of records, events and pictures."
    )
    queue_ttl_s: int = Field(
        3_600, ge=1, le=MAX_TTL_S, description="A job still waiting after this expires."
    )
    usage_ttl_days: int = Field(400, ge=1, le=3_650, description="Life of what GET /v1/usage says.")
    # Sweepers take half of it without a sweep for an outage, and they sweep every second.
    lease_s: float = Field(6.0, ge=3, description="A worker silent this long has lost its jobs.")
    heartbeat_s: float = Field(2.0, gt=0, validate_default=True)
    checkpoint_s: float = Field(
        2.0, ge=0, description="Work on a picture that the loss of its worker may cost."
    )
    checkpoint_bytes: int = Field(
        256 * 1024 * 1024,
        ge=0,
        description="What unfinished pictures may take in the ledger; past it they are not saved.",
    )

    # The worker
    models: str = Field(
        "shapes=models/shapes",
        description="`id=source` pairs, separated by commas. A source is a folder in diffusers"
        " layout, a `.safetensors` file, `owner/name@commit` on a hub, or, to try a deployment"
        " without a GPU, `simulated:`.",
    )
    model_memory_bytes: int = Field(
        0, ge=0, description="What the weights of loaded models may take; 0 sets no bound."
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    dtype: str = Field("auto", pattern=r"^(auto|float32|float16|bfloat16)$")
    threads: int = Field(0, ge=0, description="Compute threads on a CPU; 0 lets torch choose.")
    compile: str = Field(
        "auto",
        pattern=r"^(auto|on|off)$",
        description="Compile UNets beside the service; auto is on CUDA. Strict mode never does.",
    )
    max_rows: int = Field(32, ge=2, description="UNet rows in one call at most.")
    max_slowdown: float = Field(
        6.0, ge=1, description="The longest call that batching may make, in calls of a lone image."
    )
    worker_max_rss_bytes: int = Field(
        0,
        ge=0,
        description="A worker that takes more memory hands its jobs back and starts afresh;"
        " well above what its models take, or 0 for no bound.",
    )
    worker_metrics_port: int = Field(9101, ge=0, le=65535, description="The worker's; 0 is off.")

    # Both
    log_level: str = Field("info", pattern=r"^(debug|info|warning|error)$")
    log_format: str = Field("text", pattern=r"^(text|json)$")

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

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr) -> SecretStr:
        # Our own words: those of the parser would quote a password.
        if not is_redis_url(value.get_secret_value()):
            raise ValueError("it must be redis://[[user]:password@]host[:port][/db], or rediss://")
        return value

    @field_validator("heartbeat_s")
    @classmethod
    def _beats_twice_per_lease(cls, value: float, info: ValidationInfo) -> float:
        lease_s = info.data.get("lease_s", value * 2)  # absent where it was refused itself
        if value * 2 > lease_s:
            raise ValueError(f"it must be at most half of {PREFIX}LEASE_S, which is {lease_s:g}")
        return value

    @field_validator("models")
    @classmethod
    def _are_pairs(cls, value: str) -> str:
        pairs = _pairs(value)
        if not pairs:
            raise ValueError("it must name a model, as id=source")
        for name, path in pairs:
            if not (re.fullmatch(MODEL_ID, name) and path):
                raise ValueError(
                    f"{name!r} does not begin an id=source pair; ids are 1 to 64 characters, "
                    "a-z, 0-9, dots, dashes and underscores"
                )
        sources = [parse_source(path) for _, path in pairs]
        if 0 < sum(isinstance(source, Simulation) for source in sources) < len(sources):
            raise ValueError("simulated models cannot be served beside real ones")
        if len(dict(pairs)) < len(pairs):
            raise ValueError("one id stands for two models")
        return value

    def to_env(self) -> dict[str, str]:
        """The variables that differ from the defaults, for a child process."""
        changed = self.model_dump(exclude_defaults=True)
        return {
            PREFIX + name.upper(): value.get_secret_value()
            if isinstance(value, SecretStr)
            else str(value)
            for name, value in changed.items()
        }

    @property
    def base_url(self) -> str:
        """The address that answers are full of, without a slash at the end."""
        return self.public_url.rstrip("/") or f"http://{dialable(self.host)}:{self.port}"

    @property
    def model_sources(self) -> dict[str, Source]:
        """Model ids and where their files are."""
        return {name: parse_source(source) for name, source in _pairs(self.models)}

    def signing_secret(self) -> bytes:
        """The key of local file URLs: from the variable, or made once and kept in data_dir."""
        if self.signing_key.get_secret_value():
            return self.signing_key.get_secret_value().encode()
        return kept_secret(self.data_dir / "signing.key")


def _pairs(models: str) -> list[tuple[str, str]]:
    cut = (item.partition("=") for item in models.split(",") if item.strip())
    return [(name.strip(), path.strip()) for name, _, path in cut]


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0])
    variable = PREFIX + name.upper()
    if first["type"] == "extra_forbidden":
        near = get_close_matches(name, Settings.model_fields, n=1)
        hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
        return f"There is no setting {variable}{hint}"
    return f"{variable} is not usable: {first['msg'].removeprefix('Value error, ')}."
