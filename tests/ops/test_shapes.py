"""What an operation accepts, it can run; anything else is a ShapeError that names the operation, before any backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from cases import ROWS
from harness import DTYPES, Proof, draw, proofs
from table import Shape

from nyx import ops
from nyx.errors import ShapeError
from nyx.program import Program
from nyx.tensor import Tensor

PER_ROW = 6
ELEMENTS = 5000


def changed(shape: Shape) -> Iterator[Shape]:
    """A shape with one dimension longer or shorter, with one more, and with one less."""
    for i, n in enumerate(shape):
        yield (*shape[:i], n + 1, *shape[i + 1 :])
        if n > 1:
            yield (*shape[:i], n - 1, *shape[i + 1 :])
    yield (2, *shape)
    if len(shape) > 1:
        yield shape[1:]
        yield (shape[0] * shape[1], *shape[2:])


def small(name: str) -> list[Proof]:
    found = [p for p in proofs(name) if p.scale == p.row.scales[0] and p.layout == "whole" and not p.launch]
    found = [p for p in found if sum(int(np.prod(s)) for s in p.case.shapes.values()) <= ELEMENTS]
    return [found[i] for i in sorted({int(i) for i in np.linspace(0, len(found) - 1, PER_ROW)})]


@pytest.mark.parametrize("name", list(ROWS))
def test_other_shapes(name: str) -> None:
    refused = 0
    for proof in small(name):
        dtypes = {n: a.dtype for n, a in draw(proof).items()}
        for changing, shape in proof.case.shapes.items():
            for other in changed(shape):
                case = replace(proof.case, shapes={**proof.case.shapes, changing: other})
                refused += not accepts(replace(proof, case=case), dtypes)
    if len(ops.get(name).spec.arguments) - len(ops.get(name).spec.outputs) > 1:
        assert refused, "no change of any shape is refused"


def accepts(proof: Proof, dtypes: dict[str, np.dtype]) -> bool:
    """False where it is a ShapeError; True where `run` then makes what was promised."""
    spec, case = proof.op.spec, proof.case
    arguments = (*spec.inputs, *spec.inouts)
    tensors = {n: Tensor(n, s, DTYPES[dtypes[n].name], "input") for n, s in case.shapes.items()}
    with Program(str(proof)) as program:
        try:
            ops.get(proof.name)(*(tensors.get(n) for n in arguments), **case.consts)
        except ShapeError as error:
            assert str(error).startswith(f"[{proof.name}]"), f"{proof}: {error}"
            return False
    arrays = {n: (np.ones if dtypes[n].kind == "f" else np.zeros)(s, dtypes[n]) for n, s in case.shapes.items()}
    try:
        with np.errstate(all="ignore"):
            made = proof.op.run(*(arrays.get(n) for n in arguments), **case.consts)
    except Exception as error:
        pytest.fail(f"{proof} is accepted, and then run says {error!r}")
    made = made if isinstance(made, tuple) else (made,) if spec.outputs else ()
    promised = [None if t is None else t.shape for t in program.steps[-1].outputs]
    assert [None if m is None else m.shape for m in made] == promised, str(proof)
    return True
