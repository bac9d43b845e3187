"""The packaged configurations: their sizes, and that each plans a training."""

from __future__ import annotations

import pytest

from nyx.backends.null import NullBackend
from nyx.config import HrmConfig
from nyx.configfile import packaged
from nyx.configload import load
from nyx.nn import build
from nyx.nn.hrm import ff_width
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.vocabulary import FIXED, Vocabulary
from nyx.training.optimizer import decaying
from nyx.training.schedule import learning_rate

COUNTS = {
    ("hlxl-brain", 115): 491_635,
    ("hlx-100m", 117): 101_533_813,
    ("gpt-mini", 65): 804_096,
    ("baby-gpt", 65): 10_745_088,
    ("hrm-text", 65): 2 * 65 * 256 + 4 * (5 * 256**2 + 3 * 256 * 768),  # embedding and head; attention, SwiGLU
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


def test_hrm_text_is_its_authors_recipe() -> None:
    """Every parameter decays, the rate stays where the warm-up brought it, nothing is clipped, heads are 128 wide."""
    config = load("hrm-text", env={}).config
    model, train = config.model, config.train
    assert isinstance(model, HrmConfig)
    assert (model.variant, model.H_cycles, model.L_cycles, model.expansion, model.n_embd) == ("text", 2, 3, 4, 256)
    assert (model.H_layers, model.n_embd // model.n_head, ff_width(model), model.eps) == (
        model.L_layers, 128, 768, 1e-6,
    )  # fmt: skip
    assert (train.optimizer, train.betas, train.weight_decay, train.ema_decay) == (
        "adam_atan2",
        (0.9, 0.95),
        0.1,
        0.9999,
    )
    assert train.grad_clip == 0 and train.max_steps
    built = build(model, 65)
    assert decaying(built.parameters, train) == {p.name for p in built.parameters}
    rates = {learning_rate(train, step, train.max_steps) for step in range(train.warmup_steps, train.max_steps)}
    assert rates == {train.lr}
    depths = [built.bp_steps(step, train.max_steps) for step in range(train.max_steps)]
    assert (depths[0], depths[train.max_steps // 5 - 2 : train.max_steps // 5]) == (2, [4, 5])
    assert train.ema_decay**train.max_steps < 0.01, "the average has forgotten the start values at the end"


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
