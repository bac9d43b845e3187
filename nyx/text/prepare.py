"""From a text to what a training needs: a vocabulary, and the training and validation parts as symbols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nyx.config import Config, DataConfig
from nyx.errors import DataError
from nyx.text.batches import Windows
from nyx.text.cache import Say, on_stderr
from nyx.text.corpus import Text, read_text
from nyx.text.examples import BLOCK, Spans, blocks, keep, lines, symbol
from nyx.text.records import Records, arrange, read_records
from nyx.text.rows import check_length
from nyx.text.sequences import Sequences
from nyx.text.splitting import equal_examples, hold_out_groups, hold_out_last, related_records
from nyx.text.vocabulary import FIXED, Vocabulary

DEFAULT_CORPUS = "data/hlx.txt"


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text cut into examples, and the two sides of the split.

    train, val: what is trained on and what is held out; val is empty when data.val_fraction is 0. sha256: of the
    cleaned text. data: what they were made with. seed: what the split and the pairs were drawn from.
    """

    vocabulary: Vocabulary
    train: Sequences
    val: Sequences
    sha256: str
    name: str
    text: Text
    data: DataConfig
    seed: int
    _divided: _Divided

    def under(self, data: DataConfig, seq_len: int) -> Corpus:
        """The same text with the same split, under the fields, arrange, match, min_chars, max_chars and pack of `data`.

        Raises DataError (65) when nothing of a part is left.
        """
        train, val = self._divided.parts(data, self.vocabulary, self.seed, seq_len, lambda line: None)
        return replace(self, train=train, val=val, data=data)

    def batches(self, seq_len: int, batch_size: int, seed: int, share: float = 1.0, max_sequences: int | None = None,
                chunk: int | None = None) -> Windows:  # fmt: skip
        """Training batches of B rows of T characters, packed if data.pack says so; see Windows. chunk: the longest
        window of a plan whose stages take shares of a stream."""
        return Windows(self.train, seq_len, batch_size, seed, share=share, max_sequences=max_sequences, chunk=chunk,
                       pack=self.data.pack)  # fmt: skip


def load_corpus(config: Config, say: Say = on_stderr) -> Corpus:
    """The corpus of a configuration, with the vocabulary that model.vocabulary names.

    say: called with a line about what is not as usual. Raises MissingInputError (66), DataError (65) and the other
    errors of read_text, make_vocabulary and prepare.
    """
    from nyx.training.plan import longest_window, parts_of

    text = load_text(config, say)
    vocabulary = make_vocabulary(config.model.vocabulary, text, config.model.vocab_size, config.data)
    longest = longest_window(parts_of(config))
    return prepare(text, vocabulary, config.data, seq_len=longest, seed=config.seed, say=say)


def load_text(config: Config, say: Say = on_stderr) -> Text:
    """The text of data.path; the default corpus is made where it is wanted and missing."""
    if config.data.path == (DEFAULT_CORPUS,) and not Path(DEFAULT_CORPUS).exists():
        from nyx.text import hlx

        say(f"making the default corpus {DEFAULT_CORPUS}")
        hlx.write(Path(DEFAULT_CORPUS))
    data = config.data
    return read_text(data.path, data.normalization, cache=data.cache, stdin_bytes=data.stdin_bytes, say=say)


def make_vocabulary(name: str, text: Text, size: int | None, data: DataConfig | None = None) -> Vocabulary:
    """The vocabulary that model.vocabulary names: "corpus" for the text's own characters, or a fixed one; with
    data.max_characters and data.unknown."""
    data = data or DataConfig()
    if name in FIXED:
        return Vocabulary.fixed(name, size, unknown=data.unknown)
    return Vocabulary.build(text, size=size, max_characters=data.max_characters, unknown=data.unknown)


def prepare(text: Text, vocabulary: Vocabulary, data: DataConfig, *, seq_len: int, seed: int,
            say: Say = on_stderr) -> Corpus:  # fmt: skip
    """Encodes a text, cuts it by data.cut and splits it by data.split_by.

    seq_len: the longest window it must have room for. say: called with a line about what is not as usual. Raises
    DataError (65) when a part of a stream is shorter than a window, another part has no examples, or a character is not
    in the vocabulary; ConfigError (78) for a label in data.fields that is none.
    """
    divided = _Divided.of(text, vocabulary, data, seed, say)
    train, val = divided.parts(data, vocabulary, seed, seq_len, say)
    name = ", ".join(path.name for path in text.sources) or "text"
    return Corpus(vocabulary, train, val, text.sha256, name, text, data, seed, divided)


