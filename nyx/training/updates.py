"""The updates of one training: its Programs, its optimizer, and what they keep between steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nyx.backends.base import Backend
from nyx.backends.cpu import CpuBackend
from nyx.config import Config
from nyx.errors import CheckpointError, DivergenceError
from nyx.text.batches import Batch
from nyx.training.optimizer import make_optimizer
from nyx.training.programs import Inputs, MicroStep, micro_step

if TYPE_CHECKING:
    from nyx.resource_aware_hrm import ResourceAwareHRM

RECENT = 256  # batches kept until the device's flag is read, so that a bad one can be gone over again


@dataclass(frozen=True)
class Sums:
    """What `read_sums` found: total loss in nats, right predictions, and the gradient norm of the last update."""

    loss: float
    correct: float
    grad_norm: float


class Training:
    """The Programs and the optimizer of one training."""

    def __init__(self, hrm: ResourceAwareHRM, config: Config, max_steps: int, updates: Mapping[str, int]) -> None:
        train = config.train
        self.hrm, self.train, self.seed, self.max_steps = hrm, train, config.seed, max_steps
        self.inputs = Inputs(train.batch_size, train.seq_len)
        self.dropout = getattr(config.model, "dropout", 0.0) > 0
        self.micro: dict[tuple[int | None, bool], MicroStep] = {}
        reached = {key: self._micro(key, False).reached for key in hrm.model.bp_depths(max_steps)}
        self.optimizer = make_optimizer(hrm.model.parameters, reached, updates, train)
        self.recent: deque[tuple[int, Batch]] = deque(maxlen=RECENT)

    def _micro(self, key: int | None, accumulate: bool) -> MicroStep:
        if (key, accumulate) not in self.micro:
            self.micro[key, accumulate] = micro_step(
                self.hrm.model, self.inputs, bp_steps=key, accumulate=accumulate,
                label_smoothing=self.train.label_smoothing, dropout=self.dropout,
            )  # fmt: skip
        return self.micro[key, accumulate]

    def micro_steps(self) -> list[MicroStep]:
        """All that the training may run."""
        more = (False, True) if self.train.grad_accum_steps > 1 else (False,)
        return [self._micro(key, accumulate) for key in self.optimizer.programs for accumulate in more]

    def update(self, batch: Batch, step: int, lr: float) -> None:
        backend, key = self.hrm.backend, self.hrm.model.bp_steps(step, self.max_steps)
        self._gradients(backend, batch, step, key)
        self.optimizer.step(backend, key, step=step, lr=lr, grad_clip=self.train.grad_clip)
        self.recent.append((step, batch))

    def _gradients(self, backend: Backend, batch: Batch, step: int, key: int | None, *, check: bool = False) -> None:
        rows = self.train.batch_size
        for first in range(0, len(batch.x), rows):
            part = slice(first, first + rows)
            self.inputs.write(backend, batch.x[part], batch.y[part], 1.0 / batch.count, (self.seed, step, first))
            program = self._micro(key, first > 0).program
            if check and isinstance(backend, CpuBackend):
                backend.run(program, check_finite=True)
            else:
                backend.run(program)

    def read_sums(self, reset: bool) -> Sums:
        backend = self.hrm.backend
        control, sums = backend.read(self.optimizer.control), backend.read(self.inputs.sums)
        if control[2] != 0 or not np.isfinite(sums).all():
            raise DivergenceError(self._explain(int(control[3])))
        self.recent.clear()
        if reset:
            backend.write(self.inputs.sums, np.zeros(4, np.float32))
        return Sums(float(sums[0]), float(sums[1]), float(control[1]))

    def _explain(self, step: int) -> str:
        """Goes over the bad batch again on the CPU with every Step checked: the weights are still those of that
        step."""
        what = "a gradient was not finite"
        for batch in (batch for at, batch in self.recent if at == step):
            check = CpuBackend()
            self.hrm.model.load(check, self.hrm.weights())
            try:
                self._gradients(check, batch, step, self.hrm.model.bp_steps(step, self.max_steps), check=True)
            except DivergenceError as error:
                what = str(error)
        return f"training diverged at step {step}: {what}; lower train.lr and resume from the last checkpoint"

    def reset(self) -> None:
        """The optimizer is as before its first update."""
        self.optimizer.reset(self.hrm.backend)

    def restart_average(self) -> None:
        """The average of the weights, where there is one, is the weights."""
        self.optimizer.restart_average(self.hrm.backend)

    def averaged(self) -> AbstractContextManager[None]:
        """Inside, the average of the weights, where there is one, stands where they do."""
        average = self.optimizer.average
        return average.exchanged(self.hrm.backend) if average else nullcontext()

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, int]]:
        tensors = {f"model.{name}": a for name, a in self.hrm.weights().items()}
        tensors |= {f"optim.{name}": a for name, a in self.optimizer.state(self.hrm.backend).items()}
        if average := self.optimizer.average:
            tensors |= {f"ema.{name}": a for name, a in average.state(self.hrm.backend).items()}
        tensors["state.sums"] = self.hrm.backend.read(self.inputs.sums)
        return tensors, self.optimizer.updates()

    def load(self, tensors: Mapping[str, np.ndarray]) -> None:
        backend = self.hrm.backend
        self.hrm.load_weights(_part(tensors, "model."))
        self.optimizer.load(backend, _part(tensors, "optim."))
        values = _part(tensors, "ema.")
        if self.optimizer.average and values:  # else it begins here: load_weights has made it the weights
            self.optimizer.average.load(backend, values)
        sums = tensors.get("state.sums")
        if sums is None or sums.shape != self.inputs.sums.shape:
            raise CheckpointError(
                "the checkpoint has no state.sums: it holds weights alone, and no training goes on from those"
            )
        backend.write(self.inputs.sums, sums)


def _part(tensors: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): a for name, a in tensors.items() if name.startswith(prefix)}
