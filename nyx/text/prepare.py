"""From a text to what a training needs: a vocabulary, and the training and validation parts as symbols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from nyx.text.batches import split
from nyx.text.corpus import Text
from nyx.text.vocabulary import FIXED, Vocabulary


@dataclass(frozen=True)
class Corpus:
    """train and val: symbols (N,) of the two parts. sha256: of the cleaned text."""

    vocabulary: Vocabulary
    train: NDArray[Any]
    val: NDArray[Any]
    sha256: str
    name: str


def prepare(text: Text, vocabulary: Vocabulary, *, val_fraction: float, seq_len: int) -> Corpus:
    """Encodes a text and splits it by position: the last val_fraction is for validation.

    Raises DataError (65) when a part is shorter than a window or a character is not in the vocabulary.
    """
    ids = vocabulary.encode_text(text)
    train, val = split(ids, val_fraction, seq_len)
    name = ", ".join(path.name for path in text.sources) or "text"
    return Corpus(vocabulary, train, val, text.sha256, name)


def make_vocabulary(name: str, text: Text, size: int | None) -> Vocabulary:
    """The vocabulary that model.vocabulary names: "corpus" for the text's own characters, or a fixed one."""
    return Vocabulary.fixed(name, size) if name in FIXED else Vocabulary.from_text(text, size)
