"""Milliseconds of a training step on the CPU: Nyx's kernels, Nyx in NumPy alone, and PyTorch, a few steps each in turn.

    python -m benchmarks.cpu_step [--config gpt-mini default] [--steps 40] [--threads 2] [--operations] [--generate 200]

Same model, batch, threads and updates for all three; the HRM with its full gradient depth. On a machine with other work
the least time says most, and so do the processor's milliseconds of a step (all threads together). --operations: where
Nyx's time goes. --generate: characters a second of a model that generates with a cache. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch

from benchmarks import machine
from benchmarks.loss_against_torch import TorchTraining
from nyx.backends.cpu import CpuBackend
from nyx.config import Config
from nyx.configload import load
from nyx.generation import Sampling
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.batches import Batch
from nyx.text.vocabulary import Vocabulary

SYMBOLS = Vocabulary("".join(map(chr, range(0x100, 0x100 + 65))))
BLOCK = 5  # steps of one, then of the next
STEPS = 5  # of the training, so that at its end the HRM's gradient has its full depth


class Nyx:
    """One training, on kernels or in NumPy."""

    def __init__(self, config: Config, batch: Batch, kernels: bool) -> None:
        self.config, self.batch, self.step_number = config, batch, STEPS
        before = os.environ.pop("NYX_CPU_KERNELS", None)
        if not kernels:
            os.environ["NYX_CPU_KERNELS"] = "0"
        self.backend = CpuBackend()
        os.environ.pop("NYX_CPU_KERNELS", None)
        if before is not None:
            os.environ["NYX_CPU_KERNELS"] = before
        self.hrm = ResourceAwareHRM(config.model, SYMBOLS, self.backend)
        self.hrm.initialize_training(config, STEPS)
        self.hrm.initialize(config.seed)
        self.name = f"Nyx, {self.backend.description}"

    def step(self) -> None:
        self.hrm.process_character_training_batch(self.batch, self.step_number, self.config.train.lr)
        self.step_number += 1

    def operations(self, steps: int) -> dict[str, float]:
        """Milliseconds of a step by operation."""
        self.step()
        found: dict[str, float] = defaultdict(float)
        for program in self.hrm.training_programs():
            parts = list(self.backend.plan(program).parts(one_by_one=True))
            for part in parts:
                name = part.steps[0].step.op.name
                found[name] += min(_seconds(part.run) for _ in range(steps)) * 1e3
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def generate(self, length: int) -> float:
        """Characters a second."""
        return length / min(
            _seconds(lambda: self.hrm.generate_text("Ā", length, Sampling(temperature=1.0))) for _ in range(3)
        )


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(config: Config, steps: int) -> tuple[list[str], list[Nyx]]:
    """Rows of the table, and Nyx with and without kernels."""
    train = config.train
    x = np.random.default_rng(0).integers(0, len(SYMBOLS), (train.batch_size, train.seq_len)).astype(np.int32)
    batch = Batch(x, np.roll(x, -1), x.size)
    nyx = [Nyx(config, batch, kernels) for kernels in (True, False)]
    other = TorchTraining(config, nyx[0].hrm.weights())
    bp_steps = nyx[0].hrm.model.bp_steps(STEPS, STEPS)
    runs: dict[str, Callable[[], None]] = {n.name: n.step for n in nyx}
    runs[f"PyTorch {torch.__version__}"] = lambda: other.update(batch, train.lr, bp_steps)
    wall: dict[str, list[float]] = {name: [] for name in runs}
    processor: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(-(-steps // BLOCK)):
        for name, run in runs.items():
            run()  # not counted: threads of whoever ran before may still be spinning
            for _ in range(BLOCK):
                before = time.process_time()
                wall[name].append(_seconds(run) * 1e3)
                processor[name].append((time.process_time() - before) * 1e3)
    rows = [
        f"| {name} | {statistics.median(ms):.1f} | {min(ms):.1f} | {statistics.median(processor[name]):.1f} |"
        for name, ms in wall.items()
    ]
    return rows, nyx


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", nargs="+", default=["gpt-mini", "default"])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--operations", action="store_true")
    parser.add_argument("--generate", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        os.environ["NYX_NUM_THREADS"] = str(options.threads)
        torch.set_num_threads(options.threads)
    print(f"{machine.line()}, {torch.get_num_threads()} threads for PyTorch")
    for name in options.config:
        config = load(name, env={}).config
        model, train = config.model, config.train
        print(f"\n## {name}: {model.kind}, {model.n_embd} wide, {train.batch_size} x {train.seq_len} characters\n")
        rows, both = compare(config, options.steps)
        print("| | median ms | least ms | processor ms |\n|---|---|---|---|", *rows, sep="\n")
        if options.operations:
            print("\n| operation | kernels, ms | NumPy, ms |\n|---|---|---|")
            kernels, numpy = (nyx.operations(max(3, options.steps // 4)) for nyx in both)
            print(*(f"| {op} | {ms:.2f} | {numpy[op]:.2f} |" for op, ms in kernels.items()), sep="\n")
        if options.generate:
            speeds = ", ".join(f"{nyx.name}: {nyx.generate(options.generate):.0f}" for nyx in both)
            print(f"\ncharacters generated a second: {speeds}")


if __name__ == "__main__":
    main()
