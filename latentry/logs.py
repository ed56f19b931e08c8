"""One way to log for both processes: structured event words, secrets struck out, never a prompt."""

import logging
import re
import sys
from typing import Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from latentry.settings import Settings

_CREDENTIALS: Final = re.compile(r"(?<=://)[^/\s]*@")
_API_KEY: Final = re.compile(r"(ltk_[0-9A-Za-z]+_)[0-9A-Za-z_]+")


def configure_logs(settings: Settings) -> None:
    """Send our events and every library's lines to stderr, as text or as JSON, one line each."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # As one string: the richer renderers print local variables, and prompts with them.
        structlog.processors.format_exc_info,
        strike_out_credentials,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(settings),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())


def strike_out_credentials(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace `user:password@` in URLs and the secrets of API keys, whoever wrote them there."""
    return {
        key: _struck_out(value) if isinstance(value, str) else value for key, value in event.items()
    }


def _struck_out(text: str) -> str:
    return _API_KEY.sub(r"\1***", _CREDENTIALS.sub("***@", text))


def _renderer(settings: Settings) -> Processor:
    if settings.log_format == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
