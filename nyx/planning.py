"""What `nyx plan` answers and `nyx bench` times: memory, time and whether a training fits here; its Programs, on no
device and on every device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nyx import devices
from nyx.backends.cpu import CpuBackend
from nyx.backends.memory import CPU_RULES
from nyx.backends.null import NullBackend
from nyx.backends.vulkan import rules_of
from nyx.config import Config, HrmConfig
from nyx.errors import DeviceMemoryError, NyxError
from nyx.memory_budget import Fitting
from nyx.memory_plan import other_programs, size_text
from nyx.ops import Traits
from nyx.program import Program
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.batches import Batch
from nyx.text.vocabulary import FIXED, Vocabulary
from nyx.training.checkpoint import TrainingState
from nyx.training.course import Course
from nyx.training.forecast import FORWARD
from nyx.training.monitor import duration
from nyx.training.plan import largest, parts_of

if TYPE_CHECKING:
    from nyx.text.prepare import Corpus

SHORT = 3e11  # floating-point operations of a step, about, up to which whole steps are timed
TRIED = 2 << 30  # bytes that a timing may take


def _vocabulary(config: Config, size: int) -> Vocabulary:
    """The configured vocabulary, or `size` symbols in the place of a corpus's own."""
    model = config.model
    if model.vocabulary in FIXED:
        return Vocabulary.fixed(model.vocabulary, model.vocab_size, unknown=config.data.unknown)
    return Vocabulary("a", (), model.vocab_size or size)


def answer(config: Config, vocab: int, corpus: Corpus | None, device: str) -> list[str]:
    """What a training of this configuration takes here: lines that begin with memory, time and fits.

    corpus: the text, from which come its symbols and the steps of an epoch; without one it has `vocab` symbols. A few
    steps are run where that takes little memory and time, otherwise one window of them, or nothing: the line says so.
    """
    vocabulary = corpus.vocabulary if corpus else _vocabulary(config, vocab)
    most, notes = largest(config), list[str]()
    try:
        hrm = ResourceAwareHRM(config.model, vocabulary, device)
    except DeviceMemoryError as error:
        return ["memory: more than one buffer holds", "time: not measured, as it does not fit", f"fits: no: {error}"]
    try:
        fitting = Fitting(hrm, most, most.train.max_steps or 1000, {})
        _, plan = fitting.choose(None, notes.append)
        yes = "; ".join(notes) if notes else f"{size_text(plan.total)} of {fitting.budget}"
        takes = _time_line(hrm, config, corpus)
        return [f"memory: {size_text(plan.total)}", f"time: {takes}", f"fits: yes: {yes}, on {hrm.device}"]
    except DeviceMemoryError as error:
        least = fitting.least()
        size = f"{size_text(least.total)} for one window at a time" if least else "more than one buffer holds"
        return [f"memory: {size}", "time: not measured, as it does not fit", f"fits: no: {error}, on {hrm.device}"]
    finally:
        hrm.close()


