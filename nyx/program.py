"""A Program is a flat list of Steps with static shapes; `backward` walks it in reverse and appends the gradient's
Steps.

Layers call operations (`ops.linear(x, w)`) while a Program is active (`with program:`); each call appends one Step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nyx.errors import ProgramError
from nyx.tensor import Dtype, Tensor

if TYPE_CHECKING:
    from nyx.ops import Operation

_active: list[Program] = []


def current() -> Program:
    """The Program that operations append to: the innermost `with program:`."""
    if not _active:
        raise ProgramError("an operation was called outside `with program:`")
    return _active[-1]


@dataclass(eq=False)
class Step:
    """One operation at work: its tensors by the spec's order (None where an optional one is absent) and its constants.

    `needs` says for each input whether a gradient must reach it; `tracked` whether any does.
    """

    op: Operation
    inputs: tuple[Tensor | None, ...]
    inouts: tuple[Tensor, ...]
    outputs: tuple[Tensor | None, ...]
    consts: dict[str, Any]
    needs: tuple[bool, ...] = ()

    @property
    def tracked(self) -> bool:
        return any(self.needs)

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor of the Step that is there."""
        for tensor in (*self.inputs, *self.inouts, *self.outputs):
            if tensor is not None:
                yield tensor

    def binding(self, name: str) -> Tensor | None:
        """The tensor bound to a name of the spec."""
        spec = self.op.spec
        return dict(zip(spec.arguments, (*self.inputs, *self.inouts, *self.outputs), strict=True))[name]

    def __str__(self) -> str:
        written = ", ".join(repr(t) for t in (*self.outputs, *self.inouts) if t is not None)
        read = ", ".join(repr(t) if t is not None else "-" for t in self.inputs)
        consts = "".join(f" {k}={v}" for k, v in self.consts.items() if v is not None)
        return f"{written} = {self.op.name}({read}){consts}"


@dataclass(eq=False)
class Program:
    """A list of Steps. `name` is for people; two Programs may share every persistent tensor."""

    name: str
    steps: list[Step] = field(default_factory=list)
    _tracked: set[Tensor] = field(default_factory=set)
    _no_grad: int = 0
    _count: int = 0

    def __enter__(self) -> Program:
        _active.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _active.pop()

    def temp(self, name: str, shape: tuple[int, ...], dtype: Dtype = "f32") -> Tensor:
        """A new temporary of this Program; the name gets a number, so it is unique."""
        self._count += 1
        return Tensor(f"{name}.{self._count}", shape, dtype)

    @contextlib.contextmanager
    def no_grad(self, active: bool = True) -> Iterator[None]:
        """Steps appended inside let no gradient through."""
        self._no_grad += active
        try:
            yield
        finally:
            self._no_grad -= active

    def append(self, step: Step) -> None:
        """Appends a Step and works out whether gradients flow through it."""
        step.needs = tuple(
            t is not None and not self._no_grad and (t.role == "param" or t.root in self._tracked) for t in step.inputs
        )
        if step.tracked:
            self._tracked.update(t.root for t in step.outputs if t is not None)
        self.steps.append(step)

    def backward(
        self, seeds: Mapping[Tensor, Tensor], grad_of: Callable[[Tensor], Tensor], *, accumulate: bool = False
    ) -> list[Tensor]:
        """Appends the Steps of the gradient and returns the parameters that it reaches.

        seeds: for tensors of this Program the gradient that comes from outside. grad_of: the persistent gradient
        tensor of a parameter, same shape. accumulate: add to what is in it (a later micro-batch) instead of writing
        it first.
        """
        gradients = _Gradients(self, grad_of, accumulate)
        forward = list(self.steps)
        with self, self.no_grad():
            for tensor, gradient in seeds.items():
                gradients.add(tensor, gradient, owned=False)
            for step in reversed(forward):
                if not step.tracked:
                    continue
                _refuse_placed(step)
                arrived = [gradients.take(t) if t is not None else None for t in step.outputs]
                if all(g is None for g in arrived):
                    continue
                made = step.op.grad(step, *arrived)
                for tensor, needed, gradient in zip(step.inputs, step.needs, made, strict=True):
                    if tensor is not None and needed and gradient is not None:
                        gradients.add(tensor, gradient, owned=gradient not in arrived)
        return gradients.reached

    def lifetimes(self) -> dict[Tensor, tuple[int, int]]:
        """First and last Step index that touches each temporary's storage."""
        spans: dict[Tensor, tuple[int, int]] = {}
        for i, step in enumerate(self.steps):
            for tensor in step.tensors():
                if not tensor.persistent:
                    first, _ = spans.get(tensor.root, (i, i))
                    spans[tensor.root] = (first, i)
        return spans

    def persistent(self) -> list[Tensor]:
        """The roots of all tensors that outlive a run, in order of first use."""
        return list(dict.fromkeys(t.root for step in self.steps for t in step.tensors() if t.persistent))

    def __str__(self) -> str:
        return "\n".join(f"{i:4d}  {step}" for i, step in enumerate(self.steps))


