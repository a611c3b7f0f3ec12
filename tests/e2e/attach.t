#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# attach: apps whose streams are for clients that come and go (rkt-behaviour 2.18, 7.9).
. tests/e2e/tap.sh
need_kvm
need_command python3

run_tripod attach 0123
is 'without the experiment there is no attach' "$status" 254
like 'it is an unknown command' "$err" '^Error: unknown command "attach"'
run_tripod run "$IMAGES/busybox.aci" --stdin=stream
like 'nor are there options for it' "$err" 'unknown flag: --stdin'
export RKT_EXPERIMENT_ATTACH=true
run_tripod prepare "$IMAGES/busybox.aci" --stdin=log
like 'modes are checked' "$err" '^prepare: .*--stdin: unknown mode "log"'
run_tripod attach --mode=stdin,tty 0123
is 'a mode that is none is a usage error' "$status" 254

# shellcheck disable=SC2016 # for the guest
"$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none --uuid-file-save="$WORK/uuid" \
	"$IMAGES/busybox.aci" --name=echo --stdin=stream --stdout=stream --stderr=stream \
	--exec=/bin/sh \
	-- -c 'while read -r l; do [ "$l" != end ] || exit 0; echo "got $l"; echo "err $l" >&2; done' \
	--- "$IMAGES/busybox.aci" --name=term --stdin=tty --stdout=tty --stderr=tty --exec=/bin/sh \
	--- "$IMAGES/busybox.aci" --name=mute --stdin=null --stdout=null --exec=/bin/sh \
	-- -c 'echo heard; read -r l || echo told >&2; exec sleep 10000' \
	--- "$IMAGES/busybox.aci" --name=plain --exec=/bin/sh -- -c 'while [ ! -e /tmp/e ]; do sleep 1; done' \
	>"$WORK/pod.out" 2>"$WORK/pod.err" </dev/null &
pod=$!
wait_for test -s "$WORK/uuid"
uuid=$(cat "$WORK/uuid")
run_tripod status --wait-ready="${LIMIT}s" "$uuid"
is 'the pod is ready' "$status" 0

attach()
{
	run_tripod attach "$@" "$uuid"
}

attach
like 'of several apps one must be named' "$err" 'several apps.*echo, term, mute, plain'
attach --app=echo --mode=list
is 'list: streams' "$out" "$(printf 'stdin\nstdout\nstderr')"
attach --app=term --mode=list
is 'list: a terminal' "$out" "$(printf 'tty\ntty-in\ntty-out')"
attach --app=plain
is 'an app whose streams are not for clients' "$status" 254
like 'is told' "$err" 'app plain has no streams to attach to'
attach --app=echo --mode=tty
like 'nor is there a terminal where there are streams' "$err" 'app echo has no tty to attach to'

wait_for has_line "$WORK/pod.err" '^mute: told$'
is 'null: nothing is read, nothing is shown' "$(grep -c '^mute: ' "$WORK/pod.out")" 0
run_tripod logs --app=mute "$uuid"
is 'nor kept' "$out $err" ' told'

cat >"$WORK/drive.py" <<'EOM'
import fcntl, os, re, select, struct, subprocess, sys, termios, time

attach = sys.argv[1:]
count = 0

def say(good, name):
    print("%s: %s" % ("yes" if good else "no", name), flush=True)

def client(*options):
    return subprocess.Popen([*attach, *options, UUID], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

def expect(fd, pattern, limit=200):
    text, end = "", time.monotonic() + limit
    while not re.search(pattern, text):
        ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        if not ready:
            break
        data = os.read(fd, 65536)
        if not data:
            break
        text += data.decode(errors="replace")
    return text

UUID = attach.pop()
one = client("--app=echo")
one.stdin.write(b"a\n")
one.stdin.flush()
say(expect(one.stdout.fileno(), "\n") == "got a\n", "stdin and stdout")
say(expect(one.stderr.fileno(), "\n") == "err a\n", "stderr")
two = client("--app=echo", "--mode=stdout")
for _ in range(50):  # until the second is attached, too
    one.stdin.write(b"b\n")
    one.stdin.flush()
    expect(one.stdout.fileno(), "\n")
    if select.select([two.stdout], [], [], 1)[0]:
        break
say(expect(two.stdout.fileno(), "\n").startswith("got b\n"), "another client sees it, too")
two.stdin.close()
three = client("--app=echo", "--mode=stdin")
three.communicate(b"from three\n", timeout=200)
say(three.returncode == 0, "a client with input alone ends with it")
say("got from three\n" in expect(one.stdout.fileno(), "three\n"), "its input arrived")
one.kill()
one.wait()
four = client("--app=echo", "--mode=stdin,stdout")
four.stdin.write(b"again\n")
four.stdin.flush()
say("got again\n" in expect(four.stdout.fileno(), "again\n"), "the app outlives its clients")
four.stdin.write(b"end\n")
four.stdin.flush()
say(four.wait(200) == 0, "the end of the app's output ends its clients")
say(two.wait(200) == 0, "all of them")

master, slave = os.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
before = termios.tcgetattr(slave)
tty = subprocess.Popen([*attach, "--app=term", UUID], stdin=slave, stdout=slave, stderr=slave,
                       start_new_session=True,
                       preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
for _ in range(300):
    if not termios.tcgetattr(slave)[3] & termios.ICANON:
        break
    time.sleep(0.1)
for _ in range(20):
    os.write(master, b"stty size; tty; echo =1\n")
    text = expect(master, "\n=1\r\n")
    if "31 97" in text:
        break
say("31 97\r\n/dev/pts/" in text, "a terminal as large as ours")
os.write(master, b"echo go; sleep 5000\n")
expect(master, "\ngo\r\n")
for _ in range(40):  # the shell may just be about to start it
    os.write(master, b"\x03echo =2\n")
    text = expect(master, "\n=2\r\n", 5)
    if "\n=2\r\n" in text:
        break
say("\n=2\r\n" in text, "keys are the app's")
os.write(master, b"\x1d")
say(tty.wait(200) == 0, "but for the one that detaches")
say(termios.tcgetattr(slave) == before, "our terminal is as it was")
EOM
LIMIT=900
run python3 "$WORK/drive.py" "$TRIPOD" --dir="$DATA" attach "$uuid"
for name in 'stdin and stdout' stderr 'another client sees it, too' \
	'a client with input alone ends with it' 'its input arrived' 'the app outlives its clients' \
	"the end of the app's output ends its clients" 'all of them' 'a terminal as large as ours' \
	"keys are the app's" 'but for the one that detaches' 'our terminal is as it was'; do
	ok "$name" grep -qx "yes: $name" "$WORK/out"
done
run_tripod logs --app=echo "$uuid"
like 'what went to clients is in the log as well' "$out" '^got from three$'
is 'and not in the output of run' "$(cat "$WORK/pod.out" "$WORK/pod.err" | grep -c got)" 0
run_tripod stop --force "$uuid"
is 'the pod can be stopped' "$status" 0
finish $pod 2>/dev/null
attach --app=term
like 'attach to a pod that has ended fails' "$err" 'is not running, but exited'
run_tripod rm "$uuid"
no_leaks 'nothing is left'
done_testing
