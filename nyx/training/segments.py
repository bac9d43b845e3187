"""The training of the act variant: an update is one segment over a batch of rows, each with an example of its own.

Every row goes on with its example, from the states that its last segment left, until the model halts it; then it takes
a new one (Wang et al. 2025, arXiv 2506.21734, section 2, as their program does). The loss of a segment is the mean over
characters of the cross-entropy plus the mean over rows of the halting head's: where all rows have as many targets that
is their sum of per-row means, divided by the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nyx import ops
from nyx.backends.base import Backend
from nyx.config import HrmConfig
from nyx.nn.hrm_act import ActHrm
from nyx.nn.layers import Context
from nyx.ops._philox import uniform
from nyx.ops.halt import REPORT
from nyx.program import Program
from nyx.tensor import Tensor
from nyx.text.batches import IGNORE, Batch
from nyx.training.programs import Inputs, Loss, MicroStep

STREAM = 0x68616C74  # of the numbers that exploration draws
PREFIX = "state.carry."
FREE = -1  # the progress of a row that takes a new example next


class RowInputs:
    """What the host writes before a micro-batch of B rows, beside its Inputs.

    norm: 1 / (rows of the whole batch that take part). rows: their numbers in the whole batch. source: where in the
    carry their states are taken from. progress, least: segments done, and the least number of them.
    """

    def __init__(self, batch: int) -> None:
        self.norm = Tensor("row_norm", (1,), role="input")
        self.rows = Tensor("rows", (batch,), "i32", "input")
        self.source = Tensor("source", (batch,), "i32", "input")
        self.progress = Tensor("progress", (batch,), role="input")
        self.least = Tensor("least", (batch,), role="input")


class Carry:
    """What each row of a whole batch keeps between segments, allocated once: on the device its states z_H and z_L, on
    the host its example (x and y), the segments it has done and the least number of them.

    On the device two rows come after those of the batch: one for all that pads a micro-batch, and one that holds the
    states that every example starts from. `sums`: losses of the halting head (to halt, to continue), rows that took
    part, rows that ended with every character right, and how many rows ended after 1, 2, ... segments.
    """

    def __init__(self, model: ActHrm, rows: int, time: int, seed: int) -> None:
        self.model, self.rows, self.time, self.seed = model, rows, time, seed
        width = model.config.n_embd
        self.z_h = Tensor("carry.z_H", (rows + 2, time * width), role="state")
        self.z_l = Tensor("carry.z_L", (rows + 2, time * width), role="state")
        self.report = Tensor("carry.report", (rows + 1, REPORT), role="state")
        self.x, self.y = np.zeros((rows, time), np.int32), np.full((rows, time), IGNORE, np.int32)
        self.progress, self.least = np.full(rows, FREE, np.int32), np.ones(rows, np.int32)
        self.sums = np.zeros(4 + model.config.halt_max_steps)
        self._started = False

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that it has on the device."""
        return self.z_h, self.z_l, self.report

    # Before a segment

    def weights_changed(self) -> None:
        """The states that examples start from are to be written again."""
        self._started = False

    def take(self, batch: Batch, step: int) -> Batch:
        """Free rows take the examples of the batch, in its order; what is left of it is not trained on. Returns what
        the segment trains on."""
        free, offered = np.flatnonzero(self.progress == FREE), np.flatnonzero((batch.y >= 0).any(axis=1))
        taken, offered = free[: len(offered)], offered[: len(free)]
        self.x[free], self.y[free] = 0, IGNORE
        self.x[taken], self.y[taken], self.progress[taken] = batch.x[offered], batch.y[offered], 0
        self.least[taken] = self._draw(step)[taken]
        return Batch(self.x.copy(), self.y.copy(), int((self.y >= 0).sum()))

    def _draw(self, step: int) -> np.ndarray:
        """The least number of segments of an example that is taken now: with the chance halt_exploration_prob evenly
        from 2 .. halt_max_steps, else 1."""
        config = self.model.config
        words = [self.seed & 0xFFFFFFFF, self.seed >> 32 & 0xFFFFFFFF, step & 0xFFFFFFFF, 0]
        whether, how_many = uniform(np.array(words, np.uint32), STREAM, 0, 2 * self.rows).reshape(-1, 2).T
        choices = config.halt_max_steps - 1
        longer = 2 + np.minimum((how_many * np.float32(choices)).astype(np.int32), choices - 1)
        return np.where((whether < np.float32(config.halt_exploration_prob)) & (choices > 0), longer, 1)

    def write(self, backend: Backend, inputs: RowInputs, first: int) -> None:
        """Writes the inputs of the micro-batch that begins with this row."""
        if not self._started:
            for constant, kept in ((self.model.z_h, self.z_h), (self.model.z_l, self.z_l)):
                start = kept.flat((self.rows + 1) * kept.shape[1], (self.time, self.model.config.n_embd))
                backend.write(start, np.broadcast_to(backend.read(constant), start.shape))
            self._started = True
        numbers = np.minimum(np.arange(first, first + inputs.rows.size), self.rows)
        progress = np.maximum(np.append(self.progress, 0)[numbers], 0)
        backend.write(inputs.norm, np.array([1 / max(1, (self.y >= 0).any(axis=1).sum())], np.float32))
        backend.write(inputs.rows, numbers.astype(np.int32))
        backend.write(inputs.source, np.where(progress == 0, self.rows + 1, numbers).astype(np.int32))
        backend.write(inputs.progress, progress.astype(np.float32))
        backend.write(inputs.least, np.append(self.least, 1)[numbers].astype(np.float32))

    # After it

    def settle(self, backend: Backend, count_characters: Callable[[np.ndarray], int]) -> np.ndarray:
        """Reads what became of every row. Returns loss in nats, right predictions, characters and symbols of the rows
        that ended: each target counts once, as it was in the last segment."""
        now, nats, right, halt, go_on = backend.read(self.report)[: self.rows].astype(np.float64).T
        counted, took_part, ended = (self.y >= 0).sum(axis=1), now != 0, now < 0
        self.progress[:] = np.where(took_part & ~ended, now, FREE)
        self.sums[:4] += halt.sum(), go_on.sum(), took_part.sum(), (ended & (right == counted)).sum()
        self.sums[4:] += np.bincount(-now[ended].astype(int) - 1, minlength=len(self.sums) - 4)
        characters = count_characters(self.y[ended]) if ended.any() else 0
        return np.array([nats[ended].sum(), right[ended].sum(), characters, counted[ended].sum()])

    def measures(self) -> dict[str, Any]:
        """By their names in metrics.jsonl: the head's losses in nats a row and segment, the share of rows that ended
        with every character right, segments a row took (mean), and how many rows ended after 1, 2, ... segments."""
        (halt, go_on, rows, exact), by_segments = self.sums[:4], self.sums[4:]
        ended, several = by_segments.sum(), len(by_segments) > 1
        found: dict[str, Any] = {"train/q_halt_loss": halt / max(1, rows)}
        found |= {"train/q_continue_loss": go_on / max(1, rows)} if several else {}
        found["train/exact_acc"] = exact / max(1, ended)
        found["train/segments"] = float(by_segments @ np.arange(1, len(by_segments) + 1)) / max(1, ended)
        found["train/segments_hist"] = by_segments.astype(int).tolist()
        return found

    # For an exact resume

    def state(self, backend: Backend) -> dict[str, np.ndarray]:
        """As `state.carry.*`; states that no segment will read are zero."""
        busy = self.progress >= 0
        kept = {name: backend.read(z)[: self.rows] for name, z in (("z_H", self.z_h), ("z_L", self.z_l))}
        kept = {name: np.where((busy & (self.progress > 0))[:, None], z, np.float32(0)) for name, z in kept.items()}
        kept |= {name: getattr(self, name).copy() for name in ("x", "y", "progress", "least", "sums")}
        return {PREFIX + name: values for name, values in kept.items()}

    def load(self, backend: Backend, tensors: Mapping[str, np.ndarray]) -> bool:
        """Takes what `state` gave; False, and every row is free, where that is of another batch or window."""
        found = {name.removeprefix(PREFIX): a for name, a in tensors.items() if name.startswith(PREFIX)}
        own = ("x", "y", "progress", "least", "sums")
        fits = all(name in found and found[name].shape == getattr(self, name).shape for name in own)
        self.progress[:] = FREE
        self.sums[:] = 0
        if not fits:
            return False
        for name in own:
            getattr(self, name)[:] = found[name]
        for name, kept in (("z_H", self.z_h), ("z_L", self.z_l)):
            backend.write(kept.flat(0, found[name].shape), found[name])
        return True


