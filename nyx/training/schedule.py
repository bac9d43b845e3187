"""Learning rates by step."""

from __future__ import annotations

import math

from nyx.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, max_steps: int) -> float:
    """The rate of the update number `step` (from 0) of `max_steps`.

    Linear warm-up over warmup_steps, then, with min_lr a tenth of lr unless given:
    constant: lr. linear, cosine: a line, or half a cosine (Loshchilov and Hutter 2016 without restarts; nanoGPT's
    shape), from lr to min_lr at max_steps. wsd: lr until the last decay_fraction of max_steps, then a line to min_lr
    at max_steps (Hu et al. 2024, MiniCPM). cosine_restarts: half a cosine from lr to min_lr again and again, in
    periods of restart_steps, each restart_mult times as long as the one before (SGDR, Loshchilov and Hutter 2016, as
    torch.optim.lr_scheduler.CosineAnnealingWarmRestarts).
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / (config.warmup_steps + 1)
    start, end, curve = config.warmup_steps, max_steps, _line
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "wsd":
        start = max(start, max_steps - max(1, round(config.decay_fraction * max_steps)))
    elif config.schedule == "cosine_restarts":
        start, end = _period(step, start, config.restart_steps, config.restart_mult)
    if config.schedule in ("cosine", "cosine_restarts"):
        curve = _half_cosine
    place, length = max(0, step - start), max(1, end - start)
    return config.final_lr + (config.lr - config.final_lr) * curve(min(place, length), length)


def _line(place: int, length: int) -> float:
    return 1 - place / length


def _half_cosine(place: int, length: int) -> float:
    return (1 + math.cos(math.pi * place / length)) / 2


def _period(step: int, start: int, length: int, mult: int) -> tuple[int, int]:
    """First step, and one past the last, of the period that `step` lies in; the first one has begun at `start`."""
    if mult == 1:
        start += (step - start) // length * length
    while mult > 1 and step >= start + length:
        start, length = start + length, length * mult
    return start, start + length
