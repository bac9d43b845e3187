"""Runs one Step on a Vulkan device, with its tensors at odd places of a few large buffers, and guards around each.

Binding i of every operation lies in slot i, so that one Kernel per shader serves all cases. All words of a slot that do
not belong to its tensor hold the slot's guard and must still hold it afterwards; what the Step is to write holds
another NaN before. A guard is a NaN with the slot's number in it, since a sum keeps the bits of the first NaN, and a
kernel that runs too far would write the guard it read. Around an inout it is a number: an update in place changes it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from harness import LAUNCHES, Call, Proof

from nyx import spirv
from nyx.backends.vulkan import traits_of
from nyx.ops import Launch, Traits
from nyx.tensor import Tensor

GUARD = 0x7FC5_0000  # plus the slot's number: before, after and between the rows of a tensor
UNWRITTEN = np.uint32(0x7FC3_1234)  # in outputs and scratch before the run
FOREIGN = [UNWRITTEN, *(GUARD + i for i in range(32))]  # NaNs that no result has
SLOT_WORDS = 1 << 20
ALIGNMENT = 64  # elements: what a whole tensor's place is a multiple of


@dataclass
class Slot:
    """What lies in a binding's buffer for one call: every word of it, and which of them belong to the tensor."""

    image: np.ndarray
    owned: np.ndarray
    at: int
    row: int = 0


class Workbench:
    def __init__(self, device: Any) -> None:
        self.device = device
        self._slots: list[Any] = []
        self._absent = device.buffer(1, "host")  # what is bound where an optional tensor is absent
        self._kernels: dict[tuple[str, tuple[bool, ...]], Any] = {}

    def run(self, proof: Proof, call: Call, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The tensors that the Step writes, by name; AssertionError where it wrote anything else.

        values: the inputs and inouts, float32, int32 or uint32.
        """
        spec, bound = call.step.op.spec, call.bound()
        launch = call.step.op.launch(call.step, self.traits(proof.launch))
        rng = np.random.default_rng(zlib.crc32(str(proof).encode()))
        slots: dict[str, Slot] = {}
        for i, name in enumerate(spec.bindings):
            if name in bound or name in spec.scratch:
                tensor = bound[name] if name in bound else Tensor(name, (launch.scratch[name],))
                guard = np.float32(1234.5).view(np.uint32) if name in spec.inouts else np.uint32(GUARD + i)
                slots[name] = place(tensor, values.get(name), rng, guard)
                self._slot(i).write(0, slots[name].image)
        self._absent.write(0, np.array([GUARD], np.uint32))
        self._dispatch(call, launch, slots)
        return self._collect(call, slots)

    def traits(self, label: str) -> Traits:
        """The device's own traits, with what a proof's launch changes in them."""
        own, wanted = traits_of(self.device.info), LAUNCHES[label]
        return replace(own, software=wanted.software, max_groups=min(own.max_groups, wanted.max_groups))

    def _slot(self, i: int) -> Any:
        while len(self._slots) <= i:
            self._slots.append(self.device.buffer(SLOT_WORDS, "host"))
        return self._slots[i]

    def _kernel(self, shader: str, here: tuple[bool, ...], push_words: int) -> Any:
        if (shader, here) not in self._kernels:
            buffers = [self._slot(i) if there else self._absent for i, there in enumerate(here)]
            self._kernels[shader, here] = self.device.kernel(spirv.load(shader), buffers, push_words)
        return self._kernels[shader, here]

    def _dispatch(self, call: Call, launch: Launch, slots: dict[str, Slot]) -> None:
        op = call.step.op
        nowhere = Slot(np.empty(0), np.empty(0), 0)
        places = {f"{n}_at": slots.get(n, nowhere).at for n in op.spec.bindings}
        strides = {f"{n}_row": slots.get(n, nowhere).row for n in op.spec.strided}
        here = tuple(n in slots for n in op.spec.bindings)
        recording = self.device.recording()
        for i, each in enumerate(launch.passes):
            if i:
                recording.barrier()
            push = op.spec.pack({**places, **strides, **each.push})
            shader = f"{op.name}.{each.variant}" if each.variant else op.name
            recording.dispatch(self._kernel(shader, here, len(push) // 4), each.groups, push)
        recording.finish()
        recording.submit()
        recording.wait(60.0)

    def _collect(self, call: Call, slots: dict[str, Slot]) -> dict[str, np.ndarray]:
        spec, bound, written = call.step.op.spec, call.bound(), {}
        for i, name in enumerate(spec.bindings):
            if name not in slots:
                continue
            slot = slots[name]
            now = np.empty_like(slot.image)
            self._slots[i].read(0, now)
            may_change = slot.owned if name not in spec.inputs else np.zeros_like(slot.owned)
            changed = np.flatnonzero((now != slot.image) & ~may_change)
            assert not changed.size, f"{name}: wrote {changed.size} words outside, first at {changed[0] - slot.at}"
            if name not in spec.inputs and name not in spec.scratch:
                words = now[slot.owned]
                foreign = np.flatnonzero(np.isin(words & 0x7FFF_FFFF, FOREIGN))
                assert not foreign.size, f"{name}: element {foreign[0]} was not written, or made from what lies outside"
                kind = {"f32": np.float32, "i32": np.int32, "u32": np.uint32}[bound[name].dtype]
                written[name] = words.view(kind).reshape(bound[name].shape)
        guard = np.empty(1, np.uint32)
        self._absent.read(0, guard)
        assert guard[0] == GUARD, "wrote into the place of an absent tensor"
        return written


def place(tensor: Tensor, values: np.ndarray | None, rng: np.random.Generator, guard: np.uint32) -> Slot:
    """A root somewhere in a slot, with the tensor's values (or UNWRITTEN) where the tensor lies in it."""
    start = ALIGNMENT * int(rng.integers(1, 8))
    end = start + tensor.root.size
    words = -(-end // ALIGNMENT) * ALIGNMENT + ALIGNMENT
    assert words <= SLOT_WORDS, f"{tensor!r} does not fit into the {SLOT_WORDS} words of a slot"
    image, owned = np.full(words, guard), np.zeros(words, bool)
    at = start + tensor.offset
    where = (at + np.arange(tensor.rows)[:, None] * tensor.row_stride + np.arange(tensor.shape[-1])).reshape(-1)
    owned[where] = True
    image[where] = UNWRITTEN if values is None else np.ascontiguousarray(values).view(np.uint32).reshape(-1)
    return Slot(image, owned, at, tensor.row_stride)
