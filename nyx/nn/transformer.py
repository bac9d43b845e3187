"""The decoder-only transformer: pre-norm blocks, learned positions; the GPT of nanoGPT and its relatives by options."""

from __future__ import annotations

import math

from nyx import ops
from nyx.config import TransformerConfig
from nyx.nn.layers import Context, LayerNorm, Linear, attend, dropout
from nyx.nn.model import LanguageModel
from nyx.nn.parameters import Initializer, Parameters, normal, xavier_uniform
from nyx.tensor import Tensor


def _initializer(config: TransformerConfig, *, residual: bool = False) -> Initializer:
    """GPT-2's N(0, 0.02), divided by sqrt(2 n_layer) where a block adds to the residual stream; or Xavier-uniform."""
    if config.init == "xavier_uniform":
        return xavier_uniform
    return normal(0.02 / math.sqrt(2 * config.n_layer) if residual else 0.02)


def _activation(x: Tensor, name: str) -> Tensor:
    return ops.relu(x) if name == "relu" else ops.gelu(x, approximate="tanh" if name == "gelu_tanh" else "none")


class Block:
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, parameters: Parameters, name: str, config: TransformerConfig) -> None:
        c, bias = config.n_embd, config.bias
        start, residual = _initializer(config), _initializer(config, residual=True)
        self.name, self.config = name, config
        self.norm_1 = LayerNorm(parameters, f"{name}.norm_1", c, bias=bias)
        self.qkv = Linear(parameters, f"{name}.attn.qkv", c, 3 * c, start, bias=bias)
        self.out = Linear(parameters, f"{name}.attn.out", c, c, residual, bias=bias)
        self.norm_2 = LayerNorm(parameters, f"{name}.norm_2", c, bias=bias)
        self.up = Linear(parameters, f"{name}.mlp.up", c, config.ff_width, start, bias=bias)
        self.down = Linear(parameters, f"{name}.mlp.down", config.ff_width, c, residual, bias=bias)

    def __call__(self, x: Tensor, context: Context) -> Tensor:
        config, c = self.config, self.config.n_embd
        qkv = self.qkv(self.norm_1(x))  # (B, T, 3C)
        q, k, v = (qkv.columns(i * c, (i + 1) * c) for i in range(3))
        y = attend(
            self.name, q, k, v, n_head=config.n_head, positions=config.block_size, context=context, rate=config.dropout
        )
        x = ops.add(x, dropout(self.out(y), config.dropout, context))
        hidden = _activation(self.up(self.norm_2(x)), config.activation)  # (B, T, F)
        return ops.add(x, dropout(self.down(hidden), config.dropout, context))


class Transformer(LanguageModel):
    """Embedding plus learned positions, n_layer blocks, an optional final norm, a tied or untied head."""

    def __init__(self, config: TransformerConfig, vocab_size: int) -> None:
        super().__init__(vocab_size, config.block_size)
        self.config = config
        add, start = self.parameters.add, _initializer(config)
        self.embedding = add("embedding.weight", (vocab_size, config.n_embd), start)
        self.positions = add("positions.weight", (config.block_size, config.n_embd), start)
        self.blocks = [Block(self.parameters, f"block.{i}", config) for i in range(config.n_layer)]
        self.norm = LayerNorm(self.parameters, "norm", config.n_embd, bias=config.bias) if config.final_norm else None
        self.head = (
            None
            if config.tied_head
            else Linear(self.parameters, "head", config.n_embd, vocab_size, start, bias=config.bias)
        )
        self.parameters.freeze()

    def logits(self, tokens: Tensor, context: Context) -> Tensor:
        x = ops.positions(ops.embedding(tokens, self.embedding), self.positions, context.start)
        x = dropout(x, self.config.dropout, context)
        for block in self.blocks:
            x = block(x, context)
        if self.norm is not None:
            x = self.norm(x)
        return ops.linear(x, self.embedding) if self.head is None else self.head(x)
