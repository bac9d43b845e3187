"""The CPU backend: Steps run one after the other, as kernels of native/cpu where there is one, else in NumPy.

In float64 it is the reference of the proofs, in NumPy alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nyx.backends import host
from nyx.backends.base import Backend, MemoryUse
from nyx.backends.kernels import choose
from nyx.backends.memory import CPU_RULES, Placement
from nyx.errors import DeviceMemoryError, DivergenceError, ProgramError
from nyx.program import Program, Step
from nyx.tensor import Tensor

ALIGN = 64  # bytes: a vector that does not begin there may lie in two lines of the cache


class CpuBackend(Backend):
    """dtype: what "f32" tensors are computed in, float32 or float64 (the proofs).

    Results do not depend on the number of threads.
    """

    rules = CPU_RULES
    on_host = True

    def __init__(self, dtype: type[np.floating] = np.float32) -> None:
        self._dtypes: dict[str, type] = {"f32": dtype, "i32": np.int32, "u32": np.uint32}
        self._isa, self.description = choose() if dtype == np.float32 else (None, "CPU (NumPy)")
        self._store: dict[Tensor, np.ndarray] = {}
        self._arena = np.empty(0, np.uint8)  # where the temporaries of all Programs lie, one Program's at a time
        self._placements: dict[Program, Placement] = {}
        self._plans: dict[Program, Plan] = {}

    def reserve(self, programs: Iterable[Program]) -> None:
        sizes = {program: self._place(program).elements * self._itemsize for program in programs}
        largest = max(sizes, key=lambda program: sizes[program])
        if sizes[largest] > self._arena.nbytes:
            self._plans.clear()  # they point into the old one, which goes before the new one comes
            self._arena = np.empty(0, np.uint8)
            self._arena = _zeros(sizes[largest], f"the temporaries of {largest.name}")
        for program in sizes:
            for root in program.persistent():
                self._allocate(root)

    def _place(self, program: Program) -> Placement:
        if program not in self._placements:
            _, self._placements[program] = self.rules.place(program)
        return self._placements[program]

    @property
    def _itemsize(self) -> int:
        return np.dtype(self._dtypes["f32"]).itemsize

    def prepare(self, program: Program) -> None:
        self.plan(program)

    def run(self, program: Program, *, check_finite: bool = False) -> None:
        """check_finite: stop with DivergenceError at the first Step that makes a value that is not finite."""
        with np.errstate(all="ignore"):  # values that are not finite are found by `clip`, as on any device
            for part in self.plan(program).parts(one_by_one=check_finite):
                part.run()
                if check_finite:
                    part.steps[0].check()

    def write(self, tensor: Tensor, values: np.ndarray) -> None:
        if not tensor.persistent:
            raise ProgramError(f"[write] {tensor!r} is a temporary")
        _view(self._allocate(tensor.root), tensor)[...] = np.asarray(values).reshape(tensor.shape)

    def read(self, tensor: Tensor) -> np.ndarray:
        if not tensor.persistent:
            raise ProgramError(f"[read] {tensor!r} is a temporary")
        return _view(self._allocate(tensor.root), tensor).copy()

    def release(self, keep: Iterable[Tensor]) -> None:
        self._plans.clear()  # they point into the arena
        self._placements.clear()
        self._arena = np.empty(0, np.uint8)
        kept = {tensor.root for tensor in keep}
        self._store = {root: values for root, values in self._store.items() if root in kept}

    def close(self) -> None:
        self.release(())

    def available(self) -> int | None:
        return host.free_memory()

    def memory(self) -> MemoryUse:
        persistent: dict[str, int] = {}
        for root, values in self._store.items():
            persistent[root.role] = persistent.get(root.role, 0) + values.nbytes
        return MemoryUse(persistent, self._arena.nbytes)

    def plan(self, program: Program) -> Plan:
        """The Program with storage bound to it; good until a larger Program comes."""
        if program not in self._plans:
            self.reserve([program])
            self._plans[program] = self._bind(program)
        return self._plans[program]

    def _bind(self, program: Program) -> Plan:
        roots: dict[Tensor, np.ndarray] = {root: self._allocate(root) for root in program.persistent()}
        for root, where in self._place(program).tensors.items():
            dtype = np.dtype(self._dtypes[root.dtype])
            start = where.offset * self._itemsize
            roots[root] = self._arena[start : start + root.size * dtype.itemsize].view(dtype)
        return Plan([Bound.of(step, roots) for step in program.steps], self._isa)

    def _allocate(self, root: Tensor) -> np.ndarray:
        """The storage of a persistent root, flat."""
        if root not in self._store:
            dtype = np.dtype(self._dtypes[root.dtype])
            self._store[root] = _zeros(root.size * dtype.itemsize, repr(root)).view(dtype)
        return self._store[root]


def _zeros(size: int, what: str) -> np.ndarray:
    """`size` bytes at a multiple of ALIGN."""
    try:
        memory = np.zeros(size + ALIGN, np.uint8)
    except MemoryError as error:
        raise DeviceMemoryError(f"out of memory for {what}: lower train.batch_size or train.seq_len") from error
    start = -memory.ctypes.data % ALIGN
    return memory[start : start + size]


def _view(storage: np.ndarray, tensor: Tensor) -> np.ndarray:
    """A tensor in the flat storage of its root."""
    if tensor.contiguous:
        return storage[tensor.offset : tensor.offset + tensor.size].reshape(tensor.shape)
    item = storage.itemsize
    strides = [item, tensor.row_stride * item]
    for n in reversed(tensor.shape[1:-1]):
        strides.append(strides[-1] * n)
    return as_strided(storage[tensor.offset :], tensor.shape, tuple(reversed(strides)))


@dataclass
class Bound:
    """A Step with the arrays of its tensors: inputs and inouts, and outputs."""

    step: Step
    arguments: list[np.ndarray | None]
    outputs: list[np.ndarray | None]

    @classmethod
    def of(cls, step: Step, roots: dict[Tensor, np.ndarray]) -> Bound:
        def bind(tensors: tuple[Tensor | None, ...]) -> list[np.ndarray | None]:
            return [None if t is None else _view(roots[t.root], t) for t in tensors]

        return cls(step, bind((*step.inputs, *step.inouts)), bind(step.outputs))

    def run(self) -> None:
        """The operation in NumPy."""
        op = self.step.op
        try:
            results = op.run(*self.arguments, **self.step.consts)
        except MemoryError as error:
            raise DeviceMemoryError(f"out of memory in {op.name}: lower train.batch_size or train.seq_len") from error
        if not isinstance(results, tuple):
            results = (results,) if self.outputs else ()
        for output, result in zip(self.outputs, results, strict=True):
            if output is not None:
                output[...] = result

    def check(self) -> None:
        """Raises DivergenceError where the Step has written a value that is not finite."""
        written = (*self.step.inouts, *self.step.outputs)
        for tensor, values in zip(written, (*self.arguments[len(self.step.inputs) :], *self.outputs), strict=True):
            if tensor is None or values is None or (finite := np.isfinite(values)).all():
                continue
            count = int(values.size - finite.sum())
            where = f"{tensor.name} are not finite after {self.step.op.name}"
            raise DivergenceError(f"{count} of {values.size} values of {where}")


@dataclass
class Part:
    """Neighbouring Steps: calls first to last of a sequence of kernels, or one Step in NumPy."""

    steps: list[Bound]
    calls: Any = None
    first: int = 0

    def run(self) -> None:
        if self.calls is None:
            return self.steps[0].run()
        try:
            return self.calls.run(self.first, self.first + len(self.steps))
        except MemoryError as error:
            raise DeviceMemoryError("out of memory: lower train.batch_size or train.seq_len") from error


class Plan:
    """The Steps of a Program, cut into parts."""

    def __init__(self, steps: list[Bound], isa: str | None) -> None:
        self._parts: list[Part] = []
        if isa is None:
            self._parts = [Part([step]) for step in steps]
            return
        from nyx import _core

        calls = _core.CpuSequence(isa)
        for bound in steps:
            if not calls.add(bound.step.op.name, [*bound.arguments, *bound.outputs], bound.step.consts):
                self._parts.append(Part([bound]))
            elif self._parts and self._parts[-1].calls is not None:
                self._parts[-1].steps.append(bound)
            else:
                self._parts.append(Part([bound], calls, len(calls) - 1))

    def parts(self, *, one_by_one: bool) -> Iterator[Part]:
        """one_by_one: every Step is a part of its own."""
        for part in self._parts:
            if not one_by_one:
                yield part
            else:
                yield from (Part([step], part.calls, part.first + i) for i, step in enumerate(part.steps))
