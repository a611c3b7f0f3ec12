#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run --interactive on a terminal: a real one in the app, its size, its modes, and ours afterwards.
. tests/e2e/tap.sh
need_kvm
need_command python3

cat >"$WORK/drive.py" <<'EOM'
import fcntl, os, pty, re, select, signal, struct, subprocess, sys, termios, time

def size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

def start(*command):
    """The command on a terminal of its own."""
    master, slave = os.openpty()
    size(slave, 31, 97)
    before = termios.tcgetattr(slave)
    process = subprocess.Popen([*sys.argv[1:], *command], stdin=slave, stdout=slave, stderr=slave,
                               start_new_session=True,
                               preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    return process, master, slave, before

def expect(master, pattern, limit=400):
    """What the terminal shows up to pattern."""
    text, end = "", time.monotonic() + limit
    while not re.search(pattern, text):
        ready, _, _ = select.select([master], [], [], max(0, end - time.monotonic()))
        if not ready:
            break
        text += os.read(master, 65536).decode(errors="replace")
    return text

count = 0
def ok(good, name, text=""):
    global count
    count += 1
    print("%sok %d - %s" % ("" if good else "not ", count, name))
    if not good:
        print("#", repr(text[-200:]))

process, master, slave, before = start("--exec=/bin/sh")
text = expect(master, r"[#$] ")
ok(re.search(r"[#$] ", text), "a shell prompts", text)
raw = termios.tcgetattr(slave)
ok(not raw[3] & (termios.ECHO | termios.ICANON), "our terminal is raw while it runs")

def ask(command, pattern):
    os.write(master, command.encode() + b"\n")
    return expect(master, pattern)

text = ask("stty size; echo =1", r"\n=1\r\n")
ok("31 97" in text, "the app's terminal has our size", text)
text = ask("tty; test -t 0 && test -t 1 && test -t 2 && echo =2", r"\n=2\r\n")
ok("/dev/pts/0" in text, "all three streams are a terminal in /dev/pts", text)
text = ask("echo one >/dev/tty; echo =3", r"\n=3\r\n")
ok("\none\r\n" in text, "it is the controlling terminal", text)
size(slave, 44, 123)
process.send_signal(signal.SIGWINCH)
for _ in range(200):
    text = ask("stty size; echo =4", r"\n=4\r\n")
    if "44 123" in text:
        break
    time.sleep(0.2)
ok("44 123" in text, "a new size comes through", text)
ask("echo go; sleep 5000", r"\ngo\r\n")
for _ in range(40):  # the shell may just be about to start it
    os.write(master, b"\x03echo =5\n")
    text = expect(master, r"\n=5\r\n", 5)
    if "\n=5\r\n" in text:
        break
ok("\n=5\r\n" in text, "^C interrupts what runs in the foreground, not the pod", text)
os.write(master, b"seq 1 3000 >/tmp/x; cat /tmp/x; exit 9\n")
text = expect(master, r"\n3000\r\n")
ok("\n1234\r\n" in text and text.endswith("\n3000\r\n"), "output just before the end arrives",
   text[-100:])
ok(process.wait(400) == 9, "the app's status comes back", str(process.returncode))
ok(termios.tcgetattr(slave) == before, "our terminal is as it was")

# The modes are restored also when it ends otherwise.
process, master, slave, before = start("--exec=/bin/sh", "--", "-c", "echo up; exec sleep 1000")
text = expect(master, r"up\r\n")
ok("up\r\n" in text and not termios.tcgetattr(slave)[3] & termios.ICANON, "raw again", text)
process.send_signal(signal.SIGTERM)
ok(process.wait(400) != 0, "SIGTERM ends it")
ok(termios.tcgetattr(slave) == before, "our terminal is as it was after SIGTERM")
print("1..%d" % count)
EOM
exec_status=0
TRIPOD_TEST=$WORK timeout 1200 python3 "$WORK/drive.py" "$TRIPOD" --dir="$DATA" \
	--insecure-options=image run --net=none --interactive "$IMAGES/busybox.aci" </dev/null || exec_status=$?
[ $exec_status -eq 0 ] || bail "the driver ended with $exec_status"
