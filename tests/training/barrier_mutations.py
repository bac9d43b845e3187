"""Every barrier of a training step left out in turn: tests/validation_gate.py --mutations fails if one is not missed.

Not collected by a plain run, which could see nothing: only the validation layer does. The gate learns from `mark` which
mutation its next messages belong to.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from nyx.backends.vulkan import VulkanBackend
from nyx.backends.vulkan.recorder import barriers
from nyx.config import ModelConfig
from nyx.program import Program
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.batches import Windows
from nyx.text.corpus import text_from_string
from nyx.text.prepare import make_vocabulary, prepare
from tests.training.small import GPT, HRM, make_config, make_text

MODELS = {"hrm": HRM, "gpt": GPT.model_copy(update={"dropout": 0.1})}


def training(backend: VulkanBackend, model: ModelConfig) -> list[Program]:
    """A micro-batch that adds to the gradients, and the update, with everything written that they read."""
    config = make_config(model, max_steps=4, grad_accum_steps=2)
    text = text_from_string(make_text())
    corpus = prepare(text, make_vocabulary("corpus", text, None), val_fraction=0.1, seq_len=12)
    hrm = ResourceAwareHRM(model, corpus.vocabulary, backend)
    hrm.initialize_training(config, 4)
    hrm.initialize(1)
    windows = Windows(corpus.train, 12, 8, 1)
    for step in range(4):
        hrm.process_character_training_batch(windows.batch(step), step, 1e-3)
    backend.synchronize()
    programs = hrm.training_programs()
    micro = max((p for p in programs if p.name.endswith(".more")), key=lambda p: len(p.steps))
    return [micro, programs[-1]]


@pytest.mark.parametrize("model", list(MODELS))
def test_without_each_barrier(model: str, vulkan_device: Any, mark: Callable[[str], None]) -> None:
    backend = VulkanBackend(int(os.environ.get("NYX_TEST_DEVICE", "0")))
    micro, update = training(backend, MODELS[model])
    for before, program in ((update, micro), (micro, update)):
        found = backend.dispatches(program)
        for left_out, at in enumerate(barriers(found)):
            backend.run(before)
            mark(f"without barrier {left_out} of {model} {program.name}, before {found[at].shader} ({at})")
            backend._drop = left_out
            backend._submit(backend._record(found))
            backend._drop = None
            backend.synchronize()
            mark("between mutations")
    backend.close()
