"""The driver under test is the one that was asked for, and has the subgroup width that was: a shader says that.

NYX_EXPECT_DRIVER: a part of the driver's name and version, for a run that chose between several of its kind.
NYX_EXPECT_LANES: the width that tests/drivers.py asked for. Mesa's disk cache hands back code of another width where
two widths share it, so this runs before the suite, on the same cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LANES = """
#version 450
#extension GL_KHR_shader_subgroup_basic : require
layout(local_size_x = 64) in;
layout(std430, binding = 0) writeonly buffer Y { uint y[]; };
void main() {
    y[2 * gl_LocalInvocationID.x] = gl_SubgroupSize;
    y[2 * gl_LocalInvocationID.x + 1] = gl_SubgroupInvocationID;
}
"""


@pytest.fixture
def lanes_spirv(tmp_path: Path) -> bytes:
    compiler = shutil.which("glslangValidator")
    if compiler is None:
        pytest.skip("glslangValidator is not installed")
    (tmp_path / "lanes.comp").write_text(LANES.lstrip())
    command = [compiler, "-V", "--target-env", "vulkan1.1", "-o", "lanes.spv", "lanes.comp"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return (tmp_path / "lanes.spv").read_bytes()


def test_driver_and_subgroup_width(vulkan_device: Any, lanes_spirv: bytes) -> None:
    assert os.environ.get("NYX_EXPECT_DRIVER", "") in vulkan_device.info["driver"]
    buffer = vulkan_device.buffer(128, "host")
    buffer.write(0, np.zeros(128, np.uint32))
    recording = vulkan_device.recording()
    recording.dispatch(vulkan_device.kernel(lanes_spirv, [buffer], 0), (1, 1, 1), b"")
    recording.finish()
    recording.submit()
    recording.wait(60.0)
    said = np.empty((64, 2), np.uint32)
    buffer.read(0, said)
    widths, lanes = said[:, 0], said[:, 1]
    # Lanes of one subgroup are numbered apart, so the largest number shows the width that the code was made for.
    assert set(widths) == {vulkan_device.info["subgroup"]["size"]} == {int(lanes.max()) + 1}
    expected = os.environ.get("NYX_EXPECT_LANES")
    assert expected is None or int(widths[0]) == int(expected), f"{expected} lanes were asked for, {widths[0]} came"
