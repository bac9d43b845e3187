"""Makes hrm_recipe.json: how the authors' programs of the Hierarchical Reasoning Model update, deepen, start and
explore, in float64 from the equations, each of which stands beside its values.

NumPy alone, nothing of Nyx. Run as `python -m tests.golden.hrm_recipe` in the repository's root.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("hrm_recipe.json")


def adam_atan2() -> dict[str, Any]:
    """m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  p = (1 - lr wd) p, then
    p -= lr / (1 - beta1^t) * atan2(m, sqrt(v / (1 - beta2^t))), t = 1, 2, ..."""
    beta1, beta2, decay = 0.9, 0.95, 0.1
    rates = [1e-3, 2e-3, 2e-3, 2e-3, 1.5e-3, 1e-3]
    sizes = np.array([1.0, 1e-12, 1e12, 0.0, 1e-3, 1e-3, 5.0, 5.0])
    signs = np.array([[1, 1, 1, 1, 1, 1, 1, 0], [1, 1, 1, 1, -1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 0, 1],
                      [1, 1, 1, 1, -1, -1, 0, 0], [1, 1, 1, 1, 1, -1, 0, 0], [1, 1, 1, 1, -1, -1, 2, 0]])  # fmt: skip
    p = start = np.array([1.0, -2.0, 0.5, 3.0, -1.0, 0.0, 0.25, -0.75])
    m, v, updates = np.zeros(p.size), np.zeros(p.size), []
    for t, (rate, sign) in enumerate(zip(rates, signs, strict=True), start=1):
        g = sizes * sign
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        step = rate / (1 - beta1**t) * np.arctan2(m, np.sqrt(v / (1 - beta2**t)))
        p = (1 - rate * decay) * p - step
        updates.append({"lr": rate, "g": g, "step": step, "p": p, "m": m, "v": v})
    first = math.atan(1 - beta1) / (1 - beta1)
    return {"betas": [beta1, beta2], "weight_decay": decay, "start": start, "first_update_in_rates": first,
            "updates": updates}  # fmt: skip


def bp_steps() -> list[dict[str, Any]]:
    """least + int(min(1, t / (ratio N)) (most - least)) calls train in update t = 1, 2, ... of N; most where the ratio
    is 0."""
    cases = ((40, 0.2, 2, 5), (15, 1.0, 2, 8), (7, 0.0, 3, 4), (1, 0.2, 2, 5), (13, 0.37, 2, 5))
    found = []
    for total, ratio, least, most in cases:
        reached = [min(1.0, t / (ratio * total)) if ratio else 1.0 for t in range(1, total + 1)]
        depths = [least + int(part * (most - least)) for part in reached]
        found.append({"max_steps": total, "ratio": ratio, "least": least, "most": most, "depths": depths})
    return found


def density(x: np.ndarray) -> np.ndarray:
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def below(x: float) -> float:
    """The standard normal distribution."""
    return (1 + math.erf(x / math.sqrt(2))) / 2


def start_values() -> dict[str, Any]:
    """Two ways to keep a normal start value of deviation 1 from being large. act: cut at 2 deviations, then widened to
    deviation 1. text: x - 3 trunc(x / 3), then widened; the authors' factor is 1.014762601732121. factor: by how much.
    cumulative: what part of the values is below 0, 0.5, ..., 2.5."""
    nodes, weights = np.polynomial.legendre.leggauss(200)

    def integral(function: Any, low: float, high: float) -> float:
        x = (high - low) / 2 * nodes + (high + low) / 2
        return float((weights * function(x)).sum() * (high - low) / 2)

    inside = below(2) - below(-2)
    cut = 1 / math.sqrt(integral(lambda x: x * x * density(x), -2, 2) / inside)
    fold = 1 / math.sqrt(2 * sum(integral(lambda x, k=k: x * x * density(x + 3 * k), 0, 3) for k in range(12)))
    points = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]

    def cut_below(x: float) -> float:
        return (below(min(2.0, x / cut)) - below(-2)) / inside

    def fold_below(x: float) -> float:
        at = min(3.0, x / fold)
        return 0.5 + sum(below(3 * k + at) - below(3 * k) for k in range(12))

    return {
        "points": points,
        "act": {"factor": cut, "largest": 2 * cut, "cumulative": [cut_below(x) for x in points]},
        "text": {"factor": fold, "largest": 3 * fold, "cumulative": [fold_below(x) for x in points]},
    }


def exploration() -> list[dict[str, Any]]:
    """least: how likely a row's least number of segments is 1, 2, ..., M: 1 - e, then e / (M - 1) each.

    mean_by_row: the segments that a row takes which would always halt, on average, when that number is drawn once a
    row, as the paper says. mean_by_segment: the same when it is drawn anew after every segment, as the authors'
    program does.
    """
    found = []
    for chance, most in ((0.1, 16), (0.1, 8), (0.5, 4), (1.0, 3)):
        least = [1 - chance] + [chance / (most - 1)] * (most - 1)
        running, mean = 1.0, 0.0
        for m in range(1, most + 1):
            held = running * sum(least[m:]) if m < most else 0.0  # a number above m was drawn
            mean += m * (running - held)
            running = held
        by_row = sum(m * share for m, share in enumerate(least, start=1))
        found.append({"chance": chance, "most": most, "least": least, "mean_by_row": by_row, "mean_by_segment": mean})
    return found


def make() -> dict[str, Any]:
    """All of it, arrays as lists."""
    found = {"adam_atan2": adam_atan2(), "bp_steps": bp_steps(), "start_values": start_values()}
    return json.loads(json.dumps(found | {"exploration": exploration()}, default=np.ndarray.tolist))


def main() -> None:
    found = make()
    FILE.write_text(json.dumps(found, indent=1) + "\n")
    print("first update of Adam-atan2, in rates:", found["adam_atan2"]["first_update_in_rates"])
    for name in ("act", "text"):
        print(f"start values, {name}: widened by", found["start_values"][name]["factor"])
    for case in found["exploration"]:
        print("segments of a row that would always halt, e = {chance}, M = {most}: {mean_by_row:.3f} drawn once a row, "
              "{mean_by_segment:.3f} drawn after every segment".format_map(case))  # fmt: skip


if __name__ == "__main__":
    main()
