"""A Tensor is a name, a shape, a dtype and a role. It holds no data: a backend gives it storage.

A view (columns of a fused tensor, a range of a flat one, another shape) shares its base's storage: it is an offset
and a row stride, both in elements, and costs nothing.
"""

from __future__ import annotations

import math
from typing import Literal

from nyx.errors import ShapeError

Dtype = Literal["f32", "i32", "u32"]

# param: trained, kept; grad and state: kept between runs, written by the device; const: kept, written by the host
# before the first run; input: written by the host before any run; temp: lives inside one run of one Program.
Role = Literal["param", "grad", "state", "const", "input", "temp"]


class Tensor:
    """Symbolic tensor. `row_stride` is the distance between rows (rows = all dimensions but the last)."""

    __slots__ = ("base", "dtype", "name", "offset", "role", "row_stride", "shape")
    dtype: Dtype
    role: Role

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: Dtype = "f32",
        role: Role = "temp",
        *,
        base: Tensor | None = None,
        offset: int = 0,
        row_stride: int | None = None,
    ) -> None:
        if not shape or any(not isinstance(n, int) or n < 1 for n in shape):
            raise ShapeError(f"[tensor] every dimension of {name} must be a positive integer, got {shape}")
        self.name, self.shape, self.dtype, self.role = name, shape, dtype, role
        self.base, self.offset = base, offset
        self.row_stride = shape[-1] if row_stride is None else row_stride

    @property
    def root(self) -> Tensor:
        """The tensor that owns the storage."""
        return self if self.base is None else self.base

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def rows(self) -> int:
        """Number of rows: the product of all dimensions but the last."""
        return math.prod(self.shape[:-1])

    @property
    def contiguous(self) -> bool:
        return self.rows == 1 or self.row_stride == self.shape[-1]

    @property
    def persistent(self) -> bool:
        """Kept by the backend between runs and shared by all Programs that name it."""
        return self.root.role != "temp"

    @property
    def region(self) -> tuple[int, int, int, int]:
        """Where this view lies in its root: offset, rows, row length, row stride."""
        return (self.offset, self.rows, self.shape[-1], self.row_stride)

    def columns(self, start: int, stop: int) -> Tensor:
        """The view [..., start:stop]."""
        if not 0 <= start < stop <= self.shape[-1]:
            raise ShapeError(f"[columns] {start}:{stop} must lie in the {self.shape[-1]} columns of {self.name}")
        shape = (*self.shape[:-1], stop - start)
        return self._view(f"{self.name}[{start}:{stop}]", shape, self.offset + start, self.row_stride)

    def flat(self, start: int, shape: tuple[int, ...], name: str = "") -> Tensor:
        """A contiguous view of `shape` that begins at element `start` of this contiguous tensor."""
        if not self.contiguous or start < 0 or start + math.prod(shape) > self.size:
            raise ShapeError(f"[flat] {shape} from element {start} must lie in {self.name} {self.shape}")
        return self._view(name or f"{self.name}[{start}..]", shape, self.offset + start, shape[-1])

    def reshape(self, *shape: int) -> Tensor:
        """The same elements in another shape; the tensor must be contiguous."""
        if math.prod(shape) != self.size:
            raise ShapeError(f"[reshape] {self.name} {self.shape} cannot become {shape}")
        return self.flat(0, shape, self.name)

    def place(self, where: Tensor) -> None:
        """Gives this temporary, written by one Step and not yet read, the storage of `where`."""
        if self.base is not None or self.role != "temp" or self.shape != where.shape:
            raise ShapeError(f"[place] {self!r} cannot be placed in {where!r}")
        self.base, self.offset, self.row_stride = where.root, where.offset, where.row_stride

    def _view(self, name: str, shape: tuple[int, ...], offset: int, row_stride: int) -> Tensor:
        return Tensor(name, shape, self.dtype, self.role, base=self.root, offset=offset, row_stride=row_stride)

    def __repr__(self) -> str:
        view = "" if self.base is None else f" in {self.base.name}@{self.offset}"
        return f"{self.name}{list(self.shape)}:{self.dtype}{view}"
