# SPDX-License-Identifier: Apache-2.0
"""Import an image with one call failing, for every call there is in turn:

    inject.py FAULTS.SO BASE WORK IMAGE COMMAND...

COMMAND imports (and renders) IMAGE when --dir=DIR and IMAGE take the places of @DIR and @IMAGE; BASE
is a data directory to start from each time. After each import with a failure

  - the command has either succeeded, or failed with its own exit status (254), never by a signal
    (but json-c does not survive an allocation that fails);
  - what the store shows is, byte for byte, what an undisturbed import shows: no half image;
  - the same import succeeds, and nothing is then missing;
  - a collection leaves nothing unfinished and no lock behind.

Of a kind of call that is made more often than MAX times, the first and the last ones and others at
even distances are taken. Each complaint is a line on stdout, with the kind and number to repeat it;
without any it prints how many failures there were.
"""
import os
import shutil
import struct
import subprocess
import sys

KINDS = ["write", "rename", "sync", "open", "create", "remove", "read", "stat", "process", "mmap",
         "lock", "malloc"]
KILL = 99
ALL = len(KINDS)
# by which a command may end
SIGNALS = {KILL: (-9,), KINDS.index("malloc"): (-6, -11)}
MAX = int(os.environ.get("FAULTS_MAX", "24"))
LIMIT = 60  # seconds for one command; it takes well under one


class Injector:
    def __init__(self, argv):
        self.preload, self.base, self.work, self.image, *self.command = argv
        self.dir = self.work + "/fault-data"
        self.counts = self.work + "/fault-counts"
        self.complaints = self.runs = 0

    def run(self, kind=0, number=0, faulty=True, command=None):
        with open(self.counts, "wb") as f:
            f.write(bytes(4096))
        env = dict(os.environ)
        if faulty:
            env.update(LD_PRELOAD=self.preload, FAULT_FILE=self.counts, FAULT_KIND=str(kind),
                       FAULT_NUMBER=str(number))
        argv = [word.replace("@DIR", self.dir).replace("@IMAGE", self.image)
                for word in command or self.command]
        try:
            done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return "no end", b""
        return done.returncode, done.stderr

    def fresh(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        # links: the store never changes a file
        subprocess.run(["cp", "-al", self.base, self.dir], check=True)

    def shown(self):
        """What is visible in the store, with the contents that must be the same every time."""
        found = {}
        cas = self.dir + "/cas"
        for top in ("layer", "imageManifest", "tree"):
            for path, _, files in os.walk(f"{cas}/{top}"):
                for name in files:
                    # how an image came in is told with times
                    with open(f"{path}/{name}", "rb") as f:
                        found[f"{path}/{name}"[len(cas):]] = f.read()
        return found

    def half(self, shown):
        """What is visible and yet not whole."""
        keys = {path.split("/")[2] for path in shown if path.startswith("/layer/")}
        for path in shown:
            if path.startswith("/imageManifest/") and path.rsplit("/", 1)[1] not in keys:
                yield "an image without its layer"
        for key in keys:
            files = {path.split("/")[3]: data for path, data in shown.items()
                     if path.startswith(f"/layer/{key}/")}
            if "layers" in files:
                for layer in files["layers"].decode().split():
                    if layer not in keys:
                        yield "an image without one of its layers"
            elif not {"data", "index", "skeleton"} <= files.keys():
                yield "half a layer"

    def complain(self, kind, number, what, stderr=b""):
        self.complaints += 1
        name = "kill" if kind == KILL else KINDS[kind]
        print(f"{name} {number}: {what} {stderr.decode(errors='replace').strip()[:300]}")

    def check(self, kind, number):
        self.runs += 1
        self.fresh()
        status, stderr = self.run(kind, number)
        if status not in (0, 254, *SIGNALS.get(kind, ())):
            self.complain(kind, number, f"ended with {status}", stderr)
        shown = self.shown()
        for path, data in shown.items():
            if self.whole.get(path) != data:
                self.complain(kind, number, f"{path} is not what it should be")
        for what in self.half(shown):
            self.complain(kind, number, what)
        if status == 0 and shown.keys() != self.whole.keys():
            self.complain(kind, number, "it succeeded, but something is missing")
        status, stderr = self.run(faulty=False)
        if status != 0:
            self.complain(kind, number, "then, undisturbed, it fails", stderr)
        elif self.shown() != self.whole:
            self.complain(kind, number, "then, undisturbed, the store is not what it should be")
        self.run(faulty=False, command=[self.command[0], "--dir=@DIR", "gc"])
        for place in ("tmp", "layerlocks", "filelocks"):
            if os.listdir(f"{self.dir}/cas/{place}"):
                self.complain(kind, number, f"a collection leaves something in cas/{place}")

    def main(self):
        self.fresh()
        status, stderr = self.run()
        if status != 0:
            sys.exit(f"inject.py: without a failure: {status} {stderr.decode()}")
        with open(self.counts, "rb") as f:
            counts = struct.unpack(f"<{ALL + 1}Q", f.read(8 * (ALL + 1)))
        self.whole = self.shown()
        for kind, count in [*enumerate(counts[:ALL]), (KILL, counts[ALL])]:
            if count <= MAX:
                numbers = range(1, count + 1)
            else:
                third = MAX // 3
                numbers = sorted({*range(1, third + 1), *range(count - third + 1, count + 1),
                                  *(third + count * i // third for i in range(third))})
            for number in numbers:
                self.check(kind, number)
        if self.complaints == 0:
            print(f"{self.runs} failures")


Injector(sys.argv[1:]).main()
