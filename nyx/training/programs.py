"""The Programs of a training: forward and backward over one micro-batch, the update, and the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from nyx import ops
from nyx.backends.base import Backend
from nyx.nn.layers import Context
from nyx.nn.model import LanguageModel
from nyx.ops.cross_entropy import stablemax_mass
from nyx.program import Program
from nyx.tensor import Tensor

Loss = Literal["softmax", "stablemax"]


class Inputs:
    """What the host writes before a run of a batch of shape (B, T), and what the run adds to.

    norm: 1 / (characters that count in the whole batch). counter: seed (two words), step, first sample. sums: loss,
    right predictions, batches, since they were last set to zero.
    """

    def __init__(self, batch: int, time: int, name: str = "") -> None:
        self.tokens = Tensor(f"{name}tokens", (batch, time), "i32", "input")
        self.targets = Tensor(f"{name}targets", (batch, time), "i32", "input")
        self.norm = Tensor(f"{name}norm", (1,), role="input")
        self.counter = Tensor(f"{name}counter", (4,), "u32", "input")
        self.sums = Tensor(f"{name}sums", (4,), role="state")

    def write(
        self, backend: Backend, x: np.ndarray, y: np.ndarray, norm: float, counter: tuple[int, int, int]
    ) -> None:
        """counter: seed, step, first sample."""
        seed, step, first = counter
        backend.write(self.tokens, x)
        backend.write(self.targets, y)
        backend.write(self.norm, np.array([norm], np.float32))
        words = [seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF, step & 0xFFFFFFFF, first]
        backend.write(self.counter, np.array(words, np.uint32))


@dataclass(frozen=True)
class MicroStep:
    """A Program that adds one micro-batch to the gradients; `reached` are the parameters it has gradients for."""

    program: Program
    reached: tuple[Tensor, ...]


def micro_step(
    model: LanguageModel,
    inputs: Inputs,
    *,
    bp_steps: int | None,
    accumulate: bool,
    label_smoothing: float,
    dropout: bool,
    loss: Loss = "softmax",
) -> MicroStep:
    """Forward, loss and backward. accumulate: add to the gradients (all micro-batches but the first)."""
    name = "train" + ("" if bp_steps is None else f".bp{bp_steps}") + (".more" if accumulate else "")
    program = Program(name)
    with program:
        context = Context(counter=inputs.counter if dropout else None, bp_steps=bp_steps)
        logits = model.logits(inputs.tokens, context)
        nats, correct, dlogits = ops.cross_entropy(
            logits, inputs.targets, inputs.norm, label_smoothing=label_smoothing, kind=loss
        )
        ops.metrics(nats, correct, inputs.sums)
    reached = program.backward({logits: dlogits}, model.parameters.grad_of, accumulate=accumulate)
    return MicroStep(program, tuple(reached))


def evaluation(model: LanguageModel, inputs: Inputs, loss: Loss = "softmax") -> Program:
    """Forward and loss, nothing that trains."""
    program = Program("evaluate")
    with program, program.no_grad():
        logits = model.logits(inputs.tokens, Context())
        nats, correct, _ = ops.cross_entropy(logits, inputs.targets, inputs.norm, need_grad=False, kind=loss)
        ops.metrics(nats, correct, inputs.sums)
    return program


class Decoder:
    """One token in, the logits of the next out; keys and values of what came before stay on the device.

    loss: how the model was trained to make probabilities of logits. What `step` returns goes through softmax for that.
    """

    def __init__(self, model: LanguageModel, batch: int = 1, loss: Loss = "softmax") -> None:
        self.loss = loss
        self.tokens = Tensor("decode.tokens", (batch, 1), "i32", "input")
        self.start = Tensor("decode.start", (1,), "i32", "input")
        self.logits = Tensor("decode.logits", (batch, 1, model.vocab_size), role="state")
        self.program = Program("decode")
        with self.program, self.program.no_grad():
            logits = model.logits(self.tokens, Context(start=self.start))
            ops.copy(logits).place(self.logits)

    def step(self, backend: Backend, tokens: np.ndarray, position: int) -> np.ndarray:
        """tokens (B,) at `position`; returns the logits (B, V) of the tokens that follow."""
        backend.write(self.tokens, tokens.reshape(-1, 1))
        backend.write(self.start, np.array([position], np.int32))
        backend.run(self.program)
        logits = backend.read(self.logits)[:, 0]
        return logits if self.loss == "softmax" else np.log(stablemax_mass(logits))
