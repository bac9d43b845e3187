"""The packaged configurations: their sizes, and that each plans a training."""

from __future__ import annotations

import pytest

from nyx.backends.null import NullBackend
from nyx.configfile import packaged
from nyx.configload import load
from nyx.nn import build
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.vocabulary import FIXED, Vocabulary

COUNTS = {
    ("hlxl-brain", 115): 491_635,
    ("hlx-100m", 117): 101_533_813,
    ("gpt-mini", 65): 804_096,
    ("baby-gpt", 65): 10_745_088,
}


@pytest.mark.parametrize(("name", "symbols"), COUNTS)
def test_parameters(name: str, symbols: int) -> None:
    config = load(name, env={}).config.model
    if config.vocabulary in FIXED:
        assert len(Vocabulary.fixed(config.vocabulary)) == symbols
    assert build(config, symbols).parameters.count() == COUNTS[name, symbols]


def test_the_two_published_ones_train_on_their_windows() -> None:
    for name, window in (("hlxl-brain", 128), ("hlx-100m", 256)):
        config = load(name, env={}).config
        assert (config.train.seq_len, config.model.block_size) == (window, 512)


@pytest.mark.parametrize("name", packaged())
def test_every_preset_plans(name: str) -> None:
    config = load(name, env={}).config
    model = config.model
    symbols = Vocabulary.fixed(model.vocabulary) if model.vocabulary in FIXED else Vocabulary("abcdefgh")
    backend = NullBackend()
    hrm = ResourceAwareHRM(model, symbols, backend)
    hrm.initialize_training(config, config.train.max_steps or 100)
    for program in hrm.training_programs():
        backend.prepare(program)
    assert backend.memory().total > 4 * 4 * hrm.model.parameters.count()
