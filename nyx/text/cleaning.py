"""What is done to every corpus and every prompt before it is encoded, and where a long text can be cut for it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal

from nyx.errors import ConfigError, DataError
from nyx.text.sources import Source

_FORMS: dict[str, Literal["NFC", "NFD", "NFKC", "NFKD"]] = {"nfc": "NFC", "nfd": "NFD", "nfkc": "NFKC", "nfkd": "NFKD"}
NORMALIZATIONS = (*_FORMS, "none")
CODE_POINTS = 0x110000
HELD_PIECES = 16  # how much text without a place to cut is put up with


def clean(text: str, normalization: str) -> str:
    """CRLF to LF, then the Unicode form: what is done to every corpus and to every prompt."""
    text = text.replace("\r\n", "\n")
    if normalization == "none" or text.isascii():
        return text
    return unicodedata.normalize(_FORMS[normalization], text)


def check_form(normalization: str) -> None:
    """Raises ConfigError (78) for a form that is none of NORMALIZATIONS."""
    if normalization not in NORMALIZATIONS:
        raise ConfigError(f"normalization {normalization!r} is unknown: use one of {', '.join(NORMALIZATIONS)}")


def blocks(pieces: Iterable[str], normalization: str, source: Source) -> Iterator[str]:
    """The same text cut where cleaning each block alone equals cleaning the whole."""
    held: list[str] = []
    for piece in filter(None, pieces):
        cut = _last_cut(held[-1] if held else "", piece, normalization)
        if cut is None:
            held.append(piece)
            if len(held) > HELD_PIECES:
                raise DataError(f"{source}: more than {sum(map(len, held[1:]))} characters in a row that all combine "
                                "with the one before: set data.normalization to none")  # fmt: skip
        else:
            yield "".join([*held, piece[:cut]])
            held = [piece[cut:]]
    yield "".join(held)


def _last_cut(before: str, text: str, normalization: str) -> int | None:
    """The last index whose character the form does not join with what stands before it, and that is no CRLF's LF."""
    for i in range(len(text) - 1, -1, -1):
        c = text[i]
        if c == "\n":
            if text[i - 1] != "\r" if i else before[-1:] != "\r":
                return i
        elif c <= "\x7f" or normalization == "none" or not _joins(c):
            return i
    return None


def _joins(c: str) -> bool:
    """Whether some form may put this character together, or in another order, with what stands before it: it has a
    combining class, or is the second of a composition, or its decomposition begins so (UAX 15, section 9)."""
    firsts = {unicodedata.normalize("NFD", c)[0], unicodedata.normalize("NFKD", c)[0]}
    return any(unicodedata.combining(f) or f in _seconds() or "\u1160" <= f <= "\u11ff" for f in firsts)


@cache
def _seconds() -> frozenset[str]:
    """Every character that a canonical decomposition has in second place."""
    parts = (unicodedata.decomposition(chr(code)).split() for code in range(0x80, CODE_POINTS))
    return frozenset(chr(int(part[1], 16)) for part in parts if len(part) == 2 and part[0][0] != "<")
