"""The checkpoint file: exact round trips, and not one damaged, foreign or hostile file is accepted."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx.errors import CheckpointError, DeviceMemoryError, DivergenceError, MissingInputError, StorageError
from nyx.training import checkpoint, container
from nyx.training.checkpoint import CheckpointInfo, TrainingState

TYPES = ["f8", "i8", "u8", "f4", "i4", "u4", "f2", "i2", "u2", "i1", "u1", "?"]
STATE = TrainingState(
    7, 1, 3, 2, 1, 4, 900, 1.5, 0.1 + 0.2, 6, True, {"updates": {"2": 7}}, "id", "runs/a b\udcff", "", 3
)
INFO = CheckpointInfo({"model": {"kind": "hrm"}, "data": {"path": "my.txt"}}, '["a","\\u00e9"]', STATE, "00ff",
                      {"seed": 1}, "0.1.0", "CPU")  # fmt: skip


def tensors(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "model.weight": rng.standard_normal((16, 24), dtype=np.float32),
        "model.bias": rng.standard_normal(7, dtype=np.float32),
        "optim.m.weight": rng.standard_normal((16, 24), dtype=np.float32),
        "state.flags": rng.integers(0, 2, 5).astype(np.uint8),
        "state.empty": np.zeros((0, 3), np.int32),
        "state.step": np.array(7, np.int64),
        "ema.odd": rng.integers(0, 9, (3, 1, 5)).astype(np.int16),
    }


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # test_power_cut.py is about them


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small checkpoint whose file may be written into."""
    file = tmp_path / "hrm.ckpt"
    checkpoint.save(file, tensors(), INFO.to_metadata())
    file.chmod(0o644)
    return file


def refused(path: Path) -> str:
    """The message with which load, read_metadata and peek-then-load refuse a file."""
    messages = []
    for read in (checkpoint.load, checkpoint.read_metadata):
        with pytest.raises(CheckpointError) as caught:
            read(path)
        messages.append(str(caught.value))
        assert caught.value.exit_code == 65
    assert messages[0] == messages[1]
    assert messages[0].isprintable() and path.name in messages[0] and ";" in messages[0]
    return messages[0]


def equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(
        a[name].dtype == b[name].dtype and a[name].shape == b[name].shape and a[name].tobytes() == b[name].tobytes()
        for name in a
    )


def test_round_trip(path: Path) -> None:
    loaded = checkpoint.load(path)
    assert equal(loaded.tensors, tensors())
    assert loaded.complete and loaded.path == path and loaded.info() == INFO
    assert checkpoint.read_metadata(path) == loaded.metadata
    for array in loaded.tensors.values():
        assert array.flags.aligned and array.flags.writeable and array.flags.c_contiguous and array.flags.owndata


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (5, 3), (2, 0, 3), (1, 2, 1, 2, 1, 2, 1, 2)])
def test_every_type_and_shape(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    given = {"a": np.ones(1, np.uint8), "b": np.random.default_rng(1).integers(0, 2, shape).astype(kind)}
    checkpoint.save(tmp_path / "file", given, {})
    assert equal(checkpoint.load(tmp_path / "file").tensors, given)
    assert equal(safetensors.numpy.load_file(tmp_path / "file"), given)


def test_special_values_and_layouts(tmp_path: Path) -> None:
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    odd = {"nan": np.array([np.nan, -np.inf, -0.0, 1e-45], np.float32), "t": base.T, "s": base[::2, ::-3],
           "big": base.astype(">f4"), "readonly": np.broadcast_to(np.float32(3), (2, 2))}  # fmt: skip
    container.write(tmp_path / "file", odd, {})
    plain = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("=")) for name, array in odd.items()}
    assert equal(container.read(tmp_path / "file").tensors, plain)


def test_the_library_reads_it(path: Path) -> None:
    assert equal(safetensors.numpy.load_file(path), tensors())
    with safetensors.safe_open(path, "np") as file:
        found = dict(file.metadata())
    assert found.pop("SHA256") == checkpoint.load(path).sha256
    assert found == checkpoint.read_metadata(path)


def test_same_state_same_bytes(path: Path, tmp_path: Path) -> None:
    digest = checkpoint.save(tmp_path / "again", dict(reversed(tensors().items())), INFO.to_metadata())
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    assert checkpoint.load(path).sha256 == digest
    data = path.read_bytes()
    at = data.index(digest.encode())
    assert hashlib.sha256(data[:at] + b"0" * 64 + data[at + 64 :]).hexdigest() == digest
    assert int.from_bytes(data[:8], "little") % 8 == 0
    assert (tmp_path / "again").stat().st_mode & 0o777 & 0o222 == 0, "a file with several names is not written into"


