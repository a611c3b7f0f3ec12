#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Mutable pods: app sandbox, add, start, stop, rm, list, status and exec (rkt-behaviour 2.15, 4.3).
. tests/e2e/tap.sh
. tests/e2e/stub.sh
need_kvm

export DATA GC_LOG="$WORK/gc.log"
run_tripod app list x
is 'without the experiment there is no such command' "$status" 254
like 'and that is what is said' "$err" 'unknown command "app"'
export RKT_EXPERIMENT_APP=true

# a stage1 without their entry points
make_stage1 "$WORK/stub.aci" 6 </dev/null
run_tripod app sandbox --stage1-path="$WORK/stub.aci"
is 'a stage1 that can not have mutable pods is refused' "$status" 1
like 'in these words' "$err" 'stage1 does not support mutable pods'
is 'and leaves nothing' "$(find "$DATA"/pods/*/* -maxdepth 0 2>/dev/null)" ''
run_tripod app sandbox "$IMAGES/busybox.aci"
is 'a sandbox takes no images' "$status" 1
run_tripod app sandbox --port=web:tcp:80:1.2.3.4
is 'a port has five parts' "$status" 1
like 'which the message names' "$err" 'NAME:PROTO:PODPORT:HOSTIP:HOSTPORT'

run_tripod fetch "$IMAGES/busybox.aci"
image=$out

TRIPOD_TEST=$WORK timeout -k 5 $((4 * LIMIT)) "$TRIPOD" --dir="$DATA" --insecure-options=image \
	app sandbox --net=none --uuid-file-save="$WORK/uuid" --annotation=of=pod \
	--user-label=kind=sandbox >"$WORK/sandbox.out" 2>"$WORK/sandbox.err" \
	</dev/null &
sandbox=$!
wait_for has_line "$WORK/uuid" .
uuid=$(cat "$WORK/uuid")
[ -n "$uuid" ] || bail "no sandbox: $(cat "$WORK/sandbox.err")"
run_tripod status --wait-ready="${LIMIT}s" "$uuid"
is 'a sandbox is ready without apps' "$status" 0
run_tripod app list "$uuid"
is 'and has none' "$(cat "$WORK/out")" "$(printf 'NAME\tSTATE')"
run_tripod enter "$uuid" /bin/true
is 'which enter says' "$status $err" '254 enter: the pod has no apps'
run_tripod logs "$uuid"
is 'and logs' "$status $err" '254 logs: the pod has no apps'
run_tripod cat-manifest "$uuid"
like 'its manifest says that it is mutable' "$(echo "$out" | tr -d ' \t\n')" \
	'"name":"coreos.com/rkt/stage1/mutable","value":"true"'
like 'its annotation is there' "$(echo "$out" | tr -d ' \t\n')" '"name":"of","value":"pod"'
like 'and its label' "$(echo "$out" | tr -d ' \t\n')" '"userLabels":\{"kind":"sandbox"\}'

# add NAME OPTIONS... : a shell as an app
add()
{
	name=$1
	shift
	run_tripod app add "$uuid" "$image" --name="$name" --exec=/bin/sh "$@"
}

# state NAME STATE: the app gets there
state()
{
	i=0
	until run_tripod app status --app="$1" "$uuid" && echo "$out" | grep -q "^state=$2\$"; do
		i=$((i + 1))
		[ $i -lt $((LIMIT * 5)) ] || break
		sleep 0.2
	done
}

# said TEXT: the sandbox has shown this line
said()
{
	i=0
	until grep -q "^$1\$" "$WORK/sandbox.out"; do
		i=$((i + 1))
		[ $i -lt $((LIMIT * 5)) ] || return 1
		sleep 0.2
	done
}

# servers N: so many processes serve volumes; each server is two
servers()
{
	i=0
	until n=$(for pid in $(marked_pids); do cat "/proc/$pid/comm" 2>/dev/null; done |
		grep -c '^virtiofsd$') && [ "$n" = "$1" ] || [ "$n$1" = 00 ]; do
		i=$((i + 1))
		[ $i -lt $((LIMIT * 5)) ] || { diag "$n processes"; return 1; }
		sleep 0.2
	done
}

# shellcheck disable=SC2016 # for the shell in the pod
add one --user-annotation=a=b --mnt-volume=name=v,kind=empty,target=/data,mode=0700 -- -c \
	'echo run >>/runs; touch /data/x; cat /runs | wc -l; exit 3'
