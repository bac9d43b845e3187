"""The loss of a model over a text, and what is worked out from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nyx.text.batches import evaluation_windows
from nyx.text.sequences import Sequences
from nyx.training.programs import Inputs, evaluation

if TYPE_CHECKING:
    from nyx.resource_aware_hrm import ResourceAwareHRM


@dataclass(frozen=True)
class Evaluation:
    """Loss over every target of a text.

    nats: in all. symbols: targets; a character is one, or as many as it has UTF-8 bytes when the vocabulary has not it
    but has bytes. accuracy: the share of symbols that were the likeliest. characters, bytes: of the targets, in UTF-8.
    """

    nats: float
    accuracy: float
    symbols: int
    characters: int
    bytes: int

    @property
    def loss(self) -> float:
        """Nats per character."""
        return self.nats / self.characters

    @property
    def loss_per_symbol(self) -> float:
        """Nats per symbol."""
        return self.nats / self.symbols

    @property
    def perplexity(self) -> float:
        """Per character."""
        return math.exp(min(self.loss, 700.0))

    @property
    def bits_per_character(self) -> float:
        return self.loss / math.log(2)

    @property
    def bits_per_byte(self) -> float:
        return self.nats / (math.log(2) * self.bytes)

    def metrics(self, prefix: str = "") -> dict[str, float]:
        """The measures by their names in metrics.jsonl: loss, ppl, bpc (per character), bpb, acc (of symbols)."""
        values = (self.loss, self.perplexity, self.bits_per_character, self.bits_per_byte, self.accuracy)
        return {prefix + name: value for name, value in zip(("loss", "ppl", "bpc", "bpb", "acc"), values, strict=True)}


class EvaluationProgram:
    """Evaluates in batches of batch_size windows of seq_len symbols."""

    def __init__(self, hrm: ResourceAwareHRM, batch_size: int, seq_len: int) -> None:
        self.hrm = hrm
        self.inputs = Inputs(batch_size, seq_len, f"eval{batch_size}x{seq_len}.")
        self.program = evaluation(hrm.model, self.inputs, hrm.loss)

    def run(self, part: Sequences | np.ndarray, limit: int | None, poll: Callable[[], None]) -> Evaluation:
        backend, inputs = self.hrm.backend, self.inputs
        loss = correct = 0.0
        symbols = characters = size = 0
        batch_size, seq_len = inputs.tokens.shape
        for batch in evaluation_windows(part, seq_len, batch_size, limit):
            backend.write(inputs.sums, np.zeros(4, np.float32))
            inputs.write(backend, batch.x, batch.y, 1.0, (0, 0, 0))
            backend.run(self.program)
            sums = backend.read(inputs.sums)
            loss, correct, symbols = loss + float(sums[0]), correct + float(sums[1]), symbols + batch.count
            characters += self.hrm.vocabulary.count_characters(batch.y)
            size += self.hrm.vocabulary.count_bytes(batch.y)
            poll()
        return Evaluation(loss, correct / symbols, symbols, max(1, characters), size)
