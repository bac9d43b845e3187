"""Each operation's `grad` equals central differences of its `run`, in float64, with a random cotangent."""

from __future__ import annotations

import numpy as np
import pytest
from cases import ROWS
from harness import Call, Proof, build, draw, proofs

from nyx import ops
from nyx.backends.cpu import CpuBackend
from nyx.program import Program
from nyx.tensor import Tensor

STEP = 1e-5  # central differences: the error of the formula is about STEP**2, of the rounding about 1e-16 / STEP
ELEMENTS = 700  # two evaluations each
PER_ROW = 14


def chosen() -> list[Proof]:
    """Of each row's small cases with normal values some that are spread evenly, in every layout."""
    found = []
    for name, row in ROWS.items():
        if isinstance(row.differentiable, str):
            continue
        few = [p for p in proofs(name) if p.scale == 1 and p.launch == "" and p.case.gradient]
        few = [p for p in few if 0 < _elements(p) <= ELEMENTS]
        found += [few[i] for i in sorted({int(i) for i in np.linspace(0, len(few) - 1, PER_ROW)})] if few else []
    return found


def _elements(proof: Proof) -> int:
    shapes = proof.case.shapes
    return sum(int(np.prod(shapes[n])) for n in proof.row.differentiable if n in shapes and n not in proof.case.fixed)


class Gradients:
    """The persistent gradients of the parameters: where a parameter is a view, the same view of its root's gradient."""

    def __init__(self) -> None:
        self.roots: dict[Tensor, Tensor] = {}

    def __call__(self, parameter: Tensor) -> Tensor:
        root = parameter.root
        whole = self.roots.setdefault(root, Tensor(f"d_{root.name}", root.shape, role="grad"))
        if parameter is root:
            return whole
        stride = parameter.row_stride
        return Tensor(
            f"d_{parameter.name}", parameter.shape, role="grad", base=whole, offset=parameter.offset, row_stride=stride
        )


Values = dict[Tensor, np.ndarray]


def backward(program: Program, leaves: Values, seeds: Values) -> Values:
    """Appends the backward, runs everything in float64, and returns the gradient of every parameter it reaches."""
    gradients = Gradients()
    given = {t: Tensor(f"cotangent_{t.name}", t.shape, role="input") for t in seeds}
    reached = program.backward(given, gradients)
    backend = CpuBackend(dtype=np.float64)
    for tensor, values in [*leaves.items(), *((given[t], v) for t, v in seeds.items())]:
        backend.write(tensor, values)
    backend.run(program)
    return {parameter: backend.read(gradients(parameter)) for parameter in reached}


def differences(call: Call, proof: Proof, name: str, cotangents: dict[str, np.ndarray]) -> np.ndarray:
    """d(sum of cotangent * output) / d(the input of that name) by central differences of `run`."""
    arrays, spec = draw(proof), proof.op.spec

    def objective() -> float:
        results = proof.op.run(*(arrays.get(n) for n in (*spec.inputs, *spec.inouts)), **proof.case.consts)
        made = dict(zip(spec.outputs, results if isinstance(results, tuple) else (results,), strict=True))
        return sum(float((c * made[n]).sum()) for n, c in cotangents.items())

    flat = arrays[name].reshape(-1)
    out = np.empty(flat.size)
    for i, value in enumerate(flat.copy()):
        flat[i] = value + STEP
        above = objective()
        flat[i] = value - STEP
        out[i] = (above - objective()) / (2 * STEP)
        flat[i] = value
    return out.reshape(arrays[name].shape)


def assert_close(what: str, got: np.ndarray, want: np.ndarray) -> None:
    error, largest = np.abs(got - want).max(), np.abs(want).max()
    assert error <= 1e-6 * largest + 1e-8, f"{what}: off by {error:.3g}, the largest element is {largest:.3g}"


@pytest.mark.parametrize("proof", chosen(), ids=str)
def test_gradient(proof: Proof) -> None:
    call, arrays = build(proof, placed=False), draw(proof)
    assert arrays and not isinstance(proof.row.differentiable, str)
    rng = np.random.default_rng(len(str(proof)))
    outputs = dict(zip(proof.op.spec.outputs, call.step.outputs, strict=True))
    cotangents = {}
    for name in proof.row.cotangents or proof.op.spec.outputs[:1]:
        tensor = outputs[name]
        assert tensor is not None
        cotangents[name] = rng.standard_normal(tensor.shape)
    seeds = {outputs[n]: c for n, c in cotangents.items()}
    found = backward(call.program, {call.leaves[n]: a for n, a in arrays.items()}, seeds)  # type: ignore[arg-type]
    for name in proof.row.differentiable:
        if name in call.leaves and name not in proof.case.fixed:
            assert call.leaves[name] in found, f"no gradient reached {name}"
            assert_close(f"d_{name}", found[call.leaves[name]], differences(call, proof, name, cotangents))


def test_a_tensor_used_twice() -> None:
    """y = (x + x) + x: both the parameter and the temporary between collect all their contributions."""
    x, cotangent = Tensor("x", (5, 3), role="param"), np.random.default_rng(0).standard_normal((5, 3))
    with Program("twice") as program:
        y = ops.add(ops.add(x, x), x)
        y = ops.add(y, y)
    found = backward(program, {x: np.ones(x.shape)}, {y: cotangent})
    np.testing.assert_allclose(found[x], 6 * cotangent, rtol=1e-14)


def test_columns_of_a_fused_tensor() -> None:
    """The gradients of the views of a temporary meet in the gradient of the whole; a view used twice adds up."""
    x, cotangent = Tensor("x", (4, 10), role="param"), np.random.default_rng(0).standard_normal((4, 5))
    zero = Tensor("zero", (10,), role="input")
    with Program("fused") as program:
        fused = ops.add(x, zero)
        left, right = ops.copy(fused.columns(0, 5)), ops.copy(fused.columns(5, 10))
        y = ops.add(ops.add(left, right), ops.copy(fused.columns(0, 5)))
    found = backward(program, {x: np.ones(x.shape), zero: np.zeros(10)}, {y: cotangent})
    np.testing.assert_allclose(found[x], np.concatenate([2 * cotangent, cotangent], axis=1), rtol=1e-14)


def test_every_differentiable_operation_is_proved() -> None:
    proved = {proof.name for proof in chosen()}
    wanted = {name for name, row in ROWS.items() if not isinstance(row.differentiable, str)}
    assert proved == wanted, f"no case is small enough for: {sorted(wanted - proved)}"
