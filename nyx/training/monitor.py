"""What a person sees of a training: lines on stderr, a moving progress line on a terminal, and the same lines in a
log."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

from nyx import console


def duration(seconds: float) -> str:
    """Seconds as 0:42, 12:05 or 3:04:05."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Monitor:
    """Writes lines to a stream (stderr) and hands them to `log`; draws progress only where the stream is a terminal."""

    def __init__(self, log: Callable[[str], None] | None = None, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._log = log
        self._waiting: list[str] = []  # lines said before there is a log
        self._terminal = self._stream is not None and self._stream.isatty()
        self._drawn = 0.0
        self._width = 0

    def attach(self, log: Callable[[str], None]) -> None:
        """Every line said so far and from now on goes to `log` too."""
        for text in self._waiting:
            log(text)
        self._waiting.clear()
        self._log = log

    def line(self, text: str) -> None:
        """A line that stays."""
        self.end()
        console.write(self._stream, text + "\n")
        if self._log is not None:
            self._log(text)
        else:
            self._waiting.append(text)

    def progress(self, text: str) -> None:
        """A line that the next one replaces; at most ten a second, and none where the stream is a file."""
        now = time.monotonic()
        if not self._terminal or now - self._drawn < 0.1:
            return
        self._drawn = now
        self.end()
        text = console.visible(text)[: max(1, shutil.get_terminal_size().columns - 1)]
        self._width = len(text)
        console.write(self._stream, text)

    def end(self) -> None:
        """Takes the progress line away."""
        if self._width:
            console.erase(self._stream, self._width)
            self._width = 0


class Pace:
    """Characters per second and the time left, from the steps of this session alone."""

    def __init__(self) -> None:
        self._start = self._mark = time.monotonic()
        self._characters = self._since = 0
        self._taken = self._start

    def add(self, characters: int) -> None:
        """One step of so many characters is done."""
        self._characters += characters
        self._since += characters

    def pause(self, seconds: float) -> None:
        """Time that went to something else than training steps."""
        self._mark += seconds

    def lap(self) -> float:
        """Characters per second since the last lap."""
        now = time.monotonic()
        rate = self._since / max(now - self._mark, 1e-9)
        self._mark, self._since = now, 0
        return rate

    def rate(self) -> float:
        """Characters per second since the last lap, which goes on."""
        return self._since / max(time.monotonic() - self._mark, 1e-9)

    def left(self, characters: float) -> float:
        """Seconds that so many more characters will take, all else included."""
        return (time.monotonic() - self._start) / max(1, self._characters) * characters

    def take_elapsed(self) -> float:
        """Seconds since the last call, or since this session began."""
        now = time.monotonic()
        elapsed, self._taken = now - self._taken, now
        return elapsed
