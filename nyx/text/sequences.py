"""One side of a corpus, the training or the validation part: sequences of symbols that begin anew each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nyx.text.numbers import Ids


@dataclass(frozen=True, eq=False)
class Sequences:
    """M sequences, ids[starts[i]:ends[i]], of a text of symbols; a stream is one sequence.

    ids: (N,) of any integer type. starts, ends: (M,) int64. L characters have L-1 targets:
    character i+1 is the target of character i, and the first one, with nothing before it, is no target.
    """

    ids: Ids
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, part: Sequences | Ids) -> Sequences:
        """The part itself, or ids (N,) as one sequence, if there are any."""
        if isinstance(part, Sequences):
            return part
        some = 1 if len(part) else 0
        return cls(part, np.zeros(some, np.int64), np.full(some, len(part), np.int64))

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def characters(self) -> int:
        """Symbols of all sequences."""
        return int((self.ends - self.starts).sum())

    @cached_property
    def targets(self) -> int:
        """Targets of all sequences."""
        return int(self._targets().sum())

    def first(self, targets: int | None) -> Sequences:
        """The sequences from the front that have so many targets, the last one cut; all of them for None."""
        if targets is None or targets >= self.targets:
            return self
        until = np.cumsum(self._targets())
        last = int(np.searchsorted(until, targets))
        ends = self.ends[: last + 1].copy()
        ends[last] -= until[last] - targets
        return Sequences(self.ids, self.starts[: last + 1], ends)

    def head(self, characters: int) -> NDArray[Any]:
        """The first symbols, at most so many, one sequence after the other."""
        parts: list[NDArray[Any]] = []
        for start, end in zip(self.starts, self.ends, strict=True):
            if characters <= 0:
                break
            parts.append(np.asarray(self.ids[start : min(end, start + characters)]))
            characters -= len(parts[-1])
        return np.concatenate(parts) if parts else np.empty(0, self.ids.dtype)

    def _targets(self) -> NDArray[np.int64]:
        return np.maximum(self.ends - self.starts - 1, 0)
