"""What every language model offers, and the choice of one by its configuration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from nyx.backends.base import Backend
from nyx.errors import CheckpointError
from nyx.nn.layers import Constant, Context
from nyx.nn.parameters import Parameters
from nyx.tensor import Tensor


class LanguageModel(ABC):
    """Tokens (B, T) to logits (B, T, V). `parameters` are trained, `constants` are not.

    by_symbol: names of parameters with one row for each symbol, as far as a model has them.
    """

    by_symbol = ("embedding.weight", "head.weight", "head.bias")

    def __init__(self, vocab_size: int, block_size: int) -> None:
        self.vocab_size, self.block_size = vocab_size, block_size
        self.parameters = Parameters()
        self.constants: dict[str, Constant] = {}

    @abstractmethod
    def logits(self, tokens: Tensor, context: Context) -> Tensor:
        """Appends the forward pass. tokens i32 (B, T) with T <= block_size; returns f32 (B, T, V)."""

    def bp_steps(self, step: int, max_steps: int) -> int | None:
        """How many of the last recurrent calls train at this step; None where a model has no such choice."""
        return None

    def bp_depths(self, max_steps: int) -> list[int | None]:
        """Every value that `bp_steps` may give in a training of so many steps."""
        first, last = self.bp_steps(0, max_steps), self.bp_steps(max_steps - 1, max_steps)
        return [None] if first is None or last is None else list(range(first, last + 1))

    def initialize(self, backend: Backend, seed: int) -> None:
        """Writes start values that depend on the seed alone."""
        self.parameters.write(backend, self.parameters.initial(seed))
        for constant in self.constants.values():
            backend.write(constant.tensor, constant.values(seed))

    def load(self, backend: Backend, tensors: Mapping[str, np.ndarray]) -> None:
        """Writes the values of a checkpoint, by name. Raises CheckpointError where they do not fit."""
        self.parameters.write(backend, tensors)
        for name, constant in self.constants.items():
            if constant.kept and (name not in tensors or tensors[name].shape != constant.tensor.shape):
                raise CheckpointError(f"the model needs {name} {constant.tensor.shape}, the file has none that fits")
            backend.write(constant.tensor, tensors[name] if constant.kept else constant.values(0))

    def state(self, backend: Backend) -> dict[str, np.ndarray]:
        """The values that `load` takes."""
        kept = {name: backend.read(c.tensor) for name, c in self.constants.items() if c.kept}
        return self.parameters.read(backend) | kept
