"""Makes hrm_act.npz: a short training of the original Hierarchical Reasoning Model in float64, from its equations.

Wang et al. 2025, arXiv 2506.21734, section 2: the two recurrent modules, the one-step gradient, deep supervision with a
carry, and adaptive computation time. Adam-atan2 as the authors' programs compute it. NumPy alone, nothing of Nyx. Run
as `python -m tests.golden.hrm_act` in the repository's root.

Gradients are complex-step derivatives, Im L(w + ih) / h: no backward pass is stated that could be wrong as ours is.
What is not the paper's: attention is causal, the Q-head reads the last position, and free rows take the next examples
in order.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("hrm_act.npz")
V, C, HEADS, F = 5, 8, 2, 24  # symbols, width, heads, width of the SwiGLU
ROWS, TIME, UPDATES = 3, 6, 10
H_CYCLES, L_CYCLES, SEGMENTS = 2, 2, 3
EPS, THETA = 1e-5, 10000.0
LR, DECAY, BETAS = 0.02, 0.1, (0.9, 0.95)
EXPLORATION = 0.5
IGNORE = -1  # the target of a position without one
MARGIN = 1e-3  # how far every decision is from its tie, so that single precision decides alike

Weights = dict[str, np.ndarray]


def start_weights(rng: np.random.Generator) -> Weights:
    """Random ones, the Q-head's too, so that rows differ in when they halt."""
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (V, C), "head.weight": (V, C)}
    shapes |= {"q_head.weight": (2, C), "q_head.bias": (2,), "z_H": (C,), "z_L": (C,)}
    for level in ("H.0", "L.0"):
        shapes |= {f"{level}.attn.qkv.weight": (3 * C, C), f"{level}.attn.out.weight": (C, C)}
        shapes |= {f"{level}.mlp.gate_up.weight": (2 * F, C), f"{level}.mlp.down.weight": (C, F)}
    scale = {"q_head.weight": 0.5, "q_head.bias": 0.5, "z_H": 1.0, "z_L": 1.0}
    found = {}
    for name, shape in shapes.items():
        values = rng.standard_normal(shape) * scale.get(name, 1 / math.sqrt(shape[-1]))
        found[name] = values.astype(np.float32).astype(np.float64)  # single precision holds them exactly
    return found


