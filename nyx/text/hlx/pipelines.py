"""Pipelines: two to eight plain requests about the same things, one after the other; and the workflows of a domain,
procedures with a name of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

from nyx.text.hlx import slots as s
from nyx.text.hlx.domains import DOMAINS
from nyx.text.hlx.forms import PLAIN, Form
from nyx.text.hlx.patterns import Pattern, Scene, Slot, draw
from nyx.text.hlx.phrases import pick
from nyx.text.hlx.values import Contract, Handle, operation, sequence
from nyx.text.hlx.words import FAULTS, Domain

KIND = "pipeline"
FIRST = ("read", "search", "navigate")
MIDDLE = ("filter", "transform", "validate", "aggregate", "compute", "search")
LAST = ("write", "aggregate", "execute", "navigate")
MIDDLES = (0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6)  # how many steps stand between the first and the last
JOINS = (  # (before the first step, between two, before the last of three or more)
    ("first ", ", then ", ", and at last "),
    ("", ", then ", ", and finally "),
    ("", "; after that ", "; in the end "),
    ("step by step: ", "; ", "; and to finish, "),
)
SETTINGS = {name: {"on_fault": Handle(name)} for name in FAULTS}
PLACES: dict[str, Slot] = {"THING": s.THING, "FILE": s.FILE, "TARGET": s.TARGET}


@dataclass(frozen=True)
class Workflow:
    """name: a tag. pattern: the value; its places are among PLACES."""

    name: str
    pattern: Contract


def workflows(domain: Domain) -> tuple[Workflow, ...]:
    """The workflows of a domain. A step is a kind and its fields: names of PLACES, 'strings', and tags of handles."""
    return tuple(map(_workflow, domain.workflows))


@cache
def all_workflows() -> dict[str, Workflow]:
    """Every workflow by its name."""
    return {workflow.name: workflow for domain in DOMAINS for workflow in workflows(domain)}


def draw_pipeline(rng: Random, scene: Scene) -> Contract:
    """The value of a workflow in one of four; else a pipeline, in one of six with what to do when a step fails."""
    if rng.random() < 0.25:
        return draw(pick(rng, workflows(scene.domain)).pattern, rng, scene, {})
    kinds = [pick(rng, FIRST), *(pick(rng, MIDDLE) for _ in range(pick(rng, MIDDLES))), pick(rng, LAST)]
    steps = [draw(pick(rng, _plain(kind)).pattern, rng, scene, {}) for kind in kinds]
    if rng.random() < 1 / 6:
        return operation(KIND, sequence(*steps), SETTINGS[pick(rng, tuple(FAULTS))])
    return operation(KIND, sequence(*steps))


@cache
def _plain(kind: str) -> tuple[Form, ...]:
    return tuple(form for form in PLAIN if form.kind == kind)


@cache
def _workflow(line: str) -> Workflow:
    name, _, steps = line.partition(": ")
    return Workflow(name, operation(KIND, sequence(*map(_step, steps.split(" | "))), Handle(name)))


def _step(text: str) -> Contract:
    kind, *fields = text.split()
    return operation(kind, *map(_field, fields))


def _field(word: str) -> Pattern:
    return PLACES[word] if word in PLACES else word.strip("'") if word[0] == "'" else Handle(word)
