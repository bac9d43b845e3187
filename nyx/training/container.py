"""The container of a checkpoint: one safetensors file with exactly one valid spelling and a checksum over all of it.

A safetensors file is the length of a JSON header (8 bytes, little-endian), the header, and the tensors' bytes
(https://github.com/huggingface/safetensors, "Format"). The format leaves the writer free in order, white space and
padding, and has no checksum. Here the header has one canonical form: `__metadata__` first, its SHA256 first and the
other keys sorted; then the tensors, wide types first (so that each is aligned), sorted by name, without gaps; spaces
up to a multiple of 8. Reading parses a header, writes it again and wants the same bytes, so nothing else gets in.
SHA256 is that of the whole file with its own 64 digits as zeros: it finds damage, it does not say who wrote the file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from typing import Any, NamedTuple

import numpy as np

from nyx.errors import CheckpointError, DeviceMemoryError
from nyx.files import AnyPath, open_input, show_path, storage_errors, write_atomic

HEADER_LIMIT = 4 << 20  # bytes: some 30,000 tensors, or a vocabulary of every character there is
SLICE = 1 << 20  # bytes read and hashed at a time, while they are in the processor's cache
DIMENSIONS = 8
# Several names may stand for one file, and none is to be written into (Windows would not even rename over it).
FILE_MODE = 0o444 if os.name == "posix" else 0o666

_ZEROS = "0" * 64
_PREFIX = b'{"__metadata__":{"SHA256":"'
_DIGITS = slice(8 + len(_PREFIX), 8 + len(_PREFIX) + 64)  # where the checksum stands in the file
_KEY = re.compile(r"[a-z][a-z0-9_]*")
_DTYPES = {
    "F64": "<f8", "I64": "<i8", "U64": "<u8", "F32": "<f4", "I32": "<i4", "U32": "<u4",
    "F16": "<f2", "I16": "<i2", "U16": "<u2", "I8": "|i1", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_CODES = {np.dtype(text): code for code, text in _DTYPES.items()}


class Spec(NamedTuple):
    """What the header says of one tensor: `dtype` is safetensors' code, the shape has at most 8 dimensions."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * np.dtype(_DTYPES[self.dtype]).itemsize


@dataclass
class Contents:
    """A verified file: the tensors asked for, all its metadata without the checksum, and the checksum."""

    tensors: dict[str, np.ndarray]
    metadata: dict[str, str]
    sha256: str


def _canonical_order(specs: list[Spec]) -> list[Spec]:
    return sorted(specs, key=lambda spec: (-np.dtype(_DTYPES[spec.dtype]).itemsize, spec.name))


def encode_header(specs: list[Spec], metadata: Mapping[str, str], sha256: str = _ZEROS) -> bytes:
    """The canonical bytes before the payload: length, JSON, padding."""
    tree: dict[str, Any] = {"__metadata__": {"SHA256": sha256, **dict(sorted(metadata.items()))}}
    end = 0
    for spec in _canonical_order(specs):
        start, end = end, end + spec.nbytes
        tree[spec.name] = {"dtype": spec.dtype, "shape": list(spec.shape), "data_offsets": [start, end]}
    text = json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _check_metadata(metadata: Mapping[str, Any]) -> None:
    for key, value in metadata.items():
        if not _KEY.fullmatch(key) or not isinstance(value, str):
            raise ValueError(f"metadata {key[:80]!a}: a key is a lower-case word, a value a string")


def _spec_of(name: str, array: np.ndarray) -> Spec:
    code = _CODES.get(array.dtype.newbyteorder("<"))
    if code is None:
        raise ValueError(f"tensor {name!r}: a checkpoint has no type for {array.dtype}")
    if array.ndim > DIMENSIONS or not name or name == "__metadata__":
        raise ValueError(f"tensor {name!r} of shape {array.shape}: a name and at most {DIMENSIONS} dimensions, please")
    return Spec(name, code, array.shape)


def _bytes_of(array: np.ndarray) -> memoryview:
    """The array's bytes as they stand in a file, without a copy when it lies so in memory already."""
    flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
    return flat.view(np.uint8).data


