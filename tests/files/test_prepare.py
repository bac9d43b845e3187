"""From a text to two parts: nothing that is held out is trained on, in any phase, and the numbers are the text's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nyx.config import Config, DataConfig
from nyx.errors import ConfigError, DataError
from nyx.text import examples, prepare, records, splitting
from nyx.text.corpus import text_from_string
from nyx.text.prepare import Corpus, load_corpus, make_vocabulary, split
from nyx.text.records import LABELS
from nyx.text.sequences import Sequences
from nyx.text.splitting import equal_examples, hold_out_groups


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterator[None]:
    """Blocks of a few characters, so that everything crosses their edges."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (examples, records, splitting, prepare):
            patch.setattr(module, "BLOCK", 6)
        yield


def corpus_of(text: str, seed: int = 0, seq_len: int = 2, **data: object) -> Corpus:
    config = DataConfig.model_validate({"cut": "line", **data})
    read = text_from_string(text)
    vocabulary = make_vocabulary("corpus", read, None, config)
    return prepare.prepare(read, vocabulary, config, seq_len=seq_len, seed=seed, say=lambda line: None)


def decoded(corpus: Corpus, part: Sequences) -> list[str]:
    ends = zip(part.starts.tolist(), part.ends.tolist(), strict=True)
    return [corpus.vocabulary.decode(part.ids[a:b]) for a, b in ends]


def sides(corpus: Corpus) -> tuple[list[str], list[str]]:
    return decoded(corpus, corpus.train), decoded(corpus, corpus.val)


words = st.lists(st.text("abc ", min_size=1, max_size=4), min_size=4, max_size=40)


@given(n=st.integers(4, 400), fraction=st.sampled_from([0.0, 0.1, 0.25, 0.5]), seq_len=st.integers(1, 20))
def test_a_stream_is_split_by_position(n: int, fraction: float, seq_len: int) -> None:
    cut = int(n * (1 - fraction))
    if cut < seq_len + 1 or (fraction and n - cut < seq_len + 1):
        with pytest.raises(DataError, match="part has"):
            split(np.arange(n), fraction, seq_len)
        return
    ids = np.arange(n)
    train, val = split(ids, fraction, seq_len)
    assert np.array_equal(np.concatenate([train.head(n), val.head(n)]), np.arange(n))
    assert train.characters == cut
    assert train.ids is ids  # a large corpus is not copied


def test_a_stream_is_split_as_nanogpt_does() -> None:
    train, val = split(np.empty(1_115_394, np.uint8), 0.1, 64)
    assert (train.characters, val.characters) == (1_003_854, 111_540)


@given(lines=words, fraction=st.sampled_from([0.0, 0.2, 0.5]))
def test_examples_split_by_position(lines: list[str], fraction: float) -> None:
    whole = [line + "\n" for line in lines]
    train, val = sides(corpus_of("".join(whole), val_fraction=fraction))
    assert train + val == whole
    assert len(train) == int(len(whole) * (1 - fraction))


@given(lines=words, seed=st.integers(0, 99))
def test_what_says_the_same_is_on_one_side(lines: list[str], seed: int) -> None:
    whole = [line + "\n" for line in lines]
    try:
        train, val = sides(corpus_of("".join(whole), seed, val_fraction=0.3, split_by="example"))
    except DataError:
        smallest = min(sum(line.rstrip() == other.rstrip() for other in lines) for line in lines)
        assert smallest > max(1, round(len(lines) * 0.3))  # no group fits
        return
    assert sorted(train + val) == sorted(whole)
    assert not {line.rstrip() for line in train} & {line.rstrip() for line in val}
    assert len(val) <= max(1, round(len(whole) * 0.3))


@given(lines=words)
def test_equal_examples_are_found(lines: list[str]) -> None:
    """Exactly those whose text is equal up to spaces and newlines at the end, numbered as they come."""
    text = text_from_string("\n".join(lines) + "\n")
    spans = examples.lines(text)
    keys = [line.rstrip() for line in lines]
    numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    assert equal_examples(text, spans).tolist() == [numbers[key] for key in keys]


def test_long_equal_examples_are_found() -> None:
    parts = ["ab" * 50 + "c", "ab" * 50 + "d", "b" + "ab" * 50]
    text = text_from_string("\n".join([parts[i] for i in (0, 1, 0, 2, 2, 1)]))
    assert equal_examples(text, examples.lines(text)).tolist() == [0, 1, 0, 2, 2, 1]


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=40), seed=st.integers(0, 9),
       fraction=st.floats(0, 0.99))  # fmt: skip
def test_groups_are_held_out_in_a_seeded_order_where_they_fit(sizes: list[int], seed: int, fraction: float) -> None:
    group = np.repeat(np.arange(len(sizes)), sizes)
    held = hold_out_groups(group, fraction, seed)
    out = {int(g) for g in group[held]}
    assert held.sum() == sum(sizes[g] for g in out)  # whole groups
    wanted = max(1, round(fraction * len(group))) if fraction else 0
    assert held.sum() <= wanted
    assert all(held.sum() + size > wanted for g, size in enumerate(sizes) if g not in out)


def test_the_share_is_reached_and_drawn_from_everywhere() -> None:
    text = "".join(f"line {i}\n" for i in range(500))
    found = [sides(corpus_of(text, seed, val_fraction=0.1, split_by="example"))[1] for seed in (1, 2)]
    assert [len(val) for val in found] == [50, 50]
    assert found[0] != found[1]
    numbers = [int(line.split()[1]) for line in found[0]]
    assert min(numbers) < 50
    assert max(numbers) > 450


