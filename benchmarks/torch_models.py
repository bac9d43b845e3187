"""The same models stated in PyTorch, as plain functions over a dict of parameters named as in Nyx.

The tests compare outputs and gradients with them, the benchmarks speed and loss. Written from the publications: GPT as
nanoGPT trains it, the HRM for text as HRM-Text describes it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from nyx.config import HrmConfig, TransformerConfig

Weights = dict[str, Tensor]


def _norm(p: Weights, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.weight"], p.get(f"{name}.bias"), 1e-5)


def _linear(p: Weights, name: str, x: Tensor) -> Tensor:
    return F.linear(x, p[f"{name}.weight"], p.get(f"{name}.bias"))


def _heads(x: Tensor, n_head: int) -> Tensor:
    b, t, c = x.shape
    return x.view(b, t, n_head, c // n_head).transpose(1, 2)  # (B, H, T, D)


def transformer(p: Weights, tokens: Tensor, config: TransformerConfig, *, training: bool = False) -> Tensor:
    """tokens (B, T) int64 to logits (B, T, V)."""
    rate = config.dropout if training else 0.0
    t = tokens.shape[1]
    x = F.dropout(p["embedding.weight"][tokens] + p["positions.weight"][:t], rate)
    for i in range(config.n_layer):
        name = f"block.{i}"
        q, k, v = _linear(p, f"{name}.attn.qkv", _norm(p, f"{name}.norm_1", x)).chunk(3, dim=-1)
        y = F.scaled_dot_product_attention(
            _heads(q, config.n_head), _heads(k, config.n_head), _heads(v, config.n_head), is_causal=True, dropout_p=rate
        )
        x = x + F.dropout(_linear(p, f"{name}.attn.out", y.transpose(1, 2).reshape(x.shape)), rate)
        hidden = _linear(p, f"{name}.mlp.up", _norm(p, f"{name}.norm_2", x))
        if config.activation == "relu":
            hidden = F.relu(hidden)
        else:
            hidden = F.gelu(hidden, approximate="tanh" if config.activation == "gelu_tanh" else "none")
        x = x + F.dropout(_linear(p, f"{name}.mlp.down", hidden), rate)
    if config.final_norm:
        x = _norm(p, "norm", x)
    return F.linear(x, p["embedding.weight"]) if config.tied_head else _linear(p, "head", x)


def _rotary(x: Tensor, theta: float) -> Tensor:
    """x (B, H, T, D): halves rotated by position times theta^(-2j/D)."""
    t, d = x.shape[-2:]
    angles = torch.outer(
        torch.arange(t, dtype=torch.float64), theta ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
    )
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    a, b = x[..., : d // 2], x[..., d // 2 :]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def _hrm_block(p: Weights, name: str, x: Tensor, config: HrmConfig) -> Tensor:
    def norm(y: Tensor) -> Tensor:
        return F.rms_norm(y, y.shape[-1:], eps=config.eps)

    gate, q, k, v = (_heads(y, config.n_head) for y in _linear(p, f"{name}.attn.gqkv", norm(x)).chunk(4, dim=-1))
    q, k = _rotary(q, config.rope_theta), _rotary(k, config.rope_theta)
    y = torch.sigmoid(gate) * F.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + _linear(p, f"{name}.attn.out", y.transpose(1, 2).reshape(x.shape))
    gate, up = _linear(p, f"{name}.mlp.gate_up", norm(x)).chunk(2, dim=-1)
    return x + _linear(p, f"{name}.mlp.down", F.silu(gate) * up)


def _hrm_level(p: Weights, level: str, x: Tensor, layers: int, config: HrmConfig) -> Tensor:
    for i in range(layers):
        x = _hrm_block(p, f"{level}.{i}", x, config)
    return F.rms_norm(x, x.shape[-1:], eps=config.eps)


def hrm(p: Weights, tokens: Tensor, config: HrmConfig, *, bp_steps: int | None = None) -> Tensor:
    """tokens (B, T) int64 to logits (B, T, V); the gradient flows through the last bp_steps calls. p holds z_L too."""
    total = config.H_cycles * config.L_cycles
    h_train = config.H_cycles if bp_steps is None else min(config.H_cycles, bp_steps - 1)
    l_train = total if bp_steps is None else bp_steps - h_train
    z_h, z_l = p["embedding.weight"][tokens] * math.sqrt(config.n_embd), p["z_L"]
    call = 0
    for i in range(config.H_cycles):
        for _ in range(config.L_cycles):
            with torch.set_grad_enabled(torch.is_grad_enabled() and call >= total - l_train):
                z_l = _hrm_level(p, "L", z_l + z_h, config.L_layers, config)
            call += 1
        with torch.set_grad_enabled(torch.is_grad_enabled() and i >= config.H_cycles - h_train):
            z_h = _hrm_level(p, "H", z_h + z_l, config.H_layers, config)
    return _linear(p, "head", z_h)


def _act_stack(p: Weights, level: str, x: Tensor, layers: int, config: HrmConfig) -> Tensor:
    def norm(y: Tensor) -> Tensor:
        return F.rms_norm(y, y.shape[-1:], eps=config.eps)

    for i in range(layers):
        name = f"{level}.{i}"
        q, k, v = (_heads(y, config.n_head) for y in _linear(p, f"{name}.attn.qkv", x).chunk(3, dim=-1))
        q, k = _rotary(q, config.rope_theta), _rotary(k, config.rope_theta)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = norm(x + _linear(p, f"{name}.attn.out", y.transpose(1, 2).reshape(x.shape)))
        gate, up = _linear(p, f"{name}.mlp.gate_up", x).chunk(2, dim=-1)
        x = norm(x + _linear(p, f"{name}.mlp.down", F.silu(gate) * up))
    return x


def hrm_act_segment(
    p: Weights, tokens: Tensor, z_h: Tensor, z_l: Tensor, config: HrmConfig
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One segment of the original HRM: logits (B, T, V), the head's q (B, 2) at the last position, z_H and z_L after.

    z_h, z_l: (B, T, C) of the segment before, or (C,) at first. The gradient flows through the last call of L and of H.
    """
    x = p["embedding.weight"][tokens] * math.sqrt(config.n_embd)
    with torch.no_grad():
        for i in range(config.H_cycles):
            for k in range(config.L_cycles):
                if (i, k) != (config.H_cycles - 1, config.L_cycles - 1):
                    z_l = _act_stack(p, "L", z_l + z_h + x, config.L_layers, config)
            if i != config.H_cycles - 1:
                z_h = _act_stack(p, "H", z_h + z_l, config.H_layers, config)
    z_l = _act_stack(p, "L", z_l + z_h + x, config.L_layers, config)
    z_h = _act_stack(p, "H", z_h + z_l, config.H_layers, config)
    return _linear(p, "head", z_h), _linear(p, "q_head", z_h[:, -1]), z_h.detach(), z_l.detach()


def hrm_act(p: Weights, tokens: Tensor, config: HrmConfig) -> Tensor:
    """tokens (B, T) int64 to the logits (B, T, V) of the last of halt_max_steps segments. p holds z_H and z_L too."""
    z_h, z_l = p["z_H"], p["z_L"]
    for _ in range(config.halt_max_steps - 1):
        _, _, z_h, z_l = hrm_act_segment(p, tokens, z_h, z_l, config)
    return hrm_act_segment(p, tokens, z_h, z_l, config)[0]


def stablemax_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Nats (N,) of logits (N, V) under stablemax; 0 where the target is negative."""
    s = torch.where(logits >= 0, logits + 1, 1 / (1 - logits.clamp(max=0)))
    p = s / s.sum(dim=-1, keepdim=True)
    nats = -p.gather(1, targets.clamp(min=0)[:, None])[:, 0].log()
    return torch.where(targets >= 0, nats, torch.zeros_like(nats))
