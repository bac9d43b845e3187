"""The cache of texts: what is mapped equals what is read, whatever happens to the files, the folder and its size."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nyx.errors import DataError
from nyx.text import cache, check, corpus, sources
from nyx.text.cache import Cache, CacheError
from nyx.text.check import examine, examine_text
from nyx.text.corpus import Text, read_text
from nyx.text.numbers import Numbers
from nyx.text.vocabulary import Unknown, Vocabulary

TEXT = "The quick brown é fox\r\n∅⊤ jumps 🜊 over\n" * 200


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small texts go into a cache of the test's own, in several blocks."""
    monkeypatch.setenv("NYX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(corpus, "CACHED_BYTES", 1000)
    for module in (corpus, sources):
        monkeypatch.setattr(module, "BLOCK_BYTES", 256)
    yield


def put(folder: Path, text: str = TEXT, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def entries(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "texts").iterdir())


def refuse(line: str) -> None:
    raise AssertionError(f"nothing was to be said: {line}")


def same(one: Text, two: Text) -> None:
    assert np.array_equal(one.ids, two.ids)
    assert one.ids.dtype == two.ids.dtype
    assert np.array_equal(one.symbols, two.symbols)
    assert np.array_equal(one.counts, two.counts)
    assert (one.utf8_bytes, one.sha256, one.normalization) == (two.utf8_bytes, two.sha256, two.normalization)


@pytest.mark.parametrize("wide", [0, 300, 70_000])
def test_a_mapped_text_equals_one_in_memory(tmp_path: Path, wide: int) -> None:
    """Also when the type widens on the way: to 16 bits, and to 32."""
    path = put(tmp_path, TEXT + "".join(map(chr, range(0x10000, 0x10000 + wide))) + TEXT)
    memory = read_text(path, cache=False)
    assert not (tmp_path / "cache").exists()
    for _ in range(2):
        mapped = read_text(path, say=refuse)
        assert isinstance(mapped.ids, Numbers)
        assert not mapped.ids[3:5].flags.writeable
        same(mapped, memory)
        assert mapped.string() == TEXT.replace("\r\n", "\n") * 2 if not wide else True
        assert np.array_equal(mapped.counts, np.bincount(mapped.ids))
        assert len(entries(tmp_path)) == 1
    assert (entries(tmp_path)[0].stat().st_mode & 0o777) == 0o600


def test_what_the_key_is_of(tmp_path: Path) -> None:
    """The bytes, where one file ends and the next begins, and the form; not the name."""
    a = put(tmp_path)
    read_text(a)
    read_text(put(tmp_path, name="b.txt"))
    assert len(entries(tmp_path)) == 1
    read_text(a, "none")
    read_text([a, put(tmp_path, TEXT[::-1], "c.txt")])
    put(tmp_path, TEXT + TEXT[::-1][:7], "d.txt")
    read_text([tmp_path / "d.txt", put(tmp_path, TEXT[::-1][7:], "e.txt")])
    assert len(entries(tmp_path)) == 4
    os.utime(a, (1, 1))
    put(tmp_path, TEXT.replace("fox", "dog"))
    assert "dog" in read_text(a).string()


def test_a_hit_reads_the_text_once_and_does_not_encode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_text(put(tmp_path))
    monkeypatch.setattr(corpus, "_Encoder", None)
    same(read_text(tmp_path / "a.txt"), first)


@pytest.mark.parametrize("at", [0, 1234, -1, -5, -12, -16, -17, -40, -100, -2000])
@pytest.mark.parametrize("how", ["flip", "cut", "more"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, at: int, how: str) -> None:
    path = put(tmp_path)
    memory = read_text(path, cache=False)
    mapped = read_text(path)
    good = entries(tmp_path)[0].read_bytes()
    place = at % len(good)
    bad = good[:place] + (bytes([good[place] ^ 4]) + good[place + 1 :] if how == "flip" else b"" if how == "cut" else
                          b"x" + good[place:])  # fmt: skip
    entries(tmp_path)[0].unlink()
    (tmp_path / "cache" / "texts" / f"{mapped.key}.nyxtext").write_bytes(bad)
    said: list[str] = []
    same(read_text(path, say=said.append), memory)
    assert len(said) == (len(bad) > 0)  # nothing at all is no entry
    assert all("is damaged: it is made again" in line for line in said)
    assert entries(tmp_path)[0].read_bytes() == good
    same(mapped, memory)  # what was mapped before is another file


def test_a_text_that_changes_between_hashing_and_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry belongs to the bytes that were encoded, not to those that were hashed before."""
    path = put(tmp_path)
    reserve = Cache.reserve

    def change(self: Cache, size: int, scratch: int = 0) -> None:
        reserve(self, size, scratch)
        put(tmp_path, TEXT.replace("fox", "dog"))

    read_text(put(tmp_path, TEXT.replace("fox", "cat"), "b.txt"))  # with an entry there the text is hashed first
    with monkeypatch.context() as patch:
        patch.setattr(Cache, "reserve", change)
        changed = read_text(path)
    assert "dog" in changed.string()
    same(read_text(path, say=refuse), changed)
    put(tmp_path)
    assert "fox" in read_text(path).string()


def test_a_folder_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path)
    memory = read_text(path, cache=False)
    said: list[str] = []

    def fails(*_: object, **__: object) -> None:
        raise CacheError("no")

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    (tmp_path / "cache").write_text("a file")
    same(read_text(path, say=said.append), memory)
    (tmp_path / "cache").unlink()
    for name in ("largest", "reserve", "scratch", "store"):
        with monkeypatch.context() as patch:
            patch.setattr(Cache, name, fails)
            same(read_text(path, say=said.append), memory)
    for target in ("nyx.files.write_all", "nyx.text.cache.shutil.disk_usage", "nyx.text.cache.tempfile.TemporaryFile"):
        with monkeypatch.context() as patch:
            patch.setattr(target, full)
            same(read_text(path, say=said.append), memory)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert read_text(path, say=refuse).key
    with monkeypatch.context() as patch:
        patch.setattr(Cache, "load", fails)
        same(read_text(path, say=said.append), memory)
    assert len(said) == 9
    assert all("held in memory" in line and "NYX_CACHE_DIR" in line and "\n" not in line for line in said)


def test_the_least_recently_used_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [put(tmp_path, f"{number}{TEXT}", f"{number}.txt") for number in range(4)]
    keys = [read_text(path).key for path in paths[:3]]
    for age, key in enumerate(keys):
        os.utime(tmp_path / "cache" / "texts" / f"{key}.nyxtext", (age, age))
    size = entries(tmp_path)[0].stat().st_size
    read_text(paths[0])  # used now
    monkeypatch.setattr(cache, "LIMIT_BYTES", 3 * size + size // 2)
    monkeypatch.setattr(Cache, "reserve", lambda self, size, scratch=0: None)  # what it frees is tested below
    held = read_text(paths[3])
    left = {path.stem for path in entries(tmp_path)}
    assert left == {keys[0], keys[2], held.key}
    monkeypatch.undo()
    monkeypatch.setattr(cache, "LIMIT_BYTES", 2 * size + size // 2)
    store = Cache(tmp_path / "cache" / "texts")
    store.reserve(size)
    assert len(entries(tmp_path)) == 1
    store.reserve(5 * size)
    assert held.string()  # mapped, though removed


def test_two_processes_at_once(tmp_path: Path) -> None:
    path = put(tmp_path, "".join(f"{n} {TEXT}" for n in range(20)))
    program = (
        "import sys\n"
        "from nyx.text import corpus\n"
        "corpus.CACHED_BYTES = 0\n"
        "for _ in range(3):\n"
        "    text = corpus.read_text(sys.argv[1])\n"
        "    print(text.sha256, hash(text.string()) == hash(corpus.read_text(sys.argv[1], cache=False).string()))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    ended = [process.communicate(timeout=60) for process in running]
    assert [err for _, err in ended] == [""] * 3
    lines = {line for out, _ in ended for line in out.splitlines()}
    assert lines == {f"{read_text(path, cache=False).sha256} True"}


def test_renumbered_symbols_are_mapped_too(tmp_path: Path) -> None:
    path = put(tmp_path)
    mapped, memory = read_text(path), read_text(path, cache=False)
    cases: list[tuple[Vocabulary, Unknown]] = [
        (Vocabulary("".join(sorted(set(TEXT), reverse=True))), "error"),
        (Vocabulary.build(memory, max_characters=8, unknown="skip"), "skip"),
        (Vocabulary.build(memory, max_characters=8, unknown="bytes"), "bytes"),
    ]
    for vocabulary, unknown in cases:
        said: list[str] = []
        for _ in range(2):
            ids = vocabulary.encode_text(mapped, unknown=unknown, say=said.append)
            assert isinstance(ids, Numbers)
            assert np.array_equal(ids, vocabulary.encode_text(memory, unknown=unknown, say=said.append))
        assert bool(said) == (unknown == "skip")
    assert len(entries(tmp_path)) == 4
    assert Vocabulary.from_text(mapped).encode_text(mapped) is mapped.ids


def test_a_report_is_kept_with_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_bytes(b"\x01" + TEXT.encode())
    text = read_text(tmp_path / "a.txt")
    first, other = examine_text(text, 0.1), examine_text(text, 0.5)
    assert first.controls
    assert first.rare
    assert first != other
    assert first == examine_text(read_text(tmp_path / "a.txt", cache=False), 0.1)
    said: list[str] = []
    monkeypatch.setattr(Cache, "store", refuse)
    monkeypatch.setattr(check, "LineSample", None)
    assert (examine_text(text, 0.1, say=said.append), examine_text(text, 0.5)) == (first, other)
    monkeypatch.undo()
    monkeypatch.setenv("NYX_CACHE_DIR", "/proc/no/such")
    assert examine_text(text, 0.1, say=said.append) == first
    assert len(said) == 1
    assert "is not kept" in said[0]


def test_a_check_keeps_no_text_with_faults(tmp_path: Path) -> None:
    """But one without faults is there for the training after it."""
    examine(put(tmp_path))
    assert len(entries(tmp_path)) == 1
    (tmp_path / "a.txt").write_bytes(b"\xff" + TEXT.encode())
    assert examine(tmp_path / "a.txt").faults == 1
    assert len(entries(tmp_path)) == 1
    with pytest.raises(DataError, match="byte offset 0"):
        read_text(tmp_path / "a.txt")


def test_the_footer_is_what_it_says(tmp_path: Path) -> None:
    """The check sum is of all bytes before the footer, so that no entry is taken for whole by its size alone."""
    read_text(put(tmp_path))
    data = entries(tmp_path)[0].read_bytes()
    magic, length, check = cache._TAIL.unpack(data[-cache._TAIL.size :])
    text = data[-cache._TAIL.size - length : -cache._TAIL.size]
    assert (magic, check) == (b"NYXTEXT\0", zlib.crc32(text))
    assert f'"crc": {zlib.crc32(data[: -cache._TAIL.size - length])}' in text.decode()
