"""Signals that ask the program to end, heard at once: also while native code runs and Python does not.

The handler that Python knows does nothing. The number of the signal goes through a wakeup descriptor (PEP 475) to a
thread, which reacts.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from nyx import console, files

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
SIGINT = int(signal.SIGINT)
React = Callable[[int], None]

_listening: list[tuple[React, frozenset[int]]] = []  # the innermost is the last


@contextmanager
def listening(react: React, names: Sequence[str] = ENDING) -> Iterator[None]:
    """Inside, `react(signum)` is called in a thread of its own whenever one of these signals comes.

    Inside of another one the inner one hears. A signal that the process was started to ignore stays ignored (nohup).
    Only the main thread can listen; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in numbers}
    _listening.append((react, frozenset(numbers)))
    try:
        with _thread() if len(_listening) == 1 else _nothing():
            try:
                for number in numbers:
                    signal.signal(number, _heard)
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, signal.SIG_DFL if handler is None else handler)
    finally:
        _listening.pop()


def end_now(signum: int, text: str) -> NoReturn:
    """Ends the process from any thread, with the exit code of the signal. Temporary files go, nothing else is done."""
    console.urgent(text)
    files.remove_own_temporaries()
    os._exit(128 + signum)


def _heard(signum: int, frame: FrameType | None) -> None:
    """The handler: the thread has the number already."""


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _thread() -> Iterator[None]:
    """Inside, a thread reads the wakeup descriptor and hands every number to the innermost reaction."""
    reader, writer = socket.socketpair()  # Windows wakes up sockets alone
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=_read, args=(reader,), name="nyx signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        writer.send(b"\0")
        thread.join()
        reader.close()
        writer.close()


def _read(reader: socket.socket) -> None:
    while (numbers := reader.recv(64)) and 0 not in numbers:
        for number in numbers:
            for react in [react for react, wanted in reversed(_listening) if number in wanted][:1]:
                react(number)
