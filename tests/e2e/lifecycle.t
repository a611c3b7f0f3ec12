#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# prepare and run-prepared with a stage1 of a few lines (rkt-behaviour 2.4, 2.5).
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
is 'stage1 is called as by run' "$(grep ^arg= "$LOG" | tr '\n' ' ')" "arg=--hostname=box arg=$uuid "
is 'the lock descriptor is the pod directory' "$(sed -n 's/^fd-is=//p' "$LOG")" "$DATA/pods/run/$uuid"
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
	TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" run-prepared "$out" 2>"$WORK/one.err"
	echo $? >"$WORK/one"
) &
TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" run-prepared "$out" 2>"$WORK/two.err"
echo $? >"$WORK/two"
wait
is 'of two that run a pod at once one does' "$(cat "$WORK/one" "$WORK/two" | sort | tr '\n' ' ')" '254 7 '

run_tripod gc --grace-period=0s --expire-prepared=0s
is 'gc takes it all away' "$status" 0
no_pods 'and leaves no pod'
no_leaks 'and nothing else'
done_testing
