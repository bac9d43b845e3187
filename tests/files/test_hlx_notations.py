"""The notations: what is written is read back in each of the four, and what is not the notation is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nyx.errors import DataError
from nyx.text import hlx
from nyx.text.hlx.notation import balanced
from nyx.text.hlx.values import DEEPEST, LARGEST, NAME, TAG, same

names, tags = st.from_regex(NAME, fullmatch=True) | st.sampled_from("CTF_"), st.from_regex(TAG, fullmatch=True)
small = st.integers(0, 9999)
whole_numbers = st.integers() | st.integers(-300, 300) | st.integers(1 - LARGEST, LARGEST - 1)
leaves = (st.none() | st.booleans() | whole_numbers | st.floats(allow_nan=False, allow_infinity=False) | st.text()
          | st.binary() | st.builds(hlx.Handle, tags))  # fmt: skip
values = st.recursive(leaves, lambda v: st.lists(v) | st.dictionaries(names, v)
                      | st.builds(hlx.Contract, small, st.dictionaries(small, v)), max_leaves=20)  # fmt: skip
notations = pytest.mark.parametrize("name", list(hlx.NOTATIONS))


def typed(value: Any) -> Any:
    """A value with its types and orders spelled out, so that 1, 1.0 and true, and 0.0 and -0.0, differ."""
    match value:
        case list():
            return ["array", *map(typed, value)]
        case dict():
            return ["object", *((key, typed(item)) for key, item in value.items())]
        case hlx.Contract():
            return ["contract", value.number, *((key, typed(item)) for key, item in value.fields.items())]
    return type(value), repr(value)


@notations
def test_what_is_written_is_read_back(name: str) -> None:
    notation = hlx.NOTATIONS[name]

    @given(value=values)
    def check(value: hlx.Value) -> None:
        text = notation.write(value)
        assert "\n" not in text
        assert typed(notation.read(text)) == typed(value)
        assert typed(notation.read(f"  {text}\n")) == typed(value)

    check()


KNOWN = [  # value, HLXL, LC-R, LC-T, LC-B
    (None, "null", "∅", "NULL", "[_]"), (True, "true", "⊤", "TRUE", "[T]"), (False, "false", "⊥", "FALSE", "[F]"),
    (0, "0", "0", "0", "[0x00]"), (7, "7", "7", "7", "[0x07]"), (200, "200", "200", "200", "[0xc8]"),
    (256, "256", "256", "256", "[0x0100]"), (32768, "32768", "32768", "32768", "[0x008000]"),
    (-1, "-1", "-1", "-1", "[0xffff]"), (-42, "-42", "-42", "-42", "[0xffd6]"),
    (-32769, "-32769", "-32769", "-32769", "[0xff7fff]"), (0.5, "0.5", "0.5", "0.5", "[0.5]"),
    (5.0, "5.0", "5.0", "5.0", "[5.0]"), (1e16, "1e+16", "1e+16", "1e+16", "[1e+16]"),
    (1e-10, "1e-10", "1e-10", "1e-10", "[1e-10]"), ("a b", '"a b"', '"a b"', '"a b"', '["a b"]'),
    ('"\\\n', r'"\"\\\n"', r'"\"\\\n"', r'"\"\\\n"', r'["\"\\\n"]'), (b"", 'b""', "⊠", "#", "[#]"),
    (b"\0a\"\\\xff", r'b"\x00a\"\\\xff"', "⊠0061225cff", "#0061225cff", "[#0061225cff]"),
    (hlx.Handle("tide_table"), "&h_tide_table", "⟁tide_table", "@tide_table", "[&tide_table]"),
    ([], "[]", "🜃🜄", "[]", "[[]]"), ([[]], "[[]]", "🜃🜃🜄🜄", "[[]]", "[[[]]]"),
    ([1, [True]], "[1, [true]]", "🜃1, 🜃⊤🜄🜄", "[1,[TRUE]]", "[[0x01,[T]]]"),
    ({}, "{}", "◇◆", "{}", "[{}]"),
    ({"x": 1, "y": None}, "{x: 1, y: null}", "◇x: 1, y: ∅◆", "{x:1,y:NULL}", "[{x:0x01,y:_}]"),
    ({"C": 14}, "{C: 14}", "◇C: 14◆", '{"C":14}', "[{C:0x0e}]"),
    (hlx.operation("weigh", hlx.Handle("cake"), 3), '{1000: {@0: "weigh", @1: &h_cake, @2: 3}}',
     '🜊1000🜁0 "weigh"🜁1 ⟁cake🜁2 3🜂', '{C:1000,0="weigh",1=@cake,2=3}', '[1000|0:"weigh"|1:&cake|2:0x03]'),
    (hlx.Contract(21, {}), "{21: {}}", "🜊21🜂", "{C:21}", "[21]"),
    ([hlx.Contract(21, {})], "[{21: {}}]", "🜃🜊21🜂🜄", "[{C:21}]", "[[[21]]]"),
    (hlx.Contract(14, {0: 7, 2: {"a": hlx.sequence(1.5)}}), "{14: {@0: 7, @2: {a: {14: {@0: 1.5}}}}}",
     "🜊14🜁0 7🜁2 ◇a: 🜊14🜁0 1.5🜂◆🜂", "{C:14,0=7,2={a:{C:14,0=1.5}}}", "[14|0:0x07|2:{a:[14|0:1.5]}]"),
]  # fmt: skip


@pytest.mark.parametrize("known", KNOWN)
def test_known_texts(known: tuple[Any, ...]) -> None:
    value, *texts = known
    assert list(hlx.NOTATIONS) == ["HLXL", "LC-R", "LC-T", "LC-B"]
    for notation, text in zip(hlx.NOTATIONS.values(), texts, strict=True):
        assert notation.write(value) == text
        assert typed(notation.read(text)) == typed(value)


@pytest.mark.parametrize(("name", "text", "value"), [
    ("LC-R", "◇\n  x: 10,\n  y: 20\n◆", {"x": 10, "y": 20}), ("LC-R", "ℤ42", 42), ("LC-R", "ℝ5", 5.0),
    ("HLXL", "{\n  a: 1e10\n}", {"a": 1e10}), ("HLXL", r'b"\x41"', b"A"),
    ("LC-T", '{ C : 7 , 0 = [ 1 , "x" ] }', hlx.Contract(7, {0: [1, "x"]})), ("LC-T", "{x:1,C:2}", {"x": 1, "C": 2}),
    ("LC-T", '{"x":1}', {"x": 1}), ("LC-B", " [ 7 | 0 : [ 0x1 , T ] ] ", hlx.Contract(7, {0: [1, True]})),
    ("LC-B", "[0x12c]", 300), ("LC-B", "[0xfff]", 4095), ("LC-B", "[0x0000FF]", 255),
    ("LC-B", "[[14|0:T]]", hlx.sequence(True)),
])  # fmt: skip
def test_other_ways_to_write_are_read(name: str, text: str, value: hlx.Value) -> None:
    assert typed(hlx.NOTATIONS[name].read(text)) == typed(value)


@pytest.mark.parametrize(("name", "text", "at"), [
    ("LC-R", "", 0), ("LC-R", "🜃1, 2", 5), ("LC-R", "🜃1 2🜄", 3), ("LC-R", "1 2", 2), ("LC-R", "🜊1000🜁0 🜂", 8),
    ("LC-R", "◇a: 1, a: 2◆", 12), ("LC-R", "🜊1🜁0 1🜁0 2🜂", 11), ("LC-R", '"abc', 0), ("LC-R", '"\\x"', 0),
    ("LC-R", '"\\ud800"', 0), ("LC-R", "⊠abc", 3), ("LC-R", "1e999", 0), ("LC-R", "9" * 5000, 0), ("LC-R", "ℤ1.5", 1),
    ("LC-R", "🜃" * 200, 100), ("LC-R", "٣", 0), ("HLXL", "nul", 0), ("HLXL", "[1,]", 3), ("HLXL", "{1: 2}", 4),
    ("HLXL", 'b"é"', 2), ("HLXL", 'b"a\n"', 2), ("HLXL", "&h_", 3), ("HLXL", "[" * 200, 100), ("HLXL", "∅", 0),
    ("LC-T", "", 0), ("LC-T", "null", 0), ("LC-T", "{C:}", 3), ("LC-T", "{C:1,=2}", 5), ("LC-T", "{C:1,0:2}", 6),
    ("LC-T", "{C:1,0=1,0=2}", 13), ("LC-T", '{"a b":1}', 1), ("LC-T", "{x=1}", 2), ("LC-T", "#f", 1),
    ("LC-T", "@", 1), ("LC-T", "{C:" + "9" * 2000 + "}", 3), ("LC-T", "[" * 200, 100), ("LC-T", "[1,", 3),
    ("LC-B", "", 0), ("LC-B", "T", 0), ("LC-B", "[T", 2), ("LC-B", "[]", 1), ("LC-B", "[T] T", 4), ("LC-B", "[5]]", 3),
    ("LC-B", "[[1,2]]", 2), ("LC-B", "[0x]", 1), ("LC-B", "[14|0 T]", 6), ("LC-B", "[14|0:T", 7), ("LC-B", "[None]", 1),
    ("LC-B", "[14|0:T|0:F]", 12), ("LC-B", "[0x7" + "f" * 899 + "]", 1), ("LC-B", "[" * 200, 101), ("LC-B", "[-1]", 1),
])  # fmt: skip
def test_what_is_not_the_language_is_refused_by_place(name: str, text: str, at: int) -> None:
    with pytest.raises(DataError, match=rf"^character {at}: "):
        hlx.NOTATIONS[name].read(text)


@notations
def test_no_text_makes_a_reader_fail_in_another_way(name: str) -> None:
    notation = hlx.NOTATIONS[name]
    alphabet = st.sampled_from([*'∅⊤⊥⊠⟁🜊🜂🜁🜃🜄◇◆ℤℝ[]{}@&h_b"\\x0a1.-e:,=|#CTF \n', "null", "🜊14🜁0 ",
                                "{C:7,0=", "[14|0:", "0x"])

    @given(text=st.lists(alphabet, max_size=40).map("".join) | st.text())
    def check(text: str) -> None:
        try:
            value = notation.read(text)
        except DataError:
            return
        assert typed(notation.read(notation.write(value))) == typed(value)

    check()


@notations
@pytest.mark.parametrize("value", [float("nan"), float("inf"), hlx.Handle("a b"), {"1": 2}, hlx.Contract(-1, {}),
                                   hlx.Contract(1, {-1: 0})])  # fmt: skip
def test_values_without_a_notation_are_not_written(name: str, value: hlx.Value) -> None:
    with pytest.raises(ValueError, match=r"no notation|cannot be"):
        hlx.NOTATIONS[name].write(value)


@notations
def test_a_changed_line_is_read_or_refused(name: str) -> None:
    """One character dropped, doubled or replaced anywhere: near the language is where readers fail."""
    notation = hlx.NOTATIONS[name]

    @given(value=values, data=st.data())
    def check(value: hlx.Value, data: st.DataObject) -> None:
        text = notation.write(value)
        at = data.draw(st.integers(0, len(text) - 1))
        put = data.draw(st.sampled_from(["", text[at] * 2, *'[]{}|:,="#@0xT\\']))
        try:
            found = notation.read(text[:at] + put + text[at + 1 :])
        except DataError as error:
            assert str(error).startswith("character ")
        else:
            assert typed(notation.read(notation.write(found))) == typed(found)

    check()


@notations
def test_only_values_within_the_bounds_are_written(name: str) -> None:
    notation = hlx.NOTATIONS[name]
    deep: hlx.Value = 0
    for _ in range(DEEPEST - 1):
        deep = [deep]
    assert typed(notation.read(notation.write(deep))) == typed(deep)
    too_much: list[Any] = [[deep], LARGEST, -LARGEST, {"a": [hlx.Contract(1, {0: float("nan")})]}, "\ud800"]
    for value in too_much:
        with pytest.raises(ValueError, match="no notation"):
            notation.write(value)
    with pytest.raises(TypeError, match="no value"):
        notation.write([{1, 2}])  # type: ignore[list-item]


@pytest.mark.parametrize(("a", "b", "one"), [
    (1, 1, True), (1, 1.0, False), (1, True, False), (0.0, -0.0, False), ([1], [1.0], False), ([1], [1, 1], False),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True), ({"a": 1}, {"a": True}, False), ({"a": 1}, {"b": 1}, False),
    (hlx.sequence(1, 2), hlx.Contract(14, {1: 2, 0: 1}), True), (hlx.sequence(1), hlx.sequence(True), False),
    (hlx.sequence(1), hlx.operation(1), False), (hlx.Handle("a"), hlx.Handle("b"), False), (b"a", "a", False),
])  # fmt: skip
def test_the_same_value(a: hlx.Value, b: hlx.Value, one: bool) -> None:
    assert same(a, b) is same(b, a) is one


@pytest.mark.parametrize(("name", "text", "right"), [
    ("LC-R", "🜊14🜁0 🜃1🜄🜂", True), ("LC-R", "🜊14🜁0 🜃1🜂🜄", False), ("LC-R", "🜊14🜁0 1", False), ("LC-R", "[", True),
    ("HLXL", '{a: "}"}', True), ("HLXL", '{a: "}', False), ("LC-T", '{a:"\\"}"}', True), ("LC-B", "[14|0:[]", False),
    ("LC-B", "[,]", True), ("LC-B", "]", False),
])  # fmt: skip
def test_balanced(name: str, text: str, right: bool) -> None:
    assert balanced(text, hlx.NOTATIONS[name].BRACKETS) is right
