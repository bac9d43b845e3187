"""Models, each written once over the operations."""

from __future__ import annotations

from nyx.config import ModelConfig, TransformerConfig
from nyx.nn.hrm import Hrm
from nyx.nn.model import LanguageModel
from nyx.nn.transformer import Transformer


def build(config: ModelConfig, vocab_size: int) -> LanguageModel:
    """The model that a configuration describes, for V = vocab_size symbols."""
    return Transformer(config, vocab_size) if isinstance(config, TransformerConfig) else Hrm(config, vocab_size)
