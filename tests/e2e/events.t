#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Event handlers, readiness, and what the end of one app is to the others (rkt-behaviour 7.11, 7.12).
. tests/e2e/tap.sh
. tests/e2e/stub.sh
need_kvm

# make_image FILE NAME PRE-START POST-STOP: busybox with handlers, which are shell commands
make_image()
{
	rm -rf "$WORK/image" && mkdir "$WORK/image" && tar -C "$WORK/image" -xf "$IMAGES/busybox.aci"
	cat >"$WORK/image/manifest" <<-EOM
	{"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/$2",
	 "labels": [{"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"}],
	 "app": {"exec": ["/bin/sh"], "user": "1000", "group": "1000", "workingDirectory": "/bin",
	  "environment": [{"name": "WORD", "value": "word"}], "eventHandlers": [
	   {"name": "post-stop", "exec": ["/bin/sh", "-c", "$4"]},
	   {"name": "pre-start", "exec": ["/bin/sh", "-c", "$3"]}]}}
	EOM
	tar -C "$WORK/image" --owner=0 --group=0 -cf "$1" manifest rootfs
}

# shellcheck disable=SC2016 # for the app's shell
look='echo $0 $(id -u) $(pwd) $WORD $(sed -n s/CapBnd:.//p /proc/self/status)'
make_image "$WORK/good.aci" good \
	"$look prepared; umask 077; echo before >/left; (sleep 1000 &); chmod 644 /left" \
	"$look cleaned; cat /left /left.main; exit 7"
make_image "$WORK/bad.aci" bad 'echo bad one; exit 9' 'echo bad cleaned'
make_image "$WORK/slow.aci" slow 'echo slow begins; trap \"exit 0\" TERM; sleep 100000 & wait' \
	'echo slow cleaned'

# shellcheck disable=SC2016 # for the shell in the pod
run_tripod run --uuid-file-save="$WORK/uuid" "$WORK/good.aci" --exec=/bin/sh -- -c \
	'echo main $(id -u); cat /left; test -p /proc/self/fd/1 && echo pipe; echo end; exit 0'
is 'an app with handlers ends with the status of its program' "$status" 0
is 'all of it in order, handlers as root and confined as the app is' "$out" '/bin/sh 0 /bin word 00000000a80425fb prepared
main 1000
before
pipe
end
/bin/sh 0 /bin word 00000000a80425fb cleaned
before'
like 'a handler is heard on stderr, too' "$err" "left.main"
run_tripod status --uuid-file="$WORK/uuid"
like 'a post-stop that fails changes no status' "$out" '^app-good=0$'

run_tripod run --uuid-file-save="$WORK/uuid" "$WORK/bad.aci" --exec=/bin/sh -- -c 'echo never' --- \
	"$IMAGES/busybox.aci" --name=other --exec=/bin/sh -- -c \
	'trap "echo told; exit 0" TERM; echo up; sleep 100000 & wait'
is 'a pre-start that fails is the failure of its app' "$status" 9
like 'it is told' "$err" '^bad: Error: the pre-start handler ended with status 9$'
like 'what it said is heard' "$out" '^bad: bad one$'
unlike 'the program does not run' "$out" never
like 'post-stop does' "$out" '^bad: bad cleaned$'
run_tripod status --uuid-file="$WORK/uuid"
like 'its status is the handler'"'"'s' "$out" '^app-bad=9$'
like 'the other is stopped, and has a status' "$out" '^app-other=(0|143)$'

# the others of a pod whose first failure comes while a handler runs
run_tripod run --uuid-file-save="$WORK/uuid" "$WORK/slow.aci" --exec=/bin/echo -- never --- \
	"$IMAGES/busybox.aci" --name=five --exec=/bin/sh -- -c 'exit 5' --- \
	"$IMAGES/busybox.aci" --name=zero --exec=/bin/true
is 'the first failure is the status of the pod' "$status" 5
like 'a handler is asked to end as a program is' "$err" '^slow: Error: stopped before its program was started$'
unlike 'and the program is not started' "$out" never
like 'post-stop runs all the same' "$out" '^slow: slow cleaned$'
run_tripod status --uuid-file="$WORK/uuid"
like 'each app has a status' "$(printf '%s\n' "$out" | grep ^app- | sort | tr '\n' ' ')" \
	'^app-five=5 app-slow=143 app-zero=(0|143) $'

make_image "$WORK/none.aci" none 'exit 0' 'exit 0'
sed -i 's|/bin/sh", "-c", "exit 0|/not/there|' "$WORK/image/manifest"
tar -C "$WORK/image" --owner=0 --group=0 -cf "$WORK/none.aci" manifest rootfs
run_tripod run "$WORK/none.aci" --exec=/bin/echo -- never
is 'a pre-start that is not there is a program that is not' "$status" 203
like 'and says so' "$err" 'Unable to open "/not/there"'

# a post-stop that is not there, of an app whose stderr nobody reads before it has ended
make_image "$WORK/full.aci" full 'exit 0' 'exit 0'
sed -i 's|post-stop", "exec": \["/bin/sh", "-c", "exit 0|post-stop", "exec": ["/not/there|' \
	"$WORK/image/manifest"
