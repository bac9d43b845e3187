"""Nyx trains small character-level language models on any GPU with a Vulkan driver, or on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nyx.resource_aware_hrm import ResourceAwareHRM
    from nyx.training.trainer import CharacterLanguageTrainer

__version__ = "0.1.0"
__all__ = ["CharacterLanguageTrainer", "ResourceAwareHRM", "__version__"]

_HOMES = {"ResourceAwareHRM": "nyx.resource_aware_hrm", "CharacterLanguageTrainer": "nyx.training.trainer"}


def __getattr__(name: str) -> Any:
    """The two classes, imported when they are first asked for: `import nyx` stays quick and needs no device."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