def test_only_what_is_asked_for(path: Path) -> None:
    found = checkpoint.load(path, ["model.", "ema."])
    assert sorted(found.tensors) == ["ema.odd", "model.bias", "model.weight"] and not found.complete


def test_memory(tmp_path: Path) -> None:
    part = np.ones((2 << 20,), np.float32)  # 8 MiB
    big = {"model.a": part, "model.b": part, "optim.m.a": part, "optim.v.a": part}
    file = tmp_path / "file"

    def peak(action: Callable[[], object]) -> int:
        tracemalloc.start()
        kept = action()
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        del kept
        return used

    assert peak(lambda: checkpoint.save(file, big, {})) < part.nbytes // 4
    size = file.stat().st_size
    assert peak(lambda: checkpoint.load(file)) <= size * 1.1
    assert peak(lambda: checkpoint.load(file, ["model."])) <= size * 0.6
    assert peak(lambda: checkpoint.read_metadata(file)) <= 2 << 20


def test_not_enough_memory_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = np.empty

    def empty(shape: Any, *args: Any) -> np.ndarray:
        if shape == (16, 24):
            raise MemoryError
        return real(shape, *args)

    monkeypatch.setattr(container.np, "empty", empty)
    with pytest.raises(DeviceMemoryError, match="1,536 bytes"):
        checkpoint.load(path)


# ---- damage


