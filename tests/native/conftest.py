"""What the tests of the native core share: GLSL compiled on the spot, and child processes that may die."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ADD_ONE = """#version 450
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { uint x[]; };
layout(std430, binding = 1) writeonly buffer Y { uint y[]; };
layout(push_constant) uniform Push { uint n, step; };
void main() {
    uint i = gl_GlobalInvocationID.x;
    if (i < n) y[i] = x[i] + step;
}
"""

# A chain that no compiler folds; how long it takes is a matter of how many workgroups there are. One invocation stays
# below 65536 rounds: Mesa's software driver ends all of its loops there.
SLOW = """#version 450
layout(local_size_x = 1) in;
layout(std430, binding = 0) buffer X { uint x[]; };
void main() {
    uint v = x[0];
    for (uint i = 0; i < 60000; ++i) v = (v ^ (v << 13)) * 1664525u + i;
    x[0] = v;
}
"""

Compile = Callable[[str], bytes]

N = 1000


def words(*values: int) -> bytes:
    return struct.pack(f"{len(values)}I", *values)


def groups(n: int = N) -> tuple[int, int, int]:
    return ((n + 63) // 64, 1, 1)


def host(device: Any, values: np.ndarray | None = None, kind: str = "host") -> Any:
    buffer = device.buffer(N if values is None else values.size, kind)
    if values is not None:
        buffer.write(0, values)
    return buffer


def content(buffer: Any) -> np.ndarray:
    values = np.empty(buffer.words, np.uint32)
    buffer.read(0, values)
    return values


def need(tool: str) -> str:
    """The path of a tool; without it the test is skipped, and fails under NYX_REQUIRE_VULKAN=1."""
    path = shutil.which(tool)
    if path is None:
        if os.environ.get("NYX_REQUIRE_VULKAN") == "1":
            pytest.fail(f"NYX_REQUIRE_VULKAN=1, but {tool} is missing")
        pytest.skip(f"{tool} is missing")
    return path


@pytest.fixture(scope="session")
def glsl(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """GLSL source to SPIR-V."""
    compiler = need("glslangValidator")
    folder = tmp_path_factory.mktemp("glsl")
    made: dict[str, bytes] = {}

    def compiled(source: str) -> bytes:
        if source not in made:
            path, out = folder / "source.comp", folder / "out.spv"
            path.write_text(source)
            command = [compiler, "-V", "--target-env", "vulkan1.1", "-o", str(out), str(path)]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            assert result.returncode == 0, result.stdout
            made[source] = out.read_bytes()
        return made[source]

    return compiled


@pytest.fixture
def add(vulkan_device: Any, glsl: Compile) -> Callable[[Any, Any], Any]:
    """A kernel y = x + step on two buffers."""
    return lambda x, y: vulkan_device.kernel(glsl(ADD_ONE), [x, y], 2)


@pytest.fixture
def child(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python source in a process of its own, in an empty folder, with the given environment on top of this one."""

    def run(source: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        return subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", source, *arguments],
            env={**os.environ, "PYTHONPATH": path, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
