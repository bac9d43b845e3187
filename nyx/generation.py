"""Sampling text from a model, one character at a time, with a key/value cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nyx.errors import DataError, UsageError
from nyx.text.vocabulary import Decoder

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


def generate(hrm: ResourceAwareHRM, prompt: str, length: int, sampling: Sampling, stop: str = "") -> Iterator[str]:
    """The text of the `length` symbols after the prompt, a character at a time; several symbols of bytes make one.

    It ends before the first character that is one of `stop`.
    When the window it was trained on is full, the newer half of the window is read again from position 0. Raises
    DataError for an empty prompt or a character that the model never saw.
    """
    vocabulary, decoder, backend = hrm.vocabulary, hrm.decoder(), hrm.backend
    context = [int(i) for i in vocabulary.encode(prompt)]
    if not context:
        raise DataError("the prompt is empty: give at least one character")
    allowed = vocabulary.utf8_lengths > 0
    written = Decoder(vocabulary)
    rng = np.random.Generator(np.random.Philox(key=np.array([sampling.seed % 2**64, 0], np.uint64)))
    size = hrm.window
    window, logits = context[-size:], np.empty(0)
    for position, token in enumerate(window):
        logits = decoder.step(backend, np.array([token], np.int32), position)[0]
    for n in range(length):
        token = choose(logits, allowed, sampling, rng)
        text = written.push(token) + (written.end() if n + 1 == length else "")
        if text and text[0] in stop:
            return
        if text:
            yield text
        window.append(token)
        if n + 1 == length:
            return
        start = len(window) - 1
        if len(window) > size:
            window = window[-max(1, size // 2) :]
            start = 0
        for position in range(start, len(window)):
            logits = decoder.step(backend, np.array([window[position]], np.int32), position)[0]