is 'an app is added' "$status" 0
run_tripod app status --app=one "$uuid"
like 'it is created, not started' "$out" '^state=created$'
unlike 'so it has no other times' "$out" '^(started|finished)_at='
is 'and its mark is there' \
	"$(ls "$DATA/pods/run/$uuid/stage1/rootfs/rkt/status")" one-created
run_tripod app start --app=one "$uuid"
is 'it is started' "$status" 0
state one exited
like 'an app ends by itself' "$out" '^exit_code=3$'
like 'with the time' "$out" '^finished_at=2'
like 'its mounts are shown' "$out" '^mounts=.*"container_path":"\\?/data"'
like 'its annotations, too' "$out" '^user_annotations=.*"a":"b"'
is 'in the specified order' "$(echo "$out" | sed 's/=.*//' | tr '\n' ' ')" \
	'name state image_id created_at started_at finished_at exit_code mounts user_annotations '
ok 'what it says is shown with its name' said 'one: 1'
run_tripod app start --app=one "$uuid"
is 'it is started again' "$status" 0
ok 'and finds what it wrote' said 'one: 2'
state one exited

# shellcheck disable=SC2016
add two --memory=64M -- -c 'trap "echo told; exit 4" TERM; echo "up $(ls /data /runs 2>&1 | wc -l)"
	sleep 100000 & wait'
run_tripod app start --app=two "$uuid"
is 'another one' "$status" 0
ok 'that sees nothing of the first' said 'two: up 2'
run_tripod app list "$uuid"
is 'both are listed' "$(cat "$WORK/out")" \
	"$(printf 'NAME\tSTATE\none\texited\ntwo\trunning')"
run_tripod app list --no-legend "$uuid"
is 'without a header if wanted' "$(cat "$WORK/out")" "$(printf 'one\texited\ntwo\trunning')"
run_tripod app exec --app=two "$uuid" /bin/sh -c 'tr "\0" "\n" </proc/1/environ >/dev/null; exit 9'
is 'app exec is enter, with its status' "$status" 9
run_tripod app exec --app=one "$uuid" /bin/true
is 'there is nothing to enter in one that does not run' "$status" 254
run_tripod logs --app=two "$uuid"
like 'its logs are kept' "$out" 'up 2'
run_tripod app start --app=two "$uuid"
is 'what runs is not started' "$status" 254
like 'and that is told' "$err" 'app two runs'
run_tripod app stop --app=two "$uuid"
is 'it is stopped' "$status" 0
run_tripod app status --app=two --format=json "$uuid"
like 'it had its say' "$out" '"state":"exited".*"exit_code":4'
ok 'by SIGTERM' said 'two: told'
run_tripod app stop --app=two "$uuid"
is 'what does not run is not stopped' "$status" 254
run_tripod status "$uuid"
like 'the pod runs on' "$out" '^state=running$'

# names
add two
is 'a name is one app'"'"'s' "$status" 254
like 'and that is told' "$err" 'the pod has an app "two"'
add one-created
is 'nor is a name that is a mark' "$status" 254
run_tripod app rm --app=one "$uuid"
is 'an app is removed' "$status" 0
run_tripod app list --no-legend "$uuid"
is 'and is gone' "$(cat "$WORK/out")" "$(printf 'two\texited')"
is 'with its files' "$(find "$DATA/pods/run/$uuid" -name 'one*' ! -path '*/log/*')" ''
# shellcheck disable=SC2016
add one -- -c 'echo "new $(ls /data /runs 2>&1 | wc -l)"; exec sleep 1000'
run_tripod app start --app=one "$uuid"
is 'its name is free for another' "$status" 0
ok 'that finds nothing of it' said 'one: new 2'

# volumes of the host
mkdir "$WORK/src"
echo 'of the host' >"$WORK/src/file"
echo single >"$WORK/single"
src=kind=host,source=$WORK/src
add vol --mnt-volume="name=rw,$src,target=/rw" \
	--mnt-volume="name=ro,$src,target=/ro,readOnly=true" \
	--mnt-volume=name=one,kind=host,source="$WORK/single",target=/one -- -c \
	'cat /rw/file /one; echo guest >/rw/new; cat /ro/new; { echo >/ro/bad; } 2>/dev/null || echo refused
	echo changed >/one; echo end; exec sleep 1000'
