"""The machine and the day, as every figure in docs/results.md names them."""

from __future__ import annotations

import os
import platform
from datetime import date

import numpy as np

import nyx
from nyx import devices


def line() -> str:
    """One line: date, processor, cores, system, versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = f"Nyx {nyx.__version__}, Python {platform.python_version()}, NumPy {np.__version__}"
    return f"{date.today()}, {devices.cpu_name()}, {cores} cores, {platform.system()}, {versions}"
