"""Dispatch sizes that several operations share. Quads are groups of four neighbouring elements, read as one vec4."""

from __future__ import annotations

from nyx.ops import Pass, Traits, ceil_div, groups_of


def lanes(n: int, traits: Traits) -> tuple[int, int, int]:
    """Workgroups of 64 for a shader that shares n elements out by quads (shaders/include/lanes.glsl).

    One quad a lane on hardware, three on software drivers: there a workgroup costs as much as a few quads, and lanes
    run one after the other, so that with many quads each the next lane finds nothing in the cache.
    """
    return groups_of(ceil_div(n, 4), 192 if traits.software else 64, traits)


# lavapipe ends all loops of an invocation, taken together, after 65535 turns without a word.
TURNS = 1 << 14


def by_rows(rows: int, cols: int, push: dict[str, int | float], traits: Traits) -> Pass:
    """A pass over rows: a workgroup per row on hardware, a lane per row (variant `lane`) on software drivers, where a
    barrier costs more than it saves."""
    if traits.software and cols <= TURNS:
        return Pass(groups_of(rows, 16, traits), push, "lane")
    return Pass(groups_of(rows, 1, traits), push)


def strips(rows: int, traits: Traits) -> int:
    """Into how many strips of rows a sum over all rows is cut; each strip gives one partial sum."""
    most = max(8, ceil_div(rows, TURNS // 2)) if traits.software else 128
    return min(most, ceil_div(rows, 32))
