"""The vocabulary: which character each symbol of a model stands for."""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nyx.errors import CheckpointError, ConfigError, DataError
from nyx.text.cache import VERSION, CacheError, Say, default_cache, on_stderr
from nyx.text.cleaning import CODE_POINTS, NORMALIZATIONS, clean
from nyx.text.corpus import Text, check_memory
from nyx.text.numbers import Ids
from nyx.text.sources import BLOCK_BYTES

Unknown = Literal["error", "skip", "bytes"]

GLYPHS = "∅⊤⊥⊠⟁🜊🜂🜁🜃🜄◇◆ℤℝλ∀∃"  # the 17 non-ASCII characters of the small language's published examples
BLOCK = 1 << 18  # characters that are renumbered together: counts and places take 8 bytes each
MOST_SYMBOLS = 1 << 21  # more than Unicode has
ASCII = "".join(map(chr, range(32, 127)))
FIXED: dict[str, tuple[str, tuple[str, ...]]] = {
    "hlx-115": (ASCII + "\n" + GLYPHS, ("padding", "end")),
    "hlx-117": (ASCII + "\n" + GLYPHS, ("padding", "end", "begin", "unknown")),
}
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
"""Names of the special symbols that write a character the vocabulary has not as its UTF-8 bytes."""


class Vocabulary:
    """V symbols: the characters in order, then the special ones (padding, end, ...), then reserved ones up to `size`.

    characters: distinct characters; a symbol's id is its place. specials: names of symbols that stand for no character;
    with all of BYTES among them, in order, every character can be written.
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
        self._first_byte = self.special(BYTES[0]) if "\n".join(BYTES) in "\n".join(self.specials) else None
        self.utf8_lengths = np.zeros(self._size, np.uint8)
        self.utf8_lengths[: len(codes)] = 1 + (codes > 0x7F).astype(np.uint8) + (codes > 0x7FF) + (codes > 0xFFFF)
        if self._first_byte is not None:
            self.utf8_lengths[self._first_byte : self._first_byte + 256] = 1
        """(V,) UTF-8 bytes of each symbol; 0 for one that writes nothing."""
        self.utf8_lengths.flags.writeable = False

    @classmethod
    def from_text(cls, text: Text, size: int | None = None) -> Vocabulary:
        """The distinct characters of a corpus in the order of their code points."""
        return cls.build(text, size=size)

    @classmethod
    def build(cls, text: Text, *, size: int | None = None, max_characters: int | None = None,
              unknown: Unknown = "error") -> Vocabulary:  # fmt: skip
        """The characters of a corpus in the order of their code points; with max_characters only so many of them, the
        most frequent ones (of equally frequent ones the lower code points). unknown "bytes" adds BYTES.

        Raises DataError (65) when characters do not fit in and `unknown` is "error"; ConfigError (78) as the class.
        """
        chosen = _chosen(text, "", max_characters, unknown)
        return cls(chosen, BYTES if unknown == "bytes" else (), size, text.normalization)

    @classmethod
    def fixed(cls, name: str, size: int | None = None, *, unknown: Unknown = "error") -> Vocabulary:
        """A vocabulary of the small language: "hlx-115" (printable ASCII, newline, 17 glyphs, padding, end) or
        "hlx-117" (those, begin and unknown); unknown "bytes" adds BYTES. Raises ConfigError (78) for another name."""
        if name not in FIXED:
            raise ConfigError(f"vocabulary {name!r} is unknown: use one of {', '.join(FIXED)}")
        characters, specials = FIXED[name]
        return cls(characters, specials + (BYTES if unknown == "bytes" else ()), size)

    def extended(self, text: Text, size: int | None = None, *, max_characters: int | None = None,
                 unknown: Unknown = "error") -> Vocabulary:  # fmt: skip
        """These characters in their order, then those of a text that are not among them, in the order of their code
        points, then the special symbols. max_characters: of all together; what is here stays. unknown: as in build.
        size: by default as large as this one, or as is needed. Raises as build does."""
        characters = self.characters + _chosen(text, self.characters, max_characters, unknown)
        specials = self.specials + (BYTES if unknown == "bytes" and not self.writes_bytes else ())
        least = max(self._size, len(characters) + len(specials))
        return Vocabulary(characters, specials, least if size is None else size, self.normalization)

    def rows_from(self, old: Vocabulary) -> NDArray[np.int64]:
        """(V,) where each symbol of this vocabulary stands in `old`, or -1: a character or a special symbol by itself,
        a reserved one at the place it has here. No place occurs twice."""
        rows = np.full(self._size, -1, np.int64)
        rows[: len(self.characters)] = old._look_up(np.array([ord(c) for c in self.characters], np.uint32))
        for place, name in enumerate(self.specials, len(self.characters)):
            found = old.special(name)
            rows[place] = -1 if found is None else found
        first = max(len(self.characters) + len(self.specials), len(old.characters) + len(old.specials))
        last = min(self._size, old._size)
        rows[first:last] = np.arange(first, max(first, last))
        return rows

    @property
    def writes_bytes(self) -> bool:
        """Whether a character that is not here can be written as its UTF-8 bytes."""
        return self._first_byte is not None

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
        """(T,) the ids of a str, after line ends and normalization as in the corpus.

        Raises DataError (65) naming the first character that cannot be written, its code point and position (counted
        from 0 in the cleaned text); `what` names the text in that message.
        """
        text = clean(text, self.normalization)
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
        symbols, ids = np.unique(codes, return_inverse=True)
        spelled, lengths = self._spell(symbols, np.int32)
        if not lengths.all():
            at = int(np.argmax(lengths[ids] == 0))
            raise DataError(f"{what}: {_name(int(codes[at]))} at position {at} is not among the "
                            f"{len(self.characters)} characters this model knows: leave it out")  # fmt: skip
        return _write(ids, spelled, lengths)

    def encode_text(self, text: Text, *, unknown: Unknown = "error", say: Say = on_stderr) -> Ids:
        """(N,) the ids of a corpus, in the narrowest unsigned type. Its own array when nothing has to be renumbered;
        otherwise for a text in the cache the Numbers of another entry there.

        A character that is not here becomes its bytes when the vocabulary has BYTES; else it is left out when `unknown`
        is "skip", with a line to `say`. Raises DataError (65) naming the characters that cannot be written and where
        one stands.
        """
        spelled, lengths = self._spell(text.symbols, np.min_scalar_type(self._size - 1), skip=unknown == "skip")
        self._check(text, lengths, unknown, say)
        if (lengths == 1).all() and np.array_equal(spelled[:, 0], np.arange(len(spelled))):
            return text.ids

        def blocks() -> Iterator[NDArray[Any]]:
            for start in range(0, len(text), BLOCK):
                yield _write(text.ids[start : start + BLOCK], spelled, lengths)

        count = int(lengths @ text.counts)
        if text.key and count:
            store, about = default_cache(say), f"ids {VERSION} {text.key} {spelled.dtype}\n".encode()
            key = hashlib.sha256(about + spelled.tobytes() + lengths.tobytes()).hexdigest()
            try:
                entry = store.load(key)
                if entry is None:
                    store.reserve(count * spelled.itemsize)
                    entry = store.store(key, blocks(), {}, {})
                return entry.numbers
            except CacheError as error:
                say(f"the text's symbols are held in memory, not in the cache of texts: {error}; "
                    "NYX_CACHE_DIR names another folder")  # fmt: skip
        check_memory(count * spelled.itemsize)
        ids, end = np.empty(count, spelled.dtype), 0
        for block in blocks():
            ids[end : end + len(block)] = block
            end += len(block)
        return ids

    def lengths(self, codes: NDArray[Any], unknown: Unknown = "error") -> NDArray[np.int64]:
        """(S,) how many symbols encode_text writes for each of S code points: 1 for a character of this vocabulary; for
        another as many as it has bytes, or 0 where it cannot be written or is left out."""
        return self._spell(codes, np.int32, skip=unknown == "skip")[1]

    def _spell(self, codes: NDArray[Any], dtype: Any, skip: bool = False) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """(S, 4) the ids that write each of S code points, and (S,) how many they are: 0 when it cannot be written.
        skip: write no bytes."""
        ids = self._look_up(codes)
        spelled, lengths = np.zeros((len(codes), 4), dtype), np.ones(len(codes), np.int64)
        spelled[:, 0] = np.maximum(ids, 0)
        for row in np.flatnonzero(ids < 0):
            data = b""
            if self._first_byte is not None and not skip and not 0xD800 <= codes[row] < 0xE000:
                data = chr(codes[row]).encode()
                spelled[row, : len(data)] = np.frombuffer(data, np.uint8) + np.int64(self._first_byte)
            lengths[row] = len(data)
        return spelled, lengths

    def _check(self, text: Text, lengths: NDArray[np.int64], unknown: Unknown, say: Say) -> None:
        """Says how many characters are left out, or raises DataError where none may be."""
        missing = np.flatnonzero(lengths == 0)
        if not len(missing):
            return
        names = ", ".join(_name(int(code)) for code in text.symbols[missing[:3]])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        if unknown == "skip":
            count = int(text.counts[missing].sum())
            say(f"{count} of {len(text)} characters of the text are not in the vocabulary and left out: {names}{more}")
            return
        blocks = (text.ids[start : start + BLOCK_BYTES] == missing[0] for start in range(0, len(text), BLOCK_BYTES))
        at = next(number * BLOCK_BYTES + int(np.argmax(found)) for number, found in enumerate(blocks) if found.any())
        raise DataError(f"the corpus has {names}{more}, unknown to this vocabulary of {len(self.characters)} "
                        f"characters; the first one is at character {at}: leave them out, or say how "
                        "(data.unknown)")  # fmt: skip

    def decode(self, ids: ArrayLike) -> str:
        """The text of (T,) ids; a symbol that writes nothing, and bytes that make no character, become U+FFFD. Raises
        DataError (65) for an id outside 0..V-1."""
        numbers = np.asarray(ids, np.int64).reshape(-1)
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= self._size):
            raise DataError(f"a symbol is outside 0..{self._size - 1}: the ids are of another vocabulary")
        if self._first_byte is not None:
            return b"".join(map(self._written, numbers.tolist())).decode("utf-8", "replace")
        table = np.full(self._size, 0xFFFD, "<u4")
        table[self._order] = self._sorted
        return table[numbers].tobytes().decode("utf-32-le")

    def _written(self, symbol: int) -> bytes:
        if symbol < len(self.characters):
            return self.characters[symbol].encode()
        byte = -1 if self._first_byte is None else symbol - self._first_byte
        return bytes([byte]) if 0 <= byte < 256 else "\ufffd".encode()

    def count_bytes(self, ids: NDArray[np.integer]) -> int:
        """UTF-8 bytes of the characters in `ids` of any shape; ids below 0 (ignored targets) count nothing."""
        return int(self.utf8_lengths[ids[ids >= 0]].sum(dtype=np.int64))

    def count_characters(self, ids: NDArray[np.integer]) -> int:
        """Characters in `ids` of any shape: symbols but the second and later bytes of a character; ids below 0 (ignored
        targets) count nothing."""
        count = int(np.count_nonzero(ids >= 0))
        if self._first_byte is not None:
            byte = ids - self._first_byte
            count -= int(np.count_nonzero((byte >= 0x80) & (byte < 0xC0)))
        return count

    def difference(self, other: Vocabulary) -> str:
        """In words, what differs from `other`; "" when they are equal."""
        rows = [
            f"{field}: {a!r} here, {b!r} there"
            for field, a, b in zip(("specials", "size", "normalization"), self._shown(), other._shown(), strict=True)
            if a != b
        ]
        for mine, theirs, where in ((self, other, "here"), (other, self, "there")):
            only = sorted(set(mine.characters) - set(theirs.characters))
            if only:
                rows.append(f"{len(only)} characters only {where} ({', '.join(_name(ord(c)) for c in only[:3])})")
        if self.characters != other.characters and not any("characters only" in row for row in rows):
            rows.append("the same characters in another order")
        return "; ".join(rows)

    def _shown(self) -> tuple[tuple[str, ...], int, str]:
        names = tuple(name for name in self.specials if not self.writes_bytes or name not in BYTES)
        return names + ("256 bytes",) * self.writes_bytes, self._size, self.normalization

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


class Decoder:
    """The text of symbols that come one at a time: bytes are kept back until they make a character."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary, self._utf8 = vocabulary, codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, symbol: int) -> str:
        """What is certain now that this symbol has come."""
        return self._utf8.decode(self._vocabulary._written(symbol))

    def end(self) -> str:
        """What is still kept back, after the last symbol."""
        return self._utf8.decode(b"", True)


