"""What `nyx plan` prints and `nyx bench` times: the Programs of a configuration, on no device and on every device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from nyx import devices
from nyx.backends.memory import CPU_RULES
from nyx.backends.null import NullBackend
from nyx.backends.vulkan import rules_of
from nyx.config import Config
from nyx.errors import DeviceMemoryError, NyxError
from nyx.memory_budget import Fitting
from nyx.memory_plan import other_programs, size_text
from nyx.ops import Traits
from nyx.program import Program
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.batches import Batch
from nyx.text.vocabulary import FIXED, Vocabulary
from nyx.training.plan import largest, parts_of


def _vocabulary(config: Config, size: int) -> Vocabulary:
    """The configured vocabulary, or `size` symbols in the place of a corpus's own."""
    model = config.model
    if model.vocabulary in FIXED:
        return Vocabulary.fixed(model.vocabulary, model.vocab_size)
    return Vocabulary(
        "".join(map(chr, range(0x100, 0x100 + min(size, model.vocab_size or size)))), (), model.vocab_size
    )


def describe(config: Config, vocab: int, *, steps: bool) -> str:
    """The Programs of a training with their Steps, and the bytes that it takes on a GPU and on the CPU: training,
    evaluation and decoding. With config.memory_budget, in micro-batches that keep to it. Of a plan with several parts,
    these, and the one with the longest windows in full."""
    parts = [f"part {part.index + 1}: {part}" for part in parts_of(config)]
    config = largest(config)
    gpu, cpu = NullBackend(rules=rules_of(Traits())), NullBackend(rules=CPU_RULES, on_host=True)
    lines, memory, hrm = [], [], None
    for name, backend in (("GPU", gpu), ("CPU", cpu)):
        hrm = ResourceAwareHRM(config.model, _vocabulary(config, vocab), backend)
        fitting = Fitting(hrm, config, config.train.max_steps or 1000, {})
        said: list[str] = []
        try:
            training, plan = fitting.choose(None, said.append)
        except DeviceMemoryError as error:
            memory.append(f"{name}: {error}")
            continue
        if not lines:
            programs = [*training.device_programs(), *(training.home_programs() if training.hybrid else ())]
            programs += other_programs(hrm, training).values()
            lines = [line for program in programs for line in _program(backend, program, steps)]
        memory += [f"{name}: {line}" for line in (*said, *str(plan).splitlines())]
    assert hrm
    lines += parts if len(parts) > 1 else []
    return "\n".join([*lines, f"{hrm.model.parameters.count():,} parameters, {hrm.model.vocab_size} symbols", *memory])


def _program(backend: NullBackend, program: Program, steps: bool) -> list[str]:
    launches, placement = backend.plan(program)
    count = sum(len(launch.passes) for launch in launches)
    size = size_text(placement.elements * 4)
    head = f"{program.name}: {len(program.steps)} steps, {count} dispatches, {size} of temporaries"
    return [head, str(program), ""] if steps else [head]


def measure(config: Config, steps: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Median, least and greatest milliseconds of a training step on every device here."""
    config = largest(config)
    specs = ["cpu", *(f"vulkan:{d['index']}" for d in devices.vulkan_devices() if not d["problem"])]
    found: dict[str, Any] = {}
    for spec in specs:
        try:
            found[spec] = _time(config, spec, steps)
        except NyxError as error:
            found[spec] = {"error": str(error)}
        say(f"{spec}: {found[spec]}")
    return found


def _time(config: Config, device: str, steps: int) -> dict[str, Any]:
    symbols = _vocabulary(config, 96)
    hrm, last = ResourceAwareHRM(config.model, symbols, device), (config.train.max_steps or 1000) - 1
    try:
        return _time_steps(hrm, config, symbols, steps, last)
    finally:
        hrm.close()


def _time_steps(hrm: ResourceAwareHRM, config: Config, symbols: Vocabulary, steps: int, last: int) -> dict[str, Any]:
    """Times the training step number `last`, the dearest of a training, again and again."""
    train = config.train
    hrm.initialize_training(config, last + 1)
    hrm.initialize(config.seed)
    shape = (train.batch_size * train.grad_accum_steps, train.seq_len)
    x = np.random.default_rng(0).integers(0, len(symbols), shape).astype(np.int32)
    batch, times = Batch(x, x, x.size), []
    for _ in range(steps + 2):  # two to warm up
        start = time.perf_counter()
        hrm.process_character_training_batch(batch, last, train.lr)
        hrm.backend.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    median = statistics.median(times[2:])
    return {
        "device": hrm.device,
        "ms": round(median, 3),
        "ms_min": round(min(times[2:]), 3),
        "ms_max": round(max(times[2:]), 3),
        "chars_per_sec": round(x.size / median * 1e3),
    }
