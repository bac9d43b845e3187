"""How shaders are compiled: variants, includes, and that any message of the compiler ends the build."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nyx import spirv
from nyx.errors import DeviceError

from .conftest import need

ROOT = Path(__file__).parents[2]
GOOD = """#version 450
#extension GL_GOOGLE_include_directive : require
#include "shared.glsl"
%s
layout(local_size_x = SIZE) in;
layout(std430, binding = 0) buffer X { float x[]; };
void main() { x[gl_GlobalInvocationID.x] = shared_value(); }
"""


@pytest.fixture
def build(tmp_path: Path):
    """Configures and builds the project's shader rules alone, over a folder of shaders; returns CMake's last run."""
    cmake, glslang = need("cmake"), need("glslangValidator")
    (tmp_path / "shaders/include").mkdir(parents=True)
    (tmp_path / "shaders/include/shared.glsl").write_text("float shared_value() { return 1.5; }\n")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(shaders LANGUAGES NONE)\n"
        f"set(GLSLANG {glslang})\nset(package_dir ${{CMAKE_CURRENT_SOURCE_DIR}}/nyx)\nset(NYX_INPLACE ON)\n"
        "find_program(SPIRV_VAL spirv-val)\ninclude(cmake/Shaders.cmake)\n"
    )
    (tmp_path / "cmake").symlink_to(ROOT / "cmake")

    def run(**shaders: str) -> subprocess.CompletedProcess[str]:
        for name, source in shaders.items():
            (tmp_path / f"shaders/{name}.comp").write_text(source)
        first = [cmake, "-S", str(tmp_path), "-B", str(tmp_path / "build")]
        result = subprocess.run(first, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        second = [cmake, "--build", str(tmp_path / "build")]
        return subprocess.run(second, capture_output=True, text=True, check=False)

    run.folder = tmp_path / "nyx/spirv"  # type: ignore[attr-defined]
    return run


def made(build) -> list[str]:
    return sorted(path.name for path in build.folder.iterdir())


def test_variants_and_stale_files(build) -> None:
    lines = "// variant: -DSIZE=8\n// variant tile: -DSIZE=16 -DTILE\n// variant vec_4 : -DSIZE=4\n"
    result = build(scale=GOOD % lines, plain=GOOD.replace("SIZE", "64") % "// a variant is not here")
    assert result.returncode == 0, result.stdout + result.stderr
    assert made(build) == ["plain.spv", "scale.spv", "scale.tile.spv", "scale.vec_4.spv"]
    sizes = {name: (build.folder / name).read_bytes() for name in made(build)}
    assert len({sizes[name] for name in sizes}) == 4
    assert all(module[:4] == b"\x03\x02\x23\x07" for module in sizes.values())
    result = build(scale=GOOD.replace("SIZE", "8") % "// variant tile: -DTILE", other=GOOD.replace("SIZE", "8") % "")
    assert result.returncode == 0, result.stdout + result.stderr
    assert made(build) == ["other.spv", "plain.spv", "scale.tile.spv"]


def test_a_changed_include_is_compiled_again(build) -> None:
    build(plain=GOOD.replace("SIZE", "64") % "")
    before = (build.folder / "plain.spv").read_bytes()
    shared = build.folder.parents[1] / "shaders/include/shared.glsl"
    shared.write_text("float shared_value() { return 2.5; }\n")
    build()
    assert (build.folder / "plain.spv").read_bytes() != before


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (GOOD.replace("SIZE", "64") % "#error wrong", "wrong"),
        (GOOD.replace("SIZE", "64") % "uniform float loose;", "non-opaque"),
        (GOOD.replace("SIZE", "64").replace("shared.glsl", "missing.glsl") % "", "missing.glsl"),
        # a warning, and nothing else
        (GOOD.replace("SIZE", "64") % "#extension GL_EXT_no_such_thing : warn", "GL_EXT_no_such_thing"),
    ],
)
def test_any_message_of_the_compiler_ends_the_build(build, broken: str, says: str) -> None:
    result = build(broken=broken)
    assert result.returncode != 0
    assert says in result.stdout + result.stderr
    assert not (build.folder / "broken.spv").exists()


def test_load_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(spirv, "_HERE", tmp_path)
    module = b"\x03\x02\x23\x07" + b"\0" * 16
    (tmp_path / "add.tile.spv").write_bytes(module)
    (tmp_path / "bad.spv").write_bytes(b"\0\0\0\0")
    assert spirv.load("add.tile") == module
    assert spirv.names() == ["add.tile", "bad"]
    for name in ("add", "bad"):
        with pytest.raises(DeviceError, match=name):
            spirv.load(name)
