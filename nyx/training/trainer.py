"""CharacterLanguageTrainer: the loop. It goes through the parts of a plan, draws batches, updates, logs, evaluates,
samples and saves, and can stop anywhere."""

from __future__ import annotations

import contextlib
import math
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import nyx
from nyx.config import Config
from nyx.errors import ConfigError, DeviceLostError, DivergenceError, Stopped, StorageError
from nyx.generation import Sampling, generate
from nyx.resource_aware_hrm import Evaluation, ResourceAwareHRM
from nyx.text.prepare import Corpus
from nyx.training import forecast
from nyx.training.checkpoint import Checkpoint, CheckpointInfo, TrainingState
from nyx.training.course import Course
from nyx.training.monitor import Monitor, Pace, duration
from nyx.training.rundir import RunDirectory
from nyx.training.stop import StopRequest, StopRequested

SAVING = "a checkpoint"
EVALUATION, SAMPLE = 1, 2  # what a step may owe: it was left in the middle, and comes first on resume
RETRY = 1.0  # seconds before the last try to save
DISK_RATE = 200e6  # bytes per second, until a checkpoint was written
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
    the plan alone. Raises ConfigError when the model is not of this configuration and this corpus's vocabulary,
    CheckpointError when the state is of a part that the plan has not, DataError when a part has too little text,
    DeviceMemoryError when a part fits no device memory however it is cut.
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
        if corpus.vocabulary != hrm.vocabulary:
            raise ConfigError("the corpus has another vocabulary than the model; make the model with corpus.vocabulary")
        if config.model != hrm.config:
            raise ConfigError("config.model is not what the model was made with; make the model with config.model")
        self.hrm, self.corpus, self.config, self.run = hrm, corpus, config, run
        self.monitor = monitor or Monitor(run.log if run else None)
        self.state = checkpoint.info().training if checkpoint else TrainingState()
        only = self.state.counters.get("only_phase") if checkpoint else phase
        self.course = Course(corpus, config, self.state, only)
        self.result = TrainingResult(self.state.step)
        self._pace = Pace()
        self._saved_at = time.monotonic()
        self._last_loss: float | None = None
        self.kept: int | None = self.state.step if checkpoint else None
        """The step of the newest state that is safe."""
        self._failed = 0  # saves in a row; after the first one the next step tries again
        self._missed = (0, False, False)  # the step of the last of them, and what it was
        self._working = ""  # on what, beside the steps
        self._intact = True
        self._step_seconds, self._save_seconds = 0.0, self.hrm.model.parameters.count() * 12 / DISK_RATE
        self.stop = StopRequest(self._first, self._second)
        if checkpoint is not None:
            self._go_on(checkpoint)
            return
        if only is not None:
            self.state.counters["only_phase"] = only
        if self.course.several:
            forecast.announce(self)
        self.course.begin()
        self._make_programs()
        if not keep_weights:
            hrm.initialize(config.seed)

    # The loop

    def train_character_language_model(self) -> TrainingResult:
        """Trains to the end. Raises Stopped after saving when a signal asked for it, DivergenceError when a value is
        not finite; what was saved before stays."""
        return self._run(lambda: False)

    def train_epoch(self) -> dict[str, float]:
        """Trains to the end of the epoch that it is in, or to the end of the training if that comes first; returns the
        newest measures by name, those of validation as of train.eval_every. Raises as `train_character_language_model`
        does."""
        before = self.state.stage, self.state.epoch
        self._run(lambda: (self.state.stage, self.state.epoch) != before)
        if self.state.counters.get("window_chars"):
            self._log()
        return dict(self.result.metrics)

    def _run(self, enough: Callable[[], bool]) -> TrainingResult:
        with StopRequest(self._first, self._second) as self.stop:
            try:
                if "owed" in self.state.counters:
                    self._after_update()
                while not self.state.finished and not enough():
                    self._update()
                    self._after_update()
                if self._failed:
                    self._save_at_last()
            except BaseException as error:
                self.monitor.end()
                self._rescue(error)
                raise
        self.result.step = self.state.step
        return self.result

    def _rescue(self, error: BaseException) -> None:
        """Before an error ends the training: what is good is saved, if it can be."""
        if self.hrm.updating or self._failed or isinstance(error, (Stopped, DivergenceError, DeviceLostError)):
            return
        if self.kept != self.state.step and not self.state.finished:
            with contextlib.suppress(Exception):  # the error that ends the training is the one to tell
                self._save()

    # Parts

    def _go_on(self, checkpoint: Checkpoint) -> None:
        over = self.course.go_on()
        self._make_programs()
        self.hrm.load_training_state(checkpoint.tensors)
        if over:
            self._begin_next()

    def _begin_next(self) -> None:
        self.course.begin_next()
        self._make_programs()

    def _make_programs(self) -> None:
        """What the current part needs on the device; weights and, within a phase, the optimizer stay."""
        state, course = self.state, self.course
        config = self.config.model_copy(update={"data": course.part.data, "train": course.part.train})
        first, steps = course.phase_steps()
        self.hrm.initialize_training(
            config, steps, state.counters.get("updates"),
            first_step=first, micro_batch=state.micro_batch, say=self.monitor.line,
        )  # fmt: skip
        state.micro_batch = self.hrm.micro_batch
        if course.several and course.end > state.step:
            windows = course.windows
            self.monitor.line(
                f"{course.where()}: {windows.n_windows:,} windows of at most {windows.seq_len} characters, "
                f"{windows.targets:,} characters an epoch, up to {course.end - state.step:,} steps"
            )

    # A step

    def _update(self) -> None:
        state, counters, course = self.state, self.state.counters, self.course
        batch = course.batch()
        start, self._intact = time.monotonic(), False
        trained = self.hrm.process_character_training_batch(batch, state.step, course.learning_rate())
        state.micro_batch = self.hrm.micro_batch  # halved where the device ran out of memory
        course.advance(trained.count)
        self._step_seconds = max(time.monotonic() - start, self._step_seconds / 2)
        counters["window_chars"] = counters.get("window_chars", 0) + trained.count
        if self.corpus.vocabulary.writes_bytes:  # then symbols and characters are not the same
            more = trained.count - self.corpus.vocabulary.count_characters(trained.y)
            counters["window_more"] = counters.get("window_more", 0) + more
        self._intact = True
        self._pace.add(trained.count)
        loss = "" if self._last_loss is None else f"  loss {self._last_loss:.4f}"
        self.monitor.progress(f"{self._step()}{loss}  {self._pace.rate():,.0f} chars/s  ETA {self._eta()}")

    def _after_update(self) -> None:
        """What is due after a step. A stop leaves an evaluation or a sample in the middle, which the step then owes."""
        state, counters, train = self.state, self.state.counters, self.course.part.train
        owed = counters.pop("owed", 0)
        over = state.step >= self.course.end
        if not owed and (over or _due(train.log_every, state.step) or "log_owed" in counters):
            self._log()
        improved = False
        try:
            if owed <= EVALUATION and self.course.text.val.targets and (over or _due(train.eval_every, state.step)):
                improved = self._owing(EVALUATION, "the evaluation", self._evaluate)
            over = over or bool(counters.get("patience_over"))
            if (over and train.sample_every) or _due(train.sample_every, state.step):
                self._owing(SAMPLE, "the sample", self._sample)
        except StopRequested:
            self._stop(best=improved)
        if over or improved or self._must_save():
            state.finished = over and self.course.last
            counters["part_over"] = int(over)
            self._save(best=improved, over=over)
        if self.stop.signum is not None and not state.finished:
            self._stop()
        if over and not state.finished:
            self._begin_next()

    def _owing(self, which: int, words: str, work: Callable[[], Any]) -> Any:
        """Does what the step owes until it is done, whatever ends it."""
        self.state.counters["owed"], self._working = which, words
        found = self._timed(work)
        del self.state.counters["owed"]
        self._working = ""
        return found

    def _must_save(self) -> bool:
        state, every = self.state, self.config.checkpoint
        epochs = every.every_epochs and not state.epoch_steps and state.epoch % every.every_epochs == 0
        timely = 0 < every.every_minutes <= (time.monotonic() - self._saved_at) / 60
        return timely or bool(epochs) or _due(every.every_steps, state.step) or self._failed == 1

    def _stop(self, *, best: bool = False) -> NoReturn:
        """Ends a training that is not finished, after it was saved."""
        assert self.stop.signum is not None
        if self.kept != self.state.step or "owed" in self.state.counters:
            self._save(best=best)
        if self._failed:
            self._save_at_last()
        published = self.run.keeping.published if self.run else None
        path = shlex.quote(str(published or self.config.checkpoint.path))
        where = f", everything is saved; go on with: nyx resume {path}" if self.run else ""
        raise Stopped(f"stopped at step {self.state.step} of {self.course.max_steps}{where}", self.stop.signum)

    def _first(self) -> str:
        """What a first signal waits for, and about how long."""
        step = self.state.step + (not self._intact)
        seconds = (self._save_seconds if self.run else 0.0) + (0.0 if self._intact else self._step_seconds)
        left = f"{self._working} is left in the middle, " if self._working not in ("", SAVING) else ""
        done = [] if self._intact else ["finished"]
        done += ["saved"] if self.run else []
        what = f"step {step} is {' and '.join(done)}" if done else "it ends"
        return f"{left}{what} ({f'about {seconds:.0f} s' if seconds >= 1 else 'within a second'})"

    def _second(self) -> str:
        """What a second signal leaves."""
        if self.kept is None:
            return "nothing, since no state is saved yet"
        lost = self.state.step - self.kept
        return f"step {self.kept}" + (f" ({lost} more are given up)" if lost else "")

    # What is done beside the steps

    def _log(self) -> None:
        sums = self.hrm.read_sums()
        if sums.symbols == 0:  # no row has ended: the next step says it
            self.state.counters["log_owed"] = 1
            return
        self.state.counters.pop("log_owed", None)
        symbols = self.state.counters.pop("window_chars")
        chars = max(1, symbols - self.state.counters.pop("window_more", 0))
        rate = self._pace.lap() * chars / symbols
        if sums.symbols is not None and sums.characters is not None:
            symbols, chars = sums.symbols, max(1, sums.characters)
        self._last_loss = sums.loss / chars
        record = {
            "train/loss": sums.loss / chars,
            "train/acc": sums.correct / symbols,
            "train/lr": self.course.learning_rate(1),
            "train/grad_norm": sums.grad_norm,
            "train/chars_per_sec": rate,
        }
        self._record(record | dict(sums.more))
        self.monitor.line(
            f"{self._step()}  loss {record['train/loss']:.4f}  lr {record['train/lr']:.2e}  {rate:,.0f} chars/s  "
            f"ETA {self._eta()}"
        )
        if self.run:
            status = {"step": self.state.step, "max_steps": self.course.max_steps, "time": time.time()}
            self.run.status(status | record)

    def _evaluate(self) -> bool:
        """Measures the validation part; True when it is the best so far. Ends the part when patience is used up."""
        state, train = self.state, self.course.part.train
        self.hrm.read_sums(reset=False)
        with self.hrm.averaged():
            found = self.hrm.evaluate(
                self.course.text.val, seq_len=train.seq_len, batch_size=train.batch_size, limit=train.eval_chars,
                poll=self.stop.check,
            )  # fmt: skip
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
            what = "stopping early" if self.course.last else "moving on"
            self.monitor.line(f"{what}: {waited} evaluations without a better validation loss")
            state.counters["patience_over"] = 1
        return improved

    def _sample(self) -> None:
        options = self.config.sample
        prompt = self._prompt()
        sampling = Sampling(options.temperature, options.top_k, options.top_p, self.config.seed)
        with self.hrm.averaged():
            text = prompt
            for character in generate(self.hrm, prompt, options.length, sampling):
                text += character
                self.stop.check()
        self.monitor.line("sample:\n" + "\n".join("  | " + line for line in text.splitlines()))
        if self.run:
            self.run.sample(self.state.step, text)

    def _prompt(self) -> str:
        """The configured prompt, or else the start of a line of the validation part, at most 24 characters."""
        if self.config.sample.prompt:
            return self.config.sample.prompt
        text = self.course.text
        side = text.val if text.val.targets else text.train
        lines = text.vocabulary.decode(side.head(4096)).split("\n")
        whole = next((line for line in lines[1:] if line.strip()), lines[0] or "\n")
        return whole[: whole.rfind(" ", 0, 24) + 1 or 24]

    def _save(self, *, best: bool = False, over: bool = False) -> None:
        """Saves the state. A save that fails is told; it is tried again after the next step and at the end, or at once
        where a part ends and the next one begins."""
        before, self._working = self._working, SAVING
        try:
            self._timed(lambda: self._write(best=best, over=over))
        except StorageError as error:
            self._failed, self._missed = self._failed + 1, (self.state.step, best, over)
            next_one = over and not self.course.last
            again = "in a second" if next_one else "after the next step" if self._failed == 1 and not over else "later"
            self.monitor.line(f"warning: {self._not_saved(error)}; it is tried again {again}")
            if next_one:
                with contextlib.suppress(StorageError):
                    self._save_at_last()
        finally:
            self._working = before

    def _save_at_last(self) -> None:
        """The last try of a save that failed. Raises StorageError."""
        time.sleep(RETRY)
        step, best, over = self._missed
        try:
            self._write(best=best and step == self.state.step, over=over and step == self.state.step)
        except StorageError as error:
            raise StorageError(self._not_saved(error)) from error

    def _not_saved(self, error: StorageError) -> str:
        safe = "no state is safe yet" if self.kept is None else f"step {self.kept} is safe"
        return f"step {self.state.step} is not saved: {error}; {safe}"

    def _write(self, *, best: bool, over: bool) -> None:
        start = self._saved_at = time.monotonic()
        tensors, info = self.snapshot()
        if self.run:
            several = self.course.part.phase
            names = [BEST_NAME] * best + [FINAL_NAME] * (over and self.course.part.ends) if several else []
            path = self.run.save(tensors, info, best=best, extra_names=names)
            self.result.checkpoint = path
            self.result.checkpoints = [*(p for p in self.result.checkpoints if p != path and p.exists()), path]
            self.kept = self.state.step
        self._save_seconds = time.monotonic() - start
        self._failed = 0

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
        if len(self.course.plan) > 1:
            place["part"] = self.course.part.index
        self.result.metrics |= values
        self.result.history.append(place | values)
        if self.run:
            self.run.metrics(place | values)

    def _step(self) -> str:
        where = self.course.where()
        return f"step {self.state.step}/{self.course.max_steps}" + (f"  {where}" if where else "")

    def _eta(self) -> str:
        return duration(self._pace.left(self.course.characters_left()))

    def _timed(self, work: Callable[[], Any]) -> Any:
        """Runs something that is no training step, so that characters per second do not count it."""
        start = time.monotonic()
        self.hrm.backend.synchronize()
        try:
            return work()
        finally:
            self._pace.pause(time.monotonic() - start)


def _due(every: int, step: int) -> bool:
    return every > 0 and step % every == 0
