"""HLXL, the notation in plain ASCII marks.

null, true, false, numbers in decimal, "strings", b"bytes" (printable ASCII as it is, the rest as \\xNN), &h_tag for a
handle, [a, b] for an array, {name: a, name: b} for an object, {number: {@0: a, @1: b}} for a contract.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nyx.text.hlx.notation import WHOLE, Reader, Writer
from nyx.text.hlx.values import NAME, TAG, Contract, Handle, Value

BRACKETS = {"[": "]", "{": "}"}
WORDS: dict[str, Value] = {"null": None, "true": True, "false": False}
BYTES = re.compile(r'(?:[ !#-\[\]-~]|\\x[0-9a-fA-F]{2}|\\["\\])*"')
BYTE = re.compile(r"\\x(..)|\\(.)|(.)")


def write(value: Value) -> str:
    """The value in HLXL on one line. Raises ValueError for what values.check refuses."""
    return _Writer().document(value)


def read(text: str) -> Value:
    """The value that `text` is. Raises DataError (65) with the position where it is not HLXL."""
    return _Reader(text).document()


class _Writer(Writer):
    null, true, false = "null", "true", "false"
    handle = "&h_"

    def raw(self, data: bytes) -> str:
        return f'b"{"".join(map(_byte, data))}"'

    def contract(self, number: int, fields: Sequence[tuple[int, str]]) -> str:
        return f"{{{number}: {{" + ", ".join(f"@{index}: {text}" for index, text in fields) + "}}"


def _byte(byte: int) -> str:
    if byte in b'"\\':
        return "\\" + chr(byte)
    return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"


class _Reader(Reader):
    def value(self) -> Value:
        if self.accept("&h_"):
            return Handle(self.take(TAG, "the tag of a handle"))
        if self.accept('b"'):
            return self._bytes()
        if self.accept("["):
            return self.many(self.nested, "]")
        if self.accept("{"):
            self.skip()
            return self._contract() if WHOLE.match(self.text, self.at) else self.entries("}")
        return self.word(WORDS) if NAME.match(self.text, self.at) else self.simple()

    def _bytes(self) -> bytes:
        text = self.take(BYTES, 'printable ASCII or \\xNN up to a "')[:-1]
        return bytes(int(code, 16) if code else ord(escaped or plain) for code, escaped, plain in BYTE.findall(text))

    def _contract(self) -> Contract:
        number = self.whole()
        self.expect(":")
        self.expect("{")
        fields = self.many(self._field, "}")
        self.expect("}")
        return self.contract(number, fields)

    def _field(self) -> tuple[int, Value]:
        self.expect("@")
        index = self.whole()
        self.expect(":")
        return index, self.nested()
