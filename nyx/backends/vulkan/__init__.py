"""The Vulkan backend: places tensors, records each Program once, and replays it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Hashable, Iterable
from typing import Any, Literal

import numpy as np

from nyx import ops
from nyx.backends import host
from nyx.backends.base import Backend, MemoryUse
from nyx.backends.memory import LIMIT, Placement, Rules, padded
from nyx.backends.vulkan import check
from nyx.backends.vulkan.pipeline_cache import PipelineCache
from nyx.backends.vulkan.pipelines import Kernels, access
from nyx.backends.vulkan.recorder import Dispatch, barriers, dispatches
from nyx.errors import DeviceError, DeviceMemoryError, ProgramError
from nyx.ops import Launch, Traits
from nyx.program import Program, Step
from nyx.tensor import Dtype, Role, Tensor

SMALL = 2**16  # elements; persistent tensors up to this size share a buffer by role
STAGING = 2**20  # elements of the host-visible buffer that uploads and downloads go through
DUMMY: Hashable = "dummy"  # what is bound for an absent optional tensor, and its elements
DUMMY_SIZE = 64
NUMPY: dict[Dtype, type] = {"f32": np.float32, "i32": np.int32, "u32": np.uint32}


def traits_of(info: dict[str, Any]) -> Traits:
    """What launches choose by, from a device's description in `nyx._core.devices()`."""
    limits = info["limits"]
    return Traits(
        software=info["type"] == "cpu",
        subgroup=info["subgroup"]["size"],
        max_invocations=limits["max_invocations"],
        shared_bytes=limits["shared_bytes"],
        max_groups=min(65535, *limits["max_groups"][:2]),
    )


def rules_of(traits: Traits) -> Rules:
    """How a device of these traits lays out memory."""
    return Rules(traits, staging=4 * (2 * STAGING + DUMMY_SIZE))


