#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# prepare, run-prepared and stop with a stage1 of a few lines (rkt-behaviour 2.4, 2.5, 2.11).
. tests/e2e/tap.sh
. tests/e2e/stub.sh

export DATA GC_LOG="$WORK/gc.log" LOG="$WORK/log"
app=$WORK/app.aci
stage1=$WORK/stage1.aci
make_app "$app" web
make_stage1 "$stage1" 6 <<'EOM'
#!/bin/sh
for arg; do echo "arg=$arg"; done >"$LOG"
echo "fd-is=$(readlink "/proc/$$/fd/$RKT_LOCK_FD")" >>"$LOG"
flock -n -s . true && echo lock=free >>"$LOG" || echo lock=held >>"$LOG"
echo $$ >pid
mkdir -p stage1/rootfs/rkt/status
echo 7 >stage1/rootfs/rkt/status/web
exit 7
EOM

prepare()
{
	run_tripod prepare --stage1-path="$stage1" "$@"
}

prepare "$app" --exec=/bin/app -- -x
uuid=$out
is 'prepare succeeds' "$status" 0
like 'it prints the UUID, one line' "$(cat "$WORK/out")" '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
is 'the pod is in prepared' "$(pods_at prepared)" "$uuid"
run_tripod status "$uuid"
like 'status: the state' "$out" '^state=prepared$'
unlike 'status: nothing of a start' "$out" '^(started|pid|exited)='
run_tripod status --format=json "$uuid"
like 'status: its app is created' "$out" '"state":"created"'
run_tripod list --full --no-legend
like 'list shows it' "$out" "^$uuid	web	.*	prepared	"
run_tripod cat-manifest "$uuid"
is 'cat-manifest shows it' "$status" 0

short=$(echo "$uuid" | cut -c1-9 | tr a-f A-F)
run_tripod run-prepared --hostname=box "$short"
is "run-prepared ends with stage1's status, UUID shortened" "$status" 7
is 'stage1 is called as by run' "$(grep ^arg= "$LOG" | grep -v local-config | tr '\n' ' ')" \
	"arg=--net=none arg=--hostname=box arg=$uuid "
is 'the lock descriptor is the pod directory' "$(sed -n 's/^fd-is=//p' "$LOG")" "$DATA/pods/run/$uuid"
is 'the lock is held' "$(sed -n 's/^lock=//p' "$LOG")" held
run_tripod status "$uuid"
like 'then it has exited' "$out" '^state=exited$'
like 'with the status of its app' "$out" '^app-web=7$'
run_tripod run-prepared "$uuid"
is 'a pod runs once' "$status" 254
like 'and the second time is told' "$err" "run-prepared: pod $uuid is not prepared, but exited"

# mistakes
run_tripod run-prepared
is 'run-prepared without a pod is a usage error' "$status" 254
run_tripod run-prepared ''
like 'an empty UUID is told' "$err" 'UUID cannot be empty'
run_tripod run-prepared 0123
like 'an unknown one too' "$err" 'no matches found for "0123"'
prepare
like 'prepare without an image is refused' "$err" 'no image is named'
prepare --interactive "$app"
is 'options of running are not for prepare' "$status" 254
prepare "$WORK/none.aci"
is 'an image that is not there fails' "$status" 254
is 'before there is a pod' "$(pods_at prepare)" ''
make_app "$WORK/db.aci" db
prepare "$app" "$WORK/db.aci"
two=$out
run_tripod run-prepared --interactive "$two"
is 'a terminal is for one app' "$status" 254
like 'and says so' "$err" '--interactive is for a single app, not 2'
run_tripod run-prepared --hostname=-x "$two"
is 'a bad host name is refused' "$status" 254
is 'and the pod stays prepared' "$(pods_at prepared)" "$two"

# what prepare says besides
prepare --quiet=true --no-overlay=true "$app"
is 'prepare --quiet prints the UUID and nothing else' "$(echo "$out" | wc -w | tr -d ' ')$err" 1
run_tripod --debug prepare --stage1-path="$stage1" "$app"
like 'prepare --debug tells what it writes' "$err" 'prepare: Writing pod manifest'

# an aborted one: the lock of preparing can not be taken
mv "$DATA/locks" "$WORK/locks" && : >"$DATA/locks"
prepare "$app"
is 'a failure while preparing is told' "$status" 254
rm "$DATA/locks" && mv "$WORK/locks" "$DATA/locks"
run_tripod status "$(pods_at prepare)"
like 'a pod prepare did not finish is aborted' "$out" '^state=aborted prepare$'
run_tripod run-prepared "$(pods_at prepare)"
like 'and can not be run' "$err" 'is not prepared, but aborted prepare'

