"""Memory of a training: a small model's over many batches, and a large one's peak beside its plan.

    python -m benchmarks.memory [--config hlx-100m] [--steps 20] [--batch 4] [--seq-len 256] [--device cpu]
                                [--budget 3.5GB] [--batches 10000]

First as many batches of a tiny model of either variant (0 for none): the resident memory on the way. Then as many steps
(0 for none) of a configuration: the plan, what the backend then has allocated, the peak of the resident memory, the
milliseconds of a step, and the peak with one checkpoint. Exits with 1 where the resident memory grows by more than 1 %
and 1 MiB after the first tenth of the batches, the peak of the steps is over the budget, or the plan is 15 % off what
was allocated.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from benchmarks import machine
from nyx.config import Config
from nyx.configload import load
from nyx.memory_budget import parse_size
from nyx.memory_plan import size_text
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.batches import Batch
from nyx.text.vocabulary import FIXED, Vocabulary
from nyx.training import checkpoint

TINY = {
    "model": {"kind": "hrm", "n_embd": 16, "n_head": 2, "block_size": 16, "ff_multiple": 16, "halt_max_steps": 3},
    "train": {"batch_size": 4, "lr": 1e-3, "max_steps": 1_000_000, "ema_decay": 0.99},
}
READ_EVERY = 10


def peak() -> int:
    """The most resident memory that this process ever had, in bytes."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def symbols(config: Config) -> Vocabulary:
    if config.model.vocabulary in FIXED:
        return Vocabulary.fixed(config.model.vocabulary, config.model.vocab_size)
    return Vocabulary("".join(map(chr, range(0x100, 0x100 + 96))), (), config.model.vocab_size)


def random_batch(rng: np.random.Generator, config: Config, count: int) -> Batch:
    train = config.train
    shape = (train.batch_size * train.grad_accum_steps, train.seq_len)
    x, y = (rng.integers(0, count, shape).astype(np.int32) for _ in range(2))
    return Batch(x, y, y.size)


def large(options: argparse.Namespace) -> bool:
    sets = [f"train.batch_size={options.batch}", f"train.seq_len={options.seq_len}", f"memory_budget={options.budget}"]
    config = load((options.config,), sets).config
    before, vocabulary = psutil.Process().memory_info().rss, symbols(config)
    hrm = ResourceAwareHRM(config.model, vocabulary, options.device)
    hrm.initialize_training(config, options.steps, say=print)
    hrm.initialize(config.seed)
    print(f"{options.config}: {hrm.model.parameters.count():,} parameters, {hrm.device}, {hrm.execution} execution")
    print(
        f"batch {options.batch} in micro-batches of {hrm.micro_batch}, {options.seq_len} characters\n{hrm.memory_plan}"
    )
    rng, times = np.random.default_rng(0), []
    for step in range(options.steps):
        batch = random_batch(rng, config, len(vocabulary))
        start = time.perf_counter()
        hrm.process_character_training_batch(batch, step, config.train.lr)
        hrm.backend.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    hrm.read_sums()
    hrm.evaluate(np.arange(2 * options.seq_len) % 50, seq_len=options.seq_len, batch_size=options.batch)
    hrm.decoder().step(hrm.backend, np.zeros(1, np.int32), 0)
    used, most = hrm.backend.memory().total, peak()
    plan = hrm.memory_plan
    print(
        f"before: {size_text(before)} resident; allocated: {size_text(used)}, "
        f"in the plan {plan.device_total / used - 1:+.1%}"
    )
    print(
        f"{options.steps} steps: peak {size_text(most)} resident ({most / 1e9:.2f} GB), "
        f"median {statistics.median(times):.0f} ms a step, least {min(times):.0f}"
    )
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save(Path(folder) / "large.ckpt", hrm.training_state()[0], {})
    print(f"with a checkpoint: peak {size_text(peak())} resident ({peak() / 1e9:.2f} GB)")
    hrm.close()
    return most <= parse_size(options.budget) and abs(plan.device_total / used - 1) <= 0.15


def flat(batches: int, device: str, variant: str) -> bool:
    config = Config.model_validate({**TINY, "model": {**TINY["model"], "variant": variant}})
    vocabulary = symbols(config)
    hrm = ResourceAwareHRM(config.model, vocabulary, device)
    hrm.initialize_training(config, batches)
    hrm.initialize(0)
    rng, process, found, start = np.random.default_rng(0), psutil.Process(), {}, time.perf_counter()
    for step in range(batches):
        hrm.process_character_training_batch(random_batch(rng, config, len(vocabulary)), step, 1e-3)
        if (step + 1) % READ_EVERY == 0:
            hrm.read_sums()
        if step + 1 in (batches // 100, batches // 10, batches // 2, batches):
            found[step + 1] = process.memory_info().rss
            after = f"{variant}: after {step + 1:,} batches ({time.perf_counter() - start:.0f} s)"
            print(f"{after}: {size_text(found[step + 1])} resident", flush=True)
    hrm.close()
    return found[batches] <= 1.01 * found[batches // 10] + 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="hlx-100m")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--budget", default="3.5GB")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seq-len", type=int, default=256)
    parser.add_argument("--batches", type=int, default=10_000)
    options = parser.parse_args()
    print(machine.line())
    variants = ("text", "act") if options.batches >= 100 else ()
    right = [flat(options.batches, options.device, variant) for variant in variants]
    right += [large(options)] if options.steps else []
    return int(not all(right))


if __name__ == "__main__":
    sys.exit(main())