def _time_line(hrm: ResourceAwareHRM, config: Config, corpus: Corpus | None) -> str:
    """How long the training takes, as far as its steps are known, and how that was found."""
    rate, how = _seconds_of_a_character(hrm, largest(config))
    if corpus is None and not all(part.train.max_steps for part in parts_of(config)):
        train = largest(config).train
        step = rate * train.batch_size * train.grad_accum_steps * train.seq_len
        return f"{step * 1e3:,.1f} ms a step ({how}); name a TEXT for the number of steps"
    seconds, steps = 0.0, 0
    course = None if corpus is None else Course(corpus, config, TrainingState())
    if course is not None:
        course.begin()
    for part in parts_of(config):
        train, count = part.train, part.train.max_steps or 0
        if course is not None:
            count = course.planned[part.index] if course.several else course.max_steps
        checks = 1 + (count // train.eval_every if train.eval_every else 0)
        held = 0 if corpus is None else corpus.val.targets
        measured = min(held, train.eval_chars or held)
        rows = train.batch_size * train.grad_accum_steps
        seconds += rate * (count * rows * train.seq_len + checks * measured * FORWARD)
        steps += count
    checks = " with its evaluations" if corpus is not None and corpus.val.targets else ""
    return f"about {duration(seconds)} for {steps:,} steps{checks} ({how})"


def _seconds_of_a_character(hrm: ResourceAwareHRM, config: Config) -> tuple[float, str]:
    """(seconds for a character of a training step, how that was found): from whole steps, or on the CPU from one window
    where a step is long, or from the speed of a product where even that would fill much of the machine."""
    train, on_cpu = config.train, isinstance(hrm.backend, CpuBackend)
    rows = train.batch_size * train.grad_accum_steps
    operations = 6.0 * hrm.model.parameters.count() * _calls(config)  # of a character
    whole = not on_cpu or operations * rows * train.seq_len <= SHORT
    if not whole:
        rows = 1
        config = config.model_copy(
            update={"train": train.model_copy(update={"batch_size": 1, "grad_accum_steps": 1, "log_every": 1})}
        )
    plan = Fitting(hrm, config, train.max_steps or 1000, {}).least()
    if on_cpu and (plan is None or plan.total > TRIED):
        speed = _product_speed()
        return operations / speed, f"estimated, not measured: at the {speed / 1e9:.0f} GFLOP/s of a matrix product here"
    found = _time_steps(hrm, config, hrm.vocabulary, 3 if whole else 1, (train.max_steps or 1000) - 1)
    what = f"3 steps of {rows} windows" if whole else "steps of one window, so at most that"
    return found["ms"] / 1e3 / (rows * train.seq_len), f"measured here on {what}: {found['ms']:,.1f} ms each"


def _calls(config: Config) -> float:
    """How often a step goes through a parameter, on average: an HRM calls its two stacks again and again."""
    model = config.model
    return model.H_cycles * (model.L_cycles + 1) / 2 if isinstance(model, HrmConfig) else 1.0


def _product_speed(size: int = 768) -> float:
    """Floating-point operations a second of a product of two matrices, the best of three."""
    a, seconds = np.ones((size, size), np.float32), []
    for _ in range(3):
        start = time.perf_counter()
        np.matmul(a, a)
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def describe(config: Config, vocab: int | Vocabulary, *, steps: bool) -> str:
    """The Programs of a training with their Steps, and the bytes that it takes on a GPU and on the CPU: training,
    evaluation and decoding. With config.memory_budget, in micro-batches that keep to it. Of a plan with several parts,
    these, and the one with the longest windows in full."""
    vocabulary = _vocabulary(config, vocab) if isinstance(vocab, int) else vocab
    parts = [f"part {part.index + 1}: {part}" for part in parts_of(config)]
    config = largest(config)
    gpu, cpu = NullBackend(rules=rules_of(Traits())), NullBackend(rules=CPU_RULES, on_host=True)
    lines, memory, hrm = [], [], None
    for name, backend in (("GPU", gpu), ("CPU", cpu)):
        said: list[str] = []
        try:
            hrm = ResourceAwareHRM(config.model, vocabulary, backend)
            fitting = Fitting(hrm, config, config.train.max_steps or 1000, {})
            training, plan = fitting.choose(None, said.append)
        except DeviceMemoryError as error:
            memory.append(f"{name}: {error}")
            continue
        if not lines:
            programs = [*training.device_programs(), *(training.home_programs() if training.hybrid else ())]
            programs += other_programs(hrm, training).values()
            lines = [line for program in programs for line in _program(backend, program, steps)]
        memory += [f"{name}: {line}" for line in (*said, *str(plan).splitlines())]
    lines += parts if len(parts) > 1 else []
    size = [] if hrm is None else [f"{hrm.model.parameters.count():,} parameters, {hrm.model.vocab_size} symbols"]
    return "\n".join([*lines, *size, *memory])


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
