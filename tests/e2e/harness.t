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
unmarked()
{
	[ -z "$(marked_pids)" ]
}
wait_for unmarked
no_leaks 'nothing is found once it is gone'

LIMIT=1
sleep 60 &
finish $!
is 'finish() ends what takes too long' "$?" 137
sh -c 'exit 3' &
finish $!
is 'finish() has the status of what does not' "$?" 3
ok 'wait_for() gives up' sh -c "$(sed -n '/^wait_for()/,/^}/p' tests/e2e/tap.sh)
	LIMIT=1
	! wait_for false"
LIMIT=$saved

# No test is to change the machine's own network: a pod that root runs without --net would.
for test in tests/e2e/*.t; do
	grep -q TRIPOD_TEST_NETNS "$test" && continue
	# a command a line
	# shellcheck disable=SC2016
	sed -e ':more' -e '/\\$/{N;s/\\\n//;b more' -e '}' "$test" |
		grep -E '\$TRIPOD"? .* (run|run-prepared|attest expected)( |$)' | grep -v -e --net |
		sed "s,^,$test: ,"
done >"$WORK/unsaid"
is 'tests that run tripod on the machine itself say --net' "$(cat "$WORK/unsaid")" ''

# tests/sum, which decides about all others
mkdir -p "$WORK/results/e2e"
{
	printf 'ok 1 - one\nnot ok 2 - two\n#      got: x\n# expected: y\nok 3 - three\n# of three\n'
	printf 'not ok 4 - four\n1..4\n'
} >"$WORK/results/e2e/a.tap"
echo 1 >"$WORK/results/e2e/a.status"
seq 20 >"$WORK/results/e2e/a.log"
printf '1..2\nok 1 - one\n' >"$WORK/results/e2e/b.tap"
echo 124 >"$WORK/results/e2e/b.status"
run tests/sum "$WORK/results/e2e"
is 'sum fails when a test did' "$status" 1
is 'sum shows below each failure what the test said, and the end of the log' "$out" \
	"FAILED:  e2e/a: two
         #      got: x
         # expected: y
FAILED:  e2e/a: four
$(seq 13 20 | sed 's/^/         log: /')
FAILED:  e2e/b: ran out of time
3 passed, 3 failed, 0 skipped"
rm "$WORK"/results/e2e/*
printf '1..2\nok 1 - one\nok 2 - two # SKIP no tool\n' >"$WORK/results/e2e/c.tap"
echo 0 >"$WORK/results/e2e/c.status"
run tests/sum "$WORK/results/e2e"
is 'sum names what was skipped' "$status $out" '0 skipped: e2e/c: two # SKIP no tool
1 passed, 0 failed, 1 skipped'
done_testing
