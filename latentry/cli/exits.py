"""Exit codes of all commands, as docs/cli.md lists them."""

from enum import IntEnum

from latentry.errors import ConfigurationError, InvalidRequest, LatentryError, LedgerMisconfigured


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    """The service refused it, a job ended without images, a file could not be written."""
    MISUSED = 2
    """An option, a request or a setting is wrong; nothing was done."""
    LATER = 3
    """The service does not respond or has no room now: the same command may succeed later."""
    INTERRUPTED = 130


def exit_of(error: Exception) -> Exit:
    """How a command ends that raised this."""
    if isinstance(error, InvalidRequest | ConfigurationError | LedgerMisconfigured):
        return Exit.MISUSED
    if isinstance(error, LatentryError) and error.retryable:
        return Exit.LATER
    return Exit.FAILED
