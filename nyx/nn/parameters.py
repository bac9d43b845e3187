"""The trained tensors of a model, side by side in flat buffers, with their gradients and Adam moments laid out alike.

One optimizer Step can so update any run of neighbours. A flat buffer holds at most 128 MiB, the range that every Vulkan
device can bind.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nyx.backends.base import Backend
from nyx.backends.memory import LIMIT, padded
from nyx.errors import CheckpointError, DeviceMemoryError
from nyx.tensor import Role, Tensor

Initializer = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(std: float) -> Initializer:
    """N(0, std^2)."""
    return lambda rng, shape: rng.standard_normal(shape) * std


def truncated_normal(std: float) -> Initializer:
    """Normal cut at 3 standard deviations by folding (x mod 3) and rescaled to `std`, as HRM-Text initialises."""
    return lambda rng, shape: np.fmod(rng.standard_normal(shape), 3.0) * (1.014762601732121 * std)


def cut_normal(std: float) -> Initializer:
    """Normal cut at 2 standard deviations by drawing again and widened to the deviation `std`, as the original HRM
    initialises. A standard normal cut at 2 has the deviation sqrt(1 - 4 phi(2) / (2 Phi(2) - 1))."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        x = rng.standard_normal(shape)
        while (beyond := np.abs(x) > 2.0).any():
            x[beyond] = rng.standard_normal(int(beyond.sum()))
        return x * (std / 0.8796256610342398)

    return draw


def xavier_uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010); shape is (out, in)."""
    bound = math.sqrt(6.0 / (shape[0] + shape[-1]))
    return rng.uniform(-bound, bound, shape)


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape)


def ones(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape)


@dataclass(frozen=True)
class Parameter:
    """A trained tensor: its place in the flat buffers, how it starts, and whether weight decay applies to it."""

    name: str
    tensor: Tensor
    start: Initializer
    decay: bool
    index: int
    offset: int


class Parameters:
    """Collects a model's parameters while it is built; `freeze` then lays them out."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, Tensor, Initializer, bool]] = []
        self._items: dict[str, Parameter] = {}
        self._twins: dict[str, list[Tensor]] = {}
        self.sizes: list[int] = []

    def add(self, name: str, shape: tuple[int, ...], start: Initializer, *, decay: bool | None = None) -> Tensor:
        """A new parameter. decay: by default matrices decay and vectors do not."""
        if math.prod(shape) > LIMIT:
            raise DeviceMemoryError(
                f"{name} {shape} has {math.prod(shape)} values, and one buffer of a device may hold {LIMIT}: "
                "lower model.n_embd or model.vocab_size"
            )
        tensor = Tensor(name, shape, role="param")
        self._waiting.append((name, tensor, start, len(shape) > 1 if decay is None else decay))
        return tensor

    def freeze(self) -> None:
        """Places every parameter in a flat buffer, matrices that decay first, so that updates merge into few Steps."""
        for name, tensor, start, decay in sorted(self._waiting, key=lambda item: not item[3]):
            used = padded(tensor.size)
            if not self.sizes or self.sizes[-1] + used > LIMIT:
                self.sizes.append(0)
            index, offset = len(self.sizes) - 1, self.sizes[-1]
            self.sizes[-1] += used
            self._items[name] = Parameter(name, tensor, start, decay, index, offset)
        self._waiting.clear()
        flats = self._flats("param")
        for item in self:
            item.tensor.base, item.tensor.offset = flats[item.index], item.offset

    def _flats(self, kind: str) -> list[Tensor]:
        if kind not in self._twins:
            role: Role = "param" if kind == "param" else "grad" if kind == "grad" else "state"
            self._twins[kind] = [Tensor(f"{kind}.{i}", (n,), role=role) for i, n in enumerate(self.sizes)]
        return self._twins[kind]

    def twin(self, kind: str, index: int, start: int, stop: int) -> Tensor:
        """The range start:stop of flat buffer `index` of kind param, grad, m, v, or any other."""
        return self._flats(kind)[index].flat(start, (stop - start,))

    def flats(self) -> Iterator[tuple[str, Tensor]]:
        """Every flat buffer that something named so far, with its kind."""
        for kind, tensors in self._twins.items():
            yield from ((kind, tensor) for tensor in tensors)

    def like(self, kind: str, name: str) -> Tensor:
        """The tensor of that kind (param, grad, m, v) that belongs to a parameter, in its shape."""
        item = self._items[name]
        return self._flats(kind)[item.index].flat(item.offset, item.tensor.shape, f"{kind}.{name}")

    def grad_of(self, tensor: Tensor) -> Tensor:
        """A parameter's gradient tensor."""
        return self.like("grad", tensor.name)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._items.values())

    def __getitem__(self, name: str) -> Parameter:
        return self._items[name]

    def count(self) -> int:
        """Number of trained values."""
        return sum(item.tensor.size for item in self)

    def initial(self, seed: int) -> dict[str, np.ndarray]:
        """Start values in float32; each parameter's depend on the seed and its own name alone."""
        return {
            p.name: p.start(
                np.random.Generator(np.random.Philox(key=[seed, zlib.crc32(p.name.encode())])), p.tensor.shape
            ).astype(np.float32)
            for p in self
        }

    def write(self, backend: Backend, values: Mapping[str, np.ndarray], kind: str = "param") -> None:
        """Uploads values by parameter name. Raises CheckpointError where a name or shape does not fit."""
        for item in self:
            if item.name not in values or values[item.name].shape != item.tensor.shape:
                got = values[item.name].shape if item.name in values else "nothing"
                raise CheckpointError(f"the model needs {item.name} {item.tensor.shape}, the file has {got}")
            backend.write(self.like(kind, item.name), values[item.name])

    def read(self, backend: Backend, kind: str = "param") -> dict[str, np.ndarray]:
        """Downloads values by parameter name."""
        return {item.name: backend.read(self.like(kind, item.name)) for item in self}
