"""What a plan of several parts will take: a few steps of every kind are timed before it starts."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from nyx.training.monitor import duration
from nyx.training.plan import Part

if TYPE_CHECKING:
    from nyx.training.trainer import CharacterLanguageTrainer

STEPS = 4  # of each kind; the first one also makes the Programs and is left out
FORWARD = 1 / 3  # of a training step's time: the backward pass takes about twice as long as the forward pass
MIB = 2**20


def announce(trainer: CharacterLanguageTrainer) -> None:
    """Says for each part how many steps it has at most and about how long they take, and the sum, with the disk that
    its checkpoints fill.

    Steps run with a learning rate of 0 on whatever weights are there: they stay as they are. The optimizer's state
    does not: set it back after this.
    """
    say = trainer.monitor.line
    times: dict[tuple[int, int], float] = {}
    total = 0.0
    for part in trainer.course.parts:
        train, steps = part.train, trainer.course.planned[part.index]
        rows = train.batch_size * train.grad_accum_steps
        if (rows, train.seq_len) not in times:
            times[rows, train.seq_len] = _seconds_of_a_step(trainer, part)
        step = times[rows, train.seq_len]
        checks = 1 + (steps // train.eval_every if train.eval_every else 0)
        targets = min(trainer.corpus.val.targets, train.eval_chars or trainer.corpus.val.targets)
        seconds = steps * step + checks * targets / (rows * train.seq_len) * FORWARD * step
        total += seconds
        say(f"forecast: {part.name}: at most {steps:,} steps, about {duration(seconds)}")
    say(f"forecast: at most {duration(total)} in all, and {_disk(trainer) / MIB:,.0f} MiB of checkpoints")


def _seconds_of_a_step(trainer: CharacterLanguageTrainer, part: Part) -> float:
    hrm, windows, last = trainer.hrm, trainer.course.windows_of(part), sum(trainer.course.planned.values()) - 1
    hrm.initialize_training(trainer.config.model_copy(update={"train": part.train}), last + 1)
    seconds = []
    for step in range(STEPS):
        batch = windows.batch(step)
        start = time.perf_counter()
        hrm.process_character_training_batch(batch, last, 0.0)
        hrm.backend.synchronize()
        seconds.append(time.perf_counter() - start)
    hrm.read_sums()
    return statistics.median(seconds[1:])


def _disk(trainer: CharacterLanguageTrainer) -> int:
    """Bytes of the checkpoints that are kept: weights and two moments each, and the average where there is one."""
    config, course = trainer.config, trainer.course
    phases = {part.phase for part in course.parts} - {0}
    kept = config.checkpoint.keep_last + 1 + 2 * len(phases)
    if not config.checkpoint.keep_last:
        kept += sum(
            course.planned[p.index] // max(1, p.train.eval_every) + (p.train.epochs or 0) for p in course.parts
        )
    copies = 3 + (config.train.ema_decay > 0)
    return kept * copies * 4 * trainer.hrm.model.parameters.count()
