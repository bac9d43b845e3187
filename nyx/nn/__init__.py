"""Models, each written once over the operations."""

from __future__ import annotations

from nyx.config import ModelConfig, TransformerConfig
from nyx.nn.hrm import Hrm
from nyx.nn.hrm_act import ActHrm
from nyx.nn.model import LanguageModel
from nyx.nn.transformer import Transformer


def build(config: ModelConfig, vocab_size: int) -> LanguageModel:
    """The model that a configuration describes, for V = vocab_size symbols."""
    if isinstance(config, TransformerConfig):
        return Transformer(config, vocab_size)
    return ActHrm(config, vocab_size) if config.variant == "act" else Hrm(config, vocab_size)
