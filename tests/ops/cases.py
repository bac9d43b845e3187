"""The one table of operations under test: for each its cases, its data where not standard normal, and its bound."""

from __future__ import annotations

import numpy as np
from table import ROWS_COLUMNS, SIZES, Bound, Case, Draw, Row, Shape, exactly, positive, sweep

INF, NAN = float("inf"), float("nan")


def logits(rows: int, classes: int) -> dict[str, Shape]:
    return {"logits": (rows, classes), "targets": (rows,), "norm": (1,)}


def partials(n: int) -> dict[str, Shape]:
    return {"partials": (n,), "hyper": (3, 4), "control": (4,)}


def flat(n: int) -> dict[str, Shape]:
    return {"g": (n,), "hyper": (3, 4), "control": (4,), "p": (n,), "m": (n,), "v": (n,)}


def some_ignored(d: Draw) -> np.ndarray:
    """Targets, and negative numbers for about one in eight."""
    classes = d.case.shapes["logits"][-1]
    return d.rng.integers(-1 - classes // 8, classes, d.shape, dtype=np.int32)


ROWS: dict[str, Row] = {
    "add": Row(
        cases=[
            *sweep(lambda n: {"a": (n,), "b": (n,)}, SIZES),
            *sweep(lambda r, c: {"a": (2, r, c), "b": (r, c)}, ROWS_COLUMNS, fixed=("b",)),
        ],
        differentiable=("a", "b"),
        bound=Bound(rtol=0, atol=1e-7),
    ),
    "cross_entropy": Row(
        cases=[
            *sweep(logits, (*ROWS_COLUMNS, (129, 65), (9, 300), (3, 4096), (2, 33003)), [{}, {"label_smoothing": 0.1}]),
            *sweep(logits, ((5, 32), (65, 17)), [{"label_smoothing": 1.0}, {"need_grad": False}]),
            *sweep(logits, ((7, 5), (3, 257)), data={"logits": lambda d: np.round(d.rng.standard_normal(d.shape))}),
            Case(logits(8, 5), data={"targets": exactly(0, 5, -1, 4, 6, 2**31 - 1, -(2**31), 3, dtype="i4")}),
        ],
        differentiable="its gradient is its output dlogits; test_training_operations.py compares it with differences",
        bound=Bound(floor=2e-6, why="the log of a sum near 1, and s - q where s is near 1, are only absolutely exact"),
        bounds={"correct": Bound(rtol=0, atol=0)},
        data={
            "targets": some_ignored,
            "norm": positive(),
        },
    ),
    "dropout": Row(
        cases=[
            *sweep(lambda n: {"x": (n,), "counter": (4,)}, SIZES, [{"rate": 0.5, "stream": 3}]),
            *sweep(lambda r, c: {"x": (r, 3, c), "counter": (4,)}, ROWS_COLUMNS, [{"rate": 0.1, "stream": 2**32 - 1}]),
            *sweep(lambda n: {"x": (2, n), "counter": (4,)}, (33,), [{"rate": 0.0, "stream": 0}]),
        ],
        differentiable=("x",),
        bound=Bound(rtol=1e-6, atol=0),
        data={"counter": lambda d: d.rng.integers(0, 2**32, d.shape, dtype=np.uint32)},
    ),
    "metrics": Row(
        cases=sweep(lambda n: {"loss": (n,), "correct": (n,), "sums": (4,)}, (*SIZES, 16385)),
        differentiable="totals for the host",
        data={"loss": positive(), "correct": lambda d: d.rng.integers(0, 2, d.shape).astype(float)},
    ),
    "gradient_accumulation": Row(
        cases=[
            *sweep(lambda n: {"g": (n,), "acc": (n,)}, SIZES),
            *sweep(lambda r, c: {"g": (2, r, c), "acc": (2, r, c)}, ROWS_COLUMNS),
        ],
        differentiable="it is a part of the backward",
        bound=Bound(rtol=0, atol=1e-7),
    ),
    "grad_norm": Row(
        cases=sweep(lambda n: {"g": (n,)}, (*SIZES, 8191, 8192, 8193, 40001)),
        differentiable="it is a part of the update",
    ),
    "clip": Row(
        cases=[
            *sweep(partials, (*SIZES, 2500)),
            *sweep(partials, (1, 65), data={"hyper": exactly(0.1, 0, 7, 0, *range(8))}),
            *(Case(partials(2), data={"partials": exactly(*bad)}) for bad in ((INF, 2), (1, NAN), (3e38, 3e38))),
            *(Case(partials(3), data={"partials": exactly(1, INF, 2), "control": exactly(1, 2, f, 5)}) for f in (0, 1)),
            Case(partials(3), data={"control": exactly(0, INF, 1, 5)}),
        ],
        differentiable="it is a part of the update",
        data={"partials": positive(), "hyper": exactly(0.1, 2.5, 7, 0, *range(8)), "control": exactly(9, 9, 0, 0)},
    ),
    "adam": Row(
        cases=[
            *sweep(flat, (*SIZES, 70001), [{"row": 1, "beta1": 0.9, "beta2": 0.999}]),
            *sweep(flat, (65,), [{"row": 2, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3}]),
            *sweep(flat, (65,), [{"row": 1, "beta1": 0.9, "beta2": 0.999}], data={"control": exactly(0, INF, 1, 3)}),
        ],
        differentiable="it is the update",
        data={
            "hyper": exactly(0.05, 1, 7, 0, 0.1, 0.3, 0.05, 0, 0, 0.5, 0.1, 0),
            "control": exactly(0.7, 2, 0, 0),
            "v": positive(),
        },
    ),
}
