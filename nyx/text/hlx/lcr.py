"""LC-R, the notation with glyphs.

∅ null, ⊤ true, ⊥ false, numbers in decimal (ℤ or ℝ before one is read and says integer or float), "strings", ⊠ and hex
digits for bytes, ⟁tag for a handle, 🜃a, b🜄 for an array, ◇name: a, name: b◆ for an object (spaces and line breaks
around its parts are free), 🜊number🜁0 a🜁1 b🜂 for a contract.
"""

from __future__ import annotations

from collections.abc import Sequence

from nyx.text.hlx.notation import HEX, Reader, Writer
from nyx.text.hlx.values import TAG, Contract, Handle, Value

BRACKETS = {"🜃": "🜄", "◇": "◆", "🜊": "🜂"}


def write(value: Value) -> str:
    """The value in LC-R on one line. Raises ValueError for what values.check refuses."""
    return _Writer().document(value)


def read(text: str) -> Value:
    """The value that `text` is. Raises DataError (65) with the position where it is not LC-R."""
    return _Reader(text).document()


class _Writer(Writer):
    null, true, false = "∅", "⊤", "⊥"
    handle, hexadecimal = "⟁", "⊠"
    array, record = ("🜃", "🜄"), ("◇", "◆")

    def contract(self, number: int, fields: Sequence[tuple[int, str]]) -> str:
        return f"🜊{number}" + "".join(f"🜁{index} {text}" for index, text in fields) + "🜂"


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
            return self._whole_number()
        if self.accept("ℝ"):
            return float(self.number())
        return self.simple()

    def _whole_number(self) -> int:
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
