"""What a trained model makes of requests it has not seen: English to each notation, each notation to English, and each
notation to each other one, as shares with their counts, by kind of operation.

A prompt is one line of an example and the name of the line that is wanted, as in a corpus with data.arrange: pair:
"English: <sentence>\\nLC-R: ", "LC-R: <text>\\nEnglish: ", "HLXL: <text>\\nLC-R: ". The answer is the likeliest text up
to the next line break, cut after as many characters as the longest sentence has, or for a notation after half as many
again as the right answer and 40 more.

Cost: with n notations an example is n + n + n * (n - 1) prompts (20 for four), each decoded alone: about 70 to 250
steps of the decoder for a prompt and as many for its answer, more of both for pipelines. On two CPU cores a trained
model of half a million parameters takes about 1 s for an example with four notations, an untrained one, whose answers
do not end, 4 to 10 s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nyx.errors import DataError, NyxError, UsageError
from nyx.text.hlx.english import phrasings
from nyx.text.hlx.generator import KINDS, NOTATIONS, Example, examples
from nyx.text.hlx.notation import balanced
from nyx.text.hlx.values import same
from nyx.text.sources import STDIN

if TYPE_CHECKING:
    from nyx.resource_aware_hrm import ResourceAwareHRM
    from nyx.text.corpus import Text

HELD_OUT_SEED = 20_261
ENGLISH = "English"
MOST_DRAWN = 1000  # examples looked at for each one that is kept
BLOCK = 1 << 20
Answer = Callable[[str, int], str | None]


def evaluate_hlx(hrm: ResourceAwareHRM, *, examples: int, seed: int = HELD_OUT_SEED,
                 notations: Sequence[str] = tuple(NOTATIONS), training: Container[str] = (),
                 say: Callable[[str], None] | None = None) -> dict[str, Any]:  # fmt: skip
    """Shares of right answers on `examples` held-out examples, the kinds in equal parts; ready for JSON.

    seed: of the examples; not the corpus's. training: lines of the text the model was trained on (see training_lines);
    an example whose English or LC-R line is among them is not used. say: is told how far it is.

    The result has "examples", "seed", "notations", and three groups: "english_to_notation", "notation_to_english" and
    "notation_to_notation". A group has "all" (shares over everything in it), "kinds" (shares for each kind of
    operation) and "directions", which has for each direction such as "HLXL to LC-R" again "all" and "kinds". Shares
    are "count" (answers) and, each from 0 to 1 of these:
    - "read": the model knows every character of the prompt (else it gives no answer, which counts as wrong);
    - "fits": prompt and right answer fit into the window it was trained on (what does not is asked all the same);
    - "identical": the answer is the line of the example, character by character;
    - "exact": it means the same: a notation is read as the value of the example, English is one of its phrasings;
    - for notations also "balanced": it is not empty, and every bracket and string in it is closed; and "valid": it is
      read as some value.
    Raises UsageError (64) for fewer than one example or a notation that is not one of NOTATIONS, DataError (65) when
    the training text has nearly all examples of this seed.
    """
    from nyx.generation import Sampling, generate

    def answer(prompt: str, longest: int) -> str | None:
        try:
            return "".join(generate(hrm, prompt, longest, Sampling(temperature=0), stop="\n"))
        except DataError:
            return None

    def size(text: str) -> int:
        """Symbols; a character that the model does not know counts as one."""
        codes = np.array([ord(character) for character in text], np.uint32)
        return int(np.maximum(hrm.vocabulary.lengths(codes), 1).sum())

    chosen = held_out(examples, seed, training)
    measured = measure(answer, chosen, notations, window=hrm.window, size=size, say=say)
    return {"examples": examples, "seed": seed} | measured


def held_out(count: int, seed: int, training: Container[str] = ()) -> list[Example]:
    """The first `count` examples of a seed, the kinds in equal parts, without those that stand in `training`."""
    if count < 1:
        raise UsageError(f"{count} examples are too few: ask for at least 1")
    kept: list[Example] = []
    of_kind: Counter[str] = Counter()
    for drawn, example in enumerate(examples(seed)):
        if drawn == count * MOST_DRAWN:
            raise DataError(f"the training text has nearly all examples of seed {seed}: use another seed")
        lines = (f"{ENGLISH}: {example.english}", f"LC-R: {NOTATIONS['LC-R'].write(example.value)}")
        if of_kind[example.kind] * len(KINDS) < count and not any(line in training for line in lines):
            of_kind[example.kind] += 1
            kept.append(example)
            if len(kept) == count:
                break
    return kept


def training_lines(text: Text) -> frozenset[str]:
    """The lines of a corpus that held-out examples are compared with."""
    lines: set[str] = set()
    rest = ""
    for start in range(0, len(text), BLOCK):
        *whole, rest = (rest + text.string(start, start + BLOCK)).split("\n")
        lines.update(line for line in whole if line.startswith((f"{ENGLISH}: ", "LC-R: ")))
    return frozenset(lines | {rest})


def lines_of_files(paths: Sequence[str], say: Callable[[str], None]) -> frozenset[str]:
    """The lines of the files, folders and patterns that a model was trained on; `say` gets a line for each that cannot
    be read any more."""
    from nyx.text.corpus import read_text

    lines: frozenset[str] = frozenset()
    for path in paths:
        try:
            if path == STDIN:
                raise DataError("the model was trained on standard input")
            lines |= training_lines(read_text(path))
        except NyxError as error:
            say(f"{error}; examples that stand there are not left out")
    return lines


def measure(answer: Answer, chosen: Sequence[Example], notations: Sequence[str] = tuple(NOTATIONS), *,
            window: int = 1 << 62, size: Callable[[str], int] = len,
            say: Callable[[str], None] | None = None) -> dict[str, Any]:  # fmt: skip
    """The groups of evaluate_hlx. answer(prompt, longest): a text of at most `longest` characters, or None when the
    prompt cannot be read. size: of a text, in the unit of `window`."""
    unknown = [name for name in notations if name not in NOTATIONS]
    if unknown or not notations:
        raise UsageError(f"notation {', '.join(unknown) or 'missing'}: use one or more of {', '.join(NOTATIONS)}")
    directions = {
        "english_to_notation": [(ENGLISH, name) for name in notations],
        "notation_to_english": [(name, ENGLISH) for name in notations],
        "notation_to_notation": [(a, b) for a in notations for b in notations if a != b],
    }
    groups = {name: _Group() for name in directions}
    for number, example in enumerate(chosen, 1):
        lines = {ENGLISH: example.english} | {name: NOTATIONS[name].write(example.value) for name in notations}
        for name, group in groups.items():
            for source, target in directions[name]:
                prompt = f"{source}: {lines[source]}\n{target}: "
                given = answer(prompt, _longest(lines[target], target, example))
                marks = {
                    "read": given is not None,
                    "fits": size(prompt + lines[target]) <= window,
                    "identical": given == lines[target],
                } | _marks(given or "", target, example)
                group.add(f"{source} to {target}", example.kind, marks)
        if say and (number % max(1, len(chosen) // 10) == 0 or number == len(chosen)):
            say(f"{number} of {len(chosen)} held-out examples")
    return {"notations": list(notations)} | {name: group.result() for name, group in groups.items()}


def _longest(right: str, target: str, example: Example) -> int:
    """Characters after which an answer is cut; no right one is as long."""
    return 1 + phrasings(example.value).longest() if target == ENGLISH else len(right) * 3 // 2 + 40


def _marks(given: str, target: str, example: Example) -> dict[str, bool]:
    if target == ENGLISH:
        return {"exact": given in phrasings(example.value)}
    notation = NOTATIONS[target]
    try:
        valid, exact = True, same(notation.read(given), example.value)
    except DataError:
        valid = exact = False
    return {"balanced": given != "" and balanced(given, notation.BRACKETS), "valid": valid, "exact": exact}


class _Tally:
    """How many answers, and how many of them have each mark."""

    def __init__(self) -> None:
        self.count, self.marked = 0, Counter[str]()

    def add(self, marks: dict[str, bool]) -> None:
        self.count += 1
        for name, is_so in marks.items():
            self.marked[name] += is_so

    def shares(self) -> dict[str, float]:
        return {"count": self.count} | {name: number / self.count for name, number in self.marked.items()}


class _Group:
    """Tallies of all answers, by kind, by direction, and by both."""

    def __init__(self) -> None:
        self.tallies: dict[tuple[str | None, str | None], _Tally] = {}

    def add(self, direction: str, kind: str, marks: dict[str, bool]) -> None:
        for key in ((None, None), (None, kind), (direction, None), (direction, kind)):
            self.tallies.setdefault(key, _Tally()).add(marks)

    def result(self) -> dict[str, Any]:
        names = dict.fromkeys(direction for direction, _ in self.tallies if direction)
        return self._part(None) | {"directions": {name: self._part(name) for name in names}}

    def _part(self, direction: str | None) -> dict[str, Any]:
        kinds = [kind for kind in KINDS if (direction, kind) in self.tallies]
        return {
            "all": self.tallies.get((direction, None), _Tally()).shares(),
            "kinds": {kind: self.tallies[direction, kind].shares() for kind in kinds},
        }
