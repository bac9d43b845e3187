"""Reading corpora and vocabularies: what is accepted, what is refused and in which words, and exact round trips."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nyx.errors import CheckpointError, ConfigError, DataError, DeviceMemoryError, MissingInputError, StorageError
from nyx.text import cache, cleaning, corpus, sources
from nyx.text.cleaning import clean
from nyx.text.corpus import read_text, text_from_string
from nyx.text.sources import open_sources
from nyx.text.vocabulary import GLYPHS, Vocabulary

characters = st.text(min_size=1, max_size=200)
# characters that compose with what stands before them, alone and in runs
joining = st.text(
    st.sampled_from("a\u0301\u0327\u1100\u1161\u11a8e\u4e00 \r\n\u09c7\u09be\uff76\uff9eé한\U0001f70a"), max_size=60
)


def put(folder: Path, data: bytes, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@given(text=characters)
def test_encode_and_decode_give_the_text_back(text: str) -> None:
    read = text_from_string(text, "none")
    assert read.string() == clean(text, "none")
    vocabulary = Vocabulary.from_text(read)
    assert vocabulary.decode(vocabulary.encode_text(read)) == read.string()
    assert vocabulary.decode(vocabulary.encode(text)) == read.string()
    assert list(read.symbols) == sorted(set(map(ord, read.string())))
    assert vocabulary.count_bytes(vocabulary.encode(text)) == read.utf8_bytes == len(read.string().encode())
    assert read.sha256 == hashlib.sha256(read.string().encode()).hexdigest()


@pytest.mark.parametrize("form", ["nfc", "nfd", "nfkc", "nfkd", "none"])
def test_reading_in_blocks_equals_reading_at_once(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BLOCK_BYTES", 5)
    monkeypatch.setattr(corpus, "BLOCK_BYTES", 5)
    monkeypatch.setattr(cleaning, "HELD_PIECES", 100)

    @given(text=joining)
    def check(text: str) -> None:
        if not text.strip("\ufeff"):
            return
        path = put(tmp_path, text.encode())
        whole = text.replace("\r\n", "\n").replace("\r", "\n")
        whole = whole if form == "none" else unicodedata.normalize(form.upper(), whole)  # type: ignore[arg-type]
        assert read_text(path, form).string() == whole

    check()


def test_every_block_is_cut_where_no_form_joins() -> None:
    """The characters a block may begin with never combine, or change places, with what stands before them: letters with
    marks, syllables, vowel signs of several scripts, and each first character of a composition."""
    pairs = [unicodedata.decomposition(chr(code)).split() for code in range(0x80, 0x30000)]
    firsts = {chr(int(pair[0], 16)) for pair in pairs if len(pair) == 2 and pair[0][0] != "<"}
    before = "".join(sorted(firsts)) + "e\u0301\u0327\u1100\u1161가각\u09c7\u0dd9\uff76"
    starts = [chr(code) for code in [*range(0x20, 0xD800), *range(0xE000, 0x1FBFF)] if not cleaning._joins(chr(code))]
    assert {"a", "\u4e00", "\u0434", "\u0e01"} <= set(starts)
    assert not {"\u0301", "\u1161", "\u11a8", "\u09be", "\uff9e", "\u0344"} & set(starts)
    for form in ("NFC", "NFKC", "NFD", "NFKD"):
        whole = unicodedata.normalize(form, "".join(f"{before[n % len(before)]}{c}" for n, c in enumerate(starts)))
        parts = (before[n % len(before)] + "\U000f0000" + c for n, c in enumerate(starts))
        assert whole == unicodedata.normalize(form, "".join(parts)).replace("\U000f0000", "")


def test_a_run_that_cannot_be_cut_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sources, corpus):
        monkeypatch.setattr(module, "BLOCK_BYTES", 64)
    for held in ("\n" * 5000, "\r\n" * 5000, "д" * 5000):
        assert read_text(put(tmp_path, held.encode())).string() == held.replace("\r\n", "\n")
    marks = put(tmp_path, ("a" + "\u0301" * 5000).encode())
    with pytest.raises(DataError, match=r"from character 0 on .* in a row all combine .* data.normalization to none"):
        read_text(marks)
    assert len(read_text(marks, "none")) == 5001


def test_mark_line_ends_and_normalization(tmp_path: Path) -> None:
    text = read_text(put(tmp_path, b"\xef\xbb\xbfa\r\nb\rc\re\xcc\x81\xef\xbb\xbf"))
    assert text.string() == "a\nb\nc\né\ufeff"
    assert read_text(put(tmp_path, "e\u0301".encode()), "none").string() == "e\u0301"
    with pytest.raises(ConfigError, match="nfc, nfd"):
        read_text(tmp_path / "a.txt", "NFC")


def test_several_files_folders_and_patterns(tmp_path: Path) -> None:
    b = put(tmp_path, b"two", "b.txt")
    a = put(tmp_path, b"one\n", "a.txt")
    put(tmp_path, b"\xff", "c.bin")
    put(tmp_path, b"hidden", ".d.txt")
    (tmp_path / "sub").mkdir()
    put(tmp_path / "sub", b"three", "e.md")
    assert read_text([b, a]).string() == "two\none\n"
    assert read_text([a, a, str(tmp_path / "*.txt")]).sources == (a, b)
    assert read_text(tmp_path).string() == "one\ntwo\nthree"
    with pytest.raises(MissingInputError, match="no file matches"):
        read_text(str(tmp_path / "*.csv"))


@pytest.mark.parametrize("before", [0, 1, corpus.BLOCK_BYTES - 1, corpus.BLOCK_BYTES, 2 * corpus.BLOCK_BYTES + 3])
@pytest.mark.parametrize("bad", [b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf0\x9f\x9c", b"\xe2\x88"])
def test_bytes_that_are_not_utf8(tmp_path: Path, before: int, bad: bytes) -> None:
    good = ("\u2205" * (before // 3)).encode() + b"a" * (before % 3)
    with pytest.raises(DataError, match=rf"a\.txt: byte offset {before} \(0x{bad[0]:02x}\)"):
        read_text(put(tmp_path, good + bad))


def test_what_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    start = time.monotonic()
    cases: list[tuple[object, type[Exception], str]] = [
        (tmp_path / "no.txt", MissingInputError, "no such file"),
        (tmp_path / "link", MissingInputError, "no such file"),
        (tmp_path / "a\0b", MissingInputError, "not a possible file name"),
        ([], MissingInputError, "no corpus is named"),
        (tmp_path / "pipe", DataError, "a named pipe"),
        ("/dev/zero", DataError, "a character device"),
        (tmp_path / "empty", DataError, r"no \.txt, \.text, \.md file"),
        (put(tmp_path, b"", "none.txt"), DataError, "no text in it"),
        (put(tmp_path, b"\xef\xbb\xbf", "mark.txt"), DataError, "no text in it"),
        (put(tmp_path, "hello".encode("utf-16"), "wide.txt"), DataError, "UTF-16LE text, .*: iconv -f UTF-16LE"),
    ]
    for paths, error, words in cases:
        with pytest.raises(error, match=words) as caught:
            read_text(paths)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 1


def test_a_text_larger_than_memory_and_disk_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no room in the cache folder it would have to be held in memory; nothing is written."""
    monkeypatch.setenv("NYX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SPARE_BYTES", 1 << 60)
    monkeypatch.setattr(sources, "WHOLE_BYTES", 1 << 60)  # it is a hole, but stands for a file without
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1 << 28))
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.truncate(1 << 28)
    said: list[str] = []
    start = time.monotonic()
    with pytest.raises(DeviceMemoryError, match=r"0\.2 GiB and this machine 0\.2 GiB of free memory"):
        read_text(path, say=said.append)
    assert time.monotonic() - start < 1
    assert len(said) == 1
    assert re.search("held in memory, not in the cache .* GiB free, too few", said[0])
    assert not list((tmp_path / "cache" / "texts").iterdir())


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = "\ufeffaé\r\n".encode() * 1000
    with put(tmp_path, data).open("rb") as given:
        monkeypatch.setattr("sys.stdin", given)
        text = read_text(["-", "-"])
    assert text.string() == data.decode().replace("\r\n", "\n")[1:]
    assert text.sources == (Path("-"),)
    for limit, words in ((len(data) - 1, f"more than {len(data) - 1} bytes: .* data.stdin_bytes"), (0, "more than 0")):
        with put(tmp_path, data).open("rb") as given, pytest.raises(DataError, match=words):
            monkeypatch.setattr("sys.stdin", given)
            read_text("-", stdin_bytes=limit)
    with put(tmp_path, data).open("rb") as given:
        monkeypatch.setattr("sys.stdin", given)
        assert len(read_text("-", stdin_bytes=len(data))) == 3999
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(StorageError, match="cannot read standard input"):
        read_text("-")
    monkeypatch.chdir(tmp_path)
    put(tmp_path, b"a file", "-")
    assert read_text("./-").string() == "a file"


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BLOCK_BYTES", 10)
    path = put(tmp_path, b"0123456789" * 3)

    def with_change(change: Callable[[], object]) -> str:
        pieces = []
        with open_sources(path) as (source,):
            for number, block in enumerate(source.blocks()):
                pieces.append(block.decode())
                if number == 0:
                    change()
        return "".join(pieces)

    assert with_change(lambda: os.truncate(path, 34)) == "0123456789" * 3
    assert with_change(path.unlink) == "0123456789" * 3 + "\0" * 4
    with pytest.raises(DataError, match=r"a\.txt: it ends at byte offset 12 and had 30 bytes"):
        put(tmp_path, b"0123456789" * 3)
        with_change(lambda: os.truncate(path, 12))