def _refuse_placed(step: Step) -> None:
    """An output that was placed in another tensor would lose its gradient without a word."""
    placed = [t for t in step.outputs if t is not None and t.base is not None]
    if placed:
        raise ProgramError(f"[backward] {placed[0]!r}, written by {step.op.name}, was placed: no gradient comes back")


class _Gradients:
    """Collects the contributions to each tensor's gradient.

    A parameter's first contribution is written straight into its persistent gradient, and a view's into the same view
    of its base's gradient; later ones are added there in place. Anything else is a sum of temporaries.
    """

    def __init__(self, program: Program, grad_of: Callable[[Tensor], Tensor], accumulate: bool) -> None:
        self.program, self.grad_of, self.accumulate = program, grad_of, accumulate
        self.reached: list[Tensor] = []
        self._whole: dict[Tensor, Tensor] = {}
        self._parts: dict[Tensor, tuple[Tensor, set[tuple[int, int, int, int]]]] = {}

    def add(self, tensor: Tensor, gradient: Tensor, *, owned: bool) -> None:
        if tensor.role == "param":
            first = tensor not in self.reached
            if first:
                self.reached.append(tensor)
            self._write(self.grad_of(tensor), gradient, owned, first=first and not self.accumulate)
        elif tensor.base is not None:
            self._add_part(tensor, gradient, owned)
        elif tensor in self._whole:
            from nyx import ops

            self._whole[tensor] = ops.add(self._whole[tensor], gradient)
        else:
            self._whole[tensor] = gradient

    def _add_part(self, view: Tensor, gradient: Tensor, owned: bool) -> None:
        root = view.root
        if root not in self._parts:
            self._parts[root] = (self.program.temp(f"d_{root.name}", root.shape), set())
        whole, regions = self._parts[root]
        where = Tensor(whole.name, view.shape, base=whole, offset=view.offset, row_stride=view.row_stride)
        self._write(where, gradient, owned, first=view.region not in regions)
        regions.add(view.region)

    def _write(self, where: Tensor, gradient: Tensor, owned: bool, *, first: bool) -> None:
        from nyx import ops

        if not first:
            ops.gradient_accumulation(gradient, where)
        elif owned and gradient.base is None and (where.contiguous or self._can_stride(gradient)):
            gradient.place(where)
        else:
            ops.copy(gradient).place(where)

    def _can_stride(self, gradient: Tensor) -> bool:
        step = next(s for s in reversed(self.program.steps) if gradient in s.outputs)
        return step.op.spec.outputs[step.outputs.index(gradient)] in step.op.spec.strided

    def take(self, tensor: Tensor) -> Tensor | None:
        """The finished gradient of a Step's output, or None where nothing reached it."""
        whole = self._whole.pop(tensor, None)
        if tensor not in self._parts:
            return whole
        parts, regions = self._parts.pop(tensor)
        covered = sum(rows * length for _, rows, length, _ in regions)
        if whole is not None or covered != tensor.size:
            raise ProgramError(
                f"[backward] the views of {tensor!r} that a gradient reaches must cover it once: "
                f"{covered} of {tensor.size} elements" + (", and it is used whole too" if whole is not None else "")
            )
        return parts
