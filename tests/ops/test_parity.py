"""Each shader equals its operation's `run` in float32 on the Vulkan device under test, and writes nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import ROWS
from harness import Proof, all_proofs, build, cast, compare, draw, proofs, reference
from table import LARGE
from workbench import Workbench

from nyx.ops import _attention


@pytest.fixture(scope="session")
def workbench(vulkan_device: Any) -> Workbench:
    return Workbench(vulkan_device)


def largest() -> list[Proof]:
    """Of each operation the case with most elements, but not above LARGE, in every launch."""
    found = []
    for name, row in ROWS.items():
        case = max((c for c in row.cases if c.elements <= LARGE), key=lambda c: c.elements)
        found += [p for p in proofs(name) if p.case is case and p.scale == row.scales[0] and p.layout == "whole"]
    return found


@pytest.mark.parametrize("proof", largest(), ids=str)
def test_two_runs_give_the_same_bits(proof: Proof, workbench: Workbench) -> None:
    call, values = build(proof), cast(draw(proof), np.float32)
    first, again = workbench.run(proof, call, values), workbench.run(proof, call, values)
    for name in first:
        assert np.array_equal(first[name].view(np.uint32), again[name].view(np.uint32)), name


def few_at_a_time() -> list[Proof]:
    return [p for name in ("attention", "attention_backward") for p in proofs(name) if p.scale == 1 and _heads(p) > 1]


def _heads(proof: Proof) -> int:
    return proof.case.shapes["q"][0] * proof.case.consts["n_head"]


@pytest.mark.parametrize("proof", few_at_a_time(), ids=str)
def test_attention_one_head_after_the_other(
    proof: Proof, workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is where the scores of all heads would not fit: its launches cut them into chunks of passes."""
    monkeypatch.setattr(_attention, "_ROOM", 1)
    monkeypatch.setattr(_attention, "_CACHE", 1)
    test_parity(proof, workbench)


@pytest.mark.parametrize("proof", all_proofs(), ids=str)
def test_parity(proof: Proof, workbench: Workbench) -> None:
    call, values = build(proof), cast(draw(proof), np.float32)
    got = workbench.run(proof, call, values)
    with np.errstate(all="ignore"):  # infinities and NaNs are compared with the rest
        want = reference(proof, values)
    assert got.keys() == want.keys()
    for name in want:
        compare(name, got[name], want[name], proof.row.bound_of(name))
