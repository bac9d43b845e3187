"""How much memory a training may take, and how much of a batch then goes through at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nyx.backends import host
from nyx.config import Config
from nyx.errors import ConfigError, DeviceMemoryError
from nyx.memory_plan import MemoryPlan, plan_of, size_text
from nyx.training.updates import Training

if TYPE_CHECKING:
    from nyx.resource_aware_hrm import ResourceAwareHRM

SHARE = 0.9  # of what is free: the rest is for everything else that runs here, and for this process itself
UNITS = {"B": 1} | {f"{p}{i}B": k ** (n + 1) for i, k in (("", 1000), ("i", 1024)) for n, p in enumerate("KMGT")}
NO_LIMIT = 1 << 62


def parse_size(text: str) -> int:
    """Bytes of a size such as "8GB" (powers of 1000) or "512MiB" (of 1024). Raises ConfigError."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]i?B|B)\s*", text)
    size = int(float(found[1]) * UNITS[found[2]]) if found else 0
    if size < 1:
        raise ConfigError(f"memory_budget: {text!a} is no size to train in; write one such as 8GB or 512MiB")
    return size


@dataclass(frozen=True)
class Budget:
    """Bytes on the device and on the host. Where the device's memory is the host's, `device` is for both together."""

    device: int
    host: int
    given: bool
    """Whether the user set it."""

    @classmethod
    def of(cls, hrm: ResourceAwareHRM, text: str | None) -> Budget:
        """The given size, or what is free, with what is already allocated here. Raises ConfigError."""
        home = 0 if hrm.home is None else hrm.home.memory().total
        on_host = int(SHARE * (host.free_memory() + home))
        if text is not None:
            return cls(parse_size(text), on_host, True)
        free = hrm.backend.available()
        if free is None:
            return cls(NO_LIMIT, NO_LIMIT, False)
        shared = home if hrm.backend.on_host else 0
        return cls(int(SHARE * (free + hrm.backend.memory().total + shared)), on_host, False)

    def holds(self, plan: MemoryPlan) -> bool:
        return plan.total <= self.device and (plan.shared or plan.host_total <= self.host)

    def __str__(self) -> str:
        return f"the {size_text(self.device)} of memory_budget" if self.given else f"{size_text(self.device)} of memory"


Candidate = tuple[Training, MemoryPlan]


class Fitting:
    """Finds the largest part of a batch that goes through at a time within the budget.

    updates: how many each parameter has had, by name.
    """

    def __init__(self, hrm: ResourceAwareHRM, config: Config, max_steps: int, updates: Mapping[str, int]) -> None:
        self.hrm, self.config, self.max_steps, self.updates = hrm, config, max_steps, updates
        self.budget = Budget.of(hrm, config.memory_budget)

    def choose(self, micro_batch: int | None, say: Callable[[str], None]) -> Candidate:
        """micro_batch: windows at a time, at most; None for as many as fit. Raises DeviceMemoryError."""
        train = self.config.train
        most = min(train.batch_size, micro_batch or train.batch_size)
        for hybrid in self._executions():
            if found := self._largest(most, hybrid):
                self._announce(found[1], micro_batch, say)
                return found
        raise DeviceMemoryError(self.refusal())

    def _executions(self) -> tuple[bool, ...]:
        """Whether the optimizer's state may lie on the device (False), on the host (True), or the one before the
        other."""
        if self.config.execution == "auto":
            return (False,) if self.hrm.backend.on_host else (False, True)
        return (self.config.execution == "hybrid",)

    def _largest(self, most: int, hybrid: bool) -> Candidate | None:
        """As many windows as fit, then as few as make the same number of micro-batches: they are evener."""
        if whole := self.fit(most, hybrid):
            return whole
        rows = _largest(most - 1, lambda n: self.fit(n, hybrid) is not None)
        if not rows:
            return None
        total = self.config.train.batch_size * self.config.train.grad_accum_steps
        even = -(-total // -(-total // rows))
        return self.fit(even, hybrid) or self.fit(rows, hybrid)

    def fit(self, rows: int, hybrid: bool, seq_len: int | None = None) -> Candidate | None:
        """A training in micro-batches of so many windows, and its plan; None where that does not fit."""
        try:
            training, plan = self._plan(rows, hybrid, seq_len)
        except DeviceMemoryError:  # a tensor larger than any buffer
            return None
        return (training, plan) if self.budget.holds(plan) else None

    def _plan(self, rows: int, hybrid: bool, seq_len: int | None = None) -> Candidate:
        config = self.config
        if seq_len is not None:
            config = config.model_copy(update={"train": config.train.model_copy(update={"seq_len": seq_len})})
        training = Training(self.hrm, config, self.max_steps, self.updates, rows=rows, hybrid=hybrid)
        return training, plan_of(self.hrm, training)

    def _announce(self, plan: MemoryPlan, micro_batch: int | None, say: Callable[[str], None]) -> None:
        train = self.config.train
        if plan.hybrid and self.config.execution == "auto":
            say(
                f"hybrid execution: {self.budget} do not hold the optimizer's state "
                f"({size_text(plan.host['moments'])}); it stays on the host"
            )
        if plan.rows < min(train.batch_size, micro_batch or train.batch_size):
            say(
                f"a batch of {train.batch_size} windows does not fit into {self.budget}: it goes through in "
                f"micro-batches of {plan.rows}, with the same result ({size_text(plan.total)})"
            )
        elif plan.rows < train.batch_size:
            say(f"batches of {train.batch_size} windows go through in micro-batches of {plan.rows}, as before")

    def least(self) -> MemoryPlan | None:
        """What one window at a time takes, whether it fits or not; None where a tensor is larger than any buffer."""
        try:
            return self._plan(1, self._executions()[-1])[1]
        except DeviceMemoryError:
            return None

    def refusal(self) -> str:
        """Why not even one window fits, and the longest that would."""
        hybrid, seq_len = self._executions()[-1], self.config.train.seq_len
        shorter = _largest(seq_len - 1, lambda n: self.fit(1, hybrid, n) is not None)
        if shorter:
            needs = self._needs(hybrid, seq_len)
            return f"one window of {seq_len} characters {needs}: set train.seq_len to {shorter} or less"
        return f"even one character at a time {self._needs(hybrid, 1)}: take a smaller model or more memory"

    def shorter(self) -> str:
        """What to do when one window does not fit although the plan said so: less is free than the budget says."""
        seq_len = self.config.train.seq_len
        return f"one window of {seq_len} characters does not fit: set train.seq_len to {max(1, seq_len // 2)} or less"

    def _needs(self, hybrid: bool, seq_len: int) -> str:
        try:
            plan = self._plan(1, hybrid, seq_len)[1]
        except DeviceMemoryError:
            return "does not fit into the device's buffers"
        if not plan.shared and plan.total <= self.budget.device:
            return f"needs {size_text(plan.host_total)} of the host, which has {size_text(self.budget.host)}"
        return f"needs {size_text(plan.total)}, which is more than {self.budget}"


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest number from 1 to `most` that fits, where all smaller ones do too; 0 where none does."""
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