@pytest.mark.parametrize(("distinct", "dtype"), [(1, np.uint8), (256, np.uint8), (257, np.uint16), (65536, np.uint16),
                                                 (65537, np.uint32)])  # fmt: skip
def test_ids_take_the_narrowest_type(distinct: int, dtype: type) -> None:
    text = "".join(map(chr, [*range(0xD000, 0xD800), *range(0xE000, 0x1F800)]))[:distinct][::-1] * 2
    read = text_from_string(text, "none")
    assert read.ids.dtype == dtype
    assert read.string() == text


def test_the_type_widens_while_reading(tmp_path: Path) -> None:
    parts = ["plain\n", "".join(map(chr, range(0x4E00, 0x4F00))) + "\n", "plain\n"]
    files = [put(tmp_path, part.encode(), f"{number}.txt") for number, part in enumerate(parts)]
    read = read_text(files)
    assert read.ids.dtype == np.uint16
    assert read.string() == "".join(parts)


def test_one_repeated_character_is_a_vocabulary_of_one(tmp_path: Path) -> None:
    for data in (b"\n" * 50, b"\0" * 50, "🜊".encode() * 50):
        text = read_text(put(tmp_path, data))
        assert len(Vocabulary.from_text(text)) == 1
        assert len(text) == 50


def test_the_fixed_vocabularies() -> None:
    brain, large = Vocabulary.fixed("hlx-115"), Vocabulary.fixed("hlx-117")
    assert (len(brain), len(large)) == (115, 117)
    assert len(GLYPHS) == len(set(GLYPHS)) == 17
    assert not GLYPHS.isascii()
    assert brain.characters == large.characters
    assert len(brain.characters) == 95 + 1 + 17
    assert [large.special(name) for name in ("padding", "end", "begin", "unknown")] == [113, 114, 115, 116]
    assert brain.special("begin") is None
    with pytest.raises(ConfigError, match="hlx-115, hlx-117"):
        Vocabulary.fixed("hlx-116")


