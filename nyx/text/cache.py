"""Large texts as numbers, kept in the user's cache folder and read from there.

An entry is one file: the numbers, some small arrays, and a footer of JSON (key, types, counts, a CRC-32 of all before
it) with a CRC-32 of its own. It is written under a temporary name, synced and renamed; two processes that make the same
entry write the same bytes, and who has one open keeps it when it is replaced or removed. Every use reads it through
once and compares the CRC-32: less than what hashing the text for its key costs, and the pages are then in memory.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nyx import console
from nyx.errors import StorageError
from nyx.files import make_folder, remove_stale, show_path, write_atomic
from nyx.text.numbers import Numbers

Say = Callable[[str], None]
VERSION = 2  # of what the numbers of a text are
LIMIT_BYTES = 20 << 30
SPARE_BYTES = 1 << 28  # what is left free on the disk
_SUFFIX = ".nyxtext"
_TAIL = struct.Struct("<8sII")  # magic, bytes of the JSON before it, CRC-32 of that JSON
MAGIC = b"NYXTEXT\0"
_BLOCK = 1 << 20


def on_stderr(line: str) -> None:
    """Where lines go that nobody took."""
    console.say(f"nyx: {line}")


class CacheError(StorageError):
    """The cache folder cannot be used."""


@dataclass(frozen=True, eq=False)
class Entry:
    """key: its own. numbers: (N,) unsigned integers, read where they are used. arrays: small ones by name. about: what
    else was stored."""

    key: str
    numbers: Numbers
    arrays: dict[str, NDArray[Any]]
    about: dict[str, Any]


class Cache:
    """The entries in a folder, by key (a hex digest).

    LIMIT_BYTES is kept by removing the least recently used entries (their modification time is their last use); the
    newest one stays, however large it is.
    """

    def __init__(self, folder: Path, say: Say = on_stderr) -> None:
        self.folder, self.say = folder, say

    def load(self, key: str) -> Entry | None:
        """The entry of this key, or None when there is none; a damaged one is said, removed, and none. Raises
        CacheError when it cannot be read."""
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                entry = _read(file, key)
                if entry is not None:
                    with suppress(OSError):  # a folder that can only be read has no last use
                        os.utime(file.fileno() if os.utime in os.supports_fd else path)
                    return entry
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise CacheError(f"cannot read {show_path(path)}: {error.strerror}") from None
        self.say(f"{show_path(path)} in the cache of texts is damaged: it is made again")
        self.forget(key)
        return None

    def largest(self) -> int:
        """Bytes of the largest entry, 0 when there is none."""
        try:
            return max((size for _, size, _ in self._entries()), default=0)
        except (FileNotFoundError, NotADirectoryError):
            return 0
        except OSError as error:
            raise CacheError(f"cannot read {show_path(self.folder)}: {error.strerror}") from None

    def reserve(self, size: int, scratch: int = 0) -> None:
        """Makes the folder, and room in it for an entry of `size` bytes and, until it is there, `scratch` bytes more.
        Raises CacheError when that cannot be."""
        try:
            make_folder(self.folder)
            remove_stale(self.folder)
            self._remove_oldest(LIMIT_BYTES - size)
            free = shutil.disk_usage(self.folder).free
        except (StorageError, OSError) as error:
            raise CacheError(str(error)) from None
        if free < size + scratch + SPARE_BYTES:
            raise CacheError(f"{show_path(self.folder)} has {free / 2**30:.1f} GiB free, too few for the "
                             f"{(size + scratch) / 2**30:.1f} GiB to write")  # fmt: skip

    def scratch(self) -> BinaryIO:
        """A temporary file in the folder, gone when it is closed. Raises CacheError."""
        try:
            return tempfile.TemporaryFile(buffering=0, dir=self.folder)
        except OSError as error:
            raise CacheError(f"cannot write in {show_path(self.folder)}: {error.strerror}") from None

    def store(self, key: str, numbers: Iterable[NDArray[Any]], arrays: Mapping[str, NDArray[Any]],
              about: Mapping[str, Any]) -> Entry:  # fmt: skip
        """Writes an entry from blocks of numbers, all of one type and not empty, and opens it. Raises CacheError."""
        path = self._path(key)
        try:
            write_atomic(path, _file(key, numbers, arrays, about), mode=0o600)
            with open(path, "rb") as file:
                entry = _read(file, key)
            self._remove_oldest(LIMIT_BYTES, keep=path)
        except (StorageError, OSError) as error:
            raise CacheError(str(error)) from None
        if entry is None:
            raise CacheError(f"{show_path(path)} does not hold what was written: check the disk")
        return entry

    def forget(self, key: str) -> None:
        """Removes an entry; who has it open keeps it."""
        with suppress(OSError):
            self._path(key).unlink()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _entries(self) -> list[tuple[int, int, str]]:
        """(last use, bytes, path) of each."""
        found: list[tuple[int, int, str]] = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(OSError):  # another process removed it
                    if entry.name.endswith(_SUFFIX) and entry.is_file(follow_symlinks=False):
                        found.append((entry.stat().st_mtime_ns, entry.stat().st_size, entry.path))
        return found

    def _remove_oldest(self, limit: int, keep: Path | None = None) -> None:
        found = self._entries()
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total > limit and (keep is None or Path(path) != keep):
                with suppress(OSError):
                    os.unlink(path)
                    total -= size


def default_cache(say: Say = on_stderr) -> Cache:
    """The folder texts/ in NYX_CACHE_DIR, or in the user's cache folder for programs of this name."""
    import platformdirs

    return Cache(Path(os.environ.get("NYX_CACHE_DIR") or platformdirs.user_cache_dir("nyx")) / "texts", say)


