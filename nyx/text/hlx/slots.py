"""The places of the forms of request: what may stand in each, and how it is drawn."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from random import Random

from nyx.text.hlx import words
from nyx.text.hlx.domains import DOMAINS
from nyx.text.hlx.patterns import Scene, Slot
from nyx.text.hlx.phrases import pick
from nyx.text.hlx.values import Handle, Value
from nyx.text.hlx.words import Domain


def draw_thing(rng: Random, domain: Domain) -> str:
    """A tag of some things of the domain, with a qualifier in two of three."""
    return _qualified(rng, words.QUALIFIERS, pick(rng, domain.things))


def is_name(value: Value, names: frozenset[str]) -> bool:
    """Whether a value is a handle with one of these tags."""
    return isinstance(value, Handle) and value.tag in names


def handle(name: str, choices: Sequence[str]) -> Slot:
    """A place for one of some handles."""
    known = frozenset(choices)
    return Slot(name, lambda rng, _: Handle(pick(rng, choices)), lambda value: is_name(value, known))


def _of_domain(name: str, of: Callable[[Domain], Sequence[str]]) -> Slot:
    known = cache(lambda: frozenset(word for domain in DOMAINS for word in of(domain)))
    return Slot(name, lambda rng, scene: Handle(pick(rng, of(scene.domain))), lambda value: is_name(value, known()))


def _text(name: str, draw: Callable[[Random, Scene], str], form: str) -> Slot:
    known = re.compile(form)
    return Slot(name, draw, lambda value: isinstance(value, str) and bool(known.fullmatch(value)))


def _qualified(rng: Random, qualifiers: Sequence[str], name: str) -> str:
    return f"{pick(rng, qualifiers)}_{name}" if rng.random() < 2 / 3 else name


@cache
def _tags(of: str, qualifiers: Sequence[str]) -> frozenset[str]:
    names = [name for domain in DOMAINS for name in getattr(domain, of)]
    return frozenset(names) | {f"{qualifier}_{name}" for qualifier in qualifiers for name in names}


def _place(rng: Random, scene: Scene) -> Handle:
    return Handle(_qualified(rng, words.PLACE_QUALIFIERS, pick(rng, scene.domain.places)))


def _file(rng: Random, scene: Scene) -> str:
    chance = rng.random()
    period = pick(rng, words.MONTHS) if chance < 0.3 else str(2000 + int(rng.random() * 40)) if chance < 0.6 else ""
    folder = f"{pick(rng, words.FOLDERS)}/" if rng.random() < 0.2 else ""
    return f"{folder}{scene.thing}{period and '_'}{period}.{pick(rng, words.SUFFIXES)}"


def _topic(rng: Random, scene: Scene) -> str:
    """One topic, or two in one of three."""
    first, second = pick(rng, scene.domain.topics), pick(rng, scene.domain.topics)
    return first if rng.random() < 2 / 3 or first == second else f"{first} and {second}"


def _long_topic(rng: Random, scene: Scene) -> str:
    return " ".join(pick(rng, scene.domain.topics) for _ in range(6 + int(rng.random() * 10)))


def _number(rng: Random, _: Scene) -> int | float:
    """1..999, one in five with a tenth, a few larger."""
    tenths = 1 + int(rng.random() * 9990)
    if rng.random() < 0.1:
        return 1000 + tenths * 10
    return tenths / 10 if rng.random() < 0.2 else 1 + tenths // 10


def _record(rng: Random, scene: Scene) -> dict[str, Value]:
    """One to four fields of the domain: numbers, and now and then yes, no or unknown."""
    names = [pick(rng, scene.domain.fields) for _ in range(1 + int(rng.random() * 4))]
    return {name: pick(rng, (True, False, None)) if rng.random() < 0.2 else _number(rng, scene) for name in names}


def _many(rng: Random, at_least: int, more: int) -> list[Value]:
    return [1 + int(rng.random() * 99) for _ in range(at_least + int(rng.random() * more))]


def is_number(value: Value) -> bool:
    return type(value) in (int, float)


def number(name: str, draw: Callable[[Random], float] | None = None,
           admits: Callable[[float], bool] = lambda value: value > 0) -> Slot:  # fmt: skip
    """A place for a number; by default a positive one."""
    def admitted(value: Value) -> bool:
        return isinstance(value, int | float) and is_number(value) and admits(value)

    return Slot(name, _number if draw is None else lambda rng, _: draw(rng), admitted)


def between(name: str, least: int, most: int) -> Slot:
    """A place for an integer from least to most, with low ones as likely as high ones."""
    return Slot(name, lambda rng, _: least + int(rng.random() * (most - least + 1)),
                lambda value: type(value) is int and least <= value <= most)  # fmt: skip


def checksum(name: str, size: int) -> Slot:
    """A place for `size` bytes."""
    return Slot(name, lambda rng, _: bytes(int(rng.random() * 256) for _ in range(size)),
                lambda value: isinstance(value, bytes) and len(value) == size)  # fmt: skip


THING = Slot("thing", lambda rng, scene: Handle(scene.thing),
             lambda value: is_name(value, _tags("things", words.QUALIFIERS)))  # fmt: skip
PLACE = Slot("place", _place, lambda value: is_name(value, _tags("places", words.PLACE_QUALIFIERS)))
ORIGIN = Slot("origin", PLACE.draw, PLACE.admits)
FIELD = _of_domain("field", lambda d: d.fields)
OTHER_FIELD = Slot("other", FIELD.draw, FIELD.admits)
STATE = _of_domain("state", lambda d: d.states)
RULE = _of_domain("rule", lambda d: d.rules)
JOB = _of_domain("job", lambda d: d.jobs)
NEXT_JOB = Slot("next", JOB.draw, JOB.admits)
SHAPE = handle("shape", words.SHAPES)
STATISTIC = handle("statistic", words.STATISTICS)
OPERATOR = handle("operator", words.OPERATORS)
OTHER_OPERATOR = handle("again", words.OPERATORS)
CHOICE = handle("choice", words.CHOICES)
TOPIC = _text("topic", _topic, r"[a-z]+(?: and [a-z]+)?")
LONG_TOPIC = _text("topic", _long_topic, r"[a-z]+(?: [a-z]+){5,}")
MARK = _text("mark", lambda rng, _: pick(rng, words.MARKS), f"[{re.escape(words.MARKS)}]")
FILE = _text("file", _file, r"(?:[a-z]+/)?[a-z_]+(?:_\d{4})?\.[a-z]+")
TARGET = Slot("target", FILE.draw, FILE.admits)
TIME = _text("time", lambda rng, _: f"{int(rng.random() * 24):02}:{int(rng.random() * 12) * 5:02}", r"\d\d:\d\d")
RECORD = Slot("record", _record, lambda value: isinstance(value, dict) and len(value) > 0)
RECORDS = Slot("records", lambda rng, scene: [_record(rng, scene) for _ in range(2 + int(rng.random() * 2))],
               lambda value: isinstance(value, list) and len(value) > 1 and isinstance(value[0], dict))  # fmt: skip
NUMBERS = Slot("numbers", lambda rng, _: _many(rng, 4, 9),
               lambda value: isinstance(value, list) and 4 <= len(value) < 13 and is_number(value[0]))  # fmt: skip
LONG_NUMBERS = Slot("numbers", lambda rng, _: _many(rng, 13, 18),
                    lambda value: isinstance(value, list) and len(value) > 12 and is_number(value[0]))  # fmt: skip
A, B, C = number("a"), number("b"), number("c")
COUNT = between("count", 2, 99)
BELOW_ZERO = between("count", -99, -1)
