"""Runs the Vulkan tests once per software driver and subgroup width: `python tests/drivers.py [PYTEST ARGUMENTS]`.

Before the suite, tests/ops/test_driver.py proves that the width is the one asked for, and that the driver is the one
that NYX_EXPECT_DRIVER names, where it is set. A driver that is not installed is named and skipped; under
NYX_REQUIRE_VULKAN=1 it is a failure. --lavapipe takes lavapipe from an unpacked package (dpkg -x), not from the system.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "drivers"
ICD_FOLDERS = ("/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d")
LAVAPIPE = [str(p) for folder in ICD_FOLDERS for p in sorted(Path(folder).glob("lvp_icd*.json"))]
SWIFTSHADER = ["/usr/lib/chromium/vk_swiftshader_icd.json", *(f"{f}/vk_swiftshader_icd.json" for f in ICD_FOLDERS)]


LEAST = 1500  # cases that must pass on every driver


@dataclass(frozen=True)
class Driver:
    """icds: where its manifest may lie. lanes: its subgroup width."""

    name: str
    icds: list[str]
    lanes: int
    package: str
    env: dict[str, str] = field(default_factory=dict)

    @property
    def icd(self) -> str | None:
        return next((icd for icd in self.icds if Path(icd).exists()), None)

    def environment(self) -> dict[str, str]:
        """Mesa's disk cache ignores the width, so each driver here has one of its own."""
        icd = self.icd or ""
        theirs = ("LP_NATIVE_VECTOR_WIDTH", "VK_ICD", "VK_DRIVER", "VK_ADD_DRIVER")
        env = {k: v for k, v in os.environ.items() if not k.startswith(theirs)}
        env |= {"VK_ICD_FILENAMES": icd, "VK_DRIVER_FILES": icd, "NYX_REQUIRE_VULKAN": "1", "NYX_TEST_DEVICE": "0"}
        env |= {"MESA_SHADER_CACHE_DIR": str(CACHE / self.name), "NYX_EXPECT_LANES": str(self.lanes)}
        return env | {"OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | self.env


def lavapipe(bits: int) -> Driver:
    lanes = bits // 32
    return Driver(f"lavapipe-{lanes}", LAVAPIPE, lanes, "mesa-vulkan-drivers", {"LP_NATIVE_VECTOR_WIDTH": str(bits)})


DRIVERS = [lavapipe(256), lavapipe(128), lavapipe(512), Driver("swiftshader", SWIFTSHADER, 4, "chromium")]


def unpacked(driver: Driver, folder: Path) -> Driver:
    """The same driver out of that folder: its manifest names the library alone, which the linker then finds there."""
    icds = [str(path) for path in sorted(folder.glob("usr/share/vulkan/icd.d/lvp_icd*.json"))]
    libraries = {str(path.parent) for path in folder.glob("usr/lib/**/*.so*")}
    path = os.pathsep.join([*sorted(libraries), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])
    return replace(driver, name=f"{driver.name}-unpacked", icds=icds, env=driver.env | {"LD_LIBRARY_PATH": path})


def _count(what: str, said: str) -> int:
    found = re.findall(rf"(\d+) {what}", said)
    return int(found[-1]) if found else 0


def run(driver: Driver, targets: list[str]) -> tuple[bool, str]:
    """Whether everything passed, and what pytest said."""
    if driver.icd is None:
        required = os.environ.get("NYX_REQUIRE_VULKAN") == "1"
        verdict = "FAILED" if required else "skipped"
        return not required, f"{verdict}: {driver.name} is not installed (Debian package {driver.package})"
    start, said = time.monotonic(), []
    for step in (["tests/ops/test_driver.py"], targets):
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *step]
        done = subprocess.run(command, cwd=ROOT, env=driver.environment(), capture_output=True, text=True)
        said.append((done.stdout + done.stderr).strip())
        skipped, cases = _count("skipped", said[-1]), _count("passed", said[-1])
        if not done.returncode and step is targets and (skipped or cases < LEAST):
            return False, f"{said[-1]}\nFAILED: {skipped} skipped, and {cases} cases where {LEAST} are due"
        if done.returncode:
            return False, "\n".join([*said, f"FAILED: pytest ended with {done.returncode}"])
    return True, f"{said[-1]}\npassed in {time.monotonic() - start:.0f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", action="append", choices=[d.name for d in DRIVERS], help="only these")
    parser.add_argument("--tests", action="append", help="what to run instead of tests/ops/test_parity.py")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="drivers at a time")
    parser.add_argument("--lavapipe", type=Path, metavar="FOLDER", help="an unpacked mesa-vulkan-drivers")
    options, arguments = parser.parse_known_args()
    chosen = [d for d in DRIVERS if not options.driver or d.name in options.driver]
    if options.lavapipe:
        chosen = [unpacked(d, options.lavapipe.resolve()) for d in chosen if d.icds is LAVAPIPE]
    targets = [*(options.tests or ["tests/ops/test_parity.py"]), *arguments]
    good = True
    with ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda d: run(d, targets), chosen)
        for driver, (passed, said) in zip(chosen, results, strict=True):
            print(f"== {driver.name}\n{said}\n", flush=True)
            good &= passed
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
