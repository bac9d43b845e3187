"""LC-B, the notation with integers as bytes in hex.

A text is one value in square brackets. Inside: _ null, T true, F false, 0x and hex digits for an integer, decimal
digits with a point or an exponent for a float, "strings", # and hex digits for bytes, &tag for a handle, [a,b] for an
array, {name:a,name:b} for an object, [number|0:a|1:b] for a contract. Spaces between the parts are read.

Rules where these marks alone would mean two things:
- An integer is whole bytes, the highest first: one byte is 0..255; two and more are a two's complement, as few as hold
  the number. So 200 is 0xc8, 1000 is 0x03e8, -100 is 0xff9c and 65436 is 0x00ff9c. An odd number of digits is read
  with a 0 before them.
- A decimal number after [ and before | or ] is the number of a contract; there is no other integer in decimal. So [21]
  is a contract without fields.
- The brackets of a contract are those of its text as well: [14|0:T], not [[14|0:T]] (which is read). An array has both:
  [[]] is the empty array, and [[[14|0:T]]] an array with a contract in it.
- Bytes and strings are the same as in LC-T.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nyx.text.hlx.notation import HEX, Reader, Writer
from nyx.text.hlx.values import LARGEST, NAME, TAG, Contract, Handle, Value

BRACKETS = {"[": "]", "{": "}"}
WORDS: dict[str, Value] = {"_": None, "T": True, "F": False}
CONTRACT = re.compile(r"\[(?=[ \t\r\n]*[0-9]+[ \t\r\n]*[|\]])")
INTEGER = re.compile(r"0x[0-9a-fA-F]+")


def write(value: Value) -> str:
    """The value in LC-B on one line. Raises ValueError for what values.check refuses."""
    text = _Writer().document(value)
    return text if isinstance(value, Contract) else f"[{text}]"


def read(text: str) -> Value:
    """The value that `text` is. Raises DataError (65) with the position where it is not LC-B."""
    return _Reader(text).document()


class _Writer(Writer):
    null, true, false = "_", "T", "F"
    handle, hexadecimal = "&", "#"
    comma, colon = ",", ":"

    def integer(self, number: int) -> str:
        return _integer(number)

    def contract(self, number: int, fields: Sequence[tuple[int, str]]) -> str:
        return f"[{number}" + "".join(f"|{index}:{text}" for index, text in fields) + "]"


def _integer(number: int) -> str:
    if 0 <= number < 256:
        return f"0x{number:02x}"
    bits = (number if number >= 0 else ~number).bit_length()
    return "0x" + number.to_bytes(max(2, bits // 8 + 1), "big", signed=True).hex()


def _from_hex(text: str) -> int:
    digits = text[2:] if len(text) % 2 == 0 else "0" + text[2:]
    number = int.from_bytes(bytes.fromhex(digits), "big", signed=len(digits) > 2)
    if not -LARGEST < number < LARGEST:
        raise ValueError("too many digits")
    return number


class _Reader(Reader):
    def document(self) -> Value:
        self.skip()
        framed = not CONTRACT.match(self.text, self.at)
        if framed:
            self.expect("[")
        value = self.nested()
        if framed:
            self.expect("]")
        return self.ended(value)

    def value(self) -> Value:
        if self.accept("&"):
            return Handle(self.take(TAG, "the tag of a handle"))
        if self.accept("#"):
            return bytes.fromhex(self.take(HEX, "hex digits"))
        if begin := CONTRACT.match(self.text, self.at):
            self.at = begin.end()
            return self._contract()
        if self.accept("["):
            return self.many(self.nested, "]")
        if self.accept("{"):
            return self.entries("}")
        if INTEGER.match(self.text, self.at):
            return self.convert(_from_hex, self.take(INTEGER, "an integer"))
        return self.word(WORDS) if NAME.match(self.text, self.at) else self.simple()

    def number(self) -> int | float:
        start = self.at
        number = super().number()
        if isinstance(number, int):
            self.at = start
            raise self.error("a float, or an integer as 0x and hex digits,")
        return number

    def _contract(self) -> Contract:
        number = self.whole()
        fields: list[tuple[int, Value]] = []
        while self.accept("|"):
            index = self.whole()
            self.expect(":")
            fields.append((index, self.nested()))
        self.expect("]")
        return self.contract(number, fields)
