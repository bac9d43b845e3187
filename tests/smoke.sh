#!/usr/bin/env bash
# Trains `smoke`, interrupts it half way, resumes it, and generates twice: tests/smoke.sh NYX [DEVICE [STEPS]]
# Without a device on the software Vulkan driver. More steps are for a device that is done before it can be interrupted.
set -euo pipefail
nyx=$(realpath "$1")
device=${2:-vulkan} steps=${3:-60}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() { echo "smoke: $1" >&2; exit 1; }

# A shell ignores SIGINT in what it starts in the background, and a training leaves an ignored signal ignored.
env --default-signal=INT "$nyx" train --config smoke.yaml --device "$device" \
    --set train.max_steps="$steps" --set train.log_every=1 2>train.txt &
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

"$nyx" resume models/hrm.ckpt --device "$device" 2>resume.txt || fail "resume failed: $(cat resume.txt)"
grep '^step [0-9]*/[0-9]*  validation' train.txt resume.txt
one=$("$nyx" generate models/hrm.ckpt --device "$device" --prompt "English: " -n 60 --seed 7)
two=$("$nyx" generate models/hrm.ckpt --device "$device" --prompt "English: " -n 60 --seed 7)
[ "$one" = "$two" ] || fail "one seed gave two texts: $one / $two"
echo "$one"

loss_at() { sed -n "s|^step $1/$steps  loss \([0-9.]*\).*|\1|p" "$2"; }
first=$(loss_at 1 train.txt)
last=$(loss_at "$steps" resume.txt)
awk -v first="$first" -v last="$last" 'BEGIN { exit !(last > 0 && last < 0.8 * first) }' \
    || fail "the loss did not fall: $first to $last"
echo "smoke: loss $first at step 1, $last at step $steps"
