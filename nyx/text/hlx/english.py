"""What a value is in English: every sentence that the forms, pipelines and workflows have for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from nyx.text.hlx.forms import PLAIN, Form
from nyx.text.hlx.nested import EDGE, NESTED
from nyx.text.hlx.patterns import find
from nyx.text.hlx.phrases import Phrase, Sentences, Ways, filled
from nyx.text.hlx.pipelines import JOINS, KIND, SETTINGS, all_workflows
from nyx.text.hlx.values import ERROR, OPERATION, Contract, Handle, Value
from nyx.text.hlx.words import FAULTS

FOR_WORKFLOWS = (
    "go through the {name} for the {thing}", "carry out the {name} on the {thing}", "see to the {name} of the {thing}",
)  # fmt: skip
ENDS_WORKFLOWS = (("file", ", starting with {file}"), ("target", ", ending in {target}"))
ASK_WORKFLOWS = ("Can the {name} of the {thing} take place{rest}?",)


def phrasings(value: Value) -> Sentences:
    """The sentences the generator has for a value; none for a value it does not make."""
    if kind_of(value) == KIND and isinstance(value, Contract):
        return _pipeline(value)
    orders: list[Phrase] = []
    questions: list[Phrase] = []
    for form, words in _forms_in(value):
        orders += [filled(template, words) for template in form.orders]
        questions += [filled(template, words) for template in form.questions]
    return Sentences(Ways(tuple(orders)), Ways(tuple(questions)))


def kind_of(value: Value) -> str:
    """The name of the operation that a value is, or that an error contract is about; "" for other values."""
    if isinstance(value, Contract) and value.number == ERROR:
        value = value.fields.get(1)
    name = value.fields.get(0) if isinstance(value, Contract) and value.number == OPERATION else None
    return name if isinstance(name, str) else ""


def _forms_in(value: Value) -> Iterator[tuple[Form, Mapping[str, Phrase]]]:
    """The forms that make this value, each with the words for its places."""
    for form in _forms_of(kind_of(value)):
        bound: dict[str, Value] = {}
        if find(form.pattern, value, bound):
            yield form, {name: _spoken(part) for name, part in bound.items()}


@cache
def _forms_of(kind: str) -> tuple[Form, ...]:
    return tuple(form for form in (*PLAIN, *NESTED, *EDGE) if form.kind == kind)


def _pipeline(value: Contract) -> Sentences:
    steps = value.fields.get(1)
    settings = value.fields.get(2)
    if not isinstance(steps, Contract) or not steps.fields:
        return Sentences(Ways(()), Ways(()))
    spoken = [phrasings(step).orders for step in steps.fields.values()]
    if isinstance(settings, Handle):
        return _named(value, settings.tag, spoken)
    end = "".join(f"; {text}" for name, text in FAULTS.items() if SETTINGS[name] == settings)
    return Sentences(Ways(tuple((*joined, end) for joined in _joined(spoken))), Ways(()))


def _joined(steps: list[Ways]) -> Iterator[tuple[Phrase, ...]]:
    for begin, between, before_last in JOINS:
        parts: list[Phrase] = [begin]
        for number, step in enumerate(steps, 1):
            if number > 1:
                parts.append(before_last if number == len(steps) > 2 else between)
            parts.append(step)
        yield tuple(parts)


def _named(value: Contract, name: str, steps: list[Ways]) -> Sentences:
    """A workflow by its name alone, or with its steps told as well."""
    bound: dict[str, Value] = {}
    workflow = all_workflows().get(name)
    if workflow is None or not find(workflow.pattern, value, bound):
        return Sentences(Ways(()), Ways(()))
    words: dict[str, Phrase] = {"name": _spoken(Handle(name))} | {k: _spoken(part) for k, part in bound.items()}
    rest = tuple(filled(template, words) for k, template in ENDS_WORKFLOWS if k in bound)
    words["rest"] = rest
    short = [(filled(template, words), rest) for template in FOR_WORKFLOWS]
    told = ("do the ", words["name"], " like this: ", Ways(tuple(_joined(steps))))
    return Sentences(Ways((*short, told)), Ways(tuple(filled(template, words) for template in ASK_WORKFLOWS)))


def _spoken(value: Value) -> Phrase:
    """A part of a request in words; of a request inside it, all the ways to ask for it."""
    match value:
        case Contract():
            return phrasings(value).orders
        case Handle():
            return value.tag.replace("_", " ")
        case bytes():
            return value.hex()
        case bool():
            return "yes" if value else "no"
        case None:
            return "unknown"
        case list():
            if value and isinstance(value[0], dict):
                return _listed(list(map(_spoken, value)), ", and also ", ", and also ")
            return _listed(list(map(_spoken, value)), ", ", " and ")
        case dict():
            named = [(name.replace("_", " "), " ", _spoken(item)) for name, item in value.items()]
            return _listed(named, ", ", " and ")
    return str(value)


def _listed(items: list, between: str, before_last: str) -> Phrase:
    parts: list[Phrase] = []
    for number, item in enumerate(items, 1):
        if number > 1:
            parts.append(before_last if number == len(items) else between)
        parts.append(item)
    return tuple(parts)
