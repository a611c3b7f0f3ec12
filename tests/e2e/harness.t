#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The test harness itself: what it promises the other tests.
. tests/e2e/tap.sh

run sh -c 'echo out; echo err >&2; exit 7'
is 'run() keeps the exit status' "$status" 7
is 'run() keeps stdout' "$out" out
is 'run() keeps stderr' "$err" err

saved=$LIMIT
LIMIT=1
run sleep 30
LIMIT=$saved
is 'run() ends a command that takes too long' "$status" 124

run sh -c 'sleep 60 >/dev/null 2>&1 &'
like 'a process left behind is found' "$(no_leaks leak)" '^not ok'
for pid in $(marked_pids); do
	kill "$pid"
done
n=0
while [ -n "$(marked_pids)" ] && [ $n -lt 50 ]; do
	sleep 0.1
	n=$((n + 1))
done
no_leaks 'nothing is found once it is gone'
done_testing
