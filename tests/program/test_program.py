"""Programs: what is tracked, how gradients add up, what a view's gradient is, and how long temporaries live."""

from __future__ import annotations

import numpy as np
import pytest

from nyx import ops
from nyx.backends.cpu import CpuBackend
from nyx.errors import ProgramError, ShapeError
from nyx.program import Program
from nyx.tensor import Tensor


def param(name: str, *shape: int) -> Tensor:
    return Tensor(name, shape, role="param")


class Grads:
    """Persistent gradients, made when they are asked for."""

    def __init__(self) -> None:
        self.of: dict[Tensor, Tensor] = {}

    def __call__(self, tensor: Tensor) -> Tensor:
        return self.of.setdefault(tensor, Tensor(f"grad.{tensor.name}", tensor.shape, role="grad"))


def run(program: Program, values: dict[Tensor, np.ndarray], wanted: list[Tensor]) -> list[np.ndarray]:
    backend = CpuBackend(np.float64)
    for tensor, value in values.items():
        backend.write(tensor, value)
    backend.run(program)
    return [backend.read(t) for t in wanted]


def seed_of(*shape: int) -> Tensor:
    return Tensor("seed", shape, role="const")


def test_a_parameter_used_twice_gets_the_sum() -> None:
    x, seed, grads, program = param("x", 2, 3), seed_of(2, 3), Grads(), Program("p")
    with program:
        y = ops.add(ops.scale(x, factor=2.0), ops.scale(x, factor=5.0))
    assert program.backward({y: seed}, grads) == [x]
    value = np.arange(6.0).reshape(2, 3)
    (dx,) = run(program, {x: value, seed: value}, [grads(x)])
    np.testing.assert_allclose(dx, 7 * value)


def test_accumulate_adds_to_what_is_there() -> None:
    x, seed, grads = param("x", 4), seed_of(4), Grads()
    first, more = Program("first"), Program("more")
    for program in (first, more):
        with program:
            y = ops.scale(x, factor=3.0)
        program.backward({y: seed}, grads, accumulate=program is more)
    backend = CpuBackend(np.float64)
    backend.write(seed, np.ones(4))
    for program, expected in ((first, 3.0), (more, 6.0), (more, 9.0), (first, 3.0)):
        backend.run(program)
        np.testing.assert_array_equal(backend.read(grads(x)), np.full(4, expected))


def fused(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Two column views of one temporary, through an operation that takes and gives strided views."""
    both = ops.scale(x, factor=1.0)
    left, right = both.columns(0, 2), both.columns(2, 4)
    return both, ops.copy(left), ops.copy(right)


def test_the_gradient_of_views_is_the_view_of_the_gradient() -> None:
    x, seed, grads, program = param("x", 3, 4), seed_of(3, 2), Grads(), Program("p")
    with program:
        _, a, b = fused(x)
        y = ops.add(ops.scale(a, factor=2.0), ops.scale(b, factor=3.0))
    program.backward({y: seed}, grads)
    s = np.arange(1.0, 7.0).reshape(3, 2)
    (dx,) = run(program, {x: np.ones((3, 4)), seed: s}, [grads(x)])
    np.testing.assert_allclose(dx, np.concatenate([2 * s, 3 * s], axis=1))


def test_a_view_used_twice_adds_up_in_place() -> None:
    x, seed, grads, program = param("x", 3, 4), seed_of(3, 2), Grads(), Program("p")
    with program:
        both, a, b = fused(x)
        y = ops.add(ops.add(a, b), ops.copy(both.columns(0, 2)))
    program.backward({y: seed}, grads)
    s = np.ones((3, 2))
    (dx,) = run(program, {x: np.ones((3, 4)), seed: s}, [grads(x)])
    np.testing.assert_allclose(dx, np.concatenate([2 * s, s], axis=1))


def test_views_that_do_not_cover_are_refused() -> None:
    x, seed, program = param("x", 3, 4), seed_of(3, 2), Program("p")
    with program:
        _, a, _ = fused(x)
    with pytest.raises(ProgramError, match="must cover it once: 6 of 12"):
        program.backward({a: seed}, Grads())


def test_a_placed_output_is_refused() -> None:
    x, program, kept = param("x", 4), Program("p"), Tensor("kept", (4,), role="state")
    with program:
        y = ops.scale(x, factor=2.0)
        y.place(kept)
        z = ops.scale(y, factor=3.0)
    with pytest.raises(ProgramError, match="was placed"):
        program.backward({z: seed_of(4)}, Grads())


def test_no_grad_lets_nothing_through() -> None:
    x, w, program = param("x", 2, 2), param("w", 2, 2), Program("p")
    with program:
        with program.no_grad():
            hidden = ops.scale(x, factor=2.0)
        y = ops.add(hidden, w)
    assert program.backward({y: seed_of(2, 2)}, Grads()) == [w]


def test_operations_need_a_program() -> None:
    with pytest.raises(ProgramError, match="outside"):
        ops.scale(param("x", 2), factor=1.0)


def test_errors_name_the_operation_the_rule_and_the_shapes() -> None:
    with Program("p"), pytest.raises(ShapeError, match=r"\[add\] .*: got x \(2, 3\), y \(2,\)"):
        ops.add(param("x", 2, 3), param("y", 2))
    with Program("p"), pytest.raises(ShapeError, match=r"\[add\] a must be contiguous"):
        ops.add(param("x", 2, 3).columns(0, 2), param("y", 2, 2))


def test_lifetimes_end_at_the_last_use() -> None:
    x, program = param("x", 4), Program("p")
    with program:
        a = ops.scale(x, factor=1.0)
        b = ops.scale(a, factor=2.0)
        ops.add(a, b)
    spans = program.lifetimes()
    assert spans[a] == (0, 2)
    assert spans[b] == (1, 2)
    assert "scale" in str(program)


@pytest.mark.parametrize("bad", [(0,), (), (2, -1)])
def test_tensors_have_positive_dimensions(bad: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError):
        Tensor("t", bad)


def test_views_of_views_reach_the_root() -> None:
    flat = Tensor("flat", (100,), role="param")
    matrix = flat.flat(20, (6, 10))
    part = matrix.columns(4, 8)
    assert (part.root, part.offset, part.row_stride, part.contiguous) == (flat, 24, 10, False)
    assert matrix.reshape(3, 20).columns(2, 3).region == (22, 3, 1, 20)
    with pytest.raises(ShapeError):
        part.reshape(24)
    with pytest.raises(ShapeError):
        flat.flat(90, (11,))
