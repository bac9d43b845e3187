"""What Nyx wrote itself, told by its content: no folder and no pattern takes it for a corpus."""

from __future__ import annotations

import json
import os
from pathlib import Path

from nyx.errors import NyxError
from nyx.files import open_input
from nyx.text.cache import MAGIC
from nyx.text.kinds import CHECKPOINT

_RUN_FILE, _RUN_BYTES = "run.json", 1 << 26


def is_run(folder: Path) -> bool:
    """Whether this is the directory of a run: its run.json has the run's id and its attempts."""
    try:
        with os.fdopen(open_input(folder / _RUN_FILE), "rb") as file:
            run = json.loads(file.read(_RUN_BYTES))
    except (NyxError, OSError, ValueError, RecursionError):
        return False
    return isinstance(run, dict) and isinstance(run.get("id"), str) and isinstance(run.get("attempts"), list)


def in_run(folder: Path) -> bool:
    """Whether it is such a directory, or lies in one."""
    path = folder.absolute()
    return any(is_run(above) for above in (path, *path.parents))


def is_ours(path: Path) -> bool:
    """Whether a file is a checkpoint, exported weights, or an entry of the cache of texts."""
    try:
        with os.fdopen(open_input(path), "rb") as file:
            at, begins = CHECKPOINT
            head = file.read(at + len(begins))
            file.seek(max(0, os.fstat(file.fileno()).st_size - 16))
            return head.startswith(begins, at) or file.read(len(MAGIC)) == MAGIC
    except (NyxError, OSError):
        return False
