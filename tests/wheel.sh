#!/usr/bin/env bash
# Proves what `make wheel` builds: what is in it and what it needs, that it trains where there is no compiler, and that it
# works with the lowest versions of what it depends on. PYTHON= names the Python, for which alone it is built.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
export PYTHON=${PYTHON:-python3} PIP_DISABLE_PIP_VERSION_CHECK=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export NYX_CACHE_DIR=$folder/cache

fail() { echo "wheel.sh: $1" >&2; exit 1; }
say() { printf 'wheel.sh: %s (%d s)\n' "$1" "$SECONDS"; }

[ "$(id -u)" != 0 ] || unshare -n true || fail "the network cannot be taken away, so a build without it is not proved"
make wheel
sdist=$(ls "$root"/dist/nyx_lm-*.tar.gz)
wheel=$(ls "$root"/dist/nyx_lm-*.whl)
say "built"

# What is inside.
mkdir "$folder"/{wheel,sdist,tools,empty}
"$PYTHON" -m zipfile -e "$wheel" "$folder/wheel"
tar -xzf "$sdist" --strip-components=1 -C "$folder/sdist"
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' nyx/__init__.py)
info=$folder/wheel/nyx_lm-$version.dist-info
for file in "$info"/licenses/{LICENSE,NOTICE} "$folder"/wheel/nyx/{py.typed,_core.pyi,configs/default.yaml} \
    "$folder"/sdist/{LICENSE,NOTICE,PKG-INFO,third_party/kp-0.9.0.tar.gz,tests/smoke.sh,docs/packaging.md}; do
    [ -s "$file" ] || [ "${file##*/}" = py.typed ] && [ -e "$file" ] || fail "${file#"$folder/"} is missing"
done
for line in "Name: nyx-lm" "Version: $version" "License-Expression: Apache-2.0" "License-File: NOTICE" "Author: Nyx contributors"; do
    grep -qx "$line" "$info/METADATA" || fail "the metadata do not say \"$line\""
done
for author in "The Institute for Ethical AI" "Wenzel Jakob" "The Khronos Group" "Victor Zverovich" "Free Software Foundation"; do
    grep -q "Copyright.*$author" "$info/licenses/NOTICE" || fail "NOTICE does not name $author"
done
grep -qx "nyx = nyx.__main__:main" "$info/entry_points.txt" || fail "the wheel has no command nyx"
tar -tzf "$folder/sdist/third_party/kp-0.9.0.tar.gz" kp-0.9.0/LICENSE >/dev/null || fail "Kompute comes without its licence"
for shader in shaders/*.comp; do
    stem=$(basename "$shader" .comp)
    ls "$folder/wheel/nyx/spirv/$stem".*spv >/dev/null 2>&1 || fail "there is no SPIR-V of $shader in the wheel"
done
! tar -tzf "$sdist" | grep -E '\.(so|spv|whl|pyc)$|/\.ci/|/build/|/dist/|/\.venv/' || fail "what a build made is in the source distribution"
! grep -rqF "$root" "$folder/wheel" || fail "a path of this machine is in the wheel"

# What it needs of a system: glibc alone, of 2.34 at most, and that tag.
core=$(ls "$folder"/wheel/nyx/_core.*.so)
needed=$(readelf -d "$core" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | tr '\n' ' ')
for library in $needed; do
    case $library in
        libc.so.6 | libm.so.6 | libpthread.so.0 | libdl.so.2 | ld-linux*) ;;
        *) fail "the wheel needs $library" ;;
    esac
done
newest=$(objdump -T "$core" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
[ "$(printf '%s\n' "$newest" GLIBC_2.34 | sort -V | tail -n 1)" = GLIBC_2.34 ] || fail "the wheel needs $newest"
case $wheel in
    *-manylinux_2_[0-9]_* | *-manylinux_2_[12][0-9]_* | *-manylinux_2_3[0-4]_*) ;;
    *) fail "the tag of ${wheel##*/} is above manylinux_2_34" ;;
esac
[ "$(nm -D --defined-only "$core" | awk '{ print $3 }')" = PyInit__core ] || fail "the core shows more than its entry point"
say "the core needs $needed and $newest"
ls -l "$wheel" "$sdist" | awk '{ print $5 " bytes  " $9 }'

# A clean environment, without a compiler on PATH: pip installs, the program trains, stops, resumes and generates.
for tool in bash env awk cat grep ls mktemp mkdir realpath rm sed seq sleep tail tr uname; do
    ln -s "$(command -v $tool)" "$folder/tools/$tool"
done
"$PYTHON" -m venv "$folder/clean"
clean() { (cd "$folder/empty" && env PATH="$folder/tools" CC=false CXX=false "$@"); }
clean "$folder/clean/bin/python" -m pip install -q --only-binary :all: "$wheel"
clean "$folder/clean/bin/python" -m pip check
for command in "$folder/clean/bin/nyx" "$folder/clean/bin/python -m nyx"; do
    # shellcheck disable=SC2086
    [ "$(clean $command --version)" = "nyx, version $version" ] || fail "$command --version does not say $version"
done
say "installed: $(du -sm --exclude=pip --exclude='pip-*' --exclude='setuptools*' "$folder"/clean/lib/python*/site-packages | cut -f 1) MB with all that it depends on"
clean "$root/tests/smoke.sh" "$folder/clean/bin/nyx" cpu 2000 | tail -n 4
clean "$folder/clean/bin/nyx" corpus hlx --out text.txt --size 60000
clean "$folder/clean/bin/nyx" train text.txt --config smoke --device cpu 2>"$folder/train.txt" || fail "$(cat "$folder/train.txt")"
[ -s "$folder/empty/models/hrm.ckpt" ] || fail "no checkpoint of a text of one's own"
if [ "${NYX_REQUIRE_VULKAN-}" = 1 ]; then
    clean "$root/tests/smoke.sh" "$folder/clean/bin/nyx" vulkan | tail -n 4
    clean "$folder/clean/bin/nyx" doctor
fi
say "trained from the wheel"

# The lowest versions that the metadata promise, with the tests of the command line and of files.
lowest=$(sed -n 's/^Requires-Dist: \([^;]*\)>=\([^;]*\)$/\1==\2/p' "$info/METADATA")
[ "$(wc -w <<<"$lowest")" = "$(grep -c '^Requires-Dist: [^;]*$' "$info/METADATA")" ] || fail "a dependency has no lower bound"
"$PYTHON" -m venv "$folder/lowest"
# shellcheck disable=SC2086
"$folder/lowest/bin/python" -m pip install -q --only-binary :all: "$wheel" $lowest pytest hypothesis safetensors
"$folder/lowest/bin/python" -m pip check
"$folder/lowest/bin/python" -m pip list --format=freeze | grep -iE "^($(sed 's/==.*//' <<<"$lowest" | paste -sd '|'))=" | paste -sd ' '
rm -r "$folder/sdist/nyx" # so that the installed one is tested
(cd "$folder/sdist" && "$folder/lowest/bin/python" -m pytest -q -x tests/cli tests/files)
say "done"
