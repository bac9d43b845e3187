"""The vocabulary: which character each symbol of a model stands for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nyx.errors import CheckpointError, ConfigError, DataError
from nyx.text.corpus import CODE_POINTS, NORMALIZATIONS, Text, clean

GLYPHS = "∅⊤⊥⊠⟁🜊🜂🜁🜃🜄◇◆ℤℝλ∀∃"  # the 17 non-ASCII characters of the small language's published examples
MOST_SYMBOLS = 1 << 21  # more than Unicode has
ASCII = "".join(map(chr, range(32, 127)))
FIXED: dict[str, tuple[str, tuple[str, ...]]] = {
    "hlx-115": (ASCII + "\n" + GLYPHS, ("padding", "end")),
    "hlx-117": (ASCII + "\n" + GLYPHS, ("padding", "end", "begin", "unknown")),
}


class Vocabulary:
    """V symbols: the characters in order, then the special ones (padding, end, ...), then reserved ones up to `size`.

    characters: distinct characters; a symbol's id is its place. specials: names of symbols that stand for no character.
    size: V, or None for just these. normalization: the Unicode form text is brought to before it is looked up.
    Raises ConfigError (78) if they do not fit in `size`, or something occurs twice. Immutable; compares by value.
    """

    def __init__(self, characters: str, specials: Sequence[str] = (), size: int | None = None,
                 normalization: str = "nfc") -> None:  # fmt: skip
        used = len(characters) + len(specials)
        if not characters or len(set(characters)) + len(set(specials)) != used:
            raise ConfigError("a vocabulary needs characters, each once, and special symbols of different names")
        if size is not None and size < used:
            raise ConfigError(f"model.vocab_size = {size} is too small: this corpus needs {used} symbols; "
                              f"set it to {used} or more, or leave it out")  # fmt: skip
        if size is not None and size > MOST_SYMBOLS:
            raise ConfigError(f"model.vocab_size = {size} is more than {MOST_SYMBOLS}: set a smaller one")
        if normalization not in NORMALIZATIONS:
            raise ConfigError(f"normalization {normalization!r} is unknown: use one of {', '.join(NORMALIZATIONS)}")
        self.characters, self.specials, self.normalization = characters, tuple(specials), normalization
        self._size = used if size is None else size
        codes = np.array([ord(c) for c in characters], np.uint32)
        self._order = np.argsort(codes).astype(np.int32)  # rank by code point -> id
        self._sorted = codes[self._order]
        self.utf8_lengths = np.zeros(self._size, np.uint8)
        self.utf8_lengths[: len(codes)] = 1 + (codes > 0x7F).astype(np.uint8) + (codes > 0x7FF) + (codes > 0xFFFF)
        """(V,) UTF-8 bytes of each symbol; 0 for one that is no character."""
        self.utf8_lengths.flags.writeable = False

    @classmethod
    def from_text(cls, text: Text, size: int | None = None) -> Vocabulary:
        """The distinct characters of a corpus in the order of their code points."""
        characters = text.symbols.astype("<u4").tobytes().decode("utf-32-le")
        return cls(characters, (), size, text.normalization)

    @classmethod
    def fixed(cls, name: str, size: int | None = None) -> Vocabulary:
        """A vocabulary of the small language: "hlx-115" (printable ASCII, newline, 17 glyphs, padding, end) or
        "hlx-117" (those, begin and unknown). Raises ConfigError (78) for another name."""
        if name not in FIXED:
            raise ConfigError(f"vocabulary {name!r} is unknown: use one of {', '.join(FIXED)}")
        return cls(*FIXED[name], size)

    def __len__(self) -> int:
        return self._size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Vocabulary({len(self.characters)} characters, {len(self.specials)} specials, size {self._size})"

    def _key(self) -> tuple[str, tuple[str, ...], int, str]:
        return self.characters, self.specials, self._size, self.normalization

    def special(self, name: str) -> int | None:
        """The id of a special symbol, or None when this vocabulary has none of that name."""
        return len(self.characters) + self.specials.index(name) if name in self.specials else None

    def encode(self, text: str, what: str = "the prompt") -> NDArray[np.int32]:
        """(T,) the ids of a str, after CRLF and normalization as in the corpus.

        Raises DataError (65) naming the first character that is not in the vocabulary, its code point and position
        (counted from 0 in the cleaned text); `what` names the text in that message.
        """
        text = clean(text, self.normalization)
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
        ids = self._look_up(codes)
        if (ids < 0).any():
            at = int(np.argmax(ids < 0))
            raise DataError(f"{what}: {_name(int(codes[at]))} at position {at} is not among the "
                            f"{len(self.characters)} characters this model knows: leave it out")  # fmt: skip
        return ids

    def encode_text(self, text: Text) -> NDArray[Any]:
        """(N,) the ids of a corpus, in the narrowest unsigned type. Its own array when nothing has to be renumbered.

        Raises DataError (65) naming the characters that are not in the vocabulary and where the first one stands.
        """
        table = self._look_up(text.symbols)
        missing = np.flatnonzero(table < 0)
        if len(missing):
            at = int(np.argmax(text.ids == missing[0]))
            names = ", ".join(_name(int(code)) for code in text.symbols[missing[:3]])
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise DataError(f"the corpus has {names}{more}, unknown to this vocabulary of {len(self.characters)} "
                            f"characters; the first one is at character {at}: leave them out")  # fmt: skip
        if np.array_equal(table, np.arange(len(table))):
            return text.ids
        return table.astype(np.min_scalar_type(self._size - 1))[text.ids]

    def decode(self, ids: ArrayLike) -> str:
        """The text of (T,) ids; a symbol that is no character becomes U+FFFD. Raises DataError (65) for an id
        outside 0..V-1."""
        numbers = np.asarray(ids, np.int64).reshape(-1)
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= self._size):
            raise DataError(f"a symbol is outside 0..{self._size - 1}: the ids are of another vocabulary")
        table = np.full(self._size, 0xFFFD, "<u4")
        table[self._order] = self._sorted
        return table[numbers].tobytes().decode("utf-32-le")

    def count_bytes(self, ids: NDArray[np.integer]) -> int:
        """UTF-8 bytes of the characters in `ids` of any shape; ids below 0 (ignored targets) count nothing."""
        return int(self.utf8_lengths[ids[ids >= 0]].sum(dtype=np.int64))

    def difference(self, other: Vocabulary) -> str:
        """In words, what differs from `other`; "" when they are equal."""
        rows = [
            f"{field}: {a!r} here, {b!r} there"
            for field, a, b in zip(
                ("specials", "size", "normalization"), self._key()[1:], other._key()[1:], strict=True
            )
            if a != b
        ]
        for mine, theirs, where in ((self, other, "here"), (other, self, "there")):
            only = sorted(set(mine.characters) - set(theirs.characters))
            if only:
                rows.append(f"{len(only)} characters only {where} ({', '.join(_name(ord(c)) for c in only[:3])})")
        if self.characters != other.characters and not any("characters only" in row for row in rows):
            rows.append("the same characters in another order")
        return "; ".join(rows)

    def to_json(self) -> str:
        """One line of ASCII that from_json turns back into an equal vocabulary."""
        return json.dumps({"characters": self.characters, "specials": list(self.specials), "size": self._size,
                           "normalization": self.normalization}, separators=(",", ":"))  # fmt: skip

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """The vocabulary to_json wrote. Raises CheckpointError (65) for anything else."""
        try:
            fields = json.loads(text)
            if set(fields) != {"characters", "specials", "size", "normalization"} or type(fields["size"]) is not int:
                raise ValueError("other fields than a vocabulary has")
            fields["characters"].encode()  # no lone surrogates
            if not all(type(name) is str for name in fields["specials"]):
                raise ValueError("a special symbol without a name")
            return cls(**fields)
        except (ValueError, TypeError, AttributeError, RecursionError, ConfigError) as error:
            raise CheckpointError(f"the vocabulary is damaged ({error}): use another checkpoint") from None

    def _look_up(self, codes: NDArray[np.uint32]) -> NDArray[np.int32]:
        """Ids of code points of any shape, -1 where there is none."""
        rank = np.minimum(np.searchsorted(self._sorted, codes), len(self._sorted) - 1)
        return np.where(self._sorted[rank] == codes, self._order[rank], np.int32(-1))


def _name(code: int) -> str:
    shown = f" {chr(code)!r}" if code < CODE_POINTS and chr(code).isprintable() else ""
    return f"character{shown} (U+{code:04X})"