def test_reserved_symbols_up_to_a_size() -> None:
    text = text_from_string("abc")
    vocabulary = Vocabulary.from_text(text, 8)
    assert len(vocabulary) == 8
    assert list(vocabulary.encode("cab")) == [2, 0, 1]
    assert vocabulary.decode([0, 7]) == "a\ufffd"
    assert list(vocabulary.utf8_lengths) == [1, 1, 1, 0, 0, 0, 0, 0]
    with pytest.raises(ConfigError, match="vocab_size = 2 is too small: this corpus needs 3"):
        Vocabulary.from_text(text, 2)
    with pytest.raises(DataError, match=r"outside 0\.\.7"):
        vocabulary.decode([8])


def test_a_character_the_model_never_saw() -> None:
    vocabulary = Vocabulary.from_text(text_from_string("the é"))
    assert vocabulary.decode(vocabulary.encode("e\u0301")) == "é"
    with pytest.raises(DataError, match=r"the prompt: character 'ß' \(U\+00DF\) at position 3 .* 5 characters"):
        vocabulary.encode("heeß")
    for text, words in (("\udcff", r"\(U\+DCFF\) at position 0"), ("t\0", r"character \(U\+0000\) at position 1")):
        with pytest.raises(DataError, match=words):
            vocabulary.encode(text)
    with pytest.raises(DataError, match=r"'x' \(U\+0078\), character 'y' .* the first one is at character 4"):
        vocabulary.encode_text(text_from_string("the xy"))
    assert len(vocabulary.encode("")) == 0


@given(text=characters, extra=st.integers(0, 5), specials=st.sets(st.sampled_from(["padding", "end", "begin"])))
def test_json_round_trip(text: str, extra: int, specials: set[str]) -> None:
    order = "".join(dict.fromkeys(clean(text, "none")))
    vocabulary = Vocabulary(order, sorted(specials), len(order) + len(specials) + extra, "none")
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary
    assert hash(again) == hash(vocabulary)
    assert again.to_json() == vocabulary.to_json()
    assert vocabulary.difference(again) == ""
    assert list(again.encode(order)) == [order.index(c) for c in clean(order, "none")]


def test_differences_are_named() -> None:
    one, two = Vocabulary("abc", size=5), Vocabulary("abd", ("end",), normalization="none")
    words = one.difference(two)
    for part in ("specials: () here, ('end',) there", "size: 5 here, 4 there", "'c' (U+0063)", "only there"):
        assert part in words
    assert one != two
    assert Vocabulary("ab").difference(Vocabulary("ba")) == "the same characters in another order"


@pytest.mark.parametrize("change", [
    {"size": 1}, {"size": True}, {"size": 3.0}, {"size": 10**12}, {"characters": "aa"}, {"characters": ""},
    {"characters": ["a", "b", "c"]}, {"specials": [1]}, {"specials": ["end", "end"]}, {"normalization": "x"},
    {"more": 1}, {"characters": "\ud800"},
])  # fmt: skip
def test_damaged_json_is_refused(change: dict[str, object]) -> None:
    good = json.loads(Vocabulary("abc").to_json())
    with pytest.raises(CheckpointError, match="vocabulary is damaged"):
        Vocabulary.from_json(json.dumps(good | change))
    for text in ("", "[]", "1", "null", Vocabulary("abc").to_json()[:-1], "[" * 100_000):
        with pytest.raises(CheckpointError):
            Vocabulary.from_json(text)
