#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A stage1 written for rkt runs under tripod: what its entry points find (rkt-behaviour 6).
. tests/e2e/tap.sh
. tests/e2e/stub.sh

export DATA GC_LOG="$WORK/gc.log" LOG="$WORK/log"
app=$WORK/app.aci
stage1=$WORK/stage1.aci
make_app "$app" web
make_stage1 "$stage1" 6 <<'EOM'
#!/bin/sh
{
	echo "argv0=$0"
	for arg; do echo "arg=$arg"; done
	echo "cwd=$PWD"
	echo "pid=$$"
	echo "fd=$RKT_LOCK_FD"
	echo "fd-is=$(readlink "/proc/$$/fd/$RKT_LOCK_FD")"
	flock -n -s . true && echo lock=free || echo lock=held
	find "/proc/$$/fd" -lname "$DATA/*" ! -lname '*/run' | wc -l | sed 's/^/fds=/'
	[ -t 0 ] || echo "stdin=$(readlink /proc/$$/fd/0)"
} >"$LOG"
echo $$ >pid
echo to stdout
echo to stderr >&2
mkdir -p stage1/rootfs/rkt/status
echo 9 >stage1/rootfs/rkt/status/web
exit 9
EOM

said()
{
	sed -n "s/^$1=//p" "$LOG"
}

run_tripod run --stage1-path="$stage1" "$app" --uuid-file-save="$WORK/uuid"
uuid=$(cat "$WORK/uuid")
pod=$DATA/pods/run/$uuid
is "the status is stage1's" "$status" 9
is "stdout is stage1's" "$out" 'to stdout'
is "stderr is stage1's" "$err" 'to stderr'
like 'the file has the UUID' "$uuid" '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
is 'the file has no newline' "$(wc -c <"$WORK/uuid" | tr -d ' ')" 36
is 'the file is for all to read' "$(stat -c %a "$WORK/uuid")" 644
is 'run is called by its absolute path' "$(said argv0)" "$pod/stage1/rootfs/sub/run"
is 'in the directory of the pod' "$(said cwd)" "$pod"
is 'with the UUID last' "$(said arg | tail -n 1)" "$uuid"
is 'with the configuration directory, the networks and the host name before it' \
	"$(said arg | head -n 3 | tr '\n' ' ')" \
	"--local-config=/etc/tripod --net=none --hostname=rkt-$uuid "
is 'and nothing else' "$(said arg | wc -l | tr -d ' ')" 4
is 'the lock descriptor is the pod directory' "$(said fd-is)" "$pod"
is 'the lock is held' "$(said lock)" held
is 'no other descriptor of the store or the pods is handed down' "$(said fds)" 1
is 'stdin is ours' "$(said stdin)" /dev/null

is 'the app is a directory for a stage1 that says nothing about disks' \
	"$(cat "$pod/stage1/rootfs/opt/stage2/web/rootfs/bin/app")" 'content of web'
ok 'the manifest of stage1 is there' test -s "$pod/stage1/manifest"
ok 'the image manifest of the app is there' test -s "$pod/appsinfo/web/manifest"
like 'the tree of the app is recorded' "$(cat "$pod/appsinfo/web/treeStoreID")" '^deps-sha512-'
like 'the tree of stage1 is recorded' "$(cat "$pod/stage1TreeStoreID")" '^deps-sha512-'
is 'pod.lck is for us alone' "$(stat -c %a "$pod/pod.lck")" 600
is 'the image of stage1 is not changed' \
	"$(find "$DATA/cas/tree" -path '*rkt*' | wc -l | tr -d ' ')" 0

# what the commands say about it
run_tripod status "$uuid"
like 'status: the state' "$out" '^state=exited$'
like 'status: the exit code of the app' "$out" '^app-web=9$'
like 'status: it has exited' "$out" '^exited=true$'
like 'status: the pid' "$out" "^pid=$(said pid)\$"
run_tripod status --format=json "${uuid%%-*}"
like 'status: JSON' "$out" '"exit_code":9'
run_tripod status --wait=10s "$uuid"
is 'status --wait returns for an ended pod' "$status" 0
run_tripod list --full --no-legend
like 'list: UUID, app, image and state' "$out" \
	"^$uuid	web	example.com/web:1.0	sha512-[0-9a-f]{12}	exited	"
run_tripod list --format=json
like 'list: JSON' "$out" "^\[\{\"name\":\"$uuid\",\"state\":\"exited\""
run_tripod cat-manifest --pretty-print=false "$uuid"
is 'cat-manifest: the pod manifest on one line' "$out" "$(cat "$pod/pod")"

# a running pod
make_stage1 "$WORK/slow.aci" 1 <<'EOM'
#!/bin/sh
mkdir -p stage1/rootfs/rkt/status
echo 3 >stage1/rootfs/rkt/status/web
ln -s ready stage1/rootfs/rkt/supervisor-status
exec sleep 300
EOM
"$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none --stage1-path="$WORK/slow.aci" \
	--uuid-file-save="$WORK/slow" "$app" --hostname=h 2>"$WORK/slow.err" &