is 'an app is added with volumes of the host' "$status" 0
ok 'that are served' servers 6
run_tripod app start --app=vol "$uuid"
ok 'it runs' said 'vol: end'
ok 'it sees a directory' said 'vol: of the host'
ok 'and a file' said 'vol: single'
is 'what it writes is on the host' "$(cat "$WORK/src/new" "$WORK/single")" "$(printf 'guest\nchanged')"
ok 'and where else the directory is mounted' said 'vol: guest'
ok 'a read-only volume is not written to' said 'vol: refused'
run_tripod app exec --app=vol "$uuid" /bin/cat /rw/file
is 'who enters sees them' "$status$out" '0of the host'
run_tripod app rm --app=vol "$uuid"
is 'it is removed' "$status" 0
ok 'and with it those who serve' servers 0
is 'what is on the host stays' "$(cd "$WORK/src" && echo *)$(cat "$WORK/single")" 'file newchanged'
volumes=
for i in 1 2 3 4 5 6 7 8; do
	volumes="$volumes --mnt-volume=name=v$i,$src,target=/v$i"
done
# shellcheck disable=SC2086
add vol $volumes --mnt-volume="name=v9,$src,target=/v9"
is 'nine are too many' "$status" 254
like 'as is told' "$err" 'more than 8 volumes of the host'
# shellcheck disable=SC2086 disable=SC2016 # words; for the shell in the pod
add vol $volumes -- -c 'echo "files: $(cat /v[1-8]/file | wc -l)"; exec sleep 1000'
is 'eight are not, as those of the last app are free again' "$status" 0
run_tripod app start --app=vol "$uuid"
ok 'each is there' said 'vol: files: 8'
add more --mnt-volume="name=v9,$src,target=/v9"
is 'nor is there one for another app' "$status" 254
like 'and that is told' "$err" "the pod's apps have 8 volumes of the host at most"
ok 'what was started for it has ended' servers 16
run_tripod app rm --app=vol "$uuid"
is 'they go' "$status" 0
add bad --mnt-volume="name=v,$src,target=/bin/sh"
is 'a volume that can not be mounted is no app' "$status" 254
like 'and that is told' "$err" 'mounting a volume at "/bin/sh": Not a directory'
ok 'and leaves no server' servers 0
add last --mnt-volume="name=v,$src,target=/v"
is 'an app that is not started has its volume' "$status" 0
ok 'served' servers 2

# mistakes
run_tripod app add "$uuid" "$image" --name=big --memory=1T --exec=/bin/true
is 'an app larger than the pod is refused' "$status" 254
like 'with both sizes' "$err" 'its memory limit is [0-9]+ MiB, and the pod has [0-9]+ MiB in all'
add host --mnt-volume=name=h,kind=host,source="$WORK/none",target=/h
is 'a volume of the host must be there' "$status" 254
like 'and is named' "$err" 'volume h: Failed to stat .*/none: No such file'
run_tripod app list --no-legend "$uuid"
is 'and leaves nothing' "$(cat "$WORK/out")" "$(printf 'two\texited\none\trunning\nlast\tcreated')"
run_tripod app add "$uuid" sha512-00
is 'an image must be in the store' "$status" 254
run_tripod app start --app=none "$uuid"
is 'an app must be there' "$status" 254
run_tripod app status --app=none "$uuid"
is 'errors of status are 1' "$status" 1
run_tripod app list 00000000
is 'and of list' "$status" 1
like 'with the usual words' "$err" 'no matches found for'
add none -- -c x
run_tripod app rm --app=none "$uuid"
run_tripod app add "$uuid" "$image" --name=none --exec=/not/there
run_tripod app start --app=none "$uuid"
is 'a program that is not there is told to who starts it' "$status" 254
like 'by its name' "$err" 'Unable to open "/not/there"'
state none exited
like 'and has the status' "$out" '^exit_code=203$'

# what is left of an app whose "app add" was killed before the pod heard of it
cp "$DATA/pods/run/$uuid/pod" "$WORK/pod"
python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); a = dict(d["apps"][0], name="ghost")
d["apps"].append(a); json.dump(d, open(sys.argv[1], "w"))' "$DATA/pods/run/$uuid/pod"
run_tripod app status --app=ghost "$uuid"
like 'an app that was half added is unknown' "$out" '^state=unknown$'
run_tripod app rm --app=ghost "$uuid"
is 'it can be removed' "$status$(cmp "$DATA/pods/run/$uuid/pod" "$WORK/pod" 2>&1)" 0

# hostile requests on control.sock: answered by an error, and the pod goes on
sock=$DATA/pods/run/$uuid/control.sock
run python3 tests/e2e/app_hostile.py "$sock"
is 'requests that make no sense are refused' "$out$err" 'all refused'

