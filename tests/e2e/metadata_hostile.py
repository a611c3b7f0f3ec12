# SPDX-License-Identifier: Apache-2.0
"""What no stage1 says of an app of a mutable pod for its metadata service (vmm/control.h)."""
import array
import json
import os
import socket
import struct
import sys
import tempfile


def ask(line, fds):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(120)
        sock.connect(os.path.basename(sys.argv[1]))
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
        sock.sendmsg([line.encode() + b"\n"], [rights] if fds else [])
        return json.loads(sock.makefile().readline())


def file(data):
    with tempfile.TemporaryFile() as temporary:
        temporary.write(data)
        temporary.flush()
        return os.open(f"/proc/self/fd/{temporary.fileno()}", os.O_RDONLY)


def main():
    os.chdir(os.path.dirname(sys.argv[1]))
    good = file(struct.pack("<II", 2, 2) + b"{}{}")
    refused = {
        "nothing": ("app-metadata one", []),
        "too much": ("app-metadata one", [good, good]),
        "a pipe": ("app-metadata one", [os.pipe()[0]]),
        "a device": ("app-metadata one", [os.open("/dev/null", os.O_RDONLY)]),
        "no app": ("app-metadata nobody", [good]),
        "no name": ("app-metadata ", [good]),
        "a path": ("app-metadata ../one", [good]),
    }
    # an empty file, sizes that are not the file's, no JSON, a manifest without the app
    useless = [b"", struct.pack("<II", 0xffffffff, 0xffffffff), struct.pack("<II", 9, 9) + b"{}{}",
               struct.pack("<II", 2, 2) + b"[[]]", struct.pack("<II", 2, 2) + b"{}{}"]
    wrong = [name for name, (line, fds) in refused.items() if "error" not in ask(line, fds)]
    wrong += [repr(data) for data in useless if "ok" not in ask("app-metadata one", [file(data)])]
    print("not as it should be: " + ", ".join(wrong) if wrong else "all refused")


main()
