"""The updates of one training: its Programs, its optimizer, and what they keep between steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nyx.backends.base import Backend
from nyx.backends.cpu import CpuBackend
from nyx.config import Config
from nyx.errors import CheckpointError, DeviceMemoryError, DivergenceError
from nyx.nn.hrm_act import ActHrm
from nyx.program import Program
from nyx.tensor import Tensor
from nyx.text.batches import IGNORE, Batch
from nyx.training.optimizer import make_optimizer
from nyx.training.programs import Inputs, MicroStep, micro_step
from nyx.training.segments import FREE, Carry, RowInputs, segment_step

if TYPE_CHECKING:
    from nyx.resource_aware_hrm import ResourceAwareHRM

RECENT = 256  # batches kept until the device's flag is read, so that a bad one can be gone over again


@dataclass(frozen=True)
class Sums:
    """What `read_sums` found: total loss in nats, right predictions, and the gradient norm of the last update.

    Where rows go on over several updates a row counts once it has ended; `symbols` and `characters` are then how
    many those were (0: no row has ended, nothing was reset), and `more` has the measures of such a training by name.
    """

    loss: float
    correct: float
    grad_norm: float
    symbols: int | None = None
    characters: int | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


class Training:
    """The Programs and the optimizer of one training.

    rows: windows of a micro-batch, which a batch goes through in; the last one is padded. hybrid: moments, average and
    updates are on the host, in a CPU backend. Nothing is allocated before `start`.
    """

    def __init__(
        self, hrm: ResourceAwareHRM, config: Config, max_steps: int, updates: Mapping[str, int],
        *, rows: int, hybrid: bool = False,
    ) -> None:  # fmt: skip
        train = config.train
        self.hrm, self.config, self.train, self.seed, self.max_steps = hrm, config, train, config.seed, max_steps
        self.rows, self.hybrid = rows, hybrid
        self.home: Backend = hrm.backend
        """Where the optimizer's state is."""
        self.totals = np.zeros(4)
        """Loss, right predictions and micro-batches since the last reset, of whole batches only; where rows go on over
        several updates the last two are characters and symbols."""
        self._at = 0  # rows of a batch that are done
        self.updating = False
        """Whether an update has begun and is not done: the state is neither that before it nor that after it."""
        self.dropout = getattr(config.model, "dropout", 0.0) > 0
        self.carry: Carry | None = None
        if isinstance(hrm.model, ActHrm):
            self.carry = Carry(hrm.model, self.batch_rows, train.seq_len, self.seed)
        self._make_inputs()
        reached = {key: self._micro(key, False).reached for key in hrm.model.bp_depths(max_steps)}
        self.optimizer = make_optimizer(hrm.model.parameters, reached, updates, train)
        self.recent: deque[tuple[int, Batch]] = deque(maxlen=RECENT)

    def _micro(self, key: int | None, accumulate: bool) -> MicroStep:
        if (key, accumulate) not in self.micro:
            self.micro[key, accumulate] = self._make_micro(key, accumulate)
        return self.micro[key, accumulate]

    def _make_micro(self, key: int | None, accumulate: bool) -> MicroStep:
        train, model = self.train, self.hrm.model
        if isinstance(model, ActHrm) and self.carry and self.row_inputs:
            return segment_step(
                model, self.inputs, self.row_inputs, self.carry,
                accumulate=accumulate, label_smoothing=train.label_smoothing, loss=train.loss,
            )  # fmt: skip
        return micro_step(
            model, self.inputs, bp_steps=key, accumulate=accumulate,
            label_smoothing=train.label_smoothing, dropout=self.dropout, loss=train.loss,
        )  # fmt: skip

    @property
    def batch_rows(self) -> int:
        """Windows of a whole batch."""
        return self.train.batch_size * self.train.grad_accum_steps

    def micro_steps(self) -> list[MicroStep]:
        """All that the training may run."""
        more = (False, True) if self.batch_rows > self.rows else (False,)
        return [self._micro(key, acc) for key in self.optimizer.programs for acc in more]

    # Memory

    def device_programs(self) -> list[Program]:
        """What runs on the device."""
        return [*(m.program for m in self.micro_steps()), *(() if self.hybrid else self.home_programs())]

    def home_programs(self) -> list[Program]:
        """What runs where the optimizer's state is."""
        average = self.optimizer.average
        return [*self.optimizer.programs.values(), *(average.programs if average else ())]

    def start(self, home: Backend) -> None:
        """Allocates everything. home: for the optimizer's state; the device, or in hybrid execution another backend.

        Raises DeviceMemoryError, after which `shrink` and another `start` may do.
        """
        self.home = home
        self._allocate()
        home.reserve(self.home_programs())
        self.take_weights()

    def _make_inputs(self) -> None:
        self.inputs = Inputs(self.rows, self.train.seq_len)
        self.inputs.sums = Tensor("sums", (4,), role="input")  # of one pass over a batch; the host adds them up
        self.row_inputs = RowInputs(self.rows) if self.carry else None
        self.micro: dict[tuple[int | None, bool], MicroStep] = {}
        self._allocated = False
        self._whole = False  # whether sums are those of all of them

    def _allocate(self) -> None:
        if not self._allocated:
            self.hrm.backend.write(self.inputs.sums, np.zeros(4, np.float32))  # first, so that it shares no buffer
            self.hrm.backend.reserve(self.device_programs())
            self._allocated = True

    def shrink(self) -> None:
        """Halves the micro-batch. What was done of an unfinished batch is forgotten."""
        self._collect()
        self.rows = -(-self.rows // 2)
        self._make_inputs()
        kept = [root for p in self.home_programs() for root in p.persistent()]
        self.hrm.release([*kept, *(self.carry.tensors if self.carry else ())])

    # Updates

    def update(self, batch: Batch, step: int, lr: float, make_room: Callable[[DeviceMemoryError], None]) -> Batch:
        """Returns what was trained on. make_room: what to call when the device has no memory left; then it goes on from
        where that was."""
        self._collect()  # here, where writing the batch has to wait for the device anyway
        key = self.hrm.model.bp_steps(step - self.hrm.first_step, self.max_steps)
        if self.carry:
            batch, self.updating = self.carry.take(batch, step), True
        self._gradients_with_room(batch, step, key, make_room)
        if self.hybrid:
            self._send("grad", self.hrm.backend, self.home)
        self.updating = True
        self._step_with_room(key, step, lr, make_room)
        self.give_weights()
        self.updating = False
        self.recent.append((step, batch))
        return batch

    def _gradients_with_room(
        self, batch: Batch, step: int, key: int | None, make_room: Callable[[DeviceMemoryError], None]
    ) -> None:
        """Whatever ran of them is done again from the start: the first micro-batch writes the gradients anew.

        Rows that keep states have moved on by then. On the CPU, where that copy costs nothing, they are put back; on a
        device what comes after the micro-batches that are done goes on from there.
        """
        self._at = 0
        backend, carried = self.hrm.backend, self.carry.tensors if self.carry else ()
        kept = [(t, backend.read(t)) for t in carried] if isinstance(backend, CpuBackend) else []
        while True:
            try:
                self._allocate()
                self.home.prepare(self.optimizer.programs[key])
                self._gradients(backend, batch, step, key)
                self._whole = True
                return
            except DeviceMemoryError as error:
                stays = bool(carried) and not kept
                if stays and self._at and self.hybrid:  # the gradients would be lost
                    raise
                make_room(error)
                for tensor, values in kept:
                    backend.write(tensor, values)
                self._at = self._at if stays else 0

    def _step_with_room(
        self, key: int | None, step: int, lr: float, make_room: Callable[[DeviceMemoryError], None]
    ) -> None:
        """On a device nothing of an update was done when it fails for want of memory; on the CPU some of it may be."""
        while True:
            try:
                return self.optimizer.step(self.home, key, step=step, lr=lr, grad_clip=self.train.grad_clip)
            except DeviceMemoryError as error:
                if isinstance(self.home, CpuBackend):
                    raise
                make_room(error)

    def _gradients(
        self, backend: Backend, batch: Batch, step: int, key: int | None, *, check: bool = False
    ) -> None:
        starts = range(self._at, len(batch.x), self.rows)
        programs = [self._micro(key, first > 0).program for first in starts]
        for program in programs[:2]:  # the first and the others: so that nothing has run when there is no room
            backend.prepare(program)
        for first, program in zip(starts, programs, strict=True):
            x, y = (self._rows_from(first, part, fill) for part, fill in ((batch.x, 0), (batch.y, IGNORE)))
            self.inputs.write(backend, x, y, 1.0 / batch.count, (self.seed, step, first))
            if self.carry and self.row_inputs:
                self.carry.write(backend, self.row_inputs, first)
            if check and isinstance(backend, CpuBackend):
                backend.run(program, check_finite=True)
            else:
                backend.run(program)
            self._at = min(first + self.rows, len(batch.x))

    def _rows_from(self, first: int, values: np.ndarray, fill: int) -> np.ndarray:
        """The rows of one micro-batch, (rows, T); those that are missing hold `fill`."""
        part = values[first : first + self.rows]
        missing = self.rows - len(part)
        return np.pad(part, ((0, missing), (0, 0)), constant_values=fill) if missing else part

    def _collect(self) -> None:
        """Adds what the last batch gave to the totals; what an unfinished one gave is forgotten."""
        if not self._allocated:
            return
        backend = self.hrm.backend
        if self._whole and self.carry:
            self.totals += self.carry.settle(backend, self.hrm.vocabulary.count_characters)
        elif self._whole:
            self.totals += backend.read(self.inputs.sums)
        backend.write(self.inputs.sums, np.zeros(4, np.float32))
        self._whole = False

    def read_sums(self, reset: bool) -> Sums:
        self._collect()
        control, totals = self.home.read(self.optimizer.control), self.totals.copy()
        if control[2] != 0 or not np.isfinite(totals).all():
            raise DivergenceError(self._explain(int(control[3])))
        self.recent.clear()
        loss, correct, characters, symbols = totals.tolist()
        if self.carry is None:
            found = Sums(loss, correct, float(control[1]))
        else:
            norm, more = float(control[1]), self.carry.measures()
            found = Sums(loss, correct, norm, int(symbols), int(characters), more)
        if reset and found.symbols != 0:
            self._clear()
        return found

    def _clear(self) -> None:
        self.totals[:] = 0
        if self.carry:
            self.carry.sums[:] = 0

    def _explain(self, step: int) -> str:
        """Goes over the bad batch again on the CPU with every Step checked: the weights are still those of that
        step."""
        what = "a gradient was not finite"
        for batch in (batch for at, batch in self.recent if at == step):
            check = CpuBackend()
            self.hrm.model.load(check, self.hrm.weights())
            try:
                key = self.hrm.model.bp_steps(step - self.hrm.first_step, self.max_steps)
                if self.carry:
                    self.carry.weights_changed()
                self._at = 0
                self._gradients(check, batch, step, key, check=True)
            except DivergenceError as error:
                what = str(error)
            except DeviceMemoryError:
                what += " (which one does not fit into the host's memory)"
        return f"training diverged at step {step}: {what}; lower train.lr and resume from the last checkpoint"

    def reset(self) -> None:
        """The optimizer is as before its first update, and the totals are zero."""
        self.optimizer.reset(self.home)
        self._whole = False
        self._collect()
        self._clear()
        if self.carry:
            self.carry.progress[:] = FREE

    def restart_average(self) -> None:
        """The average of the weights, where there is one, is the weights."""
        self.optimizer.restart_average(self.home)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the average of the weights, where there is one, stands where they do."""
        if self.optimizer.average is None:
            yield
            return
        try:
            with self.optimizer.average.exchanged(self.home):
                self.give_weights()
                yield
        finally:
            self.give_weights()

    def take_weights(self) -> None:
        """The weights that the device has now count: the optimizer works on them in hybrid execution, and the states
        that examples start from may be others."""
        if self.carry:
            self.carry.weights_changed()
        if self.hybrid:
            self._send("param", self.hrm.backend, self.home)

    def give_weights(self) -> None:
        """In hybrid execution: the device gets the optimizer's weights."""
        if self.hybrid:
            self._send("param", self.home, self.hrm.backend)

    def _send(self, kind: str, source: Backend, target: Backend) -> None:
        parameters = self.hrm.model.parameters
        for index, size in enumerate(parameters.sizes):
            flat = parameters.twin(kind, index, 0, size)
            target.write(flat, source.read(flat))

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, int]]:
        tensors = {f"model.{name}": a for name, a in self.hrm.weights().items()} | self.optimizer_state()
        self._collect()
        tensors["state.sums"] = self.totals.copy()
        if self.carry:
            tensors |= self.carry.state(self.hrm.backend)
        return tensors, self.optimizer.updates()

    def optimizer_state(self) -> dict[str, np.ndarray]:
        """The moments as `optim.*` and the average as `ema.*`."""
        tensors = {f"optim.{name}": a for name, a in self.optimizer.state(self.home).items()}
        if average := self.optimizer.average:
            tensors |= {f"ema.{name}": a for name, a in average.state(self.home).items()}
        return tensors

    def load_optimizer_state(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Takes what `optimizer_state` gave; without an average in it the average begins with the weights."""
        self.optimizer.load(self.home, _part(tensors, "optim."))
        values = _part(tensors, "ema.")
        if self.optimizer.average and values:
            self.optimizer.average.load(self.home, values)
        else:
            self.restart_average()

    def load(self, tensors: Mapping[str, np.ndarray]) -> None:
        self.hrm.load_weights(_part(tensors, "model."))
        self.load_optimizer_state(tensors)
        sums = tensors.get("state.sums")
        if sums is None or sums.shape != self.totals.shape:
            raise CheckpointError(
                "the checkpoint has no state.sums: it holds weights alone, and no training goes on from those"
            )
        self._collect()
        self.totals[:] = sums
        if self.carry and not self.carry.load(self.hrm.backend, tensors) and "state.carry.x" in tensors:
            self.hrm.say("the batch has another shape than before: every row begins with a new example")


def _part(tensors: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): a for name, a in tensors.items() if name.startswith(prefix)}