@dataclass(frozen=True, eq=False)
class _Divided:
    """A text cut and split once: whatever is chosen of it later, what is held out stays held out.

    ids: (N,) the encoded text; none of records, whose text is put together anew for each choice. held: (M,) examples or
    (R,) records that are for validation; a stream is split by its length alone.
    """

    text: Text
    ids: NDArray[Any]
    examples: Spans | Records
    held: NDArray[np.bool_]

    @classmethod
    def of(cls, text: Text, vocabulary: Vocabulary, data: DataConfig, seed: int, say: Say) -> _Divided:
        def encoded() -> NDArray[Any]:
            return vocabulary.encode_text(text, unknown=data.unknown, say=say)

        if data.cut == "stream":
            none = np.empty(0, np.int64)
            return cls(text, encoded(), Spans(none, none), none > 0)
        if symbol(text, "\n") < 0:
            raise DataError(f"the text is one line, and data.cut = {data.cut} needs several: set data.cut to stream")
        if data.cut == "notation":
            records = read_records(text)
            held = _hold_out(lambda: related_records(text, records), records.count, data, seed)
            return cls(text, np.empty(0, np.uint8), records, held)
        spans = lines(text) if data.cut == "line" else blocks(text)
        spans = spans.take(spans.ends - spans.starts >= 2)  # an empty line has no target
        held = _hold_out(lambda: equal_examples(text, spans), len(spans), data, seed)
        return cls(text, encoded(), spans, held)

    def parts(self, data: DataConfig, vocabulary: Vocabulary, seed: int, seq_len: int,
              say: Say) -> tuple[Sequences, Sequences]:  # fmt: skip
        """The training and the validation part."""
        if data.cut == "stream":
            return split(self.ids, data.val_fraction, seq_len)
        text, ids, spans, held = self.text, self.ids, self.examples, self.held
        if isinstance(spans, Records):
            text, spans, record = arrange(text, spans, data, seed)
            ids, held = vocabulary.encode_text(text, unknown=data.unknown, say=say), held[record]
        kept = keep(text, spans, data)
        sides = []
        for what, side in (("training", kept & ~held), ("validation", kept & held)):
            places = _places(text, spans.take(side), vocabulary, data)
            part = Sequences(ids, places.starts, places.ends)
            if not part.targets and (what == "training" or data.val_fraction):
                where = f" in the {what} part ({int(held.sum())} of {len(held)} are held out)"
                raise DataError(f"no example is left{where if data.val_fraction else ''}: give more text, or other "
                                "data.match, data.fields, data.min_chars, data.max_chars"
                                f"{' or data.val_fraction' if data.val_fraction else ''}")  # fmt: skip
            sides.append(part)
        return sides[0], sides[1]


def split(ids: NDArray[Any], val_fraction: float, seq_len: int) -> tuple[Sequences, Sequences]:
    """(training part, validation part) of a stream: the first int(N * (1 - val_fraction)) characters, and the rest.

    With val_fraction 0 the second is empty. Raises DataError (65) when a part is shorter than seq_len + 1.
    """
    cut = int(len(ids) * (1 - val_fraction))
    check_length("training part", cut, seq_len)
    if val_fraction > 0 and len(ids) - cut < seq_len + 1:
        raise DataError(f"the validation part has {len(ids) - cut} characters (data.val_fraction = {val_fraction} of "
                        f"{len(ids)}), a window needs {seq_len + 1}: give more text, a larger data.val_fraction or a "
                        "smaller train.seq_len")  # fmt: skip
    return Sequences.of(ids[:cut]), Sequences.of(ids[cut:])


def _hold_out(groups: Callable[[], NDArray[np.int64]], count: int, data: DataConfig, seed: int) -> NDArray[np.bool_]:
    if data.split_by == "example":
        return hold_out_groups(groups(), data.val_fraction, seed)
    return hold_out_last(count, data.val_fraction)


def _places(text: Text, spans: Spans, vocabulary: Vocabulary, data: DataConfig) -> Spans:
    """Where the spans begin and end in the encoded text, in which a character that the vocabulary has not is no symbol
    (data.unknown: skip) or as many as it has bytes."""
    size = vocabulary.lengths(text.symbols, data.unknown)
    if (size == 1).all():
        return spans
    ends = np.stack([spans.starts, spans.ends])
    found, total = np.zeros_like(ends), 0
    for first in range(0, len(text), BLOCK):
        sums = total + np.cumsum(size[text.ids[first : first + BLOCK]])
        for place, out in zip(ends, found, strict=True):
            some = slice(*np.searchsorted(place, [first + 1, first + len(sums) + 1]))
            out[some] = sums[place[some] - first - 1]
        total = int(sums[-1])
    return Spans(found[0], found[1])
