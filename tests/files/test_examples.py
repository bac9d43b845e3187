"""Cutting: lines, blocks and records of labelled lines, as a plain reading of the text finds them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nyx.config import DataConfig
from nyx.errors import ConfigError, DataError
from nyx.text import examples, records
from nyx.text.corpus import Text, text_from_string
from nyx.text.examples import Spans, blocks, keep, lines, strings
from nyx.text.records import LABELS, Records, arrange, read_records


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterator[None]:
    """Blocks of a few characters, so that everything crosses their edges."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "BLOCK", 5)
        patch.setattr(records, "BLOCK", 5)
        yield


texts = st.text("ab \né🜊", min_size=1, max_size=60)
labelled = st.tuples(st.sampled_from(LABELS), st.sampled_from(["", " a", " b b", "a: b"])).map(
    lambda p: f"{p[0]}:{p[1]}"
)
others = st.sampled_from(["", "# A heading", "```", "<!-- HLXL: no -->", " HLXL: no", "HLX: no", "English", "}"])
notations = st.lists(labelled | labelled | others, min_size=2, max_size=30).map("\n".join)


def spelled(text: Text, spans: Spans) -> list[str]:
    found = [text.string(a, b) for a, b in zip(spans.starts.tolist(), spans.ends.tolist(), strict=True)]
    assert list(strings(text, spans)) == found
    return found


@given(text=texts)
def test_lines(text: str) -> None:
    corpus = text_from_string(text)
    found = spelled(corpus, lines(corpus))
    assert found == re.findall(r"[^\n]*\n|[^\n]+", text)
    assert "".join(found) == text


@given(text=texts)
def test_blocks(text: str) -> None:
    corpus = text_from_string(text)
    assert spelled(corpus, blocks(corpus)) == re.findall(r"(?:[^\n]+\n?)+\n*", text.lstrip("\n"))


def test_blocks_by_example() -> None:
    corpus = text_from_string("\n\none\ntwo\n\nthree\n\n\n\nfour\n")
    assert spelled(corpus, blocks(corpus)) == ["one\ntwo\n\n", "three\n\n\n\n", "four\n"]


@given(
    text=texts,
    least=st.integers(0, 6),
    most=st.none() | st.integers(6, 9),
    match=st.sampled_from([None, "a", "^b", "é$"]),
)
def test_which_examples_are_kept(text: str, least: int, most: int | None, match: str | None) -> None:
    corpus = text_from_string(text)
    data = DataConfig(cut="line", min_chars=least, max_chars=most, match=match)
    spans = lines(corpus)
    wanted = [
        max(2, least) <= len(line) <= (most or len(line)) and (match is None or re.search(match, line) is not None)
        for line in spelled(corpus, spans)
    ]
    assert keep(corpus, spans, data).tolist() == wanted


@dataclass
class Record:
    lines: list[tuple[str, str]] = field(default_factory=list)


def plain_reading(text: str) -> list[Record]:
    found, current = [], Record()
    for line in text.split("\n"):
        match = re.fullmatch(r"(English|HLXL|LC-R|LC-T|LC-B):(.*)", line)
        if current.lines and (match is None or match[1] in (label for label, _ in current.lines)):
            found.append(current)
            current = Record()
        if match:
            current.lines.append((match[1], line))
    return found + [current] * bool(current.lines)


def read(text: str) -> tuple[Text, Records]:
    corpus = text_from_string(text)
    return corpus, read_records(corpus)


@given(text=notations)
def test_records(text: str) -> None:
    corpus, found = read(text)
    rows = zip(found.record.tolist(), found.label.tolist(), spelled(corpus, found.spans), strict=True)
    seen = [(record, LABELS[label], line) for record, label, line in rows]
    plain = plain_reading(text)
    assert seen == [(i, label, line) for i, record in enumerate(plain) for label, line in record.lines]
    assert found.count == len(plain)


fields = st.none() | st.lists(st.sampled_from(LABELS), min_size=1, unique=True).map(tuple)


def arranged(text: str, seed: int = 0, **data: object) -> tuple[list[str], list[int]]:
    """The examples, and the record of each; [] when no line is left."""
    corpus, found = read(text)
    try:
        derived, spans, record = arrange(corpus, found, DataConfig(cut="notation", **data), seed)  # type: ignore[arg-type]
    except DataError:
        return [], []
    examples = spelled(derived, spans)
    assert "".join(examples) == derived.string()
    assert set(derived.string()) == set(derived.symbols.astype("<u4").tobytes().decode("utf-32-le"))
    return examples, record.tolist()


@given(text=notations, kept=fields)
def test_records_and_lines_as_they_stand(text: str, kept: tuple[str, ...] | None) -> None:
    text += "\n"
    plain = [[line for label, line in record.lines if label in (kept or LABELS)] for record in plain_reading(text)]
    wanted = [("\n".join(lines) + "\n\n", i) for i, lines in enumerate(plain) if lines]
    assert list(zip(*arranged(text, fields=kept), strict=True)) == wanted
    alone = [(line + "\n", i) for i, lines in enumerate(plain) for line in lines]
    assert list(zip(*arranged(text, fields=kept, arrange="line"), strict=True)) == alone


@given(text=notations, kept=fields, seed=st.integers(0, 2**64 - 1))
def test_pairs_have_each_line_once_as_source_and_once_as_target(
    text: str, kept: tuple[str, ...] | None, seed: int
) -> None:
    text += "\n"
    found = zip(*arranged(text, seed, fields=kept, arrange="pair"), strict=True)
    pairs = [(record, tuple(example.removesuffix("\n\n").split("\n"))) for example, record in found]
    for number, record in enumerate(plain_reading(text)):
        left = [line for label, line in record.lines if label in (kept or LABELS)]
        mine = [pair for i, pair in pairs if i == number]
        assert all(source != target for source, target in mine)
        wanted = sorted(left) if len(left) > 1 else []
        assert sorted(source for source, _ in mine) == sorted(target for _, target in mine) == wanted


def test_every_ordered_pair_is_about_as_frequent() -> None:
    """4 of 20 ordered pairs of 2000 records of five lines: 500 of each kind, within 4 standard deviations."""
    text = "".join("".join(f"{label}: {i}\n" for label in LABELS) + "\n" for i in range(2000))
    examples, _ = arranged(text, 3, arrange="pair")
    counts = Counter(tuple(line.split(":")[0] for line in example.split("\n")[:2]) for example in examples)
    assert len(counts) == 20
    assert all(abs(count - 500) < 4 * np.sqrt(500 * 3 / 4) for count in counts.values())
    assert examples != arranged(text, 4, arrange="pair")[0]


def test_what_is_no_label_is_refused() -> None:
    corpus, found = read("English: a\nLC-R: b\n")
    with pytest.raises(ConfigError, match="'LCR' is no label: use some of English, HLXL"):
        arrange(corpus, found, DataConfig(cut="notation", fields=("LCR",)), 0)
    with pytest.raises(DataError, match="no line of the text begins with HLXL:"):
        arrange(corpus, found, DataConfig(cut="notation", fields=("HLXL",)), 0)
