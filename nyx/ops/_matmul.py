"""How linear and linear_backward cut a matrix product into workgroups; the kernels are shaders/include/product_*.glsl.

The variants: `lane` for software drivers, with `lane_odd` and `lane_scalar` where not every row can be read in fours;
`group` for GPUs, with `group_large` for products that fill a large GPU with larger tiles.
"""

from __future__ import annotations

from nyx.ops import Traits, ceil_div
from nyx.ops._launch import TURNS
from nyx.tensor import Tensor

# Rows and columns of the product that one workgroup makes.
LANE, GROUP, GROUP_LARGE = (16, 64), (64, 64), (128, 128)
LARGE = 64  # from as many large tiles on
FILL_SOFTWARE, FILL = 16, 512  # workgroups that fill a device


def fours(*matrices: tuple[Tensor | None, int]) -> bool:
    """Whether each tensor (where it is there) can be read in fours along rows of the given length."""
    return all(t is None or (t.offset % 4 == 0 and length % 4 == 0) for t, length in matrices)


def _tiles(rows: int, columns: int, tile: tuple[int, int]) -> int:
    return ceil_div(rows, tile[0]) * ceil_div(columns, tile[1])


def product_pass(
    rows: int, columns: int, traits: Traits, k_fours: bool, n_fours: bool, strips: int = 1
) -> tuple[str, tuple[int, int, int], int]:
    """The variant, the workgroups, and how many tiles lie side by side, for a product of rows x columns."""
    if traits.software:
        variant, tile = "lane" if k_fours and n_fours else "lane_odd" if k_fours else "lane_scalar", LANE
    elif _tiles(rows, columns, GROUP_LARGE) * strips >= LARGE:
        variant, tile = "group_large", GROUP_LARGE
    else:
        variant, tile = "group", GROUP
    count = _tiles(rows, columns, tile)
    x = min(count, traits.max_groups)
    return variant, (x, ceil_div(count, x), strips), ceil_div(columns, tile[1])


def strips_of(rows: int, columns: int, depth: int, traits: Traits) -> tuple[int, int]:
    """Cuts the sum over `depth` so that a small product still fills the device: depths in a strip, and strips.

    Strips are multiples of 16 and at least 128 long, and their partial products take at most 16 MiB or as much as C.
    """
    fill, tile = (FILL_SOFTWARE, LANE) if traits.software else (FILL, GROUP)
    wanted = fill // _tiles(rows, columns, tile)
    room = (1 << 22) // (rows * columns)
    strips = max(1, min(wanted, room, depth // 128, 256))
    if traits.software:
        strips = max(strips, ceil_div(depth, TURNS))
    strip = ceil_div(ceil_div(depth, strips), 16) * 16
    return strip, ceil_div(depth, strip)
