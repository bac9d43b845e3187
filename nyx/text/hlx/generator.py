"""The default corpus: examples of English requests with their notation, made from a seed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

from nyx.errors import DataError, UsageError
from nyx.files import make_folder, show_path, storage_errors, write_atomic
from nyx.text.hlx import hlxl, lcb, lcr, lct
from nyx.text.hlx.domains import DOMAINS
from nyx.text.hlx.english import phrasings
from nyx.text.hlx.forms import KINDS as PLAIN_KINDS
from nyx.text.hlx.forms import PLAIN
from nyx.text.hlx.nested import EDGE, NESTED
from nyx.text.hlx.notation import Notation
from nyx.text.hlx.patterns import Scene, draw
from nyx.text.hlx.phrases import pick
from nyx.text.hlx.pipelines import KIND as PIPELINE
from nyx.text.hlx.pipelines import draw_pipeline
from nyx.text.hlx.slots import draw_thing
from nyx.text.hlx.values import Contract

T = TypeVar("T")
DEFAULT_CHARS = 560_000
MOST_CHARS = 1 << 30  # it is made in memory
DEFAULT_SEED = 1
NOTATIONS: dict[str, Notation] = {"HLXL": hlxl, "LC-R": lcr, "LC-T": lct, "LC-B": lcb}
KINDS = (*PLAIN_KINDS, PIPELINE)
PARTS = {
    kind: [[form for form in forms if form.kind == kind] for forms in (PLAIN, NESTED, EDGE)] for kind in PLAIN_KINDS
}
TRIES = 1000  # new sentences looked for in one kind before another takes its turn


@dataclass(frozen=True)
class Example:
    """kind: the operation's name or "pipeline". english: the request. value: what it means."""

    kind: str
    english: str
    value: Contract

    def block(self, notations: Sequence[str] = tuple(NOTATIONS)) -> str:
        """The example as the corpus has it: the English line, a line for each notation, an empty line."""
        lines = [f"{name}: {NOTATIONS[name].write(self.value)}\n" for name in notations]
        return f"English: {self.english}\n{''.join(lines)}\n"


@dataclass(frozen=True)
class Written:
    """What `write` made: where, how much, and the SHA-256 of the file."""

    path: Path
    characters: int
    utf8_bytes: int
    sha256: str


def examples(seed: int = DEFAULT_SEED) -> Iterator[Example]:
    """Examples without end: the kinds in turn, no English sentence twice. Raises UsageError (64) when there are no
    more, which is far beyond any memory."""
    rng, seen = Random(seed), set[str]()
    while True:
        before = len(seen)
        for kind in _shuffled(rng, KINDS):
            for _ in range(TRIES):
                value = _draw(rng, kind)
                english = phrasings(value).say(rng)
                if english not in seen:
                    seen.add(english)
                    yield Example(kind, english, value)
                    break
        if len(seen) == before:
            raise UsageError(f"there are no more than about {before} examples: ask for less text")


def generate(size_chars: int = DEFAULT_CHARS, seed: int = DEFAULT_SEED,
             notations: Sequence[str] = tuple(NOTATIONS)) -> str:  # fmt: skip
    """A corpus of whole examples, at least `size_chars` characters; the same for the same arguments everywhere.

    An example is a block: its English line, a line for each notation, an empty line. Raises UsageError (64) for a size
    that is not in 1..MOST_CHARS or a notation that is not one of NOTATIONS.
    """
    if size_chars < 1:
        raise UsageError(f"size {size_chars} is too small: ask for at least 1 character")
    if size_chars > MOST_CHARS:
        raise UsageError(f"size {size_chars} is too large: ask for at most {MOST_CHARS} characters")
    unknown = [name for name in notations if name not in NOTATIONS]
    if unknown or not notations:
        raise UsageError(f"notation {', '.join(unknown) or 'missing'}: use one or more of {', '.join(NOTATIONS)}")
    blocks, size = [], 0
    for example in examples(seed):
        blocks.append(example.block(notations))
        size += len(blocks[-1])
        if size >= size_chars:
            break
    return "".join(blocks)


def write(path: str | os.PathLike[str], size_chars: int = DEFAULT_CHARS, seed: int = DEFAULT_SEED,
          notations: Sequence[str] = tuple(NOTATIONS), force: bool = False) -> Written:  # fmt: skip
    """Generate a corpus into a file, made under another name and renamed, so that it is whole or not there.

    A file that is already there is replaced only with `force`, unless it has just these bytes. Raises UsageError (64)
    for another file there, DataError (65) for something there that is no file, StorageError (74) when writing fails.
    """
    target = Path(path)
    shown = show_path(target)
    data = generate(size_chars, seed, notations).encode()
    with storage_errors("write", target):
        there = os.path.lexists(target)
        if there and not target.is_file():
            raise DataError(f"{shown} is there and is not a file: name another")
        if not (there and target.stat().st_size == len(data) and target.read_bytes() == data):
            if there and not force:
                raise UsageError(f"{shown} is there with other content: name another file, or say --force")
            make_folder(target.parent)
            write_atomic(target, data)
    return Written(target, len(data.decode()), len(data), hashlib.sha256(data).hexdigest())


def _draw(rng: Random, kind: str) -> Contract:
    domain = pick(rng, DOMAINS)
    scene = Scene(domain, draw_thing(rng, domain))
    if kind == PIPELINE:
        return draw_pipeline(rng, scene)
    chance = rng.random()
    plain, nested, edge = PARTS[kind]
    forms = plain if chance < 0.65 else nested if chance < 0.85 else edge
    return draw(pick(rng, forms).pattern, rng, scene, {})


def _shuffled(rng: Random, items: Sequence[T]) -> list[T]:
    """The items in an order drawn with Random.random() alone (Fisher and Yates)."""
    order = list(items)
    for last in range(len(order) - 1, 0, -1):
        at = int(rng.random() * (last + 1))
        order[last], order[at] = order[at], order[last]
    return order
