"""The one table of operations under test: for each its cases, its data where not standard normal, and its bound."""

from __future__ import annotations

from table import ROWS_COLUMNS, SIZES, Bound, Row, sweep

ROWS: dict[str, Row] = {
    "add": Row(
        cases=[
            *sweep(lambda n: {"a": (n,), "b": (n,)}, SIZES),
            *sweep(lambda r, c: {"a": (2, r, c), "b": (r, c)}, ROWS_COLUMNS, fixed=("b",)),
        ],
        differentiable=("a", "b"),
        bound=Bound(rtol=0, atol=1e-7),
    ),
}
