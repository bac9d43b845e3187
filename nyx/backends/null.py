"""The null backend: plans everything and runs nothing, so that planning is tested, and shown, on any machine."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nyx.backends.base import Backend, MemoryUse
from nyx.backends.memory import Placement, Rules, padded
from nyx.errors import ProgramError
from nyx.ops import Launch, Traits
from nyx.program import Program
from nyx.tensor import Tensor


class NullBackend(Backend):
    """Plans for a device of the given traits, or for a backend of the given rules."""

    description = "none (planning only)"

    def __init__(self, traits: Traits | None = None, *, rules: Rules | None = None, on_host: bool = False) -> None:
        self.on_host = on_host
        self.rules = rules or Rules(traits or Traits())
        self._roots: set[Tensor] = set()
        self._plans: dict[Program, tuple[list[Launch], Placement]] = {}

    def reserve(self, programs: Iterable[Program]) -> None:
        for program in programs:
            self.prepare(program)

    def prepare(self, program: Program) -> None:
        if program not in self._plans:
            self._roots.update(program.persistent())
            self._plans[program] = self.rules.place(program)

    def plan(self, program: Program) -> tuple[list[Launch], Placement]:
        """The launches of a Program's Steps and the places of its temporaries."""
        self.prepare(program)
        return self._plans[program]

    def run(self, program: Program) -> None:
        self.prepare(program)

    def write(self, tensor: Tensor, values: np.ndarray) -> None:
        if not tensor.persistent or values.size != tensor.size:
            raise ProgramError(f"[write] {tensor!r} does not take {values.shape}")
        self._roots.add(tensor.root)

    def read(self, tensor: Tensor) -> np.ndarray:
        raise ProgramError(f"[read] the null backend holds no values, and {tensor!r} was asked for")

    def release(self, keep: Iterable[Tensor]) -> None:
        self._plans.clear()
        self._roots &= {tensor.root for tensor in keep}

    def roots(self) -> set[Tensor]:
        """The persistent tensors that would be allocated."""
        return set(self._roots)

    def memory(self) -> MemoryUse:
        persistent: dict[str, int] = {}
        for root in self._roots:
            persistent[root.role] = persistent.get(root.role, 0) + padded(root.size) * 4
        sizes: dict[tuple[int, int], int] = {}
        for _, placement in self._plans.values():
            for key, n in placement.sizes.items():
                sizes[key] = max(sizes.get(key, 0), n)
        return MemoryUse(persistent, 4 * sum(sizes.values()), self.rules.staging)

    def available(self) -> int | None:
        return None
