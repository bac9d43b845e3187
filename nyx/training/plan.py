"""The parts that a training runs one after the other: the stages of a curriculum, the phases of a plan, or one part.

A stage goes on with the optimizer of the stage before it; a phase begins with a fresh one and the weights it finds.
The schedule of the learning rate begins again with every part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nyx.config import Config, DataConfig, PhaseConfig, StageConfig, TrainConfig
from nyx.errors import UsageError


@dataclass(frozen=True)
class Part:
    """One stretch of a training.

    index: its place in the plan. phase: 1, 2, ... in a plan of phases, else 0. data, train: the sections as they are
    for this part (max_steps counts its own steps). share, max_sequences: of the windows or examples, from the front
    of the plan's shuffle. begins, ends: whether it is the first or the last of its phase.
    """

    index: int
    phase: int
    name: str
    data: DataConfig
    train: TrainConfig
    share: float = 1.0
    max_sequences: int | None = None
    begins: bool = True
    ends: bool = True

    def __str__(self) -> str:
        train = self.train
        most = f", at most {self.max_sequences:,} sequences" if self.max_sequences else ""
        limits = {"epochs": train.epochs, "steps": train.max_steps}
        length = " or ".join(f"{limit} {unit}" for unit, limit in limits.items() if limit is not None)
        return f"{self.name}: windows of {train.seq_len}, {self.share:.0%}{most}, {length}, learning rate {train.lr:g}"


def parts_of(config: Config) -> tuple[Part, ...]:
    """The plan of a configuration, at least one part."""
    if config.phases:
        found: list[Part] = []
        for number, phase in enumerate(config.phases, 1):
            found += _stages(config, phase, number, len(found))
        return tuple(found)
    if config.curriculum:
        return tuple(_chain(config.curriculum, config.train, config.data, 0, 0, ""))
    return (Part(0, 0, "", config.data, config.train),)


def parts_of_phase(parts: Sequence[Part], phase: int) -> tuple[Part, ...]:
    """The parts of one phase. Raises UsageError (64) when the plan has no such phase."""
    most = max(part.phase for part in parts)
    if not most:
        raise UsageError("--phase: the configuration has no phases; leave it out, or name one that has")
    if not 1 <= phase <= most:
        raise UsageError(f"--phase {phase}: the plan has phases 1 to {most}")
    return tuple(part for part in parts if part.phase == phase)


def longest_window(parts: Sequence[Part]) -> int:
    """Characters of the longest window of a plan."""
    return max(part.train.seq_len for part in parts)


def largest(config: Config) -> Config:
    """The configuration with the section train of the part that takes the most memory and time a step."""
    part = max(parts_of(config), key=lambda part: part.train.seq_len)
    return config.model_copy(update={"train": part.train})


def _stages(config: Config, phase: PhaseConfig, number: int, first: int) -> list[Part]:
    data, train = phase.change(config.data), _with_length(config.train, phase)
    if phase.stages:
        return _chain(phase.stages, train, data, number, first, f"{phase.name}: ")
    return [Part(first, number, phase.name, data, train, phase.share, phase.max_sequences)]


def _chain(
    stages: Sequence[StageConfig], train: TrainConfig, data: DataConfig, phase: int, first: int, prefix: str
) -> list[Part]:
    return [
        Part(
            first + i, phase, prefix + stage.name, data, _with_length(train, stage), stage.share, stage.max_sequences,
            begins=i == 0, ends=i + 1 == len(stages),
        )
        for i, stage in enumerate(stages)
    ]  # fmt: skip


def _with_length(train: TrainConfig, part: StageConfig | PhaseConfig) -> TrainConfig:
    """The section train as a stage or phase changes it."""
    epochs = 1 if part.epochs is None and part.max_steps is None else part.epochs
    changes: dict[str, object] = {"epochs": epochs, "max_steps": part.max_steps}
    if part.seq_len is not None:
        changes["seq_len"] = part.seq_len
    elif part.context is not None:
        changes["seq_len"] = max(1, round(part.context * train.seq_len))
    if part.lr is not None:
        changes |= {"lr": part.lr, "min_lr": None if train.min_lr is None else min(train.min_lr, part.lr)}
    if part.patience is not None:
        changes["early_stop_patience"] = part.patience
    return train.model_copy(update=changes)
