"""Memory of a training of the act variant over many batches: the carry is made once, so it stays flat.

    python -m benchmarks.act_memory [BATCHES] [DEVICE]

Prints the resident memory and what the backend has allocated after 1, a tenth of and all batches; exits with 1 when
the resident memory of all batches is more than 1 % and 1 MiB above that of a tenth of them.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import psutil

from benchmarks import machine
from nyx.config import Config
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.batches import Batch
from nyx.text.vocabulary import Vocabulary

MIB = 2**20
CONFIG = {
    "model": {
        "kind": "hrm",
        "variant": "act",
        "n_embd": 32,
        "n_head": 2,
        "block_size": 32,
        "ff_multiple": 32,
        "halt_max_steps": 3,
    },
    "train": {"batch_size": 4, "grad_accum_steps": 2, "lr": 1e-3, "max_steps": 1_000_000, "loss": "stablemax"},
}
SYMBOLS, READ_EVERY = 64, 100


def main() -> int:
    batches = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    config = Config.model_validate(CONFIG)
    hrm = ResourceAwareHRM(config.model, Vocabulary("".join(map(chr, range(0x100, 0x100 + SYMBOLS)))), *sys.argv[2:3])
    hrm.initialize_training(config, batches)
    hrm.initialize(0)
    print(f"{machine.line()}; {hrm.device}; {hrm.model.parameters.count():,} parameters")
    rng, process, found, begin = np.random.default_rng(0), psutil.Process(), {}, time.perf_counter()
    for step in range(batches):
        x, y = (rng.integers(0, SYMBOLS, (8, 32)).astype(np.int32) for _ in range(2))
        hrm.process_character_training_batch(Batch(x, y, y.size), step, config.train.lr)
        if step % READ_EVERY == READ_EVERY - 1:
            hrm.read_sums()
        if step + 1 in (1, batches // 10, batches):
            found[step + 1] = process.memory_info().rss
            text = f"{found[step + 1] / MIB:.2f} MiB resident, {hrm.backend.memory().total / MIB:.2f} MiB allocated"
            print(f"after {step + 1} batches ({time.perf_counter() - begin:.0f} s): {text}", flush=True)
    hrm.close()
    return int(found[batches] > 1.01 * found[batches // 10] + MIB)


if __name__ == "__main__":
    sys.exit(main())
