"""LC-T, the notation in plain text without spaces.

NULL, TRUE, FALSE, numbers in decimal, "strings", # and hex digits for bytes, @tag for a handle, [a,b] for an array,
{name:a,name:b} for an object, {C:number,0=a,1=b} for a contract. Spaces between the parts are read.

Without a rule, {C:14} would be both a contract without fields and an object whose one name is C. So {C: always begins
a contract, and the name C of an object is written as a string, {"C":14}; every name is read in that form too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nyx.text.hlx.notation import HEX, Reader, Writer
from nyx.text.hlx.values import NAME, TAG, Contract, Handle, Value

BRACKETS = {"[": "]", "{": "}"}
WORDS: dict[str, Value] = {"NULL": None, "TRUE": True, "FALSE": False}
CONTRACT = re.compile(r"\{[ \t\r\n]*C[ \t\r\n]*:")


def write(value: Value) -> str:
    """The value in LC-T on one line. Raises ValueError for what values.check refuses."""
    return _Writer().document(value)


def read(text: str) -> Value:
    """The value that `text` is. Raises DataError (65) with the position where it is not LC-T."""
    return _Reader(text).document()


class _Writer(Writer):
    null, true, false = "NULL", "TRUE", "FALSE"
    handle, hexadecimal = "@", "#"
    comma, colon = ",", ":"

    def name(self, name: str) -> str:
        return '"C"' if name == "C" else name

    def contract(self, number: int, fields: Sequence[tuple[int, str]]) -> str:
        return f"{{C:{number}" + "".join(f",{index}={text}" for index, text in fields) + "}"


class _Reader(Reader):
    def value(self) -> Value:
        if self.accept("@"):
            return Handle(self.take(TAG, "the tag of a handle"))
        if self.accept("#"):
            return bytes.fromhex(self.take(HEX, "hex digits"))
        if self.accept("["):
            return self.many(self.nested, "]")
        if begin := CONTRACT.match(self.text, self.at):
            self.at = begin.end()
            return self._contract()
        if self.accept("{"):
            return self.entries("}")
        return self.word(WORDS) if NAME.match(self.text, self.at) else self.simple()

    def name(self) -> str:
        start = self.at
        if not self.text.startswith('"', start):
            return super().name()
        name = self.string()
        if not NAME.fullmatch(name):
            self.at = start
            raise self.error("a name")
        return name

    def _contract(self) -> Contract:
        number = self.whole()
        fields: list[tuple[int, Value]] = []
        while self.accept(","):
            index = self.whole()
            self.expect("=")
            fields.append((index, self.nested()))
        self.expect("}")
        return self.contract(number, fields)
