"""The words of the default corpus that belong to no domain, and what a domain has (domains.py lists them)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Domain:
    """Names are tags of handles; in English an underscore is a space. `things` are plural, `fields` are measured.

    workflows: each "name: step | step | ...", as pipelines.py reads it.
    """

    places: tuple[str, ...]
    things: tuple[str, ...]
    fields: tuple[str, ...]
    states: tuple[str, ...]
    rules: tuple[str, ...]
    jobs: tuple[str, ...]
    topics: tuple[str, ...]
    workflows: tuple[str, ...]


def split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


QUALIFIERS = split(
    "spring summer autumn winter older newer local monday tuesday wednesday thursday friday saturday sunday weekend "
    "yearly monthly early northern southern eastern western morning evening noon first second third spare extra shared "
    "regular small large"
)
PLACE_QUALIFIERS = split(
    "north south east west upper lower middle old new main second third public back front inner outer left right"
)
SHAPES = split("table chart list summary calendar map poster timeline ranking matrix diagram spreadsheet leaflet graph")
STATISTICS = split("total average median highest lowest usual typical")
OPERATORS = split("plus minus times over")
CHOICES = split("largest smallest sum mean product range")
MONTHS = split("jan feb mar apr may jun jul aug sep oct nov dec")
SUFFIXES = split("csv json txt xml log yaml")
FOLDERS = split("archive shared drafts backup inbox")
ROWS = split("row shelf section page level gate")
FAULTS = {
    "stop": "stop at the first fault",
    "skip": "pass over whatever fails",
    "retry": "try again when a step fails",
    "report": "tell me about every fault",
}
MARKS = '"\\#@|{}[]&=:;,_'  # characters the notations use, as strings to look for
