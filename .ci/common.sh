# Sourced by the scripts here, which run in the checkout's root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
part=''

# `section NAME` ends the part before it and starts another, `section` alone only ends it. Each becomes a line of
# $CI_TIMES: seconds, passed or FAILED, name.
section() {
    end_part passed
    part=${1-} since=$SECONDS
    [ -z "$part" ] || printf '\n== %s\n' "$part"
}

end_part() { [ -z "$part" ] || printf '%d\t%s\t%s\n' $((SECONDS - since)) "$1" "$part" >>"$CI_TIMES"; }

trap 'if [ $? = 0 ]; then end_part passed; else end_part FAILED; fi' EXIT

fail() {
    echo "${0##*/}: $1" >&2
    exit 1
}

# Where this machine's apt has an archive of Debian from, by its label: "Debian" or "Debian-Security".
site() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Label: $1" | sort -u | sed -n 1p
}
