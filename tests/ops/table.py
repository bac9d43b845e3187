"""The format of the table in cases.py: what a row says, and how it unfolds into the cases that are run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Shape = tuple[int, ...]
LARGE = 60_000  # elements

# Below, at and above vec4s, subgroups and workgroups; primes.
SIZES = (1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 257, 1009)
# The same for (rows, columns).
ROWS_COLUMNS = (
    *((1, 1), (1, 33), (3, 1), (2, 31), (5, 32), (33, 4)),
    *((7, 63), (64, 64), (65, 17), (3, 257), (257, 3), (2, 1021)),
)


@dataclass(frozen=True)
class Case:
    """One call of an operation: the shapes of the inputs and inouts that are there, and its constants.

    fixed: inputs that are differentiable elsewhere and not here. data: generators that replace the row's.
    gradient: False keeps the case out of the finite differences (the largest cases stay out of themselves).
    """

    shapes: dict[str, Shape]
    consts: dict[str, Any] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    data: dict[str, Generator] = field(default_factory=dict)
    gradient: bool = True

    @property
    def elements(self) -> int:
        """Of all inputs and inouts together."""
        return sum(map(math.prod, self.shapes.values()))


@dataclass(frozen=True)
class Draw:
    """What a generator works with. scale: the size of the values asked for; drawn: the tensors before this one."""

    rng: np.random.Generator
    shape: Shape
    case: Case
    scale: float
    drawn: dict[str, np.ndarray]

    def normal(self) -> np.ndarray:
        return self.rng.standard_normal(self.shape) * self.scale


# Returns an array of d.shape: float64 (cast to the dtype of the proof), int32 or uint32 (i32 and u32 tensors).
Generator = Callable[[Draw], np.ndarray]


@dataclass(frozen=True)
class Bound:
    """|got - want| <= rtol |want| + atol max|want| + floor for every element, and the NMSE of every tensor below nmse.

    atol is a fraction of the largest magnitude in the tensor, so it fits small and large values; floor is absolute.
    why: the reason for an nmse above 1e-7, or for a floor.
    """

    rtol: float = 1e-5
    atol: float = 1e-6
    floor: float = 0.0
    nmse: float = 1e-7
    why: str = ""


@dataclass(frozen=True)
class Row:
    """An operation's proofs.

    cases: the calls. Each is run with normal values of every scale in `scales` (a case above LARGE elements of the
    first alone); also with all tensors as views at odd offsets, strided ones columns with odd row strides, and where
    there are strided ones also as columns at multiples of 4; and each of these for every distinct launch: on hardware,
    on a software driver, and with dispatches folded into the second dimension.
    differentiable: the inputs that get a gradient, or in a sentence why none does.
    bound, bounds: for all written tensors, and for single ones by name.
    data: generators for what is not standard normal times the scale.
    cotangents: the outputs whose gradient comes in, the first one unless said otherwise.
    """

    cases: Iterable[Case]
    differentiable: tuple[str, ...] | str
    bound: Bound = Bound()
    bounds: dict[str, Bound] = field(default_factory=dict)
    data: dict[str, Generator] = field(default_factory=dict)
    cotangents: tuple[str, ...] = ()
    scales: tuple[float, ...] = (1.0, 1e-3, 30.0)

    def bound_of(self, name: str) -> Bound:
        return self.bounds.get(name, self.bound)

    def scales_of(self, case: Case) -> tuple[float, ...]:
        return self.scales[:1] if case.elements > LARGE else self.scales


def sweep(
    shapes: Callable[..., dict[str, Shape]],
    sizes: Iterable[int | tuple[int, ...]],
    consts: Iterable[dict[str, Any]] = ({},),
    **options: Any,
) -> list[Case]:
    """A Case for every size (shapes(*size) gives its shapes) and every set of constants; options go into each Case."""
    several = [dict(c) for c in consts]
    sized = [shapes(*(size if isinstance(size, tuple) else (size,))) for size in sizes]
    return [Case(s, c, **options) for s in sized for c in several]


def below(limit: Callable[[Case], int]) -> Generator:
    """int32 in [0, limit(case)): tokens, targets."""
    return lambda d: d.rng.integers(0, limit(d.case), d.shape, dtype=np.int32)


def positive(low: float = 0.5, high: float = 2.0) -> Generator:
    """Uniform in [low, high), times the scale."""
    return lambda d: d.rng.uniform(low, high, d.shape) * d.scale


def around_one(d: Draw) -> np.ndarray:
    """Weights of a norm: 1 plus a little, whatever the scale."""
    return 1 + 0.2 * d.rng.standard_normal(d.shape)


def exactly(*values: float | int, dtype: str = "f8") -> Generator:
    """These very values, in d.shape: hyperparameter rows (dtype f8), counters and seeds (i4, u4)."""
    return lambda d: np.array(values, dtype).reshape(d.shape)
