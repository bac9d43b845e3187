"""gelu in float32 rests on a polynomial, in float64 on math.erfc: they must agree everywhere, for both forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nyx.ops import gelu, gelu_backward

X = np.concatenate([np.linspace(-15, 15, 60_001), [-1e4, -1e-6, 1e-6, 1e4]]).astype(np.float32)


@pytest.mark.parametrize("form", ["none", "tanh"])
def test_float32_is_float64_rounded(form: str) -> None:
    single, double = gelu.run(X, form), gelu.run(X.astype(np.float64), form)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=2e-6, atol=4e-7)
    ones = np.ones_like(X)
    slope = gelu_backward.run(X, ones, form)
    assert slope.dtype == np.float32
    np.testing.assert_allclose(slope, gelu_backward.run(X.astype(np.float64), ones.astype(np.float64), form), atol=1e-6)


def test_values() -> None:
    """x P(N <= x) at points where the normal distribution is tabulated, and the tails."""
    got = gelu.run(np.array([0.0, 1.0, -1.0, 2.0, -40.0, 40.0]))
    np.testing.assert_allclose(
        got, [0, 0.8413447460685429, -0.15865525393145707, 1.9544997361036416, 0, 40], atol=1e-15
    )
    u = math.sqrt(2 / math.pi) * (1 + 0.044715)
    np.testing.assert_allclose(gelu.run(np.array([1.0]), "tanh"), [0.5 * (1 + math.tanh(u))], rtol=1e-15)
