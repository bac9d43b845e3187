"""A training on a device whose driver runs out of memory in the middle: it goes on in smaller parts, with the same
result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .test_faults import OUT_OF_DEVICE, layer  # noqa: F401 - a fixture

PROGRAM = """
import ctypes, json, os, sys
import numpy as np
from nyx import errors
from nyx.backends.vulkan import VulkanBackend
from nyx.config import Config
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.batches import Batch
from nyx.text.vocabulary import Vocabulary

entry, library, code = sys.argv[1], ctypes.CDLL(sys.argv[2]), sys.argv[3]
CONFIG = Config.model_validate({
    "model": {"kind": "transformer", "n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 8, "dropout": 0.2},
    "train": {"batch_size": 6, "max_steps": 3, "eps": 1e-4},
})
SYMBOLS = Vocabulary("abcdefghijkl", (), None)

def train(fault):
    os.environ["NYX_FAULT"] = "off"
    backend, said = VulkanBackend(0), []
    hrm = ResourceAwareHRM(CONFIG.model, SYMBOLS, backend)
    if entry == "vkAllocateMemory":  # all of that is done at the start
        os.environ["NYX_FAULT"] = fault
    hrm.initialize_training(CONFIG, 3, micro_batch=3, say=said.append)
    hrm.initialize(1)
    del said[0]
    os.environ["NYX_FAULT"] = fault
    for step in range(3):
        x = np.random.default_rng(step).integers(0, 12, (6, 8)).astype(np.int32)
        hrm.process_character_training_batch(Batch(x, x, x.size), step, 1e-3)
    backend.synchronize()
    os.environ["NYX_FAULT"] = "off"
    tensors, counts = hrm.training_state()
    backend.close()
    return tensors, counts, said

wanted, counts, said = train("count")
assert not said
"""
RUN = """
for call in json.loads(sys.argv[4]):
    found, recounted, said = train(f"{entry}:{call}:{code}")
    assert counts == recounted, (counts, recounted)
    assert len(said) == 1 and "going on in micro-batches of 2, with the same result" in said[0], said
    for name, values in wanted.items():
        differs = np.abs(values - found[name])[: 2 if name == "state.sums" else None]  # then micro-batches
        assert differs.max() <= 1e-5 * max(np.abs(values).max(), 1e-3), name
    print(json.dumps([entry, call]), flush=True)
"""


@pytest.mark.parametrize(
    ("entry", "calls"),
    [
        ("vkAllocateMemory", [1, 2, 3, 6]),
        ("vkCreateDescriptorSetLayout", [1, 20]),
        ("vkBeginCommandBuffer", [1, 2, 3]),
        ("vkQueueSubmit", [1, 2, 3, 5]),
    ],
)
def test_a_training_goes_on_when_the_driver_has_no_memory(
    child: Callable[..., Any],
    layer: Path,  # noqa: F811
    vulkan_device: Any,
    entry: str,
    calls: list[int],
) -> None:
    assert vulkan_device is not None
    arguments = entry, str(layer), str(OUT_OF_DEVICE), json.dumps(calls)
    environment = {"VK_LAYER_PATH": str(layer.parent), "VK_INSTANCE_LAYERS": "VK_LAYER_NYX_fault"}
    done = child(PROGRAM + RUN, *arguments, **environment)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert [json.loads(line) for line in done.stdout.splitlines()] == [[entry, call] for call in calls]
