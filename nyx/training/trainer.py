"""CharacterLanguageTrainer: the loop. It goes through the parts of a plan, draws batches, updates, logs, evaluates,
samples and saves, and can stop anywhere."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import nyx
from nyx.config import Config
from nyx.errors import CheckpointError, DivergenceError, Stopped
from nyx.generation import Sampling
from nyx.resource_aware_hrm import Evaluation, ResourceAwareHRM
from nyx.text.batches import Windows
from nyx.text.prepare import Corpus
from nyx.training import forecast
from nyx.training.checkpoint import Checkpoint, CheckpointInfo, TrainingState
from nyx.training.monitor import Monitor, Pace, duration
from nyx.training.plan import Part, longest_window, parts_of, parts_of_phase
from nyx.training.rundir import RunDirectory
from nyx.training.schedule import learning_rate
from nyx.training.signals import StopRequest

BEST_NAME, FINAL_NAME = "phase{phase}_BEST_epoch{epoch}.ckpt", "phase{phase}_FINAL_epoch{epoch}.ckpt"


@dataclass
class TrainingResult:
    """What a training left: its last step, the last validation, the newest value of every measure by its name in
    metrics.jsonl, every record of them, and the checkpoints it wrote; `checkpoint` is the newest."""

    step: int
    validation: Evaluation | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[Path] = field(default_factory=list)
    checkpoint: Path | None = None


class CharacterLanguageTrainer:
    """Trains a model on a corpus as a configuration says: its stages or phases, or one part.

    run: where metrics, samples and checkpoints go; without one nothing is written. checkpoint: the state to go on from;
    without one the model starts from config.seed, or from the weights it has when `keep_weights`. phase: this phase of
    the plan alone. Raises CheckpointError when the state is of a part that the plan has not, DataError when a part has
    too little text, DeviceMemoryError when a part fits no device memory however it is cut.
    """

    def __init__(
        self,
        hrm: ResourceAwareHRM,
        corpus: Corpus,
        config: Config,
        *,
        run: RunDirectory | None = None,
        checkpoint: Checkpoint | None = None,
        keep_weights: bool = False,
        phase: int | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        self.hrm, self.corpus, self.config, self.run = hrm, corpus, config, run
        self.monitor = monitor or Monitor(run.log if run else None)
        self.state = checkpoint.info().training if checkpoint else TrainingState()
        self.plan = parts_of(config)
        only = self.state.counters.get("only_phase") if checkpoint else phase
        self.parts: tuple[Part, ...] = self.plan if only is None else parts_of_phase(self.plan, only)
        self.planned: dict[int, int] = {}
        """Steps of each part, where there are several; they may end earlier."""
        self._sizes: dict[int, float] = {}
        for part in self.parts if len(self.parts) > 1 else ():
            windows = self.windows_of(part)
            self.planned[part.index], self._sizes[part.index] = _steps(part, windows), _size(windows)
        self.result = TrainingResult(self.state.step)
        self._pace = Pace()
        self._saved_at = time.monotonic()
        self._last_loss = float("nan")
        if checkpoint is not None:
            self._go_on(checkpoint)
            return
        if only is not None:
            self.state.counters["only_phase"] = only
        if len(self.parts) > 1:
            forecast.announce(self)
        self._begin(next(iter(self.parts)))
        if not keep_weights:
            hrm.initialize(config.seed)

    # The loop

    def train_character_language_model(self) -> TrainingResult:
        """Trains to the end. Raises Stopped after saving when a signal asked for it, DivergenceError when a value is
        not finite; what was saved before stays."""
        return self._run(lambda: False)

    def train_epoch(self) -> dict[str, float]:
        """Trains to the end of the epoch that it is in, or to the end of the training if that comes first; returns the
        newest measures by name. Raises as `train_character_language_model` does."""
        before = self.state.stage, self.state.epoch
        return self._run(lambda: (self.state.stage, self.state.epoch) != before).metrics

    def _run(self, enough: Callable[[], bool]) -> TrainingResult:
        with StopRequest() as stop:
            while not self.state.finished and not enough():
                self._update()
                self._after_update(stop)
        self.result.step = self.state.step
        return self.result

    @property
    def max_steps(self) -> int:
        """Steps of the whole training, as far as they are known: a part that ends early has fewer."""
        return self.part_end + sum(self.planned[part.index] for part in self._later())

    def _later(self) -> list[Part]:
        return [part for part in self.parts if part.index > self.part.index]

    # Parts

    def _go_on(self, checkpoint: Checkpoint) -> None:
        state = self.state
        part = next((part for part in self.parts if part.index == state.stage), None)
        if part is None:
            raise CheckpointError(
                f"{checkpoint.path} is in part {state.stage + 1} of its plan, and the configuration has "
                f"{len(self.plan)}: leave its stages or phases as they were"
            )
        over = state.counters.pop("part_over", 0) and not state.finished
        state.finished = False  # whoever resumes a finished training has asked for more
        if state.counters.pop("patience_over", 0):
            state.counters["evaluations_without_gain"] = 0
        self._enter(part)
        self.hrm.load_training_state(checkpoint.tensors)
        if over:
            self._begin_next()

    def _begin_next(self) -> None:
        at = self.parts.index(self.part)
        self._begin(self.parts[at + 1])

    def _begin(self, part: Part) -> None:
        """Goes over to a part that no step of was done yet."""
        state, counters = self.state, self.state.counters
        fresh = part.begins
        state.epoch = counters["epochs_before"] = 0 if fresh else state.epoch
        state.epoch_steps = 0
        state.best_val_loss = state.best_step = state.micro_batch = None
        for key in ("steps_per_epoch", "evaluations_without_gain", "patience_over", "part_over"):
            counters.pop(key, None)
        counters |= {"part_start": state.step, "data_step": 0}
        if fresh:
            counters.pop("updates", None)
            counters["phase_start"] = state.step
        self._enter(part)

    def _enter(self, part: Part) -> None:
        """Makes a part the current one: its text, its batches, its Programs."""
        state = self.state
        self.part, state.stage, state.phase = part, part.index, part.phase
        self.text = self._corpus_of(part)
        self.windows = self.windows_of(part)
        self._find_place()
        self.part_end = self._end()
        config = self.config.model_copy(update={"data": part.data, "train": part.train})
        counters, phase = state.counters, [p.index for p in self.parts if p.phase == part.phase]
        first = counters.setdefault("phase_start", 0)
        steps = sum(self.planned[index] for index in phase) if len(phase) > 1 else self.part_end - first
        self.hrm.initialize_training(
            config, steps, counters.get("updates"),
            first_step=first, micro_batch=state.micro_batch, say=self.monitor.line,
        )  # fmt: skip
        state.micro_batch = self.hrm.micro_batch
        if len(self.parts) > 1:
            self.monitor.line(
                f"{self._where()}: {self.windows.n_windows:,} windows of at most {part.train.seq_len} characters, "
                f"{self.windows.targets:,} characters an epoch, up to {self.part_end - state.step:,} steps"
            )

    def _corpus_of(self, part: Part) -> Corpus:
        return self.corpus if part.data == self.corpus.data else self.corpus.under(part.data, part.train.seq_len)

    def windows_of(self, part: Part) -> Windows:
        """The batches of a part."""
        train = part.train
        return self._corpus_of(part).batches(
            train.seq_len, train.batch_size * train.grad_accum_steps, self.config.seed,
            share=part.share, max_sequences=part.max_sequences, chunk=longest_window(self.plan),
        )  # fmt: skip

    def _find_place(self) -> None:
        """The place in the part's data, unless a resume changed the batch; then the same share of the same epoch."""
        counters, per_epoch = self.state.counters, self.windows.steps_per_epoch
        before = counters.get("steps_per_epoch", per_epoch)
        place = counters.get("data_step", 0)
        if before != per_epoch:
            place = place // before * per_epoch + place % before * per_epoch // before
        counters |= {"data_step": place, "steps_per_epoch": per_epoch}

    def _end(self) -> int:
        """The step at which the part ends: after its max_steps or its epochs, whichever comes first."""
        train, counters = self.part.train, self.state.counters
        limits = [] if train.max_steps is None else [counters["part_start"] + train.max_steps]
        if train.epochs is not None:
            limits.append(self.state.step + train.epochs * self.windows.steps_per_epoch - counters["data_step"])
        return min(limits)

    def _where(self) -> str:
        """The part in words; nothing where there is one alone."""
        if len(self.plan) == 1:
            return ""
        phase = f"phase {self.part.phase}/{self.plan[-1].phase}"
        stage = f"stage {self.part.index + 1}/{len(self.plan)}"
        return f"{phase if self.part.phase else stage} {self.part.name}"

    # A step

    def _update(self) -> None:
        state, counters = self.state, self.state.counters
        batch = self.windows.batch(counters["data_step"])
        self.hrm.process_character_training_batch(batch, state.step, self._lr())
        state.micro_batch = self.hrm.micro_batch  # halved where the device ran out of memory
        state.step += 1
        counters["data_step"] += 1
        epochs, state.epoch_steps = divmod(counters["data_step"], self.windows.steps_per_epoch)
        state.epoch = counters["epochs_before"] + epochs
        state.chars_seen += batch.count
        counters["window_chars"] = counters.get("window_chars", 0) + batch.count
        self._pace.add(batch.count)
        self.monitor.progress(
            f"{self._step()}  loss {self._last_loss:.4f}  {self._pace.rate():,.0f} chars/s  ETA {self._eta()}"
        )

    def _lr(self, back: int = 0) -> float:
        """The rate of the next update, or of the one `back` steps before it."""
        start = self.state.counters["part_start"]
        return learning_rate(self.part.train, self.state.step - back - start, self.part_end - start)

    def _after_update(self, stop: StopRequest) -> None:
        state, train, every = self.state, self.part.train, self.config.checkpoint
        over = state.step >= self.part_end
        if over or _due(train.log_every, state.step):
            self._log()
        improved = False
        if self.text.val.targets and (over or _due(train.eval_every, state.step)):
            improved = self._timed(self._evaluate)
            over = over or bool(state.counters.get("patience_over"))
        if (over and train.sample_every) or _due(train.sample_every, state.step):
            self._timed(self._sample)
        epochs = every.every_epochs and not state.epoch_steps and state.epoch % every.every_epochs == 0
        timely = 0 < every.every_minutes <= (time.monotonic() - self._saved_at) / 60
        if over or improved or timely or epochs or _due(every.every_steps, state.step):
            state.finished = over and self.part == self.parts[-1]
            state.counters["part_over"] = int(over)
            self._timed(lambda: self._save(best=improved, over=over))
        if stop.signum is not None and not state.finished:
            self._stop(stop.signum)
        if over and not state.finished:
            self._begin_next()

    def _stop(self, signum: int) -> None:
        if self.result.checkpoint is None or self.state.counters.get("saved_step") != self.state.step:
            self._save()
        path = shlex.quote(str(self.config.checkpoint.path))
        where = f", everything is saved; go on with: nyx resume {path}" if self.run else ""
        raise Stopped(f"stopped at step {self.state.step} of {self.max_steps}{where}", signum)

    # What is done beside the steps

    def _log(self) -> None:
        sums = self.hrm.read_sums()
        chars = self.state.counters.pop("window_chars")
        rate = self._pace.lap()
        self._last_loss = sums.loss / chars
        record = {
            "train/loss": sums.loss / chars,
            "train/acc": sums.correct / chars,
            "train/lr": self._lr(1),
            "train/grad_norm": sums.grad_norm,
            "train/chars_per_sec": rate,
        }
        self._record(record)
        self.monitor.line(
            f"{self._step()}  loss {record['train/loss']:.4f}  lr {record['train/lr']:.2e}  {rate:,.0f} chars/s  "
            f"ETA {self._eta()}"
        )
        if self.run:
            self.run.status({"step": self.state.step, "max_steps": self.max_steps, "time": time.time(), **record})

    def _evaluate(self) -> bool:
        """Measures the validation part; True when it is the best so far. Ends the part when patience is used up."""
        state, train = self.state, self.part.train
        self.hrm.read_sums(reset=False)
        with self.hrm.averaged():
            found = self.hrm.evaluate(
                self.text.val, seq_len=train.seq_len, batch_size=train.batch_size, limit=train.eval_chars
            )
        self.result.validation = found
        self._record(found.metrics("val/"))
        if not math.isfinite(found.loss):
            raise DivergenceError(f"the validation loss is not finite at step {state.step}; lower train.lr")
        best = state.best_val_loss
        improved = best is None or found.loss < best - train.early_stop_min_delta
        if improved:
            state.best_val_loss, state.best_step = found.loss, state.step
        self.monitor.line(
            f"{self._step()}  validation loss {found.loss:.4f}  perplexity {found.perplexity:.2f}  "
            f"{found.bits_per_character:.3f} bits/char  accuracy {found.accuracy:.1%}" + ("  best" if improved else "")
        )
        waited = 0 if improved else state.counters.get("evaluations_without_gain", 0) + 1
        state.counters["evaluations_without_gain"] = waited
        if 0 < train.early_stop_patience <= waited:
            what = "stopping early" if self.part == self.parts[-1] else "moving on"
            self.monitor.line(f"{what}: {waited} evaluations without a better validation loss")
            state.counters["patience_over"] = 1
        return improved

    def _sample(self) -> None:
        options = self.config.sample
        prompt = self._prompt()
        sampling = Sampling(options.temperature, options.top_k, options.top_p, self.config.seed)
        with self.hrm.averaged():
            text = self.hrm.generate_text(prompt, options.length, sampling)
        self.monitor.line("sample:\n" + "\n".join("  | " + line for line in text.splitlines()))
        if self.run:
            self.run.sample(self.state.step, text)

    def _prompt(self) -> str:
        """The configured prompt, or else the start of a line of the validation part, at most 24 characters."""
        if self.config.sample.prompt:
            return self.config.sample.prompt
        side = self.text.val if self.text.val.targets else self.text.train
        lines = self.text.vocabulary.decode(side.head(4096)).split("\n")
        whole = next((line for line in lines[1:] if line.strip()), lines[0] or "\n")
        return whole[: whole.rfind(" ", 0, 24) + 1 or 24]

    def _save(self, *, best: bool = False, over: bool = False) -> None:
        self.state.counters["saved_step"] = self.state.step
        tensors, info = self.snapshot()
        self._saved_at = time.monotonic()
        if not self.run:
            return
        names = [BEST_NAME] * best + [FINAL_NAME] * (over and self.part.ends) if self.part.phase else []
        path = self.run.save(tensors, info, best=best, extra_names=names)
        self.result.checkpoint = path
        self.result.checkpoints = [*(p for p in self.result.checkpoints if p != path and p.exists()), path]

    def snapshot(self) -> tuple[dict[str, np.ndarray], CheckpointInfo]:
        """The tensors and the metadata of a checkpoint. Raises DivergenceError when a value is not finite."""
        self.hrm.read_sums(reset=False)
        self.state.elapsed_seconds += self._pace.take_elapsed()
        tensors, updates = self.hrm.training_state()
        self.state.counters["updates"] = updates
        return tensors, CheckpointInfo(
            config=self.config.to_dict(),
            vocabulary=self.corpus.vocabulary.to_json(),
            training=self.state,
            corpus_sha256=self.corpus.sha256,
            random={"seed": self.config.seed},
            nyx_version=nyx.__version__,
            device=self.hrm.device,
        )

    def _record(self, values: dict[str, Any]) -> None:
        place = {"step": self.state.step, "epoch": self.state.epoch}
        if len(self.plan) > 1:
            place["part"] = self.part.index
        self.result.metrics |= values
        self.result.history.append(place | values)
        if self.run:
            self.run.metrics(place | values)

    def _step(self) -> str:
        where = self._where()
        return f"step {self.state.step}/{self.max_steps}" + (f"  {where}" if where else "")

    def _eta(self) -> str:
        after = sum(self.planned[part.index] * self._sizes[part.index] for part in self._later())
        return duration(self._pace.left((self.part_end - self.state.step) * _size(self.windows) + after))

    def _timed(self, work: Callable[[], Any]) -> Any:
        """Runs something that is no training step, so that characters per second do not count it."""
        start = time.monotonic()
        self.hrm.backend.synchronize()
        try:
            return work()
        finally:
            self._pace.pause(time.monotonic() - start)


def _steps(part: Part, windows: Windows) -> int:
    """Steps that a part takes from its start to its end."""
    limits = [] if part.train.max_steps is None else [part.train.max_steps]
    if part.train.epochs is not None:
        limits.append(part.train.epochs * windows.steps_per_epoch)
    return min(limits)


def _size(windows: Windows) -> float:
    """Characters of a step, on average."""
    return windows.targets / windows.steps_per_epoch


def _due(every: int, step: int) -> bool:
    return every > 0 and step % every == 0
