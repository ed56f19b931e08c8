"""Whether a file is still the one that it was, by what its file system says of it."""

import os
from typing import TypeAlias

FileState: TypeAlias = tuple[int, int, int]


def file_state(stat: os.stat_result) -> FileState:
    """Size, and the times of its last writing and change in nanoseconds.

    Whoever writes into a file or moves another one to its place changes the last of them, and
    nobody can set it. Its inode would say no more: and mounts without inodes (FUSE, some network
    drives) invent one whenever they are asked, by which a file would be another one at each look.
    """
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
