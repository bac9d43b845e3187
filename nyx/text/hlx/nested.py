"""Requests inside requests, and the cases at the edge: empty, zero, negative, missing, very long, and requests that
cannot be met, whose value is an error contract with the request in it."""

from __future__ import annotations

from random import Random

from nyx.text.hlx import slots as s
from nyx.text.hlx.forms import PLAIN, form
from nyx.text.hlx.patterns import Scene, Slot, draw
from nyx.text.hlx.phrases import pick
from nyx.text.hlx.values import OPERATION, Contract, Handle, Value, operation


def inner(*kinds: str) -> Slot:
    """A place for a request of one of these kinds; in one of four, itself with a request inside."""

    def drawn(rng: Random, scene: Scene) -> Value:
        forms = NESTED if rng.random() < 0.25 else PLAIN
        fitting = [form for form in forms if form.kind in kinds] or [form for form in PLAIN if form.kind in kinds]
        return draw(pick(rng, fitting).pattern, rng, scene, {})

    def admitted(value: Value) -> bool:
        return isinstance(value, Contract) and value.number == OPERATION and value.fields.get(0) in kinds

    return Slot("inner", drawn, admitted)


SOME, RESULT = inner("search", "filter", "read"), inner("aggregate", "compute")
NESTED = (
    form("navigate", s.PLACE, {"after": inner("validate", "execute", "write")},
         orders="""go to the {place}, but before that {inner}
         head for the {place}, having taken care to {inner}"""),
    form("search", SOME, s.TOPIC, orders="""look for {topic} in what you have when you {inner}
         spot {topic} in the outcome when you {inner}"""),
    form("filter", SOME, s.STATE, orders="""keep whatever is {state} when you {inner}
         remove what is not {state} from the outcome when you {inner}"""),
    form("filter", SOME, {"field": s.FIELD, "above": s.A},
         orders="keep whatever has {field} above {a} when you {inner}"),
    form("transform", SOME, s.SHAPE, orders="""draw a {shape} of what you have when you {inner}
         show me a {shape} of the outcome when you {inner}"""),
    form("transform", SOME, Handle("sorted"), s.FIELD, orders="rank by {field} what you have when you {inner}"),
    form("aggregate", Handle("count"), SOME, orders="""count what is left when you {inner}
         say how much there is when you {inner}"""),
    form("aggregate", s.STATISTIC, s.FIELD, SOME,
         orders="find the {statistic} {field} of what is left when you {inner}"),
    form("read", s.FILE, {"otherwise": inner("read", "search", "execute", "navigate")},
         orders="""fetch {file}, or failing that {inner}
         open {file}; should it be missing, {inner}"""),
    form("write", s.FILE, RESULT, orders="""record in {file} what you find when you {inner}
         let {file} hold the answer when you {inner}"""),
    form("write", s.FILE, inner("filter", "transform", "search"),
         orders="store as {file} what you have when you {inner}"),
    form("compute", s.OPERATOR, [RESULT, s.A], orders="""take the answer when you {inner}, and that {operator} {a}
         work on with {operator} {a} from the number you get when you {inner}"""),
    form("compute", s.OTHER_OPERATOR, [operation("compute", s.OPERATOR, [s.A, s.B]), s.C],
         orders="""figure out {a} {operator} {b}, and the outcome {again} {c}
         do the sum {a} {operator} {b}, all of it {again} {c}""",
         questions="How much is {a} {operator} {b}, all of it {again} {c}?"),
    form("validate", SOME, s.RULE, orders="""apply the {rule} to what you have when you {inner}
         use the {rule} to judge the outcome when you {inner}"""),
    form("execute", s.JOB, {"when": inner("validate")}, orders="""begin the {job} only if it works out when you {inner}
         wait with the {job} until all is well when you {inner}"""),
    form("execute", s.JOB, SOME, orders="run the {job} over what you have when you {inner}"),
)  # fmt: skip
FALLING = {"field": s.FIELD, "from": s.between("a", 500, 999), "to": s.between("b", 1, 499)}
EDGE = (
    form("navigate", s.PLACE, {"row": 0}, fails="no_such_row", orders="take me to row 0 of the {place}",
         questions="Where is row 0 of the {place}?"),
    form("navigate", s.PLACE, {"row": s.BELOW_ZERO}, fails="no_such_row",
         orders="jump to row {count} inside the {place}"),
    form("navigate", s.PLACE, s.THING, fails="no_such_place",
         orders="""lead me to the {thing} in the {place} that was torn down
         walk over to the {place}, which is gone, where the {thing} were"""),
    form("navigate", None, s.THING, orders="take the {thing} nowhere at all"),
    form("search", s.THING, "", fails="empty_query", orders="""scan the {thing} for an empty word
         hunt for nothing at all among the {thing}"""),
    form("search", s.THING, s.MARK, orders="""hunt for the mark {mark} among the {thing}
         see which {thing} have a {mark} in them"""),
    form("search", s.THING, s.LONG_TOPIC, orders="""scan the {thing} for these words: {topic}
         hunt for the phrase {topic} among the {thing}"""),
    form("search", [], s.TOPIC, orders="scan an empty list for {topic}"),
    form("filter", s.THING, FALLING, fails="empty_range",
         orders="""stay with the {thing} that lie between {a} and {b} in {field}
         drop all {thing} but those with {field} from {a} to {b}"""),
    form("filter", s.THING, {"field": s.FIELD, "is": None}, orders="leave only the {thing} with {field} unknown",
         questions="Which {thing} have no {field}?"),
    form("filter", s.THING, {"field": s.FIELD, "is": 0}, orders="pass on {thing} with {field} at zero"),
    form("filter", s.THING, {"field": s.FIELD, "below": s.BELOW_ZERO},
         orders="pass on {thing} with {field} below {count}"),
    form("filter", s.THING, {}, orders="pass on the {thing} as they are, with no condition"),
    form("transform", s.THING, Handle("sorted"), None, fails="missing_field",
         orders="put the {thing} in order of nothing in particular"),
    form("transform", s.THING, {"field": s.FIELD, "missing": 0}, orders="treat an unknown {field} of the {thing} as 0"),
    form("transform", s.THING, {"field": s.FIELD, "times": 0}, orders="scale the {field} of the {thing} by 0"),
    form("transform", s.THING, {"field": s.FIELD, "times": s.BELOW_ZERO},
         orders="scale the {field} of the {thing} by {count}"),
    form("aggregate", s.STATISTIC, s.FIELD, s.THING, fails="no_data",
         orders="""work out the {statistic} {field} of the {thing}, of which there are none
         report the {statistic} {field} across zero {thing}"""),
    form("aggregate", Handle("count"), [s.THING], orders="give the number of lists in a list of just the {thing}"),
    form("read", s.FILE, fails="no_such_file", orders="""fetch {file}, which was deleted
         take everything from {file}, although it is gone"""),
    form("read", s.FILE, {"rows": s.BELOW_ZERO}, fails="negative_count",
         orders="fetch the first {count} lines of {file}"),
    form("read", s.FILE, {"rows": 0}, orders="open {file} without taking a line"),
    form("write", s.FILE, [], orders="make {file} with an empty list"),
    form("write", s.FILE, {}, orders="make {file} with an empty record"),
    form("write", s.FILE, "", orders="leave {file} without a letter in it"),
    form("write", s.FILE, None, orders="put nothing into {file}"),
    form("write", "", s.THING, fails="missing_name", orders="put the {thing} into a file without a name"),
    form("write", s.FILE, s.LONG_NUMBERS, orders="put the numbers {numbers} into {file}"),
    form("compute", Handle("over"), [s.A, 0], fails="division_by_zero", orders="""figure out {a} over 0
         do the sum {a} over 0""",
         questions="How much is {a} over 0?"),
    form("compute", s.OPERATOR, [s.BELOW_ZERO, s.A], orders="figure out {count} {operator} {a}",
         questions="How much is {count} {operator} {a}?"),
    form("compute", s.CHOICE, s.LONG_NUMBERS, orders="give the {choice} of {numbers}"),
    form("compute", s.OPERATOR, [s.between("a", 10**9, 10**15), s.between("b", 10**6, 10**12)],
         orders="figure out {a} {operator} {b}"),
    form("compute", s.CHOICE, [s.A], orders="give the {choice} of {a} alone"),
    form("validate", s.THING, None, fails="missing_rules", orders="test the {thing} against no rule at all"),
    form("validate", s.FILE, b"", fails="empty_checksum", orders="compare {file} with an empty checksum"),
    form("validate", s.FILE, s.checksum("checksum", 16), orders="compare {file} with the long checksum {checksum}"),
    form("execute", s.JOB, s.BELOW_ZERO, fails="negative_count", orders="repeat the {job} {count} times"),
    form("execute", s.JOB, s.THING, 0, orders="repeat the {job} 0 times for the {thing}"),
    form("execute", s.JOB, s.THING, {"limit": None}, orders="start the {job} on the {thing} with no time limit"),
    form("execute", None, s.THING, fails="missing_job", orders="start something unnamed on the {thing}"),
)  # fmt: skip
