"""The plain forms of request: what each kind of operation works on, and the ways to ask for it in English.

`orders` are commands in lower case, which pipelines and other requests take up; `questions` are whole sentences. In
both, {name} is what stands in the place of that name, in words.
"""

from __future__ import annotations

from dataclasses import dataclass

from nyx.text.hlx import slots as s
from nyx.text.hlx.patterns import Pattern
from nyx.text.hlx.values import Contract, Handle, error, operation


@dataclass(frozen=True)
class Form:
    """kind: the operation's name. pattern: its value, with places to fill."""

    kind: str
    pattern: Contract
    orders: tuple[str, ...]
    questions: tuple[str, ...] = ()


def form(kind: str, *fields: Pattern, orders: str, questions: str = "", fails: str = "") -> Form:
    """A form from its operation's fields and its sentences, one on each line; `fails` names the error it leads to."""
    value = operation(kind, *fields)
    return Form(kind, error(fails, value) if fails else value, _lines(orders), _lines(questions))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


PLAIN = (
    form("navigate", s.PLACE, orders="""take me to the {place}
         bring up the {place}
         switch over to the {place}
         head for the {place}""",
         questions="""How do I get to the {place}?
         Can we visit the {place}?"""),
    form("navigate", s.PLACE, {"row": s.COUNT}, orders="""take me to row {count} of the {place}
         bring up row {count} in the {place}
         jump to row {count} inside the {place}""",
         questions="Where is row {count} of the {place}?"),
    form("navigate", s.PLACE, s.THING, orders="""lead me to the {thing} in the {place}
         show the way to the {thing} inside the {place}
         walk over to the {place} where the {thing} are""",
         questions="Where in the {place} are the {thing}?"),
    form("navigate", s.PLACE, {"from": s.ORIGIN}, orders="""guide me from the {origin} to the {place}
         leave the {origin} and head for the {place}""",
         questions="What is the way from the {origin} to the {place}?"),
    form("search", s.THING, s.TOPIC, orders="""scan the {thing} for {topic}
         hunt for {topic} among the {thing}
         see which {thing} mention {topic}
         track down {topic} in the {thing}""",
         questions="""Do any {thing} mention {topic}?
         Is there anything about {topic} in the {thing}?"""),
    form("search", s.THING, s.TOPIC, {"limit": s.COUNT}, orders="""list at most {count} of the {thing} about {topic}
         scan the {thing} for {topic} and stop after {count} hits""",
         questions="What are the first {count} of the {thing} about {topic}?"),
    form("search", s.FILE, s.TOPIC, orders="""look inside {file} for any trace of {topic}
         comb through {file} for {topic}""",
         questions="Does {file} say anything about {topic}?"),
    form("filter", s.THING, s.STATE, orders="""hold on to the {state} {thing}
         leave out {thing} that are not {state}
         narrow the {thing} down to the {state} ones""",
         questions="""Which of the {thing} are {state}?
         Can I see just the {state} {thing}?"""),
    form("filter", s.THING, {"field": s.FIELD, "above": s.A},
         orders="""leave only the {thing} that are over {a} in {field}
         pass on {thing} with {field} above {a}""",
         questions="Which {thing} have {field} of more than {a}?"),
    form("filter", s.THING, {"field": s.FIELD, "below": s.A},
         orders="""leave only the {thing} that are under {a} in {field}
         pass on {thing} with {field} below {a}""",
         questions="Which {thing} have {field} of less than {a}?"),
    form("filter", s.THING, {"field": s.FIELD, "from": s.between("a", 1, 99), "to": s.between("b", 100, 999)},
         orders="""stay with the {thing} that lie between {a} and {b} in {field}
         drop all {thing} but those with {field} from {a} to {b}"""),
    form("filter", s.THING, s.STATE, {"field": s.FIELD, "above": s.A},
         orders="""leave only the {state} {thing} that are over {a} in {field}
         pass on those of the {state} {thing} with {field} above {a}"""),
    form("transform", s.THING, s.SHAPE, orders="""turn the {thing} into a {shape}
         make a {shape} out of the {thing}
         lay the {thing} out as a {shape}""",
         questions="""Could the {thing} become a {shape}?
         What would the {thing} look like as a {shape}?"""),
    form("transform", s.THING, Handle("sorted"), s.FIELD, orders="""put the {thing} in order of {field}
         arrange the {thing} by {field}
         line up the {thing} by their {field}""",
         questions="How do the {thing} rank by {field}?"),
    form("transform", s.THING, Handle("sorted"), s.FIELD, {"falling": True},
         orders="""put the {thing} in order of {field}, highest first
         arrange the {thing} by falling {field}"""),
    form("transform", s.THING, Handle("grouped"), s.FIELD, orders="""split the {thing} into piles by {field}
         bundle the {thing} that share a value of {field}""",
         questions="What groups do the {thing} form by {field}?"),
    form("transform", s.THING, {"field": s.FIELD, "times": s.A}, orders="""scale the {field} of the {thing} by {a}
         stretch the {field} of all {thing} by a factor of {a}"""),
    form("aggregate", s.STATISTIC, s.FIELD, s.THING, orders="""work out the {statistic} {field} of the {thing}
         tell me the {statistic} {field} for the {thing}
         report the {statistic} {field} across all {thing}""",
         questions="""What is the {statistic} {field} of the {thing}?
         Do we know the {statistic} {field} among the {thing}?"""),
    form("aggregate", Handle("count"), s.THING, orders="""tally up the {thing}
         give the number of {thing}""",
         questions="""How many {thing} are there?
         What number of {thing} do we have?"""),
    form("aggregate", Handle("count"), s.THING, {"by": s.FIELD}, orders="""tally up the {thing} for each {field}
         give the number of {thing} by {field}""",
         questions="How many {thing} are there per {field}?"),
    form("aggregate", s.STATISTIC, s.FIELD, s.THING, s.STATE,
         orders="""work out the {statistic} {field} of just the {state} {thing}
         report the {statistic} {field}, looking at {state} {thing} alone"""),
    form("read", s.FILE, orders="""pull in {file}
         fetch {file}
         take everything from {file}
         bring {file} into view""",
         questions="""What does {file} say?
         What is inside {file}?"""),
    form("read", s.FILE, {"rows": s.COUNT}, orders="""fetch the first {count} lines of {file}
         pull in {file} up to line {count}""",
         questions="What do the first {count} lines of {file} say?"),
    form("read", s.FILE, s.FIELD, orders="""pull only the {field} out of {file}
         take nothing but the {field} from {file}""",
         questions="What {field} does {file} give?"),
    form("write", s.FILE, s.THING, orders="""put the {thing} into {file}
         keep a copy of the {thing} as {file}
         note the {thing} down in {file}""",
         questions="""Can you file the {thing} as {file}?
         Would you put the {thing} away in {file}?"""),
    form("write", s.FILE, s.THING, {"append": True}, orders="""add the {thing} at the end of {file}
         let the {thing} follow what {file} holds"""),
    form("write", s.FILE, s.RECORD, orders="""make {file} with {record}
         jot down {record} in {file}"""),
    form("write", s.FILE, s.RECORDS, orders="""fill {file} with these rows: {records}
         put one line each into {file} for {records}"""),
    form("compute", s.OPERATOR, [s.A, s.B], orders="""figure out {a} {operator} {b}
         do the sum {a} {operator} {b}""",
         questions="""How much is {a} {operator} {b}?
         What comes out of {a} {operator} {b}?"""),
    form("compute", s.CHOICE, [s.A, s.B, s.C], orders="give the {choice} of {a}, {b} and {c}",
         questions="What is the {choice} of {a}, {b} and {c}?"),
    form("compute", s.CHOICE, s.NUMBERS, orders="""give the {choice} of {numbers}
         go through {numbers} and report their {choice}"""),
    form("compute", Handle("percent"), [s.A, s.B], orders="""take {a} percent of {b}
         cut {b} down to {a} percent""",
         questions="How much is {a} percent of {b}?"),
    form("validate", s.THING, s.RULE, orders="""make sure the {thing} follow the {rule}
         test the {thing} against the {rule}
         hold the {thing} up to the {rule}""",
         questions="""Do the {thing} follow the {rule}?
         Are the {thing} in line with the {rule}?"""),
    form("validate", s.FILE, s.checksum("checksum", 2), orders="""make sure {file} has the checksum {checksum}
         compare {file} with the checksum {checksum}""",
         questions="Does {file} still have the checksum {checksum}?"),
    form("validate", s.FILE, s.RULE, orders="""see whether {file} keeps to the {rule}
         put {file} through the {rule}"""),
    form("validate", s.THING, {"field": s.FIELD, "below": s.A},
         orders="""make sure all {thing} stay under {a} in {field}
         confirm that no {field} of the {thing} reaches {a}""",
         questions="Do all {thing} stay under {a} in {field}?"),
    form("execute", s.JOB, orders="""start the {job}
         kick off the {job}
         set the {job} going""",
         questions="Can the {job} begin now?"),
    form("execute", s.JOB, s.THING, orders="""start the {job} on the {thing}
         let the {thing} go through the {job}""",
         questions="Can the {thing} have the {job} now?"),
    form("execute", s.JOB, s.COUNT, orders="""repeat the {job} {count} times
         go through the {job} {count} times""",
         questions="Can the {job} be done {count} times?"),
    form("execute", s.JOB, {"at": s.TIME}, orders="""start the {job} at {time}
         let the {job} begin at {time}""",
         questions="Is {time} a good hour for the {job}?"),
    form("execute", s.JOB, {"then": s.NEXT_JOB}, orders="""let the {next} follow the {job}
         start the {job} and go on with the {next}"""),
    form("execute", s.JOB, s.THING, {"quiet": True}, orders="start the {job} on the {thing} without a sound",
         questions="Can the {job} of the {thing} go quietly?"),
    form("execute", s.JOB, s.THING, {"quiet": False}, orders="start the {job} on the {thing} with every message shown"),
)  # fmt: skip
KINDS = tuple(dict.fromkeys(form.kind for form in PLAIN))
