"""Small models, a small configuration and a small text, for the tests of training."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx.config import Config, HrmConfig, ModelConfig, TransformerConfig

HRM = HrmConfig(
    H_cycles=2, L_cycles=2, n_head=2, n_embd=16, block_size=12, ff_multiple=8, bp_max_steps=5, bp_warmup_ratio=0.5
)
GPT = TransformerConfig(n_layer=2, n_head=2, n_embd=16, block_size=12)


def make_config(model: ModelConfig = HRM, **train: Any) -> Config:
    """A configuration of a few steps."""
    defaults: dict[str, Any] = {"max_steps": 8, "batch_size": 4, "lr": 1e-2, "betas": (0.9, 0.99), "sample_every": 0}
    return Config.model_validate({"model": model.model_dump(), "train": defaults | train})


def make_text(lines: int = 120, seed: int = 0) -> str:
    """Text with something to learn: every line is a word said twice."""
    rng = np.random.default_rng(seed)
    words = ["tide", "gull", "harbour", "net", "lamp", "oar", "späte"]
    return "".join(f"{w} {w}.\n" for w in rng.choice(words, lines))


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Inside, this folder is the working directory, with two texts and an empty configuration; nothing is synced."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", lambda descriptor: None)
            Path("text.txt").write_text(make_text(60), encoding="utf-8")
            Path("little.txt").write_text(make_text(3), encoding="utf-8")
            Path("c.yaml").write_text("{}")
            yield
    finally:
        os.chdir(before)
