# SPDX-License-Identifier: Apache-2.0
# Requests to a mutable pod's control.sock that no stage1 makes; each must be answered with an error.
import array
import json
import os
import socket
import struct
import sys
import tempfile

MAGIC = 0x7070616d


def ask(line, fds=()):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(120)
    s.connect(os.path.basename(sys.argv[1]))
    anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    s.sendmsg([line.encode() + b"\n"], anc)
    answer = b""
    while not answer.endswith(b"\n"):
        part = s.recv(4096)
        if not part:
            break
        answer += part
    s.close()
    return json.loads(answer)


def file(data):
    f = tempfile.TemporaryFile()
    f.write(data)
    f.flush()
    return os.open("/proc/self/fd/%d" % f.fileno(), os.O_RDONLY)


def head(volumes=0, records=0, log=0, magic=MAGIC, streams=(0, 0, 0), stop=15, shares=0):
    return struct.pack("<IIIII4BII", magic, volumes, records, log, 0, *streams, 0, stop, shares)


# A PLAN_VOLUME record: one of the host's, by the number of its share.
def volume(share):
    return struct.pack("<HHIIIIHBB", 10, 0, 16, 0, 0, 0, share, 1, 0)


def main():
    os.chdir(os.path.dirname(sys.argv[1]))
    with open("measurements", "rb") as f:
        launch = f.read()
    image = file(b"x" * 8192)
    records = struct.pack("<HHI", 18, 0, 3) + b"/sh"
    null = os.open("/dev/null", os.O_RDONLY)
    pipe = os.pipe()[0]
    writable = os.open("/tmp", os.O_TMPFILE | os.O_RDWR)
    os.write(writable, b"x" * 4096)
    bad = {
        "no descriptors": ("app-add bad", []),
        "no disk": ("app-add bad", [file(head())]),
        "no name": ("app-add ", [file(head()), image]),
        "a path": ("app-add ../x", [file(head()), image]),
        "no description": ("app-add bad", [file(b""), image]),
        "a pipe": ("app-add bad", [pipe, image]),
        "a device": ("app-add bad", [null, image]),
        "no signal": ("app-add bad", [file(head(stop=65)), image]),
        "other magic": ("app-add bad", [file(head(magic=1)), image]),
        "too short": ("app-add bad", [file(head(records=100)), image]),
        "too long": ("app-add bad", [file(head() + b"more"), image]),
        "huge": ("app-add bad", [file(head(0xffffffff, 0xffffffff, 0xffffffff)), image]),
        "no log": ("app-add bad", [file(head(records=len(records)) + records), image]),
        "the launch's log": ("app-add bad", [file(
            head(records=len(records), log=len(launch)) + records + launch), image]),
        "no stream": ("app-add bad", [file(head(streams=(9, 0, 0))), image]),
        "metadata": ("app-metadata one", [image]),  # the pod has no such service
        "nobody": ("app-start nobody", []),
        "nothing": ("app-stop", []),
        "a free place": ("endpoints ", []),
        "a line": ("app-rm a b", []),
    }
    # a log of its own header alone is one: of 32 bytes, the last four of which say how many follow
    header = launch[:32 + struct.unpack_from("<I", launch, 28)[0]]
    wrong = []
    sockets = [*socket.socketpair(), *socket.socketpair()]
    for name, (line, fds) in bad.items():
        if "error" not in ask(line, fds):
            wrong.append(name)
    for fd, name in ((null, "a device as disk"), (pipe, "a pipe as disk"),
                     (writable, "a disk open for writing")):
        if "error" not in ask("app-add bad", [file(
                head(records=len(records), log=len(header)) + records + header), fd]):
            wrong.append(name)
    # volumes of the host
    ends = [s.fileno() for s in sockets]
    words = struct.pack("<Q", 1 << 32)
    vol = volume(0)

    def shares(n, volumes, features=words):
        return file(head(len(volumes), len(records), len(header), shares=n) + features * n +
                    volumes + records + header)

    for why, fds in {
        "a volume of the host has no server": [shares(0, vol), image],
        "volume of the host has no server": [shares(1, volume(1)), *ends[:2], image],
        "the app's volumes make no sense": [shares(1, vol + b"1234"), *ends[:2], image],
        "more than 8 volumes of the host": [shares(9, vol), *ends[:2], image],
        "there are no files of the app": [shares(2, vol), *ends[:2], image],
        "a volume's server is no socket": [shares(1, vol), ends[0], image, image],
        "the servers' life line is no socket": [shares(1, vol), image, ends[0], image],
        "the back end knows no virtio 1": [
            shares(1, vol, struct.pack("<Q", 0)), *ends[:2], image],
    }.items():
        answer = ask("app-add bad", fds)
        if why not in answer.get("error", ""):
            wrong.append("%s: %s" % (why, answer))
    # what only init can tell: an app of one record is no plan, and the pod goes on
    answer = ask("app-add bad", [file(
        head(records=len(records), log=len(header)) + records + header), image])
    if "plan: app without" not in answer.get("error", ""):
        wrong.append("no plan: %s" % answer)
    print("accepted: " + ", ".join(wrong) if wrong else "all refused")


main()
