"""Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).

The same bits as shaders/include/philox.glsl. Element i of a stream is lane i % 4 of the block whose counter is
(low word of i // 4, high word of i // 4, step, stream), under the key (seed_lo, seed_hi).
"""

from __future__ import annotations

import numpy as np

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_CHUNK = 16384  # blocks at a time: the working arrays stay in the cache
ROUNDS = 10


def blocks(key: tuple[int, int], counter: tuple[np.ndarray, ...]) -> np.ndarray:
    """Philox4x32-10 of n counters, four uint64 arrays (n,) that hold 32-bit words; returns the lanes, uint32 (n, 4)."""
    c0, c1, c2, c3 = (c.copy() for c in counter)
    p0, p1 = np.empty_like(c0), np.empty_like(c0)
    k0, k1 = key
    for _ in range(ROUNDS):
        np.multiply(c0, _M0, out=p0)
        np.multiply(c2, _M1, out=p1)
        # The words of odd place keep the upper half of their product: masked only where they meet a multiplication.
        np.right_shift(p1, _32, out=c0)
        np.bitwise_xor(c0, c1, out=c0)
        np.bitwise_xor(c0, np.uint64(k0), out=c0)
        np.bitwise_and(c0, _LOW, out=c0)
        np.right_shift(p0, _32, out=c2)
        np.bitwise_xor(c2, c3, out=c2)
        np.bitwise_xor(c2, np.uint64(k1), out=c2)
        np.bitwise_and(c2, _LOW, out=c2)
        c1, p1 = p1, c1
        c3, p0 = p0, c3
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    out = np.empty((c0.size, 4), np.uint32)
    for lane, words in enumerate((c0, c1, c2, c3)):
        np.copyto(out[:, lane], words, casting="unsafe")
    return out


def uniform(counter: np.ndarray, stream: int, start: int, n: int) -> np.ndarray:
    """Elements start to start + n of a stream, float32 (n,) in [0, 1), multiples of 2**-24.

    counter: uint32 (4,): seed_lo, seed_hi, step, first_sample (which the caller has put into `start`).
    """
    seed_lo, seed_hi, step, _ = (int(c) for c in counter)
    first, last = start // 4, -(-(start + n) // 4)
    out = np.empty((last - first, 4), np.float32)
    for at in range(first, last, _CHUNK):
        block = np.arange(at, min(at + _CHUNK, last), dtype=np.uint64)
        rest = (np.full_like(block, step), np.full_like(block, stream))
        bits = blocks((seed_lo, seed_hi), (block & _LOW, block >> _32, *rest))
        np.multiply(bits >> np.uint32(8), np.float32(2.0**-24), out=out[at - first : at - first + block.size])
    return out.reshape(-1)[start - 4 * first :][:n]
