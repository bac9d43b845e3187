"""Where a training is: the part of its plan, that part's text and batches, and the place in them.

What has to be kept for an exact resume is in the TrainingState, in its fields and its counters: `part_start` and
`phase_start` (steps), `data_step` (batches of the part so far), `steps_per_epoch`, `epochs_before` (of the phase, when
the part began), `owed` (what the last step was to do yet: nyx/training/trainer.py).
"""

from __future__ import annotations

from nyx.config import Config
from nyx.errors import CheckpointError, DataError
from nyx.text.batches import Batch, Windows
from nyx.text.prepare import Corpus
from nyx.training.checkpoint import TrainingState
from nyx.training.plan import Part, longest_window, parts_of, parts_of_phase
from nyx.training.schedule import learning_rate


class Course:
    """Goes through the parts of a plan, or through those of one phase, and counts in a TrainingState.

    Raises UsageError when the plan has no such phase, DataError when a part has too little text.
    """

    def __init__(self, corpus: Corpus, config: Config, state: TrainingState, phase: int | None = None) -> None:
        self.corpus, self.config, self.state = corpus, config, state
        self._derived = corpus
        """The corpus as the part looked at last sees it."""
        self.plan = parts_of(config)
        self.parts: tuple[Part, ...] = self.plan if phase is None else parts_of_phase(self.plan, phase)
        self.several = len(self.parts) > 1
        self.planned: dict[int, int] = {}
        """Steps of each part, where there are several; they may end earlier."""
        self._sizes: dict[int, float] = {}
        for part in self.parts if self.several else ():
            windows = self.windows_of(part)
            self.planned[part.index], self._sizes[part.index] = _steps(part, windows), _size(windows)

    # From part to part

    def begin(self, part: Part | None = None) -> None:
        """Goes over to a part that no step of was done yet; without one to the first."""
        part = part or next(iter(self.parts))
        state, counters = self.state, self.state.counters
        state.epoch = counters["epochs_before"] = 0 if part.begins else state.epoch
        state.epoch_steps = 0
        state.best_val_loss = state.best_step = state.micro_batch = None
        for key in ("steps_per_epoch", "evaluations_without_gain", "patience_over", "part_over"):
            counters.pop(key, None)
        counters |= {"part_start": state.step, "data_step": 0}
        if part.begins:
            counters.pop("updates", None)
            counters["phase_start"] = state.step
        self._enter(part)

    def go_on(self) -> bool:
        """Takes up the part that the state is in; True when that part is over and another one comes after it.

        Raises CheckpointError when the plan has no such part.
        """
        state = self.state
        part = next((part for part in self.parts if part.index == state.stage), None)
        if part is None:
            raise CheckpointError(
                f"the checkpoint is in part {state.stage + 1} of its plan, and the configuration has "
                f"{len(self.plan)}: leave its stages or phases as they were"
            )
        over, owing = bool(state.counters.pop("part_over", 0)) and not state.finished, "owed" in state.counters
        if not owing and state.counters.pop("patience_over", 0):
            state.counters["evaluations_without_gain"] = 0
        self._enter(part)
        over = (over or state.step >= self.end) and not owing  # what the last step owes comes first
        state.finished = over and self.last  # a finished training goes on where its configuration asks for more now
        return over and not self.last

    def begin_next(self) -> None:
        self.begin(self.parts[self.parts.index(self.part) + 1])

    @property
    def last(self) -> bool:
        """Whether no part comes after this one."""
        return self.part == self.parts[-1]

    def _enter(self, part: Part) -> None:
        state = self.state
        self.part, state.stage, state.phase = part, part.index, part.phase
        self.text = self._corpus_of(part)
        """The corpus as the part sees it."""
        self.windows = self.windows_of(part)
        self._find_place()
        self.end = self._find_end()
        """The step at which the part ends."""

    def _corpus_of(self, part: Part) -> Corpus:
        if part.data == self.corpus.data:
            return self.corpus
        if part.data != self._derived.data:
            self._derived = self.corpus.under(part.data, part.train.seq_len)
        return self._derived

    def windows_of(self, part: Part) -> Windows:
        """The batches of a part."""
        train = part.train
        try:
            return self._corpus_of(part).batches(
                train.seq_len, train.batch_size * train.grad_accum_steps, self.config.seed,
                share=part.share, max_sequences=part.max_sequences, chunk=longest_window(self.plan),
            )  # fmt: skip
        except DataError as error:
            raise DataError(f"{part.name}: {error}" if part.name else str(error)) from None

    def _find_place(self) -> None:
        """The place in the part's data, unless a resume changed the batch; then the same share of the same epoch."""
        counters, per_epoch = self.state.counters, self.windows.steps_per_epoch
        before = counters.get("steps_per_epoch", per_epoch)
        place = counters.get("data_step", 0)
        if before != per_epoch:
            place = place // before * per_epoch + place % before * per_epoch // before
        counters |= {"data_step": place, "steps_per_epoch": per_epoch}

    def _find_end(self) -> int:
        """After its max_steps or its epochs, whichever comes first."""
        train, counters = self.part.train, self.state.counters
        limits = [] if train.max_steps is None else [counters["part_start"] + train.max_steps]
        if train.epochs is not None:
            limits.append(self.state.step + train.epochs * self.windows.steps_per_epoch - counters["data_step"])
        return min(limits)

    # From step to step

    def batch(self) -> Batch:
        """The batch of the next step."""
        return self.windows.batch(self.state.counters["data_step"])

    def advance(self, characters: int) -> None:
        """A step on so many characters is done."""
        state, counters = self.state, self.state.counters
        state.step += 1
        counters["data_step"] += 1
        epochs, state.epoch_steps = divmod(counters["data_step"], self.windows.steps_per_epoch)
        state.epoch = counters["epochs_before"] + epochs
        state.chars_seen += characters

    def learning_rate(self, back: int = 0) -> float:
        """The rate of the next update, or of the one `back` steps before it."""
        start = self.state.counters["part_start"]
        return learning_rate(self.part.train, self.state.step - back - start, self.end - start)

    # How much there is

    @property
    def max_steps(self) -> int:
        """Steps of the whole training, as far as they are known: a part that ends early has fewer."""
        return self.end + sum(self.planned[part.index] for part in self._later())

    def phase_steps(self) -> tuple[int, int]:
        """The step at which the phase began, and how many it has."""
        first = self.state.counters.setdefault("phase_start", 0)
        phase = [part.index for part in self.parts if part.phase == self.part.phase]
        return first, sum(self.planned[index] for index in phase) if len(phase) > 1 else self.end - first

    def characters_left(self) -> float:
        """About how many are still to be trained on."""
        after = sum(self.planned[part.index] * self._sizes[part.index] for part in self._later())
        return (self.end - self.state.step) * _size(self.windows) + after

    def where(self) -> str:
        """The part in words; nothing where the plan has one alone."""
        if len(self.plan) == 1:
            return ""
        phase = f"phase {self.part.phase}/{self.plan[-1].phase}"
        stage = f"stage {self.part.index + 1}/{len(self.plan)}"
        return f"{phase if self.part.phase else stage} {self.part.name}"

    def _later(self) -> list[Part]:
        return [part for part in self.parts if part.index > self.part.index]


def _steps(part: Part, windows: Windows) -> int:
    """Steps that a part takes from its start to its end."""
    limits = [] if part.train.max_steps is None else [part.train.max_steps]
    if part.train.epochs is not None:
        limits.append(part.train.epochs * windows.steps_per_epoch)
    return min(limits)


def _size(windows: Windows) -> float:
    """Characters of a step, on average."""
    return windows.targets / windows.steps_per_epoch
