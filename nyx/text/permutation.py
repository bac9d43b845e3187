"""A shuffle that needs no memory: the place of each element is computed from its number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDS = 8
_A, _B = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xA0761D6478BD642F)  # odd, their bits without pattern
_32 = np.uint64(32)


class Permutation:
    """A seeded order of 0..n-1: `permutation(i)` is the element at place i, for any places in any order.

    The places are run through a Feistel network (Luby and Rackoff, 1988) over the next power of two, again and again
    until they fall below n (cycle walking: Black and Rogaway, 2002), fewer than two times on average. The halves may
    differ in width, each is in turn xored with a hash of the other. The rounds' keys are the first words of Philox4x64
    (Salmon et al., 2011) under the key (seed, number), so the order is the same on any machine and any NumPy.
    """

    def __init__(self, n: int, seed: int, number: int = 0) -> None:
        self.n = n
        bits = max((n - 1).bit_length(), 5)  # with fewer, some orders of a few elements are rare
        self._high, self._low = bits // 2, bits - bits // 2
        words = np.random.Philox(key=np.array([seed % 2**64, number % 2**64], np.uint64)).random_raw(ROUNDS)
        self._keys = words.astype(np.uint64)

    def __call__(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The elements (M,) at places (M,), each in 0..n-1."""
        found = self._network(places.astype(np.uint64))
        outside = np.flatnonzero(found >= self.n)
        while len(outside):
            found[outside] = self._network(found[outside])
            outside = outside[found[outside] >= self.n]
        return found.astype(np.int64)

    def _network(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        high = numbers >> np.uint64(self._low)
        low = numbers & np.uint64((1 << self._low) - 1)
        for first, second in self._keys.reshape(-1, 2):
            high ^= _hash(low, first, self._high)
            low ^= _hash(high, second, self._low)
        return (high << np.uint64(self._low)) | low


def _hash(numbers: NDArray[np.uint64], key: np.uint64, bits: int) -> NDArray[np.uint64]:
    """`bits` bits of a hash: the upper ones of two products, the first folded in between."""
    mixed = (numbers + key) * _A
    mixed ^= mixed >> _32
    mixed *= _B
    return mixed >> np.uint64(64 - bits)
