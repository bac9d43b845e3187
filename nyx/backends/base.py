"""What every backend does: keep the persistent tensors, and run Programs over them.

The interface is narrow and message-shaped (names of tensors and Programs go in, arrays come out), so that a backend may
live in another process. A backend knows Steps and storage and no operation by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nyx.backends.memory import Rules
from nyx.program import Program
from nyx.tensor import Tensor


@dataclass(frozen=True)
class MemoryUse:
    """Bytes: of persistent tensors by role, of the room for temporaries, and of the buffers for transfers."""

    persistent: dict[str, int]
    temporary: int
    staging: int = 0

    @property
    def total(self) -> int:
        return sum(self.persistent.values()) + self.temporary + self.staging


class Backend(ABC):
    """Runs Programs on one device. Tensors are known by identity; persistent ones are allocated at their first use,
    zeroed."""

    description: str = ""
    rules: Rules
    """How it lays out memory: a NullBackend of the same rules plans what this one will take."""
    on_host: bool
    """Whether its memory is the host's: the CPU, and software drivers."""

    @abstractmethod
    def reserve(self, programs: Iterable[Program]) -> None:
        """Allocates everything that Programs need. Raises DeviceMemoryError, after which none of them is prepared."""

    @abstractmethod
    def prepare(self, program: Program) -> None:
        """Makes everything a Program needs, so that `run` costs no set-up. Safe to call twice."""

    @abstractmethod
    def run(self, program: Program) -> None:
        """Runs a Program once. May return before the device is done; `read` and `write` wait as far as they must."""

    @abstractmethod
    def write(self, tensor: Tensor, values: np.ndarray) -> None:
        """Copies values (same shape) into a persistent tensor or a view of one."""

    @abstractmethod
    def read(self, tensor: Tensor) -> np.ndarray:
        """A copy of a persistent tensor or of a view of one, in the tensor's shape."""

    @abstractmethod
    def release(self, keep: Iterable[Tensor]) -> None:
        """Forgets every Program and frees everything but these persistent tensors.

        A Program that runs again is prepared anew then, and a tensor that is used again starts as zeros.
        """

    @abstractmethod
    def memory(self) -> MemoryUse:
        """What is allocated now."""

    @abstractmethod
    def available(self) -> int | None:
        """Bytes that could still be allocated; None where nothing limits them."""

    def synchronize(self) -> None:  # noqa: B027 - a backend that runs at once has nothing to wait for
        """Waits until everything that was run is done."""

    def close(self) -> None:  # noqa: B027 - nor to free
        """Frees the device. The backend is of no more use then."""
