"""HLX: a small language for requests, and the corpus made of it.

values.py has the values, notation.py what the notations share, lcr.py and hlxl.py one notation each (write and read;
another one is another module and a line in generator.NOTATIONS), words.py and forms.py and pipelines.py the requests,
generator.py the corpus.
"""

from nyx.text.hlx.generator import DEFAULT_CHARS, DEFAULT_SEED, NOTATIONS, Example, Written, examples, generate, write
from nyx.text.hlx.values import Contract, Handle, Value, operation, sequence

__all__ = [
    "DEFAULT_CHARS", "DEFAULT_SEED", "NOTATIONS", "Contract", "Example", "Handle", "Value", "Written", "examples",
    "generate", "operation", "sequence", "write",
]  # fmt: skip
