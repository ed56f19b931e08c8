"""`python -m worker`: a small parent that keeps one worker process alive."""

import logging
import os
import sys

from latentry.errors import ConfigurationError
from latentry.logs import configure_logs
from latentry.settings import Settings
from worker.process.watchdog import Watchdog

CHILD = "child"


def main(arguments: list[str]) -> int:
    """Without arguments the parent; `child FD` is the worker that it starts."""
    try:
        settings = Settings.from_env(os.environ)
    except ConfigurationError as error:
        sys.stderr.write(f"{error.message}\n")
        return 2
    configure_logs(settings)
    if arguments[:1] == [CHILD]:
        # Imported here so that the parent stays small.
        from worker.app import run
        from worker.process.keepalive import SocketKeepalive

        run(settings, SocketKeepalive(int(arguments[1])))
        # Everything is stored and logged; tearing torch down would only delay a deploy by seconds.
        logging.shutdown()
        os._exit(0)
    command = [sys.executable, "-m", "worker", CHILD]
    return Watchdog(command, max_rss_bytes=settings.worker_max_rss_bytes).run()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
