"""NYX_CHECK=1: every Step runs on the device and on the CPU, from the same inputs, and the first that differs is
named."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nyx.errors import DeviceError
from nyx.program import Step
from nyx.tensor import Tensor

RELATIVE, ABSOLUTE = 1e-3, 1e-6  # of a tensor's largest value: ten times what any shader is allowed in the tests

Fetch = Callable[[Tensor, int, int], np.ndarray]


def values(tensor: Tensor, fetch: Fetch) -> np.ndarray:
    """The elements of a tensor or a view; fetch(tensor, first, count) gives count elements of its storage."""
    span = (tensor.rows - 1) * tensor.row_stride + tensor.shape[-1]
    flat = fetch(tensor, tensor.offset, span)
    rows = as_strided(flat, (tensor.rows, tensor.shape[-1]), (tensor.row_stride * flat.itemsize, flat.itemsize))
    return rows.reshape(tensor.shape).copy()


def expected(step: Step, fetch: Fetch) -> list[tuple[Tensor, np.ndarray]]:
    """What a Step should write, by the operation's reference, from what its inputs hold now."""
    arguments = [None if t is None else values(t, fetch) for t in (*step.inputs, *step.inouts)]
    with np.errstate(all="ignore"):
        results = step.op.run(*arguments, **step.consts)
    results = results if isinstance(results, tuple) else (results,) if step.outputs else ()
    found = [(t, r) for t, r in zip(step.outputs, results, strict=True) if t is not None]
    changed = arguments[len(step.inputs) :]
    return [*found, *((t, a) for t, a in zip(step.inouts, changed, strict=True) if a is not None)]


def compare(number: int, step: Step, wanted: list[tuple[Tensor, np.ndarray]], fetch: Fetch) -> None:
    """Raises DeviceError when the device wrote something else than wanted."""
    for tensor, want, got in _pairs(wanted, fetch):
        finite = np.isfinite(want)
        size = np.abs(want[finite]).max(initial=0.0)
        wrong = ~(np.abs(got - want) <= RELATIVE * size + ABSOLUTE) & finite | (np.isfinite(got) != finite)
        if wrong.any():
            at = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            raise DeviceError(
                f"NYX_CHECK: step {number}, {step.op.name}: {int(wrong.sum())} of {wrong.size} values of {tensor.name} "
                f"differ from the CPU's; at {tuple(map(int, at))} the device has {got[at]:.8g}, the CPU {want[at]:.8g}"
            )


def _pairs(wanted: list[tuple[Tensor, np.ndarray]], fetch: Fetch) -> Iterator[tuple[Tensor, np.ndarray, np.ndarray]]:
    for tensor, want in wanted:
        if tensor.dtype == "f32":
            yield tensor, want.astype(np.float64), values(tensor, fetch).astype(np.float64)
