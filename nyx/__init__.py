"""Nyx trains small character-level language models on any GPU with a Vulkan driver, or on the CPU."""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which takes a while to import: `nyx` is to hear Ctrl-C before that
if TYPE_CHECKING:
    from typing import Any

    from nyx.configload import load_config
    from nyx.resource_aware_hrm import ResourceAwareHRM
    from nyx.text.prepare import load_corpus
    from nyx.training.session import open_run
    from nyx.training.trainer import CharacterLanguageTrainer

__version__ = "0.1.0"
__all__ = ["CharacterLanguageTrainer", "ResourceAwareHRM", "__version__", "load_config", "load_corpus", "open_run"]

_HOMES = {
    "CharacterLanguageTrainer": "nyx.training.trainer",
    "ResourceAwareHRM": "nyx.resource_aware_hrm",
    "load_config": "nyx.configload",
    "load_corpus": "nyx.text.prepare",
    "open_run": "nyx.training.session",
}


def __getattr__(name: str) -> Any:
    """What a notebook needs, imported when it is first asked for: `import nyx` stays quick and needs no device."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
