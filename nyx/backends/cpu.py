"""The CPU backend: a loop over the Steps that calls each operation's NumPy function. Also the reference in float64."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nyx.backends.base import Backend, MemoryUse
from nyx.errors import DeviceMemoryError, DivergenceError, ProgramError
from nyx.program import Program, Step
from nyx.tensor import Tensor


class CpuBackend(Backend):
    """dtype: what "f32" tensors are computed in, float32 or float64 (the proofs)."""

    description = "CPU (NumPy)"

    def __init__(self, dtype: type[np.floating] = np.float32) -> None:
        self._dtypes: dict[str, type] = {"f32": dtype, "i32": np.int32, "u32": np.uint32}
        self._store: dict[Tensor, np.ndarray] = {}
        self._plans: dict[Program, list[_Plan]] = {}
        self._temporary = 0

    def prepare(self, program: Program) -> None:
        if program in self._plans:
            return
        for root in program.persistent():
            self._allocate(root)
        ends: dict[int, list[Tensor]] = {}
        for tensor, (_, last) in program.lifetimes().items():
            ends.setdefault(last, []).append(tensor)
        self._plans[program] = [_Plan(step, ends.get(i, [])) for i, step in enumerate(program.steps)]

    def run(self, program: Program, *, check_finite: bool = False) -> None:
        """check_finite: stop with DivergenceError at the first Step that makes a value that is not finite."""
        self.prepare(program)
        live: dict[Tensor, np.ndarray] = {}
        in_use = 0
        with np.errstate(all="ignore"):  # values that are not finite are found by `clip`, as on any device
            for plan in self._plans[program]:
                in_use += self._run_step(plan, live)
                self._temporary = max(self._temporary, in_use)
                if check_finite:
                    self._check(plan.step, live)
                for tensor in plan.ends:
                    in_use -= live.pop(tensor).nbytes

    def _run_step(self, plan: _Plan, live: dict[Tensor, np.ndarray]) -> int:
        step = plan.step
        arguments = [None if t is None else self._array(t, live) for t in (*step.inputs, *step.inouts)]
        try:
            results = step.op.run(*arguments, **step.consts)
        except MemoryError as error:
            raise DeviceMemoryError(
                f"out of memory in {step.op.name}: lower train.batch_size or train.seq_len"
            ) from error
        if not isinstance(results, tuple):
            results = (results,) if step.outputs else ()
        new = 0
        for tensor, result in zip(step.outputs, results, strict=True):
            if tensor is None:
                continue
            if tensor.base is None:
                live[tensor] = result
                new += result.nbytes
            else:
                if tensor.root.role == "temp" and tensor.root not in live:
                    live[tensor.root] = np.empty(tensor.root.shape, self._dtypes[tensor.root.dtype])
                    new += live[tensor.root].nbytes
                self._array(tensor, live)[...] = result
        return new

    def _array(self, tensor: Tensor, live: dict[Tensor, np.ndarray]) -> np.ndarray:
        root = tensor.root
        stored = live[root] if root.role == "temp" else self._store[root]
        if tensor.base is None:
            return stored
        flat = stored.reshape(-1)
        if tensor.contiguous:
            return flat[tensor.offset : tensor.offset + tensor.size].reshape(tensor.shape)
        item = flat.itemsize
        strides = [item, tensor.row_stride * item]
        for n in reversed(tensor.shape[1:-1]):
            strides.append(strides[-1] * n)
        return as_strided(flat[tensor.offset :], tensor.shape, tuple(reversed(strides)))

    def _check(self, step: Step, live: dict[Tensor, np.ndarray]) -> None:
        for tensor in (*step.outputs, *step.inouts):
            if tensor is not None and not np.isfinite(values := self._array(tensor, live)).all():
                count = int(values.size - np.isfinite(values).sum())
                raise DivergenceError(
                    f"{count} of {values.size} values of {tensor.name} are not finite after {step.op.name}"
                )

    def _allocate(self, root: Tensor) -> np.ndarray:
        if root not in self._store:
            try:
                self._store[root] = np.zeros(root.shape, self._dtypes[root.dtype])
            except MemoryError as error:
                raise DeviceMemoryError(f"out of memory for {root!r}") from error
        return self._store[root]

    def write(self, tensor: Tensor, values: np.ndarray) -> None:
        if not tensor.persistent:
            raise ProgramError(f"[write] {tensor!r} is a temporary")
        self._allocate(tensor.root)
        self._array(tensor, {})[...] = np.asarray(values).reshape(tensor.shape)

    def read(self, tensor: Tensor) -> np.ndarray:
        if not tensor.persistent:
            raise ProgramError(f"[read] {tensor!r} is a temporary")
        self._allocate(tensor.root)
        return self._array(tensor, {}).copy()

    def memory(self) -> MemoryUse:
        persistent: dict[str, int] = {}
        for root, values in self._store.items():
            persistent[root.role] = persistent.get(root.role, 0) + values.nbytes
        return MemoryUse(persistent, self._temporary)


class _Plan:
    """A Step and the temporaries whose last use it is."""

    __slots__ = ("ends", "step")

    def __init__(self, step: Step, ends: list[Tensor]) -> None:
        self.step, self.ends = step, ends
