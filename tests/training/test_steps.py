"""One update at a time: it changes the weights, the loss falls, micro-batches add up, and a bad value stops
everything."""

from __future__ import annotations

import numpy as np
import pytest

from nyx.backends.base import Backend
from nyx.config import Config, ModelConfig
from nyx.errors import DivergenceError
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.batches import Batch, Windows
from nyx.text.corpus import text_from_string
from nyx.text.prepare import Corpus, make_vocabulary, prepare
from tests.training.small import GPT, HRM, make_config, make_text


def corpus(config: Config) -> Corpus:
    text = text_from_string(make_text())
    vocabulary = make_vocabulary("corpus", text, None)
    return prepare(text, vocabulary, config.data, seq_len=config.train.seq_len, seed=config.seed)


def start(backend: Backend, config: Config) -> tuple[ResourceAwareHRM, Windows]:
    data = corpus(config)
    hrm = ResourceAwareHRM(config.model, data.vocabulary, backend)
    hrm.initialize_training(config, config.train.max_steps or 1)
    hrm.initialize(config.seed)
    rows = config.train.batch_size * config.train.grad_accum_steps
    return hrm, Windows(data.train, config.train.seq_len, rows, config.seed)


@pytest.mark.parametrize("model", [HRM, GPT], ids=["hrm", "gpt"])
def test_every_reached_weight_changes_and_the_loss_falls(backend: Backend, model: ModelConfig) -> None:
    hrm, windows = start(backend, make_config(model, max_steps=40))
    before, losses = hrm.weights(), []
    for step in range(40):
        batch = windows.batch(step)
        hrm.process_character_training_batch(batch, step, 1e-2)
        losses.append(hrm.read_sums().loss / batch.count)
    after = hrm.weights()
    assert {n for n in after if np.array_equal(before[n], after[n])} <= {"z_L"}
    assert np.mean(losses[-5:]) < 0.6 * losses[0]


def test_what_no_gradient_reaches_stays(backend: Backend) -> None:
    """At bp_steps = 2 the HRM's embedding: neither updated nor decayed; its bias correction starts with its first
    update."""
    hrm, windows = start(backend, make_config(HRM, max_steps=8, weight_decay=0.5))
    first = hrm.weights()["embedding.weight"]
    seen = {}
    for step in range(8):
        hrm.process_character_training_batch(windows.batch(step), step, 1e-2)
        changed = not np.array_equal(first, hrm.weights()["embedding.weight"])
        seen[hrm.model.bp_steps(step, 8)] = changed
    assert seen[2] is False
    assert seen[5] is True
    counts = hrm.training_state()[1]
    assert counts["embedding.weight"] < max(counts.values()) == 8


@pytest.mark.parametrize("rate", [0.0, 0.2], ids=["plain", "dropout"])
def test_micro_batches_add_up_to_the_big_batch(backend: Backend, rate: float) -> None:
    """Gradients to 1e-6 of their largest value, also where the parts hold different numbers of characters."""
    model = GPT.model_copy(update={"dropout": rate})
    gradients = []
    for rows, parts in ((8, 1), (4, 2), (2, 4)):
        hrm, _ = start(backend, make_config(model, batch_size=rows, grad_accum_steps=parts, grad_clip=0.0))
        rng = np.random.default_rng(4)
        x, y = (rng.integers(0, len(hrm.vocabulary), (8, 12)).astype(np.int32) for _ in range(2))
        y[5, 2:] = -1
        y[7] = -1
        hrm.process_character_training_batch(Batch(x, y, int((y >= 0).sum())), 0, 1e-3)
        gradients.append(hrm.model.parameters.read(backend, "grad"))
    for other in gradients[1:]:
        for name, whole in gradients[0].items():
            assert np.abs(other[name] - whole).max() <= 1e-6 * np.abs(whole).max() + 1e-9, name


def test_a_value_that_is_not_finite_stops_updates_and_is_named(backend: Backend) -> None:
    hrm, windows = start(backend, make_config(HRM, max_steps=8))
    hrm.process_character_training_batch(windows.batch(0), 0, 1e-2)
    bad = hrm.weights()
    bad["L.0.mlp.down.weight"][0, 0] = np.inf
    hrm.load_weights(bad)
    for step in (1, 2):
        hrm.process_character_training_batch(windows.batch(step), step, 1e-2)
    after = hrm.weights()
    assert all(np.array_equal(bad[name], after[name]) for name in bad)
    with pytest.raises(DivergenceError, match=r"diverged at step 1: .* of .* values of .* are not finite"):
        hrm.read_sums()


def test_programs_and_memory_are_bounded(backend: Backend) -> None:
    """A hundred more batches make no new Program and take no more memory."""
    hrm, windows = start(backend, make_config(HRM, max_steps=4))
    sizes = []
    for step in range(104):
        hrm.process_character_training_batch(windows.batch(step), step, 1e-3)
        if step in (3, 103):
            sizes.append((len(hrm.training_programs()), backend.memory().total))
    assert sizes[0] == sizes[1]
