#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""volumes.py OUT.aci BUSYBOX: an image as if converted from Docker's, with mount points and links.

/data has something in it, /bare has nothing, /absent is not there. /abs and /up are links that lead
out of the root but for who takes it for the root, /dangling to what is not there.
"""
import io
import json
import sys
import tarfile

out, busybox = sys.argv[1:]
points = [("volume-data", "/data"), ("volume-bare", "/bare"), ("volume-absent", "/absent/deep"),
          ("given", "/given")]
manifest = {
    "acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/volumes",
    "labels": [{"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"}],
    "annotations": [{"name": "appc.io/docker/repository", "value": "volumes"}],
    "app": {"exec": ["/bin/sh"], "user": "0", "group": "0", "mountPoints": [
        {"name": name, "path": path, "readOnly": name == "given"} for name, path in points]}}


def add(tar, name, kind, mode, uid=0, gid=0, data=b"", link=""):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid = kind, mode, uid, gid
    info.size, info.linkname = len(data), link
    tar.addfile(info, io.BytesIO(data))


def main():
    with open(busybox, "rb") as f:
        program = f.read()
    with tarfile.open(out, "w") as tar:
        add(tar, "manifest", tarfile.REGTYPE, 0o644, data=json.dumps(manifest).encode())
        for name in "", "/bin", "/srv", "/srv/real":
            add(tar, "rootfs" + name, tarfile.DIRTYPE, 0o755)
        add(tar, "rootfs/bin/busybox", tarfile.REGTYPE, 0o755, data=program)
        for name in ("sh", "ls", "cat", "stat", "touch", "mkdir", "mount", "echo", "readlink", "rm",
                     "sleep", "grep", "umount", "chmod", "mv", "ln", "id", "cut", "sed"):
            add(tar, "rootfs/bin/" + name, tarfile.SYMTYPE, 0o777, link="busybox")
        add(tar, "rootfs/data", tarfile.DIRTYPE, 0o750, 33, 34)
        add(tar, "rootfs/data/seed", tarfile.REGTYPE, 0o640, 35, 36, b"from the image\n")
        add(tar, "rootfs/data/sub", tarfile.DIRTYPE, 0o711, 37, 38)
        add(tar, "rootfs/data/sub/deep", tarfile.REGTYPE, 0o600, data=b"deep\n")
        add(tar, "rootfs/bare", tarfile.DIRTYPE, 0o1733, 5, 6)
        add(tar, "rootfs/abs", tarfile.SYMTYPE, 0o777, link="/srv/real")
        add(tar, "rootfs/up", tarfile.SYMTYPE, 0o777, link="../../../srv/../srv/real")
        add(tar, "rootfs/dangling", tarfile.SYMTYPE, 0o777, link="/made/by/mount")
        add(tar, "rootfs/round", tarfile.SYMTYPE, 0o777, link="round")
        add(tar, "rootfs/kernel", tarfile.SYMTYPE, 0o777, link="/proc")


main()
