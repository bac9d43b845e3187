"""Where a Program's temporaries lie: lanes of buffers, reused by lifetime.

Hazards are seen per buffer, so what a Step writes goes to a lane that the Step does not read, where there is one: then
independent dispatches need no barrier between them. A lane is one or more buffers of at most LIMIT elements.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from nyx.errors import DeviceMemoryError
from nyx.ops import Launch, Traits
from nyx.program import Program
from nyx.tensor import Tensor

LANES = 3
ALIGN = 64  # elements: 256 bytes, the largest minStorageBufferOffsetAlignment that Vulkan allows
LIMIT = 2**25  # elements of one buffer: maxStorageBufferRange is at least 2**27 bytes
NO_LIMIT = 2**62


def padded(elements: int) -> int:
    """What a tensor takes up in a buffer, so that the next one starts at a multiple of ALIGN."""
    return -(-elements // ALIGN) * ALIGN


@dataclass(frozen=True)
class Place:
    """A lane's buffer (lane, number in it) and the first element."""

    buffer: tuple[int, int]
    offset: int


@dataclass
class Placement:
    """`tensors`: the place of every temporary root. `scratch`: by Step index and binding name. `sizes`: of the
    buffers."""

    tensors: dict[Tensor, Place] = field(default_factory=dict)
    scratch: dict[tuple[int, str], Place] = field(default_factory=dict)
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def elements(self) -> int:
        return sum(self.sizes.values())


class _Buffer:
    """First-fit allocation in one buffer: the live ranges in order of their start."""

    def __init__(self) -> None:
        self.live: list[tuple[int, int]] = []
        self.size = 0

    def take(self, n: int, limit: int) -> int | None:
        at = 0
        for start, stop in self.live:
            if start - at >= n:
                break
            at = stop
        if at + n > limit:
            return None
        insort(self.live, (at, at + n))
        self.size = max(self.size, at + n)
        return at

    def free(self, at: int) -> None:
        self.live = [span for span in self.live if span[0] != at]


class _Lanes:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.buffers: dict[tuple[int, int], _Buffer] = {}

    def take(self, lane: int, elements: int, what: str) -> Place:
        n = padded(max(1, elements))
        if n > self.limit:
            raise DeviceMemoryError(
                f"{what} needs {elements * 4} bytes and one buffer holds {self.limit * 4}: "
                "lower train.batch_size or train.seq_len"
            )
        number = 0
        while True:
            at = self.buffers.setdefault((lane, number), _Buffer()).take(n, self.limit)
            if at is not None:
                return Place((lane, number), at)
            number += 1

    def free(self, place: Place) -> None:
        self.buffers[place.buffer].free(place.offset)


def place(program: Program, launches: Sequence[Launch], *, lanes: int = LANES, limit: int = LIMIT) -> Placement:
    """Places every temporary and every scratch of a Program. Raises DeviceMemoryError where one exceeds `limit`
    elements."""
    placement, pool = Placement(), _Lanes(limit)
    starts: dict[int, list[Tensor]] = {}
    ends: dict[int, list[Tensor]] = {}
    for tensor, (first, last) in program.lifetimes().items():
        starts.setdefault(first, []).append(tensor)
        ends.setdefault(last, []).append(tensor)
    for i, (step, launch) in enumerate(zip(program.steps, launches, strict=True)):
        read = [placement.tensors[t.root].buffer[0] for t in step.tensors() if t.root in placement.tensors]
        order = sorted(range(lanes), key=lambda lane: (read.count(lane), lane))
        for tensor in starts.get(i, []):
            placement.tensors[tensor] = pool.take(order[0], tensor.size, tensor.name)
        for n, (name, elements) in enumerate(launch.scratch.items()):
            lane = order[(n + 1) % lanes]
            placement.scratch[i, name] = pool.take(lane, elements, f"{step.op.name}'s {name}")
        for name in launch.scratch:
            pool.free(placement.scratch[i, name])
        for tensor in ends.get(i, []):
            pool.free(placement.tensors[tensor])
    placement.sizes = {key: buffer.size for key, buffer in pool.buffers.items() if buffer.size}
    return placement


@dataclass(frozen=True)
class Rules:
    """How a backend lays out its memory. traits: what launches choose by; None where Steps need no scratch (the CPU).
    staging: bytes that it takes from the start."""

    traits: Traits | None
    lanes: int = LANES
    limit: int = LIMIT
    staging: int = 0

    def place(self, program: Program) -> tuple[list[Launch], Placement]:
        """The launches of a Program's Steps and the places of its temporaries."""
        if self.traits is None:
            launches = [Launch(())] * len(program.steps)
        else:
            launches = [step.op.launch(step, self.traits) for step in program.steps]
        return launches, place(program, launches, lanes=self.lanes, limit=self.limit)


CPU_RULES = Rules(None, lanes=1, limit=NO_LIMIT)