tar -C "$WORK/image" --owner=0 --group=0 -cf "$WORK/full.aci" manifest rootfs
mkfifo "$WORK/stderr"
# shellcheck disable=SC2016 # for the shell in the pod
TRIPOD_TEST=$WORK timeout -k 5 "$LIMIT" "$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none \
	"$WORK/full.aci" --exec=/bin/sh -- -c 'cat /dev/zero >&2 &
	same=0
	while [ $same -lt 8 ]; do
		now=$(cut -d" " -f3,14,15 /proc/$!/stat)
		[ "$now" = "S${last#S}" ] && same=$((same + 1)) || same=0
		last=$now; sleep 0.2
	done; echo full' >"$WORK/stdout" 2>"$WORK/stderr" </dev/null &
pod=$!
exec 5<"$WORK/stderr"
until [ -s "$WORK/stdout" ] || ! kill -0 $pod 2>/dev/null; do sleep 0.1; done
is 'its stderr is full when it ends' "$(cat "$WORK/stdout")" full
cat <&5 >/dev/null &
wait $pod
is 'and init does not wait for itself to read it' "$?" 0
exec 5<&-

# readiness
cat >"$WORK/main.py" <<'EOM'
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
def say(text): s.send(text.encode())
print("watchdog", os.environ.get("WATCHDOG_USEC"), "uid", os.getuid(), flush=True)
sys.stdin.readline()
say("STATUS=half\nREADY=0")
sys.stdin.readline()
say("READY=1\nSTATUS=whole\x07\nEXTEND_TIMEOUT_USEC=5\nMAINPID=1")
while sys.stdin.readline(): say("WATCHDOG=1")
EOM
cat >"$WORK/manager.py" <<'EOM'
# A service manager: starts the command with fed stdin and shows what it is notified of
import os, queue, socket, subprocess, sys, threading
path = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(path)
env = dict(os.environ, NOTIFY_SOCKET=path, WATCHDOG_USEC="200000")
p = subprocess.Popen(sys.argv[2:], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
told = queue.Queue()
def listen():  # all the time: who tells does not wait for who does not listen
    while True:
        told.put(s.recv(4096).decode())
threading.Thread(target=listen, daemon=True).start()
def until(word):
    seen = []
    while True:
        text = told.get(timeout=200)
        seen.append(text)
        if word in text:
            return seen
def link():
    d = os.environ["PODS"]
    return [os.readlink(os.path.join(d, u, "stage1/rootfs/rkt/supervisor-status"))
            for u in os.listdir(d)
            if os.path.islink(os.path.join(d, u, "stage1/rootfs/rkt/supervisor-status"))]
def feed(text="\n"):
    p.stdin.write(text.encode()); p.stdin.flush()
print("app:", p.stdout.readline().decode().strip())
feed()
print("early:", [t for t in until("STATUS=half") if t != "WATCHDOG=1"], link())
feed()
seen = until("STATUS=whole")
if not any("READY=1" in t for t in seen):
    seen += until("READY=1")
print("late:", sorted(x for t in seen for x in t.split("\n") if x and x != "WATCHDOG=1"))
print("link:", link())
feed()
# it was fed once; now it is silent, and so are we after a while
until("WATCHDOG=1")
try:
    for _ in range(1000):
        told.get(timeout=2)
except queue.Empty:
    print("silent")
for _ in range(4000):  # once may be too late for a busy machine
    feed()
    try:
        print("fed:", told.get(timeout=0.05))
        break
    except queue.Empty:
        pass
p.stdin.close()
print("end:", p.wait())
EOM
PODS="$DATA/pods/run"
export PODS
run_tripod gc --grace-period=0s
run python3 "$WORK/manager.py" "$WORK/notify" "$TRIPOD" --dir="$DATA" --insecure-options=image \
	run --interactive --uuid-file-save="$WORK/uuid" "$IMAGES/python3.aci" --user=1000 --group=1000 \
	--annotation=appc.io/executor/supports-systemd-notify=true \
	--exec=/usr/bin/python3 -- -c "$(cat "$WORK/main.py")"
is 'the manager comes to its end' "$status" 0
like 'the app is told of the watchdog, whoever its user is' "$out" '^app: watchdog 200000 uid 1000$'
like 'until the app says so the pod is not ready' "$out" "^early: \\['STATUS=half.n'\\] \\[\\]\$"
like 'then it is; what concerns the pod alone is not passed on' "$out" \
	"^late: \\['EXTEND_TIMEOUT_USEC=5', 'READY=1', 'STATUS=whole\\?'\\]\$"
like 'and shows it' "$out" "^link: \\['ready'\\]\$"
like 'an app that feeds its watchdog no more feeds ours no more' "$out" '^silent$'
like 'until it does' "$out" '^fed: WATCHDOG=1$'
like 'it ends as any' "$out" '^end: 0$'

run_tripod run --uuid-file-save="$WORK/uuid" "$IMAGES/busybox.aci" --exec=/bin/true \
	--annotation=appc.io/executor/supports-systemd-notify=true
is 'an app that ends without having been ready is an app that ends' "$status" 0
is 'and the pod was not ready' "$(ls "$DATA/pods/run/$(cat "$WORK/uuid")/stage1/rootfs/rkt")" \
	"$(printf 'log\nstatus')"

run_tripod gc --grace-period=0s
no_leaks 'nothing is left'
done_testing