def fault(tensors: Mapping[str, np.ndarray], config: HrmConfig, symbols: int) -> str:
    """What is impossible in the `state.carry.*` of a checkpoint, in words; "" where nothing is or where it has none."""
    found = {name.removeprefix(PREFIX): a for name, a in tensors.items() if name.startswith(PREFIX)}
    if not found or config.variant != "act":
        return f"tensor {PREFIX}{next(iter(found))} is not of its model" if found else ""
    rows, time = (*found["x"].shape, 0, 0)[:2] if "x" in found else (0, 0)
    most, width = config.halt_max_steps, time * config.n_embd
    wanted = {
        "x": ((rows, time), "i4", 0, symbols - 1), "y": ((rows, time), "i4", IGNORE, symbols - 1),
        "progress": ((rows,), "i4", FREE, most - 1), "least": ((rows,), "i4", 1, most),
        "sums": ((4 + most,), "f8", 0, np.inf), "z_H": ((rows, width), "f4", -np.inf, np.inf),
        "z_L": ((rows, width), "f4", -np.inf, np.inf),
    }  # fmt: skip
    if found.keys() != wanted.keys() or not 0 < time <= config.block_size or not rows:
        return f"tensors {PREFIX}* are not those of a batch of windows"
    for name, (shape, dtype, low, high) in wanted.items():
        a = found[name]
        if a.shape != shape or a.dtype != np.dtype(dtype):
            return f"tensor {PREFIX}{name} must be {shape} of {np.dtype(dtype)}, and it is {a.shape} of {a.dtype}"
        if a.size and not (low <= a.min() and a.max() <= high):
            return f"tensor {PREFIX}{name} has a value that is not in {low} .. {high}"
    return ""


