"""The files of a run that only tell of it: a write that fails is warned of once, and never ends the training."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from nyx import files
from nyx.errors import StorageError

MOST = 100_000  # lines kept of those that could not be written


class SideFile:
    """One such file. What could not be appended is written, in order, with the next line that can be."""

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self.path, self._warn = path, warn
        self._missed: deque[str] = deque(maxlen=MOST)
        self._warned = False

    def append(self, text: str) -> None:
        """Adds a line, or several."""
        self._missed.append(text)
        self.catch_up()

    def catch_up(self) -> None:
        """Tries again what is missing."""
        if self._missed and self._attempt(lambda: files.append_line(self.path, "\n".join(self._missed))):
            self._missed.clear()

    def replace(self, text: str) -> None:
        """Puts the text in place of what the file holds; not synced, since it tells only of the moment."""
        self._attempt(lambda: files.write_text(self.path, text, durable=False))

    def sync(self) -> None:
        """Makes what was appended survive a power cut."""
        self.catch_up()
        self._attempt(lambda: files.sync_file(self.path))

    def _attempt(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except StorageError as error:
            if not self._warned:
                self._warned = True  # first, since the warning may go into this very file
                self._warn(f"warning: {error}; the training goes on without it")
            return False
        return True
