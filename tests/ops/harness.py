"""From the table to single proofs: unfolds rows, draws data, builds the Program of one call, compares tensors."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from cases import ROWS
from table import Bound, Case, Draw, Row

from nyx import ops
from nyx.ops import Launch, Operation, Traits
from nyx.program import Program, Step
from nyx.tensor import Dtype, Role, Tensor

DTYPES: dict[str, Dtype] = {"float64": "f32", "float32": "f32", "int32": "i32", "uint32": "u32"}
# What a launch may be told about its device; a proof is made for each that changes the launch.
LAUNCHES = {
    "": Traits(software=False),
    "software": Traits(software=True),
    "folded": Traits(software=False, max_groups=2),
}


@dataclass(frozen=True)
class Proof:
    """One call of one operation, with values of one scale, launched one way (a key of LAUNCHES).

    layout: "whole", every tensor is one of its own; "odd", all are views at odd offsets, strided ones columns with odd
    row strides; "even", strided ones are columns at multiples of 4.
    """

    name: str
    case: Case
    scale: float
    layout: str = "whole"
    launch: str = ""

    def __str__(self) -> str:
        shapes = ",".join(f"{n}={'x'.join(map(str, s))}" for n, s in self.case.shapes.items())
        consts = [f"{k}={v}" for k, v in self.case.consts.items()]
        scale = "" if self.scale == 1 else f"scale={self.scale:g}"
        layout = "" if self.layout == "whole" else self.layout
        return "-".join(filter(None, (self.name, shapes, *consts, scale, layout, self.launch)))

    @property
    def row(self) -> Row:
        return ROWS[self.name]

    @property
    def op(self) -> Operation:
        return ops.get(self.name)


@cache
def proofs(name: str) -> tuple[Proof, ...]:
    """Everything a row unfolds into. A call that cannot be built stays in, once, and fails where it is run."""
    row, found = ROWS[name], []
    for case in row.cases:
        ways = [(scale, "whole") for scale in row.scales_of(case)]
        ways += [(1.0, "odd")] + [(1.0, "even")] * bool(ops.get(name).spec.strided)
        for scale, layout in ways:
            found += [Proof(name, case, scale, layout, launch) for launch in _launches(name, case, layout)]
    return tuple(found)


@cache
def all_proofs() -> tuple[Proof, ...]:
    return tuple(proof for name in ROWS for proof in proofs(name))


def _launches(name: str, case: Case, layout: str) -> Iterator[str]:
    try:
        step = build(Proof(name, case, 1.0, layout)).step
        known: list[Launch] = []
        for label, traits in LAUNCHES.items():
            launch = step.op.launch(step, traits)
            if launch not in known:
                known.append(launch)
                yield label
    except Exception:
        yield ""


def draw(proof: Proof) -> dict[str, np.ndarray]:
    """The inputs and inouts, as float64, int32 or uint32; the same for every layout and launch of a case."""
    seed = zlib.crc32(str(Proof(proof.name, proof.case, proof.scale)).encode())
    rng, data = np.random.default_rng(seed), {**proof.row.data, **proof.case.data}
    arrays: dict[str, np.ndarray] = {}
    for name, shape in proof.case.shapes.items():
        arrays[name] = data.get(name, Draw.normal)(Draw(rng, shape, proof.case, proof.scale, arrays))
        assert arrays[name].shape == shape, f"the generator of {name} made {arrays[name].shape}, not {shape}"
    return arrays


def cast(arrays: dict[str, np.ndarray], dtype: type[np.floating]) -> dict[str, np.ndarray]:
    """Copies, with floats in dtype."""
    return {n: a.astype(dtype if a.dtype.kind == "f" else a.dtype, order="C") for n, a in arrays.items()}


@dataclass(frozen=True)
class Call:
    """A Program with one Step; leaves: its inputs and inouts by name."""

    program: Program
    step: Step
    leaves: dict[str, Tensor]

    def bound(self) -> dict[str, Tensor]:
        """Every tensor of the Step that is there, by the spec's name."""
        pairs = {name: self.step.binding(name) for name in self.step.op.spec.arguments}
        return {name: tensor for name, tensor in pairs.items() if tensor is not None}


