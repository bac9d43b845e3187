"""Each CPU kernel equals its operation's `run` in float32 over the same table as the shaders, on every instruction set
that is here, writes nothing else, and gives the same bits on any number of threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from harness import Call, Proof, build, cast, compare, draw, proofs, reference
from numpy.lib.stride_tricks import as_strided
from workbench import GUARD, Slot, place

from nyx import ops
from nyx.tensor import Tensor

_core = pytest.importorskip("nyx._core", reason="nyx._core is not built: run `make setup`")
ISAS = _core.cpu_isas()
NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "native" / "cpu").glob("*.cpp"))
DTYPES = {"f32": np.float32, "i32": np.int32, "u32": np.uint32}

if not ISAS:
    pytest.skip("nyx._core was built without CPU kernels", allow_module_level=True)


pytestmark = pytest.mark.usefixtures("cpu_threads")


def run(isa: str, proof: Proof, call: Call, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the kernel writes, by name. AssertionError where it wrote anything else."""
    spec, bound = call.step.op.spec, call.bound()
    rng, slots = np.random.default_rng(len(str(proof))), {}
    arrays: list[np.ndarray | None] = []
    for i, name in enumerate(spec.arguments):
        if name not in bound:
            arrays.append(None)
            continue
        guard = np.float32(1234.5).view(np.uint32) if name in spec.inouts else np.uint32(GUARD + i)
        slots[name] = place(bound[name], values.get(name), rng, guard)
        slots[name].image = slots[name].image.copy()
        arrays.append(view(slots[name], bound[name]))
    before = {name: slot.image.copy() for name, slot in slots.items()}
    calls = _core.CpuSequence(isa)
    assert calls.add(proof.name, arrays, call.step.consts)
    calls.run()
    written = {}
    for name, slot in slots.items():
        may_change = slot.owned if name not in spec.inputs else np.zeros_like(slot.owned)
        changed = np.flatnonzero((slot.image != before[name]) & ~may_change)
        assert not changed.size, f"{name}: wrote {changed.size} words outside, first at {changed[0] - slot.at}"
        if name not in spec.inputs:
            written[name] = slot.image[slot.owned].view(DTYPES[bound[name].dtype]).reshape(bound[name].shape)
    return written


def view(slot: Slot, tensor: Tensor) -> np.ndarray:
    strides = [4, 4 * tensor.row_stride]
    for n in reversed(tensor.shape[1:-1]):
        strides.append(strides[-1] * n)
    flat = slot.image[slot.at :].view(DTYPES[tensor.dtype])
    return as_strided(flat, tensor.shape, strides[: len(tensor.shape)][::-1])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", NAMES)
def test_kernel(name: str, isa: str) -> None:
    for proof in (p for p in proofs(name) if not p.launch):
        call, values = build(proof), cast(draw(proof), np.float32)
        got: dict[str, np.ndarray] = {}
        for count in (1, 2, 3):
            _core.set_cpu_threads(count)
            again = run(isa, proof, call, values)
            got = got or again
            for which, array in again.items():
                same = np.array_equal(array.view(np.uint32), got[which].view(np.uint32))
                assert same, f"{proof}: {which} on {count} threads"
        with np.errstate(all="ignore"):
            want = reference(proof, values)
        assert got.keys() == want.keys()
        for which in want:
            compare(f"{proof}: {which}", got[which], want[which], proof.row.bound_of(which))


def test_every_kernel_is_an_operation() -> None:
    assert set(NAMES) <= set(ops.names())
    assert not _core.CpuSequence(ISAS[0]).add("no such kernel", [], {})


# Where attention_backward masks, `run` adds minus infinity, which makes NaN of an infinite score; the kernel does not.
BAD = [(n, bad) for n in NAMES for bad in ((np.nan,) if n == "attention_backward" else (np.nan, np.inf, -np.inf))]


@pytest.mark.parametrize(("name", "bad"), BAD)
def test_a_value_that_is_not_finite_goes_where_it_goes_in_numpy(name: str, bad: float) -> None:
    """In each input of a case of middling size, alone, somewhere in the middle."""
    some = [p for p in proofs(name) if not p.launch and p.layout == "whole" and p.scale == 1 and not p.case.data]
    proof = sorted(some or [p for p in proofs(name) if not p.launch], key=_elements)[len(some) // 2]
    call, drawn = build(proof), cast(draw(proof), np.float32)
    for which in (n for n, a in drawn.items() if a.dtype == np.float32):
        values = {n: a.copy() for n, a in drawn.items()}
        values[which].reshape(-1)[values[which].size // 2] = bad
        got = run(ISAS[0], proof, call, values)
        with np.errstate(all="ignore"):
            want = reference(proof, values)
        for made in want:
            finite = np.isfinite(got[made])
            assert finite.all() == np.isfinite(want[made]).all(), f"{proof}: {bad} in {which}, and {made}"


def _elements(proof: Proof) -> int:
    return sum(int(np.prod(shape)) for shape in proof.case.shapes.values())


@pytest.mark.parametrize("isa", ISAS)
def test_exponentials_are_exact_to_rounding(isa: str) -> None:
    """sigmoid_gate with x = 1 is a sigmoid, which is exp far below zero."""
    gate = np.linspace(-87, 87, 100_001, dtype=np.float32)
    y, one = np.empty_like(gate), np.ones_like(gate)
    calls = _core.CpuSequence(isa)
    assert calls.add("sigmoid_gate", [one, gate, y], {})
    calls.run()
    want = 1 / (1 + np.exp(-gate.astype(np.float64)))
    assert (np.abs(y - want) / want).max() < 3 * 2.0**-24
