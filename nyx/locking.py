"""An exclusive lock on an open file, for Linux and its like, and for Windows."""

from __future__ import annotations

import os
import sys


def take(descriptor: int) -> bool:
    """Lock the file that is open here; False when another process, or another descriptor, has the lock.

    The system frees it when the descriptor is closed, also by the end of the process. Others can still read the file
   . Raises OSError where the file system has no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # a byte behind the end: the content stays readable
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
