"""A corpus as numbers: UTF-8 files, decoded, cleaned and encoded block by block.

The text is never held as one Python string: each block becomes indices into the distinct characters seen so far, one
byte per character up to 256 distinct ones, two up to 65,536. A text of CACHED_BYTES or more goes into the cache of
texts and is read from there, so that memory does not grow with it.
"""

from __future__ import annotations

import codecs
import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from nyx.errors import DataError, DeviceMemoryError
from nyx.files import show_paths
from nyx.text.cache import VERSION, Cache, CacheError, Entry, Say, default_cache, on_stderr
from nyx.text.cleaning import CODE_POINTS, blocks, check_form, clean
from nyx.text.encodings import remedy
from nyx.text.numbers import Ids
from nyx.text.sources import BLOCK_BYTES, STDIN_BYTES, PathLike, Source, open_sources

LEAST_KEPT = 16  # bytes of a text that are one byte of its entry, at most: a syllable of three letters has 9
CACHED_BYTES = 1 << 22  # below, encoding takes less than 0.1 s, and memory less than the interpreter itself


class Observer(Protocol):
    """Sees what is read: a source, a byte offset in it, the bytes there, what they became. faults: of all so far."""

    def __call__(self, source: Source, offset: int, data: bytes, text: str) -> None: ...

    @property
    def faults(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Text:
    """A corpus of N characters over S distinct ones.

    symbols: (S,) uint32, the distinct code points, ascending.
    ids: (N,) uint8, uint16 or uint32, indices into `symbols`; Numbers of the cache for a text that is there.
    utf8_bytes: size of the cleaned text in UTF-8. sha256: hex digest of those bytes.
    sources: the files it came from, in order. normalization: the Unicode form it was brought to.
    """

    symbols: NDArray[np.uint32]
    ids: Ids
    utf8_bytes: int
    sha256: str
    sources: tuple[Path, ...]
    normalization: str
    key: str = field(default="", init=False)
    """Of the entry of the cache that `ids` are; "" for ids of another origin."""

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(S,) how often each symbol occurs."""
        counts = np.zeros(len(self.symbols), np.int64)
        for start in range(0, len(self), BLOCK_BYTES):
            counts += np.bincount(self.ids[start : start + BLOCK_BYTES], minlength=len(counts))
        return counts

    def _with(self, counts: NDArray[np.int64], key: str = "") -> Text:
        self.__dict__.update(counts=counts, key=key)
        return self

    def __len__(self) -> int:
        return len(self.ids)

    def string(self, start: int = 0, stop: int | None = None) -> str:
        """The characters start..stop as a str."""
        return self.symbols[self.ids[start:stop]].astype("<u4").tobytes().decode("utf-32-le")


def read_text(paths: PathLike | Iterable[PathLike], normalization: str = "nfc", *, cache: bool = True,
              stdin_bytes: int = STDIN_BYTES, say: Say = on_stderr) -> Text:  # fmt: skip
    """Read UTF-8 text files, folders of them, patterns, or standard input ("-"), as one corpus.

    A byte order mark at the start of a file is dropped, CRLF and CR become LF, the text is brought to the Unicode form
    `normalization` (one of NORMALIZATIONS), and a newline is put between two files where the first ends without one.
    cache: keep a text of CACHED_BYTES or more as numbers in the user's cache folder and read it from there; when that
    folder cannot be used, `say` is told in one line and the text held in memory. stdin_bytes: the most that standard
    input may have.
    Raises MissingInputError (66) for a file that is not there or not readable; DataError (65) for a pipe, a device, an
    empty corpus, a file that becomes shorter, or bytes that are not UTF-8, with file and byte offset;
    DeviceMemoryError (71) for a corpus held in memory and larger than half of the free memory; ConfigError (78) for an
    unknown form.
    """
    check_form(normalization)
    with open_sources(paths, stdin_bytes, say) as sources:
        return read_sources(sources, normalization, cache=cache, say=say)


def read_sources(sources: Sequence[Source], normalization: str, *, cache: bool = True, say: Say = on_stderr,
                 observe: Observer | None = None) -> Text:  # fmt: skip
    """read_text of opened sources. observe: sees every block that is read, once more from the beginning of a source
    when it has to be read again; bytes that are not UTF-8 then become U+FFFD."""
    total = sum(source.size for source in sources)
    if cache and total >= CACHED_BYTES:
        store = default_cache(say)
        try:
            if observe is None and store.largest() >= total // LEAST_KEPT:  # else no entry can be this text's
                entry = store.load(_key([_digest(source) for source in sources], normalization))
                if entry is not None:
                    return _from_entry(entry, sources, normalization)
            store.reserve(total, total)
            return _encode(sources, normalization, store, observe)
        except CacheError as error:
            say(f"the text is held in memory, not in the cache of texts: {error}; NYX_CACHE_DIR names another folder")
    check_memory(total)
    return _encode(sources, normalization, None, observe)


def text_from_string(text: str, normalization: str = "nfc") -> Text:
    """The corpus of a str, cleaned as read_text cleans a file. Raises DataError (65) if it is empty."""
    check_form(normalization)
    if not text:
        raise DataError("the text is empty: give some characters")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise DataError(f"the text has a lone surrogate (U+{code:04X}) at character {error.start}") from None
    encoder = _Encoder(_Memory())
    pieces = (text[at : at + BLOCK_BYTES] for at in range(0, len(text), BLOCK_BYTES))
    for block in blocks(pieces, normalization, "the text"):
        encoder.append(clean(block, normalization))
    return encoder.text((), normalization)


def check_memory(total: int) -> None:
    """Raises DeviceMemoryError (71) when `total` bytes of a text are more than half of the free memory."""
    if total < 1 << 28:
        return
    import psutil

    free = psutil.virtual_memory().available
    if total > free // 2:
        gib = 1 << 30
        raise DeviceMemoryError(f"the corpus has {total / gib:.1f} GiB and this machine {free / gib:.1f} GiB of free "
                                "memory: let a cache folder with enough room keep it (data.cache, NYX_CACHE_DIR), or "
                                "train on a part of it")  # fmt: skip


def _digest(source: Source) -> bytes:
    digest = hashlib.sha256()
    for block in source.blocks():
        digest.update(block)
    return digest.digest()


def _key(digests: Iterable[bytes], normalization: str, repaired: bool = False) -> str:
    """Of the bytes of every file, what is done to them, and the version of Unicode that says how."""
    about = f"text {VERSION} {normalization} {unicodedata.unidata_version} {repaired}\n".encode()
    return hashlib.sha256(about + b"".join(digests)).hexdigest()


def _from_entry(entry: Entry, sources: Sequence[Source], normalization: str) -> Text:
    text = Text(entry.arrays["symbols"], entry.numbers, entry.about["utf8_bytes"], entry.about["sha256"],
                tuple(source.path for source in sources), normalization)  # fmt: skip
    return text._with(entry.arrays["counts"], entry.key)


def _encode(sources: Sequence[Source], normalization: str, store: Cache | None, observe: Observer | None) -> Text:
    """Reads all sources once; the key is of the bytes that were encoded, whatever the files held before or later."""
    with nullcontext() if store is None else store.scratch() as file:
        encoder, digests = _Encoder(_Memory() if file is None else _Scratch(file)), []
        for source in sources:
            if not encoder.ends_line:
                encoder.append("\n")
            digest = hashlib.sha256()
            for block in blocks(_decoded(source, digest, observe), normalization, source):
                encoder.append(clean(block, normalization))
            digests.append(digest.digest())
        if not encoder.count:
            raise DataError(f"{show_paths(list(map(str, sources)))}: no text in it: give a file with text")
        if store is None:
            return encoder.text(tuple(source.path for source in sources), normalization)
        repaired = observe is not None and observe.faults > 0
        text = _from_entry(encoder.entry(store, _key(digests, normalization, repaired)), sources, normalization)
        if repaired:
            store.forget(text.key)  # no training can ask for it
        return text


def _decoded(source: Source, digest: hashlib._Hash, observe: Observer | None) -> Iterator[str]:
    """The characters of a UTF-8 file, in pieces, without a leading byte order mark."""
    offset, pending = 0, b""  # pending holds the start of a character that a piece cut off
    blocks, ended = source.blocks(), False
    while not ended:
        block = next(blocks, b"")
        ended = not block
        digest.update(block)
        data = pending + block
        try:
            text, used = codecs.utf_8_decode(data, "replace" if observe else "strict", ended)
        except UnicodeDecodeError as error:
            raise DataError(_not_utf8(source, offset, error)) from None
        if observe:
            observe(source, offset, data[:used], text)
        yield text.removeprefix("\ufeff") if offset == 0 else text
        offset, pending = offset + used, data[used:]


def _not_utf8(source: Source, offset: int, error: UnicodeDecodeError) -> str:
    at, byte = offset + error.start, error.object[error.start]
    return f"{source}: byte offset {at} (0x{byte:02x}) is not UTF-8: {source.fill(remedy(error.object, error.start))}"


class _Memory:
    """Blocks of numbers kept in memory; each is let go of when it is read back."""

    def __init__(self) -> None:
        self._kept: list[NDArray[np.unsignedinteger]] = []

    def append(self, block: NDArray[np.unsignedinteger]) -> None:
        self._kept.append(block)

    def blocks(self) -> Iterator[NDArray[np.unsignedinteger]]:
        self._kept.reverse()
        while self._kept:
            yield self._kept.pop()


class _Scratch:
    """Blocks of numbers kept in a temporary file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._kept: list[tuple[np.dtype, int]] = []

    def append(self, block: NDArray[np.unsignedinteger]) -> None:
        try:
            data = block.data.cast("B")
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise CacheError(f"cannot write there: {error.strerror}") from None
        self._kept.append((block.dtype, len(block)))

    def blocks(self) -> Iterator[NDArray[np.unsignedinteger]]:
        self._file.seek(0)
        for dtype, count in self._kept:
            yield np.fromfile(self._file, dtype, count)


class _Encoder:
    """Encodes blocks into indices, numbering characters as they first appear and sorting them at the end."""

    def __init__(self, kept: _Memory | _Scratch) -> None:
        self.count, self.utf8_bytes, self.ends_line = 0, 0, True
        self._hash = hashlib.sha256()
        self._number = np.full(CODE_POINTS, -1, np.int32)  # code point -> order of first appearance
        self._symbols = np.empty(0, np.uint32)
        self._counts = np.empty(0, np.int64)
        self._kept = kept

    def append(self, text: str) -> None:
        for start in range(0, len(text), BLOCK_BYTES):
            self._append(text[start : start + BLOCK_BYTES])

    def _append(self, text: str) -> None:
        data = text.encode()
        self._hash.update(data)
        self.utf8_bytes += len(data)
        self.count += len(text)
        self.ends_line = text[-1] == "\n"
        codes = np.frombuffer(data, np.uint8) if len(data) == len(text) else np.frombuffer(
            text.encode("utf-32-le"), "<u4")  # fmt: skip
        numbers = self._number[codes]
        if numbers.min() < 0:
            new = np.unique(codes[numbers < 0]).astype(np.uint32)
            self._number[new] = np.arange(len(self._symbols), len(self._symbols) + len(new))
            self._symbols = np.concatenate([self._symbols, new])
            numbers = self._number[codes]
        counts = np.bincount(numbers, minlength=len(self._symbols))
        counts[: len(self._counts)] += self._counts
        self._counts = counts
        self._kept.append(numbers.astype(self._dtype()))

    def _dtype(self) -> np.dtype:
        return np.min_scalar_type(len(self._symbols) - 1)

    def text(self, sources: tuple[Path, ...], normalization: str) -> Text:
        """The Text, in memory."""
        order = np.argsort(self._symbols)
        ids, end = np.empty(self.count, self._dtype()), 0  # committed only where written
        for block in self._sorted(order):
            ids[end : end + len(block)] = block
            end += len(block)
        text = Text(self._symbols[order], ids, self.utf8_bytes, self._hash.hexdigest(), sources, normalization)
        return text._with(self._counts[order])

    def entry(self, store: Cache, key: str) -> Entry:
        """The same as an entry of the cache."""
        order = np.argsort(self._symbols)
        arrays = {"symbols": self._symbols[order], "counts": self._counts[order]}
        about = {"utf8_bytes": self.utf8_bytes, "sha256": self._hash.hexdigest()}
        return store.store(key, self._sorted(order), arrays, about)

    def _sorted(self, order: NDArray[np.intp]) -> Iterator[NDArray[np.unsignedinteger]]:
        rank = np.empty(len(order), self._dtype())
        rank[order] = np.arange(len(order))
        return (rank[block] for block in self._kept.blocks())
