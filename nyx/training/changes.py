"""What differs between the configuration that a training goes on from and the one it goes on with."""

from __future__ import annotations

from typing import Any

from nyx.config import Config, differences, is_architecture
from nyx.errors import ConfigError
from nyx.training.monitor import Monitor


def announce(before: Config, after: Config, monitor: Monitor) -> None:
    """Says what a resume changes. Raises ConfigError for what it must not."""
    if refused := changes_of_model(before, after):
        text = "; ".join(f"{key} is {old} in the checkpoint and {new} here" for key, old, new in refused)
        raise ConfigError(f"a resume keeps the architecture: {text}; start a new training for that")
    say_changes(differences(before, after), monitor)


def changes_of_model(before: Config, after: Config) -> list[tuple[str, Any, Any]]:
    """What differs in the architecture; of another kind of model only the kind, from which the rest follows."""
    changes = [c for c in differences(before, after) if is_architecture(c[0])]
    return [c for c in changes if c[0] == "model.kind"] or changes


def say_changes(changes: list[tuple[str, Any, Any]], monitor: Monitor) -> None:
    """A line for each."""
    for key, old, new in changes:
        what = key if key in ("curriculum", "phases") else f"{key} from {old} to {new}"
        monitor.line(f"changed: {what}")


def asks_for_more(before: Config, after: Config) -> bool:
    """Whether a finished training has anything left to do."""
    keys = ("max_steps", "epochs", "early_stop_patience")
    return (before.curriculum, before.phases) != (after.curriculum, after.phases) or any(
        getattr(before.train, key) != getattr(after.train, key) for key in keys
    )
