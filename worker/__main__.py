"""`python -m worker`: a small parent that keeps one worker process alive."""

import logging
import os
import sys
from contextlib import suppress
from functools import partial

from worker.process.watchdog import EXIT_UNUSABLE, Watchdog

CHILD = "child"


def main(arguments: list[str]) -> int:
    """Without arguments the parent; `child FD` is the worker that it starts."""
    return _work(int(arguments[1])) if arguments[:1] == [CHILD] else _watch()


def _watch() -> int:
    watchdog = Watchdog([sys.executable, "-m", "worker", CHILD])
    watchdog.start()  # before anything is imported here: it has far more to import
    from latentry.errors import ConfigurationError
    from latentry.logs import configure_logs
    from latentry.settings import Settings

    with suppress(ConfigurationError):  # which the worker says, and ends by
        settings = Settings.from_env(os.environ)
        configure_logs(settings)
        watchdog.max_rss_bytes = settings.worker_max_rss_bytes
    return watchdog.run()


def _work(keepalive_fd: int) -> int:
    from latentry.errors import ConfigurationError
    from latentry.logs import configure_logs
    from latentry.settings import Settings

    try:
        settings = Settings.from_env(os.environ)
    except ConfigurationError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_UNUSABLE
    configure_logs(settings)
    # Imported here so that the parent stays small.
    from worker.engine.models.loading.early_digests import EarlyDigests
    from worker.process.importing import importing

    # Before the rest: torch and others take seconds to import.
    early = EarlyDigests.begun(settings.model_sources.values())
    with importing():
        from worker.app import run
        from worker.backends import open_backend
        from worker.process.keepalive import SocketKeepalive

    run(settings, SocketKeepalive(keepalive_fd), partial(open_backend, early=early))
    # Everything is stored and logged; tearing torch down would only delay a deploy by seconds.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