class VulkanBackend(Backend):
    """One Vulkan device, by its number in `nyx._core.devices()`.

    timeout: seconds after which a submission counts as lost; a software driver never hangs, it is only slow.
    """

    def __init__(self, index: int, *, timeout: float | None = None) -> None:
        from nyx import _core

        self._device = _core.Device(index)
        info = self._device.info
        self.description = f"{info['name']} ({info['driver']})"
        self.traits = traits_of(info)
        self.rules = rules_of(self.traits)
        self.on_host = self.traits.software
        self._timeout = timeout or (3600.0 if self.traits.software else 60.0)
        self._audit, self._check = (os.environ.get(name) == "1" for name in ("NYX_SYNC_AUDIT", "NYX_CHECK"))
        self._cache = PipelineCache(self._device)
        self._kernels = Kernels(self._device)
        self._buffers: dict[Hashable, Any] = {DUMMY: self._device.buffer(DUMMY_SIZE, "device")}
        self._places: dict[Tensor, tuple[Hashable, int]] = {}  # persistent roots: buffer, first element
        self._members: dict[Hashable, set[Tensor]] = {}  # the persistent roots of a buffer
        self._plans: dict[Program, tuple[list[Launch], Placement]] = {}
        self._recordings: dict[Program, list[Any]] = {}
        self._numbers = itertools.count()
        self._in_flight: list[Any] = []
        self._upload = self._stage("upload", "host")
        self._readback = self._stage("readback", "readback")
        self._self_test()

    def _stage(self, name: str, kind: Literal["host", "readback"]) -> Tensor:
        """A host-visible buffer that transfers go through: of a kind that is quick to write, or quick to read."""
        staging = Tensor(name, (STAGING,), "u32", "input")
        self._places[staging] = (name, 0)
        self._buffers[name] = self._device.buffer(STAGING, kind)
        return staging

    def _self_test(self) -> None:
        """Upload, a shader, read back, compare: a driver that fails this is not trained on."""
        probe = Tensor("self_test", (257,), "u32", "state")
        values = np.arange(257, dtype=np.uint32) * np.uint32(2654435761)
        self.write(probe, values)
        if not np.array_equal(self.read(probe), values):
            raise DeviceError(
                f"{self.description} returns wrong values in a round trip: use --device cpu, or another driver"
            )
        self.release(())

    # Programs

    def reserve(self, programs: Iterable[Program]) -> None:
        new = [program for program in programs if program not in self._plans]
        roots = dict.fromkeys(root for program in new for root in program.persistent())
        self._allocate([root for root in roots if root not in self._places])
        plans, sizes = {program: self.rules.place(program) for program in new}, {}
        for _, placement in plans.values():
            for key, size in placement.sizes.items():
                if size > max(self._words(("temp", *key)), sizes.get(("temp", *key), 0)):
                    sizes["temp", *key] = size
        if sizes:
            self._grow(sizes)
        self._plans |= plans

    def prepare(self, program: Program) -> None:
        self.reserve([program])
        if not self._check and program not in self._recordings:
            self._recordings[program] = self.record(self.dispatches(program))
            self._cache.keep_soon()

    def _words(self, key: Hashable) -> int:
        return self._buffers[key].words if key in self._buffers else 0

    def _grow(self, sizes: dict[Hashable, int]) -> None:
        """Temporaries outlive no run, so a buffer too small is replaced; recordings bound to it are made again."""
        self.synchronize()
        replaced = {key for key in sizes if key in self._buffers}
        for program in [p for p, r in self._recordings.items() if r and replaced & self._keys_of(p)]:
            del self._recordings[program]
        self._free(replaced)
        try:
            for key, words in sizes.items():
                self._buffers[key] = self._device.buffer(words, "device")
        except DeviceMemoryError:
            self._forget()
            raise

    def _free(self, keys: set[Hashable]) -> None:
        """Frees buffers that no recording uses any more."""
        self._kernels.forget(keys)
        for key in keys:
            del self._buffers[key]

    def release(self, keep: Iterable[Tensor]) -> None:
        """Small tensors that share a buffer are freed together, once none of them is kept."""
        self._forget()
        kept = {tensor.root for tensor in keep}
        for key, roots in list(self._members.items()):
            for root in roots - kept:
                del self._places[root]
            roots &= kept
            if not roots:
                del self._members[key]
                self._free({key})

    def _forget(self) -> None:
        """Forgets every Program and frees the temporaries."""
        self.synchronize()
        self._recordings.clear()
        self._plans.clear()
        self._free({key for key in self._buffers if isinstance(key, tuple)})

    def _keys_of(self, program: Program) -> set[Hashable]:
        return {("temp", *key) for key in self._plans[program][1].sizes}

    def dispatches(self, program: Program) -> list[Dispatch]:
        """The dispatches of a Program, in order."""
        self.reserve([program])
        launches, placement = self._plans[program]
        found: list[Dispatch] = []
        for i, (step, launch) in enumerate(zip(program.steps, launches, strict=True)):
            found += dispatches(i, step, launch, lambda name, i=i, s=step: self._locate(i, s, name, placement), access)
        return found

    def _locate(self, i: int, step: Step, name: str, placement: Placement) -> tuple[Hashable, int, int]:
        if name in step.op.spec.scratch:
            where = placement.scratch[i, name]
            return (("temp", *where.buffer), where.offset, 0)
        tensor = step.binding(name)
        if tensor is None:
            return (DUMMY, 0, 0)
        key, at = self._place_of(tensor.root, placement)
        return (key, at + tensor.offset, tensor.row_stride)

    def _place_of(self, root: Tensor, placement: Placement) -> tuple[Hashable, int]:
        if root in self._places:
            return self._places[root]
        where = placement.tensors[root]
        return ("temp", *where.buffer), where.offset

    def _run_checked(self, program: Program) -> None:
        found, (_, placement) = self.dispatches(program), self._plans[program]

        def fetch(tensor: Tensor, first: int, count: int) -> np.ndarray:
            key, at = self._place_of(tensor.root, placement)
            return self._download(key, at + first, tensor, count)

        for i, step in enumerate(program.steps):
            wanted = check.expected(step, fetch)
            self.submit(self.record([d for d in found if d.step == i]))
            check.compare(i, step, wanted, fetch)

    def record(self, found: list[Dispatch], *, without: int | None = None) -> list[Any]:
        """One recording; under NYX_SYNC_AUDIT=1 one for each dispatch, which lets the validation layer see more.

        without: the dispatch whose barrier is left out. That breaks the recording: the validation gate must see it.
        """
        before = set(barriers(found)) - {without}
        recordings = [self._device.recording(ordered=False)]
        for n, dispatch in enumerate(found):
            if self._audit and n:
                recordings.append(self._device.recording(ordered=False))
            if n in before:
                recordings[-1].barrier()
            kernel = self._kernels.get(dispatch, [self._buffers[key] for key in dispatch.buffers])
            recordings[-1].dispatch(kernel, dispatch.groups, dispatch.push)
        for recording in recordings:
            recording.finish()
        return recordings

    def submit(self, recordings: list[Any]) -> None:
        """Starts recordings, in order, after all that was started before."""
        if any(r in self._in_flight for r in recordings):
            self.synchronize()
        for recording in recordings:
            recording.submit()
            self._in_flight.append(recording)

    def run(self, program: Program) -> None:
        if self._check:
            self._run_checked(program)
            return
        self.prepare(program)
        self.submit(self._recordings[program])

    def synchronize(self) -> None:
        while self._in_flight:
            self._in_flight[0].wait(self._timeout)
            self._in_flight.pop(0)

    # Tensors

    def _allocate(self, roots: list[Tensor]) -> None:
        """Large tensors get a buffer each, small ones of one role share one. All start as zeros."""
        shared: dict[Role, list[Tensor]] = {}
        for root in roots:
            if root.size <= SMALL:
                shared.setdefault(root.role, []).append(root)
            else:
                self._new([root])
        for together in shared.values():
            for start in range(0, len(together), LIMIT // SMALL):
                self._new(together[start : start + LIMIT // SMALL])

    def _new(self, roots: list[Tensor]) -> None:
        key, size = next(self._numbers), sum(padded(root.size) for root in roots)
        mapped = roots[0].role == "input"
        self._buffers[key] = self._device.buffer(size, "host" if mapped else "device")
        if mapped:
            self._buffers[key].write(0, np.zeros(size, np.uint32))
        else:
            whole = Tensor("zeros", (size,), "u32", roots[0].role)
            self._places[whole] = (key, 0)
            self.write(whole, np.zeros(size, np.uint32))
            del self._places[whole]
        at = 0
        for root in roots:  # not before: an allocation that fails leaves no place behind
            self._places[root] = (key, at)
            at += padded(root.size)
        self._members[key] = set(roots)

    def write(self, tensor: Tensor, values: np.ndarray) -> None:
        key, at = self._persistent(tensor)
        words = np.ascontiguousarray(values, NUMPY[tensor.dtype]).reshape(-1).view(np.uint32)
        if words.size != tensor.size:
            raise ProgramError(f"[write] {tensor!r} takes {tensor.size} values, got {words.size}")
        self.synchronize()
        if tensor.root.role == "input":
            self._buffers[key].write(at, words)
            return
        for start in range(0, words.size, STAGING):
            part = words[start : start + STAGING]
            self._buffers["upload"].write(0, part)
            self._copy(self._upload.flat(0, part.shape), (key, at + start), tensor.root, upload=True)
            self.synchronize()

    def read(self, tensor: Tensor) -> np.ndarray:
        return self._download(*self._persistent(tensor), tensor, tensor.size).reshape(tensor.shape)

    def _download(self, key: Hashable, at: int, tensor: Tensor, count: int) -> np.ndarray:
        """count elements of the tensor's storage from element `at` of a buffer on."""
        words = np.empty(count, np.uint32)
        self.synchronize()
        if tensor.root.role == "input":
            self._buffers[key].read(at, words)
        else:
            for start in range(0, words.size, STAGING):
                part = words[start : start + STAGING]
                self._copy(self._readback.flat(0, part.shape), (key, at + start), tensor.root, upload=False)
                self.synchronize()
                self._buffers["readback"].read(0, part)
        return words.view(NUMPY[tensor.dtype])

    def _persistent(self, tensor: Tensor) -> tuple[Hashable, int]:
        if not tensor.persistent or not tensor.contiguous:
            raise ProgramError(f"[transfer] {tensor!r} must be persistent and contiguous")
        if tensor.root not in self._places:
            self._allocate([tensor.root])
        key, at = self._places[tensor.root]
        return key, at + tensor.offset

    def _copy(self, staging: Tensor, place: tuple[Hashable, int], root: Tensor, *, upload: bool) -> None:
        """One dispatch of the copy operation between a staging buffer and a place on the device."""
        device = Tensor("device", staging.shape, "u32", root.role)
        source, target = (staging, device) if upload else (device, staging)
        step = Step(ops.get("copy"), (source,), (), (target,), {})
        staged = self._places[staging.root]

        def locate(name: str) -> tuple[Hashable, int, int]:
            key, at = staged if step.binding(name) is staging else place
            return (key, at, staging.size)

        self.submit(self.record(dispatches(0, step, step.op.launch(step, self.traits), locate, access)))

    def memory(self) -> MemoryUse:
        persistent: dict[str, int] = {}
        for key, roots in self._members.items():
            role = next(iter(roots)).role
            persistent[role] = persistent.get(role, 0) + self._words(key) * 4
        temporary = sum(b.words * 4 for key, b in self._buffers.items() if isinstance(key, tuple))
        staging = sum(self._words(key) * 4 for key in ("upload", "readback", DUMMY))
        return MemoryUse(persistent, temporary, staging)

    def available(self) -> int | None:
        """What the driver says is left of the device's own memory (VK_EXT_memory_budget), else its size less what is
        allocated here; no more than the host has where the memory is the host's."""
        now = self._device.memory()
        heaps = [heap for heap in now["heaps"] if heap["device_local"]]
        free = max((heap["budget"] - max(heap["used"], now["allocated"]) for heap in heaps), default=0)
        return max(0, min(free, host.free_memory()) if self.on_host else free)

    def close(self) -> None:
        self.synchronize()
        self._cache.keep()
        self._recordings.clear()
        self._plans.clear()
        self._kernels = Kernels(self._device)
        self._buffers.clear()
        self._places.clear()
        self._members.clear()
