"""ResourceAwareHRM: a model on a device, within its memory. Whoever trains, evaluates or generates does it through
here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from nyx import devices
from nyx.backends import open_backend
from nyx.backends.base import Backend
from nyx.backends.cpu import CpuBackend
from nyx.config import Config, ModelConfig
from nyx.errors import CheckpointError, DeviceMemoryError, ProgramError
from nyx.evaluation import Evaluation, EvaluationProgram
from nyx.nn import build
from nyx.program import Program
from nyx.tensor import Tensor
from nyx.text.batches import Batch
from nyx.text.sequences import Sequences
from nyx.text.vocabulary import Vocabulary
from nyx.training.finite import require_finite
from nyx.training.programs import Decoder, Loss
from nyx.training.updates import Sums, Training

if TYPE_CHECKING:
    from nyx.generation import Sampling
    from nyx.text.prepare import Corpus
    from nyx.training.checkpoint import Checkpoint
    from nyx.training.rundir import RunDirectory
    from nyx.training.trainer import CharacterLanguageTrainer


_models: WeakKeyDictionary[Backend, WeakSet[ResourceAwareHRM]] = WeakKeyDictionary()


class ResourceAwareHRM:
    """A language model (the HRM, or the transformer it is compared with) and the device that computes it.

    device: a specification as for --device, or a backend that is open already. Raises DeviceError (69) when the
    device is not there, DeviceMemoryError (71) when the model does not fit.
    """

    def __init__(self, config: ModelConfig, vocabulary: Vocabulary, device: str | Backend = "auto") -> None:
        self.config, self.vocabulary = config, vocabulary
        self.model = build(config, len(vocabulary))
        self.window = self.model.block_size
        """Characters of the longest window it was trained on: what evaluation and generation keep to."""
        self.loss: Loss = "softmax"
        """How the model was trained to make probabilities of logits (train.loss): evaluation and generation too."""
        if isinstance(device, Backend):
            self.backend, self.device = device, device.description
        else:
            choice = devices.choose(device)
            self.backend = open_backend(choice)
            self.device = str(choice) if choice.kind == "vulkan" else f"{choice}; {self.backend.description}"
        self.home: CpuBackend | None = None
        """Where the optimizer's state is in hybrid execution."""
        self._training: Training | None = None
        self._session: CharacterLanguageTrainer | None = None
        self._say: Callable[[str], None] = _say_nothing
        self._evaluations: dict[tuple[int, int], EvaluationProgram] = {}
        self._decoders: dict[int, Decoder] = {}
        _models.setdefault(self.backend, WeakSet()).add(self)

    # Weights

    def initialize(self, seed: int) -> None:
        """Start values that depend on the seed alone."""
        self.model.initialize(self.backend, seed)
        self._weights_changed()

    def load_weights(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Takes the weights of a checkpoint, named as in `weights`."""
        self.model.load(self.backend, tensors)
        self._weights_changed()

    def weights(self) -> dict[str, np.ndarray]:
        """A copy of the weights, float32, by name."""
        return self.model.state(self.backend)

    # Training

    def initialize_training(
        self,
        config: Config,
        max_steps: int,
        updates: Mapping[str, int] | None = None,
        *,
        first_step: int = 0,
        micro_batch: int | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Makes and allocates what it takes to train on batches of train.batch_size windows of train.seq_len
        characters, within config.memory_budget, or else within what the device has free.

        Where a batch does not fit it goes through in micro-batches, with the same result; `say` gets a line about that.
        May be called again, for the next stage of a curriculum: weights and optimizer stay, all else is freed.

        max_steps: updates of the whole training, or phase, that begins with the update number first_step; the growth of
        the HRM's gradient depth is a share of it. updates: how many each parameter has had, when a training goes on
        with the moments and the average that are there; without them the optimizer starts afresh. micro_batch: windows
        at a time, at most, as in the training that goes on. Raises DeviceMemoryError, which names the longest window
        that would fit, and ConfigError; then everything is as before.
        """
        from nyx.memory_budget import Fitting

        fitting = Fitting(self, config, max_steps, updates or {})
        training, self.memory_plan = fitting.choose(micro_batch, say or _say_nothing)
        before, self._fitting, self._say = self._training, fitting, say or _say_nothing
        if config.train.loss != self.loss:
            self._decoders.clear()
        self.window, self.loss, self.first_step = config.train.seq_len, config.train.loss, first_step
        kept = before.optimizer_state() if before and updates and before.hybrid != training.hybrid else None
        self._training = training
        self._evaluations.clear()
        self.release([root for p in training.device_programs() for root in p.persistent()])
        self.home = (self.home or CpuBackend()) if training.hybrid else None
        if self.home is not None:
            self.home.release([root for p in training.home_programs() for root in p.persistent()])
        self._start(training)
        if kept is not None:
            training.load_optimizer_state(kept)
        elif not updates:
            self.reset_optimizer()
        elif before is None or before.optimizer.average is None:
            self._weights_changed()

    @property
    def micro_batch(self) -> int:
        """Windows that go through at a time."""
        return self._train.rows

    @property
    def execution(self) -> str:
        """Where the optimizer's state is: "device", or "hybrid" when it is on the host."""
        return "hybrid" if self._train.hybrid else "device"

    def release(self, keep: Iterable[Tensor]) -> None:
        """Frees all of the device's memory but these tensors, the weights, what decoding remembers, and what other
        models on the same backend have there."""
        others = [tensor for hrm in _models[self.backend] if hrm is not self for tensor in hrm.held()]
        self.backend.release([*self._lasting(), *keep, *others])

    def held(self) -> list[Tensor]:
        """All that this model has in the device's memory and cannot do without."""
        programs = self._training.device_programs() if self._training else []
        return [*self._lasting(), *(root for program in programs for root in program.persistent())]

    def _lasting(self) -> list[Tensor]:
        weights = [root for kind, root in self.model.parameters.flats() if kind == "param"]
        constants = [constant.tensor for constant in self.model.constants.values()]
        return [*weights, *constants, *(t for d in self._decoders.values() for t in d.program.persistent())]

    def _start(self, training: Training) -> None:
        while True:
            try:
                return training.start(self.home or self.backend)
            except DeviceMemoryError as error:
                self._make_room(error)

    def _make_room(self, error: DeviceMemoryError) -> None:
        """Halves the micro-batch. Raises DeviceMemoryError where it cannot be halved."""
        if self.micro_batch == 1:
            raise DeviceMemoryError(f"{error}; {self._fitting.shorter()}") from error
        self._evaluations.clear()
        self._train.shrink()
        self._say(f"{error}: going on in micro-batches of {self.micro_batch}, with the same result")

    def process_character_training_batch(self, batch: Batch, step: int, lr: float) -> Batch:
        """One update on all rows of `batch`, (train.batch_size * train.grad_accum_steps, train.seq_len); returns what
        it trained on, which is another batch where rows go on over several updates.

        step: its number from 0. lr: its learning rate. When the device has no memory left, the micro-batch is halved
        and the step goes on with the same result. Raises DeviceMemoryError when that cannot be, DeviceLostError.
        """
        return self._train.update(batch, step, lr, self._make_room)

    def say(self, text: str) -> None:
        """A line to whoever listens to the training."""
        self._say(text)

    @property
    def updating(self) -> bool:
        """Whether an update has begun and is not done: no state to save."""
        return self._train.updating

    def read_sums(self, *, reset: bool = True) -> Sums:
        """Loss and right predictions since the last reset. Raises DivergenceError if a value was not finite."""
        return self._train.read_sums(reset)

    def training_state(self) -> tuple[dict[str, np.ndarray], dict[str, int]]:
        """Everything an exact resume needs: tensors (`model.*`, `optim.*`, `state.*`) and the optimizer's counts.

        Raises DivergenceError when one of them has a value that is not finite.
        """
        tensors, updates = self._train.state()
        require_finite(tensors)
        return tensors, updates

    def load_training_state(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Takes the tensors that `training_state` gave."""
        self._train.load(tensors)

    def reset_optimizer(self) -> None:
        """Moments, update counts and sums are zero and the average is the weights: for a new phase of a plan."""
        self._train.reset()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the average of the weights (train.ema_decay) stands where they do: for evaluation and generation.

        After it the weights are back to the last bit, also after an error. Without an average it does nothing.
        """
        with self._training.averaged() if self._training else nullcontext():
            yield

    def _weights_changed(self) -> None:
        if self._training:
            self._training.take_weights()
            self._training.restart_average()

    def training_programs(self) -> list[Program]:
        """The Programs of the training: micro-batches, then updates."""
        training = self._train
        return [*(m.program for m in training.micro_steps()), *training.optimizer.programs.values()]

    @property
    def _train(self) -> Training:
        if self._training is None:
            raise ProgramError("call initialize_training before training")
        return self._training

    # A session: a training of its own corpus, epoch by epoch

    def start_training_session(
        self,
        corpus: Corpus,
        config: Config,
        checkpoint: Checkpoint | None = None,
        run: RunDirectory | None = None,
        *,
        keep_weights: bool = False,
    ) -> CharacterLanguageTrainer:
        """Starts what `train_epoch` goes on with, or goes on from a checkpoint of it; returns the trainer, which
        CharacterLanguageTrainer(self, corpus, config) makes too.

        run: where metrics, samples and checkpoints go; without one nothing is written. keep_weights: start from the
        weights that are there, not from config.seed. Raises CheckpointError, DataError and DeviceMemoryError as the
        trainer does.
        """
        from nyx.training.trainer import CharacterLanguageTrainer

        self._session = CharacterLanguageTrainer(
            self, corpus, config, run=run, checkpoint=checkpoint, keep_weights=keep_weights
        )
        return self._session

    def train_epoch(self) -> dict[str, float]:
        """Trains to the end of the epoch, or of the training; returns the newest measures by their names in
        metrics.jsonl (train/loss in nats per character, val/loss, val/acc, ...).

        Raises Stopped after saving when a signal asked for it, DivergenceError when a value is not finite.
        """
        return self._trainer.train_epoch()

    def save_training_checkpoint(self, path: str | Path) -> str:
        """Writes all that an exact resume needs into one file, atomically; returns its checksum. Raises StorageError,
        and DivergenceError instead of saving a value that is not finite."""
        from nyx.training.checkpoint import save

        tensors, info = self._trainer.snapshot()
        return save(Path(path), tensors, info.to_metadata())

    def load_training_checkpoint(self, path: str | Path) -> None:
        """The session goes on from a checkpoint, with the session's configuration.

        Raises MissingInputError, and CheckpointError when the file is damaged or of another model, vocabulary or text.
        """
        from nyx.training.checkpoint import load
        from nyx.training.fit import check

        session, found = self._trainer, load(Path(path))
        check(found)
        info = found.info()
        if info.vocabulary != self.vocabulary.to_json():
            raise CheckpointError(f"{path} has another vocabulary; make the model with that of the checkpoint")
        if info.corpus_sha256 != session.corpus.sha256:
            raise CheckpointError(f"{path} was trained on another text; start a session on that text")
        self.start_training_session(session.corpus, session.config, found, session.run)

    @property
    def _trainer(self) -> CharacterLanguageTrainer:
        if self._session is None:
            raise ProgramError("call start_training_session before this")
        return self._session

    # Use

    def evaluate(
        self, part: Sequences | np.ndarray, *, seq_len: int, batch_size: int, limit: int | None = None,
        poll: Callable[[], None] | None = None,
    ) -> Evaluation:  # fmt: skip
        """Loss over windows of seq_len that cover a part of a corpus, or ids (N,) as one sequence, without overlap:
        each target once, at most `limit` of them from the front. poll: called after each batch, and may raise."""
        rows = min(batch_size, self._training.rows) if self._training else batch_size
        while True:
            if (rows, seq_len) not in self._evaluations:
                self._evaluations[rows, seq_len] = EvaluationProgram(self, rows, seq_len)
            try:
                return self._evaluations[rows, seq_len].run(part, limit, poll or _nothing)
            except DeviceMemoryError as error:
                if rows == 1:
                    raise
                del self._evaluations[rows, seq_len]
                rows = -(-rows // 2)
                self._say(f"{error}: evaluating in batches of {rows}")

    def generate_text(self, prompt: str, length: int, sampling: Sampling | None = None) -> str:
        """The prompt continued by `length` characters, sampled as `sampling` says. Raises DataError for a character the
        model never saw."""
        from nyx.generation import Sampling, generate

        return prompt + "".join(generate(self, prompt, length, sampling or Sampling()))

    def decoder(self) -> Decoder:
        """The Program that reads one token and gives the logits of the next."""
        if 1 not in self._decoders:
            self._decoders[1] = Decoder(self.model, loss=self.loss)
        return self._decoders[1]

    def close(self) -> None:
        """Frees the device."""
        self.backend.close()


def _nothing() -> None:
    """Where nobody wants to leave."""


def _say_nothing(_: str) -> None:
    """Where nobody listens."""
