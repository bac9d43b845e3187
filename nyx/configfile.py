"""Configuration files: find one, read its YAML 1.2 as plain values with the line of every key, and write one."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nyx.errors import ConfigError, MissingInputError
from nyx.files import open_input, storage_errors

PACKAGED = Path(__file__).parent / "configs"
MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
MAX_VALUES = 2000
MAX_BRACKETS = 1000
MAX_DIGITS = 40

KeyPath = tuple[str | int, ...]

# The core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): 1e-3 is a number; on and 1:30 are text.
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_BAD = object()  # in place of a value that has a fault of its own


@dataclass(frozen=True)
class Fault:
    """One line to show, and the keys it is about: other faults that come from the same keys say nothing new."""

    text: str
    paths: tuple[KeyPath, ...] = ()


@dataclass
class Parsed:
    """The values of a configuration as nested dicts, where each key was written, and what is wrong with it so far."""

    tree: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def packaged() -> list[str]:
    """Names of the configurations that come with Nyx."""
    return sorted(path.stem for path in PACKAGED.glob("*.yaml"))


def printable(text: str, limit: int = 60) -> str:
    """The text as it may stand in a message: what does not print is escaped, the rest beyond `limit` is cut off."""
    short = text if len(text) <= limit else text[:limit] + "..."
    return "".join(c if c.isprintable() else _escaped(c) for c in short)


def dotted(path: KeyPath) -> str:
    """The path ("train", "betas", 1) as train.betas[1]."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{printable(part)}" for part in path).removeprefix(".")


def locate(name: str) -> Path:
    """The file a name means: one that is here (with or without .yaml), or else a packaged configuration, in whose name
    "_" is as good as "-".

    Raises MissingInputError when there is neither.
    """
    stem = name.removesuffix(".yaml").removesuffix(".yml")
    own = next((PACKAGED / f"{n}.yaml" for n in (stem, stem.lower().replace("_", "-")) if n in packaged()), None)
    for candidate in (name, f"{name}.yaml"):
        if os.path.exists(candidate) and not (own and os.path.isdir(candidate)):
            return Path(candidate)
    if own is None:
        known, close = ", ".join(packaged()), difflib.get_close_matches(stem[:64], packaged(), n=1)
        meant = f"; did you mean --config {close[0]}" if close else ""
        raise MissingInputError(f"there is no configuration {printable(name, 200)!r}{meant}; packaged ones are {known}")
    return own


def label(path: Path) -> str:
    """How messages name a configuration file."""
    return path.name if path.parent == PACKAGED else printable(str(path), 200)


