"""The forms of request: what each kind of operation works on, and the ways to ask for it in English.

A form draws the fields of an operation and phrases them. `orders` are commands in lower case, which pipelines join;
`questions` are whole sentences. In both, {1} is field 1 in words, and {2[0]} or {2[name]} a part of it.
Random choices use Random.random() alone, the one method whose sequence Python promises to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from nyx.text.hlx import words
from nyx.text.hlx.values import Contract, Handle, Value, operation
from nyx.text.hlx.words import Domain

T = TypeVar("T")
Draw = Callable[[Random, Domain, str], tuple[Value, ...]]


@dataclass(frozen=True)
class Form:
    """kind: the operation's name, its field 0. draw(rng, domain, thing): its other fields."""

    kind: str
    draw: Draw
    orders: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """One meaning: a form with its fields filled in."""

    form: Form
    fields: tuple[Value, ...]

    def value(self) -> Contract:
        return operation(self.form.kind, *self.fields)

    def orders(self) -> list[str]:
        """Every command for this meaning, in lower case."""
        return self._fill(self.form.orders)

    def sentences(self) -> list[str]:
        """Every English sentence for this meaning."""
        return [capital(order) for order in self.orders()] + self._fill(self.form.questions)

    def _fill(self, templates: tuple[str, ...]) -> list[str]:
        spoken = [None, *map(_spoken, self.fields)]
        return [template.format(*spoken) for template in templates]


def pick(rng: Random, items: Sequence[T]) -> T:
    return items[int(rng.random() * len(items))]


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def draw_thing(rng: Random, domain: Domain) -> str:
    """A tag of some things of the domain, with a qualifier in one of three."""
    return _qualified(rng, words.QUALIFIERS, pick(rng, domain.things))


def draw_request(rng: Random, form: Form, domain: Domain, thing: str) -> Request:
    return Request(form, form.draw(rng, domain, thing))


def _qualified(rng: Random, qualifiers: Sequence[str], name: str) -> str:
    return f"{pick(rng, qualifiers)}_{name}" if rng.random() < 1 / 3 else name


def _spoken(value: Value) -> Any:
    """A field in words; of arrays and objects, each part in words."""
    match value:
        case Handle():
            return value.tag.replace("_", " ")
        case bytes():
            return value.hex()
        case list():
            return [_spoken(item) for item in value]
        case dict():
            return {name: _spoken(item) for name, item in value.items()}
    return str(value)


def _file(rng: Random, thing: str) -> str:
    period = f"_{pick(rng, words.PERIODS)}" if rng.random() < 0.5 else ""
    return f"{thing}{period}.{pick(rng, words.SUFFIXES)}"


def _number(rng: Random) -> int | float:
    tenths = 1 + int(rng.random() * 999)
    return tenths / 10 if rng.random() < 0.2 else 1 + tenths // 10


def _limit(bound: str, phrase: str) -> Form:
    return Form(
        "filter",
        lambda rng, d, thing: (Handle(thing), {"field": Handle(pick(rng, d.fields)), bound: _number(rng)}),
        (f"leave only the {{1}} with a {{2[field]}} {phrase} {{2[{bound}]}}",
         f"pass on {{1}} whose {{2[field]}} is {phrase} {{2[{bound}]}}"),
        (f"Which {{1}} have a {{2[field]}} {phrase} {{2[{bound}]}}?",),
    )  # fmt: skip


def _setting(option: dict[str, Value], orders: tuple[str, ...], questions: tuple[str, ...]) -> Form:
    return Form("execute", lambda rng, d, thing: (Handle(pick(rng, d.jobs)), option), orders, questions)


def _thing_and(choices: Callable[[Domain], Sequence[str]]) -> Draw:
    return lambda rng, d, thing: (Handle(thing), Handle(pick(rng, choices(d))))