def segment_step(
    model: ActHrm, inputs: Inputs, rows: RowInputs, carry: Carry,
    *, accumulate: bool, label_smoothing: float, loss: Loss,
) -> MicroStep:  # fmt: skip
    """Forward from the states in the carry, both losses, backward, and what became of the rows.

    What the head says after one more segment, without gradient, is the target of its choice to continue.
    """
    config, (batch, time) = model.config, inputs.tokens.shape
    program = Program("train.segment" + (".more" if accumulate else ""))
    with program:
        x = model.embed(inputs.tokens)
        z_h, z_l = (ops.embedding(rows.source, z).reshape(batch, time, config.n_embd) for z in (carry.z_h, carry.z_l))
        z_h, z_l = model.segment(x, z_h, z_l, Context())
        logits, q = model.head(z_h), model.q_head(z_h)
        nats, correct, dlogits = ops.cross_entropy(
            logits, inputs.targets, inputs.norm, label_smoothing=label_smoothing, kind=loss
        )
        with program.no_grad():
            q_next = None
            if config.halt_max_steps > 1:
                q_next = model.q_head(model.segment(x, z_h, z_l, Context())[0])
            dq, report = ops.halt(
                q, nats, correct, inputs.targets, rows.norm, rows.progress, rows.least, q_next,
                max_steps=config.halt_max_steps, accuracy=config.halt_accuracy,
            )  # fmt: skip
            for values, kept in ((z_h, carry.z_h), (z_l, carry.z_l), (report, carry.report)):
                ops.put_rows(values.reshape(batch, kept.shape[1]), rows.rows, kept)
    reached = program.backward({logits: dlogits, q: dq}, model.parameters.grad_of, accumulate=accumulate)
    return MicroStep(program, tuple(reached))
