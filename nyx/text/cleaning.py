"""What is done to every corpus and every prompt before it is encoded, and where a long text can be cut for it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import pairwise
from typing import Literal

import numpy as np

from nyx.errors import ConfigError, DataError
from nyx.text.sources import Source

Form = Literal["NFD", "NFKD"]
_FORMS: dict[str, Literal["NFC", "NFD", "NFKC", "NFKD"]] = {"nfc": "NFC", "nfd": "NFD", "nfkc": "NFKC", "nfkd": "NFKD"}
NORMALIZATIONS = (*_FORMS, "none")
CODE_POINTS = 0x110000
HELD_PIECES = 32  # how much text without a place to cut is put up with
STEP = 16  # 3 STEP marks in a row are put in order here, as unicodedata takes the square of their number
PIECE = 1 << 16  # characters that one call works on


def clean(text: str, normalization: str) -> str:
    """CRLF and CR to LF, then the Unicode form: what is done to every corpus and to every prompt."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if normalization == "none" or text.isascii():
        return text
    form = _FORMS[normalization]
    whole: Form = "NFKD" if "K" in form else "NFD"
    if _marks(whole).search(text[::STEP]):
        text = _decomposed(text, whole)
    return unicodedata.normalize(form, text)


def check_form(normalization: str) -> None:
    """Raises ConfigError (78) for a form that is none of NORMALIZATIONS."""
    if normalization not in NORMALIZATIONS:
        raise ConfigError(f"normalization {normalization!r} is unknown: use one of {', '.join(NORMALIZATIONS)}")


def blocks(pieces: Iterable[str], normalization: str, source: Source | str) -> Iterator[str]:
    """The same text cut where cleaning each block alone equals cleaning the whole. `source` names it in the DataError
    (65) for too many characters without a place to cut."""
    held: list[str] = []
    start = 0  # of what is held, in characters
    for piece in _small(pieces):
        cut = _last_cut(held[-1] if held else "", piece, normalization)
        if cut is None:
            held.append(piece)
            if len(held) > HELD_PIECES:
                raise DataError(f"{source}: from character {start} on more than {sum(map(len, held[1:]))} in a row all "
                                "combine with the one before: set data.normalization to none")  # fmt: skip
        else:
            block = "".join([*held, piece[:cut]])
            yield block
            start, held = start + len(block), [piece[cut:]]
    yield "".join(held)


def _small(pieces: Iterable[str]) -> Iterator[str]:
    """Pieces that unicodedata is quick with: what it does to one cannot be interrupted."""
    for piece in pieces:
        size = max(len(piece), 1) if piece.isascii() else PIECE
        yield from (piece[at : at + size] for at in range(0, len(piece), size))


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


@cache
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


@cache
def _marks(form: Form) -> re.Pattern[str]:
    """Three characters whose decompositions consist of characters with a combining class."""
    marks = [code for code in range(0x300, CODE_POINTS) if _is_mark(chr(code), form)]
    first = [code for code in marks if not _is_mark(chr(code - 1), form)]
    last = [code for code in marks if not _is_mark(chr(code + 1), form)]
    ranges = "".join(f"{chr(low)}-{chr(high)}" for low, high in zip(first, last, strict=True))
    return re.compile(f"[{ranges}]{{3}}")


def _is_mark(c: str, form: Form) -> bool:
    if unicodedata.combining(c) or form == "NFD":
        return unicodedata.combining(c) > 0
    return bool(unicodedata.decomposition(c)) and all(map(unicodedata.combining, unicodedata.normalize(form, c)))


def _decomposed(text: str, form: Form) -> str:
    """unicodedata.normalize(form, text) in time linear in its length, however many marks are in a row: each character
    alone, then a stable sort by combining class of those behind one without (UAX 15, section 1.3)."""
    whole: Callable[[str], str] = cache(partial(unicodedata.normalize, form))
    text = "".join(["".join(map(whole, text[at : at + PIECE])) for at in range(0, len(text), PIECE)])
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").copy()
    classes = np.empty(len(codes), np.uint8)
    for at in range(0, len(codes), PIECE):
        values, place = np.unique(codes[at : at + PIECE], return_inverse=True)
        classes[at : at + PIECE] = np.array([unicodedata.combining(chr(code)) for code in values], np.uint8)[place]
    firsts = np.concatenate([np.flatnonzero(classes == 0), [len(codes)]])
    cuts = firsts[np.searchsorted(firsts, np.arange(0, len(codes), PIECE))]
    long = firsts[:-1][np.diff(firsts) > PIECE]
    for low, high in pairwise(np.unique([0, *cuts, *long, len(codes)]).tolist()):
        some = classes[low:high]
        key = np.cumsum(some == 0) << 8 | some if some[1:].min(initial=1) == 0 else some
        codes[low:high] = codes[low:high][np.argsort(key, kind="stable")]
    return codes.tobytes().decode("utf-32-le", "surrogatepass")
