"""ResourceAwareHRM: a model on a device, within its memory. Whoever trains, evaluates or generates does it through
here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nyx import devices
from nyx.backends import open_backend
from nyx.backends.base import Backend
from nyx.backends.cpu import CpuBackend
from nyx.config import Config, ModelConfig
from nyx.errors import DeviceMemoryError, ProgramError
from nyx.nn import build
from nyx.program import Program
from nyx.tensor import Tensor
from nyx.text.batches import Batch, evaluation_windows
from nyx.text.sequences import Sequences
from nyx.text.vocabulary import Vocabulary
from nyx.training.programs import Decoder, Inputs, Loss, evaluation
from nyx.training.updates import Sums, Training

if TYPE_CHECKING:
    from nyx.generation import Sampling


@dataclass(frozen=True)
class Evaluation:
    """Loss over every target of a text, in nats per character; `bytes` are those of the targets in UTF-8."""

    loss: float
    accuracy: float
    characters: int
    bytes: int

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.loss, 700.0))

    @property
    def bits_per_character(self) -> float:
        return self.loss / math.log(2)

    @property
    def bits_per_byte(self) -> float:
        return self.loss * self.characters / (math.log(2) * self.bytes)

    def metrics(self, prefix: str = "") -> dict[str, float]:
        """The measures by their names in metrics.jsonl: loss, ppl, bpc, bpb, acc."""
        values = (self.loss, self.perplexity, self.bits_per_character, self.bits_per_byte, self.accuracy)
        return {prefix + name: value for name, value in zip(("loss", "ppl", "bpc", "bpb", "acc"), values, strict=True)}


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
        self._say: Callable[[str], None] = _say_nothing
        self._evaluations: dict[tuple[int, int], _EvaluationProgram] = {}
        self._decoders: dict[int, Decoder] = {}

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
        the HRM's gradient depth is a share of it. updates: how many each parameter has had, when a training goes on with the moments and the average that are there; without
        them the optimizer starts afresh. micro_batch: windows at a time, at most, as in the training that goes on.
        Raises DeviceMemoryError, which names the longest window that would fit, and ConfigError.
        """
        from nyx.memory_budget import Fitting

        self._say, self.first_step = say or _say_nothing, first_step
        before = self._training
        if config.train.loss != self.loss:
            self._decoders.clear()
        self.window, self.loss = config.train.seq_len, config.train.loss
        self._fitting = Fitting(self, config, max_steps, updates or {})
        training, self.memory_plan = self._fitting.choose(micro_batch, self._say)
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
        """Frees all of the device's memory but these tensors, the weights, and what decoding remembers."""
        weights = [root for kind, root in self.model.parameters.flats() if kind == "param"]
        constants = [constant.tensor for constant in self.model.constants.values()]
        caches = [root for decoder in self._decoders.values() for root in decoder.program.persistent()]
        self.backend.release([*weights, *constants, *caches, *keep])

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

    def process_character_training_batch(self, batch: Batch, step: int, lr: float) -> None:
        """One update on all rows of `batch`, (train.batch_size * train.grad_accum_steps, train.seq_len). Reads nothing
        back.

        step: its number from 0. lr: its learning rate. When the device has no memory left, the micro-batch is halved
        and the step goes on with the same result. Raises DeviceMemoryError when that cannot be, DeviceLostError.
        """
        self._train.update(batch, step, lr, self._make_room)

    def read_sums(self, *, reset: bool = True) -> Sums:
        """Loss and right predictions since the last reset. Raises DivergenceError if a value was not finite."""
        return self._train.read_sums(reset)

    def training_state(self) -> tuple[dict[str, np.ndarray], dict[str, int]]:
        """Everything an exact resume needs: tensors (`model.*`, `optim.*`, `state.*`) and the optimizer's counts."""
        return self._train.state()

    def load_training_state(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Takes the tensors that `training_state` gave."""
        self._train.load(tensors)

    def reset_optimizer(self) -> None:
        """Moments and update counts are zero and the average is the weights: for a new phase of a plan."""
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

    # Use

    def evaluate(
        self, part: Sequences | np.ndarray, *, seq_len: int, batch_size: int, limit: int | None = None
    ) -> Evaluation:
        """Loss over windows of seq_len that cover a part of a corpus, or ids (N,) as one sequence, without overlap:
        each target once, at most `limit` of them from the front."""
        rows = min(batch_size, self._training.rows) if self._training else batch_size
        while True:
            if (rows, seq_len) not in self._evaluations:
                self._evaluations[rows, seq_len] = _EvaluationProgram(self, rows, seq_len)
            try:
                return self._evaluations[rows, seq_len].run(part, limit)
            except DeviceMemoryError as error:
                if rows == 1:
                    raise
                del self._evaluations[rows, seq_len]
                rows = -(-rows // 2)
                self._say(f"{error}: evaluating in batches of {rows}")

    def generate_text(self, prompt: str, length: int, sampling: Sampling) -> str:
        """The prompt continued by `length` characters. Raises DataError for a character the model never saw."""
        from nyx.generation import generate

        return prompt + "".join(generate(self, prompt, length, sampling))

    def decoder(self) -> Decoder:
        """The Program that reads one token and gives the logits of the next."""
        if 1 not in self._decoders:
            self._decoders[1] = Decoder(self.model, loss=self.loss)
        return self._decoders[1]

    def close(self) -> None:
        """Frees the device."""
        self.backend.close()


def _say_nothing(_: str) -> None:
    """Where nobody listens."""


class _EvaluationProgram:
    def __init__(self, hrm: ResourceAwareHRM, batch_size: int, seq_len: int) -> None:
        self.hrm = hrm
        self.inputs = Inputs(batch_size, seq_len, f"eval{batch_size}x{seq_len}.")
        self.program = evaluation(hrm.model, self.inputs, hrm.loss)

    def run(self, part: Sequences | np.ndarray, limit: int | None) -> Evaluation:
        backend, inputs = self.hrm.backend, self.inputs
        loss = correct = 0.0
        characters = size = 0
        batch_size, seq_len = inputs.tokens.shape
        for batch in evaluation_windows(part, seq_len, batch_size, limit):
            backend.write(inputs.sums, np.zeros(4, np.float32))
            inputs.write(backend, batch.x, batch.y, 1.0, (0, 0, 0))
            backend.run(self.program)
            sums = backend.read(inputs.sums)
            loss, correct, characters = loss + float(sums[0]), correct + float(sums[1]), characters + batch.count
            size += self.hrm.vocabulary.count_bytes(batch.y)
        return Evaluation(loss / characters, correct / characters, characters, size)
