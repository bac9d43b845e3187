"""The normal distribution's upper tail in NumPy, for gelu."""

from __future__ import annotations

import math

import numpy as np

_tail64 = np.frompyfunc(lambda z: 0.5 * math.erfc(z * math.sqrt(0.5)), 1, 1)

# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: erfc(u) = (a1 t + ... + a5 t^5) exp(-u^2),
# t = 1 / (1 + p u), error below 1.5e-7. Here u = z / sqrt(2), and the half of the tail is in the coefficients.
_P = 0.3275911 * math.sqrt(0.5)
_A = tuple(0.5 * a for a in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592))


def tail(z: np.ndarray, bell: np.ndarray) -> np.ndarray:
    """P(N > z) for z >= 0, given bell = exp(-z^2 / 2). float32: error below 2e-7; float64: exact to rounding."""
    if z.dtype != np.float32:
        return np.asarray(_tail64(z)).astype(z.dtype)
    t = z * _P
    t += 1
    np.reciprocal(t, out=t)
    q = t * _A[0]
    for a in _A[1:]:
        q += a
        q *= t
    q *= bell
    return q


def bell(x: np.ndarray) -> np.ndarray:
    """exp(-x^2 / 2)."""
    e = x * x
    e *= -0.5
    return np.exp(e, out=e)
