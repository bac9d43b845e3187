"""Philox4x32-10 gives the words its authors published, and `uniform` is a window onto one stream."""

from __future__ import annotations

import numpy as np
import pytest

from nyx.ops._philox import blocks, uniform

# Random123's known-answer file (kat_vectors, "philox4x32 10"): counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(w, 16) for w in text.split()]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_known_answers(counter: str, key: str, result: str) -> None:
    k0, k1 = words(key)
    arrays = tuple(np.array([w, w], np.uint64) for w in words(counter))
    assert blocks((k0, k1), arrays).tolist() == [words(result)] * 2


def test_uniform_is_the_upper_24_bits_of_the_block() -> None:
    key, step, stream, index = (0xA4093822, 0x299F31D0), 0x13198A2E, 0x03707344, 0x85A308D3_243F6A88
    values = uniform(np.array([*key, step, 9], np.uint32), stream, 4 * index, 4)
    assert values.dtype == np.float32
    assert values.tolist() == [(w >> 8) / 2**24 for w in words(KNOWN[2][2])]


@pytest.mark.parametrize(("start", "n"), [(0, 1), (3, 1), (1, 140000), (65535, 2), (2**34 - 5, 11), (7, 65536)])
def test_uniform_is_a_window(start: int, n: int) -> None:
    counter = np.array([1, 2, 3, 0], np.uint32)
    whole = uniform(counter, 5, start - start % 4, n + 8)
    assert np.array_equal(uniform(counter, 5, start, n), whole[start % 4 : start % 4 + n])


def test_uniform_is_uniform_and_streams_differ() -> None:
    counter = np.array([1, 2, 3, 0], np.uint32)
    a, b = uniform(counter, 0, 0, 1 << 18), uniform(counter, 1, 0, 1 << 18)
    assert a.min() >= 0 and a.max() < 1
    assert np.allclose(np.histogram(a, 16, (0, 1))[0] / a.size, 1 / 16, atol=0.002)  # 4 sigma
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.01 and abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.01
