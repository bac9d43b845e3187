"""The Hierarchical Reasoning Model for text, as its authors published it in 2026 (HRM-Text).

Two stacks of blocks share the work: L is called L_cycles times for each call of H. z_H starts as the scaled embedding
of
the tokens, z_L as one fixed random vector; every call reads the sum of both states. The gradient flows through the last
calls alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nyx import ops
from nyx.config import HrmConfig
from nyx.nn.layers import Constant, Context, Linear, attend
from nyx.nn.model import LanguageModel
from nyx.nn.parameters import Initializer, Parameters, truncated_normal
from nyx.ops.rope import table
from nyx.program import current
from nyx.tensor import Tensor


def ff_width(config: HrmConfig) -> int:
    """Width of the SwiGLU: 2/3 of expansion * n_embd, rounded up to a multiple of ff_multiple."""
    wanted = round(config.expansion * config.n_embd * 2 / 3)
    return -(-wanted // config.ff_multiple) * config.ff_multiple


class Block:
    """Pre-norm block: attention whose output is gated by sigmoid(gate), then SwiGLU. No biases, norms without
    weights."""

    def __init__(self, parameters: Parameters, name: str, config: HrmConfig, rotary: Tensor) -> None:
        c, f = config.n_embd, ff_width(config)
        start, from_ff = truncated_normal(1 / math.sqrt(c)), truncated_normal(1 / math.sqrt(f))
        self.config, self.rotary = config, rotary
        self.gqkv = Linear(parameters, f"{name}.attn.gqkv", c, 4 * c, start)
        self.out = Linear(parameters, f"{name}.attn.out", c, c, start)
        self.gate_up = Linear(parameters, f"{name}.mlp.gate_up", c, 2 * f, start)
        self.down = Linear(parameters, f"{name}.mlp.down", f, c, from_ff)

    def __call__(self, x: Tensor, context: Context, call: str) -> Tensor:
        config, c, n_head = self.config, self.config.n_embd, self.config.n_head
        gqkv = self.gqkv(ops.rms_norm(x, eps=config.eps)[0])  # (B, T, 4C)
        gate, q, k, v = (gqkv.columns(i * c, (i + 1) * c) for i in range(4))
        q, k = (ops.rope(part, self.rotary, context.start, n_head=n_head) for part in (q, k))
        y = attend(call, q, k, v, n_head=n_head, positions=config.block_size, context=context)
        x = ops.add(x, self.out(ops.sigmoid_gate(y, gate)))
        hidden = ops.swiglu(self.gate_up(ops.rms_norm(x, eps=config.eps)[0]))  # (B, T, F)
        return ops.add(x, self.down(hidden))


class Stack:
    """The blocks of one level; every call ends with a norm."""

    def __init__(self, parameters: Parameters, name: str, layers: int, config: HrmConfig, rotary: Tensor) -> None:
        self.name, self.eps = name, config.eps
        self.blocks = [Block(parameters, f"{name}.{i}", config, rotary) for i in range(layers)]

    def __call__(self, x: Tensor, context: Context, call: int) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = block(x, context, f"{self.name}.{i}.call{call}")
        return ops.rms_norm(x, eps=self.eps)[0]


class Hrm(LanguageModel):
    """H_cycles times (L_cycles of z_L = L(z_L + z_H), then z_H = H(z_H + z_L)); the head reads z_H."""

    def __init__(self, config: HrmConfig, vocab_size: int) -> None:
        super().__init__(vocab_size, config.block_size)
        self.config = config
        c, width = config.n_embd, config.n_embd // config.n_head
        std = 1 / math.sqrt(c)
        rotary = Tensor("rotary", (config.block_size, width), role="const")
        self.z_l = Tensor("z_L", (c,), role="const")
        self.constants = {
            "rotary": Constant(rotary, lambda _: table(config.block_size, width, config.rope_theta), kept=False),
            "z_L": Constant(self.z_l, lambda seed: fixed_state("zL", seed, c), kept=True),
        }
        self.embedding = self.parameters.add("embedding.weight", (vocab_size, c), truncated_normal(std))
        self.level_h = Stack(self.parameters, "H", config.H_layers, config, rotary)
        self.level_l = Stack(self.parameters, "L", config.L_layers, config, rotary)
        self.head = Linear(self.parameters, "head", c, vocab_size, truncated_normal(std))
        self.parameters.freeze()

    def logits(self, tokens: Tensor, context: Context) -> Tensor:
        config = self.config
        h_calls, l_calls = config.H_cycles, config.H_cycles * config.L_cycles
        h_train, l_train = h_calls, l_calls
        if context.bp_steps is not None:
            h_train = min(config.H_cycles, context.bp_steps - 1)
            l_train = context.bp_steps - h_train
        z_h = ops.embedding(tokens, self.embedding, scale=math.sqrt(config.n_embd))
        z_l = self.z_l
        for i in range(h_calls):
            for k in range(i * config.L_cycles, (i + 1) * config.L_cycles):
                with current().no_grad(k < l_calls - l_train):
                    z_l = self.level_l(ops.add(z_h, z_l), context, k)
            with current().no_grad(i < h_calls - h_train):
                z_h = self.level_h(ops.add(z_h, z_l), context, i)
        return self.head(z_h)

    def bp_steps(self, step: int, max_steps: int) -> int:
        """Grows linearly from bp_min_steps to bp_max_steps over the first bp_warmup_ratio of training, by the number of
        the update counted from 1."""
        config, warmup = self.config, max_steps * self.config.bp_warmup_ratio
        progress = min(1.0, (step + 1) / warmup) if warmup > 0 else 1.0
        return config.bp_min_steps + int(progress * (config.bp_max_steps - config.bp_min_steps))


def fixed_state(
    name: str, seed: int, width: int, start: Callable[[float], Initializer] = truncated_normal
) -> np.ndarray:
    """A random vector (C,) that a state starts from and that is never trained; name: two letters."""
    rng = np.random.Generator(np.random.Philox(key=[seed, int.from_bytes(name.encode())]))
    return start(1.0)(rng, (width,)).astype(np.float32)
