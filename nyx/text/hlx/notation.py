"""What the notations share: a writer that walks through a value, and a reader that walks through a text.

A notation is a module with write(value), read(text) and BRACKETS, the marks that open and those that close them.
"""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from nyx.errors import DataError
from nyx.text.hlx.values import DEEPEST, MOST_DIGITS, NAME, Contract, Handle, Value, check

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
WHOLE = re.compile(r"[0-9]+")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
SPACE = re.compile(r"[ \t\r\n]*")
HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")
T = TypeVar("T")


class Notation(Protocol):
    """One way to write every value (see values.py) as a line of text, and to read it back."""

    BRACKETS: dict[str, str]

    def write(self, value: Value) -> str:
        """The value on one line. Raises ValueError for what values.check refuses."""
        ...

    def read(self, text: str) -> Value:
        """The value that `text` is. Raises DataError (65) with the position where it is none."""
        ...


class Writer(ABC):
    """How values are written. A notation subclasses it and says how it marks them.

    null, true, false: those constants. handle, hexadecimal: what stands before a tag, and before the digits of bytes.
    array, record: what stands around the parts of an array and of an object. comma, colon: between parts, and between
    a name and its value.
    """

    null: str
    true: str
    false: str
    handle: str
    hexadecimal: str
    array: tuple[str, str] = ("[", "]")
    record: tuple[str, str] = ("{", "}")
    comma = ", "
    colon = ": "

    def document(self, value: Value) -> str:
        """The text of one value. Raises ValueError for what values.check refuses."""
        check(value)
        return self.value(value)

    def value(self, value: Value) -> str:
        """A value inside a text."""
        match value:
            case None:
                return self.null
            case bool():
                return self.true if value else self.false
            case int():
                return self.integer(value)
            case float():
                return repr(value)
            case str():
                return json.dumps(value, ensure_ascii=False)  # JSON's escapes (RFC 8259, section 7)
            case bytes():
                return self.raw(value)
            case Handle():
                return self.handle + value.tag
            case Contract():
                return self.contract(value.number, [(n, self.value(field)) for n, field in value.fields.items()])
            case list():
                return self.comma.join(map(self.value, value)).join(self.array)
            case dict():
                pairs = (f"{self.name(name)}{self.colon}{self.value(item)}" for name, item in value.items())
                return self.comma.join(pairs).join(self.record)

    def integer(self, number: int) -> str:
        return repr(number)

    def raw(self, data: bytes) -> str:
        return self.hexadecimal + data.hex()

    def name(self, name: str) -> str:
        """The name of an object's part."""
        return name

    @abstractmethod
    def contract(self, number: int, fields: Sequence[tuple[int, str]]) -> str:
        """A contract, of its fields as they are written."""


class Reader:
    """A place in a text. A notation subclasses it and says in `value` how each value begins and ends."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def document(self) -> Value:
        """The one value the text is. Raises DataError (65) with the position where it is not one."""
        return self.ended(self.nested())

    def ended(self, value: Value) -> Value:
        """`value`, when nothing but spaces is left."""
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
        name = self.name()
        self.expect(":")
        return name, self.nested()

    def name(self) -> str:
        return self.take(NAME, "a name")

    def word(self, words: Mapping[str, Value]) -> Value:
        """One of the words that stand for a value."""
        word = NAME.match(self.text, self.at)
        if not word or word.group() not in words:
            raise self.error("a value")
        self.at = word.end()
        return words[word.group()]

    def simple(self) -> str | int | float:
        return self.string() if self.text.startswith('"', self.at) else self.number()

    def contract(self, number: int, fields: list[tuple[int, Value]]) -> Contract:
        if len(dict(fields)) < len(fields):
            raise self.error("every field once in a contract")
        return Contract(number, dict(fields))

    def whole(self) -> int:
        self.skip()
        return self.convert(_integer, self.take(WHOLE, "a whole number"))

    def number(self) -> int | float:
        text = self.take(NUMBER, "a value")
        return self.convert(_integer if text.lstrip("-").isdigit() else _finite, text)

    def string(self) -> str:
        return self.convert(_unquote, self.take(STRING, 'a string that ends with "'))

    def convert(self, to: Callable[[str], T], text: str) -> T:
        """`to(text)`, with its ValueError (too many digits, a bad escape) as a DataError."""
        try:
            return to(text)
        except ValueError:
            self.at -= len(text)
            raise self.error("a well-formed value") from None


def _integer(text: str) -> int:
    if len(text.lstrip("-0")) > MOST_DIGITS:
        raise ValueError("too many digits")
    return int(text.lstrip("0") or "0") if text[0] != "-" else -int(text.lstrip("-0") or "0")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("too large")
    return number


def _unquote(text: str) -> str:
    string = json.loads(text)
    string.encode()  # a lone surrogate, written as an escape, is no character
    return string


def balanced(text: str, brackets: Mapping[str, str]) -> bool:
    """Whether every bracket outside of strings is closed by its own kind, and every string ends."""
    return closed_after([text], brackets) == 1


def closed_after(parts: Iterable[str], brackets: Mapping[str, str]) -> int | None:
    """The least number of parts, one or more, in which every bracket outside of strings is closed by its own kind; None
    where another kind closes one, a part ends inside a string, or they are never all closed."""
    open_ones: list[str] = []
    closing = frozenset(brackets.values())
    for number, text in enumerate(parts, 1):
        at = 0
        while at < len(text):
            mark = text[at]
            at += 1
            if mark == '"':
                string = STRING.match(text, at - 1)
                if not string:
                    return None
                at = string.end()
            elif mark in brackets:
                open_ones.append(brackets[mark])
            elif mark in closing and (not open_ones or open_ones.pop() != mark):
                return None
        if not open_ones:
            return number
    return None
