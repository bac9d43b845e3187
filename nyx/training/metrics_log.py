"""metrics.jsonl of a run: one JSON object a line, only ever appended to.

A resume does not touch the lines that its checkpoint does not know; it appends a marker, {"event": "resume",
"attempt": a, "parent": p, "from_step": n}: attempt a goes on where attempt p was after step n. Readers follow the
parents from the last attempt, so what was superseded is out, whatever was resumed from where and how often.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nyx.errors import MissingInputError
from nyx.files import AnyPath, append_line, open_input

FILE = "metrics.jsonl"
RESUME = "resume"


@dataclass
class _Attempt:
    parent: int | None
    from_step: float
    lines: list[dict[str, Any]] = field(default_factory=list)


def _plain(value: Any) -> Any:
    """Values of JSON: NumPy's numbers as numbers, what is not finite as null, a path as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_line(record: Mapping[str, Any]) -> str:
    """The record as strict JSON in one ASCII line."""
    return json.dumps(_plain(record), allow_nan=False, separators=(",", ":"))


def mark_resume(path: AnyPath, attempt: int, parent: int, from_step: int) -> None:
    """Say that all that follows is `attempt`, going on from step `from_step` of attempt `parent`."""
    marker = {"event": RESUME, "attempt": attempt, "parent": parent, "from_step": from_step}
    append_line(path, to_line(marker), durable=True)


def _attempts(data: bytes) -> list[tuple[int, _Attempt]]:
    attempts = [(0, _Attempt(None, math.inf))]
    for line in data.split(b"\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # empty, or torn when a process or the disk ended in the middle of it
            continue
        if not isinstance(record, dict):
            continue
        if record.get("event") != RESUME:
            attempts[-1][1].lines.append(record)
        elif all(type(record.get(key)) is int for key in ("attempt", "parent", "from_step")):
            attempts.append((record["attempt"], _Attempt(record["parent"], record["from_step"])))
    return attempts


def read_metrics(path: AnyPath, superseded: bool = False) -> list[dict[str, Any]]:
    """The records of a run (its folder or its file), in order, without those a resume has superseded unless asked.

    A torn line is left out. Raises MissingInputError when there is no such file.
    """
    file = Path(path) / FILE if os.path.isdir(path) else Path(path)
    with open(open_input(file, MissingInputError), "rb") as stream:
        listed = _attempts(stream.read())
    if superseded:
        return [line for _, attempt in listed for line in attempt.lines]
    by_number = dict(listed)
    number: int | None = listed[-1][0]
    limit, parts = math.inf, []
    while number is not None and number in by_number:
        attempt = by_number.pop(number)  # so that a circle ends
        parts.append([line for line in attempt.lines if not _beyond(line, limit)])
        number, limit = attempt.parent, attempt.from_step
    return [line for part in reversed(parts) for line in part]


def _beyond(line: Mapping[str, Any], limit: float) -> bool:
    step = line.get("step")
    return isinstance(step, int | float) and step > limit