def build(proof: Proof, *, placed: bool = True) -> Call:
    """The Program of one call: differentiable inputs are parameters; strided tensors lie as the layout says.

    placed: outputs too, as a backward's are; an output whose own gradient is asked for lies by itself.
    """
    op, arrays = proof.op, draw(proof)
    wanted = () if isinstance(proof.row.differentiable, str) else proof.row.differentiable
    leaves: dict[str, Tensor] = {}
    for name, array in arrays.items():
        tracked = name in wanted and name not in proof.case.fixed
        role: Role = "param" if tracked else "input"
        leaves[name] = _lay(proof, name, Tensor(name, array.shape, DTYPES[str(array.dtype)], role))
    with Program(str(proof)) as program:
        op(*(leaves.get(n) for n in (*op.spec.inputs, *op.spec.inouts)), **proof.case.consts)
    step = program.steps[-1]
    for name, tensor in zip(op.spec.outputs, step.outputs, strict=True):
        if placed and tensor is not None and (where := _lay(proof, name, Tensor(name, tensor.shape))).base:
            tensor.place(where)
    return Call(program, step, leaves)


def _lay(proof: Proof, name: str, like: Tensor) -> Tensor:
    """`like` itself, or a view of another tensor, as the layout says; odd offsets differ from binding to binding."""
    spec, width = proof.op.spec, like.shape[-1]
    strided = name in spec.strided
    if proof.layout == "whole" or (proof.layout == "even" and not strided):
        return like
    odd = proof.layout == "odd"
    left = 1 + spec.bindings.index(name) % 3 if odd else 4
    if not strided:
        return Tensor(f"{name}.long", (left + like.size + 2,), like.dtype, like.role).flat(left, like.shape)
    right = 4 + (left + width + 1) % 2 if odd else 8 + -width % 4
    shape = (*like.shape[:-1], left + width + right)
    return Tensor(f"{name}.wide", shape, like.dtype, like.role).columns(left, left + width)


def reference(proof: Proof, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What `run` makes of these arrays: every output and inout by name. Changes the inouts among the arrays."""
    spec = proof.op.spec
    results = proof.op.run(*(arrays.get(n) for n in (*spec.inputs, *spec.inouts)), **proof.case.consts)
    if not isinstance(results, tuple):
        results = (results,) if spec.outputs else ()
    made = {n: r for n, r in zip(spec.outputs, results, strict=True) if r is not None}
    return {**made, **{n: arrays[n] for n in spec.inouts}}


def compare(what: str, got: np.ndarray, want: np.ndarray, bound: Bound) -> None:
    """Raises AssertionError with the worst element unless every element and the NMSE are within the bound."""
    came, wanted = (got.shape, got.dtype), (want.shape, want.dtype)
    assert came == wanted, f"{what} is {came}, not {wanted}"
    g, w = got.astype(np.float64).reshape(-1), want.astype(np.float64).reshape(-1)
    finite = np.isfinite(w)
    same = np.isfinite(g) == finite
    same[~finite] &= (g == w)[~finite] | (np.isnan(g) & np.isnan(w))[~finite]
    assert same.all(), f"{what}: {_at(np.argmin(same), g, w)} ({(~same).sum()} differ in what is not finite)"
    if not finite.any():
        return
    g, w = np.where(finite, g, 0), np.where(finite, w, 0)
    error, allowed = np.abs(g - w), bound.rtol * np.abs(w) + bound.atol * np.abs(w).max() + bound.floor
    worst = int(np.argmax(error - allowed))
    assert error[worst] <= allowed[worst], (
        f"{what}: {_at(worst, g, w)}, off by {error[worst]:.3g} where {allowed[worst]:.3g} is allowed "
        f"({(error > allowed).sum()} of {w.size} are out of bounds)"
    )
    nmse = (error**2).sum() / max((w**2).sum(), np.finfo(np.float64).tiny)
    assert nmse <= bound.nmse or error.max() <= bound.floor, f"{what}: NMSE {nmse:.3g} is above {bound.nmse:.3g}"


def _at(index: int | np.integer, got: np.ndarray, want: np.ndarray) -> str:
    return f"element {index} is {got[index]:.9g}, not {want[index]:.9g}"
