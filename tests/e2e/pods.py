# SPDX-License-Identifier: Apache-2.0
"""pods.py PODS BOOTING WORK TRIPOD...: many pods through their whole life at the same time, TAP on stdout.

TRIPOD... is the command with its global options; images are in the environment, IMAGE. While pods are
prepared, run, stopped and collected, "list" runs again and again: no pod may be missing or in a state
that does not follow from the last one. At most BOOTING pods boot at a time, and then all run: where guest
kernel mode is emulated, the timer interrupts of many guests that boot are more than two processors
can deliver, of fewer yet where others want the processors, too.
"""
import collections
import json
import os
import subprocess
import sys
import threading
import time

pods, booting, work, tripod = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
LIMIT = 240 + 60 * pods  # seconds for any one step: all boot on one or two processors
ORDER = ["preparing", "prepared", "running", "exited", "exited garbage", "exited deleting"]
KINDS = 4  # ways to end: stop, stop --force, SIGTERM, the app by itself
SLEEP, WAIT = ["/bin/sleep", "--", "100000"], \
    ["/bin/sh", "--", "-c", "while [ ! -e /end ]; do sleep 1; done; exit 7"]
ENDS = [(143, 143), (-9, 137), (143, 143), (7, 7)]  # the process' status, and the app's

count = 0


def ok(good, name, why=""):
    global count
    count += 1
    print("%sok %d - %s" % ("" if good else "not ", count, name), flush=True)
    if not good:
        print("# " + str(why)[:2000].replace("\n", "\n# "), flush=True)


def start(*args, **more):
    return subprocess.Popen([*tripod, *args], stdin=subprocess.DEVNULL, **more)


def run(*args):
    return subprocess.run([*tripod, *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=LIMIT)


def all_of(commands):
    """Run commands at the same time; their (status, stdout, stderr)."""
    started = [start(*c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for c in commands]
    results = []
    for process in started:
        out, err = process.communicate(timeout=LIMIT)
        results.append((process.returncode, out, err))
    return results


class Lister(threading.Thread):
    """Looks at all pods all the time."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen, self.wrong, self.turns, self.end = {}, [], 0, False
        self.must_be_there = set()  # pods that are not being collected

    def look(self):
        expected = set(self.must_be_there)
        result = run("list", "--full", "--format=json")
        if result.returncode != 0 or result.stderr:
            self.wrong.append("list: %d, %s" % (result.returncode, result.stderr))
            return
        found = json.loads(result.stdout) or []
        for pod in found:
            before, now = self.seen.get(pod["name"], ORDER[0]), pod["state"]
            if now not in ORDER or ORDER.index(now) < ORDER.index(before):
                self.wrong.append("%s: %s after %s" % (pod["name"], now, before))
            else:
                self.seen[pod["name"]] = now
        for name in expected & self.must_be_there - {pod["name"] for pod in found}:
            self.wrong.append("%s is missing" % name)
        self.turns += 1

    def run(self):
        while not self.end:
            try:
                self.look()
            except Exception as e:  # whatever it is, it is wrong
                self.wrong.append(repr(e))
            time.sleep(0.2)


def states():
    found = json.loads(run("list", "--format=json").stdout) or []
    return dict(collections.Counter(pod["state"] for pod in found))


begin = time.monotonic()


def took():
    global begin
    before, begin = begin, time.monotonic()
    return "# %.1f s" % (begin - before)


lister = Lister()
lister.start()

# all are prepared at once
commands = []
for n in range(pods):
    command = WAIT if n % KINDS == 3 else SLEEP
    commands.append(["prepare", "--quiet", os.environ["IMAGE"], "--name=app",
                     "--exec=" + command[0], *command[1:]])
results = all_of(commands)
uuids = [out.strip() for _, out, _ in results]
ok(all(r == 0 for r, _, _ in results) and len(set(uuids)) == pods,
   "pods are prepared at the same time", results)
ok(states() == {"prepared": pods}, "and all are prepared", states())
lister.must_be_there |= set(uuids)
print(took())

# and run at once
processes, waiting = [], []
for uuid in uuids:
    while sum(p.poll() is None for p in waiting) >= booting:
        time.sleep(0.05)
    processes.append(start("run-prepared", "--net=none", uuid, stdout=subprocess.DEVNULL,
                           stderr=open("%s/%s.err" % (work, uuid), "w")))
    waiting.append(start("status", "--wait-ready=%ds" % LIMIT, uuid, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True))
results = [(*p.communicate(timeout=LIMIT), p.returncode) for p in waiting]
results = [(r, out, err) for out, err, r in results]
ok(all(r == 0 for r, _, _ in results), "all become ready", [r for r in results if r[0]])
ok(states() == {"running": pods}, "and all run", states())
pids = [dict(line.split("=", 1) for line in out.splitlines()).get("pid") for _, out, _ in results]
ok(pids == [str(p.pid) for p in processes], "each in the process that was started", pids)
print(took())

# one does not get in the way of another
results = all_of([["enter", uuid, "/bin/sh", "-c", "echo $0", uuid] for uuid in uuids[:8]])
ok([out.strip() for _, out, _ in results] == uuids[:8], "each can be entered", results)
result = run("gc", "--grace-period=0s", "--expire-prepared=0s")
ok(result.returncode == 0 and states() == {"running": pods}, "gc leaves them alone", result)
result = run("rm", *uuids)
ok(result.returncode == 254 and states() == {"running": pods}, "so does rm", result)

# all end at once, each in its way
commands, mine = [], []
for n, uuid in enumerate(uuids):
    if n % KINDS == 0:
        commands.append(["stop", uuid])
    elif n % KINDS == 1:
        commands.append(["stop", "--force", uuid])
    elif n % KINDS == 2:
        processes[n].terminate()
    else:
        commands.append(["enter", uuid, "/bin/touch", "/end"])
results = all_of(commands)
ok(all(r == 0 for r, _, _ in results), "they are stopped", [r for r in results if r[0]])
ends = [p.wait(LIMIT) for p in processes]
ok(ends == [ENDS[n % KINDS][0] for n in range(pods)], "each run has its status", ends)
ok(states() == {"exited": pods}, "all have exited", states())
results = all_of([["status", uuid] for uuid in uuids])
codes = [[line for line in out.splitlines() if line.startswith("app-")] for _, out, _ in results]
ok(codes == [["app-app=%d" % ENDS[n % KINDS][1]] for n in range(pods)], "each app has its own",
   codes)
print(took())

# and are collected, some by rm, the others by collectors that get into each other's way
lister.must_be_there.clear()
results = all_of([["rm", uuid] for uuid in uuids[::3]])
ok([(r, out) for r, out, _ in results] == [(0, '"%s"\n' % uuid) for uuid in uuids[::3]],
   "rm takes a third away", results)
results = all_of([["gc", "--grace-period=0s"]] * 4)
ok(all(r == 0 for r, _, _ in results), "four collectors at once all do well", results)
collected = sorted(line.split('"')[1] for _, out, _ in results for line in out.splitlines())
ok(collected == sorted(set(uuids) - set(uuids[::3])), "each pod is collected once", collected)
ok(states() == {}, "no pod is left", states())
print(took())

lister.end = True
lister.join(LIMIT)
ok(lister.turns > 3 and not lister.wrong and not lister.is_alive(), "list was right at any time",
   lister.wrong[:10])
ok(set(lister.seen) == set(uuids), "and has seen every pod", set(uuids) ^ set(lister.seen))
print("# list ran %d times" % lister.turns)
print("COUNT %d" % count)
