"""LC-R, the notation with glyphs.

∅ null, ⊤ true, ⊥ false, numbers in decimal (ℤ or ℝ before one is read and says integer or float), "strings", ⊠ and hex
digits for bytes, ⟁tag for a handle, 🜃a, b🜄 for an array, ◇name: a, name: b◆ for an object (spaces and line breaks
around its parts are free), 🜊number🜁0 a🜁1 b🜂 for a contract.
"""

from __future__ import annotations

import re

from nyx.text.hlx.notation import Reader, checked, whole, write_number, write_object, write_string
from nyx.text.hlx.values import TAG, Contract, Handle, Value

HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")


def write(value: Value) -> str:
    """The value in LC-R on one line. Raises ValueError for what the notation cannot say (see notation.py)."""
    match value:
        case None:
            return "∅"
        case bool():
            return "⊤" if value else "⊥"
        case int() | float():
            return write_number(value)
        case str():
            return write_string(value)
        case bytes():
            return "⊠" + value.hex()
        case Handle():
            return "⟁" + checked(value.tag, TAG)
        case Contract():
            fields = (f"🜁{whole(index)} {write(field)}" for index, field in value.fields.items())
            return f"🜊{whole(value.number)}{''.join(fields)}🜂"
        case list():
            return f"🜃{', '.join(map(write, value))}🜄"
        case dict():
            return f"◇{write_object(value, write)}◆"
    raise TypeError(f"{type(value).__name__} is no value of this language")


def read(text: str) -> Value:
    """The value that `text` is. Raises DataError (65) with the position where it is not LC-R."""
    return _Reader(text).document()


class _Reader(Reader):
    def value(self) -> Value:
        for mark, constant in (("∅", None), ("⊤", True), ("⊥", False)):
            if self.accept(mark):
                return constant
        if self.accept("⟁"):
            return Handle(self.take(TAG, "the tag of a handle"))
        if self.accept("⊠"):
            return bytes.fromhex(self.take(HEX, "hex digits"))
        if self.accept("🜃"):
            return self.many(self.nested, "🜄")
        if self.accept("◇"):
            return self.entries("◆")
        if self.accept("🜊"):
            return self._contract()
        if self.accept("ℤ"):
            return self.whole_number()
        if self.accept("ℝ"):
            return float(self.number())
        return self.string() if self.text.startswith('"', self.at) else self.number()

    def whole_number(self) -> int:
        start = self.at
        number = self.number()
        if isinstance(number, float):
            self.at = start
            raise self.error("an integer")
        return number

    def _contract(self) -> Contract:
        number = self.whole()
        fields: list[tuple[int, Value]] = []
        while self.accept("🜁"):
            fields.append((self.whole(), self.nested()))
        self.expect("🜂")
        return self.contract(number, fields)
