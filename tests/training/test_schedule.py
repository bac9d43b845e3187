"""Every schedule at every step: PyTorch's for restarts, closed forms (and PyTorch's too) for the others."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nyx.config import TrainConfig
from nyx.training.schedule import learning_rate

LR, MIN, STEPS, WARMUP = 3e-3, 2e-4, 1000, 37


def rates(schedule: str, steps: int = STEPS, **keys: Any) -> list[float]:
    config = TrainConfig.model_validate({"lr": LR, "min_lr": MIN, "warmup_steps": WARMUP, "schedule": schedule} | keys)
    return [learning_rate(config, step, steps) for step in range(steps)]


def torch_rates(make: Any, steps: int) -> list[float]:
    """What a scheduler of PyTorch gives from LR on. make: (scheduler module, optimizer) -> scheduler."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its schedules are not compared")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler, found = make(torch.optim.lr_scheduler, optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("eta_min", [0.0, MIN])
@pytest.mark.parametrize(("first", "mult"), [(1, 1), (1, 2), (7, 1), (7, 3), (10, 2), (50, 4), (250, 1), (5000, 2)])
def test_warm_restarts_are_pytorchs(first: int, mult: int, eta_min: float) -> None:
    want = torch_rates(lambda s, o: s.CosineAnnealingWarmRestarts(o, T_0=first, T_mult=mult, eta_min=eta_min), 1000)
    keys = {"restart_steps": first, "restart_mult": mult, "min_lr": eta_min}
    assert rates("cosine_restarts", warmup_steps=0, **keys) == pytest.approx(want, rel=1e-12, abs=0)
    late = rates("cosine_restarts", **keys)[WARMUP:]
    assert late == rates("cosine_restarts", warmup_steps=0, **keys)[: len(late)], "counted from the warm-up's end"
    assert late[:20] == rates("cosine_restarts", WARMUP + 20, **keys)[WARMUP:], "whatever the training's length"


def test_a_period_begins_at_the_top_and_lasts_mult_times_as_long() -> None:
    found = rates("cosine_restarts", restart_steps=50, restart_mult=3, warmup_steps=0)
    assert [step for step, lr in enumerate(found) if lr == LR] == [0, 50, 200, 650]
    assert found[25] == pytest.approx((LR + MIN) / 2, rel=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "wsd", "cosine_restarts"])
def test_warm_up_is_a_line_that_reaches_lr(schedule: str) -> None:
    found = rates(schedule)
    assert found[: WARMUP + 1] == pytest.approx([LR * (i + 1) / (WARMUP + 1) for i in range(WARMUP + 1)], rel=1e-12)
    assert all(MIN * 0.999 < lr <= LR for lr in found[WARMUP:])


def test_constant() -> None:
    assert set(rates("constant")[WARMUP:]) == {LR}


def test_linear_is_a_line_to_min_lr() -> None:
    length = STEPS - WARMUP
    found = rates("linear")[WARMUP:]
    assert found == pytest.approx([LR - (LR - MIN) * i / length for i in range(length)], rel=1e-12)
    want = torch_rates(lambda s, o: s.LinearLR(o, start_factor=1.0, end_factor=MIN / LR, total_iters=length), length)
    assert found == pytest.approx(want, rel=1e-10)


def test_cosine_is_half_a_cosine_to_min_lr() -> None:
    length = STEPS - WARMUP
    found = rates("cosine")[WARMUP:]
    form = [MIN + (LR - MIN) * math.cos(math.pi * i / length / 2) ** 2 for i in range(length)]
    assert found == pytest.approx(form, rel=1e-12)
    want = torch_rates(lambda s, o: s.CosineAnnealingLR(o, T_max=length, eta_min=MIN), length)
    assert found == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("fraction", [0.001, 0.2, 0.5])
def test_wsd_stays_then_falls_on_a_line(fraction: float) -> None:
    found, falling = rates("wsd", decay_fraction=fraction), round(fraction * STEPS)
    assert set(found[WARMUP : STEPS - falling]) == {LR}
    form = [LR - (LR - MIN) * i / falling for i in range(falling)]
    assert found[-falling:] == pytest.approx(form, rel=1e-12)


def test_wsd_that_only_falls_is_linear() -> None:
    assert rates("wsd", decay_fraction=1.0) == rates("linear")


@pytest.mark.parametrize("schedule", ["linear", "cosine", "wsd"])
def test_past_the_end_the_rate_stays_at_min_lr(schedule: str) -> None:
    config = TrainConfig.model_validate({"lr": LR, "schedule": schedule})
    assert learning_rate(config, 100, 100) == pytest.approx(LR / 10)
    assert learning_rate(config, 123, 100) == pytest.approx(LR / 10)
    assert learning_rate(config, 0, 1) == LR
