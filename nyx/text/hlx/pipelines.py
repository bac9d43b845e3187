"""Pipelines: two to four requests about the same things, one after the other, as one request."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from nyx.text.hlx.forms import Request, capital, draw_request, forms_of, pick
from nyx.text.hlx.values import Contract, operation, sequence
from nyx.text.hlx.words import Domain

KIND = "pipeline"
FIRST, MIDDLE, LAST = ("read", "search"), ("filter", "transform", "validate"), ("write", "aggregate", "execute")
JOINS = (  # (before the first step, between two, before the last of three or more)
    ("first ", ", then ", ", and at last "),
    ("", ", then ", ", and finally "),
    ("", "; after that ", "; in the end "),
)


@dataclass(frozen=True)
class Pipeline:
    """One meaning: steps in order."""

    steps: tuple[Request, ...]

    def value(self) -> Contract:
        return operation(KIND, sequence(*(step.value() for step in self.steps)))

    def sentence(self, rng: Random) -> str:
        """One English sentence for this meaning; there are too many to list."""
        begin, between, before_last = pick(rng, JOINS)
        text = begin + pick(rng, self.steps[0].orders())
        for number, step in enumerate(self.steps[1:], 2):
            text += before_last if number == len(self.steps) > 2 else between
            text += pick(rng, step.orders())
        return capital(text)


def draw_pipeline(rng: Random, domain: Domain, thing: str) -> Pipeline:
    middle = [MIDDLE] * int(rng.random() * 3)
    kinds = [pick(rng, stage) for stage in (FIRST, *middle, LAST)]
    return Pipeline(tuple(draw_request(rng, pick(rng, forms_of(kind)), domain, thing) for kind in kinds))
