"""The one table of operations under test: for each its cases, its data where not standard normal, and its bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from table import ROWS_COLUMNS, SIZES, Bound, Case, Draw, Row, Shape, around_one, below, exactly, positive, sweep

from nyx import ops
from nyx.ops.rope import table

INF, NAN = float("inf"), float("nan")


def logits(rows: int, classes: int) -> dict[str, Shape]:
    return {"logits": (rows, classes), "targets": (rows,), "norm": (1,)}


def ended(rows: int, samples: int, classes: int) -> dict[str, Shape]:
    return logits(rows, classes) | {"ended": (samples,)}


def halt(b: int, t: int, **consts: float | int) -> Case:
    consts = {"max_steps": 4, "accuracy": 0.6, **consts}
    shapes: dict[str, Shape] = {"q": (b, t, 2), "loss": (b * t,), "correct": (b * t,), "targets": (b, t), "norm": (1,)}
    shapes |= {"progress": (b,), "least": (b,)} | ({"q_next": (b, t, 2)} if consts["max_steps"] > 1 else {})
    return Case(shapes, consts)


def some_right(d: Draw) -> np.ndarray:
    return d.rng.integers(0, 2, d.shape).astype(float)


def partials(n: int) -> dict[str, Shape]:
    return {"partials": (n,), "hyper": (3, 4), "control": (4,)}


def flat(n: int) -> dict[str, Shape]:
    return {"g": (n,), "hyper": (3, 4), "control": (4,), "p": (n,), "m": (n,), "v": (n,)}


def average(n: int) -> dict[str, Shape]:
    return {"p": (n,), "control": (4,), "e": (n,)}


def level(d: Draw) -> np.ndarray:
    """Nothing is larger than anything else: the first is the largest."""
    return np.ones(d.shape)


def some_ignored(d: Draw) -> np.ndarray:
    """Targets, and negative numbers for about one in eight."""
    classes = d.case.shapes["logits"][-1]
    return d.rng.integers(-1 - classes // 8, classes, d.shape, dtype=np.int32)


def steps(d: Draw) -> np.ndarray:
    """Evenly from -15 to 15 times the scale: every part of an activation's curve."""
    return np.linspace(-15, 15, int(np.prod(d.shape))).reshape(d.shape) * d.scale


def norm_backward(r: int, c: int) -> dict[str, Shape]:
    return {"x": (r, c), "w": (c,), "mean": (r,), "rstd": (r,), "dy": (r, c)}


def linear(m: int, n: int, k: int) -> dict[str, Shape]:
    return {"x": (m, k), "w": (n, k), "b": (n,)}


def linear_backward(m: int, n: int, k: int) -> dict[str, Shape]:
    return {"x": (m, k), "w": (n, k), "dy": (m, n)}


# B, T, H, D: one position and one channel; tiles of 16, 32 and 64 filled and overrun; odd, even and wide heads; more
# scores than one chunk has on a software driver (257).
HEADS = (
    *((1, 1, 1, 1), (2, 5, 3, 5), (1, 33, 2, 16), (2, 31, 1, 33), (1, 65, 2, 8), (2, 257, 3, 3), (3, 64, 2, 64)),
    (1, 3, 1, 128),
    *((1, 7, 1, 256), (2, 17, 2, 12), (1, 130, 1, 40)),
)
ROTATED = (
    *((1, 1, 1, 2), (2, 3, 1, 8), (3, 33, 2, 6), (2, 31, 3, 16), (1, 65, 4, 64), (1, 2, 1, 256), (5, 7, 2, 10)),
    *((1, 257, 1, 4), (2, 32, 1, 32)),
)
DROPOUT = {"rate": 0.4, "stream": 7}


def attention(b: int, t: int, h: int, d: int, **consts: float | int) -> Case:
    """With dropout where consts say so."""
    shapes: dict[str, Shape] = dict.fromkeys("qkv", (b, t, h * d))
    return Case(shapes | ({"counter": (4,)} if consts else {}), {"n_head": h, **consts})


def attention_backward(b: int, t: int, h: int, d: int, **consts: float | int) -> Case:
    case = attention(b, t, h, d, **consts)
    shapes = {**case.shapes, "o": (b, t, h * d), "lse": (b, h, t), "dy": (b, t, h * d)}
    return Case(shapes, case.consts)


