"""Phrases: what can be said in several ways, and what to do with it: say it, recognise it, count and measure it.

A Phrase is a string, a tuple of Phrases (one after the other), or Ways (one of several). Random choices use
Random.random() alone, the one method whose sequence Python promises to keep.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from random import Random
from string import Formatter
from typing import TypeAlias, TypeVar, Union

T = TypeVar("T")
FRAMES = ("Please {}", "Could you {}?", "I would like you to {}", "Would you {}?", "We need you to {}", "Kindly {}")


@dataclass(frozen=True)
class Ways:
    """One of several phrases with the same meaning."""

    options: tuple[Phrase, ...]


Phrase: TypeAlias = Union[str, "tuple[Phrase, ...]", Ways]


@dataclass(frozen=True)
class Sentences:
    """All English sentences of one meaning: `orders` are commands in lower case, also put into FRAMES; `questions` are
    whole sentences. `in` tells whether a text is one of them, `say` draws one, len() is how many there are."""

    orders: Ways
    questions: Ways

    def say(self, rng: Random) -> str:
        """One sentence: half of them bare commands, a quarter questions where there are any, the others framed."""
        chance = rng.random()
        if chance < 0.25 and self.questions.options:
            return say(self.questions, rng)
        if chance < 0.75:
            return capital(say(self.orders, rng))
        return pick(rng, FRAMES).format(say(self.orders, rng))

    def __contains__(self, text: str) -> bool:
        orders, questions = self._patterns
        if questions.fullmatch(text):
            return True
        bodies = [text[0].lower() + text[1:]] if text and text == capital(text) else []
        for frame in FRAMES:
            before, after = frame.split("{}")
            if text.startswith(before) and text.endswith(after):
                bodies.append(text[len(before) : len(text) - len(after)])
        return any(orders.fullmatch(body) for body in bodies)

    def longest(self) -> int:
        """Characters of the longest sentence, 0 when there is none."""
        framed = max(len(frame) - len("{}") for frame in FRAMES)
        orders = longest(self.orders) + framed if self.orders.options else 0
        return max(orders, longest(self.questions))

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        return re.compile(pattern(self.orders)), re.compile(pattern(self.questions))

    def __len__(self) -> int:
        return count(self.orders) * (1 + len(FRAMES)) + count(self.questions)


def pick(rng: Random, items: Sequence[T]) -> T:
    return items[int(rng.random() * len(items))]


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def say(phrase: Phrase, rng: Random) -> str:
    """One way to say a phrase."""
    if isinstance(phrase, str):
        return phrase
    if isinstance(phrase, Ways):
        return say(pick(rng, phrase.options), rng)
    return "".join([say(part, rng) for part in phrase])


def pattern(phrase: Phrase) -> str:
    """A regular expression that matches every way to say a phrase, and nothing else."""
    if isinstance(phrase, str):
        return re.escape(phrase)
    if isinstance(phrase, Ways):
        return f"(?:{'|'.join(map(pattern, phrase.options))})" if phrase.options else "(?!)"
    return "".join(map(pattern, phrase))


def count(phrase: Phrase) -> int:
    """How many ways there are to say a phrase."""
    if isinstance(phrase, str):
        return 1
    if isinstance(phrase, Ways):
        return sum(map(count, phrase.options))
    return prod(map(count, phrase))


def longest(phrase: Phrase) -> int:
    """Characters of the longest way to say a phrase."""
    if isinstance(phrase, str):
        return len(phrase)
    if isinstance(phrase, Ways):
        return max(map(longest, phrase.options), default=0)
    return sum(map(longest, phrase))


def filled(template: str, words: Mapping[str, Phrase]) -> Phrase:
    """A template such as "turn {thing} into {shape}" with the words for its names."""
    return tuple(words[part] if is_name else part for is_name, part in _parts(template))


@cache
def _parts(template: str) -> tuple[tuple[bool, str], ...]:
    """(is a name, text) of each part."""
    parts: list[tuple[bool, str]] = []
    for text, name, _, _ in Formatter().parse(template):
        if text:
            parts.append((False, text))
        if name is not None:
            parts.append((True, name))
    return tuple(parts)