def _chosen(text: Text, known: str, most: int | None, unknown: Unknown) -> str:
    """The characters of a text that are not `known`, in order; the most frequent ones when all together are more than
    `most`."""
    new = ~np.isin(text.symbols, np.array([ord(c) for c in known], np.uint32))
    symbols, counts = text.symbols[new], text.counts[new]
    room = len(symbols) if most is None else max(0, most - len(known))
    if len(symbols) > room:
        if unknown == "error":
            raise DataError(f"the text has {len(known) + len(symbols)} distinct characters and data.max_characters is "
                            f"{most}: set data.unknown to skip or bytes, or data.max_characters higher")  # fmt: skip
        symbols = np.sort(symbols[np.argsort(-counts, kind="stable")[:room]])
    return symbols.astype("<u4").tobytes().decode("utf-32-le")


def _write(ids: NDArray[Any], spelled: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[Any]:
    """(M,) the rows `ids` of `spelled` (S, 4), each as long as `lengths` (S,) says, one after another."""
    first = spelled[:, 0][ids]
    if (lengths == 1).all():
        return first
    count = lengths[ids]
    written, starts = np.repeat(first, count), np.cumsum(count) - count
    more = np.flatnonzero(count > 1)
    for place in range(1, 4):
        more = more[count[more] > place]
        written[starts[more] + place] = spelled[ids[more], place]
    return written


def _name(code: int) -> str:
    shown = f" {chr(code)!r}" if code < CODE_POINTS and chr(code).isprintable() else ""
    return f"character{shown} (U+{code:04X})"