slow=$!
wait_for test -s "$WORK/slow"
run_tripod status --wait-ready="${LIMIT}s" --uuid-file="$WORK/slow"
is 'status --wait-ready waits for the supervisor' "$status" 0
like 'a pod whose lock is held runs' "$out" '^state=running$'
run_tripod status --format=json --uuid-file="$WORK/slow"
like 'an app that has a status has exited, though the pod runs' "$out" \
	'"state":"running".*"name":"web","state":"exited".*"exit_code":3'
is "the process is the caller's child itself" "$(cat "/proc/$slow/comm")" sleep
like 'an option the interface has not is dropped with a word' "$(cat "$WORK/slow.err")" \
	'does not know --hostname'
run_tripod rm --uuid-file="$WORK/slow"
is 'rm refuses a running pod' "$status" 254
like 'and says so' "$err" 'is running'
run_tripod gc --grace-period=0s
is 'gc leaves a running pod alone' "$(pods_at run)" "$(cat "$WORK/slow")"
is 'gc calls the gc entry point of what it removes' "$(cat "$GC_LOG")" "gc in $uuid: $uuid"
run_tripod status --wait=200ms --uuid-file="$WORK/slow"
is 'status --wait gives up after its time' "$status" 254
kill "$slow"
wait "$slow" 2>/dev/null
is 'a signal to the pod ends it' "$?" 143
run_tripod status --uuid-file="$WORK/slow"
like 'then it has exited' "$out" '^state=exited$'
run_tripod gc --mark-only
like 'marked: exited-garbage' "$(pods_at exited-garbage)" "$(cat "$WORK/slow")"
run_tripod status --format=json --uuid-file="$WORK/slow"
like 'marking gives the finish time' "$out" '"finished_at":'
run_tripod gc
like 'within the grace period it stays' "$err" "$(cat "$WORK/slow") stays.*30m0s"
run_tripod rm --uuid-file="$WORK/slow"
is 'rm removes it' "$out" "\"$(cat "$WORK/slow")\""
no_pods 'then no pod is left'
run_tripod rm --uuid-file="$WORK/slow"
like 'a removed pod is not found' "$err" "no matches found for \"$(cat "$WORK/slow")\""

# a stage1 whose clean-up fails
make_stage1 "$WORK/dirty.aci" 6 <<'EOM'
#!/bin/sh
: >gc-fails
EOM
run_tripod run --stage1-path="$WORK/dirty.aci" "$app"
run_tripod gc --grace-period=0s
is 'a clean-up that fails is a failure of gc' "$status" 254
no_pods 'but the pod goes all the same'

# arguments
run_tripod --debug run --stage1-path="$stage1" --hostname=box "$app"
is 'flags in the order of the contract' "$(said arg | head -n 4 | tr '\n' ' ')" \
	'--debug --local-config=/etc/tripod --net=none --hostname=box '
run "$TRIPOD" --dir="$DATA" --insecure-options=image,all-run run --net=none --stage1-path="$stage1" "$app"
is 'relaxed confinement is handed on' "$(said arg | sed -n '4,6p' | tr '\n' ' ')" \
	'--disable-capabilities-restriction --disable-paths --disable-seccomp '
run_tripod run --stage1-path="$stage1" --interactive "$app"
like 'interactive is handed on' "$(said arg)" '^--interactive$'

# closed streams: nothing of ours may take their place
: >"$LOG"
"$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none --stage1-path="$stage1" "$app" \
	<&- >&- 2>&-
is 'it runs with all standard streams closed' "$?" 9
is 'which are /dev/null then' "$(said stdin)" /dev/null

# disks
make_stage1 "$WORK/disks.aci" 6 yes <<'EOM'
#!/bin/sh
ls stage1/rootfs/opt/stage2/web stage1/rootfs/opt/stage2/web/disk
cat stage1/rootfs/opt/stage2/web/disk/* >"$LOG"
EOM
run_tripod run --stage1-path="$WORK/disks.aci" "$app"
is 'a stage1 that takes disks gets them' "$(echo "$out" | sed -n 2p)" disk
is 'and no directory' "$(echo "$out" | grep -c rootfs$)" 0
is 'disk 0 is an EROFS file system' "$(od -An -tx4 -j1024 -N4 "$LOG" | tr -d ' ')" e0f5e1e2

# two apps
make_app "$WORK/db.aci" db
run_tripod run --stage1-path="$stage1" "$app" --exec=/a -- x --- "$WORK/db.aci" --name=store
run_tripod cat-manifest --pretty-print=false "$(basename "$(said cwd)")"
like 'apps are in the order given, with their arguments' "$out" \
	'"name":"web".*"exec":\["/a","x"\].*"name":"store".*"exec":\["/bin/app"\]'
run_tripod gc --grace-period=0s
is 'gc takes it all away' "$status" 0
no_pods 'and leaves no pod'
no_leaks 'and nothing else'
done_testing
