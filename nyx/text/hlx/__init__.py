"""HLX: a small language for requests, and the corpus made of it.

values.py has the values, notation.py what the notations share, hlxl.py, lcr.py, lct.py and lcb.py one notation each
(write and read; another one is another module and an entry in generator.NOTATIONS). domains.py and words.py have the
words, patterns.py and slots.py what values with places in them are, forms.py, nested.py and pipelines.py the requests,
phrases.py and english.py how a value is said, generator.py the corpus, evaluate.py a model's numbers on it.
"""

from nyx.text.hlx.english import phrasings
from nyx.text.hlx.generator import (
    DEFAULT_CHARS,
    DEFAULT_SEED,
    KINDS,
    NOTATIONS,
    Example,
    Written,
    examples,
    generate,
    write,
)
from nyx.text.hlx.values import Contract, Handle, Value, error, operation, same, sequence

__all__ = [
    "DEFAULT_CHARS", "DEFAULT_SEED", "KINDS", "NOTATIONS", "Contract", "Example", "Handle", "Value", "Written", "error",
    "examples", "generate", "operation", "phrasings", "same", "sequence", "write",
]  # fmt: skip