bodies = st.lists(
    st.dictionaries(st.sampled_from(LABELS), st.text("ab", min_size=1, max_size=3), min_size=1), min_size=8, max_size=25
)


def notation(bodies: list[dict[str, str]]) -> str:
    return "\n".join("".join(f"{label}: {body}\n" for label, body in record.items()) for record in bodies)


@given(bodies=bodies, seed=st.integers(0, 9))
def test_no_line_of_a_held_out_record_is_trained_on_in_any_phase(bodies: list[dict[str, str]], seed: int) -> None:
    """Whatever the fields, arrangement and filter of a phase: a record's side stays."""
    base = {"cut": "notation", "split_by": "example", "val_fraction": 0.3}
    try:
        corpus = corpus_of(notation(bodies), seed, **base)
    except DataError:
        assume(False)
        return
    trained, held = ({line for example in side for line in example.split("\n") if line} for side in sides(corpus))
    assert not trained & held
    assert trained | held == {f"{label}: {body}" for record in bodies for label, body in record.items()}
    phases = [
        {"arrange": "line"},
        {"arrange": "pair"},
        {"fields": ("English", "LC-R")},
        {"match": "a"},
        {"max_chars": 12},
    ]
    for phase in phases:
        try:
            other = corpus.under(corpus.data.model_copy(update=phase), 4)
        except DataError:
            continue
        for part, allowed in zip(sides(other), (trained, held), strict=True):
            assert {line for example in part for line in example.split("\n") if line} <= allowed
        fresh = corpus_of(notation(bodies), seed, **base, **phase)
        assert sides(fresh) == sides(other)


def test_records_that_share_lines_with_a_third_are_together() -> None:
    """A chain: each record shares a line with the next, the first and the last share none."""
    chain = [{"English": f"e{i}", "LC-R": f"r{i}"} for i in range(40)]
    chain += [{"English": f"e{i}", "LC-R": f"r{i + 1}"} for i in range(19)]  # the first twenty become one group
    for seed in range(20):
        corpus = corpus_of(notation(chain), seed, cut="notation", split_by="example", val_fraction=0.3)
        held = {line for example in sides(corpus)[1] for line in example.split()}
        assert not held & {f"e{i}" for i in range(20)}  # 39 of 59 records: more than the share
        assert len(corpus.val) == 18


def test_a_filter_that_leaves_nothing_is_refused() -> None:
    text = "".join(f"line {i}\n" for i in range(20))
    corpus = corpus_of(text, val_fraction=0.2, split_by="example")
    with pytest.raises(DataError, match="no example is left in the training part"):
        corpus.under(corpus.data.model_copy(update={"match": "absent"}), 4)
    trained = "|".join(f"^{line.strip()}$" for line in decoded(corpus, corpus.train))
    with pytest.raises(DataError, match="no example is left in the validation part"):
        corpus.under(corpus.data.model_copy(update={"match": trained}), 4)
    assert not len(corpus_of(text, val_fraction=0.0, match="7").val)


def test_a_text_of_one_line_has_no_lines_to_cut() -> None:
    with pytest.raises(DataError, match=r"the text is one line, and data.cut = block needs several"):
        corpus_of("one line", cut="block")


@pytest.mark.parametrize("unknown", ["skip", "bytes"])
def test_examples_keep_their_places_when_characters_are_rare(unknown: str) -> None:
    lines = [f"ab{'é' * (i % 3)}a{'🜊' * (i % 2)}b\n" for i in range(30)]
    corpus = corpus_of("".join(lines), max_characters=3, unknown=unknown, val_fraction=0.2)
    wanted = lines if unknown == "bytes" else [line.replace("é", "").replace("🜊", "") for line in lines]
    assert [*sides(corpus)[0], *sides(corpus)[1]] == wanted
    records = corpus_of("".join(f"LC-R: {line}" for line in lines), max_characters=9, unknown=unknown, cut="notation",
                        arrange="line", val_fraction=0.2)  # fmt: skip
    assert [*sides(records)[0], *sides(records)[1]] == [f"LC-R: {line}" for line in wanted]


def test_batches_of_a_corpus() -> None:
    corpus = corpus_of("".join(f"{i}\n" for i in range(100)), cut="line", pack=True, val_fraction=0.2)
    packed = corpus.batches(20, 4, 1)
    alone = corpus.under(corpus.data.model_copy(update={"pack": False}), 20).batches(20, 4, 1)
    assert packed.targets == alone.targets == 10 + 2 * 70
    assert alone.n_windows == 80
    assert packed.n_windows == 8
    assert 7 <= corpus.batches(20, 4, 1, share=0.5, max_sequences=7).targets <= 14


def test_the_corpus_of_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "my.txt"
    path.write_text("".join(f"a line {i}\n" for i in range(50)))
    config = Config.model_validate({"data": {"path": str(path), "cut": "line"}, "train": {"max_steps": 1}})
    corpus = load_corpus(config)
    assert corpus.name == "my.txt"
    assert len(corpus.train) == 45
    assert sides(corpus)[1][-1] == "a line 49\n"
    assert len(corpus.sha256) == 64
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    default = load_corpus(Config.model_validate({"train": {"max_steps": 1}}), said.append)
    assert said == ["making the default corpus data/hlx.txt"]
    assert default.train.targets > 100_000


def test_a_label_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r"data\.fields: 'Latin' is no label"):
        corpus_of("English: a\n\nEnglish: b\n", cut="notation", fields=("Latin",))
