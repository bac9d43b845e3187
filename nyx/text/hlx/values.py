"""The values of the small language: one model that every notation writes and reads.

null, booleans, integers, floats and strings are Python's None, bool, int, float, str; bytes are bytes; an array is a
list; an object is a dict with names as keys; Handle and Contract are the language's own. `check` says what is a value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, Union

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # keys of objects
TAG = re.compile(r"[A-Za-z0-9_]+")  # tags of handles
DEEPEST = 100  # values inside each other; no text can exhaust the stack
MOST_DIGITS = 1000  # of an integer in decimal
LARGEST = 10**MOST_DIGITS


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
OPERATION, ERROR, SEQUENCE = 1000, 1001, 14


def operation(*fields: Any) -> Contract:
    """Contract 1000: the operation's name and what it works on, in fields 0, 1, ... (values, or patterns of them)."""
    return Contract(OPERATION, dict(enumerate(fields)))


def error(reason: str, request: Value) -> Contract:
    """Contract 1001: a request that cannot be met, with the reason in field 0 and the request in field 1."""
    return Contract(ERROR, {0: reason, 1: request})


def sequence(*steps: Value) -> Contract:
    """Contract 14 holding the steps of a pipeline in fields 0, 1, 2, ..."""
    return Contract(SEQUENCE, dict(enumerate(steps)))


def check(value: Value, depth: int = 1) -> None:
    """Raises ValueError for what no notation can say (infinities and NaN, lone surrogates, other names and tags than
    NAME and TAG, negative numbers of contracts and fields, more than MOST_DIGITS digits, more than DEEPEST values
    inside each other), TypeError for what is no value at all."""
    if depth > DEEPEST:
        raise ValueError(f"more than {DEEPEST} values inside each other have no notation")
    match value:
        case None | bool() | bytes():
            pass
        case int():
            _check_size(value)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} has no notation")
        case str():
            if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
                raise ValueError("a lone surrogate has no notation")
        case Handle():
            _check_name(value.tag, TAG)
        case list():
            for item in value:
                check(item, depth + 1)
        case dict():
            for name, item in value.items():
                _check_name(name, NAME)
                check(item, depth + 1)
        case Contract():
            for number in (value.number, *value.fields):
                if number < 0:
                    raise ValueError(f"{number} cannot be the number of a contract or a field")
                _check_size(number)
            for item in value.fields.values():
                check(item, depth + 1)
        case _:
            raise TypeError(f"{type(value).__name__} is no value of this language")


def same(a: Value, b: Value) -> bool:
    """Whether two values are one: types count (1, 1.0 and true differ), the order of names and fields does not."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return repr(a) == repr(b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(item, b[name]) for name, item in a.items())
    if isinstance(a, Contract) and isinstance(b, Contract):
        return a.number == b.number and same(dict(a.fields), dict(b.fields))  # type: ignore[arg-type]
    return a == b


def _check_size(number: int) -> None:
    if not -LARGEST < number < LARGEST:
        raise ValueError(f"an integer of more than {MOST_DIGITS} digits has no notation")


def _check_name(name: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a name in this language")
