"""The values of the small language: one model that every notation writes and reads.

null, booleans, integers, floats and strings are Python's None, bool, int, float, str; bytes are bytes; an array is a
list; an object is a dict with names as keys; Handle and Contract are the language's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, Union

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # keys of objects
TAG = re.compile(r"[A-Za-z0-9_]+")  # tags of handles


@dataclass(frozen=True)
class Handle:
    """A reference to something by its tag (letters, digits, underscores)."""

    tag: str


@dataclass(frozen=True)
class Contract:
    """A record of a numbered kind with numbered fields, in the order they are written; 1000 is an operation."""

    number: int
    fields: Mapping[int, Value]


Value: TypeAlias = Union[bool, int, float, str, bytes, Handle, Contract, "list[Value]", "dict[str, Value]", None]


def operation(*fields: Value) -> Contract:
    """Contract 1000: the operation's name and what it works on, in fields 0, 1, 2, ..."""
    return Contract(1000, dict(enumerate(fields)))


def sequence(*steps: Value) -> Contract:
    """Contract 14 holding the steps of a pipeline in fields 0, 1, 2, ..."""
    return Contract(14, dict(enumerate(steps)))
