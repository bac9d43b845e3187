"""The one place that writes to people: lines on stderr, answers on stdout.

What comes from a text, a name, an option, a device or another library's message may hold characters that steer a
terminal or reorder what it shows (control characters, escape sequences, bidirectional overrides). They are written as
escapes, here and in every log. A stream that fails becomes a null stream: what only tells never ends a training.
"""

from __future__ import annotations

import io
import json
import os
import re
import select
import sys
import threading
import warnings
from typing import Any, TextIO

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with every character that steers a terminal as its escape; newlines and tabs stay."""
    return _STEERING.sub(lambda match: ascii(match[0])[1:-1], text)


def json_text(value: Any) -> str:
    """JSON over several lines, readable in any language; what steers a terminal is escaped as JSON escapes it."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _STEERING.sub(lambda match: json.dumps(match[0])[1:-1], text)


def say(text: str) -> None:
    """A line for people, on stderr. Never raises."""
    write(sys.stderr, text + "\n")


def write(stream: TextIO | None, text: str) -> None:
    """Writes for people, escaped. A stream that fails takes everything from then on, and shows it to nobody."""
    _write(stream, visible(text))


def erase(stream: TextIO | None, width: int) -> None:
    """Takes back so many characters of the line that is being written."""
    _write(stream, "\r" + " " * width + "\r")


def answer(text: str, *, raw: bool = False) -> None:
    """Writes the product of a command to stdout, as it is where `raw` and stdout is no terminal. Raises OSError."""
    if sys.stdout is None:
        return
    sys.stdout.write(text if raw and not sys.stdout.isatty() else visible(text))
    sys.stdout.flush()


def urgent(text: str) -> None:
    """Writes to stderr from a thread that must not wait: neither for the lock of the stream nor for its reader."""
    try:
        start = "\n" if os.isatty(2) else ""
        if os.name == "nt" or select.select([], [2], [], 0.2)[1]:
            os.write(2, f"{start}{visible(text)}\n".encode("utf-8", "backslashreplace"))
    except (OSError, ValueError):
        pass


def open_streams() -> None:
    """Closed standard streams become null streams, and none fails for a character that its encoding has not.

    Their descriptors are taken too, so that no file which is opened later becomes the standard output.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def hear_warnings() -> None:
    """What Python and libraries would print on their own, with lines of code, comes as one line through here."""
    warnings.showwarning = lambda message, category, *_, **__: say(f"warning: {message}")
    sys.unraisablehook = lambda fault: say(f"warning: {fault.exc_type.__name__}: {fault.exc_value}")
    threading.excepthook = lambda fault: say(f"warning: {fault.exc_type.__name__}: {fault.exc_value}")


def close_streams() -> OSError | None:
    """Hands over what is still to be written; the error with which stdout refused it, unless its reader is gone."""
    write(sys.stderr, "")
    stdout = sys.stdout
    if stdout is None or stdout.closed:
        return None
    try:
        stdout.flush()
    except OSError as error:
        _silence(stdout)
        return None if isinstance(error, BrokenPipeError) else error
    return None


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        _silence(stream)


def _silence(stream: TextIO) -> None:
    """What is written to the stream from now on, and what it still holds, goes nowhere."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
    except (OSError, ValueError):
        pass
