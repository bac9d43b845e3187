"""AdamW as Steps of an update Program: gradient norm, clipping, then one `adam` Step for each run of alike
parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nyx import ops
from nyx.backends.base import Backend
from nyx.backends.memory import padded
from nyx.nn.parameters import Parameter, Parameters
from nyx.program import Program
from nyx.tensor import Tensor


@dataclass
class Group:
    """Neighbours in one flat buffer that always train together; `updates` counts how often they did."""

    members: tuple[Parameter, ...]
    reach: frozenset[int | None]
    updates: int = 0

    @property
    def span(self) -> tuple[int, int, int]:
        """Flat buffer, first element, one past the last."""
        first, last = self.members[0], self.members[-1]
        return first.index, first.offset, last.offset + padded(last.tensor.size)


class AdamW:
    """Decoupled weight decay (Loshchilov and Hutter 2019) with global-norm clipping, all on the device.

    A parameter that no gradient reaches is neither updated nor decayed, and its bias correction waits with it, as in
    PyTorch where its gradient is None. `control` holds scale, norm, flag, and the step at which the flag was set.
    """

    def __init__(
        self,
        parameters: Parameters,
        reached: dict[int | None, Iterable[Tensor]],
        updates: Mapping[str, int],
        *,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
    ) -> None:
        """reached: for every kind of training Program (keyed by its bp_steps) the parameters that it reaches.
        updates: how many each has had so far, by name."""
        self.parameters, self.betas, self.eps, self.weight_decay = parameters, betas, eps, weight_decay
        sets = {key: set(tensors) for key, tensors in reached.items()}
        reach = {p.name: frozenset(key for key in sets if p.tensor in sets[key]) for p in parameters}
        self.groups = _groups(list(parameters), reach, updates)
        self.hyper = Tensor("hyper", (len(self.groups) + 1, 4), role="input")
        self.control = Tensor("control", (4,), role="state")
        self.programs = {key: self._update(key) for key in reached}

    def _update(self, key: int | None) -> Program:
        program = Program("update" if key is None else f"update.bp{key}")
        with program:
            spans = [(row, g.span) for row, g in enumerate(self.groups, start=1) if key in g.reach]
            gradients = [self.parameters.twin("grad", *span) for _, span in spans]
            partials = [ops.grad_norm(g) for g in gradients]
            total = program.temp("partials", (sum(p.size for p in partials),))
            at = 0
            for partial in partials:
                partial.place(total.flat(at, partial.shape))
                at += partial.size
            ops.clip(total, self.hyper, self.control)
            for (row, span), gradient in zip(spans, gradients, strict=True):
                p, m, v = (self.parameters.twin(kind, *span) for kind in ("param", "m", "v"))
                ops.adam(
                    gradient, self.hyper, self.control, p, m, v,
                    row=row, beta1=self.betas[0], beta2=self.betas[1], eps=self.eps,
                )  # fmt: skip
        return program

    def step(self, backend: Backend, key: int | None, *, step: int, lr: float, grad_clip: float) -> None:
        """Runs the update that belongs to a training Program. step: its number, reported if a value is not finite."""
        hyper = np.zeros(self.hyper.shape, np.float32)
        hyper[0, :3] = lr, grad_clip, step
        for row, group in enumerate(self.groups, start=1):
            group.updates += key in group.reach
            n = max(1, group.updates)
            hyper[row, :3] = (
                self.weight_decay if group.members[0].decay else 0.0,
                1 - self.betas[0] ** n,
                1 - self.betas[1] ** n,
            )
        backend.write(self.hyper, hyper)
        backend.run(self.programs[key])

    def state(self, backend: Backend) -> dict[str, np.ndarray]:
        """The moments, as `m.NAME` and `v.NAME`."""
        return {f"{kind}.{name}": a for kind in ("m", "v") for name, a in self.parameters.read(backend, kind).items()}

    def load(self, backend: Backend, state: dict[str, np.ndarray]) -> None:
        """Takes what `state` gave."""
        for kind in ("m", "v"):
            values = {name.removeprefix(f"{kind}."): a for name, a in state.items() if name.startswith(f"{kind}.")}
            self.parameters.write(backend, values, kind)

    def updates(self) -> dict[str, int]:
        """How many updates each parameter has had."""
        return {p.name: group.updates for group in self.groups for p in group.members}


def _groups(
    parameters: Sequence[Parameter], reach: dict[str, frozenset[int | None]], updates: Mapping[str, int]
) -> list[Group]:
    def alike(p: Parameter) -> tuple[Any, ...]:
        return p.index, p.decay, reach[p.name], updates.get(p.name, 0)

    groups: list[Group] = []
    for p in parameters:
        if groups and alike(groups[-1].members[0]) == alike(p):
            groups[-1].members += (p,)
        else:
            groups.append(Group((p,), reach[p.name], updates.get(p.name, 0)))
    return groups
