"""Characters that combine, many in a row: read in time linear in their number, and as unicodedata normalises them."""

from __future__ import annotations

import random
import re
import signal
import time
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest

from nyx.errors import DataError
from nyx.text import cleaning
from nyx.text.check import examine
from nyx.text.cleaning import blocks, clean
from nyx.text.corpus import read_text, text_from_string

FORMS = ("nfc", "nfd", "nfkc", "nfkd")
MARKS = [chr(code) for code in range(0x300, 0x110000) if unicodedata.combining(chr(code))]
# Precomposed letters, syllables, marks that are decomposed, halfwidth marks, and letters that marks combine with.
ODD = list("aéz\u1ea4\u00b4\uff9e\uff9f\u0344\u0f73\u0f75\u0f81\u1100\u1161\u11a8한가\u037a\ufb2c\u2126\u212b\U0001d15e"
           "\U0001d1bb\u0958\u09c7\u09be\u0308\u0301\u0327\u0316\u3099カ\u304b\ufdfa")  # fmt: skip


def drawn(rng: random.Random) -> str:
    def one() -> str:
        kind = rng.random()
        return rng.choice(ODD if kind < 0.4 else MARKS) if kind < 0.8 else chr(rng.randrange(0x20, 0xD800))

    return "".join(one() for _ in range(rng.randrange(1, 40))).replace("\r", "")


@pytest.mark.parametrize("form", FORMS)
def test_the_form_is_that_of_unicodedata(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of short texts, all of them put in order here, in pieces of five characters."""
    monkeypatch.setattr(cleaning, "PIECE", 5)
    monkeypatch.setattr(cleaning, "_marks", lambda form: re.compile(""))
    rng = random.Random(form)
    for _ in range(4000):
        text = drawn(rng)
        assert clean(text, form) == unicodedata.normalize(form.upper(), text), ascii(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
def test_long_runs_among_others(form: str) -> None:
    """Found by looking at one character in STEP; in pieces equal to the whole."""
    rng = random.Random(form)
    for length in (1, cleaning.STEP, 2 * cleaning.STEP, 3 * cleaning.STEP, 200):
        run = "".join(rng.choice(MARKS) for _ in range(length))
        text = "".join(drawn(rng) + "e" + run for _ in range(30))
        whole = unicodedata.normalize(form.upper(), text)  # type: ignore[arg-type]
        assert clean(text, form) == whole
        pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
        cleaning_blocks = list(blocks(pieces, form, "a text")) if length < 200 else [text]
        assert "".join(clean(block, form) for block in cleaning_blocks) == whole


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("run", ["\u0301\u0316", "\uff9e\u0316", "\u0344\u0323", "\u0327\u0301\u0316\u3099"])
def test_the_time_is_linear(form: str, run: str) -> None:
    """200,000 marks took minutes; here also those that are marks by their compatibility decomposition alone."""
    text = "z" + run * (200_000 // len(run)) + "\n"
    start = time.process_time()
    cleaned = clean(text, form)
    assert time.process_time() - start < 5
    assert unicodedata.is_normalized(form.upper(), cleaned[:2000])  # type: ignore[arg-type]


def test_a_corpus_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("z" + "\u0301\u0316" * 200_000 + "\nand words\n" * 50, "utf-8")
    start = time.process_time()
    assert examine(tmp_path / "a.txt").longest_line == 400_000  # ź and the others
    assert time.process_time() - start < 10


def test_ten_megabytes_are_refused_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("some words\n" + "z" + "\u0301\u0316" * 2_500_000, "utf-8")
    start = time.process_time()
    with pytest.raises(DataError, match=r"from character 11 on more than \d+ in a row .* data.normalization to none"):
        read_text(tmp_path / "a.txt")
    assert time.process_time() - start < 10
    assert len(read_text(tmp_path / "a.txt", "none", cache=False)) == 5_000_012


@pytest.mark.parametrize("piece", ["\u0301\u0316", "z" + "\u0301\u0316\u0327" * 16, "\ufdfa"])
def test_a_signal_is_heard_meanwhile(piece: str) -> None:
    """Python runs a handler between two calls: no call into unicodedata or NumPy takes long."""
    text, seen = "z" + piece * (1_500_000 // len(piece)), [time.monotonic()]

    def note(*_: object) -> None:
        seen.append(time.monotonic())

    before = signal.signal(signal.SIGALRM, note)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        text_from_string(text, "nfkc")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    seen.append(time.monotonic())
    assert max(b - a for a, b in pairwise(seen)) < 1
