"""A training that ends above its first loss says so, and what to type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from nyx.training.remarks import verdict
from tests.cli.conftest import SMOKE, Program, book, sets


def records(*losses: float, val: float | None = None, part: int | None = None) -> list[dict[str, float]]:
    made: list[dict[str, float]] = [{"step": n, "train/loss": loss} for n, loss in enumerate(losses)]
    made += [] if val is None else [{"step": len(losses), "val/loss": val}]
    return [record if part is None else record | {"part": part} for record in made]


@pytest.mark.parametrize(
    ("history", "fresh", "found"),
    [
        (records(3.0, 2.0, 1.5, val=1.6), True, None),
        (records(3.0, 2.0, 3.1), True, (3.1, 3.0)),
        (records(3.0, 2.0, val=3.2), True, (3.2, 3.0)),
        (records(3.0, 3.0), True, None),
        (records(1.5, 1.53), False, None),
        (records(1.5, 1.7), False, (1.7, 1.5)),
        (records(40.0, 30.0), True, (30.0, 40.0)),
        (records(3.0), True, None),
        (records(1.0, 0.5, part=0) + records(2.0, 1.5, part=1), True, None),
        (records(2.0, 1.0, part=0) + records(1.1, 1.3, part=1), True, (1.3, 1.1)),
        ([], True, None),
    ],
)
def test_verdict(history: list[dict[str, float]], fresh: bool, found: tuple[float, float] | None) -> None:
    assert verdict(history, 30, fresh=fresh) == found


def test_a_rate_far_too_high(program: Program) -> None:
    Path("b.txt").write_text(book(8000), encoding="utf-8")
    wild = sets("train.lr=10", "train.grad_clip=0", "train.warmup_steps=0", "train.max_steps=40")
    code, _, err = program("train", "b.txt", *SMOKE, *wild, "--run-dir", "r", "--out", "m.ckpt")
    assert code == 0
    (line,) = re.findall(r"the loss ended at .*: lower train\.lr: nyx (.*)", err)
    assert f"lower train.lr: nyx {line}" in Path("r/train.log").read_text()
    again = shlex.split(line)
    assert "--run-dir" not in again and again[-2:] == ["--set", "train.lr=1"]
    tamed = [*again[:-1], "train.lr=3e-3"]
    code, _, err = program(*tamed)
    assert code == 0 and "lower train.lr" not in err


def test_a_resume_that_goes_wrong_names_its_best_state(program: Program) -> None:
    Path("b.txt").write_text(book(8000), encoding="utf-8")
    assert program("train", "b.txt", *SMOKE, "--run-dir", "r", "--out", "m.ckpt")[0] == 0
    wild = sets("train.lr=10", "train.grad_clip=0", "train.max_steps=100", "train.schedule=constant")
    code, _, err = program("resume", "m.ckpt", *wild)
    assert code == 0
    (line,) = re.findall(r"lower train\.lr: nyx (.*)", err)
    code, _, err = program(*shlex.split(line), "--set", "train.lr=1e-3")
    assert code == 0 and "lower train.lr" not in err
