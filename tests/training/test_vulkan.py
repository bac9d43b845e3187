"""A whole training step on Vulkan, evaluation and decoding: what the validation layer watches, and the CPU's values."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from nyx.backends.base import Backend
from nyx.backends.cpu import CpuBackend
from nyx.config import ModelConfig
from nyx.errors import DeviceError
from nyx.generation import Sampling
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.corpus import text_from_string
from nyx.text.prepare import make_vocabulary, prepare
from tests.training.small import GPT, HRM, make_config, make_text


def train(backend: Backend, model: ModelConfig) -> tuple[ResourceAwareHRM, dict[str, Any]]:
    """Four updates of two micro-batches, an evaluation, and 20 characters past the window's end."""
    config = make_config(model, max_steps=4, grad_accum_steps=2)
    text = text_from_string(make_text())
    corpus = prepare(text, make_vocabulary("corpus", text, None), config.data, seq_len=12, seed=1)
    hrm = ResourceAwareHRM(model, corpus.vocabulary, backend)
    hrm.initialize_training(config, 4)
    hrm.initialize(1)
    windows, losses = corpus.batches(12, 8, 1), []
    for step in range(4):
        hrm.process_character_training_batch(windows.batch(step), step, 1e-2)
        losses.append(hrm.read_sums().loss)
    evaluated = hrm.evaluate(corpus.val, seq_len=12, batch_size=4, limit=120)
    text_out = hrm.generate_text("gull ", 20, Sampling(temperature=0))
    return hrm, {"losses": losses, "evaluation": evaluated, "text": text_out, "weights": hrm.weights()}


@pytest.mark.parametrize("model", [HRM, GPT.model_copy(update={"dropout": 0.1})], ids=["hrm", "gpt"])
def test_a_training_agrees_with_the_cpu(vulkan_device: Any, model: ModelConfig) -> None:
    from nyx.backends.vulkan import VulkanBackend

    backend = VulkanBackend(int(os.environ.get("NYX_TEST_DEVICE", "0")))
    _, ours = train(backend, model)
    backend.close()
    _, cpu = train(CpuBackend(), model)
    np.testing.assert_allclose(ours["losses"], cpu["losses"], rtol=1e-4)
    assert ours["evaluation"].loss == pytest.approx(cpu["evaluation"].loss, rel=1e-4)
    assert ours["evaluation"].characters == cpu["evaluation"].characters == 120
    assert ours["text"] == cpu["text"]
    for name, values in cpu["weights"].items():
        assert np.abs(ours["weights"][name] - values).max() <= 2e-3 * np.abs(values).max(), name


def test_nyx_check_passes_and_names_a_wrong_step(vulkan_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from nyx import ops
    from nyx.backends.vulkan import VulkanBackend

    monkeypatch.setenv("NYX_CHECK", "1")
    backend = VulkanBackend(int(os.environ.get("NYX_TEST_DEVICE", "0")))
    train(backend, HRM)
    right = ops.get("swiglu").run
    monkeypatch.setattr(ops.get("swiglu"), "run", lambda x: right(x) * np.float32(1.01))
    with pytest.raises(DeviceError, match=r"NYX_CHECK: step \d+, swiglu: .* differ from the CPU's"):
        train(backend, HRM)
    backend.close()
