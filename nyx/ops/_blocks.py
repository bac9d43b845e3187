"""Cuts long NumPy work into pieces that stay in a core's cache while several calls go over them."""

from __future__ import annotations

from collections.abc import Iterator

BLOCK = 1 << 15  # elements


def blocks(rows: int, width: int = 1) -> Iterator[slice]:
    """Slices of consecutive rows, each of about BLOCK elements when a row has `width` of them."""
    step = max(1, BLOCK // width)
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))
