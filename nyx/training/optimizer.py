"""Optimizers as Steps of an update Program: gradient norm, clipping, then one Step of the rule for each run of alike
parameters, and the average of the weights."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from nyx import ops
from nyx.backends.base import Backend
from nyx.backends.memory import padded
from nyx.config import TrainConfig
from nyx.errors import ConfigError
from nyx.nn.parameters import Parameter, Parameters
from nyx.program import Program
from nyx.tensor import Tensor
from nyx.training.average import WeightAverage

MOMENTS = ("m", "v")
Reach = frozenset[int | None]


@dataclass
class Group:
    """Neighbours in one flat buffer that always train together; `updates` counts how often they did."""

    members: tuple[Parameter, ...]
    reach: Reach
    decay: bool
    updates: int = 0

    @property
    def span(self) -> tuple[int, int, int]:
        """Flat buffer, first element, one past the last."""
        first, last = self.members[0], self.members[-1]
        return first.index, first.offset, last.offset + padded(last.tensor.size)


class Optimizer(ABC):
    """Global-norm clipping, decoupled weight decay and Adam's moments, all on the device; subclasses give the rule.

    A parameter that no gradient reaches is neither updated nor decayed, and its bias correction waits with it, as in
    PyTorch where its gradient is None. `control` holds scale, norm, flag, and the step at which the flag was set.
    `average` follows all parameters where train.ema_decay asks for it.
    """

    def __init__(
        self,
        parameters: Parameters,
        reached: Mapping[int | None, Iterable[Tensor]],
        updates: Mapping[str, int],
        train: TrainConfig,
    ) -> None:
        """reached: for every kind of training Program (keyed by its bp_steps) the parameters that it reaches.
        updates: how many each has had so far, by name. Raises ConfigError for a pattern in train.no_decay without a
        match."""
        self.parameters, self.train = parameters, train
        sets = {key: set(tensors) for key, tensors in reached.items()}
        reach = {p.name: frozenset(key for key in sets if p.tensor in sets[key]) for p in parameters}
        self.groups = _groups(parameters, reach, decaying(parameters, train), updates)
        self.hyper = Tensor("hyper", (len(self.groups) + 1, 4), role="input")
        self.control = Tensor("control", (4,), role="state")
        self.average = WeightAverage(parameters, train.ema_decay) if train.ema_decay else None
        self.programs = {key: self._update(key) for key in reached}

    @abstractmethod
    def rule(self, g: Tensor, p: Tensor, m: Tensor, v: Tensor, row: int) -> None:
        """Appends the Step that updates flat ranges p, m, v by their gradient; row: theirs in `hyper`."""

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
                p, m, v = (self.parameters.twin(kind, *span) for kind in ("param", *MOMENTS))
                self.rule(gradient, p, m, v, row)
            if self.average:
                self.average.follow(self.control)
        return program

    def step(self, backend: Backend, key: int | None, *, step: int, lr: float, grad_clip: float) -> None:
        """Runs the update that belongs to a training Program. step: its number, reported if a value is not finite."""
        self._check()
        hyper = np.zeros(self.hyper.shape, np.float32)
        hyper[0, :3] = lr, grad_clip, step
        for row, group in enumerate(self.groups, start=1):
            count = group.updates + (key in group.reach)
            corrections = (1 - beta ** max(1, count) for beta in self.train.betas)
            hyper[row, :3] = self.train.weight_decay if group.decay else 0.0, *corrections
        backend.write(self.hyper, hyper)
        backend.run(self.programs[key])
        for group in self.groups:  # not before: it may have failed for want of memory
            group.updates += key in group.reach

    def reset(self, backend: Backend) -> None:
        """As before the first update: moments and counts are zero, the flag is cleared, the average is the weights."""
        self._check()
        for kind in MOMENTS:
            for index, size in enumerate(self.parameters.sizes):
                backend.write(self.parameters.twin(kind, index, 0, size), np.zeros(size, np.float32))
        backend.write(self.control, np.zeros(self.control.shape, np.float32))
        for group in self.groups:
            group.updates = 0
        self.restart_average(backend)

    def restart_average(self, backend: Backend) -> None:
        """The average, where there is one, is the weights."""
        if self.average:
            self.average.start(backend)

    def state(self, backend: Backend) -> dict[str, np.ndarray]:
        """The moments, as `m.NAME` and `v.NAME`."""
        self._check()
        return {f"{kind}.{name}": a for kind in MOMENTS for name, a in self.parameters.read(backend, kind).items()}

    def load(self, backend: Backend, state: Mapping[str, np.ndarray]) -> None:
        """Takes what `state` gave."""
        for kind in MOMENTS:
            values = {name.removeprefix(f"{kind}."): a for name, a in state.items() if name.startswith(f"{kind}.")}
            self.parameters.write(backend, values, kind)

    def updates(self) -> dict[str, int]:
        """How many updates each parameter has had."""
        return {p.name: group.updates for group in self.groups for p in group.members}

    def _check(self) -> None:
        if self.average:
            self.average.check()


class AdamW(Optimizer):
    """AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW."""

    def rule(self, g: Tensor, p: Tensor, m: Tensor, v: Tensor, row: int) -> None:
        beta1, beta2 = self.train.betas
        ops.adam(g, self.hyper, self.control, p, m, v, row=row, beta1=beta1, beta2=beta2, eps=self.train.eps)


class AdamAtan2(Optimizer):
    """Adam-atan2 (Everett et al. 2024): no eps, nothing depends on the gradient's scale."""

    def rule(self, g: Tensor, p: Tensor, m: Tensor, v: Tensor, row: int) -> None:
        beta1, beta2 = self.train.betas
        ops.adam_atan2(g, self.hyper, self.control, p, m, v, row=row, beta1=beta1, beta2=beta2)


OPTIMIZERS: dict[str, type[Optimizer]] = {"adamw": AdamW, "adam_atan2": AdamAtan2}


def make_optimizer(
    parameters: Parameters,
    reached: Mapping[int | None, Iterable[Tensor]],
    updates: Mapping[str, int],
    train: TrainConfig,
) -> Optimizer:
    """The one that train.optimizer names; the arguments are those of Optimizer."""
    return OPTIMIZERS[train.optimizer](parameters, reached, updates, train)


def decaying(parameters: Parameters, train: TrainConfig) -> set[str]:
    """Names of the parameters that decay: the matrices or all, as train.decay says, but none that train.no_decay
    matches. Raises ConfigError for a pattern that matches nothing."""
    names, patterns = [p.name for p in parameters], train.no_decay or ()
    faults = []
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            close = difflib.get_close_matches(pattern[:64].strip("*."), names, n=3, cutoff=0.0)
            faults.append(f"no parameter's name matches {pattern!a}; the closest are {', '.join(close)}")
    if faults:
        raise ConfigError(f"train.no_decay: {'; '.join(faults)}")
    wanted = {p.name for p in parameters if p.decay or train.decay == "all"}
    return {name for name in wanted if not any(fnmatchcase(name, pattern) for pattern in patterns)}


def _groups(
    parameters: Iterable[Parameter], reach: Mapping[str, Reach], decays: set[str], updates: Mapping[str, int]
) -> list[Group]:
    groups: list[Group] = []
    for p in parameters:
        own = Group((p,), reach[p.name], p.name in decays, updates.get(p.name, 0))
        last = groups[-1] if groups else own
        alike = (last.reach, last.decay, last.updates) == (own.reach, own.decay, own.updates)
        if groups and alike and last.members[0].index == p.index:
            last.members += (p,)
        else:
            groups.append(own)
    return groups
