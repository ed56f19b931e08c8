"""The gateway: addresses, limits of requests, webhooks and API keys."""

import re
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator

from latentry.addresses import dialable, is_base_url
from latentry.settings.section import MAX_TTL_S, LocalPathText, Section, Word


def names(text: str) -> list[str]:
    """What a comma-separated setting lists."""
    return [name for part in text.split(",") if (name := part.strip())]


class GatewaySettings(Section):
    """What the gateway serves, accepts and refuses."""

    host: str = Field("127.0.0.1", description="Address that the gateway listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port that the gateway listens on.")
    public_url: str = Field(
        "",
        description="URL for clients, with the path prefix that a reverse proxy adds, if any;"
        " http://host:port if empty.",
    )
    metrics_host: str = Field("127.0.0.1", description="Address of the metrics of both processes.")
    metrics_port: int = Field(
        9100,
        ge=0,
        le=65535,
        description="Port of the gateway's metrics; 0 is off. If left out, the next free one from"
        " 9100 on, which the log names.",
    )
    default_model: str = Field(
        "", description="Model of requests that name none; the first live one if empty."
    )
    styles: LocalPathText = Field(
        "",
        description="Styles: a JSON file as Fooocus's, a CSV file as AUTOMATIC1111's, or a folder"
        " of such; `styles.json` beside local models if empty. Read again when it changes.",
    )
    wildcards: LocalPathText = Field(
        "",
        description="Folder of wildcards for `prompt_syntax: dynamic`: text files, a value a line."
        " Read again when it changes.",
    )
    rules: LocalPathText = Field(
        "",
        description="Rules on prompts and pictures: a TOML file, or a folder of such;"
        " docs/rules.md. Read again when it changes.",
    )
    max_queued: int = Field(1_000, ge=1, description="Maximum number of queued jobs per model.")
    max_queue_wait_s: float = Field(
        900, gt=0, description="Jobs with a longer estimated wait are refused, if a worker is live."
    )
    max_cost_step_megapixels: float = Field(
        5_000,
        gt=0,
        description="Maximum cost of one request: megapixels × UNet calls × images.",
    )
    max_body_bytes: int = Field(64 * 1024, ge=1024, description="Maximum size of a JSON body.")
    max_wait_s: int = Field(60, ge=0, description="Maximum number of seconds in `Prefer: wait`.")
    url_ttl_s: int = Field(900, ge=1, description="Lifetime of a signed image URL.")
    max_image_bytes: int = Field(
        10 * 1024**2, ge=1024, description="Maximum size of an uploaded picture."
    )
    max_image_pixels: int = Field(
        4096**2, ge=1, le=8192**2, description="Maximum width × height of an uploaded picture."
    )
    max_upscale_pixels: int = Field(
        2 * 4096**2,
        ge=1,
        description="Maximum width × height of what an upscale makes, before it is scaled down.",
    )
    max_files: int = Field(1_000, ge=0, description="Maximum number of files per tenant.")
    max_files_bytes: int = Field(1024**3, ge=0, description="Maximum size of a tenant's files.")
    file_ttl_s: int = Field(86_400, ge=1, le=MAX_TTL_S, description="Lifetime of a file.")
    max_input_body_bytes: int = Field(
        25 * 1024**2,
        ge=1024,
        description="Maximum size of a JSON body on routes that take pictures.",
    )
    image_url_allow: str = Field(
        "",
        description="Hosts of image URLs in requests that may be private, comma-separated:"
        " `host:port` pairs and networks such as `10.0.0.0/8`.",
    )
    webhook_ports: str = Field("443", description="Ports allowed in webhook URLs, comma-separated.")
    webhook_allow: str = Field(
        "",
        description="Webhook receivers that may be private, comma-separated: `host:port` pairs,"
        " which may use http, and networks such as `10.0.0.0/8`.",
    )
    webhook_ca_file: LocalPathText = Field(
        "",
        description="PEM file of authorities that a receiver's certificate may be signed by,"
        " besides public ones.",
    )
    cors_origins: str = Field(
        "",
        description="Origins of web pages that may call the service from a browser,"
        " comma-separated: `https://shop.example`, or `*` for any. None if empty.",
    )
    auth: Word = Field(
        "auto",
        pattern=r"^(auto|on|off)$",
        description="Require API keys. `auto`: once a key exists or other machines can connect.",
    )
    bootstrap_key: SecretStr = Field(
        SecretStr(""), description="API key that is registered when the gateway starts."
    )
    bootstrap_key_file: LocalPathText = Field("", description="File with the bootstrap key.")
    signing_key: SecretStr = Field(
        SecretStr(""),
        description="Secret that signs the gateway's own file URLs. If empty, it is kept in"
        " data_dir, or with a bucket made of its secret key.",
    )

    @field_validator("public_url")
    @classmethod
    def _is_base_url(cls, value: str) -> str:
        if value and not is_base_url(value):
            raise ValueError("it must be http[s]://host[:port][/path]")
        if re.match("/(v1|docs|replicate|hf)(/|$)", urlsplit(value).path):
            raise ValueError(
                "its path must not begin with /v1, /docs, /replicate or /hf, which are added to it"
            )
        return value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        for origin in names(value):
            if origin != "*" and not (is_base_url(origin) and urlsplit(origin).path == ""):
                raise ValueError("an origin is http[s]://host[:port], without a path, or *")
        return value

    @property
    def path_prefix(self) -> str:
        """The path of `base_url`, decoded, such as `/pictures`; mostly empty."""
        return unquote(urlsplit(self.base_url).path)

    @property
    def base_url(self) -> str:
        """The URL for clients, without a trailing slash."""
        return self.public_url.rstrip("/") or f"http://{dialable(self.host)}:{self.port}"
