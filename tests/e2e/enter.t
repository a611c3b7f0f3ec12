#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A pod of two apps from its preparation to its end: logs, enter, stop, status --wait (rkt-behaviour
# 2.10, 2.11).
. tests/e2e/tap.sh
. tests/e2e/manager.sh
need_kvm
need_command python3

run_tripod prepare --set-env=WHO=pod "$IMAGES/busybox.aci" --name=web --user=1000 --group=1000 \
	--caps-retain=CAP_NET_BIND_SERVICE,CAP_KILL --exec=/bin/sh \
	-- -c 'trap "echo asked; exit 0" TERM; echo up; echo to stderr >&2; sleep 100000 & wait' \
	--- "$IMAGES/busybox.aci" --name=db --exec=/bin/sleep -- 1000
uuid=$out
is 'the pod is prepared' "$status" 0
start_manager
{
	NOTIFY_SOCKET=$WORK/notify WATCHDOG_USEC=20000000 TRIPOD_TEST=$WORK \
		"$TRIPOD" --dir="$DATA" run-prepared --net=none "$uuid" >"$WORK/pod.out" 2>"$WORK/pod.err" \
		</dev/null
	echo $? >"$WORK/pod.status"
} &
pod=$!
run_tripod enter --app=web "$uuid" true
unlike 'enter in a pod that is not ready either works or says why' "$status: $err" '^254: $'
run_tripod status --wait-ready="${LIMIT}s" "$uuid"
is 'it becomes ready' "$status" 0
ok 'a service manager is told' wait_for grep -qx READY=1 "$WORK/told"

# A pod whose app does not listen, beside all that follows: it is killed after its time, which is long.
(
	TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none \
		--uuid-file-save="$WORK/deaf.uuid" "$IMAGES/busybox.aci" --name=deaf --exec=/bin/sh \
		-- -c 'trap "" TERM; echo up; exec sleep 10000' >"$WORK/deaf.out" 2>"$WORK/deaf.err" &
	wait_for has_line "$WORK/deaf.out" '^up'
	asked=$(date +%s)
	TRIPOD_TEST=$WORK timeout "$LIMIT" "$TRIPOD" --dir="$DATA" stop --uuid-file="$WORK/deaf.uuid"
	finish $!
	echo "$? $(($(date +%s) - asked))" >"$WORK/deaf.end"
) >"$WORK/deaf.log" 2>&1 &
deaf=$!

# logs
has_logs()
{
	run_tripod logs "$uuid"
	[ -n "$out" ] && [ -n "$err" ]
}
wait_for has_logs
TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" logs -f "$uuid" >"$WORK/follow.out" 2>"$WORK/follow.err" &
follower=$!
is 'logs shows what an app has written, with its name' "$out" 'web: up'
is 'stderr is told from stdout' "$err" 'web: to stderr'
run_tripod logs --app=web --timestamps "$uuid"
like 'of one app, with times' "$out" '^2[0-9]{3}-[0-9-]{5}T[0-9:]{8}\.[0-9]{9}Z up$'
run_tripod logs --app=db "$uuid"
is 'another has written nothing' "$status $out" '0 '
run_tripod logs --app=none "$uuid"
like 'an app that is not is refused' "$err" '^logs: the pod has no app "none"'
run_tripod logs --tail=x "$uuid"
is '--tail wants a number' "$status" 254
run_tripod logs --tail=0 "$uuid"
is '--tail=0 shows nothing' "$status $out" '0 '

enter()
{
	run_tripod enter --app=web "$uuid" "$@"
}

# stream KEY: what the command said for it
said()
{
	printf '%s\n' "$out" | sed -n "s/^$1=//p"
}

# shellcheck disable=SC2016 # for the guest
enter /bin/sh -c 'echo id=$(id -u):$(id -g):$(id -G); echo pwd=$(pwd); echo who=$WHO
	echo app=$AC_APP_NAME; echo term=$TERM; echo "args=$# $1|$2"
	sed -n "s/^CapBnd:\t/bnd=/p; s/^CapEff:\t/eff=/p" /proc/self/status
	echo err >&2; echo fds=$(ls /proc/self/fd | tr "\n" " "); exit 7' sh 'a b' --app=x
