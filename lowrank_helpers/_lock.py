"""One writer at a time in a folder, where the system has locks of folders."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(folder: Path, *, wait: bool) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process; a BlockingIOError if another has it and none may wait.

    The lock is on the folder itself, so it leaves no file behind. Windows has none: there nothing is locked.
    """
    if os.name != "posix":
        yield
        return
    import fcntl

    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(number)
