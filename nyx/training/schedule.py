"""Learning rates by step."""

from __future__ import annotations

import math

from nyx.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, max_steps: int) -> float:
    """The rate of the update number `step` (from 0) of `max_steps`.

    Linear warm-up over warmup_steps, then constant, linear or half-cosine decay from lr to min_lr (a tenth of
    lr unless given) at max_steps (Loshchilov
    and Hutter 2016 without restarts; nanoGPT's shape).
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / (config.warmup_steps + 1)
    if config.schedule == "constant":
        return config.lr
    progress = min(1.0, (step - config.warmup_steps) / max(1, max_steps - config.warmup_steps))
    fall = progress if config.schedule == "linear" else 0.5 - 0.5 * math.cos(math.pi * progress)
    return config.lr + (config.final_lr - config.lr) * fall
