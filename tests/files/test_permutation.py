"""The shuffle that is computed place by place: a bijection for every size, and as good as one that is drawn."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nyx.text.permutation import Permutation


def order(n: int, seed: int, number: int = 0) -> np.ndarray:
    return Permutation(n, seed, number)(np.arange(n))


@pytest.mark.parametrize("start", range(1, 300, 50))
def test_every_element_is_at_one_place(start: int) -> None:
    for n in range(start, start + 50):
        assert np.array_equal(np.sort(order(n, n, 3)), np.arange(n)), n


@given(n=st.integers(1, 5_000), seed=st.integers(0, 2**64 - 1), number=st.integers(0, 2**64 - 1))
def test_every_element_is_at_one_place_whatever_the_key(n: int, seed: int, number: int) -> None:
    assert np.array_equal(np.sort(order(n, seed, number)), np.arange(n))


@given(n=st.integers(1, 10**12), seed=st.integers(0, 2**64 - 1), data=st.data())
def test_a_place_alone_has_the_same_element(n: int, seed: int, data: st.DataObject) -> None:
    places = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=5)))
    permutation = Permutation(n, seed, 1)
    found = permutation(places)
    assert ((found >= 0) & (found < n)).all()
    assert [int(permutation(np.array([place]))[0]) for place in places] == found.tolist()
    assert len(set(found.tolist())) == len(set(places.tolist()))


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_all_orders_of_a_few_elements_are_about_as_frequent(n: int) -> None:
    kinds, draws = math.factorial(n), 1500
    counts = Counter(tuple(order(n, 11, number).tolist()) for number in range(draws))
    expected = draws / kinds
    chi = sum((c - expected) ** 2 / expected for c in counts.values()) + (kinds - len(counts)) * expected
    assert chi < kinds - 1 + 5 * math.sqrt(2 * kinds)


@pytest.mark.parametrize("n", [64, 1000, 4097])
def test_an_order_looks_drawn(n: int) -> None:
    """Fixed points, ascents and correlations of 100 orders lie where those of drawn ones do (4 standard deviations)."""
    draws = 100
    orders = np.stack([order(n, seed, 0) for seed in range(draws)])
    places = np.arange(n)
    assert abs((orders == places).sum(1).mean() - 1) < 4 / math.sqrt(draws)
    ascents = (np.diff(orders) > 0).mean(1)
    assert abs(ascents.mean() - 0.5) < 4 * math.sqrt((n + 1) / 12 / draws) / (n - 1)
    assert ascents.std() < 1.3 * math.sqrt((n + 1) / 12) / (n - 1)
    scale = math.sqrt(12 / (n**2 - 1))
    normal = (orders - (n - 1) / 2) * scale
    assert abs((normal @ (places - (n - 1) / 2) * scale).mean()) < 4 * math.sqrt(n / draws)
    assert abs((normal[:, 1:] * normal[:, :-1]).sum(1).mean() + 1) < 4 * math.sqrt(n / draws)
    together = np.abs(np.corrcoef(normal) - np.eye(draws)).max() * math.sqrt(n)
    assert together < 5.5  # the largest of 4,950 correlations between the orders of neighbouring seeds


def test_known_order() -> None:
    """Pinned, because another order would give resumed runs other batches."""
    assert order(12, 7, 0).tolist() == [2, 0, 4, 10, 9, 6, 3, 1, 7, 8, 11, 5]
    assert Permutation(10**12, 2**63, 5)(np.array([0, 1, 999_999_999_999])).tolist() == [
        886818305470,
        209841172824,
        206590841280,
    ]


def test_memory_is_for_the_places_alone() -> None:
    tracemalloc.start()
    Permutation(10**15, 1)(np.arange(100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000