def read(path: Path) -> str:
    """The text of a configuration file.

    Raises MissingInputError when it is not there or not readable; ConfigError when it is a folder, a pipe or a device,
    is larger than 64 KiB, or is not UTF-8.
    """
    with storage_errors("read", path), open(open_input(path, ConfigError), "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{label(path)} is larger than {MAX_BYTES // 1024} KiB; a configuration is a short text")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{label(path)}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def scalar(text: str) -> Any:
    """The value of a plain YAML scalar: None, a bool, a number or the text itself. Raises ValueError for a number that
    is not finite or has too many digits."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(f"{printable(text, 24)} is too long a number")
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    number = float(text) if _NUMBER.fullmatch(text) else math.nan if _NOT_FINITE.fullmatch(text) else None
    if number is None:
        return text
    if not math.isfinite(number):
        raise ValueError(f"{printable(text, 24)} is not a finite number")
    return number


def parse(text: str, source: str) -> Parsed:
    """Reads a YAML 1.2 document that is one mapping: mappings, lists and scalars, no anchors, aliases, tags or
    directives, no key twice. `source` names it in messages.

    Faults of single values are collected; raises ConfigError for what makes the rest unreadable.
    """
    reader = _Reader(text, source)
    reader.parsed.tree = reader.document(mapping=True)
    return reader.parsed


def parse_value(text: str, source: str) -> Any:
    """One scalar or list, as on a command line. Raises ConfigError."""
    if text.lstrip()[:1] in ("[", "{", "'", '"'):
        reader = _Reader(text, source, with_lines=False)
        value = reader.document()
        if reader.parsed.faults:
            raise ConfigError(reader.parsed.faults[0].text)
        return value
    try:
        return scalar(text.strip())
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None


class _Reader:
    """Builds values from the parser's events. It stops at the first thing not allowed: a hostile file costs no time."""

    def __init__(self, text: str, source: str, *, with_lines: bool = True) -> None:
        from ruamel.yaml import YAML

        self.source, self.with_lines, self.parsed, self.line, self.values = source, with_lines, Parsed(), 1, 0
        if text.count("[") + text.count("{") > MAX_BRACKETS:  # the parser looks far ahead of the first of them
            raise self._error(f"more than {MAX_BRACKETS} brackets; a configuration is short")
        self._stream = YAML(typ="safe", pure=True)
        self._events = self._stream.parse(text)

    def document(self, *, mapping: bool = False) -> Any:
        self._next()
        event = self._next()
        if type(event).__name__ != "DocumentStartEvent":
            raise self._error("it is empty; a configuration is sections of keys")
        if event.version or event.tags:
            raise self._error("directives (%) are not allowed; YAML 1.2 is what is read")
        event = self._next()
        if mapping and type(event).__name__ != "MappingStartEvent":
            raise self._error("a configuration is sections of keys, such as 'train:' and below it '  lr: 1e-3'")
        value = self._value(event, ())
        self._next()
        if type(self._next()).__name__ != "StreamEndEvent":
            raise self._error("a second document begins here; a configuration is one")
        return value

    def _place(self) -> str:
        return f"{self.source}:{self.line}" if self.with_lines else self.source

    def _error(self, text: str) -> ConfigError:
        return ConfigError(f"{self._place()}: {text}")

    def _next(self) -> Any:
        try:
            event = next(self._events)
        except Exception as error:  # beside its own errors, the parser fails in other ways on odd input
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            self.line = mark.line + 1 if mark else self.line
            problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
            raise self._error(f"not YAML: {printable(problem, 120)}") from None
        self.line = event.start_mark.line + 1
        if getattr(event, "anchor", None) is not None:
            raise self._error("anchors (&) and aliases (*) are not allowed; write the value out")
        if getattr(event, "tag", None) is not None:
            raise self._error("tags (!) are not allowed; write the value alone")
        return event

    def _value(self, event: Any, path: KeyPath) -> Any:
        self.values += 1
        kind = type(event).__name__
        if self.values > MAX_VALUES or len(path) > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} levels or {MAX_VALUES} values; a configuration is short")
        if kind == "MappingStartEvent":
            return self._mapping(path)
        if kind == "SequenceStartEvent":
            return self._list(path)
        try:
            return scalar(event.value) if event.implicit[0] else event.value
        except ValueError as error:
            self._fault(path, str(error))
            return _BAD

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while type(event := self._next()).__name__ != "MappingEndEvent":
            if type(event).__name__ != "ScalarEvent":
                raise self._error("a key is a word")
            key: str = event.value
            inside, line = (*path, key), self.line
            first = self.parsed.origins.get(inside)
            if first is None:
                self.parsed.origins[inside] = f"{self.source}:{line}"
            known = len(self.parsed.faults)
            value = self._value(self._next(), inside)
            if first is not None:
                self.line = line
                del self.parsed.faults[known:]
                self._fault(inside, f"written twice, first at {first}; keep one")
            elif value is not _BAD:
                values[key] = value
        return values

    def _list(self, path: KeyPath) -> Any:
        values: list[Any] = []
        while type(event := self._next()).__name__ != "SequenceEndEvent":
            values.append(self._value(event, (*path, len(values))))
        return _BAD if any(value is _BAD for value in values) else values

    def _fault(self, path: KeyPath, text: str) -> None:
        name = f"{dotted(path)}: " if path else ""
        self.parsed.faults.append(Fault(f"{self._place()}: {name}{text}", (path,)))


def dump(tree: Mapping[str, Any], comments: Mapping[str, str] | None = None) -> str:
    """The YAML of nested dicts of None, bools, finite numbers, strings and lists of them; parse reads the same back.

    comments: by dotted key, what stands after the value.
    """
    return "".join(_lines(tree, "", comments or {}, ""))


def _lines(tree: Mapping[str, Any], indent: str, comments: Mapping[str, str], prefix: str) -> list[str]:
    lines = []
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{indent}{_text(key)}:\n", *_lines(value, indent + "  ", comments, f"{prefix}{key}.")]
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            lines += [f"{indent}{_text(key)}:\n", *(f"{indent}  - {_flow(item)}\n" for item in value)]
        else:
            comment = comments.get(prefix + key)
            lines.append(f"{indent}{_text(key)}: {_flow(value)}{f'  # {printable(comment, 200)}' if comment else ''}\n")
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    return "null" if value is None else repr(value).lower() if isinstance(value, bool) else repr(value)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text not in _WORDS:
        return text
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else _escaped(c) for c in text) + '"'


def _escaped(c: str) -> str:
    """One character as YAML's double-quoted style escapes it."""
    code = ord(c)
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    return short.get(c) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")