is 'the status is the command'"'"'s' "$status" 7
is 'it is root, without groups of others' "$(said id)" 0:0:0
is 'in the root of the app' "$(said pwd)" /
is "with the app's environment" "$(said who) $(said app)" 'pod web'
is 'arguments come through as they are' "$(said args)" '2 a b|--app=x'
is "its bounding set is the app's" "$(said bnd)" 0000000000000420
is 'and it has no capability more' "$(said eff)" 0000000000000420
is 'stderr is told from stdout' "$err" err
is 'no descriptor but the streams (and that of ls)' "$(said fds)" '0 1 2 3'
# shellcheck disable=SC2016 # for the guest
TERM=dumb enter /bin/sh -c 'echo $TERM'
is 'TERM is ours' "$out" dumb
enter /bin/sh -c 'kill -9 $$'
is 'a signal that kills it is told' "$status" 137
enter /no/such
is 'a command that is not there' "$status" 203
like 'is told' "$err" 'Unable to open "/no/such": No such file'
enter
is 'without a command it is bash' "$status" 203
like 'which is announced' "$err" '^enter: no command is given, assuming "/bin/bash"'
enter /bin/sh -c 'mount -o remount,ro /; exit $?'
is 'what the app'\''s filter forbids ends the command, by SIGSYS' "$status" 159
enter sed -n 's/^\(NoNewPrivs\|Seccomp\):.//p' /proc/self/status
is 'the filter of system calls is the app'\''s, and so is the promise to gain nothing' \
	"$(echo "$out" | tr '\n' ' ')" '1 2 '
enter touch /sys/kernel/x /proc/sys/kernel/core_pattern
like 'what is read only to the app is so to it' "$err" 'core_pattern: Read-only file system'
# shellcheck disable=SC2016 # for the guest
run_tripod enter --app=db "$uuid" /bin/sh -c 'echo $AC_APP_NAME; touch /only-db'
is 'the other app is another root' "$out" db
enter ls /only-db
is 'which the first does not see' "$status" 1

# mistakes
run_tripod enter "$uuid" true
is 'of several apps one must be named' "$status" 254
like 'and they are listed' "$err" 'several apps.*web, db'
run_tripod enter --app=none "$uuid" true
like 'an unknown app is refused' "$err" '^enter: the pod has no app "none", only web, db'
run_tripod enter
is 'enter without a pod is a usage error' "$status" 254
enter /bin/echo "$(head -c 70000 /dev/zero | tr '\0' x)"
like 'a command that is too long is refused' "$err" 'too long'

# streams
head -c 300000 /dev/urandom >"$WORK/blob"
TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" enter --app=web "$uuid" cat <"$WORK/blob" >"$WORK/copy"
ok 'bytes go in and come out as they were' cmp -s "$WORK/blob" "$WORK/copy"
# shellcheck disable=SC2094 # not a pipeline's file
TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" enter --app=web "$uuid" yes 2>"$WORK/yes.err" | head -n 3 \
	>"$WORK/yes"
is 'a reader that leaves ends the writer' "$(tr '\n' ' ' <"$WORK/yes")" 'y y y '
enter /bin/sh -c 'sleep 600 & echo done'
is 'what it leaves behind does not hold it' "$status $out" '0 done'

# many at once
cat >"$WORK/many.py" <<'EOM'
"""20 commands that all wait for a word at the same time, then get it."""
import subprocess, sys

all = [subprocess.Popen([*sys.argv[1:], "/bin/sh", "-c", "echo up; read x; echo $x; exit %d" % n],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE) for n in range(20)]
up = [p.stdout.readline() for p in all]
good = 0
for n, p in enumerate(all):
    out, _ = p.communicate(b"word%d\n" % n, timeout=200)
    good += up[n] == b"up\n" and out == b"word%d\n" % n and p.returncode == n
print(good)
EOM
run python3 "$WORK/many.py" "$TRIPOD" --dir="$DATA" enter --app=db "$uuid"
is '20 at once have their own streams and statuses' "$out" 20

# a client that dies takes its command along
TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" enter --app=web "$uuid" sleep 777 &
client=$!
running()
{
	enter /bin/sh -c 'cat /proc/[0-9]*/cmdline | tr "\0" " " | grep -c "sleep 77[7]"'
	[ "$out" = "$1" ]
}
ok 'a command runs' wait_for running 1
kill -KILL $client
ok 'and ends with its client' wait_for running 0
TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" enter --app=web "$uuid" sleep 777 &
client=$!
ok 'another runs' wait_for running 1
kill -TERM $client
finish $client
is 'a signal is passed on' "$?" 143

# a terminal
cat >"$WORK/drive.py" <<'EOM'
import fcntl, os, re, select, signal, struct, subprocess, sys, termios, time

def size(rows, columns):
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

