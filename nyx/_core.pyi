"""The native core: Vulkan devices, buffers, kernels and recordings. Errors are those of nyx.errors."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

def vulkan_error() -> str | None:
    """Why there is no Vulkan here, in one line; None when there is a device."""

def devices() -> list[dict[str, Any]]:
    """Every Vulkan device: index, name, type ("discrete", "integrated", "virtual", "cpu", "other"), vendor_id, driver,
    api_version, uuid, problem (None, or why it cannot be used), heaps (bytes, budget, used, device_local), limits,
    subgroup (size, min, max, operations), features. Empty where there is no Vulkan."""

class Buffer:
    """A storage buffer of 4-byte words; `Device.buffer` makes it."""

    @property
    def words(self) -> int: ...
    @property
    def kind(self) -> str: ...
    def write(self, offset_words: int, array: np.ndarray) -> None:
        """Copies a contiguous array of 4-byte elements in; kinds host and readback. A submission after it sees it.
        Nothing keeps a running submission from reading the same words."""

    def read(self, offset_words: int, array: np.ndarray) -> None:
        """Fills a contiguous array of 4-byte elements; kinds host and readback. After `Recording.wait` it sees all that
        was written."""

class Kernel:
    """A shader with the buffers it works on; `Device.kernel` makes it. Kernels of one module share one pipeline."""

    @property
    def push_words(self) -> int: ...
    @property
    def local_size(self) -> tuple[int, int, int]: ...

class Recording:
    """Dispatches that are recorded once and submitted many times; `Device.recording` makes it."""

    @property
    def dispatches(self) -> int: ...
    @property
    def barriers(self) -> int: ...
    def dispatch(self, kernel: Kernel, groups: Sequence[int], push: bytes = b"") -> None:
        """Adds one dispatch of `groups` (x, y, z) workgroups. ProgramError when something does not fit."""

    def barrier(self) -> None:
        """What was dispatched before has finished and written before what follows reads or writes."""

    def finish(self) -> None:
        """Ends the recording; the host will see its writes."""

    def submit(self) -> None:
        """Starts it and returns. ProgramError when it is not finished or still runs; DeviceLostError."""

    def wait(self, timeout_s: float) -> None:
        """Waits for the last submission; returns at once when there is none. Signal handlers run meanwhile.
        DeviceLostError when the device is lost or `timeout_s` seconds have passed: it cannot be used any more."""

class Device:
    """A Vulkan device with the features it has. What it makes keeps it alive."""

    def __init__(self, index: int) -> None: ...
    @property
    def info(self) -> dict[str, Any]:
        """The device's entry of `devices()`."""

    @property
    def lost(self) -> bool: ...
    def take_cache(self, data: bytes) -> None:
        """What `cache_data` gave in an earlier process with this device and driver, or nothing; before the first
        kernel. It must be whole: drivers crash on what is damaged."""

    def cache_data(self) -> bytes:
        """What the driver keeps of the pipelines that it made; empty without `take_cache`."""

    def memory(self) -> dict[str, Any]:
        """heaps as they are now (bytes, budget, used, device_local), and allocated: the bytes of all live Buffers."""

    def buffer(self, words: int, kind: Literal["device", "host", "readback"]) -> Buffer:
        """"device": the device's own memory. "host": mapped, for what the host writes. "readback": mapped and cached
        where there is such memory, for what the host reads. DeviceMemoryError, before anything is allocated, when it is
        more than a buffer of this device holds or than is free. The content is undefined, but zero for mapped kinds."""

    def kernel(self, spirv: bytes, buffers: Sequence[Buffer], push_words: int) -> Kernel:
        """DeviceError when the module is damaged or asks for more than the device has; ProgramError when buffers or
        push constants do not fit its bindings."""

    def recording(self, ordered: bool = True) -> Recording:
        """`ordered`: it starts after, and sees, all that was submitted before."""

def cpu_isas() -> list[str]:
    """The instruction sets that this build has CPU kernels for and this processor has, the best first."""

def cpu_threads() -> int: ...
def set_cpu_threads(n: int) -> None:
    """How many threads CPU kernels run on, of all sequences; 1 to 256."""

class CpuSequence:
    """Calls of CPU kernels of one instruction set, with everything bound. ProgramError when it is not here."""

    def __init__(self, isa: str) -> None: ...
    def add(self, name: str, arrays: Sequence[np.ndarray | None], constants: dict[str, Any]) -> bool:
        """Appends a call; False when there is no kernel of that name. arrays: those of a Step (inputs, inouts,
        outputs), None where one is absent, each of 4-byte elements with rows at equal distances; their memory is kept
        alive."""

    def run(self, first: int = 0, last: int | None = None) -> None:
        """Runs the calls first to last - 1, with the GIL released. MemoryError when there is no room to work in."""

    def __len__(self) -> int: ...
