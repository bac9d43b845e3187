"""A text's numbers in a file, read where they are asked for. Nothing is mapped into memory: a file that is cut short or
cannot be read any more is then an error to catch, and no signal that ends the process."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from nyx.errors import StorageError
from nyx.files import AnyPath, show_path

BLOCK_BYTES = 1 << 20  # that are read together for single numbers which lie near each other


class Numbers:
    """(N,) unsigned integers at the beginning of a file, read-only; indexed as an array, and what comes is one.

    It has a descriptor of its own: who has it keeps it when the file is replaced or removed. Every access raises
    StorageError (74) when the file does not give what it had.
    """

    def __init__(self, descriptor: int, dtype: np.dtype, count: int, path: AnyPath) -> None:
        self.dtype, self.shape, self._path = dtype, (count,), path
        self._descriptor = os.dup(descriptor)
        weakref.finalize(self, os.close, self._descriptor)

    def __len__(self) -> int:
        return self.shape[0]

    @overload
    def __getitem__(self, key: int | np.integer) -> np.unsignedinteger: ...
    @overload
    def __getitem__(self, key: slice | NDArray[np.integer]) -> NDArray[Any]: ...
    def __getitem__(self, key: int | np.integer | slice | NDArray[np.integer]) -> Any:
        """A number, those of a slice, or (M,) of the places (M,), none of them below 0."""
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step != 1:
                return np.asarray(self)[key]
            return self.pieces(np.array([start]), np.array([max(stop - start, 0)]))
        if isinstance(key, np.ndarray):
            return self._take(key)
        return self._take(np.array([range(len(self))[key]]))[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=False)

    def __iter__(self) -> Iterator[Any]:
        return iter(self[:])

    def pieces(self, starts: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[Any]:
        """The numbers start..start+length-1 of each pair, one after the other."""
        size, descriptor = self.dtype.itemsize, self._descriptor
        read = os.pread if hasattr(os, "pread") else _seek_and_read
        places, counts = (starts * size).tolist(), (lengths * size).tolist()
        try:
            parts = [read(descriptor, count, at) for at, count in zip(places, counts, strict=True)]
            while list(map(len, parts)) != counts:  # one call gives 2 GiB at most
                for i, part in enumerate(parts):
                    more = read(descriptor, counts[i] - len(part), places[i] + len(part))
                    if len(part) + len(more) < counts[i] and not more:
                        raise self._error(f"it has no byte {places[i] + len(part)} any more")
                    parts[i] = part + more
        except OSError as error:
            raise self._error(str(error.strerror)) from None
        return np.frombuffer(b"".join(parts), self.dtype)

    def _take(self, places: NDArray[np.integer]) -> NDArray[Any]:
        out = np.empty(len(places), self.dtype)
        order = np.argsort(places, kind="stable") if (places[1:] < places[:-1]).any() else np.arange(len(places))
        block = places[order] * self.dtype.itemsize // BLOCK_BYTES
        cuts = np.flatnonzero(np.diff(block, prepend=-1, append=-1))
        for a, b in pairwise(cuts.tolist()):
            some = order[a:b]
            low, high = int(places[some[0]]), int(places[some[-1]]) + 1
            if low < 0 or high > len(self):
                raise IndexError(f"a place is outside 0..{len(self) - 1}")
            out[some] = self[low:high][places[some] - low]
        return out

    def _error(self, why: str) -> StorageError:
        return StorageError(f"cannot read {show_path(self._path)} in the cache of texts: {why}; start again or "
                            "resume: the entry is made anew (without one: data.cache=false)")  # fmt: skip



def _seek_and_read(descriptor: int, count: int, at: int) -> bytes:
    """os.pread where there is none, for one thread."""
    os.lseek(descriptor, at, os.SEEK_SET)
    return os.read(descriptor, count)


Ids = NDArray[Any] | Numbers
"""Symbols of a text, in memory or in the cache of texts."""


def pieces(ids: Ids, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[Any]:
    """ids[start:start+length] of each pair, one after the other."""
    return ids.pieces(starts, lengths) if isinstance(ids, Numbers) else ids[ranges(starts, lengths)]


def ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers start..start+length-1 of each pair, one after the other."""
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