def _file(key: str, numbers: Iterable[NDArray[Any]], arrays: Mapping[str, NDArray[Any]],
          about: Mapping[str, Any]) -> Iterator[memoryview | bytes]:  # fmt: skip
    crc, count, dtype = 0, 0, ""
    for block in numbers:
        data = np.ascontiguousarray(block).data.cast("B")
        crc, count, dtype = zlib.crc32(data, crc), count + len(block), block.dtype.str
        yield data
    kinds: dict[str, tuple[str, int]] = {}
    for name, array in arrays.items():
        kinds[name] = array.dtype.str, len(array)
        data = array.tobytes()
        crc = zlib.crc32(data, crc)
        yield data
    footer = {"version": VERSION, "key": key, "dtype": dtype, "count": count, "arrays": kinds, "about": about,
              "crc": crc}  # fmt: skip
    text = json.dumps(footer).encode()
    yield text + _TAIL.pack(MAGIC, len(text), zlib.crc32(text))


def _read(file: BinaryIO, key: str) -> Entry | None:
    """The entry in an open file, or None when a byte of it is not what was written."""
    size = os.fstat(file.fileno()).st_size
    if size < _TAIL.size:
        return None
    file.seek(size - _TAIL.size)
    magic, length, check = _TAIL.unpack(file.read(_TAIL.size))
    if magic != MAGIC or length > size - _TAIL.size:
        return None
    file.seek(size - _TAIL.size - length)
    text = file.read(length)
    if zlib.crc32(text) != check:
        return None
    footer = json.loads(text)
    kinds = {name: (np.dtype(kind), count) for name, (kind, count) in footer["arrays"].items()}
    dtype, count = np.dtype(footer["dtype"]), footer["count"]
    small = sum(kind.itemsize * n for kind, n in kinds.values())
    body = size - _TAIL.size - length
    if (footer["version"], footer["key"], dtype.itemsize * count + small) != (VERSION, key, body):
        return None
    if _crc(file, body) != footer["crc"]:
        return None
    file.seek(dtype.itemsize * count)
    arrays = {name: np.frombuffer(file.read(kind.itemsize * n), kind) for name, (kind, n) in kinds.items()}
    return Entry(key, Numbers(file.fileno(), dtype, count, file.name), arrays, footer["about"])


def _crc(file: BinaryIO, size: int) -> int:
    crc, buffer = 0, memoryview(bytearray(_BLOCK))
    file.seek(0)
    while size:
        count = file.readinto(buffer[: min(size, _BLOCK)])  # type: ignore[attr-defined]
        if not count:
            return -1
        crc, size = zlib.crc32(buffer[:count], crc), size - count
    return crc