FORMS = (
    Form(
        "navigate",
        lambda rng, d, thing: (Handle(_qualified(rng, words.PLACE_QUALIFIERS, pick(rng, d.places))),),
        ("take me to the {1}", "bring up the {1}", "switch over to the {1}", "head for the {1}"),
        ("How do I get to the {1}?", "Can we visit the {1}?"),
    ),
    Form(
        "search",
        lambda rng, d, thing: (Handle(thing), pick(rng, d.topics)),
        ("scan the {1} for {2}", "hunt for {2} among the {1}", "see which {1} mention {2}"),
        ("Do any {1} mention {2}?", "Is there anything about {2} in the {1}?"),
    ),
    Form(
        "filter",
        _thing_and(lambda d: d.states),
        ("hold on to the {2} {1}", "leave out {1} that are not {2}", "narrow the {1} down to the {2} ones"),
        ("Which of the {1} are {2}?", "Can I see just the {2} {1}?"),
    ),
    _limit("above", "more than"),
    _limit("below", "less than"),
    Form(
        "transform",
        _thing_and(lambda d: words.SHAPES),
        ("turn the {1} into a {2}", "make a {2} out of the {1}", "lay the {1} out as a {2}"),
        ("Could the {1} become a {2}?", "What would the {1} look like as a {2}?"),
    ),
    Form(
        "transform",
        lambda rng, d, thing: (Handle(thing), Handle("sorted"), Handle(pick(rng, d.fields))),
        ("put the {1} in order of {3}", "arrange the {1} by {3}", "line up the {1} by their {3}"),
        ("How do the {1} rank by {3}?",),
    ),
    Form(
        "aggregate",
        lambda rng, d, thing: (Handle(pick(rng, words.STATISTICS)), Handle(pick(rng, d.fields)), Handle(thing)),
        ("work out the {1} {2} of the {3}", "tell me the {1} {2} for the {3}", "report the {1} {2} across all {3}"),
        ("What is the {1} {2} of the {3}?", "Do we know the {1} {2} among the {3}?"),
    ),
    Form(
        "aggregate",
        lambda rng, d, thing: (Handle("count"), Handle(thing)),
        ("tally up the {2}", "give the number of {2}"),
        ("How many {2} are there?", "What number of {2} do we have?"),
    ),
    Form(
        "read",
        lambda rng, d, thing: (_file(rng, thing),),
        ("pull in {1}", "fetch {1}", "take everything from {1}", "bring {1} into view"),
        ("What does {1} say?", "What is inside {1}?"),
    ),
    Form(
        "write",
        lambda rng, d, thing: (_file(rng, thing), Handle(thing)),
        ("put the {2} into {1}", "keep a copy of the {2} as {1}", "note the {2} down in {1}"),
        ("Can you file the {2} as {1}?", "Would you put the {2} away in {1}?"),
    ),
    Form(
        "compute",
        lambda rng, d, thing: (Handle(pick(rng, words.OPERATORS)), [_number(rng), _number(rng)]),
        ("figure out {2[0]} {1} {2[1]}", "do the sum {2[0]} {1} {2[1]}"),
        ("How much is {2[0]} {1} {2[1]}?", "What comes out of {2[0]} {1} {2[1]}?"),
    ),
    Form(
        "compute",
        lambda rng, d, thing: (Handle(pick(rng, words.CHOICES)), [_number(rng), _number(rng), _number(rng)]),
        ("give the {1} of {2[0]}, {2[1]} and {2[2]}",),
        ("What is the {1} of {2[0]}, {2[1]} and {2[2]}?",),
    ),
    Form(
        "validate",
        _thing_and(lambda d: d.rules),
        ("make sure the {1} follow the {2}", "test the {1} against the {2}", "hold the {1} up to the {2}"),
        ("Do the {1} follow the {2}?", "Are the {1} in line with the {2}?"),
    ),
    Form(
        "validate",
        lambda rng, d, thing: (_file(rng, thing), bytes(int(rng.random() * 256) for _ in range(2))),
        ("make sure {1} has the checksum {2}", "compare {1} with the checksum {2}"),
        ("Does {1} still have the checksum {2}?",),
    ),
    Form(
        "execute",
        lambda rng, d, thing: (Handle(pick(rng, d.jobs)),),
        ("start the {1}", "kick off the {1}", "set the {1} going"),
        ("Can the {1} begin now?",),
    ),
    Form(
        "execute",
        lambda rng, d, thing: (Handle(pick(rng, d.jobs)), 2 + int(rng.random() * 48)),
        ("repeat the {1} {2} times", "go through the {1} {2} times"),
        ("Can the {1} be done {2} times?",),
    ),
    _setting({"quiet": True}, ("start the {1} quietly", "set the {1} going without a sound"),
             ("Can the {1} begin quietly?",)),
    _setting({"quiet": False}, ("start the {1} with every message shown", "set the {1} going out loud"),
             ("Can the {1} begin with every message shown?",)),
    _setting({"limit": None}, ("start the {1} with no time limit", "let the {1} take as long as it needs"),
             ("Can the {1} begin with no time limit?",)),
)  # fmt: skip
KINDS = tuple(dict.fromkeys(form.kind for form in FORMS))


def forms_of(kind: str) -> tuple[Form, ...]:
    return tuple(form for form in FORMS if form.kind == kind)
