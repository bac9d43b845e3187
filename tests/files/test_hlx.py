"""The small language: what is written is read back, what is not the language is refused; and the default corpus."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nyx.errors import DataError, StorageError, UsageError
from nyx.text import hlx
from nyx.text.corpus import text_from_string
from nyx.text.hlx.forms import FORMS, draw_request, draw_thing
from nyx.text.hlx.values import NAME, TAG
from nyx.text.hlx.words import DOMAINS
from nyx.text.vocabulary import Vocabulary

names, tags = st.from_regex(NAME, fullmatch=True), st.from_regex(TAG, fullmatch=True)
small = st.integers(0, 9999)
leaves = (st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
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


KNOWN = [
    (None, "∅", "null"), (True, "⊤", "true"), (False, "⊥", "false"), (-42, "-42", "-42"), (0.5, "0.5", "0.5"),
    (1e10, "10000000000.0", "10000000000.0"), (1e-10, "1e-10", "1e-10"), ("a b", '"a b"', '"a b"'),
    ('"\\\n', r'"\"\\\n"', r'"\"\\\n"'), (b"", "⊠", 'b""'), (b"\0a\"\\\xff", "⊠0061225cff", r'b"\x00a\"\\\xff"'),
    (hlx.Handle("tide_table"), "⟁tide_table", "&h_tide_table"), ([], "🜃🜄", "[]"),
    ([1, [True]], "🜃1, 🜃⊤🜄🜄", "[1, [true]]"),
    ({}, "◇◆", "{}"), ({"x": 1, "y": None}, "◇x: 1, y: ∅◆", "{x: 1, y: null}"),
    (hlx.operation("weigh", hlx.Handle("cake"), 3), '🜊1000🜁0 "weigh"🜁1 ⟁cake🜁2 3🜂',
     '{1000: {@0: "weigh", @1: &h_cake, @2: 3}}'),
    (hlx.Contract(21, {}), "🜊21🜂", "{21: {}}"),
    (hlx.Contract(14, {0: 7, 2: {"a": hlx.sequence(1)}}),
     "🜊14🜁0 7🜁2 ◇a: 🜊14🜁0 1🜂◆🜂", "{14: {@0: 7, @2: {a: {14: {@0: 1}}}}}"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "lcr", "hlxl"), KNOWN)
def test_known_texts(value: hlx.Value, lcr: str, hlxl: str) -> None:
    for name, text in (("LC-R", lcr), ("HLXL", hlxl)):
        assert hlx.NOTATIONS[name].write(value) == text
        assert typed(hlx.NOTATIONS[name].read(text)) == typed(value)


@pytest.mark.parametrize(("name", "text", "value"), [
    ("LC-R", "◇\n  x: 10,\n  y: 20\n◆", {"x": 10, "y": 20}), ("LC-R", "ℤ42", 42), ("LC-R", "ℝ5", 5.0),
    ("HLXL", "{\n  a: 1e10\n}", {"a": 1e10}), ("HLXL", r'b"\x41"', b"A"),
])  # fmt: skip
def test_other_ways_to_write_are_read(name: str, text: str, value: hlx.Value) -> None:
    assert typed(hlx.NOTATIONS[name].read(text)) == typed(value)


@pytest.mark.parametrize(("name", "text", "at"), [
    ("LC-R", "", 0), ("LC-R", "🜃1, 2", 5), ("LC-R", "🜃1 2🜄", 3), ("LC-R", "1 2", 2), ("LC-R", "🜊1000🜁0 🜂", 8),
    ("LC-R", "◇a: 1, a: 2◆", 12), ("LC-R", "🜊1🜁0 1🜁0 2🜂", 11), ("LC-R", '"abc', 0), ("LC-R", '"\\x"', 0),
    ("LC-R", '"\\ud800"', 0), ("LC-R", "⊠abc", 3), ("LC-R", "1e999", 0), ("LC-R", "9" * 5000, 0), ("LC-R", "ℤ1.5", 1),
    ("LC-R", "🜃" * 200, 100), ("LC-R", "٣", 0), ("HLXL", "nul", 0), ("HLXL", "[1,]", 3), ("HLXL", "{1: 2}", 4),
    ("HLXL", 'b"é"', 2), ("HLXL", 'b"a\n"', 2), ("HLXL", "&h_", 3), ("HLXL", "[" * 200, 100), ("HLXL", "∅", 0),
])  # fmt: skip
def test_what_is_not_the_language_is_refused_by_place(name: str, text: str, at: int) -> None:
    with pytest.raises(DataError, match=rf"^character {at}: "):
        hlx.NOTATIONS[name].read(text)


@notations
def test_no_text_makes_a_reader_fail_in_another_way(name: str) -> None:
    notation = hlx.NOTATIONS[name]
    alphabet = st.sampled_from([*'∅⊤⊥⊠⟁🜊🜂🜁🜃🜄◇◆ℤℝ[]{}@&h_b"\\x0a1.-e:, \n', "null", "🜊14🜁0 "])

    @given(text=st.lists(alphabet, max_size=40).map("".join))
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


@pytest.fixture(scope="module")
def default() -> str:
    return hlx.generate()


def test_the_default_corpus_fits_its_purpose(default: str) -> None:
    data = default.encode()
    assert 600_000 <= len(data) <= 700_000
    vocabulary = Vocabulary.fixed("hlx-115")
    assert vocabulary.decode(vocabulary.encode_text(text_from_string(default))) == default
    assert len(set(default)) <= 80


def test_every_example_is_well_formed_and_new(default: str) -> None:
    blocks = default.removesuffix("\n\n").split("\n\n")
    english = [re.fullmatch(r"English: ([A-Z].*[^ ])\nLC-R: (.+)", block) for block in blocks]
    assert all(english)
    sentences = [match[1] for match in english if match]
    assert len(set(sentences)) == len(sentences) >= 4000  # so nothing in the last part stands in the first
    for match in filter(None, english):
        value = hlx.NOTATIONS["LC-R"].read(match[2])
        assert hlx.NOTATIONS["LC-R"].write(value) == match[2]


def test_kinds_are_balanced() -> None:
    counts = Counter(example.kind for example in islice(hlx.examples(3), 5000))
    assert len(counts) == 11
    assert min(counts.values()) > 300
    assert max(counts.values()) < 600


def test_a_sentence_has_one_meaning() -> None:
    """Over every template of every form and domain: translation from English is a function."""
    rng, meaning = Random(5), dict[str, str]()
    for _ in range(60):
        for form in FORMS:
            for domain in DOMAINS:
                request = draw_request(rng, form, domain, draw_thing(rng, domain))
                for sentence in request.sentences():
                    assert meaning.setdefault(sentence, hlx.NOTATIONS["LC-R"].write(request.value())) == hlx.NOTATIONS[
                        "LC-R"].write(request.value())  # fmt: skip
                assert len(request.sentences()) == len(set(request.sentences())) >= 2


def test_words_are_names_and_none_occurs_twice_in_a_list() -> None:
    for domain in DOMAINS:
        for words in vars(domain).values():
            assert len(set(words)) == len(words) >= 3
            assert all(TAG.fullmatch(word) for word in words)


def test_a_longer_corpus_begins_with_the_shorter_and_seeds_differ(default: str) -> None:
    assert hlx.generate(len(default) + 1).startswith(default)
    assert hlx.generate(1000, 2) != hlx.generate(1000, 3)
    both = hlx.generate(1, notations=("HLXL", "LC-R"))
    assert re.fullmatch(r"English: .+\nHLXL: \{1000: .+\nLC-R: 🜊1000.+\n\n", both)
    for arguments in ({"size_chars": 0}, {"notations": ("LC-X",)}, {"notations": ()}):
        with pytest.raises(UsageError):
            hlx.generate(**arguments)  # type: ignore[arg-type]


def test_the_same_bytes_in_another_process() -> None:
    program = (
        "import hashlib; from nyx.text import hlx; print(hashlib.sha256(hlx.generate(20000).encode()).hexdigest())"
    )
    digest = hashlib.sha256(hlx.generate(20000).encode()).hexdigest()
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == digest


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "hlx.txt"
    written = hlx.write(path, 2000)
    text = path.read_text(encoding="utf-8")
    assert text == hlx.generate(2000)
    assert (written.characters, written.utf8_bytes) == (len(text), path.stat().st_size)
    assert written.sha256 == hashlib.sha256(text.encode()).hexdigest()
    before = path.stat().st_mtime_ns
    hlx.write(path, 2000)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="other content"):
        hlx.write(path, 3000)
    with pytest.raises(DataError, match="is not a file"):
        hlx.write(tmp_path, 2000)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        hlx.write(path, 3000, force=True)
    assert path.read_text(encoding="utf-8") == text
    assert [file.name for file in path.parent.iterdir()] == ["hlx.txt"]
    monkeypatch.undo()
    hlx.write(path, 3000, force=True)
    assert path.read_text(encoding="utf-8") == hlx.generate(3000)
