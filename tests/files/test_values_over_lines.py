"""data.cut: notation: a value that goes on over lines until its brackets close belongs to its label."""

from __future__ import annotations

import random
import re
import time

import numpy as np
import pytest

from nyx.config import DataConfig
from nyx.text import hlx
from nyx.text.corpus import text_from_string
from nyx.text.prepare import make_vocabulary, prepare
from nyx.text.records import BRACKETS, LABELS, Records, read_records

OVER_LINES = {"[": "[\n  ", "{": "{\n  ", "🜃": "🜃\n  ", "◇": "◇\n  ", ", ": ",\n  ", "]": "\n]", "}": "\n}", "🜄": "\n🜄",
              "◆": "\n◆"}  # fmt: skip


def read(text: str) -> tuple[list[tuple[str, str, int]], list[str]]:
    """(label, value, record) of each labelled line, and what was said."""
    said: list[str] = []
    whole = text_from_string(text, "none")
    records: Records = read_records(whole, said.append)
    lines = [whole.string(int(a), int(b)) for a, b in zip(records.spans.starts, records.spans.ends, strict=True)]
    for line, label in zip(lines, records.label, strict=True):
        assert line.startswith(LABELS[label] + ":")
    values = [line.partition(":")[2].strip() for line in lines]
    return [(LABELS[k], v, int(n)) for k, v, n in zip(records.label, values, records.record, strict=True)], said


def spread(text: str) -> str:
    """A value written over lines, as people write it; strings stay as they are."""
    parts = text.split('"')
    for part in range(0, len(parts), 2):
        for mark, lines in OVER_LINES.items():
            parts[part] = parts[part].replace(mark, lines)
    return re.sub(r"\n\s*\n", "\n", '"'.join(parts))  # an empty line would end it


def test_a_generated_text_over_lines() -> None:
    """Headings, fences, one value or several: each value is read whole, and back."""
    rng, text, wanted = random.Random(1), "# A text\n\n", []
    for number, example in zip(range(300), hlx.examples(5), strict=False):
        lines = []
        for name, notation in hlx.NOTATIONS.items():
            value = notation.write(example.value)
            wide = spread(value) if rng.random() < 0.5 and "\\" not in value else value
            lines.append(f"{name}: {wide}\n")
            wanted.append((name, example.value))
        before, after = (f"### {number}\n```\nEnglish: {example.english}\n", "```\n\n") if number % 3 else ("", "\n")
        text += "".join([before, *lines, after])
    found, said = read(text)
    values = [(name, value) for name, value, _ in found if name != "English"]
    assert said == []
    assert len(values) == len(wanted)
    assert sum("\n" in value for _, value in values) > 200
    for (name, value), (label, meant) in zip(values, wanted, strict=True):
        assert name == label
        assert hlx.same(hlx.NOTATIONS[name].read(value), meant)


def test_its_lines_are_one_example() -> None:
    """As a training cuts them: no body is a lone bracket, and labels after it are of the same record."""
    one = "HLXL: {a: 1}\nLC-R: ◇\n  a: 1,\n  b: ⊤\n◆\nEnglish: a is 1\n\n"
    text = text_from_string(one * 30)
    data = DataConfig(cut="notation", fields=("LC-R",), arrange="line")
    corpus = prepare(text, make_vocabulary("corpus", text, None, data), data, seq_len=8, seed=1, say=pytest.fail)
    for part in (corpus.train, corpus.val):
        for start, end in zip(part.starts, part.ends, strict=True):
            assert corpus.vocabulary.decode(part.ids[int(start) : int(end)]) == "LC-R: ◇\n  a: 1,\n  b: ⊤\n◆\n"
    found, _ = read(one * 2)
    assert [record for _, _, record in found] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("stop", ["", "# A heading", "```", "English: some words", "LC-T: 5"])
def test_one_that_does_not_close_takes_nothing_with_it(stop: str) -> None:
    text = f"LC-R: ◇\n  a: 1,\n{stop}\n◆\n\nHLXL: [1]\n"
    found, said = read(text)
    assert found[0] == ("LC-R", "◇", 0)
    assert found[-1][:2] == ("HLXL", "[1]")
    assert said == ["1 values of labelled lines end with their line although a bracket or a string is open, the first "
                    "on line 1"]  # fmt: skip


def test_what_is_and_is_no_bracket() -> None:
    cases = {
        'HLXL: ["]",\n2]\n': ('["]",\n2]', 0),  # as many marks open as close, but one is in a string
        'HLXL: "["\nnext\n': ('"["', 0),
        'HLXL: ["\\"", [\n]]\n': ('["\\"", [\n]]', 0),
        "English: a [ b\nc ]\n": ("a [ b", 0),
        "LC-R: 🜃[\n🜄\n": ("🜃[\n🜄", 0),  # the marks of another notation are none of this one
        "HLXL: [1}\n2]\n": ("[1}", 0),  # closed, if by another one
        'HLXL: "a\nb"\n': ('"a', 1),
        "HLXL: 1]\n": ("1]", 1),
        "LC-B: [_]\n": ("[_]", 0),
    }
    for text, (value, count) in cases.items():
        found, said = read(text)
        assert found[0][1] == value
        assert len(said) == count
    assert [bool(brackets) for brackets in BRACKETS] == [False, True, True, True, True]


def test_a_hostile_text_costs_no_time() -> None:
    """Values that never close, each followed by the next label, by text, or by none."""
    for text in ("HLXL: [\n" * 100_000, ("LC-R: ◇\n" + "  a,\n" * 20) * 20_000, "HLXL: [" + '"[",' * 300_000 + "\n",
                 "LC-R: 🜃\n" + "🜃\n" * 200_000):  # fmt: skip
        whole, said = text_from_string(text), []
        start = time.process_time()
        records = read_records(whole, said.append)
        assert time.process_time() - start < 10
        assert len(said) == 1
        assert np.array_equal(records.spans.ends, [text.index("\n", int(s)) for s in records.spans.starts])
