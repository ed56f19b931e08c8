"""Structured logs of both processes: secrets are redacted, and prompts are never logged."""

import logging
import re
import sys
from contextlib import suppress
from threading import Lock
from typing import Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from latentry.settings import Settings

_CREDENTIALS: Final = re.compile(r"(?<=://)[^/\s]*@")
_PLAIN: Final = re.compile(r"""[^ \t=\r\n"']*""")
_API_KEY: Final = re.compile(r"(ltk_[0-9A-Za-z]+_)[0-9A-Za-z_]+")


def configure_logs(settings: Settings) -> None:
    """Write our events and the libraries' lines to standard error, as text or JSON lines."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # As one string: richer renderers print local variables, which include prompts.
        structlog.processors.format_exc_info,
        redact_credentials,
    ]
    # Our own lines do not go through `logging`: that makes each three times as expensive.
    structlog.configure(
        processors=[*shared, _renderer(settings)],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level.lower()),
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


_NAMED: Final = structlog.stdlib.LoggerFactory(ignore_frame_names=[__name__])
_WRITING: Final = Lock()


class _Lines:
    """Writes lines to standard error; named after the module that logs."""

    def __init__(self, *_: object) -> None:
        self.name = _NAMED().name
        self._stream = sys.stderr

    def info(self, line: str) -> None:
        """Write a line. As in `logging`, nothing fails because it cannot be written."""
        with _WRITING, suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = warning = error = critical = info


def redact_credentials(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace `user:password@` in URLs and the secrets of API keys, in all values of an event."""
    return {
        key: _redacted(value) if isinstance(value, str) else value for key, value in event.items()
    }


def _redacted(text: str) -> str:
    if "://" not in text and "ltk_" not in text:  # nearly all
        return text
    return _API_KEY.sub(r"\1***", _CREDENTIALS.sub("***@", text))


def _renderer(settings: Settings) -> Processor:
    if settings.log_format == "json":
        return structlog.processors.JSONRenderer()
    if not sys.stderr.isatty():
        return _plain
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def _plain(_: WrappedLogger, __: str, event: EventDict) -> str:
    """A line as structlog's ConsoleRenderer writes it without colors, in a third of the time."""
    time, level, what, name = map(event.pop, ("timestamp", "level", "event", "logger"))
    exception = event.pop("exception", None)
    line = f"{time} [{level:<9}] {what!s:<30} [{name}]"
    for key in sorted(event):
        line += f" {key}={_value(event[key])}"
    return line if exception is None else f"{line}\n{exception}"


def _value(value: object) -> str:
    is_plain = isinstance(value, str) and _PLAIN.fullmatch(value)
    return str(value) if is_plain else repr(value)
