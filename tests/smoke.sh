#!/usr/bin/env bash
# Trains `smoke` on the software Vulkan driver, interrupts it half way, resumes it, and generates twice: tests/smoke.sh NYX
set -euo pipefail
nyx=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() { echo "smoke: $1" >&2; exit 1; }

# A shell ignores SIGINT in what it starts in the background, and a training leaves an ignored signal ignored.
env --default-signal=INT "$nyx" train --config smoke.yaml --device vulkan --set train.log_every=1 2>train.txt &
pid=$!
for _ in $(seq 600); do
    grep -q '^step 30/' train.txt && break
    kill -0 $pid 2>/dev/null || break
    sleep 0.1
done
kill -INT $pid 2>/dev/null || fail "the training ended before it could be stopped: $(cat train.txt)"
code=0
wait $pid || code=$?
[ $code = 130 ] || fail "exit code $code after Ctrl-C, not 130: $(cat train.txt)"
grep -q 'nyx resume models/hrm.ckpt' train.txt || fail "no word on how to resume: $(cat train.txt)"

"$nyx" resume models/hrm.ckpt --device vulkan 2>resume.txt || fail "resume failed: $(cat resume.txt)"
grep '^step [0-9]*/[0-9]*  validation' train.txt resume.txt
one=$("$nyx" generate models/hrm.ckpt --device vulkan --prompt "English: " -n 60 --seed 7)
two=$("$nyx" generate models/hrm.ckpt --device vulkan --prompt "English: " -n 60 --seed 7)
[ "$one" = "$two" ] || fail "one seed gave two texts: $one / $two"
echo "$one"

first=$(sed -n 's/^step 1\/60  loss \([0-9.]*\).*/\1/p' train.txt)
last=$(sed -n 's/^step 60\/60  loss \([0-9.]*\).*/\1/p' resume.txt)
awk -v first="$first" -v last="$last" 'BEGIN { exit !(last > 0 && last < 0.8 * first) }' \
    || fail "the loss did not fall: $first to $last"
echo "smoke: loss $first at step 1, $last at step 60"
