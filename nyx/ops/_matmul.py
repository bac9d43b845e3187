"""How linear and linear_backward cut a matrix product into workgroups; the kernel is shaders/include/matmul.glsl."""

from __future__ import annotations

from nyx.ops import Traits, ceil_div
from nyx.tensor import Tensor

# Rows and columns of the product that one workgroup makes, by variant. `vec` and `scalar`: every lane of a group of 8
# makes an 8x8 tile by itself (software drivers); `shared`: 256 invocations make one tile through shared memory (GPUs).
TILES = {"vec": (8, 64), "scalar": (8, 64), "shared": (64, 64), "shared_vec": (64, 64)}


def aligned(*matrices: tuple[Tensor, int]) -> bool:
    """Whether each tensor can be read in fours along rows of the given length."""
    return all(t.offset % 4 == 0 and length % 4 == 0 for t, length in matrices)


def _kind(traits: Traits, in_fours: bool) -> str:
    if traits.software:
        return "vec" if in_fours else "scalar"
    return "shared_vec" if in_fours else "shared"


def product_pass(
    rows: int, columns: int, traits: Traits, in_fours: bool, splits: int = 1
) -> tuple[str, tuple[int, int, int], int]:
    """The variant, the workgroups, and how many tiles lie side by side, for a product of rows x columns."""
    variant = _kind(traits, in_fours)
    tile_rows, tile_columns = TILES[variant]
    across = ceil_div(columns, tile_columns)
    count = across * ceil_div(rows, tile_rows)
    x = min(count, traits.max_groups)
    return variant, (x, ceil_div(count, x), splits), across


def splits_for(rows: int, columns: int, depth: int, traits: Traits) -> int:
    """Into how many strips the sum over `depth` is cut so that a small product still fills the device."""
    tile_rows, tile_columns = TILES[_kind(traits, True)]
    count = ceil_div(columns, tile_columns) * ceil_div(rows, tile_rows)
    wanted = ceil_div(32 if traits.software else 512, count)
    room = max(1, (1 << 22) // (rows * columns))
    return max(1, min(wanted, room, depth // 128, 256))
