"""CR, CRLF and LF, alone and mixed, end a line; a text without CR is what it was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nyx import cli
from nyx.text import corpus, sources
from nyx.text.check import examine
from nyx.text.cleaning import clean
from nyx.text.corpus import read_text
from nyx.text.vocabulary import Vocabulary

LINES = [f"line {number} of a text that is small\n" for number in range(40)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
def test_every_mixture_in_blocks_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for module in (sources, corpus):
        monkeypatch.setattr(module, "BLOCK_BYTES", size)
    path = tmp_path / "a.txt"

    @given(text=st.text("a\r\n\u0301é", min_size=1, max_size=30))
    def check(text: str) -> None:
        path.write_bytes(text.encode())
        assert read_text(path, "none").string() == "\n".join(text.replace("\r\n", "\n").split("\r"))
        facts = examine(path, normalization="none").files[0]
        crlf = text.count("\r\n")
        assert (facts.crlf, facts.cr) == (crlf, text.count("\r") - crlf)

    check()


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_the_same_text_with_other_line_ends(tmp_path: Path, end: str) -> None:
    """The same symbols and hash, so that a run goes on with it."""
    plain, other = tmp_path / "plain.txt", tmp_path / "other.txt"
    plain.write_text("".join(LINES))
    other.write_bytes("".join(LINES).replace("\n", end).encode())
    one, two = read_text(plain), read_text(other)
    assert (one.sha256, one.string()) == (two.sha256, two.string())
    assert list(Vocabulary.from_text(one).encode(f"line{end}1")) == list(Vocabulary.from_text(two).encode("line\n1"))
    rows = examine(other).lines()
    assert rows[0].endswith({"\r": "40 line ends are CR", "\r\n": "40 line ends are CRLF"}.get(end, "bytes"))


def test_a_training_on_lines_that_end_in_cr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_bytes("".join(LINES).replace("\n", "\r").encode())
    Path("b.txt").write_text("".join(LINES))
    train = ["train", "a.txt", "--config", "smoke", "--device", "cpu", "--set", "train.max_steps=4", "--set",
             "train.warmup_steps=1", "--set", "data.cut=line", "--set", "train.sample_every=0"]  # fmt: skip
    resume = ["resume", "models/hrm.ckpt", "--set", "train.max_steps=6", "--set", "data.path=b.txt"]
    for arguments in (train, resume):
        monkeypatch.setattr(sys, "argv", ["nyx", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0, capfd.readouterr().err


def test_a_text_without_cr_is_untouched() -> None:
    text = "a\n\nb\u2028c\x85d\x0be\x0cf"
    assert clean(text, "none") == text
