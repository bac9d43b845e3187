"""A corpus as numbers: UTF-8 files, decoded, cleaned and encoded block by block.

The text is never held as one Python string: each block becomes indices into the distinct characters seen so far, one
byte per character up to 256 distinct ones, two up to 65,536. Peak memory is those indices and a few blocks.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nyx.errors import ConfigError, DataError, DeviceMemoryError, StorageError
from nyx.files import open_input, show_path
from nyx.text.sources import PathLike, find_files

_FORMS: dict[str, Literal["NFC", "NFD", "NFKC", "NFKD"]] = {"nfc": "NFC", "nfd": "NFD", "nfkc": "NFKC", "nfkd": "NFKD"}
NORMALIZATIONS = (*_FORMS, "none")
BLOCK_BYTES = 1 << 22
CODE_POINTS = 0x110000


@dataclass(frozen=True, eq=False)
class Text:
    """A corpus of N characters over S distinct ones.

    symbols: (S,) uint32, the distinct code points, ascending.
    ids: (N,) uint8, uint16 or uint32, indices into `symbols`.
    utf8_bytes: size of the cleaned text in UTF-8. sha256: hex digest of those bytes.
    sources: the files it came from, in order. normalization: the Unicode form it was brought to.
    """

    symbols: NDArray[np.uint32]
    ids: NDArray[np.unsignedinteger]
    utf8_bytes: int
    sha256: str
    sources: tuple[Path, ...]
    normalization: str

    def __len__(self) -> int:
        return len(self.ids)

    def string(self, start: int = 0, stop: int | None = None) -> str:
        """The characters start..stop as a str."""
        return self.symbols[self.ids[start:stop]].astype("<u4").tobytes().decode("utf-32-le")


def read_text(paths: PathLike | Iterable[PathLike], normalization: str = "nfc") -> Text:
    """Read UTF-8 text files, folders of them or patterns, as one corpus.

    A byte order mark at the start of a file is dropped, CRLF becomes LF, the text is brought to the Unicode form
    `normalization` (one of NORMALIZATIONS), and a newline is put between two files where the first ends without one.
    Raises MissingInputError (66) for a file that is not there or not readable; DataError (65) for a pipe, a device, an
    empty corpus, or bytes that are not UTF-8, with file and byte offset; DeviceMemoryError (71) for a corpus larger
    than half of the free memory; ConfigError (78) for an unknown form.
    """
    _check_form(normalization)
    files = find_files(paths)
    total = sum(path.stat().st_size for path in files)
    _check_memory(total)
    encoder = _Encoder(total + len(files))
    for path in files:
        if not encoder.ends_line:
            encoder.append("\n")
        for block in _blocks(_decoded(path)):
            encoder.append(clean(block, normalization))
    if not encoder.count:
        names = ", ".join(map(show_path, files[:3])) + (", ..." if len(files) > 3 else "")
        raise DataError(f"{names}: no text in it: give a file with text")
    return encoder.finish(tuple(files), normalization)


def text_from_string(text: str, normalization: str = "nfc") -> Text:
    """The corpus of a str, cleaned as read_text cleans a file. Raises DataError (65) if it is empty."""
    _check_form(normalization)
    if not text:
        raise DataError("the text is empty: give some characters")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise DataError(f"the text has a lone surrogate (U+{code:04X}) at character {error.start}") from None
    encoder = _Encoder(len(text))
    encoder.append(clean(text, normalization))
    return encoder.finish((), normalization)


def clean(text: str, normalization: str) -> str:
    """CRLF to LF, then the Unicode form: what is done to every corpus and to every prompt."""
    text = text.replace("\r\n", "\n")
    if normalization == "none" or text.isascii():
        return text
    return unicodedata.normalize(_FORMS[normalization], text)


def _check_form(normalization: str) -> None:
    if normalization not in NORMALIZATIONS:
        raise ConfigError(f"normalization {normalization!r} is unknown: use one of {', '.join(NORMALIZATIONS)}")


def _check_memory(total: int) -> None:
    if total < 1 << 28:
        return
    import psutil

    free = psutil.virtual_memory().available
    if total > free // 2:
        gib = 1 << 30
        raise DeviceMemoryError(f"the corpus has {total / gib:.1f} GiB and this machine {free / gib:.1f} GiB of free "
                                "memory: train on a part of it, at most half as large as the free memory")  # fmt: skip


def _decoded(path: Path) -> Iterator[str]:
    """The characters of a UTF-8 file, in pieces, without a leading byte order mark."""
    offset, pending = 0, b""  # pending holds the start of a character that a piece cut off
    try:
        with os.fdopen(open_input(path), "rb") as file:
            while True:
                chunk = file.read(BLOCK_BYTES)
                data = pending + chunk
                text, used = codecs.utf_8_decode(data, "strict", not chunk)
                yield text.removeprefix("\ufeff") if offset == 0 else text
                offset, pending = offset + used, data[used:]
                if not chunk:
                    return
    except UnicodeDecodeError as error:
        raise DataError(_not_utf8(path, offset, error)) from None
    except OSError as error:
        raise StorageError(
            f"cannot read {show_path(path)} at byte {offset}: {error.strerror}; check the disk"
        ) from None


def _not_utf8(path: Path, offset: int, error: UnicodeDecodeError) -> str:
    at = offset + error.start
    utf16 = at == 0 and error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    byte, source = error.object[error.start], "UTF-16" if utf16 else "its encoding"
    return f"{show_path(path)}: byte offset {at} (0x{byte:02x}) is not UTF-8: convert the file from {source}"


def _blocks(pieces: Iterable[str]) -> Iterator[str]:
    """The same text cut where cleaning each block alone equals cleaning the whole."""
    held: list[str] = []
    for piece in pieces:
        cut = _last_cut(piece)
        if cut is None:
            held.append(piece)
        else:
            yield "".join([*held, piece[:cut]])
            held = [piece[cut:]]
    yield "".join(held)


def _last_cut(text: str) -> int | None:
    """The last index whose character no normalization form joins with what stands before it, and is no CRLF's LF:
    ASCII and the CJK unified ideographs are such (starters that never compose with a preceding character)."""
    for i in range(len(text) - 1, -1, -1):
        c = text[i]
        if (c <= "\x7f" and c != "\n") or "\u4e00" <= c <= "\u9fff":
            return i
    return None


class _Encoder:
    """Encodes blocks into indices, numbering characters as they first appear and sorting them at the end."""

    def __init__(self, capacity: int) -> None:
        self.count, self.utf8_bytes, self.ends_line = 0, 0, True
        self._hash = hashlib.sha256()
        self._number = np.full(CODE_POINTS, -1, np.int32)  # code point -> order of first appearance
        self._symbols = np.empty(0, np.uint32)
        self._ids: NDArray[np.unsignedinteger] = np.empty(capacity, np.uint8)  # committed only where written

    def append(self, text: str) -> None:
        if not text:
            return
        data = text.encode()
        self._hash.update(data)
        self.utf8_bytes += len(data)
        codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
        numbers = self._number[codes]
        if numbers.min() < 0:
            new = np.unique(codes[numbers < 0])
            self._number[new] = np.arange(len(self._symbols), len(self._symbols) + len(new))
            self._symbols = np.concatenate([self._symbols, new])
            numbers = self._number[codes]
        end = self.count + len(codes)
        self._make_room(end)
        self._ids[self.count : end] = numbers
        self.count, self.ends_line = end, text[-1] == "\n"

    def _make_room(self, size: int) -> None:
        largest = len(self._symbols) - 1
        dtype = np.uint8 if largest < 1 << 8 else np.uint16 if largest < 1 << 16 else np.uint32
        if size > len(self._ids) or self._ids.dtype != dtype:
            capacity = len(self._ids) if size <= len(self._ids) else size + size // 4
            larger = np.empty(capacity, dtype)
            larger[: self.count] = self._ids[: self.count]
            self._ids = larger

    def finish(self, sources: tuple[Path, ...], normalization: str) -> Text:
        order = np.argsort(self._symbols)
        rank = np.empty(len(order), self._ids.dtype)
        rank[order] = np.arange(len(order))
        ids = self._ids[: self.count]
        for start in range(0, self.count, BLOCK_BYTES):
            block = ids[start : start + BLOCK_BYTES]
            block[:] = rank[block]
        return Text(self._symbols[order], ids, self.utf8_bytes, self._hash.hexdigest(), sources, normalization)
