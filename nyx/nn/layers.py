"""The layers that the models are made of. A layer adds its parameters when it is made, and appends Steps when
called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nyx import ops
from nyx.nn.parameters import Initializer, Parameters, ones, zeros
from nyx.tensor import Tensor


@dataclass
class Context:
    """What a forward pass needs besides its tokens.

    counter: u32 (4,) seed, step and first sample, given where dropout is on. start: i32 (1,) position of the first
    token, given while decoding one token at a time; then every attention keeps its keys and values in `caches`.
    bp_steps: how many of the HRM's last calls let the gradient through; None for all.
    """

    counter: Tensor | None = None
    start: Tensor | None = None
    bp_steps: int | None = None
    caches: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    _streams: int = 0

    def stream(self) -> int:
        """A number of its own for each use of randomness in a Program."""
        self._streams += 1
        return self._streams

    def cache(self, name: str, batch: int, positions: int, width: int) -> tuple[Tensor, Tensor]:
        """Keys and values (B, S, C) that the attention of that name has seen."""
        if name not in self.caches:
            keys, values = (Tensor(f"cache.{name}.{kind}", (batch, positions, width), role="state") for kind in "kv")
            self.caches[name] = (keys, values)
        return self.caches[name]


class Linear:
    """y = x W^T + b, W (out, in). bias: whether there is one, which then starts at 0, or what it starts from."""

    def __init__(
        self, parameters: Parameters, name: str, n_in: int, n_out: int, start: Initializer,
        *, bias: bool | Initializer = False,
    ) -> None:  # fmt: skip
        self.weight = parameters.add(f"{name}.weight", (n_out, n_in), start)
        self.bias = parameters.add(f"{name}.bias", (n_out,), zeros if bias is True else bias) if bias else None

    def __call__(self, x: Tensor) -> Tensor:
        return ops.linear(x, self.weight, self.bias)


class LayerNorm:
    """Layer normalisation over the channels with a trained weight and, if asked for, a bias."""

    def __init__(self, parameters: Parameters, name: str, width: int, *, bias: bool, eps: float = 1e-5) -> None:
        self.weight = parameters.add(f"{name}.weight", (width,), ones)
        self.bias = parameters.add(f"{name}.bias", (width,), zeros) if bias else None
        self.eps = eps

    def __call__(self, x: Tensor) -> Tensor:
        return ops.layer_norm(x, self.weight, self.bias, eps=self.eps)[0]


def dropout(x: Tensor, rate: float, context: Context) -> Tensor:
    """Dropout where the context has a counter (training), nothing otherwise."""
    if rate == 0.0 or context.counter is None:
        return x
    return ops.dropout(x, context.counter, rate=rate, stream=context.stream())


def attend(
    name: str, q: Tensor, k: Tensor, v: Tensor, *, n_head: int, positions: int, context: Context, rate: float = 0.0
) -> Tensor:
    """Causal attention of (B, T, C) queries: over the whole window, or over what the cache holds while decoding."""
    if context.start is not None:
        batch, _, width = q.shape
        keys, values = context.cache(name, batch, positions, width)
        return ops.attention_decode(q, k, v, context.start, keys, values, n_head=n_head)
    if rate and context.counter is not None:
        return ops.attention(q, k, v, context.counter, n_head=n_head, rate=rate, stream=context.stream())[0]
    return ops.attention(q, k, v, n_head=n_head)[0]


@dataclass(frozen=True)
class Constant:
    """A tensor that is not trained. kept: part of the model's state, so it stands in the checkpoint."""

    tensor: Tensor
    values: Callable[[int], np.ndarray]
    kept: bool
