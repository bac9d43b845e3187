"""The original Hierarchical Reasoning Model (Wang et al. 2025, arXiv 2506.21734, and its published program), made
causal for text.

Post-norm blocks in two stacks; both states z_H and z_L start as fixed random vectors and are carried from segment to
segment. A segment is H_cycles times (L_cycles of z_L = L(z_L + z_H + x), then z_H = H(z_H + z_L)) with x the scaled
embedding; only its last call of L and its last of H let the gradient through. A linear head on z_H says whether to
halt.
"""

from __future__ import annotations

import math

import numpy as np

from nyx import ops
from nyx.config import HrmConfig
from nyx.nn.hrm import ff_width, fixed_state
from nyx.nn.layers import Constant, Context, Linear, attend
from nyx.nn.model import LanguageModel
from nyx.nn.parameters import Parameters, cut_normal, zeros
from nyx.ops.rope import table
from nyx.program import current
from nyx.tensor import Tensor

HALT_BIAS = -5.0  # where the head starts: about 0.7 % for either choice


class Block:
    """norm(x + attention(x)), then norm(x + swiglu(x)). No biases, norms without weights."""

    def __init__(self, parameters: Parameters, name: str, config: HrmConfig, rotary: Tensor) -> None:
        c, f = config.n_embd, ff_width(config)
        start, from_ff = cut_normal(1 / math.sqrt(c)), cut_normal(1 / math.sqrt(f))
        self.name, self.config, self.rotary = name, config, rotary
        self.qkv = Linear(parameters, f"{name}.attn.qkv", c, 3 * c, start)
        self.out = Linear(parameters, f"{name}.attn.out", c, c, start)
        self.gate_up = Linear(parameters, f"{name}.mlp.gate_up", c, 2 * f, start)
        self.down = Linear(parameters, f"{name}.mlp.down", f, c, from_ff)

    def __call__(self, x: Tensor, context: Context, call: str) -> Tensor:
        config, c, n_head = self.config, self.config.n_embd, self.config.n_head
        qkv = self.qkv(x)  # (B, T, 3C)
        q, k, v = (qkv.columns(i * c, (i + 1) * c) for i in range(3))
        q, k = (ops.rope(part, self.rotary, context.start, n_head=n_head) for part in (q, k))
        y = attend(f"{self.name}.{call}", q, k, v, n_head=n_head, positions=config.block_size, context=context)
        x = ops.rms_norm(ops.add(x, self.out(y)), eps=config.eps)[0]
        hidden = ops.swiglu(self.gate_up(x))  # (B, T, F)
        return ops.rms_norm(ops.add(x, self.down(hidden)), eps=config.eps)[0]


class ActHrm(LanguageModel):
    """Segments over a carry of z_H and z_L. `logits` runs all of them; a training runs them one at a time."""

    def __init__(self, config: HrmConfig, vocab_size: int) -> None:
        super().__init__(vocab_size, config.block_size)
        self.config = config
        c, width = config.n_embd, config.n_embd // config.n_head
        std = 1 / math.sqrt(c)
        rotary = Tensor("rotary", (config.block_size, width), role="const")
        self.z_h, self.z_l = (Tensor(name, (c,), role="const") for name in ("z_H", "z_L"))
        self.constants = {
            "rotary": Constant(rotary, lambda _: table(config.block_size, width, config.rope_theta), kept=False),
            "z_H": Constant(self.z_h, lambda seed: fixed_state("zH", seed, c, cut_normal), kept=True),
            "z_L": Constant(self.z_l, lambda seed: fixed_state("zL", seed, c, cut_normal), kept=True),
        }
        add = self.parameters
        self.embedding = add.add("embedding.weight", (vocab_size, c), cut_normal(std))
        self.level_h = [Block(add, f"H.{i}", config, rotary) for i in range(config.H_layers)]
        self.level_l = [Block(add, f"L.{i}", config, rotary) for i in range(config.L_layers)]
        self.head = Linear(add, "head", c, vocab_size, cut_normal(std))
        self.q_head = Linear(add, "q_head", c, 2, zeros, bias=lambda _, shape: np.full(shape, HALT_BIAS))
        self.parameters.freeze()

    def embed(self, tokens: Tensor) -> Tensor:
        """x (B, T, C), which every segment reads."""
        return ops.embedding(tokens, self.embedding, scale=math.sqrt(self.config.n_embd))

    def segment(self, x: Tensor, z_h: Tensor, z_l: Tensor, context: Context, number: int = 0) -> tuple[Tensor, Tensor]:
        """One segment: z_H and z_L (B, T, C) from those before, (B, T, C) or (C,). number: tells its caches from those
        of other segments."""
        config = self.config
        for i in range(config.H_cycles):
            read = ops.add(x, z_h)
            for k in range(config.L_cycles):
                last = i + 1 == config.H_cycles and k + 1 == config.L_cycles
                with current().no_grad(not last):
                    z_l = _stack(self.level_l, ops.add(read, z_l), context, f"segment{number}.call{i}.{k}")
            with current().no_grad(i + 1 < config.H_cycles):
                z_h = _stack(self.level_h, ops.add(z_l, z_h), context, f"segment{number}.call{i}")
        return z_h, z_l

    def logits(self, tokens: Tensor, context: Context) -> Tensor:
        x, z_h, z_l = self.embed(tokens), self.z_h, self.z_l
        for number in range(self.config.halt_max_steps):
            z_h, z_l = self.segment(x, z_h, z_l, context, number)
        return self.head(z_h)


def _stack(blocks: list[Block], x: Tensor, context: Context, call: str) -> Tensor:
    for block in blocks:
        x = block(x, context, call)
    return x
