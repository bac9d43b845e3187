"""The operations: one file each, found by name. `ops.linear(x, w, b)` checks shapes and appends a Step.

What an operation's file holds is told in docs/add-an-operation.md.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from nyx.errors import ShapeError
from nyx.program import Step, current
from nyx.tensor import Tensor


@dataclass(frozen=True)
class Spec:
    """What an operation binds, in the order of its shader's bindings: inputs, inouts, outputs, scratch.

    push: its own push constants as "name:u" (uint), "name:i" (int) or "name:f" (float). Before them stand, for every
    binding, NAME_at (first element, uint) and, for those in `strided`, NAME_row (row stride, uint).
    optional: inputs or outputs that may be absent. strided: bindings that may be views with a row stride.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    inouts: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    strided: tuple[str, ...] = ()
    push: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """Everything a Step names: inputs, inouts, outputs."""
        return (*self.inputs, *self.inouts, *self.outputs)

    @property
    def bindings(self) -> tuple[str, ...]:
        return (*self.arguments, *self.scratch)

    @property
    def push_fields(self) -> tuple[tuple[str, str], ...]:
        """Every push constant in order: (name, "u" | "i" | "f")."""
        places = [(f"{name}_at", "u") for name in self.bindings]
        strides = [(f"{name}_row", "u") for name in self.bindings if name in self.strided]
        own = [(name, kind) for name, kind in (p.split(":") for p in self.push)]
        return tuple(places + strides + own)

    def pack(self, values: dict[str, int | float]) -> bytes:
        """The push constants as bytes, in the order of the shader's block."""
        fields = self.push_fields
        codes = {"u": "I", "i": "i", "f": "f"}
        return struct.pack("<" + "".join(codes[k] for _, k in fields), *(values[name] for name, _ in fields))


@dataclass(frozen=True)
class Traits:
    """What a launch may choose by: a software driver or real hardware, and its limits."""

    software: bool = False
    subgroup: int = 32
    max_invocations: int = 256
    shared_bytes: int = 32768
    max_groups: int = 65535


@dataclass(frozen=True)
class Pass:
    """One dispatch. variant: which build of the shader, see docs/add-an-operation.md. push: the own constants."""

    groups: tuple[int, int, int]
    push: dict[str, int | float] = field(default_factory=dict)
    variant: str = ""


@dataclass(frozen=True)
class Launch:
    """The dispatches of one Step, in order, and the elements of each scratch binding."""

    passes: tuple[Pass, ...]
    scratch: dict[str, int] = field(default_factory=dict)


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def groups_of(n: int, per_group: int, traits: Traits) -> tuple[int, int, int]:
    """Workgroups for n items, folded into a second dimension where one is too short; see shaders/include/index.glsl."""
    count = max(1, ceil_div(n, per_group))
    x = min(count, traits.max_groups)
    return (x, ceil_div(count, x), 1)


def require(name: str, condition: bool, rule: str, *tensors: Tensor | None) -> None:
    """Raises ShapeError("[name] rule: got shapes") unless the condition holds."""
    if not condition:
        got = ", ".join("-" if t is None else f"{t.name} {t.shape}" for t in tensors)
        raise ShapeError(f"[{name}] {rule}: got {got}")


class Operation:
    """One operation, made from the module of its name."""

    def __init__(self, name: str, module: ModuleType) -> None:
        self.name = name
        self.spec: Spec = module.SPEC
        self.shapes: Callable[..., tuple[tuple[int, ...] | None, ...]] = module.shapes
        self.launch: Callable[[Step, Traits], Launch] = module.launch
        self.run: Callable[..., Any] = module.run
        self.grad: Callable[..., tuple[Tensor | None, ...]] = module.grad
        self._signature = inspect.signature(module.shapes)
        self.__doc__ = module.__doc__

    def __call__(self, *tensors: Tensor | None, **consts: Any) -> Any:
        """Appends a Step to the active Program; returns its outputs (one, a tuple, or None where there are none)."""
        spec, program = self.spec, current()
        bound = self._signature.bind(*tensors, **consts)
        bound.apply_defaults()
        given = tuple(bound.arguments.values())
        n_in, n_arg = len(spec.inputs), len(spec.inputs) + len(spec.inouts)
        for name, tensor in zip((*spec.inputs, *spec.inouts), given[:n_arg], strict=True):
            if tensor is None and name not in spec.optional:
                raise ShapeError(f"[{self.name}] {name} must be given")
            if tensor is not None and not tensor.contiguous and name not in spec.strided:
                raise ShapeError(f"[{self.name}] {name} must be contiguous, got {tensor!r}")
        shapes = self.shapes(*given[:n_arg], **dict(list(bound.arguments.items())[n_arg:]))
        outputs = tuple(
            None if shape is None else program.temp(f"{self.name}.{name}", shape)
            for name, shape in zip(spec.outputs, shapes, strict=True)
        )
        constants = dict(list(bound.arguments.items())[n_arg:])
        program.append(Step(self, given[:n_in], given[n_in:n_arg], outputs, constants))
        if not outputs:
            return None
        return outputs[0] if len(outputs) == 1 else outputs

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


_operations: dict[str, Operation] = {}


def names() -> list[str]:
    """Every operation's name: the stems of this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def get(name: str) -> Operation:
    """The operation of that name."""
    if name not in _operations:
        module = importlib.import_module(f"{__name__}.{name}")
        _operations.setdefault(name, Operation(name, module))
    return _operations[name]


class _Package(ModuleType):
    """Importing nyx/ops/NAME.py makes Python set ops.NAME to the module: the operation takes that place."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, get(name) if isinstance(value, ModuleType) and hasattr(value, "SPEC") else value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Operation:
    if name.startswith("_") or name not in names():
        raise AttributeError(f"module {__name__!r} has no operation {name!r}")
    return get(name)
