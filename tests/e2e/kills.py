# SPDX-License-Identifier: Apache-2.0
"""kills.py KILLS WORK TRIPOD...: pods one of whose processes is killed at a random moment.

TRIPOD... is the command with its global options; IMAGE, in the environment, the image. The victim is
the process that was started (stage0, then the VMM) or one of its children (swtpm, passt, virtiofsd,
who waits to take networks away), the moment anything from the start of tripod to some time after the
app is up. After each kill: "list" and "gc" are right, and no process, TAP device, network namespace,
lease or lock is left. KILLS_SEED repeats a run, as far as the machine does; KILLS_SECONDS ends it early.
TAP on stdout.
"""
import collections
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

kills, work, tripod = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
seed = int(os.environ.get("KILLS_SEED") or random.SystemRandom().randrange(1 << 32))
print("# KILLS_SEED=%d" % seed, flush=True)
LIMIT = 300  # seconds for any one step
END = time.monotonic() + float(os.environ.get("KILLS_SECONDS") or "inf")
NETS = ["none", "user", "default"]
CHILDREN = ["swtpm", "passt", "virtiofsd", "run"]  # run: who waits to take networks away

lock = threading.Lock()
looking = threading.Lock()  # one at a time looks and collects: what it finds is not another's half work
wrong, victims = [], collections.Counter()
usual = None  # seconds a pod takes until its app is up, the latest measurement


