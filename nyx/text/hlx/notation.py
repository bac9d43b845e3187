"""What the notations share: a reader that walks through a text, and how numbers, strings and names are written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import TypeVar

from nyx.errors import DataError
from nyx.text.hlx.values import NAME, Contract, Value

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
WHOLE = re.compile(r"[0-9]+")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
SPACE = re.compile(r"[ \t\r\n]*")
DEEPEST = 100  # nesting; deeper text is refused, so that no text can exhaust the stack
T = TypeVar("T")


class Reader:
    """A place in a text. A notation subclasses it and says in `value` how each value begins and ends."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def document(self) -> Value:
        """The one value the text is. Raises DataError (65) with the position where it is not one."""
        value = self.nested()
        self.skip()
        if self.at < len(self.text):
            raise self.error("the end of the text")
        return value

    def nested(self) -> Value:
        """A value inside another: `value`, with its depth watched."""
        if self.depth == DEEPEST:
            raise self.error(f"at most {DEEPEST} values inside each other")
        self.depth += 1
        self.skip()
        value = self.value()
        self.depth -= 1
        return value

    def value(self) -> Value:
        raise NotImplementedError

    def error(self, wanted: str) -> DataError:
        found = repr(self.text[self.at]) if self.at < len(self.text) else "the end"
        return DataError(f"character {self.at}: {found} where {wanted} is needed")

    def skip(self) -> None:
        match = SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def accept(self, mark: str) -> bool:
        """Step over `mark` (and spaces before it) if it comes next."""
        self.skip()
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        return True

    def expect(self, mark: str) -> None:
        if not self.accept(mark):
            raise self.error(repr(mark))

    def take(self, pattern: re.Pattern[str], wanted: str) -> str:
        match = pattern.match(self.text, self.at)
        if not match:
            raise self.error(wanted)
        self.at = match.end()
        return match.group()

    def many(self, item: Callable[[], T], end: str) -> list[T]:
        """Items with commas between them, up to and over `end`."""
        items: list[T] = []
        while not self.accept(end):
            if items:
                self.expect(",")
            items.append(item())
        return items

    def entries(self, end: str) -> dict[str, Value]:
        """The `name: value` pairs of an object, up to and over `end`."""
        pairs = self.many(self.entry, end)
        if len(dict(pairs)) < len(pairs):
            raise self.error("every name once in an object")
        return dict(pairs)

    def entry(self) -> tuple[str, Value]:
        self.skip()
        name = self.take(NAME, "a name")
        self.expect(":")
        return name, self.nested()

    def contract(self, number: int, fields: list[tuple[int, Value]]) -> Contract:
        if len(dict(fields)) < len(fields):
            raise self.error("every field once in a contract")
        return Contract(number, dict(fields))

    def whole(self) -> int:
        return self.convert(int, self.take(WHOLE, "a whole number"))

    def number(self) -> int | float:
        text = self.take(NUMBER, "a value")
        return self.convert(int if text.lstrip("-").isdigit() else _finite, text)

    def string(self) -> str:
        return self.convert(_unquote, self.take(STRING, 'a string that ends with "'))

    def convert(self, to: Callable[[str], T], text: str) -> T:
        """`to(text)`, with its ValueError (too many digits, a bad escape) as a DataError."""
        try:
            return to(text)
        except ValueError:
            self.at -= len(text)
            raise self.error("a well-formed value") from None


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("too large")
    return number


def _unquote(text: str) -> str:
    string = json.loads(text)
    string.encode()  # a lone surrogate, written as an escape, is no character
    return string


def write_number(number: int | float) -> str:
    """Shortest digits that read back the same. Raises ValueError for infinities and NaN: no notation has them."""
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError(f"{number} has no notation")
    return repr(number)


def write_string(text: str) -> str:
    """In double quotes; a quote, a backslash and control characters as JSON escapes (RFC 8259, section 7)."""
    return json.dumps(text, ensure_ascii=False)


def checked(name: str, pattern: re.Pattern[str]) -> str:
    """The name of a key (NAME) or handle (TAG). Raises ValueError for one that could not be read back."""
    if not pattern.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a name in this language")
    return name


def write_object(fields: dict[str, Value], write: Callable[[Value], str]) -> str:
    """The `name: value` pairs of an object, with commas."""
    return ", ".join(f"{checked(name, NAME)}: {write(value)}" for name, value in fields.items())


def whole(number: int) -> str:
    """The number of a contract or field. Raises ValueError for a negative one."""
    if number < 0:
        raise ValueError(f"{number} cannot be the number of a contract or a field")
    return str(number)
