#!/bin/sh
# Sets up everything that `nyx` needs, into .venv: system packages (apt, where something is missing and we may), a virtual
# environment, the native core and the shaders. `setup.sh test` adds what the tests need.
# Without root it names the packages that are missing and goes on without the GPU.
set -eu
cd "$(dirname "$0")/.."
want_tests=${1:-}
venv=.venv

say() { printf 'setup: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

# The first Python that is new enough: $PYTHON alone where it is given.
find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if have "$candidate" && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

python_has() { [ -n "$python" ] && "$python" -c "$1" >/dev/null 2>&1; }

# Debian's names of the packages whose content is not here.
missing_packages() {
    python=$(find_python)
    [ -n "$python" ] || echo python3
    [ -x $venv/bin/python ] || python_has 'import ensurepip, venv' || echo python3-venv
    python_has 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' || echo python3-dev
    have g++ || have c++ || echo g++
    have cmake || echo cmake
    have ninja || echo ninja-build
    have glslangValidator || echo glslang-tools
    have spirv-val || echo spirv-tools
    find /usr/include /usr/local/include -path '*/vulkan/vulkan.hpp' 2>/dev/null | grep -q . || echo libvulkan-dev
    find /usr/include /usr/local/include -path '*/fmt/format.h' 2>/dev/null | grep -q . || echo libfmt-dev
    find /usr/lib /lib /usr/local/lib -name 'libvulkan.so.1' 2>/dev/null | grep -q . || echo libvulkan1
    if [ "$want_tests" = test ]; then
        find /usr/share/vulkan/icd.d /etc/vulkan/icd.d -name 'lvp_icd*.json' 2>/dev/null | grep -q . || echo mesa-vulkan-drivers
    fi
}

install_packages() {
    if [ "$(id -u)" = 0 ]; then
        as_root=''
    elif have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        as_root=sudo
    else
        return 1
    fi
    have apt-get || return 1
    say "installing $*"
    $as_root env DEBIAN_FRONTEND=noninteractive sh -c \
        'apt-get -qq update && apt-get -qq install -y --no-install-recommends "$@" >/dev/null' apt "$@" >&2
}

missing=$(missing_packages | tr '\n' ' ')
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086
    install_packages $missing || say "could not install ${missing% }: going on without. With root: apt install ${missing% }; then \`make setup\`"
fi

python=$(find_python)
if [ -z "$python" ]; then
    say "Nyx needs Python 3.11 or newer (${PYTHON:-python3} is missing or older); PYTHON=/path/to/python make setup names one"
    exit 1
fi
if [ ! -x $venv/bin/python ]; then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        say "$python cannot make virtual environments: apt install python3-venv, then \`make setup\`"
        exit 1
    fi
    "$python" -m venv $venv
fi

build_tools='scikit-build-core>=0.11 pybind11>=2.13'
have cmake || build_tools="$build_tools cmake"
have ninja || build_tools="$build_tools ninja"
extras=''
[ "$want_tests" = test ] && extras='[test]'
users_path=$PATH
PATH="$PWD/$venv/bin:$PATH"
export PATH
# shellcheck disable=SC2086
$venv/bin/python -m pip --disable-pip-version-check install -q $build_tools
# The distribution was once called nyx, and what is left of that would own the same files.
if ls -d $venv/lib/python3*/site-packages/nyx-[0-9]*.dist-info >/dev/null 2>&1; then
    $venv/bin/python -m pip --disable-pip-version-check uninstall -q -y nyx
fi
$venv/bin/python -m pip --disable-pip-version-check install -q --no-build-isolation \
    --config-settings=cmake.define.NYX_VULKAN="${NYX_VULKAN:-AUTO}" -e ".$extras"

PATH=$users_path $venv/bin/python - >&2 <<'END'
from nyx import devices, doctor

faults, remarks = doctor.namesakes()
for line in [*faults, *remarks]:
    print("setup:", line)
reason = devices.vulkan_error()
if reason is None:
    print("setup: done; `--device auto` takes", devices.choose("auto"))
else:
    print(f"setup: done, for the CPU alone ({devices.cpu_name()}):", reason)
END