# many at once
for i in 4 5 6 7 8 9 10 11 12 13 14 15; do
	run_tripod app add "$uuid" "$image" --name="n$i" --exec=/bin/true
	[ "$status" = 0 ] || diag "n$i: $err"
done
run_tripod app list --no-legend "$uuid"
is 'a pod has 16 apps' "$(wc -l <"$WORK/out")" 16
add more
is 'and no more' "$status" 254
like 'as is told' "$err" 'the pod has 16 apps, and room for no more'

run_tripod stop "$uuid"
is 'stop ends the pod' "$status" 0
finish $sandbox
is 'without a failure' "$?" 0
ok 'nobody serves its volumes' servers 0
run_tripod app list --no-legend "$uuid"
is 'its apps have ended' "$(cut -f2 "$WORK/out" | sort | uniq -c | tr -s ' ' | tr '\n' ' ')" ' 16 exited '
run_tripod app status --app=one "$uuid"
like 'the one that ran by a signal' "$out" '^exit_code=143$'
run_tripod app start --app=one "$uuid"
is 'a pod that has ended starts nothing' "$status" 254
is 'on stderr was nothing but the warning' "$(grep -v 'signature verification' "$WORK/sandbox.err" |
	grep -v 'Unable to open "/not/there"')" ''
run_tripod gc --grace-period=0s
is 'gc takes it away' "$status$(find "$DATA"/pods/*/* -maxdepth 0 2>/dev/null)" 0

# start_sandbox: another one
start_sandbox()
{
	rm "$WORK/uuid"
	TRIPOD_TEST=$WORK timeout -k 5 $((2 * LIMIT)) "$TRIPOD" --dir="$DATA" \
		--insecure-options=image app sandbox --net=none --uuid-file-save="$WORK/uuid" \
		>"$WORK/sandbox.out" 2>"$WORK/sandbox.err" </dev/null &
	sandbox=$!
	wait_for has_line "$WORK/uuid" .
	uuid=$(cat "$WORK/uuid")
	run_tripod status --wait-ready="${LIMIT}s" "$uuid"
}

# the VMM is killed: what the files say is true
start_sandbox
add lives --mnt-volume="name=v,$src,target=/v,readOnly=true,recursive=false" -- -c \
	'echo up; exec sleep 1000'
run_tripod app start --app=lives "$uuid"
add never
log=$DATA/pods/run/$uuid/measurements
is 'what was added is in the event log' \
	"$(tr -c ' -~' '\n' <"$log" | grep -aoE '(Volume|Plan) of added app [a-z]*' | tr '\n' ' ')" \
	'Volume of added app lives Plan of added app lives Plan of added app never '
like 'with where a volume comes from' "$(tr -c ' -~' '\n' <"$log" | grep -a 'Volume of added')" \
	'^tripod: Volume of added app lives: v,source=/.*/src,readOnly=true,recursive=false$'
run_tripod status --format=json "$uuid"
is 'and in the TPM, which says what the log says' \
	"$(echo "$out" | python3 -c 'import json, sys; d = json.load(sys.stdin)
print(all(d["measured"][b]["15"] == d["pcrs"][b]["15"] for b in ("sha256", "sha384")))')" True
kill -KILL "$(cat "$DATA/pods/run/$uuid/pid")"
finish $sandbox
ok 'who serves its volumes does not outlive it' servers 0
run_tripod app list --no-legend "$uuid"
is 'all have ended' "$(cat "$WORK/out")" "$(printf 'lives\texited\nnever\texited')"
run_tripod app status --app=lives "$uuid"
unlike 'how is not known' "$out" '^exit_code='
run_tripod gc --grace-period=0s
is 'gc takes that away, too' "$status$(find "$DATA"/pods/*/* -maxdepth 0 2>/dev/null)" 0

# a server is killed: apps would wait for it for ever
start_sandbox
add lives --mnt-volume="name=v,$src,target=/v" -- -c 'exec sleep 1000'
for pid in $(marked_pids); do
	[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != virtiofsd ] || kill -KILL "$pid" 2>/dev/null
done
finish $sandbox
is 'a pod whose volume is not served any more ends' "$?" 254
like 'with the reason' "$(cat "$WORK/sandbox.err")" 'app lives: volume v: virtiofsd (was killed|ended)'
run_tripod gc --grace-period=0s
no_leaks 'nothing is left'
done_testing
