"""What a person should hear of a training that goes on, or that has ended, because it may not be what was meant."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nyx.config import Config
from nyx.training.checkpoint import TrainingState
from nyx.training.course import Course
from nyx.training.plan import parts_of
from nyx.training.schedule import learning_rate
from nyx.words import VERBS

JUMP = 0.01  # a change of the rate that is worth a line, as a share of it
MARGIN = 0.05  # by which a loss that was low already must have risen
ABOVE_CHANCE = 1.5  # times the loss of guessing


def jump_of_rate(before: Config, state: TrainingState, course: Course) -> str | None:
    """The line about a learning rate that goes on elsewhere than the schedule before would have, whatever moved it.

    before: the configuration of the checkpoint. state: the training state in it. course: how it goes on.
    """
    plan, counters = parts_of(before), state.counters
    known = counters.keys() >= {"part_start", "data_step", "steps_per_epoch"}
    if not known or course.state.stage != state.stage or not 0 <= state.stage < len(plan):
        return None
    train, start = plan[state.stage].train, counters["part_start"]
    limits = [] if train.max_steps is None else [start + train.max_steps]
    if train.epochs is not None:
        limits.append(state.step + train.epochs * counters["steps_per_epoch"] - counters["data_step"])
    step, length = state.step - start, min(limits) - start
    expected, now = learning_rate(train, step, length), course.learning_rate()
    if math.isclose(expected, now, rel_tol=JUMP):
        return None
    last = learning_rate(train, max(0, step - 1), length)
    return f"the learning rate goes from {last:.2e} at step {state.step} to {now:.2e} at the next one"


def verdict(history: Sequence[Mapping[str, Any]], symbols: int, *, fresh: bool) -> tuple[float, float] | None:
    """(the loss that a training ended with, the loss it began with), in nats per character, when it ended above it.

    history: the records of the training, as in TrainingResult. symbols: of the vocabulary. fresh: it started from
    start values and not from weights that had been trained, whose loss may rise a little. Of a plan only the last part
    counts: another part has another text.
    """
    part = history[-1].get("part") if history else None
    records = [record for record in history if record.get("part") == part]
    losses = [record["train/loss"] for record in records if "train/loss" in record]
    ends = losses[-1:] if len(losses) > 1 else []
    ends += [record["val/loss"] for record in records if "val/loss" in record][-1:]
    if not losses or not ends:
        return None
    first, last = losses[0], max(ends)
    if last > first * (1 if fresh else 1 + MARGIN) or last > ABOVE_CHANCE * math.log(max(symbols, 2)):
        return last, first
    return None


def lower_rate(last: float, first: float, config: Config, best: Path | None) -> str:
    """The line about a training that ended above its first loss, with what to type. best: a checkpoint of a better
    state, when there is one."""
    rate = f"train.lr={config.train.lr / 10:.3g}"
    ended = f"the loss ended at {last:.4f}, where it began at {first:.4f}: lower train.lr"
    return f"{ended}: {_again(rate, best)}"


def _again(setting: str, best: Path | None) -> str:
    """The command of this process with another rate, in a run directory of its own."""
    first, words = sys.argv[1:2], sys.argv[1:]
    words[:1] = [{"--train": "train", **VERBS}.get(word, word) for word in first]
    if words[:1] == ["resume"]:
        return shlex.join(["nyx", "resume", str(best or words[1]), "--set", setting])
    if words[:1] != ["train"]:
        return f"--set {setting}"
    kept, skip = [], False
    for word in words:
        if not skip and word != "--run-dir" and not word.startswith("--run-dir="):
            kept.append(word)
        skip = word == "--run-dir"
    return shlex.join(["nyx", *kept, "--set", setting])