def flip(file: int, size: int, bit: int) -> None:
    byte = os.pread(file, 1, bit // 8)[0]
    os.pwrite(file, bytes([byte ^ (1 << bit % 8)]), bit // 8)


def test_every_bit_of_the_header_and_4000_of_the_payload(path: Path) -> None:
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    bits = list(range(start * 8))
    bits += [start * 8 + bit for bit in random.Random(1).sample(range((len(data) - start) * 8), 4000)]
    accepted = []
    file = os.open(path, os.O_RDWR)
    for bit in bits:
        flip(file, len(data), bit)
        try:
            checkpoint.load(path)
            accepted.append(bit)
        except CheckpointError as error:
            assert str(error).isprintable()
        flip(file, len(data), bit)
    os.close(file)
    assert len(bits) > 12_000 and accepted == []
    assert path.read_bytes() == data
    checkpoint.load(path)


def test_every_length_and_every_kind_of_growth(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    lengths = sorted({*range(0, len(data), 97), *range(130), start - 1, start, len(data) - 1})
    copies = [data[:length] for length in lengths]
    copies += [data + b"\0", data + data, data[:-64] + bytes(64), data[: len(data) // 2] + bytes(len(data) // 2)]
    copies += [b"\0" + data, data[8:], data[start:], bytes(len(data)), data[:start] + data[start:][::-1]]
    damaged = tmp_path / "damaged"
    for copy in copies:
        damaged.write_bytes(copy)
        refused(damaged)


def test_parts_of_two_files(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    checkpoint.save(other, tensors(1), INFO.to_metadata())
    a, b = path.read_bytes(), other.read_bytes()
    start = 8 + int.from_bytes(a[:8], "little")
    assert start == 8 + int.from_bytes(b[:8], "little") and a[:start] != b[:start]
    damaged = tmp_path / "damaged"
    n = 16 * 24 * 4
    weight = a.index(tensors()["model.weight"].tobytes())
    moment = a.index(tensors()["optim.m.weight"].tobytes())
    swapped = bytearray(a)
    swapped[weight : weight + n], swapped[moment : moment + n] = a[moment : moment + n], a[weight : weight + n]
    for copy in (a[:start] + b[start:], b[:start] + a[start:], bytes(swapped)):
        damaged.write_bytes(copy)
        assert "checksum" in refused(damaged)


def test_a_file_that_changes_while_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = path.read_bytes()
    real = container._allocate
    for change, message in ((data[:-100], "ends while"), (data + b"x", "grows while")):
        path.write_bytes(data)

        def allocate(spec: Any, where: Any, change: bytes = change) -> np.ndarray:
            path.write_bytes(change)
            return real(spec, where)

        monkeypatch.setattr(container, "_allocate", allocate)
        with pytest.raises(CheckpointError, match=message):
            checkpoint.load(path)


# ---- what is no checkpoint


def test_foreign_files(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for data in (b"", b"PK\x03\x04" + bytes(500), b"{}", b"\x80\x04." + bytes(200), b"\xff" * 200, b"text\n" * 50):
        file.write_bytes(data)
        assert "is not a Nyx checkpoint" in refused(file)
    safetensors.numpy.save_file(tensors(), file, INFO.to_metadata() | {"SHA256": "0" * 64})
    refused(file)
    safetensors.numpy.save_file(tensors(), file)
    assert "is not a Nyx checkpoint" in refused(file)


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "circle", "pipe"):
        start = time.monotonic()
        refused(tmp_path / name)
        assert time.monotonic() - start < 1
    (tmp_path / "dangling").symlink_to("none")
    for name in ("none", "folder/none", "dangling"):
        with pytest.raises(MissingInputError) as caught:
            checkpoint.load(tmp_path / name)
        assert caught.value.exit_code == 66 and str(caught.value).isprintable()


def forge(header: str | bytes, payload: bytes = b"") -> bytes:
    """A file around this header whose checksum is right: SHA256 stands where the header says @."""
    text = header.encode("utf-8", "surrogatepass") if isinstance(header, str) else header
    text = text.replace(b"@", b"0" * 64)
    text += b" " * (-len(text) % 8)
    data = len(text).to_bytes(8, "little") + text + payload
    digest = hashlib.sha256(data).hexdigest().encode()
    return data[:35] + digest + data[99:] if text.startswith(container._PREFIX) else data


META = '"__metadata__":{"SHA256":"@","format_version":"1"}'
ENTRY = '"dtype":"U8","shape":[4],"data_offsets":[0,4]'
ATTACKS = {
    "huge shape": f'{{{META},"a":{{"dtype":"U8","shape":[{1 << 62}],"data_offsets":[0,{1 << 62}]}}}}',
    "overflowing shape": f'{{{META},"a":{{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}}}}',
    "zero times huge": f'{{{META},"a":{{"dtype":"U8","shape":[0,9223372036854775807,9],"data_offsets":[0,0]}}}}',
    "digits without end": f'{{{META},"a":{{"dtype":"U8","shape":[{"9" * 5000}],"data_offsets":[0,4]}}}}',
    "more than there is": f'{{{META},"a":{{"dtype":"U8","shape":[5],"data_offsets":[0,5]}}}}',
    "less than there is": f'{{{META},"a":{{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}}}',
    "negative": f'{{{META},"a":{{"dtype":"U8","shape":[-4],"data_offsets":[0,-4]}}}}',
    "both negative": f'{{{META},"a":{{"dtype":"U8","shape":[-2,-2],"data_offsets":[0,4]}}}}',
    "float": f'{{{META},"a":{{"dtype":"U8","shape":[4.0],"data_offsets":[0,4]}}}}',
    "exponent": f'{{{META},"a":{{"dtype":"U8","shape":[4e0],"data_offsets":[0,4]}}}}',
    "bool": f'{{{META},"a":{{"dtype":"U8","shape":[true,4],"data_offsets":[0,4]}}}}',
    "nan": f'{{{META},"a":{{"dtype":"U8","shape":[NaN],"data_offsets":[0,4]}}}}',
    "null": f'{{{META},"a":{{"dtype":"U8","shape":null,"data_offsets":[0,4]}}}}',
    "nine dimensions": f'{{{META},"a":{{"dtype":"U8","shape":[4,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}}}',
    "unknown type": f'{{{META},"a":{{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}}}',
    "a list as type": f'{{{META},"a":{{"dtype":["U8"],"shape":[4],"data_offsets":[0,4]}}}}',
    "overlap": f'{{{META},"a":{{{ENTRY}}},"b":{{{ENTRY}}}}}',
    "gap": f'{{{META},"a":{{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}}}',
    "wrong order": f'{{{META},"b":{{"dtype":"U8","shape":[2],"data_offsets":[0,2]}},'
    '"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}',
    "twice": f'{{{META},"a":{{{ENTRY}}},"a":{{{ENTRY}}}}}',
    "one field twice": f'{{{META},"a":{{"dtype":"U8",{ENTRY}}}}}',
    "another field": f'{{{META},"a":{{{ENTRY},"x":1}}}}',
    "a field less": f'{{{META},"a":{{"dtype":"U8","shape":[4]}}}}',
    "no object": f'{{{META},"a":[{ENTRY.replace(":", ",")}]}}',
    "white space": f'{{{META}, "a":{{{ENTRY}}}}}',
    "tab at the end": f'{{{META},"a":{{{ENTRY}}}}}\t',
    "8 spaces too many": f'{{{META},"a":{{{ENTRY}}}}}' + " " * 15,
    "escaped letter": f'{{{META},"\\u0061":{{{ENTRY}}}}}',
    "lone surrogate": f'{{{META},"\\ud800":{{{ENTRY}}}}}',
    "two documents": f'{{{META},"a":{{{ENTRY}}}}}{{}}',
    "metadata no text": f'{{"__metadata__":{{"SHA256":"@","x":1}},"a":{{{ENTRY}}}}}',
    "metadata unsorted": f'{{"__metadata__":{{"SHA256":"@","b":"","a":""}},"a":{{{ENTRY}}}}}',
    "metadata twice": f'{{{META},{META},"a":{{{ENTRY}}}}}',
    "checksum twice": f'{{"__metadata__":{{"SHA256":"@","SHA256":"{"0" * 64}"}},"a":{{{ENTRY}}}}}',
    "checksum in capitals": f'{{"__metadata__":{{"SHA256":"{"A" * 64}"}},"a":{{{ENTRY}}}}}',
    "deep": f"{{{META}," + '"a":' + "[" * 100_000,
    "deep objects": f"{{{META}," + '"a":{' * 100_000,
    "many keys": f"{{{META}," + ",".join(f'"{key}":0' for key in range(100_000)) + "}",
    "an empty name": f'{{{META},"":{{{ENTRY}}}}}',
    "a key in capitals": f'{{"__metadata__":{{"SHA256":"@","A":""}},"a":{{{ENTRY}}}}}',
    "cut": f'{{{META},"a":',
    "only metadata": f"{{{META}",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_hostile_headers_with_a_right_checksum(tmp_path: Path, name: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(forge(ATTACKS[name], b"\1\2\3\4"))
    tracemalloc.start()
    refused(file)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used <= 64 << 20


def test_forging_itself_works(tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing but the checksum."""
    file = tmp_path / "file"
    file.write_bytes(forge(f'{{{META},"a":{{{ENTRY}}}}}', b"\1\2\3\4"))
    assert checkpoint.load(file).tensors["a"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("length", [0, 1, 7, 1 << 22, (1 << 22) + 8, 1 << 31, 1 << 63, (1 << 64) - 8])
def test_lengths_of_the_header(path: Path, length: int) -> None:
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    tracemalloc.start()
    assert "is not a Nyx checkpoint" in refused(path)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used <= 8 << 20


def test_a_header_beyond_any_model(path: Path) -> None:
    path.write_bytes((64 << 20).to_bytes(8, "little") + path.read_bytes()[8:])
    os.truncate(path, 128 << 20)
    tracemalloc.start()
    assert "is not a Nyx checkpoint" in refused(path)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used <= 1 << 20


SMALL = forge(f'{{{META},"a":{{{ENTRY}}}}}', b"\1\2\3\4")
HEADERS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.floats() | st.text(max_size=3) | st.sampled_from(["U8", "F32"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "a", "b"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def only_the_canonical_form(path: Path, data: bytes) -> None:
    """Refused with the one error, or a file whose content, written again, is the same file."""
    path.write_bytes(data)
    try:
        contents = container.read(path)
    except CheckpointError as error:
        assert str(error).isprintable()
        return
    again = path.with_name("again")
    container.write(again, contents.tensors, contents.metadata)
    assert again.read_bytes() == data


@settings(max_examples=500)
@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: SMALL[:35] + tail))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    only_the_canonical_form(tmp_path_factory.getbasetemp() / "bytes", data)


@settings(max_examples=800)
@given(st.lists(st.tuples(st.integers(99, len(SMALL) - 5), st.binary(max_size=3), st.integers(0, 3)), max_size=4))
def test_any_edit_with_a_right_checksum(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, bytes, int]]
) -> None:
    data = SMALL[:35] + b"@" + SMALL[99:]
    for at, new, gone in edits:
        data = data[: at - 63] + new + data[at - 63 + gone :]
    only_the_canonical_form(tmp_path_factory.getbasetemp() / "edited", forge(data[8:-4], b"\1\2\3\4"))


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from(["a", "b", ""]), HEADERS, max_size=3), st.binary(max_size=8))
def test_any_json_with_a_right_checksum(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any], payload: bytes
) -> None:
    text = json.dumps({"__metadata__": {"SHA256": "@", "format_version": "1"}} | tree, separators=(",", ":"))
    only_the_canonical_form(tmp_path_factory.getbasetemp() / "json", forge(text, payload))


# ---- what cannot be written


def test_what_the_container_cannot_hold(tmp_path: Path) -> None:
    one = np.ones(1, np.float32)
    for given_tensors, metadata in (
        ({"a": np.array(["text"])}, {}),
        ({"a": np.array([object()])}, {}),
        ({"a": np.ones(1, np.complex64)}, {}),
        ({"a": np.ones((1,) * 9, np.float32)}, {}),
        ({"__metadata__": one}, {}),
        ({"": one}, {}),
        ({"a": one}, {"SHA256": "x"}),
        ({"a": one}, {"Upper": "x"}),
        ({"a": one}, {"text": "\ud800"}),
        ({"a": one}, {"big": "x" * (4 << 20)}),
    ):
        with pytest.raises(ValueError):
            checkpoint.save(tmp_path / "file", given_tensors, metadata)
    assert os.listdir(tmp_path) == []
    with pytest.raises(StorageError):
        checkpoint.save(tmp_path / "none" / "file", {"a": one}, {})


# ---- the typed metadata


def test_metadata_are_json(path: Path) -> None:
    metadata = checkpoint.read_metadata(path)
    assert metadata["format_version"] == "1"
    assert json.loads(metadata["training"])["best_val_loss"] == 0.1 + 0.2
    assert {field.name for field in fields(CheckpointInfo)} | {"format_version"} == metadata.keys()
    assert [json.loads(text) for text in metadata.values()]


def test_only_finite_numbers_are_states() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(DivergenceError, match="training"):
            replace(INFO, training=replace(STATE, best_val_loss=value)).to_metadata()


def test_a_newer_format(path: Path) -> None:
    container.write(path, tensors(), {**INFO.to_metadata(), "format_version": "2"})
    assert "format version is 2, and this one reads up to 1" in refused(path)


@pytest.mark.parametrize("version", [None, "", "0", "x", "1.0", "²", "9" * 5000])
def test_no_format(path: Path, version: str | None) -> None:
    container.write(path, tensors(), {} if version is None else {"format_version": version})
    assert "format version is missing" in refused(path)


WRONG: dict[str, Any] = {
    "step": [1.0, True, "1", None], "micro_batch": ["1", 1.5], "best_val_loss": ["x", True], "finished": [0, None],
    "counters": [[], None], "run_id": [1, None], "elapsed_seconds": ["1", None, False],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_types_in_the_training_state(name: str, value: Any) -> None:
    state = asdict(STATE) | {name: value}
    with pytest.raises(CheckpointError, match=f"{name} is missing or of another type"):
        CheckpointInfo.from_metadata(INFO.to_metadata() | {"training": json.dumps(state)}, "file")


def test_other_metadata_that_do_not_fit() -> None:
    good = INFO.to_metadata()
    for bad in (
        good | {"training": "[]"},
        good | {"training": "{"},
        good | {"training": "[" * 100_000},
        good | {"training": json.dumps(asdict(STATE) | {"new": 1})},
        good | {"config": "3"},
        good | {"vocabulary": "{"},
        good | {"unknown": "1"},
        {key: text for key, text in good.items() if key != "config"},
        {key: text for key, text in good.items() if key != "vocabulary"},
    ):
        with pytest.raises(CheckpointError) as caught:
            CheckpointInfo.from_metadata(bad, "file")
        assert str(caught.value).isprintable() and ";" in str(caught.value)
    short = good | {"training": '{"step":3,"elapsed_seconds":4}'}
    assert CheckpointInfo.from_metadata(short, "file").training == TrainingState(step=3, elapsed_seconds=4)


# ---- export


def test_export(path: Path, tmp_path: Path) -> None:
    target, average = tmp_path / "weights.safetensors", np.full(7, 0.5, np.float32)
    some = {name: array for name, array in tensors().items() if not name.startswith("ema.")}
    checkpoint.save(path, some | {"ema.bias": average}, INFO.to_metadata())
    assert checkpoint.export_weights(checkpoint.load(path), target) == 2
    want = {"weight": tensors()["model.weight"], "bias": average}
    assert equal(safetensors.numpy.load_file(target), want)
    loaded = checkpoint.load(target)
    assert equal(loaded.tensors, want) and json.loads(loaded.metadata["config"]) == {"model": {"kind": "hrm"}}
    assert b"runs/" not in target.read_bytes() and b"my.txt" not in target.read_bytes()
    with pytest.raises(CheckpointError, match="weights alone"):
        loaded.info()
    with pytest.raises(CheckpointError, match=r"no tensors model\.\*"):
        checkpoint.export_weights(checkpoint.load(path, ["optim."]), target)
