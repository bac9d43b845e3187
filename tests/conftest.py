"""What all tests share: where the table of operations is found, and the Vulkan device or the reason why there is none."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "ops"))
