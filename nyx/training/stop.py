"""A request to stop a training: the first signal asks for it, a later one ends the process at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from nyx import console, signals

PATIENCE = 2.0  # seconds in which a second signal is taken for the first: people press Ctrl-C twice


class StopRequested(Exception):
    """What may be left in the middle is left: an evaluation, a sample."""


class StopRequest:
    """A context in which SIGINT, SIGTERM and SIGHUP set `signum` instead of ending the process.

    work() says in words what is finished first; kept() what is kept if a second signal gives that up.
    """

    def __init__(self, work: Callable[[], str], kept: Callable[[], str]) -> None:
        self.signum: int | None = None
        self._work, self._kept = work, kept
        self._since = 0.0
        self._listening: AbstractContextManager[None] | None = None

    def check(self) -> None:
        """Raises StopRequested after a signal."""
        if self.signum is not None:
            raise StopRequested

    def __enter__(self) -> StopRequest:
        self._listening = signals.listening(self._react)
        self._listening.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.__exit__(kind, error, trace)

    def _react(self, signum: int) -> None:
        """Called in the thread that hears signals, while the training goes on."""
        now = time.monotonic()
        if self.signum is None:
            self.signum, self._since = signum, now
            again = "Ctrl-C again" if signum == signals.SIGINT else "another signal"
            console.urgent(f"stopping: {self._work()}; {again} ends at once and keeps {self._kept()}")
        elif now - self._since >= PATIENCE:
            signals.end_now(signum, f"nyx: ended at once; kept is {self._kept()}")
