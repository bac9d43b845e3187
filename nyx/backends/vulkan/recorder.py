"""From Steps to dispatches, and the barriers between them: one where a hazard is, none elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from nyx.ops import Launch
from nyx.program import Step

Access = tuple[frozenset[int], frozenset[int]]  # binding numbers read, binding numbers written


@dataclass(frozen=True)
class Dispatch:
    """One dispatch. buffers: one key a binding, in order. reads, writes: the keys that the shader really touches."""

    shader: str
    buffers: tuple[Hashable, ...]
    groups: tuple[int, int, int]
    push: bytes
    reads: frozenset[Hashable]
    writes: frozenset[Hashable]
    step: int = -1


@dataclass
class Hazards:
    """Which buffers were read and written since the last barrier."""

    read: set[Hashable] = field(default_factory=set)
    written: set[Hashable] = field(default_factory=set)

    def needs_barrier(self, dispatch: Dispatch) -> bool:
        """Read after write, write after read, or write after write."""
        return bool(dispatch.reads & self.written or dispatch.writes & (self.written | self.read))

    def add(self, dispatch: Dispatch) -> None:
        self.read |= dispatch.reads
        self.written |= dispatch.writes

    def clear(self) -> None:
        self.read.clear()
        self.written.clear()


def barriers(dispatches: Sequence[Dispatch]) -> list[int]:
    """The dispatches that a barrier must stand before. The first always: what ran earlier on the queue is unknown."""
    hazards, found = Hazards(), [0] if dispatches else []
    for i, dispatch in enumerate(dispatches):
        if hazards.needs_barrier(dispatch):
            found.append(i)
            hazards.clear()
        hazards.add(dispatch)
    return found


def dispatches(
    number: int,
    step: Step,
    launch: Launch,
    locate: Callable[[str], tuple[Hashable, int, int]],
    access: Callable[[str], Access],
) -> list[Dispatch]:
    """The dispatches of one Step.

    locate(binding name) gives the buffer's key, the first element and the row stride; access(shader name) what the
    shader reads and writes, by binding number.
    """
    spec, found = step.op.spec, []
    places = {name: locate(name) for name in spec.bindings}
    layout: dict[str, int | float] = {f"{name}_at": at for name, (_, at, _) in places.items()}
    layout |= {f"{name}_row": row for name, (_, _, row) in places.items()}
    buffers = tuple(places[name][0] for name in spec.bindings)
    for one in launch.passes:
        shader = f"{step.op.name}.{one.variant}" if one.variant else step.op.name
        reads, writes = (frozenset(buffers[i] for i in numbers) for numbers in access(shader))
        found.append(Dispatch(shader, buffers, one.groups, spec.pack(layout | one.push), reads, writes, number))
    return found
