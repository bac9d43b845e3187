"""The instruments themselves: each kind of wrong result is noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from harness import Proof, build, cast, compare, draw, reference
from table import Bound, Case
from workbench import Workbench

from nyx import ops
from nyx.ops import Launch, Traits
from nyx.program import Step
from tests.validation_gate import Result, judge

WANT = np.linspace(-2, 2, 65, dtype=np.float32)


def changed(index: int, value: float) -> np.ndarray:
    got = WANT.copy()
    got[index] = value
    return got


@pytest.mark.parametrize(
    ("got", "says"),
    [
        (changed(17, WANT[17] + 1e-4), "element 17 "),
        (changed(64, np.nan), "element 64 is nan"),
        (changed(0, np.inf), "element 0 is inf"),
        (WANT[:-1], "is "),
        (WANT.astype(np.float64), "is "),
        (WANT + np.float32(9e-6), "NMSE"),
    ],
)
def test_compare_refuses(got: np.ndarray, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        compare("y", got, WANT, Bound(rtol=0, atol=5e-6, nmse=1e-12))


def test_compare_accepts_equal_infinities_and_refuses_opposite_ones() -> None:
    infinite = changed(3, -np.inf)
    compare("y", infinite, infinite, Bound())
    with pytest.raises(AssertionError, match="element 3 "):
        compare("y", changed(3, np.inf), infinite, Bound())


def push_changed(name: str, change: Callable[[int], int]) -> Callable[[Step, Traits], Launch]:
    """add's launch with one push constant made wrong."""
    right = ops.get("add").launch

    def wrong(step: Step, traits: Traits) -> Launch:
        (one,) = right(step, traits).passes
        return Launch((replace(one, push={**one.push, name: change(int(one.push[name]))}),))

    return wrong


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("n", lambda n: n + 1, "wrote 1 words outside, first at 66"),
        ("n", lambda n: n - 1, "element 65 was not written"),
        ("period", lambda n: n + 1, "element 33 was not written, or"),  # it reads the guard behind b
    ],
)
def test_the_workbench_notices(
    name: str, change: Callable[[int], int], says: str, vulkan_device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = Proof("add", Case({"a": (2, 33), "b": (33,)}), 1.0)
    monkeypatch.setattr(ops.get("add"), "launch", push_changed(name, change))
    values = cast(draw(proof), np.float32)
    with pytest.raises(AssertionError, match=says):
        got = Workbench(vulkan_device).run(proof, build(proof), values)
        compare("y", got["y"], reference(proof, values)["y"], proof.row.bound)


LABELS = {"tests/a.py::test", "without barrier 0", "without barrier 1"}
SEEN = [(f"without barrier {i}", "SYNC-HAZARD(ERROR / SPEC)") for i in (0, 1)]


@pytest.mark.parametrize(
    ("alive", "messages", "pytest_code", "code"),
    [
        (True, SEEN, 0, 0),
        (True, SEEN[:1], 0, 1),
        (True, [*SEEN, ("tests/a.py::test", "VUID-x(ERROR / SPEC)")], 0, 1),
        (True, SEEN, 1, 1),
        (False, SEEN, 0, 2),
    ],
)
def test_the_gate_judges(alive: bool, messages: list[tuple[str, str]], pytest_code: int, code: int) -> None:
    assert judge([Result(pytest_code, alive, LABELS, messages)]) == code