def examples(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets (N, T); as many targets in each, the symbol after the input's."""
    x = rng.integers(0, V, (ROWS * UPDATES, TIME))
    y = np.full(x.shape, IGNORE)
    for row, (tokens, wanted) in enumerate(zip(x, y, strict=True)):
        at = rng.choice(TIME, 2, replace=False)
        wanted[at] = (tokens[at] + 1) % V
        assert (y[row] >= 0).sum() == 2
    return x, y


# The model


def norm(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPS)


def rotated(x: np.ndarray) -> np.ndarray:
    """(B, T, D) heads, their halves turned by position * theta^(-2j/D)."""
    width = x.shape[-1]
    angles = np.outer(np.arange(x.shape[1]), THETA ** (-np.arange(0, width, 2) / width))
    a, b = x[..., : width // 2], x[..., width // 2 :]
    return np.concatenate((a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)), axis=-1)


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(B, T, C) each, every position over itself and those before."""
    heads = []
    for q_i, k_i, v_i in zip(*(np.split(part, HEADS, axis=-1) for part in (q, k, v)), strict=True):
        scores = rotated(q_i) @ rotated(k_i).swapaxes(1, 2) / math.sqrt(C // HEADS)
        e = np.exp(scores) * np.tri(q.shape[1])
        heads.append(e / e.sum(axis=-1, keepdims=True) @ v_i)
    return np.concatenate(heads, axis=-1)


def module(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    """One post-norm block."""
    q, k, v = np.split(x @ w[f"{name}.attn.qkv.weight"].T, 3, axis=-1)
    x = norm(x + attention(q, k, v) @ w[f"{name}.attn.out.weight"].T)
    gate, up = np.split(x @ w[f"{name}.mlp.gate_up.weight"].T, 2, axis=-1)
    return norm(x + (gate / (1 + np.exp(-gate)) * up) @ w[f"{name}.mlp.down.weight"].T)


def before_the_last(w: Weights, x: np.ndarray, z_h: np.ndarray, z_l: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The states before the last call of L and of H, through which no gradient flows."""
    read = np.sqrt(C) * w["embedding.weight"][x]
    for i in range(H_CYCLES):
        for k in range(L_CYCLES):
            if (i, k) != (H_CYCLES - 1, L_CYCLES - 1):
                z_l = module(w, "L.0", z_l + z_h + read)
        if i != H_CYCLES - 1:
            z_h = module(w, "H.0", z_h + z_l)
    return z_h, z_l


def last_calls(w: Weights, x: np.ndarray, z_h: np.ndarray, z_l: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z_l = module(w, "L.0", z_l + z_h + np.sqrt(C) * w["embedding.weight"][x])
    return module(w, "H.0", z_h + z_l), z_l


def q_head(w: Weights, z_h: np.ndarray) -> np.ndarray:
    """(B, 2) logits: to halt, to continue."""
    return z_h[:, -1] @ w["q_head.weight"].T + w["q_head.bias"]


# The losses


def stablemax_nats(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(B, T); 0 where there is no target."""
    negative = np.real(logits) < 0
    s = np.where(negative, 1 / np.where(negative, 1 - logits, 1), logits + 1)
    share = np.take_along_axis(s, np.maximum(y, 0)[..., None], axis=-1)[..., 0] / s.sum(axis=-1)
    return np.where(y >= 0, -np.log(share), 0)


def softmax_nats(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    chosen = np.take_along_axis(logits, np.maximum(y, 0)[..., None], axis=-1)[..., 0]
    return np.where(y >= 0, np.log(np.exp(logits).sum(axis=-1)) - chosen, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def bce(logit: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Binary cross-entropy of sigmoid(logit)."""
    return -target * np.log(sigmoid(logit)) - (1 - target) * np.log(sigmoid(-logit))


def segment_loss(
    w: Weights, x: np.ndarray, y: np.ndarray, states: tuple[np.ndarray, np.ndarray], targets: np.ndarray, segments: int
) -> complex:
    """The mean over rows of the mean over targets, plus that of the Q-head's binary cross-entropy over its two values;
    of two, also where there is but the first."""
    z_h, _ = last_calls(w, x, *states)
    nats = stablemax_nats(z_h @ w["head.weight"].T, y).sum(axis=1) / (y >= 0).sum(axis=1)
    head = bce(q_head(w, z_h), targets)[:, : min(segments, 2)].sum(axis=1) / 2
    return (nats + head).mean()


def gradients(
    w: Weights, x: np.ndarray, y: np.ndarray, states: tuple[np.ndarray, np.ndarray], targets: np.ndarray, segments: int
) -> Weights:
    found, h = {}, 1e-40
    for name in (name for name in w if name not in ("z_H", "z_L")):
        moved = w[name].astype(complex)
        found[name] = np.zeros(w[name].shape)
        for at in np.ndindex(moved.shape):
            moved[at] += 1j * h
            found[name][at] = segment_loss(w | {name: moved}, x, y, states, targets, segments).imag / h
            moved[at] = w[name][at]
    return found


# The training


class Rows:
    """What a batch of rows goes on with: examples, states, segments done, the least number of them."""

    def __init__(self, w: Weights) -> None:
        self.w, self.next = w, 0
        self.example, self.done, self.least = (np.zeros(ROWS, int) for _ in range(3))
        self.free = np.ones(ROWS, bool)
        self.z_h, self.z_l = np.zeros((ROWS, TIME, C)), np.zeros((ROWS, TIME, C))

    def fill(self, update: int, rng: np.random.Generator) -> None:
        """Rows that have halted take examples of this update's batch, which has one for every row."""
        for number, row in enumerate(np.flatnonzero(self.free)):
            self.example[row], self.done[row] = update * ROWS + number, 0
            explores = rng.random() < EXPLORATION
            self.least[row] = rng.integers(2, SEGMENTS + 1) if explores else 1
            self.z_h[row], self.z_l[row] = self.w["z_H"], self.w["z_L"]


def train(updates: int = UPDATES, segments: int = SEGMENTS) -> dict[str, np.ndarray]:
    """Each of `updates` is one segment over all rows; `segments` at most for an example."""
    rng = np.random.default_rng(3)
    w, (all_x, all_y) = start_weights(rng), examples(rng)
    out: dict[str, np.ndarray] = {f"start.{name}": values.copy() for name, values in w.items()}
    out |= {"examples.x": all_x, "examples.y": all_y}
    rows, moments = Rows(w), {name: (np.zeros_like(a), np.zeros_like(a)) for name, a in w.items()}
    steps: list[dict[str, np.ndarray]] = []
    for update in range(updates):
        rows.fill(update, rng)
        x, y = all_x[rows.example], all_y[rows.example]
        states = before_the_last(w, x, rows.z_h, rows.z_l)
        z_h, z_l = last_calls(w, x, *states)
        logits, q = z_h @ w["head.weight"].T, q_head(w, z_h)
        q_next = q_head(w, last_calls(w, x, *before_the_last(w, x, z_h, z_l))[0])
        done = rows.done + 1
        right = ((logits.argmax(axis=-1) == y) & (y >= 0)).sum(axis=1)
        solved = right == (y >= 0).sum(axis=1)
        last = done >= segments
        value = sigmoid(np.where(last, q_next[:, 0], q_next.max(axis=1)))
        targets = np.stack([solved, value], axis=1)
        halts = last | ((q[:, 0] > q[:, 1]) & (done >= rows.least))
        top = np.sort(logits, axis=-1)
        assert (top[..., -1] - top[..., -2])[y >= 0].min() > MARGIN and np.abs(q[:, 0] - q[:, 1]).min() > MARGIN
        slopes = gradients(w, x, y, states, targets, segments)
        steps.append({
            "example": rows.example.copy(), "segment": done.copy(), "least": rows.least.copy(), "z_H": z_h, "z_L": z_l,
            "nats": stablemax_nats(logits, y).sum(axis=1), "softmax_nats": softmax_nats(logits, y).sum(axis=1),
            "right": right, "q": q, "targets": targets, "q_loss": bce(q, targets), "halts": halts,
            "loss": np.array(segment_loss(w, x, y, states, targets, segments).real),
        })  # fmt: skip
        if update in (0, updates - 1):
            out |= {f"gradient.{update}.{name}": values.astype(np.float32) for name, values in slopes.items()}
        adam_atan2(w, slopes, moments, update + 1)
        rows.z_h, rows.z_l, rows.done, rows.free = z_h.copy(), z_l.copy(), done, halts
    out |= {f"step.{name}": np.stack([step[name] for step in steps]) for name in steps[0]}
    return out | {f"end.{name}": values for name, values in w.items()}


def adam_atan2(w: Weights, slopes: Weights, moments: dict[str, tuple[np.ndarray, np.ndarray]], number: int) -> None:
    """Update `number`, from 1: everything decays."""
    c1, c2 = (1 - beta**number for beta in BETAS)
    for name, g in slopes.items():
        m, v = moments[name]
        m += (1 - BETAS[0]) * (g - m)
        v += (1 - BETAS[1]) * (g * g - v)
        w[name] = w[name] * (1 - LR * DECAY) - LR / c1 * np.arctan2(m, np.sqrt(v / c2))


def main() -> None:
    found = train() | {f"once.{name}": values for name, values in train(1, 1).items() if name.startswith("gradient")}
    report(found)
    np.savez_compressed(FILE, **found)  # type: ignore[arg-type]


def report(found: dict[str, np.ndarray]) -> None:
    """What the training goes through; nothing may be missing."""
    segment, halts, q = (found[f"step.{name}"] for name in ("segment", "halts", "q"))
    solved, wants = found["step.targets"][..., 0] == 1, q[..., 0] > q[..., 1]
    seen = {
        "halts before the last segment": halts & (segment < SEGMENTS),
        "halts in the last segment": halts & (segment == SEGMENTS),
        "is held back by its least number": wants & ~halts,
        "goes on by itself": ~wants & ~halts,
        "is solved": solved,
        "is not solved": ~solved,
    }
    for what, where in seen.items():
        print(f"a row {what}: {where.sum()} times in {where.size}")
        assert where.any(), what
    print("loss", np.round(found["step.loss"], 4))


if __name__ == "__main__":
    main()