def forward(d: Draw) -> list[np.ndarray]:
    """What the forward makes of the tensors drawn so far: o and lse."""
    q, k, v, counter = (d.drawn.get(name) for name in ("q", "k", "v", "counter"))
    return ops.attention.run(q, k, v, counter, **d.case.consts)


def rope(b: int, t: int, h: int, d: int, **consts: bool) -> Case:
    return Case({"x": (b, t, h * d), "table": (t + 2, d)}, {"n_head": h, **consts}, fixed=("table",))


def rotations(d: Draw) -> np.ndarray:
    return table(*d.shape).astype(np.float64)


def random_bits(d: Draw) -> np.ndarray:
    return d.rng.integers(0, 2**32, d.shape, dtype=np.uint32)


# Tokens, vocabulary, channels.
LOOKUPS = ((1, 1, 1), (33, 5, 31), (65, 300, 8), (7, 3, 257), (32, 33, 32), (1009, 2, 1))
# Rows enough for several strips of a sum over rows, with and without whole vec4s.
STRIPS = (*ROWS_COLUMNS, (300, 24), (1030, 5))
FAR = "far below zero there is 0 in one and less than 1e-30 in the other"
# M, N, K of a product: around tiles of 16, 64 and 128, with and without whole vec4s, and enough for the largest tiles.
PRODUCTS = (
    *((1, 1, 1), (1, 33, 5), (31, 1, 4), (2, 3, 257), (33, 65, 31), (16, 64, 8), (17, 65, 9), (64, 64, 64)),
    *((65, 63, 33), (15, 129, 12), (129, 257, 16), (257, 31, 128), (5, 128, 64), (130, 36, 20), (4097, 132, 8)),
    *((1, 130, 132), (32, 32, 32)),
)
STRIPED_PRODUCTS = ((700, 33, 20), (1031, 9, 33), (3073, 130, 132))
FORMS = ({}, {"approximate": "tanh"})
BACKWARD = "a backward has no gradient of its own: there are no second derivatives"

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
            *sweep(logits, (*ROWS_COLUMNS, (129, 65), (9, 300), (3, 33003)), [{"kind": "stablemax"}]),
            *sweep(ended, ((6, 3, 7), (33, 33, 257), (31, 1, 5), (64, 4, 32)), [{}, {"kind": "stablemax"}]),
            *(Case(logits(2, n), data={"logits": level, "targets": exactly(0, 4, dtype="i4")}) for n in (5, 33, 257)),
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
    "halt": Row(
        cases=[
            *(halt(b, t) for b, t in (*ROWS_COLUMNS, (300, 17))),
            *(halt(b, t, max_steps=m) for b, t, m in ((5, 32, 1), (65, 1, 1), (7, 63, 2), (3, 257, 64))),
            halt(65, 4, accuracy=1.0),
            halt(65, 4, accuracy=0.01),
        ],
        differentiable="its gradient is its output dq; test_training_operations.py compares it with differences",
        data={
            "correct": some_right,
            "targets": lambda d: d.rng.integers(-1, 5, d.shape, dtype=np.int32),
            "loss": positive(),
            "norm": positive(),
            "progress": lambda d: d.rng.integers(0, 4, d.shape).astype(float),
            "least": lambda d: d.rng.integers(1, 5, d.shape).astype(float),
        },
    ),
    "put_rows": Row(
        cases=[
            *sweep(lambda r, c: {"x": (r, c), "rows": (r,), "table": (r + 3, c)}, ROWS_COLUMNS),
            Case(
                {"x": (6, 8), "rows": (6,), "table": (4, 8)},
                data={"rows": exactly(3, -1, 0, 4, 2**31 - 1, -(2**31), dtype="i4")},
            ),
        ],
        differentiable="what is kept for a later run has no gradient",
        bound=Bound(rtol=0, atol=0),
        data={"rows": lambda d: d.rng.permutation(d.case.shapes["table"][0])[: d.shape[0]].astype(np.int32)},
        scales=(1.0,),
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
        data={"loss": positive(), "correct": some_right},
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
            Case(partials(1), data={"partials": exactly(1e-8), "hyper": exactly(0.1, 1e-5, 7, 0, *range(8))}),
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
    "adam_atan2": Row(
        cases=[
            *sweep(flat, (*SIZES, 70001), [{"row": 1, "beta1": 0.9, "beta2": 0.999}]),
            *sweep(flat, (65,), [{"row": 2, "beta1": 0.8, "beta2": 0.95}]),
            *sweep(flat, (65,), [{"row": 1, "beta1": 0.9, "beta2": 0.999}], data={"control": exactly(0, INF, 1, 3)}),
            Case(  # the axes, the diagonal, the ends of the range
                flat(9),
                {"row": 1, "beta1": 0.9, "beta2": 0.999},
                data={
                    "p": exactly(*9 * [0]),
                    "g": exactly(*9 * [0]),
                    "m": exactly(0, 1, -1, 1e-30, 1e30, 0, -0.33333333, 1e-19, -1e-4),
                    "v": exactly(0, 0, 0, 1, 1e-30, 9, 0.05005005, 1e30, 1e-30),
                },
            ),
        ],
        differentiable="it is the update",
        data={
            "hyper": exactly(0.05, 1, 7, 0, 0.1, 0.3, 0.05, 0, 0, 0.5, 0.1, 0),
            "control": exactly(0.7, 2, 0, 0),
            "v": positive(),
        },
    ),
    "ema": Row(
        cases=[
            *sweep(average, (*SIZES, 70001), [{"decay": 0.9}]),
            *sweep(average, (65,), [{"decay": 0.9999}, {"decay": 0.0}]),
            *sweep(average, (65,), [{"decay": 0.9}], data={"control": exactly(0, INF, 1, 3)}),
        ],
        differentiable="it is a part of the update",
        bound=Bound(rtol=1e-6),
        data={"control": exactly(0.7, 2, 0, 0)},
    ),
    "swap": Row(
        cases=[
            *sweep(lambda n: {"a": (n,), "b": (n,)}, (*SIZES, 70001)),
            Case({"a": (5,), "b": (5,)}, data={"a": exactly(NAN, -INF, -0.0, 1e-45, 1), "b": exactly(0, 1, INF, 2, 3)}),
        ],
        differentiable="it is no part of a model",
        bound=Bound(rtol=0, atol=0),
        scales=(1.0,),
    ),
    "embedding": Row(
        cases=[
            *sweep(lambda r, v, c: {"tokens": (r,), "w": (v, c)}, LOOKUPS),
            *sweep(lambda b, t: {"tokens": (b, t), "w": (7, 12)}, ((2, 3), (5, 31)), [{"scale": 11.3}]),
            Case(
                {"tokens": (7,), "w": (5, 4)},
                gradient=False,
                data={"tokens": exactly(0, 5, 4, -1, 2**31 - 1, -(2**31), 1, dtype="i4")},
            ),
        ],
        differentiable=("w",),
        bound=Bound(rtol=1e-6, atol=0),
        data={"tokens": below(lambda case: case.shapes["w"][0])},
        scales=(1.0,),
    ),
    "embedding_backward": Row(
        cases=[
            *(
                Case({"tokens": (r,), "dy": (r, c)}, {"vocab": v, "scale": s})
                for r, v, c, s in (
                    *((1, 1, 1, 1.0), (2, 300, 3, 0.5), (33, 5, 31, 1.0), (65, 300, 8, 1.0), (31, 2, 257, 1.0)),
                    (32, 33, 32, 1.0),
                    *((300, 65, 24, 3.0), (1030, 7, 5, 1.0), (1009, 3, 4, 1.0), (5000, 4000, 3, 1.0)),
                )
            ),
            Case(
                {"tokens": (2, 9), "dy": (2, 9, 8)},
                {"vocab": 3},
                data={"tokens": lambda d: d.rng.integers(-9, 9, d.shape, dtype=np.int32)},
            ),
        ],
        differentiable=BACKWARD,
        data={"tokens": below(lambda case: case.consts["vocab"])},
        scales=(1.0,),
    ),
    "positions": Row(
        cases=[
            *sweep(lambda t, c: {"x": (2, t, c), "w": (t, c)}, ROWS_COLUMNS),
            *sweep(lambda t, c: {"x": (3, t, c), "w": (t + 5, c)}, ((1, 8), (7, 63), (5, 32))),
            *(
                Case(
                    {"x": (2, 3, c), "w": (8, c), "start": (1,)},
                    fixed=("w",),
                    data={"start": exactly(start, dtype="i4")},
                    gradient=0 <= start <= 5,
                )
                for c in (4, 5)
                for start in (0, 1, 5, 6, -1, -(2**31))  # the last three leave no room
            ),
        ],
        differentiable=("x", "w"),
        bound=Bound(rtol=0, atol=1e-7),
        scales=(1.0,),
    ),
    "positions_backward": Row(
        cases=[
            *(Case({"dy": (3, t, c)}, {"positions": t}) for t, c in ROWS_COLUMNS),
            *(
                Case({"dy": (b, t, c)}, {"positions": t + 3})
                for b, t, c in ((1, 1, 1), (2, 5, 32), (33, 2, 7), (9, 3, 4))
            ),
        ],
        differentiable=BACKWARD,
        scales=(1.0,),
    ),
    "rms_norm": Row(
        cases=[
            *sweep(lambda r, c: {"x": (r, c)}, ROWS_COLUMNS),
            *sweep(lambda c: {"x": (2, 3, c)}, (8, 13), [{"eps": 1e-5}, {"eps": 0.1}]),
            Case({"x": (2, 16385)}),
        ],
        differentiable=("x",),
    ),
    "rms_norm_backward": Row(
        cases=sweep(lambda r, c: {"y": (r, c), "rstd": (r,), "dy": (r, c)}, ROWS_COLUMNS),
        differentiable=BACKWARD,
        data={"rstd": positive()},
    ),
    "layer_norm": Row(
        cases=[
            *sweep(lambda r, c: {"x": (r, c), "w": (c,), "b": (c,)}, ROWS_COLUMNS),
            *sweep(lambda r, c: {"x": (2, r, c), "w": (c,)}, ((1, 8), (3, 13), (2, 65)), [{}, {"eps": 0.1}]),
        ],
        differentiable=("x", "w", "b"),
        data={"w": around_one},
    ),
    "layer_norm_backward": Row(
        cases=[
            *sweep(norm_backward, STRIPS),
            *sweep(norm_backward, ((5, 32), (7, 63)), [{"need_dx": False}, {"need_dw": False}, {"need_db": False}]),
            *sweep(norm_backward, ((7, 9),), [{"need_dw": False, "need_db": False}]),
        ],
        differentiable=BACKWARD,
        data={"w": around_one, "rstd": positive()},
    ),
    "gelu": Row(
        cases=[
            *sweep(lambda n: {"x": (n,)}, SIZES, FORMS),
            *sweep(lambda n: {"x": (3, n)}, (200, 1500), FORMS, data={"x": steps}, gradient=False),
        ],
        differentiable=("x",),
        bound=Bound(floor=1e-30, why=FAR),
    ),
    "gelu_backward": Row(
        cases=[
            *sweep(lambda n: {"x": (n,), "dy": (n,)}, SIZES, FORMS),
            *sweep(lambda n: {"x": (3, n), "dy": (3, n)}, (200, 1500), FORMS, data={"x": steps}),
        ],
        differentiable=BACKWARD,
        bound=Bound(floor=1e-30, why=FAR),
    ),
    "relu": Row(
        cases=[
            *sweep(lambda n: {"x": (n,)}, SIZES),
            Case({"x": (2, 2)}, data={"x": exactly(0.0, -0.0, 1e-30, -INF)}, gradient=False),
        ],
        differentiable=("x",),
        bound=Bound(rtol=0, atol=0),
        scales=(1.0,),
    ),
    "relu_backward": Row(
        cases=[
            *sweep(lambda n: {"y": (n,), "dy": (n,)}, SIZES),
            Case({"y": (7,), "dy": (7,)}, data={"y": exactly(0.0, -0.0, 1e-30, -1, INF, 0.0, -0.0)}),
        ],
        differentiable=BACKWARD,
        bound=Bound(rtol=0, atol=0),
        scales=(1.0,),
    ),
    "linear": Row(
        cases=[
            *sweep(linear, PRODUCTS),
            *(Case({"x": (2, 3, k), "w": (n, k)}) for n, k in ((1, 1), (5, 8), (33, 12), (8, 31))),
        ],
        differentiable=("x", "w", "b"),
    ),
    "linear_backward": Row(
        cases=[
            *sweep(linear_backward, (*PRODUCTS, (4097, 8, 132)), [{"need_db": True}]),
            *sweep(linear_backward, STRIPED_PRODUCTS, [{"need_dx": False, "need_db": True}]),
            *sweep(linear_backward, ((7, 9, 12), (300, 6, 4)), [{"need_dw": False}, {"need_dx": False}, {}]),
            *sweep(linear_backward, ((7, 9, 12),), [{"need_dx": False, "need_dw": False, "need_db": True}]),
            Case({"x": (2, 3, 5), "w": (7, 5), "dy": (2, 3, 7)}),
        ],
        differentiable=BACKWARD,
    ),
    "rope": Row(
        cases=[
            *(rope(b, t, h, d, inverse=bool(t % 2)) for b, t, h, d in ROTATED),
            *(
                Case(
                    {"x": (2, 3, 2 * d), "table": (8, d), "start": (1,)},
                    {"n_head": 2},
                    fixed=("table",),
                    data={"start": exactly(start, dtype="i4")},
                    gradient=0 <= start <= 5,
                )
                for d in (6, 8)
                for start in (0, 5, 6, -1, 2**31 - 1)  # the last three leave no room
            ),
        ],
        differentiable=("x",),
        data={"table": rotations},
        bound=Bound(rtol=1e-6, atol=1e-6),
    ),
    "attention": Row(
        cases=[
            *(attention(*size) for size in HEADS),
            *(attention(*size, **DROPOUT) for size in ((2, 5, 3, 5), (2, 32, 1, 16), (1, 67, 2, 4))),
            replace(attention(2, 5, 3, 5, rate=0.0, stream=1), gradient=False),
        ],
        differentiable=("q", "k", "v"),
        data={"counter": random_bits},
        bound=Bound(atol=5e-6),  # a weight has the absolute error of its score as its relative one
        scales=(1.0, 1e-3, 3.0),
    ),
    "attention_backward": Row(
        cases=[
            *(attention_backward(*size) for size in HEADS),
            *(attention_backward(*size, **DROPOUT) for size in ((2, 5, 3, 5), (2, 32, 1, 16), (1, 67, 2, 4))),
        ],
        differentiable=BACKWARD,
        data={"counter": random_bits, "o": lambda d: forward(d)[0], "lse": lambda d: forward(d)[1]},
        # exp(score - lse) has the absolute error of the score as its relative one, and dP - delta cancels.
        bound=Bound(rtol=1e-4, atol=1e-5),
        scales=(1.0, 1e-3, 3.0),
    ),
    "attention_decode": Row(
        cases=[
            Case(
                {
                    **dict.fromkeys("qkv", (b, 1, h * d)),
                    "start": (1,),
                    **dict.fromkeys(("k_cache", "v_cache"), (b, s, h * d)),
                },
                {"n_head": h},
                data={"start": exactly(start, dtype="i4")},
            )
            for b, s, h, d, start in (
                *((1, 1, 1, 1, 0), (2, 5, 3, 5, 2), (1, 64, 2, 16, 63), (2, 65, 1, 33, 64), (3, 200, 2, 64, 130)),
                (1, 257, 1, 31, 256),
                *((1, 33, 1, 128, 0), (1, 70, 2, 256, 66), (2, 5, 1, 4, 5), (2, 5, 1, 4, -1)),
            )
        ],
        differentiable="generation has no gradient",
        scales=(1.0, 1e-3, 3.0),
    ),
    "swiglu": Row(
        cases=sweep(lambda r, c: {"x": (r, 2 * c)}, (*ROWS_COLUMNS, (31, 16))),
        differentiable=("x",),
    ),
    "swiglu_backward": Row(
        cases=sweep(lambda r, c: {"x": (r, 2 * c), "dy": (r, c)}, (*ROWS_COLUMNS, (31, 16))),
        differentiable=BACKWARD,
    ),
    "sigmoid_gate": Row(
        cases=sweep(lambda r, c: {"x": (2, r, c), "gate": (2, r, c)}, ROWS_COLUMNS),
        differentiable=("x", "gate"),
    ),
    "sigmoid_gate_backward": Row(
        cases=sweep(lambda r, c: {"x": (2, r, c), "gate": (2, r, c), "dy": (2, r, c)}, ROWS_COLUMNS),
        differentiable=BACKWARD,
    ),
    "scale": Row(
        cases=sweep(lambda n: {"x": (n,)}, SIZES, [{"factor": -0.3}]),
        differentiable=("x",),
        bound=Bound(rtol=1e-7, atol=0),
        scales=(1.0,),
    ),
    "copy": Row(
        cases=[
            *sweep(lambda n: {"x": (n,)}, SIZES),
            *sweep(lambda r, c: {"x": (2, r, c)}, ROWS_COLUMNS),
        ],
        differentiable=("x",),
        bound=Bound(rtol=0, atol=0),
        scales=(1.0,),
    ),
}
