"""Patterns: values with places in them. A form of request draws a value from its pattern, and finds itself in a value.

A place (Slot) has a name; where the name comes again, the value does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from nyx.text.hlx.values import Contract, Value, same
from nyx.text.hlx.words import Domain


@dataclass(frozen=True)
class Scene:
    """What a request is about: a place of work and a tag of some of its things."""

    domain: Domain
    thing: str


@dataclass(frozen=True)
class Slot:
    """draw(rng, scene): a value for this place. admits(value): whether it could have been drawn."""

    name: str
    draw: Callable[[Random, Scene], Value]
    admits: Callable[[Value], bool]


Pattern: TypeAlias = Any  # a Value that may have Slots in it


def draw(pattern: Pattern, rng: Random, scene: Scene, bound: dict[str, Value]) -> Any:
    """A value of the pattern; `bound` has the values of places that were drawn already, and gets the new ones."""
    match pattern:
        case Slot():
            if pattern.name not in bound:
                bound[pattern.name] = pattern.draw(rng, scene)
            return bound[pattern.name]
        case list():
            return [draw(item, rng, scene, bound) for item in pattern]
        case dict():
            return {name: draw(item, rng, scene, bound) for name, item in pattern.items()}
        case Contract():
            return Contract(pattern.number, {i: draw(item, rng, scene, bound) for i, item in pattern.fields.items()})
    return pattern


def find(pattern: Pattern, value: Value, bound: dict[str, Value]) -> bool:
    """Whether the value is one of the pattern; `bound` gets the values of its places."""
    match pattern:
        case Slot():
            if pattern.name in bound:
                return same(bound[pattern.name], value)
            bound[pattern.name] = value
            return pattern.admits(value)
        case list():
            return (isinstance(value, list) and len(value) == len(pattern)
                    and all(find(p, v, bound) for p, v in zip(pattern, value, strict=True)))  # fmt: skip
        case dict():
            return (isinstance(value, dict) and value.keys() == pattern.keys()
                    and all(find(p, value[name], bound) for name, p in pattern.items()))  # fmt: skip
        case Contract():
            return (isinstance(value, Contract) and value.number == pattern.number
                    and value.fields.keys() == pattern.fields.keys()
                    and all(find(p, value.fields[i], bound) for i, p in pattern.fields.items()))  # fmt: skip
    return same(pattern, value)


def slots(pattern: Pattern) -> Iterator[Slot]:
    """The places of a pattern, in order; one that comes twice, twice."""
    match pattern:
        case Slot():
            yield pattern
        case list():
            for item in pattern:
                yield from slots(item)
        case dict():
            for item in pattern.values():
                yield from slots(item)
        case Contract():
            for item in pattern.fields.values():
                yield from slots(item)
