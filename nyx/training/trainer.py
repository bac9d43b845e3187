"""CharacterLanguageTrainer: the loop. It draws batches, updates, logs, evaluates, samples and saves, and can stop
anywhere."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nyx
from nyx.config import Config
from nyx.errors import DivergenceError, Stopped
from nyx.generation import Sampling
from nyx.resource_aware_hrm import Evaluation, ResourceAwareHRM
from nyx.text.prepare import Corpus
from nyx.training.checkpoint import Checkpoint, CheckpointInfo, TrainingState
from nyx.training.monitor import Monitor, Pace, duration
from nyx.training.rundir import RunDirectory
from nyx.training.schedule import learning_rate
from nyx.training.signals import StopRequest


@dataclass
class TrainingResult:
    """What a training left: its last step, the last validation, every record of its metrics, and its newest
    checkpoint."""

    step: int
    validation: Evaluation | None
    history: list[dict[str, Any]] = field(default_factory=list)
    checkpoint: Path | None = None


class CharacterLanguageTrainer:
    """Trains a model on a corpus as a configuration says.

    run: where metrics, samples and checkpoints go; without one nothing is written. checkpoint: the state to go on from;
    without one the model starts from config.seed, or from the weights it has when `keep_weights`.
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
        monitor: Monitor | None = None,
    ) -> None:
        self.hrm, self.corpus, self.config, self.run = hrm, corpus, config, run
        self.monitor = monitor or Monitor(run.log if run else None)
        train = config.train
        self.windows = corpus.batches(train.seq_len, train.batch_size * train.grad_accum_steps, config.seed)
        self.state = checkpoint.info().training if checkpoint else TrainingState()
        self._find_place()
        self.max_steps = self._steps()
        self.result = TrainingResult(self.state.step, None)
        self._pace = Pace()
        self._saved_at = time.monotonic()
        self._last_loss = float("nan")
        hrm.initialize_training(config, self.max_steps, self.state.counters.get("updates"))
        if checkpoint is not None:
            self.state.finished = False  # whoever resumes a finished training has asked for more
            if self.state.counters.pop("patience_over", 0):
                self.state.counters["evaluations_without_gain"] = 0
            hrm.load_training_state(checkpoint.tensors)
        elif not keep_weights:
            hrm.initialize(config.seed)

    def train_character_language_model(self) -> TrainingResult:
        """Trains to the end. Raises Stopped after saving when a signal asked for it, DivergenceError when a value is
        not finite; what was saved before stays."""
        state = self.state
        with StopRequest() as stop:
            while state.step < self.max_steps and not state.finished:
                self._update()
                self._after_update(stop)
        self.result.step = state.step
        return self.result

    def _find_place(self) -> None:
        """The place in the data: the step, unless a resume changed the batch; then the same share of the same epoch."""
        counters, per_epoch = self.state.counters, self.windows.steps_per_epoch
        before = counters.get("steps_per_epoch", per_epoch)
        place = counters.get("data_step", self.state.step)
        if before != per_epoch:
            place = place // before * per_epoch + place % before * per_epoch // before
        counters |= {"data_step": place, "steps_per_epoch": per_epoch}

    def _steps(self) -> int:
        """train.max_steps, or as many as train.epochs take; the smaller where both are given."""
        train, state = self.config.train, self.state
        limits = [] if train.max_steps is None else [train.max_steps]
        if train.epochs is not None:
            limits.append(state.step + train.epochs * self.windows.steps_per_epoch - state.counters["data_step"])
        return min(limits)

    def _update(self) -> None:
        state = self.state
        batch = self.windows.batch(state.counters["data_step"])
        lr = learning_rate(self.config.train, state.step, self.max_steps)
        self.hrm.process_character_training_batch(batch, state.step, lr)
        state.step += 1
        state.counters["data_step"] += 1
        state.epoch = state.counters["data_step"] // self.windows.steps_per_epoch
        state.chars_seen += batch.count
        state.counters["window_chars"] = state.counters.get("window_chars", 0) + batch.count
        self._pace.add(batch.count)
        self.monitor.progress(
            f"step {state.step}/{self.max_steps}  loss {self._last_loss:.4f}  {self._pace.rate():,.0f} chars/s  "
            f"ETA {self._eta()}"
        )

    def _after_update(self, stop: StopRequest) -> None:
        state, train, every = self.state, self.config.train, self.config.checkpoint
        last = state.step == self.max_steps
        if last or _due(train.log_every, state.step):
            self._log()
        improved = False
        if self.corpus.val.targets and (last or _due(train.eval_every, state.step)):
            improved = self._timed(self._evaluate)
            last = last or state.finished
        if (last and train.sample_every) or _due(train.sample_every, state.step):
            self._timed(self._sample)
        epoch_steps = every.every_epochs * self.windows.steps_per_epoch
        timely = 0 < every.every_minutes <= (time.monotonic() - self._saved_at) / 60
        if last or improved or timely or _due(every.every_steps, state.step) or _due(epoch_steps, state.step):
            state.finished = last
            self._timed(lambda: self._save(best=improved))
        if stop.signum is not None and not last:
            if self.result.checkpoint is None or self.state.counters.get("saved_step") != state.step:
                self._save(best=False)
            path = shlex.quote(str(self.config.checkpoint.path))
            where = f", everything is saved; go on with: nyx resume {path}" if self.run else ""
            raise Stopped(f"stopped at step {state.step} of {self.max_steps}{where}", stop.signum)

    def _log(self) -> None:
        state = self.state
        sums = self.hrm.read_sums()
        chars = state.counters.pop("window_chars")
        rate = self._pace.lap()
        self._last_loss = sums.loss / chars
        lr = learning_rate(self.config.train, state.step - 1, self.max_steps)
        record = {
            "train/loss": sums.loss / chars,
            "train/acc": sums.correct / chars,
            "train/lr": lr,
            "train/grad_norm": sums.grad_norm,
            "train/chars_per_sec": rate,
        }
        self._record(record)
        self.monitor.line(
            f"step {state.step}/{self.max_steps}  loss {record['train/loss']:.4f}  lr {lr:.2e}  "
            f"{rate:,.0f} chars/s  ETA {self._eta()}"
        )
        if self.run:
            self.run.status({"step": state.step, "max_steps": self.max_steps, "time": time.time(), **record})

    def _evaluate(self) -> bool:
        """Measures the validation part; True when it is the best so far. Ends the training when patience is used up."""
        state, train = self.state, self.config.train
        self.hrm.read_sums(reset=False)
        found = self.hrm.evaluate(
            self.corpus.val, seq_len=train.seq_len, batch_size=train.batch_size, limit=train.eval_chars
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
            f"step {state.step}/{self.max_steps}  validation loss {found.loss:.4f}  perplexity {found.perplexity:.2f}  "
            f"{found.bits_per_character:.3f} bits/char  accuracy {found.accuracy:.1%}" + ("  best" if improved else "")
        )
        waited = 0 if improved else state.counters.get("evaluations_without_gain", 0) + 1
        state.counters["evaluations_without_gain"] = waited
        if 0 < train.early_stop_patience <= waited:
            self.monitor.line(f"stopping early: {waited} evaluations without a better validation loss")
            state.counters["patience_over"] = 1
            state.finished = True
        return improved

    def _sample(self) -> None:
        options = self.config.sample
        prompt = self._prompt()
        sampling = Sampling(options.temperature, options.top_k, options.top_p, self.config.seed)
        text = self.hrm.generate_text(prompt, options.length, sampling)
        self.monitor.line("sample:\n" + "\n".join("  | " + line for line in text.splitlines()))
        if self.run:
            self.run.sample(self.state.step, text)

    def _prompt(self) -> str:
        """The configured prompt, or else the start of a line of the validation part, at most 24 characters."""
        if self.config.sample.prompt:
            return self.config.sample.prompt
        part = self.corpus.val if self.corpus.val.targets else self.corpus.train
        lines = self.corpus.vocabulary.decode(part.head(4096)).split("\n")
        whole = next((line for line in lines[1:] if line.strip()), lines[0] or "\n")
        return whole[: whole.rfind(" ", 0, 24) + 1 or 24]

    def _save(self, *, best: bool) -> None:
        self.hrm.read_sums(reset=False)  # never save past a value that is not finite
        self.state.elapsed_seconds += self._pace.take_elapsed()
        tensors, updates = self.hrm.training_state()
        self.state.counters |= {"updates": updates, "saved_step": self.state.step}
        self._saved_at = time.monotonic()
        if self.run:
            self.result.checkpoint = self.run.save(tensors, self._info(), best=best)

    def _info(self) -> CheckpointInfo:
        return CheckpointInfo(
            config=self.config.to_dict(),
            vocabulary=self.corpus.vocabulary.to_json(),
            training=self.state,
            corpus_sha256=self.corpus.sha256,
            random={"seed": self.config.seed},
            nyx_version=nyx.__version__,
            device=self.hrm.device,
        )

    def _record(self, values: dict[str, Any]) -> None:
        record = {"step": self.state.step, "epoch": self.state.epoch, **values}
        self.result.history.append(record)
        if self.run:
            self.run.metrics(record)

    def _eta(self) -> str:
        return duration(self._pace.left(self.max_steps - self.state.step))

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
