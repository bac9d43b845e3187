"""Each shader equals its operation's `run` in float32 on the Vulkan device under test, and writes nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import Proof, all_proofs, build, cast, compare, draw, reference
from workbench import Workbench


@pytest.fixture(scope="session")
def workbench(vulkan_device: Any) -> Workbench:
    return Workbench(vulkan_device)


@pytest.mark.parametrize("proof", all_proofs(), ids=str)
def test_parity(proof: Proof, workbench: Workbench) -> None:
    call, values = build(proof), cast(draw(proof), np.float32)
    got = workbench.run(proof, call, values)
    with np.errstate(all="ignore"):  # infinities and NaNs are compared with the rest
        want = reference(proof, values)
    assert got.keys() == want.keys()
    for name in want:
        compare(name, got[name], want[name], proof.row.bound_of(name))