def write(path: AnyPath, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """Write the file atomically and durably, tensor by tensor; returns its checksum.

    Metadata keys are lower-case words. At most one tensor is copied at a time, and only one that is not contiguous.
    Raises StorageError, and ValueError for what the container cannot hold.
    """
    _check_metadata(metadata)
    specs = _canonical_order([_spec_of(name, array) for name, array in tensors.items()])
    header = encode_header(specs, metadata)
    if len(header) - 8 > HEADER_LIMIT:
        raise ValueError(f"a header of {len(header) - 8:,} bytes; at most {HEADER_LIMIT:,}")
    digest = hashlib.sha256(header)
    for spec in specs:
        digest.update(_bytes_of(tensors[spec.name]))
    header = encode_header(specs, metadata, digest.hexdigest())

    def chunks() -> Iterator[bytes | memoryview]:
        yield header
        for spec in specs:
            yield _bytes_of(tensors[spec.name])

    write_atomic(path, chunks(), mode=FILE_MODE)
    return digest.hexdigest()


def _damaged(path: AnyPath, what: str) -> CheckpointError:
    return CheckpointError(f"{show_path(path)} is damaged: {what}; use another checkpoint of its run")


def _foreign(path: AnyPath, what: str) -> CheckpointError:
    advice = "name a file that `nyx train` wrote"
    return CheckpointError(f"{show_path(path)} is not a Nyx checkpoint, or not all of one: {what}; {advice}")


def _fill(file: FileIO, buffer: memoryview, digest: Any, path: AnyPath) -> None:
    """Read exactly the buffer's length into it, and hash it while it is warm."""
    while buffer:
        count = file.readinto(buffer[:SLICE])
        if not count:
            raise _damaged(path, "it ends while it is read")
        digest.update(buffer[:count])
        buffer = buffer[count:]


def _read_header(file: FileIO, size: int, path: AnyPath) -> bytes:
    """The length and the header's bytes, both checked against the file's size before anything is allocated."""
    start = file.read(8) or b""
    length = int.from_bytes(start, "little")
    if size < _DIGITS.stop or len(start) < 8:
        raise _foreign(path, f"{size:,} bytes are too few")
    if length > HEADER_LIMIT or length % 8 or length > size - 8:
        raise _foreign(path, f"its first bytes ask for a header of {length:,} bytes, and the file has {size:,}")
    header = bytearray(length)
    _fill(file, memoryview(header), hashlib.sha256(), path)
    header = start + header
    if header[8 : _DIGITS.start] != _PREFIX:
        raise _foreign(path, "its header does not begin as one")
    return header


def _entry(name: str, entry: Any) -> Spec:
    """One tensor's entry as a Spec; ValueError when it is not one. The offsets are checked by writing them again."""
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if not name or not isinstance(shape, list) or len(shape) > DIMENSIONS or entry.get("dtype") not in _DTYPES:
        raise ValueError(f"no type and shape for {name[:80]!a}")
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"no valid shape for {name[:80]!a}")
    if math.prod(max(length, 1) for length in shape) >= 1 << 60:
        raise ValueError(f"a shape beyond any memory for {name[:80]!a}")
    return Spec(name, entry["dtype"], tuple(shape))


def _parse(header: bytes, size: int, path: AnyPath) -> tuple[list[Spec], dict[str, str], str]:
    """Specs in the file's order, metadata and checksum of a header that is canonical and accounts for every byte."""
    try:
        tree = json.loads(header[8:].decode("utf-8"))
        metadata = tree.pop("__metadata__")
        sha256 = metadata.pop("SHA256")
        _check_metadata(metadata)
        specs = _canonical_order([_entry(name, entry) for name, entry in tree.items()])
        canonical = encode_header(specs, metadata, sha256) == header
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        detail = str(error) if type(error) is ValueError else "it cannot be read"
        raise _damaged(path, f"its header is not valid ({detail})") from None
    if not canonical:
        raise _damaged(path, "its header is not in canonical form")
    expected = len(header) + sum(spec.nbytes for spec in specs)
    if size != expected:
        raise _damaged(path, f"it has {size:,} bytes and its header accounts for {expected:,}")
    return specs, metadata, sha256


def begins(path: AnyPath) -> bool:
    """Whether a file begins as a checkpoint does, whole or damaged. Raises as `open_input` does."""
    with storage_errors("read", path), open(open_input(path, CheckpointError), "rb", buffering=0) as file:
        return (file.read(_DIGITS.start) or b"")[8:] == _PREFIX


def peek(path: AnyPath) -> Contents:
    """What the header says (metadata and checksum, no tensors), the payload NOT verified: to sort files by."""
    with storage_errors("read", path), open(open_input(path, CheckpointError), "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        _, metadata, sha256 = _parse(_read_header(file, size, path), size, path)
        return Contents({}, metadata, sha256)


def read(path: AnyPath, want: Callable[[str], bool] = lambda name: True) -> Contents:
    """Verify the whole file, and return the tensors whose names `want` accepts, each an array of its own.

    Memory: the wanted tensors, the header, and 1 MiB. The arrays are aligned, writable and little-endian, and nothing
    is returned before the checksum agrees. Raises CheckpointError (damaged, foreign or not a regular file),
    MissingInputError, DeviceMemoryError (not enough memory for the arrays), StorageError (the disk fails).
    """
    with storage_errors("read", path), open(open_input(path, CheckpointError), "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        header = _read_header(file, size, path)
        specs, metadata, sha256 = _parse(header, size, path)
        digest = hashlib.sha256(header[: _DIGITS.start] + _ZEROS.encode() + header[_DIGITS.stop :])
        scratch = np.empty(SLICE, np.uint8).data
        tensors: dict[str, np.ndarray] = {}
        for spec in specs:
            if want(spec.name):
                array = tensors[spec.name] = _allocate(spec, path)
                _fill(file, array.reshape(-1).view(np.uint8).data, digest, path)
                continue
            for start in range(0, spec.nbytes, SLICE):
                _fill(file, scratch[: min(SLICE, spec.nbytes - start)], digest, path)
        if file.read(1):
            raise _damaged(path, "it grows while it is read")
    if digest.hexdigest() != sha256:
        raise _damaged(path, "its content does not agree with its checksum")
    return Contents(tensors, metadata, sha256)


def _allocate(spec: Spec, path: AnyPath) -> np.ndarray:
    try:
        return np.empty(spec.shape, _DTYPES[spec.dtype])
    except MemoryError:
        need = f"not enough memory to load {show_path(path)}: {spec.nbytes:,} bytes for {spec.name!a}"
        raise DeviceMemoryError(f"{need}; free some and try again") from None
