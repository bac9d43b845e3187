"""The small language: what is written is read back, what is not the language is refused; and the default corpus."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from nyx.errors import DataError, StorageError, UsageError
from nyx.text import hlx
from nyx.text.corpus import text_from_string
from nyx.text.hlx.forms import FORMS, draw_request, draw_thing
from nyx.text.hlx.values import TAG
from nyx.text.hlx.words import DOMAINS
from nyx.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def default() -> str:
    return hlx.generate()


def test_the_default_corpus_fits_its_purpose(default: str) -> None:
    data = default.encode()
    assert 600_000 <= len(data) <= 700_000
    vocabulary = Vocabulary.fixed("hlx-115")
    assert vocabulary.decode(vocabulary.encode_text(text_from_string(default))) == default
    assert len(set(default)) <= 80


def test_every_example_is_well_formed_and_new(default: str) -> None:
    blocks = default.removesuffix("\n\n").split("\n\n")
    english = [re.fullmatch(r"English: ([A-Z].*[^ ])\nLC-R: (.+)", block) for block in blocks]
    assert all(english)
    sentences = [match[1] for match in english if match]
    assert len(set(sentences)) == len(sentences) >= 4000  # so nothing in the last part stands in the first
    for match in filter(None, english):
        value = hlx.NOTATIONS["LC-R"].read(match[2])
        assert hlx.NOTATIONS["LC-R"].write(value) == match[2]


def test_kinds_are_balanced() -> None:
    counts = Counter(example.kind for example in islice(hlx.examples(3), 5000))
    assert len(counts) == 11
    assert min(counts.values()) > 300
    assert max(counts.values()) < 600


def test_a_sentence_has_one_meaning() -> None:
    """Over every template of every form and domain: translation from English is a function."""
    rng, meaning = Random(5), dict[str, str]()
    for _ in range(60):
        for form in FORMS:
            for domain in DOMAINS:
                request = draw_request(rng, form, domain, draw_thing(rng, domain))
                for sentence in request.sentences():
                    assert meaning.setdefault(sentence, hlx.NOTATIONS["LC-R"].write(request.value())) == hlx.NOTATIONS[
                        "LC-R"].write(request.value())  # fmt: skip
                assert len(request.sentences()) == len(set(request.sentences())) >= 2


def test_words_are_names_and_none_occurs_twice_in_a_list() -> None:
    for domain in DOMAINS:
        for words in vars(domain).values():
            assert len(set(words)) == len(words) >= 3
            assert all(TAG.fullmatch(word) for word in words)


def test_a_longer_corpus_begins_with_the_shorter_and_seeds_differ(default: str) -> None:
    assert hlx.generate(len(default) + 1).startswith(default)
    assert hlx.generate(1000, 2) != hlx.generate(1000, 3)
    both = hlx.generate(1, notations=("HLXL", "LC-R"))
    assert re.fullmatch(r"English: .+\nHLXL: \{1000: .+\nLC-R: 🜊1000.+\n\n", both)
    for arguments in ({"size_chars": 0}, {"notations": ("LC-X",)}, {"notations": ()}):
        with pytest.raises(UsageError):
            hlx.generate(**arguments)  # type: ignore[arg-type]


def test_the_same_bytes_in_another_process() -> None:
    program = (
        "import hashlib; from nyx.text import hlx; print(hashlib.sha256(hlx.generate(20000).encode()).hexdigest())"
    )
    digest = hashlib.sha256(hlx.generate(20000).encode()).hexdigest()
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == digest


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "hlx.txt"
    written = hlx.write(path, 2000)
    text = path.read_text(encoding="utf-8")
    assert text == hlx.generate(2000)
    assert (written.characters, written.utf8_bytes) == (len(text), path.stat().st_size)
    assert written.sha256 == hashlib.sha256(text.encode()).hexdigest()
    before = path.stat().st_mtime_ns
    hlx.write(path, 2000)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="other content"):
        hlx.write(path, 3000)
    with pytest.raises(DataError, match="is not a file"):
        hlx.write(tmp_path, 2000)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        hlx.write(path, 3000, force=True)
    assert path.read_text(encoding="utf-8") == text
    assert [file.name for file in path.parent.iterdir()] == ["hlx.txt"]
    monkeypatch.undo()
    hlx.write(path, 3000, force=True)
    assert path.read_text(encoding="utf-8") == hlx.generate(3000)
