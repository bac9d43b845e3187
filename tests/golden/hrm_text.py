"""Makes hrm_text.npz: five updates of a small HRM-Text by its authors' recipe in float64, from its equations.

z_L = L(z_L + z_H) three times, then z_H = H(z_H + z_L), all twice, z_H from the embedding; the last 2, 3, 4, 5, 5 calls
train. Everything decays, nothing is clipped, and an average follows. NumPy alone, nothing of Nyx; gradients are
complex-step derivatives. Run as `python -m tests.golden.hrm_text` in the repository's root. Not HRM-Text's: attention
is causal.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from tests.golden.hrm_act import IGNORE, LR, TIME, C, F, V, Weights, adam_atan2, attention, softmax_nats

FILE = Path(__file__).with_name("hrm_text.npz")
ROWS, UPDATES = 3, 5
H_CYCLES, L_CYCLES = 2, 3
BP_LEAST, BP_MOST, BP_RATIO = 2, 5, 0.8
EPS, AVERAGE = 1e-6, 0.9


def start_weights(rng: np.random.Generator) -> Weights:
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (V, C), "head.weight": (V, C), "z_L": (C,)}
    for level in ("H.0", "L.0"):
        shapes |= {f"{level}.attn.gqkv.weight": (4 * C, C), f"{level}.attn.out.weight": (C, C)}
        shapes |= {f"{level}.mlp.gate_up.weight": (2 * F, C), f"{level}.mlp.down.weight": (C, F)}
    found = {}
    for name, shape in shapes.items():
        values = rng.standard_normal(shape) * (1.0 if name == "z_L" else 1 / math.sqrt(shape[-1]))
        found[name] = values.astype(np.float32).astype(np.float64)
    return found


def norm(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPS)


def module(w: Weights, level: str, x: np.ndarray) -> np.ndarray:
    """One pre-norm block, its attention gated, and a norm after it."""
    gate, q, k, v = np.split(norm(x) @ w[f"{level}.attn.gqkv.weight"].T, 4, axis=-1)
    x = x + (attention(q, k, v) / (1 + np.exp(-gate))) @ w[f"{level}.attn.out.weight"].T
    gate, up = np.split(norm(x) @ w[f"{level}.mlp.gate_up.weight"].T, 2, axis=-1)
    return norm(x + (gate / (1 + np.exp(-gate)) * up) @ w[f"{level}.mlp.down.weight"].T)


def loss(w: Weights, x: np.ndarray, y: np.ndarray, depth: int) -> complex:
    """The mean over targets. No gradient: no imaginary part. Of the calls that train H has all but at least one."""
    of_h = min(H_CYCLES, depth - 1)
    of_l = depth - of_h
    fixed = {name: np.real(values) for name, values in w.items()}
    z_h, z_l = math.sqrt(C) * w["embedding.weight"][x], w["z_L"]
    for i in range(H_CYCLES):
        for k in range(i * L_CYCLES, (i + 1) * L_CYCLES):
            trains = k >= H_CYCLES * L_CYCLES - of_l
            z_l = module(w if trains else fixed, "L.0", z_l + z_h if trains else np.real(z_l + z_h))
        trains = i >= H_CYCLES - of_h
        z_h = module(w if trains else fixed, "H.0", z_h + z_l if trains else np.real(z_h + z_l))
    return softmax_nats(z_h @ w["head.weight"].T, y).sum() / (y >= 0).sum()


def gradients(w: Weights, x: np.ndarray, y: np.ndarray, depth: int) -> Weights:
    """Of what is reached: the embedding through the first call of H alone."""
    found, h = {}, 1e-40
    names = [name for name in w if name != "z_L" and (name != "embedding.weight" or depth > H_CYCLES)]
    for name in names:
        moved = w[name].astype(complex)
        found[name] = np.zeros(w[name].shape)
        for at in np.ndindex(moved.shape):
            moved[at] += 1j * h
            found[name][at] = loss(w | {name: moved}, x, y, depth).imag / h
            moved[at] = w[name][at]
    return found


def train(updates: int = UPDATES) -> dict[str, np.ndarray]:
    """As many of the updates of a training of UPDATES."""
    rng = np.random.default_rng(2)
    w = start_weights(rng)
    x, y = (rng.integers(0, V, (UPDATES, ROWS, TIME)) for _ in range(2))
    y[:, 0, :2] = y[:, 2, 3] = IGNORE
    out: dict[str, np.ndarray] = {f"start.{name}": values.copy() for name, values in w.items()} | {"x": x, "y": y}
    moments, counts = {name: (np.zeros_like(a), np.zeros_like(a)) for name, a in w.items()}, dict.fromkeys(w, 0)
    average, losses, depths = {name: a.copy() for name, a in w.items()}, [], []
    for t in range(1, updates + 1):
        depth = BP_LEAST + int(min(1.0, t / (BP_RATIO * UPDATES)) * (BP_MOST - BP_LEAST))
        slopes = gradients(w, x[t - 1], y[t - 1], depth)
        losses.append(np.real(loss(w, x[t - 1], y[t - 1], depth)))
        depths.append(depth)
        if t in (1, UPDATES):
            out |= {f"gradient.{t - 1}.{name}": values.astype(np.float32) for name, values in slopes.items()}
        for name, values in slopes.items():
            counts[name] += 1
            adam_atan2(w, {name: values}, moments, counts[name])
        average = {name: a + (1 - AVERAGE) * (w[name] - a) for name, a in average.items()}
    out |= {f"end.{name}": values for name, values in w.items()}
    out |= {f"average.{name}": values for name, values in average.items()}
    return out | {"loss": np.array(losses), "depth": np.array(depths)}


def main() -> None:
    found = train()
    print("calls that train", found["depth"], "loss", np.round(found["loss"], 4), "rate", LR)
    np.savez_compressed(FILE, **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
