"""Sampling text from a model, one character at a time, with a key/value cache."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nyx.errors import DataError, UsageError
from nyx.files import open_input, show_path, storage_errors
from nyx.text.cleaning import clean
from nyx.text.sources import STDIN
from nyx.text.vocabulary import Decoder, Vocabulary

if TYPE_CHECKING:
    from nyx.resource_aware_hrm import ResourceAwareHRM


@dataclass(frozen=True)
class Sampling:
    """temperature 0 takes the likeliest character. top_k 0 and top_p 1 leave the choice whole."""

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 1337

    def __post_init__(self) -> None:
        if not (np.isfinite(self.temperature) and self.temperature >= 0):
            raise UsageError(f"temperature must be a number from 0 up, got {self.temperature}")
        if self.top_k < 0:
            raise UsageError(f"top-k must be 0 (off) or more, got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top-p must lie in (0, 1], got {self.top_p}")


def choose(logits: np.ndarray, allowed: np.ndarray, sampling: Sampling, rng: np.random.Generator) -> int:
    """One symbol from logits (V,), of those that `allowed` (V,) bool admits.

    Order: temperature, then the top_k likeliest, then the smallest set whose probabilities reach top_p (nucleus
    sampling, Holtzman et al. 2019). Ties go to the lower symbol.
    """
    scores = np.where(allowed, logits.astype(np.float64), -np.inf)
    if sampling.temperature == 0:
        return int(scores.argmax())
    order = np.argsort(-scores, kind="stable")
    if sampling.top_k:
        order = order[: sampling.top_k]
    with np.errstate(over="ignore"):  # a very low temperature: all but the likeliest become exp(-inf) = 0
        p = np.exp((scores[order] - scores[order[0]]) / sampling.temperature)
    p /= p.sum()
    if sampling.top_p < 1:
        keep = int(np.searchsorted(np.cumsum(p), sampling.top_p)) + 1
        order, p = order[:keep], p[:keep] / p[:keep].sum()
    at = int(np.searchsorted(np.cumsum(p), rng.random(), side="right"))
    return int(order[min(at, len(order) - 1)])


def generate(
    hrm: ResourceAwareHRM, prompt: str, length: int, sampling: Sampling, stop: Sequence[str] = ()
) -> Iterator[str]:
    """The `length` characters after the prompt, as they become certain; several symbols of bytes may make one.

    It ends before the first of the texts `stop` in what it writes (a str: before the first of its characters); what may
    be the beginning of one is kept back until that is decided. Of a prompt longer than the window it was trained on the
    end is read. When the window is full, its newer half is read again from position 0. Raises DataError for an empty
    prompt or a character that the model never saw.
    """
    context = encode_prompt(hrm.vocabulary, prompt)
    if length <= 0:
        return
    limit = _Limit(length, [clean(text, hrm.vocabulary.normalization) for text in stop])
    written = Decoder(hrm.vocabulary)
    for token in _symbols(hrm, context, sampling):
        if text := limit.push(written.push(token)):
            yield text
        if limit.over:
            return


class _Limit:
    """Lets through so many characters, and none from the first of the `stops` on."""

    def __init__(self, length: int, stops: Sequence[str]) -> None:
        self.left, self.stops, self.held, self.over = length, [text for text in stops if text], "", False

    def push(self, text: str) -> str:
        """What of all that came may be written now."""
        text, self.left = self.held + text[: self.left], self.left - len(text)
        places = [at for at in map(text.find, self.stops) if at >= 0]
        self.over = bool(places) or self.left <= 0
        keep = min(places, default=len(text) if self.over else len(text) - self._begun(text))
        self.held = text[keep:]
        return text[:keep]

    def _begun(self, text: str) -> int:
        """Characters at the end that a stop may begin with."""
        longest = max(map(len, self.stops), default=1) - 1
        sizes = range(min(longest, len(text)), 0, -1)
        return next((n for n in sizes if any(stop.startswith(text[-n:]) for stop in self.stops)), 0)


def read_prompt(given: str, say: Callable[[str], None]) -> str:
    """The prompt that an option means: "-" is all of standard input, "@FILE" the text of a file, "@@..." a prompt that
    begins with one @, anything else itself. Raises MissingInputError, DataError for what is not UTF-8, StorageError."""
    if given.startswith("@@"):
        return given[1:]
    if given == STDIN:
        if sys.stdin is not None and sys.stdin.isatty():
            say("reading the prompt from standard input; Ctrl-D ends it")
        return _decoded(b"" if sys.stdin is None else sys.stdin.buffer.read(), "standard input")
    if given.startswith("@"):
        path = Path(given[1:])
        with storage_errors("read", path), open(open_input(path), "rb") as file:
            return _decoded(file.read(), show_path(path))
    return given


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"the prompt in {name}: byte offset {error.start} is not UTF-8: convert it to UTF-8") from None


def encode_prompt(vocabulary: Vocabulary, prompt: str) -> NDArray[np.int32]:
    """(T,) the symbols of a prompt. Raises DataError when it is empty or has a character that the model never saw."""
    context = vocabulary.encode(prompt)
    if not len(context):
        raise DataError("the prompt is empty: give at least one character")
    return context


def _symbols(hrm: ResourceAwareHRM, context: NDArray[np.int32], sampling: Sampling) -> Iterator[int]:
    """The symbols after the context, without end."""
    decoder, backend, size = hrm.decoder(), hrm.backend, hrm.window
    window = context[-size:].tolist()
    allowed = hrm.vocabulary.utf8_lengths > 0
    rng = np.random.Generator(np.random.Philox(key=np.array([sampling.seed % 2**64, 0], np.uint64)))
    start, logits = 0, np.empty(0)
    while True:
        for position in range(start, len(window)):
            logits = decoder.step(backend, np.array([window[position]], np.int32), position)[0]
        token = choose(logits, allowed, sampling, rng)
        yield token
        window.append(token)
        start = len(window) - 1
        if len(window) > size:
            window = window[-max(1, size // 2) :]
            start = 0
