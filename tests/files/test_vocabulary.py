"""Vocabularies that are capped, write bytes, leave characters out, or grow from another one."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nyx.config import TransformerConfig
from nyx.errors import DataError
from nyx.generation import Sampling, generate
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text import vocabulary as module
from nyx.text.cleaning import clean
from nyx.text.corpus import Text, text_from_string
from nyx.text.vocabulary import BYTES, Decoder, Unknown, Vocabulary

texts = st.text(min_size=1, max_size=80)


def encoded(vocabulary: Vocabulary, text: Text, unknown: Unknown = "error") -> tuple[list[int], list[str]]:
    said: list[str] = []
    return vocabulary.encode_text(text, unknown=unknown, say=said.append).tolist(), said


@given(text=texts, other=texts, most=st.integers(1, 12))
def test_with_bytes_every_text_comes_back(text: str, other: str, most: int) -> None:
    vocabulary = Vocabulary.build(text_from_string(text, "none"), max_characters=most, unknown="bytes")
    assert len(vocabulary.characters) == min(most, len(set(clean(text, "none"))))
    assert vocabulary.specials == BYTES
    read = text_from_string(other, "none")
    ids, said = encoded(vocabulary, read)
    assert said == []
    assert ids == vocabulary.encode(other).tolist()
    assert vocabulary.decode(ids) == read.string()
    assert vocabulary.count_bytes(np.array(ids)) == read.utf8_bytes
    assert vocabulary.lengths(read.symbols) @ read.counts == len(ids)
    decoder = Decoder(vocabulary)
    assert "".join([*map(decoder.push, ids), decoder.end()]) == read.string()
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


@given(text=texts, most=st.integers(1, 6))
def test_skipping_leaves_out_what_is_not_there(text: str, most: int) -> None:
    read = text_from_string(text, "none")
    vocabulary = Vocabulary.build(read, max_characters=most, unknown="skip")
    kept = "".join(c for c in read.string() if c in vocabulary.characters)
    ids, said = encoded(vocabulary, read, "skip")
    assert vocabulary.decode(ids) == kept
    assert vocabulary.lengths(read.symbols, "skip") @ read.counts == len(kept)
    left_out = len(read) - len(kept)
    assert len(said) == (left_out > 0)
    assert all(line.startswith(f"{left_out} of {len(read)} characters") for line in said)


@given(symbols=st.lists(st.integers(0, 259), max_size=30))
def test_bytes_that_make_no_character(symbols: list[int]) -> None:
    """Any symbols, as a model may choose them: the text is what UTF-8 with replacement makes of the bytes."""
    vocabulary = Vocabulary("aé", ("end", *BYTES), 260)  # 0 a, 1 é, 2 end, 3.. bytes, 259 reserved
    written = {0: b"a", 1: "é".encode(), 2: "\ufffd".encode(), 259: "\ufffd".encode()}
    data = b"".join(written.get(symbol, bytes([(symbol - 3) % 256])) for symbol in symbols)
    assert vocabulary.decode(symbols) == data.decode("utf-8", "replace")
    decoder = Decoder(vocabulary)
    assert "".join([*map(decoder.push, symbols), decoder.end()]) == data.decode("utf-8", "replace")
    assert list(vocabulary.utf8_lengths[[0, 1, 2, 3, 258, 259]]) == [1, 2, 0, 1, 1, 0]


def test_a_decoder_keeps_back_what_is_not_whole() -> None:
    vocabulary = Vocabulary("ab", BYTES)
    decoder = Decoder(vocabulary)
    ids = vocabulary.encode("a🜊b")
    assert [decoder.push(symbol) for symbol in ids] == ["a", "", "", "", "🜊", "b"]
    assert (decoder.push(int(ids[1])), decoder.end()) == ("", "\ufffd")


def test_generated_bytes_become_characters() -> None:
    """A model that says the bytes of a character one after another, and once leaves one in the middle."""
    vocabulary = Vocabulary("ab", BYTES)
    says = [0, *vocabulary.encode("🜊é").tolist(), 1, *vocabulary.encode("é").tolist()[:1], 0]

    class Model:
        """Says these symbols, whatever was before."""

        backend, window = None, 100

        def __init__(self) -> None:
            self.vocabulary = vocabulary

        def decoder(self) -> Model:
            return self

        def step(self, backend: None, token: np.ndarray, position: int) -> np.ndarray:
            return np.eye(len(vocabulary))[[says[position]]]

    sampling = Sampling(temperature=0)
    model = cast("ResourceAwareHRM", Model())
    assert list(generate(model, "a", 6, sampling)) == ["a", "🜊", "é", "b", "\ufffda"]
    assert list(generate(model, "a", 5, sampling)) == ["a", "🜊", "é", "b", "\ufffd"]
    assert list(generate(model, "a", 2, sampling)) == ["a", "🜊"]
    assert list(generate(model, "a", 0, sampling)) == []
    assert list(generate(model, "a", 6, sampling, stop=["é"])) == ["a", "🜊"]
    assert list(generate(model, "a", 6, sampling, stop=["bé", "b\ufffd"])) == ["a", "🜊", "é"]
    assert list(generate(model, "a", 4, sampling, stop=["bé"])) == ["a", "🜊", "é", "b"]


def test_bytes_of_a_character_are_one_character() -> None:
    vocabulary = Vocabulary("ab", BYTES)
    ids = np.array([*vocabulary.encode("aé🜊b").tolist(), -1, -1], np.int32)
    assert (len(ids), vocabulary.count_characters(ids), vocabulary.count_bytes(ids)) == (10, 4, 8)
    hrm = ResourceAwareHRM(TransformerConfig(n_layer=1, n_head=1, n_embd=8), vocabulary, "cpu")
    hrm.initialize(1)
    found = hrm.evaluate(ids[:-2], seq_len=4, batch_size=2)
    assert (found.symbols, found.characters, found.bytes) == (7, 3, 7)
    assert found.bits_per_byte == pytest.approx(found.loss_per_symbol / math.log(2))
    assert found.loss == pytest.approx(found.loss_per_symbol * 7 / 3)
    assert found.bits_per_character == pytest.approx(found.loss / math.log(2))


def test_the_most_frequent_characters_stay() -> None:
    text = text_from_string("cccbbbaaade")
    assert Vocabulary.build(text, max_characters=4, unknown="skip").characters == "abcd"
    assert Vocabulary.build(text, max_characters=2, unknown="skip").characters == "ab"
    assert Vocabulary.build(text, max_characters=5).characters == "abcde"
    assert len(Vocabulary.build(text, max_characters=2, unknown="bytes", size=300)) == 300
    with pytest.raises(DataError, match=r"5 distinct characters and data\.max_characters is 4: set data.unknown"):
        Vocabulary.build(text, max_characters=4)


def test_what_a_fixed_vocabulary_does_not_know() -> None:
    text = text_from_string("né🜊")
    cases: list[tuple[Unknown, int, str]] = [("bytes", 115 + 256, "né🜊"), ("skip", 115, "n🜊")]
    for unknown, size, written in cases:
        vocabulary = Vocabulary.fixed("hlx-115", unknown=unknown)
        assert len(vocabulary) == size
        assert vocabulary.decode(encoded(vocabulary, text, unknown)[0]) == written
        assert vocabulary.special("end") == 114
    neither: list[Unknown] = ["error", "bytes"]  # a vocabulary without symbols for bytes cannot write them
    for unknown in neither:
        with pytest.raises(DataError, match=r"'é' \(U\+00E9\), unknown .* at character 1: .* \(data\.unknown\)"):
            encoded(Vocabulary.fixed("hlx-115"), text, unknown)
    with pytest.raises(DataError, match=r"\(U\+DCFF\) at position 1"):
        Vocabulary.fixed("hlx-115", unknown="bytes").encode("a\udcff")


def test_where_a_character_stands_is_found_in_any_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 4)
    for place in range(10):
        text = text_from_string("a" * place + "x" + "a" * (9 - place))
        with pytest.raises(DataError, match=f"the first one is at character {place}:"):
            Vocabulary("a").encode_text(text)
        assert encoded(Vocabulary("xa"), text)[0] == [1] * place + [0] + [1] * (9 - place)
        assert encoded(Vocabulary("a"), text, "skip")[0] == [0] * 9


def test_a_vocabulary_grows_by_what_a_text_has() -> None:
    old = Vocabulary("cab", ("end",), 6)
    new = old.extended(text_from_string("bxxya"))
    assert (new.characters, new.specials, len(new)) == ("cabxy", ("end",), 6)
    assert new.rows_from(old).tolist() == [0, 1, 2, -1, -1, 3]
    larger = old.extended(text_from_string("bxxya"), 9)
    assert larger.rows_from(old).tolist() == [0, 1, 2, -1, -1, 3, -1, -1, -1]
    assert Vocabulary("c", size=9).rows_from(Vocabulary("abc", size=7)).tolist() == [2, -1, -1, 3, 4, 5, 6, -1, -1]
    assert old.rows_from(old).tolist() == list(range(6))
    capped = old.extended(text_from_string("bxxya"), max_characters=4, unknown="bytes")
    assert (capped.characters, capped.specials) == ("cabx", ("end", *BYTES))
    assert capped.rows_from(old).tolist() == [0, 1, 2, -1, 3] + [-1] * 256
    assert capped.extended(text_from_string("q"), unknown="bytes", max_characters=4) == capped
    with pytest.raises(DataError, match=r"5 distinct characters and data\.max_characters is 4"):
        old.extended(text_from_string("bxxya"), max_characters=4)


def test_differences_do_not_list_the_bytes() -> None:
    words = Vocabulary("ab", ("end",)).difference(Vocabulary("ab", ("end", *BYTES)))
    assert "('end',) here, ('end', '256 bytes') there" in words
    assert "0x00" not in words
