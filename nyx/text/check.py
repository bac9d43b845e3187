"""What a text is like before a model is trained on it: `nyx corpus check`, and the warnings a training starts with.

Memory does not grow with the text: copies of lines are found by 64-bit hashes, and when there are more different lines
than SAMPLE, only those whose hash lies in a part of all hashes that halves as often as needed. All copies of a line are
then in or out together, so (different lines in the sample) x (halvings) estimates how many there are without bias, and
within about 1 / sqrt(SAMPLE / 2), a half per cent.
"""

from __future__ import annotations

import codecs
import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nyx.errors import DataError
from nyx.files import show_paths
from nyx.text.cache import CacheError, Say, default_cache, on_stderr
from nyx.text.cleaning import check_form
from nyx.text.corpus import Text, read_sources
from nyx.text.encodings import remedy
from nyx.text.lines import LineSample, line_blocks
from nyx.text.sources import BLOCK_BYTES, STDIN_BYTES, PathLike, Source, open_sources

VERSION = 1  # of what a report means
SAMPLE = 1 << 16
LISTED = 20  # faults, rare characters and control characters that are named; all are counted
RARE = 10  # a character that occurs less often
LONG_LINE = 10_000  # characters; a longer one is hardly a line of text
SHOWN = 5  # lines shown from places drawn by the seed
MANY_COPIES, MANY_LEAKED, MANY_RARE, LONGEST = 0.3, 0.1, 0.1, 1_000_000  # where a training warns


@dataclass(frozen=True)
class FileFacts:
    """One file as bytes. crlf, cr: how many lines end in CRLF, and in CR alone. faults: how many places are not UTF-8;
    listed: (byte offset, byte) of the first of them; remedy: what to do about them."""

    name: str
    bytes: int = 0
    byte_order_mark: bool = False
    crlf: int = 0
    cr: int = 0
    faults: int = 0
    listed: tuple[tuple[int, int], ...] = ()
    remedy: str = ""


@dataclass(frozen=True)
class CharacterFacts:
    """A character: its name for people, how often it occurs, and the place of the first one where that was asked."""

    code: int
    name: str
    count: int
    first: int | None = None


