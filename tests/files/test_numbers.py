"""A text in the cache is used as an array in memory is, and a file that changes under it is an error."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nyx.config import DataConfig
from nyx.errors import StorageError
from nyx.text import cache, corpus, lines, numbers, sources
from nyx.text.batches import Windows, evaluation_windows
from nyx.text.cache import Entry
from nyx.text.check import examine_text
from nyx.text.corpus import Text, read_text
from nyx.text.numbers import Numbers, pieces
from nyx.text.prepare import make_vocabulary, prepare

TEXT = "".join(f"HLXL: [{number}, {number * 7919 % 1000}]\nLC-R: 🜃{number}🜄\nsome é words\n\n" for number in range(400))


def stored(folder: Path, values: np.ndarray) -> Numbers:
    path = folder / "numbers"
    path.write_bytes(values.tobytes() + b"what comes behind them")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return Numbers(descriptor, values.dtype, len(values), path)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_it_is_indexed_as_an_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: type) -> None:
    monkeypatch.setattr(numbers, "BLOCK_BYTES", 16)
    values = np.random.default_rng(1).integers(0, 250, 300).astype(dtype)
    ids = stored(tmp_path, values)
    assert (len(ids), ids.shape, ids.dtype, list(ids)) == (300, (300,), values.dtype, values.tolist())
    assert np.array_equal(np.asarray(ids), values)
    assert np.array_equal(np.asarray(ids, np.int64), values)

    @given(st.data())
    def check(data: st.DataObject) -> None:
        low, high = (data.draw(st.one_of(st.none(), st.integers(-400, 400))) for _ in range(2))
        step = data.draw(st.sampled_from([None, 1, 3, -1]))
        assert np.array_equal(ids[low:high:step], values[low:high:step])
        places = np.array(data.draw(st.lists(st.integers(0, 299), max_size=40)), np.int64)
        assert np.array_equal(ids[places], values[places])
        lengths = np.minimum(np.arange(len(places)) % 7, 300 - places)
        assert np.array_equal(pieces(ids, places, lengths), pieces(values, places, lengths))

    check()
    assert ids[-1] == values[-1]
    assert ids[np.int64(5)] == values[5]
    for bad in (300, -301):
        with pytest.raises(IndexError):
            ids[bad]
    with pytest.raises(IndexError):
        ids[np.array([3, 300])]


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Text, Text]:
    """The same text from the cache and in memory; small blocks."""
    monkeypatch.setenv("NYX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(corpus, "CACHED_BYTES", 1000)
    for module in (corpus, sources):
        monkeypatch.setattr(module, "BLOCK_BYTES", 256)
    monkeypatch.setattr(lines, "BLOCK", 300)
    monkeypatch.setattr(numbers, "BLOCK_BYTES", 512)
    (tmp_path / "a.txt").write_text(TEXT + "one long line " * 200 + "\n" + TEXT[:3000], "utf-8")
    kept = read_text(tmp_path / "a.txt")
    assert isinstance(kept.ids, Numbers)
    return kept, read_text(tmp_path / "a.txt", cache=False)


@pytest.mark.parametrize("settings", [
    {}, {"cut": "line"}, {"cut": "line", "split_by": "example", "pack": True}, {"cut": "block", "split_by": "example"},
    {"cut": "notation"}, {"cut": "notation", "split_by": "example", "arrange": "pair"},
    {"cut": "line", "match": "[3-5]"}, {"max_characters": 12, "unknown": "bytes"},
    {"max_characters": 12, "unknown": "skip", "cut": "line"},
])  # fmt: skip
def test_a_training_sees_the_same(both: tuple[Text, Text], settings: dict[str, object]) -> None:
    data, found = DataConfig.model_validate(settings), []
    for text in both:
        vocabulary = make_vocabulary("corpus", text, None, data)
        made = prepare(text, vocabulary, data, seq_len=16, seed=3, say=lambda line: None)
        windows = Windows(made.train, 16, 4, 5, pack=data.pack)
        batches = [windows.batch(step) for step in range(2 * windows.steps_per_epoch)]
        batches += evaluation_windows(made.val, 16, 4)
        found.append((batches, made.train.head(500), made.val.head(500), made.train.characters))
    for one, two in zip(*(each[0] for each in found), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert np.array_equal(found[0][1], found[1][1])
    assert np.array_equal(found[0][2], found[1][2])
    assert found[0][3] == found[1][3]


def test_a_check_sees_the_same(both: tuple[Text, Text]) -> None:
    kept, memory = both
    assert examine_text(kept, 0.2) == examine_text(memory, 0.2)
    assert np.array_equal(kept.counts, memory.counts)
    assert kept.string() == memory.string()
    assert kept.string(100, 300) == memory.string(100, 300)


def test_a_file_that_becomes_shorter_is_one_error(both: tuple[Text, Text], tmp_path: Path) -> None:
    kept, _ = both
    (path,) = (tmp_path / "cache/texts").iterdir()
    first = kept.string(0, 50)
    os.truncate(path, 100)
    assert kept.string(0, 50) == first
    for use in (lambda: kept.string(), lambda: kept.ids[np.array([5, 900])], lambda: kept.ids[900],
                lambda: Windows(kept.ids, 16, 4, 5).batch(0), lambda: examine_text(kept, 0.3)):  # fmt: skip
        words = rf"{path.name} in the cache of texts: it has no byte \d+ any more; start again or resume"
        with pytest.raises(StorageError, match=words) as caught:
            use()
        assert "\n" not in str(caught.value)
    assert read_text(tmp_path / "a.txt", say=lambda line: None).string(0, 50) == first


def test_a_disk_that_fails_is_one_error(both: tuple[Text, Text], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", fails)
    with pytest.raises(StorageError, match="in the cache of texts: Input/output error"):
        both[0].string()


def test_reads_that_give_less_than_was_asked_go_on(both: tuple[Text, Text], monkeypatch: pytest.MonkeyPatch) -> None:
    """A call gives 2 GiB at most, and a file system may give less."""
    read = os.pread
    monkeypatch.setattr(os, "pread", lambda descriptor, count, at: read(descriptor, min(count, 7), at))
    assert both[0].string() == both[1].string()
    monkeypatch.delattr(os, "pread")
    assert both[0].string() == both[1].string()


def test_one_that_is_replaced_or_removed_is_kept(both: tuple[Text, Text], tmp_path: Path) -> None:
    (path,) = (tmp_path / "cache/texts").iterdir()
    (tmp_path / "other").write_bytes(bytes(path.stat().st_size))
    os.replace(tmp_path / "other", path)
    assert both[0].string() == both[1].string()
    path.unlink()
    assert both[0].string() == both[1].string()


def test_descriptors_are_given_back(both: tuple[Text, Text], tmp_path: Path) -> None:
    store = cache.Cache(tmp_path / "cache/texts")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        entry = store.load(both[0].key)
        assert isinstance(entry, Entry)
    del entry
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_training_whose_text_is_cut_short_ends_with_a_line(tmp_path: Path) -> None:
    """Exit code 74, no signal; the run is resumed, and the entry made again."""
    environment = os.environ | {"NYX_CACHE_DIR": str(tmp_path / "cache"), "NYX_NUM_THREADS": "1"}
    rng = np.random.default_rng(1)
    words = ["a", "small", "lamp", "stood", "near", "every", "green", "door"]
    (tmp_path / "a.txt").write_text(" ".join(rng.choice(words, 1_000_000)))
    nyx = [sys.executable, "-m", "nyx.cli"]
    train = [*nyx, "train", "a.txt", "--config", "smoke", "--device", "cpu", "--set", "train.max_steps=1000000",
             "--set", "train.log_every=1", "--set", "train.eval_every=0", "--set", "data.check=off"]  # fmt: skip
    with (tmp_path / "said").open("wb") as said:
        training = subprocess.Popen(train, cwd=tmp_path, env=environment, stderr=said)
        end = time.monotonic() + 60
        while b"step 3/" not in (tmp_path / "said").read_bytes() and time.monotonic() < end:
            time.sleep(0.05)
        for path in (tmp_path / "cache/texts").iterdir():
            os.truncate(path, 1000)
        assert training.wait(60) == 74
    text = (tmp_path / "said").read_text("utf-8")
    assert "in the cache of texts: it has no byte" in text
    assert "Traceback" not in text
    again = subprocess.run([*train, "--set", "train.max_steps=3", "--set", "train.warmup_steps=1"], cwd=tmp_path,
                           env=environment, capture_output=True, check=False)  # fmt: skip
    assert again.returncode == 0, again.stderr
