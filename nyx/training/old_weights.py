"""A training that starts from the weights of another one: what must agree, and what is new."""

from __future__ import annotations

from nyx.config import Config
from nyx.errors import CheckpointError, ConfigError
from nyx.files import show_path
from nyx.nn import build
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.corpus import Text
from nyx.text.vocabulary import Vocabulary
from nyx.trained import Trained, is_fixed
from nyx.training.changes import changes_of_model, say_changes
from nyx.training.monitor import Monitor


def compare(parent: Trained, config: Config, monitor: Monitor) -> None:
    """Says where the old weights come from another architecture. Raises CheckpointError where they do not fit."""
    before, vocabulary = parent.config, ("model.vocabulary", "model.vocab_size")
    changes = [change for change in changes_of_model(before, config) if change[0] not in vocabulary]
    old, new = ({item.name: item.tensor.shape for item in build(c.model, 1).parameters} for c in (before, config))
    if old != new:
        text = "; ".join(f"{key} is {old} there and {new} here" for key, old, new in changes)
        raise CheckpointError(
            f"{show_path(parent.path)} has another architecture: {text}; "
            "give the configuration it was trained with, or none to take the model from there, or leave out --init-from"
        )
    say_changes(changes, monitor)


def vocabulary_of(parent: Trained, config: Config, text: Text) -> Vocabulary:
    """The vocabulary that comes with old weights, and what the text has beyond it unless data.unknown is skip; what
    the configuration says of it must agree."""
    vocabulary, model = parent.vocabulary, config.model
    if model.vocabulary != "corpus" and not is_fixed(vocabulary, model.vocabulary):
        raise ConfigError(f"model.vocabulary is {model.vocabulary}, and the old weights have another one")
    if config.data.normalization != vocabulary.normalization:
        raise ConfigError(f"data.normalization must be {vocabulary.normalization}, as for the old weights")
    if (unknown := config.data.unknown) != "skip":
        most = config.data.max_characters
        vocabulary = vocabulary.extended(text, model.vocab_size, max_characters=most, unknown=unknown)
    if model.vocab_size not in (None, len(vocabulary)):
        raise ConfigError(f"model.vocab_size is {model.vocab_size}, and the old weights have {len(vocabulary)} symbols")
    return vocabulary


def take_over(hrm: ResourceAwareHRM, parent: Trained, seed: int, monitor: Monitor) -> None:
    """Loads the weights of an older model; symbols that it had not get rows of a new one."""
    tensors, new, old = parent.weights(), hrm.vocabulary, parent.vocabulary
    if new != old:
        rows, start = new.rows_from(old), hrm.model.parameters.initial(seed)
        kept = rows >= 0
        for name in (name for name in hrm.model.by_symbol if name in start and name in tensors):
            start[name][kept] = tensors[name][rows[kept]]
            tensors[name] = start[name]
        names = ", ".join(map(repr, new.characters[len(old.characters) :][:20]))
        more = len(new.characters) - len(old.characters)
        monitor.line(f"{more} characters are new to the old weights and start from nothing: {names}")
    hrm.load_weights(tensors)
