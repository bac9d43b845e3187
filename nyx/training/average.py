"""The exponential moving average of the weights (Polyak and Juditsky 1992, with a decay), kept on the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from nyx import ops
from nyx.backends.base import Backend
from nyx.errors import ProgramError
from nyx.nn.parameters import Parameters
from nyx.program import Program
from nyx.tensor import Tensor


class WeightAverage:
    """average += (1 - decay) (weights - average) after every update, for all parameters, from the weights on.

    It lies in flat buffers like the weights' own, which makes one Step a buffer.
    """

    def __init__(self, parameters: Parameters, decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self._pairs = [
            (parameters.twin("param", index, 0, size), parameters.twin("ema", index, 0, size))
            for index, size in enumerate(parameters.sizes)
        ]
        self._start, self._exchange = Program("average.start"), Program("average.exchange")
        with self._start, self._start.no_grad():
            for weights, average in self._pairs:
                ops.copy(weights).place(average)
        with self._exchange:
            for weights, average in self._pairs:
                ops.swap(weights, average)
        self._exchanged = False

    @property
    def programs(self) -> tuple[Program, ...]:
        """What it runs apart from the update."""
        return self._start, self._exchange

    def follow(self, control: Tensor) -> None:
        """Appends the average's Steps to an update Program; control: of `clip`, (4,)."""
        for weights, average in self._pairs:
            ops.ema(weights, control, average, decay=self.decay)

    def start(self, backend: Backend) -> None:
        """The average is the weights."""
        self.check()
        backend.run(self._start)

    @contextmanager
    def exchanged(self, backend: Backend) -> Iterator[None]:
        """Inside, the average stands where the weights do; after it both are back to the last bit, also after an error.

        A second one inside changes nothing.
        """
        if self._exchanged:
            yield
            return
        backend.run(self._exchange)
        self._exchanged = True
        try:
            yield
        finally:
            backend.run(self._exchange)
            self._exchanged = False

    def check(self) -> None:
        """Raises ProgramError while the average stands where the weights do."""
        if self._exchanged:
            raise ProgramError("the average of the weights is in use: leave averaged() before training goes on")

    def state(self, backend: Backend) -> dict[str, np.ndarray]:
        """The average by parameter name."""
        self.check()
        return self.parameters.read(backend, "ema")

    def load(self, backend: Backend, values: Mapping[str, np.ndarray]) -> None:
        """Takes what `state` gave."""
        self.check()
        self.parameters.write(backend, values, "ema")