def run(*args):
    return subprocess.run([*tripod, *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=LIMIT)


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return ""


def marked(mark):
    """Processes that carry the mark in their environment, or are in a pod's directory of ours."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if mark in read("/proc/%s/environ" % pid):
            found.append(int(pid))
    return found


def descendants(pid):
    """pid's children and theirs, by name."""
    children = collections.defaultdict(list)
    for other in filter(str.isdigit, os.listdir("/proc")):
        stat = read("/proc/%s/stat" % other)
        if stat:
            name, rest = stat[stat.index("(") + 1:].rsplit(")", 1)
            children[int(rest.split()[1])].append((name, int(other)))
    found, todo = [], [pid]
    while todo:
        for name, child in children[todo.pop()]:
            found.append((name, child))
            todo.append(child)
    return found


def traces():
    """What networks leave on the host: links, namespaces, leases."""
    found = set(os.listdir("/sys/class/net"))
    for directory in "/run/netns", "/var/lib/cni/networks/default":
        if os.path.isdir(directory):
            found |= set(directory + "/" + name for name in os.listdir(directory)
                         if name[0].isdigit() or name.startswith("cni-"))
    return found


def wait_until(condition):
    """Wait for what must come true; what is left of it otherwise."""
    end = time.monotonic() + LIMIT
    while True:
        left = condition()
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


def calibrate():
    """How long a pod takes here."""
    global usual
    begin = time.monotonic()
    process = subprocess.Popen([*tripod, "run", "--net=none", os.environ["IMAGE"], "--exec=/bin/sh",
                                "--", "-c", "echo up"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE)
    too_long = threading.Timer(LIMIT, process.kill)
    too_long.start()
    process.stdout.readline()
    usual = time.monotonic() - begin
    process.communicate(timeout=LIMIT)
    too_long.cancel()


def look(uuid, killed):
    """What list, gc and status make of a pod whose processes are gone."""
    problems = []
    result = run("list", "--full", "--format=json")
    if result.returncode != 0 or result.stderr:
        problems.append("list: %s" % result.stderr)
    states = {pod["name"]: pod["state"] for pod in json.loads(result.stdout or "[]") or []}
    # another's gc may have taken it away
    right = {"exited", "aborted prepare"} if killed == "self" else {"exited"}
    if uuid and states.get(uuid, "exited") not in right:
        problems.append("its state is %s" % states.get(uuid))
    result = run("gc", "--grace-period=0s")
    if result.returncode != 0:
        problems.append("gc: %s" % result.stderr)
    if uuid:
        result = run("status", uuid)
        if result.returncode == 0:
            problems.append("gc left it: %s" % result.stdout)
    return problems


def one(n, rng):
    """One pod, one kill."""
    mark = "KILLS_ROUND=%s.%d." % (work, n)
    uuid_file = "%s/uuid.%d" % (work, n)
    net, tpm = rng.choice(NETS), rng.choice(["on", "auto"])
    command = [*tripod, "run", "--net=" + net, "--tpm=" + tpm, "--uuid-file-save=" + uuid_file]
    if os.environ.get("SHARE"):
        command += ["--volume=share,kind=host,source=" + os.environ["SHARE"]]
    command += [os.environ["IMAGE"], "--name=app"]
    if os.environ.get("SHARE"):
        command += ["--mount=volume=share,target=/share"]
    command += ["--exec=/bin/sh", "--", "-c", "echo up; exec sleep 100000"]
    with open(uuid_file + ".err", "w") as err:
        begin = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err,
                                   env={**os.environ, "KILLS_ROUND": mark.split("=")[1]})
    try:
        kill_one(n, rng, process, begin, mark, uuid_file, "--net=%s --tpm=%s" % (net, tpm))
    finally:
        if process.poll() is None:
            process.kill()


def kill_one(n, rng, process, begin, mark, uuid_file, what):
    # half of the moments are in the first tenth: that is where everything starts
    moment = usual * (rng.random() * 0.1 if rng.random() < 0.5 else rng.random() * 1.2)
    wanted = rng.choice(["self", "self", *CHILDREN])
    up = threading.Event()

    def watch():
        global usual
        if process.stdout.readline():
            usual = time.monotonic() - begin
            up.set()
    watcher = threading.Thread(target=watch)
    watcher.start()
    time.sleep(moment)
    found = descendants(process.pid)
    victim = [pid for name, pid in found if name.startswith(wanted)]
    pid = victim[0] if victim else process.pid
    name = wanted if victim else "self"
    told = "round %d, %s at %.3f of %.3f s, %s: " % (n, name, moment, usual, what)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    with lock:
        victims[name if name != "self" else "VMM" if read(uuid_file) else "stage0"] += 1
    uuid = read(uuid_file)
    problems = []
    if pid != process.pid and process.poll() is None and uuid:
        # the pod goes on without it, or ends with a word; either way it can be stopped
        wait_until(lambda: not up.is_set() and process.poll() is None)
        result = run("stop", "--force", uuid)
        collected = process.poll() is not None and "no matches found" in result.stderr
        if result.returncode != 0 and not collected:
            problems.append("stop: %s" % result.stderr)
    try:
        process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        problems.append("it does not end")
        process.kill()
    watcher.join(LIMIT)
    left = wait_until(lambda: marked(mark))
    if left:
        problems.append("processes: %s" % [(p, read("/proc/%d/cmdline" % p)) for p in left])
    with looking:
        problems += look(uuid, name)
    if problems:
        with lock:
            wrong.append(told + "; ".join(problems) + "\n" + read(uuid_file + ".err"))


todo = iter(range(kills))


def worker():
    while True:
        with lock:
            n = next(todo, None)
        if n is None or time.monotonic() > END:
            return
        try:
            one(n, random.Random(seed * 1000003 + n))
        except Exception as e:  # a result, not the end of the others
            with lock:
                wrong.append("round %d: %r" % (n, e))


calibrate()
before = traces()
threads = [threading.Thread(target=worker) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
left = wait_until(lambda: traces() - before)
final = run("gc", "--grace-period=0s")
remains = [path for path, dirs, files in os.walk(os.environ["PODS_DIR"])
           if path.count("/") - os.environ["PODS_DIR"].count("/") >= 2]
print("# killed: %s" % ", ".join("%s %d" % pair for pair in victims.most_common()))
for good, name, why in [
        (not wrong, "%d kills: list and gc are right after each, no process is left" %
         sum(victims.values()), wrong),
        (not left, "no link, network namespace or lease is left", left),
        (final.returncode == 0, "gc succeeds at the end", final.stderr),
        (not remains, "and leaves no pod", remains)]:
    print(("" if good else "not ") + "ok - " + name)
    if not good:
        for line in (why if isinstance(why, list) else [why]):
            print("# " + str(line)[:1500].replace("\n", "\n# "))
