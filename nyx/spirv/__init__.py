"""The compiled shaders: NAME.spv files beside this module, made from shaders/NAME.comp when the package is built."""

from __future__ import annotations

from pathlib import Path

from nyx.errors import DeviceError

_MAGIC = b"\x03\x02\x23\x07"
_HERE = Path(__file__).parent


def names() -> list[str]:
    """The names `load` knows, sorted: "NAME", or "NAME.VARIANT"."""
    return sorted(path.name[: -len(".spv")] for path in _HERE.glob("*.spv"))


def load(name: str) -> bytes:
    """The SPIR-V module `name` ("linear", "linear.tile"); DeviceError when this build does not have it."""
    path = _HERE / f"{name}.spv"
    try:
        module = path.read_bytes()
    except OSError:
        raise DeviceError(
            f"the shader {name} is missing in this build ({len(names())} are there); run `make setup` again"
        ) from None
    if module[:4] != _MAGIC or len(module) % 4:
        raise DeviceError(f"{path} is no SPIR-V module; run `make setup` again")
    return module
