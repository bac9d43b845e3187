"""What the attention operations share: head views, the causal mask and dropout for the CPU, and the launches."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nyx.ops import Pass, Traits, ceil_div, groups_of, require
from nyx.program import Step
from nyx.tensor import Tensor

# Scores that are worked on at once: on the CPU and on software drivers what fits in a core's cache, on GPUs what fills
# them, fits in one buffer and, on the larger ones, in the second level cache.
_CACHE, _ROOM = 1 << 18, 1 << 23


def heads(a: np.ndarray, n_head: int) -> np.ndarray:
    """The view (B, H, T, D) of a (B, T, C) array."""
    b, t, c = a.shape
    return a.reshape(b, t, n_head, c // n_head).transpose(0, 2, 1, 3)


def check(
    name: str, q: Tensor, k: Tensor, v: Tensor, counter: Tensor | None, n_head: int, rate: float, stream: int
) -> tuple[tuple[int, ...], ...]:
    """Raises ShapeError where operation `name` cannot work with these; returns the shapes of o and lse."""
    require(name, len(q.shape) == 3 and q.shape == k.shape == v.shape, "q, k, v must be (B, T, C)", q, k, v)
    require(name, n_head > 0 and q.shape[2] % n_head == 0, f"C must be a multiple of n_head {n_head}", q)
    require(name, 0 <= rate < 1, f"the rate must lie in [0, 1), not {rate}", q)
    require(name, 0 <= stream < 2**32, f"the stream must be a u32, not {stream}", q)
    counted = counter is not None and counter.shape == (4,) and counter.dtype == "u32"
    require(name, counted or (rate == 0 and counter is None), "dropout needs a counter, u32 (4,)", counter)
    return (q.shape, (q.shape[0], n_head, q.shape[1]))


def blocks(b: int, n_head: int, t: int, rate: float) -> Iterator[tuple[slice, int, int]]:
    """Cuts the scores (B, H, T, T) for the CPU: samples, first query, last query + 1; keys run up to the last query.

    With dropout all queries stay together: their random numbers are drawn in one go.
    """
    rows = t if rate else min(t, 128)
    samples = max(1, _CACHE // (n_head * rows * t))
    for first in range(0, b, samples):
        for i0 in range(0, t, rows):
            yield slice(first, min(b, first + samples)), i0, min(t, i0 + rows)


@functools.lru_cache(maxsize=64)
def causal_mask(i0: int, i1: int, dtype: np.dtype) -> np.ndarray:
    """(i1 - i0, i1): 0 where key j <= query i, minus infinity above."""
    return np.triu(np.full((i1, i1), -np.inf, dtype), 1)[i0:]


def dropout_weights(
    counter: np.ndarray, stream: int, rate: float, where: tuple[slice, int, int, int, int], dtype: np.dtype
) -> np.ndarray:
    """0 or 1 / (1 - rate) for the weights of a block (samples, H, queries i0..i1, keys ..i1)."""
    from nyx.ops import _philox

    some, n_head, t, i0, i1 = where
    n = (some.stop - some.start) * n_head * t * t
    start = (int(counter[3]) + some.start) * n_head * t * t
    uniform = _philox.uniform(counter, stream, start, n).reshape(-1, n_head, t, t)[:, :, i0:i1, :i1]
    return (uniform >= np.float32(rate)).astype(dtype) * dtype.type(1.0 / (1.0 - rate))


@dataclass(frozen=True)
class Chunk:
    """Heads first to first + count of all B * H, whose scores lie in scratch together, and their passes."""

    traits: Traits
    width: int
    first: int
    count: int
    time: int
    push: dict[str, int | float]

    def scores(self, what: str) -> Pass:
        """A pass that makes (T, T) for each head."""
        return self._product(what, self.time, 64)

    def values(self, what: str) -> Pass:
        """A pass that makes (T, D) for each head."""
        return self._product(what, self.width, 32 if self.traits.software else 64)

    def rows(self, what: str, per_group: int) -> Pass:
        """A pass over the T rows of each head."""
        groups = groups_of(self.count * self.time, per_group, self.traits)
        return Pass(groups, {**self.push, "tiles": 1, "tiles_x": 1}, what)

    def _product(self, what: str, columns: int, tile_columns: int) -> Pass:
        software = self.traits.software
        across = ceil_div(columns, tile_columns)
        tiles = across * ceil_div(self.time, 16 if software else 64)
        kind = "group" if not software else "lane" if self.push["fours"] else "lane_scalar"
        groups = groups_of(tiles * self.count, 1, self.traits)
        return Pass(groups, {**self.push, "tiles": tiles, "tiles_x": across}, f"{what}_{kind}")


def chunks(step: Step, tensors: tuple[Tensor | None, ...], traits: Traits) -> tuple[list[Chunk], int]:
    """The work of all heads in chunks, and the elements of scratch that the scores of one take.

    tensors: all that are read or written in rows of D.
    """
    first = tensors[0]
    assert first
    b, t, c = first.shape
    n_head, width = step.consts["n_head"], c // step.consts["n_head"]
    pitch = ceil_div(t, 4) * 4
    most = max(1, min(b * n_head, (_CACHE if traits.software else _ROOM) // (t * pitch)))
    fours = width % 4 == 0 and all(x is not None and x.offset % 4 == 0 and x.row_stride % 4 == 0 for x in tensors)
    push: dict[str, int | float] = {"time": t, "n_head": n_head, "width": width, "pitch": pitch, "fours": int(fours)}
    push |= {"stream": step.consts["stream"], "rate": step.consts["rate"], "scale": width**-0.5}
    found = []
    for at in range(0, b * n_head, most):
        count = min(most, b * n_head - at)
        found.append(Chunk(traits, width, at, count, t, {**push, "first": at, "count": count}))
    return found, most * t * pitch