master, slave = os.openpty()
size(31, 97)
before = termios.tcgetattr(slave)
process = subprocess.Popen(sys.argv[1:], stdin=slave, stdout=slave, stderr=slave,
                           start_new_session=True,
                           preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

def expect(pattern, limit=200):
    text, end = "", time.monotonic() + limit
    while not re.search(pattern, text):
        ready, _, _ = select.select([master], [], [], max(0, end - time.monotonic()))
        if not ready:
            break
        text += os.read(master, 65536).decode(errors="replace")
    return text

def ask(command, pattern):
    os.write(master, command.encode() + b"\n")
    return expect(pattern)

def say(good, name):
    print("%s: %s" % ("yes" if good else "no", name))

say(re.search("[#$] ", expect("[#$] ")), "prompt")
say(not termios.tcgetattr(slave)[3] & termios.ICANON, "raw")
text = ask("tty; stty size; echo one >/dev/tty; echo =1", "\n=1\r\n")
say(re.search("/dev/pts/[0-9]+\r\n31 97\r\none\r\n", text), "terminal")
size(44, 123)
process.send_signal(signal.SIGWINCH)
for _ in range(20):
    text = ask("stty size; echo =2", "\n=2\r\n")
    if "44 123" in text:
        break
say("44 123" in text, "resize")
text = ask("echo go; sleep 5000", "\ngo\r\n")
for _ in range(40):  # the shell may just be about to start it
    os.write(master, b"\x03echo =3\n")
    text = expect("\n=3\r\n", 5)
    if "\n=3\r\n" in text:
        break
say("\n=3\r\n" in text, "interrupt")
text = ask("top", "(?i)cpu.*(?s:.*)PID")
say("PID" in text, "top")
os.write(master, b"q")
say("=4" in ask("\necho =4", "\n=4\r\n"), "quit")
ask("sh -c 'exit 9'", "[#$] ")
os.write(master, b"\x04")
say(process.wait(200) == 9, "end of input, and the status")
say(termios.tcgetattr(slave) == before, "our terminal as it was")
EOM
LIMIT=900
run python3 "$WORK/drive.py" "$TRIPOD" --dir="$DATA" enter --app=web "$uuid" /bin/sh
for name in prompt raw terminal resize interrupt top quit 'end of input, and the status' \
	'our terminal as it was'; do
	ok "a shell on a terminal: $name" grep -qx "yes: $name" "$WORK/out"
done

# the end
(
	TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" enter --app=db "$uuid" sleep 1000 2>"$WORK/last.err"
	echo $? >"$WORK/last"
) &
last=$!
TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" status --wait "$uuid" >"$WORK/waited" 2>&1 &
waiter=$!
run_tripod stop "${uuid%%-*}"
is 'stop ends the pod' "$status $out" "0 \"$uuid\""
finish "$pod"
like 'its apps were asked' "$(cat "$WORK/pod.out")" '^web: asked$'
finish "$waiter"
finish "$last"
is 'the manager was told all of it, once' "$(grep -v WATCHDOG "$WORK/told" | tr '\n' ' ')" \
	'READY=1 STOPPING=1 '
ok 'and that the pod lives' grep -qx WATCHDOG=1 "$WORK/told"
end_manager
finish "$follower"
is 'logs -f ends with the pod' "$?" 0
is 'and has shown all of it' "$(cat "$WORK/follow.out")" "$(printf 'web: up\nweb: asked')"
run_tripod logs --tail=1 --app=web "$uuid"
is 'logs of a pod that has ended: the last line' "$out" asked
is 'its status is that of the app that failed first' "$(cat "$WORK/pod.status")" 143
like 'status --wait saw the end' "$(cat "$WORK/waited")" '^state=exited$'
like 'with the statuses of the apps' "$(cat "$WORK/waited")" '^app-web=0$'
ok 'a command in it has failed or was killed' grep -Eqx '254|143|137' "$WORK/last"
enter true
is 'enter in a pod that has ended fails' "$status" 254
like 'and says so' "$err" "^enter: pod \"$uuid\" is not running, but exited"
run_tripod rm "$uuid"
is 'the pod can be removed at once' "$status" 0

# killed
"$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none --uuid-file-save="$WORK/uuid" \
	"$IMAGES/busybox.aci" --exec=/bin/sleep -- 1000 2>/dev/null &
pod=$!
wait_for test -s "$WORK/uuid"
run_tripod status --wait-ready="${LIMIT}s" --uuid-file="$WORK/uuid"
run_tripod stop --force --uuid-file="$WORK/uuid"
is 'stop --force ends a pod' "$status" 0
finish $pod 2>/dev/null
is 'its run was killed' "$?" 137
run_tripod status --uuid-file="$WORK/uuid"
like 'its app has a status' "$out" '^app-busybox=137$'
LIMIT=240
finish $deaf
like 'an app that does not end is killed, no earlier than after 90 seconds' "$(cat "$WORK/deaf.end")" \
	'^137 (89|9[0-9]|[0-9]{3,})$'
like 'which is told' "$(cat "$WORK/deaf.err")" 'the apps did not end within 90 s; killing them'
run_tripod status --uuid-file="$WORK/deaf.uuid"
like 'and is its status' "$out" '^app-deaf=137$'
run_tripod gc --grace-period=0s
no_leaks 'nothing is left'
done_testing