# two at once: one gets it
prepare "$app"
(
	TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" run-prepared --net=none "$out" 2>"$WORK/one.err"
	echo $? >"$WORK/one"
) &
TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" run-prepared --net=none "$out" 2>"$WORK/two.err"
echo $? >"$WORK/two"
wait
is 'of two that run a pod at once one does' "$(cat "$WORK/one" "$WORK/two" | sort | tr '\n' ' ')" '254 7 '

# stop
make_stage1 "$WORK/slow.aci" 6 <<'EOM'
#!/bin/sh
echo $$ >pid
mkdir -p stage1/rootfs/rkt
ln -s ready stage1/rootfs/rkt/supervisor-status
exec sleep 300
EOM
STOP=no make_stage1 "$WORK/endless.aci" 6 <<'EOM'
#!/bin/sh
echo $$ >pid
exec sleep 300
EOM

# start NAME STAGE1: a running pod with its UUID in $WORK/NAME; its status will be in $WORK/NAME.status
start()
{
	(
		TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none \
			--stage1-path="$2" --uuid-file-save="$WORK/$1" "$app" 2>/dev/null
		echo $? >"$WORK/$1.status"
	) &
	wait_for test -s "$WORK/$1"
	wait_for test -s "$DATA/pods/run/$(cat "$WORK/$1")/pid"
}

run_tripod stop
is 'stop without a pod is a usage error' "$status" 254
start a "$WORK/slow.aci"
start b "$WORK/slow.aci"
start c "$WORK/slow.aci"
run_tripod status --wait-ready --uuid-file="$WORK/a"
like 'status --wait-ready: it runs' "$out" '^state=running$'
TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" status --wait --uuid-file="$WORK/a" >"$WORK/waited" 2>&1 &
waiter=$!
a=$(cat "$WORK/a") b=$(cat "$WORK/b") c=$(cat "$WORK/c")
run_tripod stop --uuid-file="$WORK/a"
is 'stop prints the UUID in quotes' "$status $out" "0 \"$a\""
is 'it calls the stop entry point in the pod' "$(tail -n 1 "$GC_LOG")" "stop in $a: $a"
wait "$waiter"
like 'status --wait ends with the pod' "$(cat "$WORK/waited")" '^state=exited$'
run_tripod stop --force "${b%%-*}" "$(echo "$c" | tr a-f A-F)" "$a"
is 'several pods, one of which has ended' "$status" 0
is 'which is told' "$(echo "$out" | sort | tr '\n' ' ')" \
	"$(printf '%s\n' "\"$b\"" "\"$c\"" "pod \"$a\" is already stopped" | sort | tr '\n' ' ')"
wait
is 'the statuses of run are those of the signals' \
	"$(cat "$WORK/a.status" "$WORK/b.status" "$WORK/c.status" | tr '\n' ' ')" '143 137 137 '
run_tripod rm "$a" "$b" "$c"
is 'what was stopped can be removed at once' "$status" 0

start d "$WORK/slow.aci"
start e "$WORK/endless.aci"
d=$(cat "$WORK/d")
: >"$DATA/pods/run/$d/stop-fails"
run_tripod stop "$two" "$d" --uuid-file="$WORK/e"
is 'pods and a file of one do not go together' "$status" 254
run_tripod stop "$two" 0123 "$d" "$(cat "$WORK/e")"
is 'what could not be stopped is a failure' "$status" 254
like 'of a pod that never ran' "$err" "^stop: pod \"$two\" is not running, but prepared"
like 'of one that is not' "$err" '^stop: no matches found for "0123"'
like 'of one whose stage1 fails' "$err" "^stop: stopping pod \"$d\": .*status 3"
like 'of one whose stage1 does not know how' "$err" 'stopping is not supported'
like 'and they are counted' "$err" '^stop: failed to stop 4 of 4 pods'
kill "$(cat "$DATA/pods/run/$d/pid")" "$(cat "$DATA/pods/run/$(cat "$WORK/e")/pid")"
wait

run_tripod gc --grace-period=0s --expire-prepared=0s
is 'gc takes it all away' "$status" 0
no_pods 'and leaves no pod'
no_leaks 'and nothing else'
done_testing
