"""Milliseconds and GFLOP/s of the dearest operations on one device.

    python -m benchmarks.ops [--device vulkan] [--runs 9]

The shapes are those of gpt-mini (12 x 64 characters, 128 wide) and of larger models. Medians of wall time, submission
and waiting included.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import machine
from nyx import devices, ops
from nyx.backends import open_backend
from nyx.backends.base import Backend
from nyx.program import Program
from nyx.tensor import Tensor


class Table:
    """Makes tensors on a device and times one operation after the other."""

    def __init__(self, backend: Backend, runs: int) -> None:
        self.backend, self.runs = backend, runs
        self._rng, self._numbers = np.random.default_rng(0), itertools.count()

    def tensor(self, *shape: int) -> Tensor:
        """Standard normal values that stay on the device."""
        made = Tensor(f"t{next(self._numbers)}", shape, role="state")
        self.backend.write(made, self._rng.standard_normal(shape).astype(np.float32))
        return made

    def row(self, name: str, shape: str, flops: float, call: Callable[[], Any]) -> None:
        """Prints a row: the median of so many runs, after two to warm up."""
        with Program(name) as program, program.no_grad():
            call()
        times = []
        for _ in range(self.runs + 2):
            start = time.perf_counter()
            self.backend.run(program)
            self.backend.synchronize()
            times.append(time.perf_counter() - start)
        median = statistics.median(times[2:])
        print(f"| {name} | {shape} | {median * 1e3:.2f} | {flops / median / 1e9:.1f} |", flush=True)


def products(table: Table) -> None:
    for m, n, k in ((512, 512, 512), (768, 384, 128), (768, 512, 128), (768, 128, 512), (768, 65, 128)):
        x, w, b, dy = table.tensor(m, k), table.tensor(n, k), table.tensor(n), table.tensor(m, n)
        shape, flops = f"{m} x {n} x {k}", 2.0 * m * n * k
        table.row("linear", shape, flops, lambda x=x, w=w, b=b: ops.linear(x, w, b))
        table.row("linear_backward", shape, 2 * flops, lambda x=x, w=w, dy=dy: ops.linear_backward(x, w, dy))


def attentions(table: Table) -> None:
    for b, t, h, d in ((12, 64, 4, 32), (4, 256, 6, 64)):
        c = h * d
        q, k, v, o, dy = (table.tensor(b, t, c) for _ in range(5))
        lse, shape = table.tensor(b, h, t), f"B {b}, T {t}, H {h}, D {d}"
        flops = 2.0 * b * h * t * t * d  # two products, half of each masked
        table.row("attention", shape, flops, lambda q=q, k=k, v=v, h=h: ops.attention(q, k, v, n_head=h))
        table.row(
            "attention_backward",
            shape,
            2.5 * flops,
            lambda q=q, k=k, v=v, o=o, lse=lse, dy=dy, h=h: ops.attention_backward(q, k, v, o, lse, dy, n_head=h),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    choice = devices.choose(options.device)
    backend = open_backend(choice)
    print(f"{machine.line()}; {backend.description}\n")
    print("| operation | shape | ms | GFLOP/s |\n|---|---|---|---|")
    table = Table(backend, options.runs)
    products(table)
    attentions(table)
    backend.close()


if __name__ == "__main__":
    main()
