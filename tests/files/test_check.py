"""What the check of a text finds, against a plain count of the same things, and how it estimates what is large."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nyx import cli
from nyx.errors import DataError
from nyx.text import check, lines, sources
from nyx.text.check import Report, examine, examine_text
from nyx.text.corpus import text_from_string
from nyx.text.lines import LineSample, line_blocks

pieces = st.sampled_from(["", "a", "b", "ab", "same line", "same  line", "é", "🜊" * 9, "x" * 40, "x" * 41, "y" * 700])


def counted(text: str, val_fraction: float) -> tuple[int, int, int, int, float, float]:
    """(lines, empty ones, copies, lines of the validation part, leaked share of them, and of their characters)."""
    cut, place, first, second = int(len(text) * (1 - val_fraction)), 0, [], []
    every = text.split("\n")
    every = every[:-1] if every[-1] == "" else every
    for line in every:
        if line:
            (second if place >= cut else first).append(line)
        place += len(line) + 1
    leaked = [line for line in second if line in set(first)]
    characters = sum(map(len, second))
    return (len(every), every.count(""), sum(n - 1 for n in Counter(first + second).values()), len(second),
            len(leaked) / max(1, len(second)), sum(map(len, leaked)) / max(1, characters))  # fmt: skip


def found(report: Report) -> tuple[int, int, int, int, float, float]:
    return (report.line_count, report.empty_lines, report.copies, report.val_lines, report.leaked_lines,
            report.leaked_characters)  # fmt: skip


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
@pytest.mark.parametrize("wide", [False, True])
def test_lines_as_a_plain_count_finds_them(monkeypatch: pytest.MonkeyPatch, block: int, wide: bool) -> None:
    monkeypatch.setattr(lines, "BLOCK", block)
    more = "".join(map(chr, range(0x4E00, 0x4F50))) if wide else ""

    @given(parts=st.lists(pieces, max_size=30), end=st.sampled_from(["", "\n"]), share=st.sampled_from([0, 0.1, 0.5]))
    def compare(parts: list[str], end: str, share: float) -> None:
        text = more + "\n".join(parts) + end
        if text:
            report = examine_text(text_from_string(text, "none"), share)
            assert found(report) == pytest.approx(counted(text, share))
            every = text.split("\n")
            assert report.longest_line == max(map(len, every))
            assert len(every[report.longest_at - 1]) == report.longest_line

    compare()


@pytest.mark.parametrize("copies", [1, 3])
def test_a_sample_estimates_without_bias(copies: int) -> None:
    """20,000 different lines, each so often, the last fifth of the text half from before: estimates from 1,000."""
    rng = np.random.default_rng(copies)
    names = [f"line {number} {'abc' * int(rng.integers(0, 9))}" for number in range(20_000)]
    first = names * copies
    second = [*names[: len(first) // 8], *(f"new {number}" for number in range(len(first) // 8))]
    text = text_from_string("\n".join(first + second) + "\n")
    cut = len("\n".join(first)) + 1
    sample = LineSample(text.ids, cut, 1000)
    for starts, ends in line_blocks(text.ids, int(np.flatnonzero(text.symbols == 10)[0])):
        sample.add(starts, ends)
    different, leaked, characters = sample.result()
    truth = len(set(first + second))
    known = set(names)
    seen = [line for line in second if line in known]
    assert sample.one_in >= 16
    assert different == pytest.approx(truth, rel=0.12)
    assert leaked == pytest.approx(len(seen) / len(second), abs=0.1)
    assert characters == pytest.approx(sum(map(len, seen)) / sum(map(len, second)), abs=0.1)


def test_lines_differ_by_any_byte() -> None:
    """Lines of every length to beyond SHORT, each with one character changed anywhere, are all different."""
    rows = ["a" * n for n in [*range(1, 40), 511, 512, 513, 600, 3000]]
    rows += [row[:at] + "b" + row[at + 1 :] for row in rows for at in sorted({0, len(row) // 2, len(row) - 1, 7, 8})
             if at < len(row)]  # fmt: skip
    assert len(set(rows)) == len(rows)
    assert examine_text(text_from_string("\n".join(rows))).copies == 0
    assert examine_text(text_from_string("\n".join(rows * 2))).copies == len(rows)


@pytest.mark.parametrize("block", [1, 2, 3, 5, 1 << 20])
def test_faults_are_counted_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(sources, "BLOCK_BYTES", block)
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_bytes("\ufeffé \ufffd\r\n\r\nend".encode())
    bad.write_bytes(b"a\xff\ne\xc3(\r\n\xed\xa0\x80\xef\xbf\xbd\r\xf0\x9f\x9c")
    report = examine([good, bad])
    one, two = report.files
    assert (one.bytes, one.byte_order_mark, one.crlf, one.faults) == (good.stat().st_size, True, 2, 0)
    assert (two.bytes, two.byte_order_mark, two.crlf, two.faults) == (bad.stat().st_size, False, 1, 6)
    assert two.listed == ((1, 0xFF), (4, 0xC3), (8, 0xED), (9, 0xA0), (10, 0x80), (15, 0xF0))
    assert report.replacements == 2
    with pytest.raises(DataError, match=r"bad\.txt: 6 places are not UTF-8, the first at byte offset 1: convert"):
        report.refuse_faults()
    many = tmp_path / "many.txt"
    many.write_bytes(b"\xff" * 1000)
    report = examine(many)
    assert (report.faults, len(report.files[0].listed)) == (1000, check.LISTED)
    examine(good).refuse_faults()


def test_characters() -> None:
    report = examine_text(text_from_string("abc\tx\n" * 20 + "\0\x07é\x0e\0" + "\ufffd\x85" + "q" * 9))
    assert [(c.code, c.count, c.first) for c in report.controls] == [
        (0, 2, 120),
        (7, 1, 121),
        (14, 1, 123),
        (0x85, 1, 126),
    ]
    assert {c.code: c.count for c in report.rare} == {0: 2, 7: 1, 14: 1, 0x85: 1, 0xE9: 1, 0xFFFD: 1, ord("q"): 9}
    assert (report.rare_count, report.replacements, report.distinct) == (7, 1, 13)


def test_what_a_training_is_warned_of() -> None:
    def warned(text: str) -> str:
        rows = examine_text(text_from_string(text)).warnings()
        assert all("\n" not in row for row in rows)
        return "\n".join(rows)

    plain = "".join(f"{n} quick brown foxes jump over {n * 7919} lazy dogs\n" for n in range(3000))
    assert warned(plain) == ""
    assert "100% of the validation part's characters" in warned(plain * 2)
    assert "50% of the lines are copies" in warned(plain * 2)
    assert "2 control characters, the first U+0001 at character 1" in warned("a\x01\x02" + plain)
    assert "1 replacement characters" in warned("\ufffd" + plain)
    assert "occur fewer than 10 times" in warned(plain + "ÄÖÜß")
    assert "line 3001 has 1,000,001 characters" in warned(plain + "z" * 1_000_001).replace("line 3,001", "line 3001")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.txt"

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nyx", "corpus", "check", str(path), *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    path.write_text("one line\n" * 40 + "\x1b[31m last\n")
    code, out, err = run()
    assert (code, err) == (0, "")
    assert "copies of other lines: 39 (95.1% of the lines; exact)" in out
    assert all(c.isprintable() or c == "\n" for c in out)
    code, out, err = run("--json", "--val-fraction", "0.5")
    about = json.loads(out)
    assert (code, err, about["faults"], about["line_count"], about["val_lines"]) == (0, "", 0, 41, 20)
    assert about["files"] == [{"name": str(path), "bytes": 371, "byte_order_mark": False, "crlf": 0, "faults": 0,
                               "listed": [], "cr": 0, "remedy": ""}]  # fmt: skip
    assert len(about["warnings"]) == 4
    path.write_bytes(b"a\xffb" * 3)
    code, out, err = run("--json")
    assert (code, len(err.splitlines()), json.loads(out)["faults"]) == (65, 1, 3)
    path.write_bytes(b"")
    code, out, err = run()
    assert (code, out, err) == (65, "", f"nyx: {path}: no text in it: give a file with text\n")