@dataclass(frozen=True)
class Report:
    """What examine found. Places and lengths are in characters of the cleaned text, lines are numbered from 1.

    copies: lines beyond the first of those that say the same; an empty line is no copy. one_in: 1 when copies and
    leaks are exact, else they are estimated from 1 line in so many. leaked_lines, leaked_characters: the share of the
    validation part's lines that also stand in the training part, and of its characters in such lines.
    """

    utf8_bytes: int
    characters: int
    distinct: int
    line_count: int
    empty_lines: int
    copies: int
    copies_share: float
    longest_line: int
    longest_at: int
    long_lines: int
    one_in: int
    rare_count: int
    rare: tuple[CharacterFacts, ...]
    controls: tuple[CharacterFacts, ...]
    replacements: int
    val_fraction: float
    val_lines: int
    leaked_lines: float
    leaked_characters: float
    samples: tuple[str, ...]
    files: tuple[FileFacts, ...] = field(default=())

    @property
    def faults(self) -> int:
        """Places in all files that are not UTF-8; with any, the text cannot be trained on."""
        return sum(file.faults for file in self.files)

    def refuse_faults(self) -> None:
        """Raises DataError (65) when a place is not UTF-8."""
        for file in self.files:
            if file.faults:
                raise DataError(f"{file.name}: {file.faults} places are not UTF-8, the first at byte offset "
                                f"{file.listed[0][0]}: {file.remedy}")  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """The same as values for JSON."""
        files = [asdict(f) | {"listed": [{"offset": at, "byte": f"0x{byte:02x}"} for at, byte in f.listed]}
                 for f in self.files]  # fmt: skip
        return asdict(self) | {"files": files, "faults": self.faults, "warnings": self.warnings()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Report:
        """The report of a text whose fields these are, as JSON keeps them."""
        fields: dict[str, Any] = value | {"samples": tuple(value["samples"]), "files": ()}
        fields |= {key: tuple(CharacterFacts(**each) for each in value[key]) for key in ("rare", "controls")}
        return cls(**fields)

    def lines(self) -> list[str]:
        """The same as lines of text."""
        about = f"estimated from 1 line in {self.one_in}" if self.one_in > 1 else "exact"
        rows = _file_rows(self.files)
        rows += [
            f"{self.utf8_bytes:,} bytes of text, {self.characters:,} characters, {self.distinct:,} distinct",
            f"{self.line_count:,} lines, {self.empty_lines:,} of them empty; the longest has {self.longest_line:,} "
            f"characters (line {self.longest_at:,}); {self.long_lines:,} longer than {LONG_LINE:,}",
            f"copies of other lines: {self.copies:,} ({self.copies_share:.1%} of the lines; {about})",
            f"rare characters (fewer than {RARE} times): {self.rare_count:,}" + _list(self.rare, self.rare_count),
            f"control characters: {len(self.controls)}" + _list(self.controls, len(self.controls)),
        ]
        if self.val_lines:
            rows.append(
                f"of the validation part (the last {self.val_fraction:.0%}, {self.val_lines:,} lines) "
                f"{self.leaked_lines:.1%} of the lines and {self.leaked_characters:.1%} of the characters also stand "
                f"in the training part ({about})"
            )
        rows += [f"sample: {_printable(line)}" for line in self.samples]
        return rows + [f"warning: {line}" for line in self.warnings()]

    def warnings(self) -> list[str]:
        """What is worth a line when a training starts, each with what to do."""
        rows = []
        if self.leaked_characters >= MANY_LEAKED:
            rows.append(
                f"{self.leaked_characters:.0%} of the validation part's characters stand in lines that the training "
                "part has too, so its loss is too good: remove copies, or split by example (data.split_by, data.cut)"
            )
        if self.copies_share >= MANY_COPIES:
            rows.append(f"{self.copies_share:.0%} of the lines are copies of others: remove them unless they are meant")
        if self.controls:
            first = self.controls[0]
            rows.append(
                f"{sum(c.count for c in self.controls):,} control characters, the first {first.name} at character "
                f"{first.first}: remove them unless they are meant"
            )
        if self.replacements:
            rows.append(
                f"{self.replacements:,} replacement characters (U+FFFD): text was lost when it was decoded; take it "
                "from its source again"
            )
        if self.rare_count >= MANY_RARE * self.distinct:
            rows.append(
                f"{self.rare_count:,} of {self.distinct:,} characters occur fewer than {RARE} times, too few to learn: "
                "data.max_characters with data.unknown leaves them out"
            )
        if self.longest_line > LONGEST:
            rows.append(
                f"line {self.longest_at:,} has {self.longest_line:,} characters: see whether that is text (encoded "
                "binary, minified code)"
            )
        return rows


def examine(paths: PathLike | Iterable[PathLike], *, normalization: str = "nfc", val_fraction: float = 0.1,
            cache: bool = True, stdin_bytes: int = STDIN_BYTES, seed: int = 0,
            say: Say = on_stderr) -> Report:  # fmt: skip
    """What the files are like, read as read_text reads them, but to their end whatever bytes they have: those that are
    not UTF-8 are counted and count as U+FFFD.

    Raises as read_text does, DataError (65) for a corpus without text among that.
    """
    check_form(normalization)
    files = _Files()
    with open_sources(paths, stdin_bytes, say) as sources:
        text = read_sources(sources, normalization, cache=cache, say=say, observe=files)
    report = _examined(text, val_fraction, seed)
    facts = tuple(files.facts.values())
    return replace(report, files=facts, replacements=report.replacements - sum(f.faults for f in facts))


def examine_text(text: Text, val_fraction: float = 0.1, *, seed: int = 0, say: Say = on_stderr) -> Report:
    """What a text is like that was read already; nothing about its files. For a text in the cache the report is kept
    there too, so that only the first training looks it through; `say` is told when it cannot be."""
    if not text.key:
        return _examined(text, val_fraction, seed)
    store, about = default_cache(say), f"report {VERSION} {text.key} {val_fraction!r} {seed}"
    key = hashlib.sha256(about.encode()).hexdigest()
    try:
        entry = store.load(key)
        if entry is not None:
            return Report.from_json(entry.about)
        report = _examined(text, val_fraction, seed)
        store.reserve(1 << 12)
        store.store(key, [np.zeros(1, np.uint8)], {}, asdict(report))
        return report
    except CacheError as error:
        say(f"what the check finds is not kept: {error}; NYX_CACHE_DIR names another folder")
        return _examined(text, val_fraction, seed)


def _examined(text: Text, val_fraction: float, seed: int) -> Report:
    newline, cut = _index(text, 10), int(len(text) * (1 - val_fraction))
    sample, total, empty, long, longest, longest_at = LineSample(text.ids, cut, SAMPLE), 0, 0, 0, -1, 0
    for starts, ends in line_blocks(text.ids, newline):
        lengths = ends - starts
        at = int(lengths.argmax())
        if lengths[at] > longest:
            longest, longest_at = int(lengths[at]), total + at + 1
        total += len(lengths)
        empty += int((lengths == 0).sum())
        long += int((lengths > LONG_LINE).sum())
        sample.add(starts, ends)
    distinct, leaked_lines, leaked_characters = sample.result()
    copies = max(0, total - empty - distinct)
    rare = np.flatnonzero(text.counts < RARE)
    rarest = rare[np.argsort(text.counts[rare], kind="stable")][:LISTED]
    return Report(
        utf8_bytes=text.utf8_bytes, characters=len(text), distinct=len(text.symbols), line_count=total,
        empty_lines=empty, copies=copies, copies_share=copies / max(total, 1), longest_line=longest,
        longest_at=longest_at, long_lines=long, one_in=sample.one_in, rare_count=len(rare),
        rare=tuple(_character(text, row) for row in rarest), controls=_controls(text),
        replacements=int(text.counts[text.symbols == 0xFFFD].sum()), val_fraction=val_fraction,
        val_lines=sample.val_lines, leaked_lines=leaked_lines, leaked_characters=leaked_characters,
        samples=_samples(text, seed, newline),
    )  # fmt: skip


class _Files:
    """Gathers the facts about files as bytes while they are decoded."""

    def __init__(self) -> None:
        self.facts: dict[int, FileFacts] = {}
        self._ends_cr = False

    @property
    def faults(self) -> int:
        return sum(file.faults for file in self.facts.values())

    def __call__(self, source: Source, offset: int, data: bytes, text: str) -> None:
        before = self.facts.get(id(source))
        if offset == 0 and not (before and not data):  # from its beginning, the first time or once more
            before = FileFacts(str(source), byte_order_mark=data.startswith(codecs.BOM_UTF8))
            self._ends_cr = False
        assert before is not None
        split = self._ends_cr and data.startswith(b"\n")
        crlf = data.count(b"\r\n") + split
        cr = data.count(b"\r") - crlf  # one at the end may yet be of a CRLF: the next block then takes it back
        self._ends_cr = data.endswith(b"\r") if data else self._ends_cr
        faults = text.count("\ufffd") - data.count("\ufffd".encode())
        listed, advice = before.listed, before.remedy
        if faults and len(listed) < LISTED:
            new = tuple(_faults(data, offset, LISTED - len(listed)))
            listed, advice = listed + new, advice or source.fill(remedy(data, new[0][0] - offset))
        self.facts[id(source)] = replace(before, bytes=offset + len(data), crlf=before.crlf + crlf, cr=before.cr + cr,
                                         faults=before.faults + faults, listed=listed, remedy=advice)  # fmt: skip


def _faults(data: bytes, offset: int, most: int) -> Iterable[tuple[int, int]]:
    at = 0
    while most:
        try:
            codecs.utf_8_decode(memoryview(data)[at:], "strict", True)
            return
        except UnicodeDecodeError as error:
            yield offset + at + error.start, data[at + error.start]
            at, most = at + error.end, most - 1


def _controls(text: Text) -> tuple[CharacterFacts, ...]:
    rows = [
        row for row, code in enumerate(text.symbols) if unicodedata.category(chr(code)) == "Cc" and code not in (9, 10)
    ]
    return tuple(sorted((_character(text, row, _first(text, row)) for row in rows), key=lambda c: c.first or 0))


def _first(text: Text, row: int) -> int:
    for start in range(0, len(text), BLOCK_BYTES):
        found = text.ids[start : start + BLOCK_BYTES] == row
        if found.any():
            return start + int(found.argmax())
    raise ValueError("a symbol of the text that it has not")


def _character(text: Text, row: int | np.integer, first: int | None = None) -> CharacterFacts:
    code = int(text.symbols[row])
    name = f"{chr(code)!r} (U+{code:04X})" if chr(code).isprintable() else f"U+{code:04X}"
    return CharacterFacts(code, name, int(text.counts[row]), first)


def _samples(text: Text, seed: int, newline: int | None) -> tuple[str, ...]:
    """Lines, or what of them is near, from SHOWN places."""
    words = np.random.Philox(key=np.array([seed % 2**64, 0x5A3], np.uint64)).random_raw(SHOWN)
    shown = []
    for place in sorted({int(word) % len(text) for word in words}):
        start = max(0, place - 200)
        near: NDArray[np.intp] = (
            np.flatnonzero(text.ids[start:place] == newline) if newline is not None else np.empty(0, np.intp)
        )
        start += int(near[-1]) + 1 if len(near) else 0
        shown.append(text.string(start, start + 80).split("\n")[0])
    return tuple(dict.fromkeys(shown))


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _index(text: Text, code: int) -> int | None:
    found = np.flatnonzero(text.symbols == code)
    return int(found[0]) if len(found) else None


def _file_rows(files: tuple[FileFacts, ...]) -> list[str]:
    """A row for each file and its faults; of many files one row for all, and those with faults."""
    rows = [_file_row(file) for file in files]
    if len(files) > LISTED:
        rows = [_file_row(FileFacts(
            show_paths([file.name for file in files], 95), sum(f.bytes for f in files),
            any(f.byte_order_mark for f in files), sum(f.crlf for f in files), sum(f.cr for f in files),
        ))]  # fmt: skip
    for file in [file for file in files if file.faults][:LISTED]:
        offsets = ", ".join(f"{at} (0x{byte:02x})" for at, byte in file.listed)
        more = ", ..." if file.faults > len(file.listed) else ""
        rows.append(f"{show_paths([file.name])}: {file.faults:,} places are not UTF-8, at byte offset {offsets}{more}")
    return rows


def _file_row(file: FileFacts) -> str:
    marks = ", with a byte order mark" if file.byte_order_mark else ""
    ends = [(file.crlf, "CRLF"), (file.cr, "CR")]
    marks += "".join(f", {count:,} line ends are {name}" for count, name in ends if count)
    return f"{show_paths([file.name])}: {file.bytes:,} bytes{marks}"


def _list(found: tuple[CharacterFacts, ...], count: int) -> str:
    each = [f"{c.name} x {c.count:,}" + (f" from character {c.first}" if c.first is not None else "") for c in found]
    return (": " + ", ".join(each) if each else "") + (", ..." if count > len(found) else "")
