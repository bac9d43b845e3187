"""The compiled kernels: what each really reads and writes, and one native kernel for each shader and set of buffers."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Any

from nyx import spirv
from nyx.backends.vulkan.recorder import Access, Dispatch
from nyx.errors import DeviceError

# The SPIR-V 1.3 opcodes and decorations that `access` looks at (Khronos SPIR-V specification, sections 3.32 and 3.20).
_OP_TYPE_POINTER, _OP_VARIABLE, _OP_DECORATE, _OP_MEMBER_DECORATE = 32, 59, 71, 72
_OP_ACCESS_CHAIN, _OP_ARRAY_LENGTH = 65, 68
_NON_WRITABLE, _NON_READABLE, _BINDING = 24, 25, 33


@functools.cache
def access(shader: str) -> Access:
    """The bindings that a compiled shader reads and writes. A binding that no instruction reaches is neither."""
    words = memoryview(spirv.load(shader)).cast("I")
    pointee: dict[int, int] = {}
    kind: dict[int, int] = {}
    binding: dict[int, int] = {}
    decorated: dict[int, set[int]] = {}
    used: set[int] = set()
    at = 5
    while at < len(words):
        length, op = words[at] >> 16, words[at] & 0xFFFF
        if length == 0:
            raise DeviceError(f"the compiled shader {shader} is damaged: install Nyx again")
        operands = words[at + 1 : at + length]
        if op == _OP_TYPE_POINTER:
            pointee[operands[0]] = operands[2]
        elif op == _OP_VARIABLE:
            kind[operands[1]] = operands[0]
        elif op == _OP_DECORATE:
            decorated.setdefault(operands[0], set()).add(operands[1])
            if operands[1] == _BINDING:
                binding[operands[0]] = operands[2]
        elif op == _OP_MEMBER_DECORATE:
            decorated.setdefault(operands[0], set()).add(operands[2])
        elif op in (_OP_ACCESS_CHAIN, _OP_ARRAY_LENGTH):
            used.add(operands[2])
        at += length
    reads, writes = set(), set()
    for variable, number in binding.items():
        if variable in used:
            flags = decorated.get(variable, set()) | decorated.get(pointee[kind[variable]], set())
            reads |= set() if _NON_READABLE in flags else {number}
            writes |= set() if _NON_WRITABLE in flags else {number}
    return frozenset(reads), frozenset(writes)


class Kernels:
    """Makes native kernels and keeps them, by shader and buffers."""

    def __init__(self, device: Any) -> None:
        self._device = device
        self._kernels: dict[tuple[str, tuple[Hashable, ...]], Any] = {}

    def get(self, dispatch: Dispatch, buffers: list[Any]) -> Any:
        """The kernel of a dispatch; `buffers` are the native ones behind its keys."""
        key = (dispatch.shader, dispatch.buffers)
        if key not in self._kernels:
            self._kernels[key] = self._device.kernel(spirv.load(dispatch.shader), buffers, len(dispatch.push) // 4)
        return self._kernels[key]

    def forget(self, keys: set[Hashable]) -> None:
        """Drops the kernels bound to buffers that go away."""
        self._kernels = {k: v for k, v in self._kernels.items() if not keys & set(k[1])}
