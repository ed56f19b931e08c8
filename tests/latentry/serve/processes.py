"""Looking at processes from outside."""

import os
import re
import select


def ends(pid, within_s=15.0):
    """Whether the process is gone, or goes within the time."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        return bool(poll.poll(within_s * 1000))
    finally:
        os.close(watched)


def lives(pid):
    return not ends(pid, within_s=0)


def read_until(stream, pattern):
    """The match of the first line that has one, and the lines before it."""
    before = []
    for line in stream:
        found = re.search(pattern, line)
        if found:
            return found, before
        before.append(line)
    raise AssertionError(f"{pattern!r} is in none of:\n" + "".join(before))
