#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the tests of attestation need besides a shell.

attest.py swtpm DIR             start a TPM on two free ports; prints its process and first port
attest.py flip ACI FILE OUT     a copy of an image with the last byte of one file of it changed
attest.py label ACI OUT         a copy with another version in its manifest
attest.py pcrs FILE [KEY]       the PCR values of a JSON file, a line each
attest.py changed FILE FILE     numbers of the PCRs that differ between two files
attest.py toolpcrs              the same lines of what tpm2_pcrread or tpm2_eventlog print
attest.py blobs FILE DIR        the binary members of a quote as files
attest.py edit FILE WHAT OUT    a quote, forged in the way that WHAT names
"""
import base64
import io
import json
import pathlib
import re
import socket
import subprocess
import sys
import tarfile
import time


def connects(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def free_pair():
    """The TCTI takes the port after the TPM's for its control channel."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                other.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def swtpm(directory):
    for _ in range(10):
        port = free_pair()
        process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={directory}",
             "--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,port={port + 1}",
             "--flags", "not-need-init,startup-clear"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            if connects(port + 1):
                print(process.pid, port)
                return
            time.sleep(0.02)
    sys.exit("swtpm does not start")


def copy(aci, out, change):
    """Write the archive anew; change(name, data) gives a member's new data."""
    with tarfile.open(aci, "r:*") as old, tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as new:
        for member in old:
            data = old.extractfile(member).read() if member.isreg() else b""
            if member.isreg():
                data = change(member.name.removeprefix("./"), data)
                member.size = len(data)
            new.addfile(member, io.BytesIO(data))


def flip(aci, file, out):
    def change(name, data):
        return data[:-1] + bytes([data[-1] ^ 1]) if name == file else data
    copy(aci, out, change)


def label(aci, out):
    def change(name, data):
        if name != "manifest":
            return data
        manifest = json.loads(data)
        for entry in manifest["labels"]:
            if entry["name"] == "version":
                entry["value"] += "x"
        return json.dumps(manifest).encode()
    copy(aci, out, change)


def pcrs(path, key="pcrs"):
    doc = json.loads(pathlib.Path(path).read_text())
    return {(bank, int(n)): value.lower()
            for bank, values in doc[key].items() for n, value in values.items()}


def show(values):
    for (bank, n), value in sorted(values.items()):
        print(bank, n, value)


def changed(one, other):
    a, b = pcrs(one), pcrs(other)
    print(*sorted({n for bank, n in a.keys() | b.keys() if a.get((bank, n)) != b.get((bank, n))}))


def toolpcrs():
    values, bank = {}, None
    text = sys.stdin.read()
    if "\npcrs:" in text:
        text = text[text.rindex("\npcrs:"):]
    for line in text.splitlines():
        if match := re.fullmatch(r" +(sha\d+):", line):
            bank = match[1]
        elif match := re.fullmatch(r" +(\d+) *: 0x([0-9A-Fa-f]+)", line):
            values[bank, int(match[1])] = match[2].lower()
    show(values)


def blobs(path, directory):
    doc = json.loads(pathlib.Path(path).read_text())
    for key in {"quoted", "signature", "public", "eventlog"} & doc.keys():
        pathlib.Path(directory, key).write_bytes(base64.b64decode(doc[key]))


def edit(path, what, out):
    text = pathlib.Path(path).read_text()
    doc = json.loads(text)
    if what.startswith("nonce="):
        doc["nonce"] = what.removeprefix("nonce=")
    elif what == "log":
        log = bytearray(base64.b64decode(doc["eventlog"]))
        at = log.index(b"kernel_cmdline") - 4 - 48  # the SHA-384 digest of the command line
        log[at] ^= 1
        doc["eventlog"] = base64.b64encode(log).decode()
    elif what == "pcr":
        value = doc["pcrs"]["sha256"]["8"]
        doc["pcrs"]["sha256"]["8"] = ("0" if value[0] != "0" else "1") + value[1:]
    elif what.startswith("key="):
        other = json.loads(pathlib.Path(what.removeprefix("key=")).read_text())
        doc["public"] = other["public"]
    elif what == "pod":
        doc["pod"] = "00000000-0000-4000-8000-000000000000"
    elif what == "truncated":
        pathlib.Path(out).write_text(text[:len(text) // 2])
        return
    elif what == "hostile":
        doc["quoted"] = "/" * 100000 + "="
    pathlib.Path(out).write_text(json.dumps(doc))


def main():
    command, *args = sys.argv[1:]
    if command == "pcrs":
        show(pcrs(*args))
    else:
        {"swtpm": swtpm, "flip": flip, "label": label, "changed": changed, "toolpcrs": toolpcrs,
         "blobs": blobs, "edit": edit}[command](*args)


main()
