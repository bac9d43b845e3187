"""What a training will take of the device and of the host, worked out before anything is allocated.

The plan is made by the real planner: the very Programs, on a NullBackend with the device's rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nyx.backends.memory import CPU_RULES, padded
from nyx.backends.null import NullBackend
from nyx.program import Program
from nyx.tensor import Tensor
from nyx.training.programs import Decoder, Inputs, evaluation
from nyx.training.updates import RECENT, Training

if TYPE_CHECKING:
    from nyx.resource_aware_hrm import ResourceAwareHRM

KINDS = {"param": "parameters", "grad": "gradients", "m": "moments", "v": "moments", "ema": "average"}
ROLES = {"const": "constants", "input": "inputs", "state": "state"}


def size_text(size: float) -> str:
    """Bytes for people."""
    if size >= 2**30:
        return f"{size / 2**30:.2f} GiB"
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes by what they are for.

    rows: windows in a micro-batch. device: what the device's backend allocates. host: what lies in the host's own
    memory beside that. shared: the device's memory is the host's, so that both count together.
    """

    rows: int
    seq_len: int
    hybrid: bool
    shared: bool
    device: dict[str, int]
    host: dict[str, int]

    @property
    def device_total(self) -> int:
        return sum(self.device.values())

    @property
    def host_total(self) -> int:
        return sum(self.host.values())

    @property
    def total(self) -> int:
        """What counts against a budget."""
        return self.device_total + (self.host_total if self.shared else 0)

    def __str__(self) -> str:
        return f"{_line('device memory', self.device)}\n{_line('host memory', self.host)}"


def _line(name: str, parts: Mapping[str, int]) -> str:
    named = ", ".join(f"{part} {size_text(n)}" for part, n in parts.items() if n)
    return f"{name}: {size_text(sum(parts.values()))} ({named})"


def plan_of(hrm: ResourceAwareHRM, training: Training) -> MemoryPlan:
    """The plan of a training, with the evaluation and the decoding that go with it.

    Raises DeviceMemoryError where one tensor is larger than a buffer may be.
    """
    rules, seq_len = hrm.backend.rules, training.config.train.seq_len
    backend = NullBackend(rules=rules)
    backend.reserve(training.device_programs())
    device = _persistent(backend, hrm)
    device["activations"] = backend.memory().temporary
    for name, program in other_programs(hrm, training).items():
        before = backend.memory().total
        backend.prepare(program)
        device[name] = backend.memory().total - before
    device["staging"] = rules.staging
    return MemoryPlan(training.rows, seq_len, training.hybrid, hrm.backend.on_host, device, _host(training, hrm))


def other_programs(hrm: ResourceAwareHRM, training: Training) -> dict[str, Program]:
    """What runs on the device beside the training: "evaluation" and "decoding"."""
    inputs = Inputs(training.rows, training.config.train.seq_len)
    return {"evaluation": evaluation(hrm.model, inputs, hrm.loss), "decoding": Decoder(hrm.model).program}


def _persistent(backend: NullBackend, hrm: ResourceAwareHRM) -> dict[str, int]:
    kinds: dict[Tensor, str] = {root: kind for kind, root in hrm.model.parameters.flats()}
    parts = dict.fromkeys((*KINDS.values(), *ROLES.values()), 0)
    for root in backend.roots():
        parts[KINDS.get(kinds.get(root, "")) or ROLES[root.role]] += 4 * padded(root.size)
    return parts


def _host(training: Training, hrm: ResourceAwareHRM) -> dict[str, int]:
    """The copies that a checkpoint is written from, the batches that are kept, and, in hybrid execution, what the
    update works on."""
    train = training.config.train
    copies = 4 * sum(p.tensor.size for p in hrm.model.parameters) * (3 + (training.optimizer.average is not None))
    kept = min(RECENT, train.log_every or train.eval_every or RECENT) + 1
    parts = {"checkpoints": copies, "batches": kept * 8 * train.batch_size * train.grad_accum_steps * train.seq_len}
    if training.hybrid:
        backend = NullBackend(rules=CPU_RULES)
        backend.reserve(training.home_programs())
        parts |= {name: n for name, n in _persistent(backend, hrm).items() if n}
        parts["update"] = backend.memory().temporary
    return parts
