#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Make the images the pull benchmark pulls, as an OCI layout: pull_image.py OUT.

The files are those of this machine's Debian packages, in the order of the packages' names: five
layers of 128 MB or more make "big". "next" has the first four of them and one of its own. Owners are
root, times those of the packages; the same packages give the same bytes.
"""
import gzip
import hashlib
import json
import os
import stat
import subprocess
import sys
import tarfile

LAYER_BYTES = 128 << 20
LAYERS = 5
MORE_BYTES = 16 << 20


def packages():
    out = subprocess.run(["dpkg-query", "-W", "-f", "${binary:Package}\n"], check=True,
                         capture_output=True, text=True).stdout
    return sorted(out.split())


def files_of(package):
    out = subprocess.run(["dpkg-query", "-L", package], check=True, capture_output=True,
                         text=True).stdout
    for path in sorted(out.splitlines()):
        if path.startswith("/usr/"):
            yield path


class Hashed:
    """A file that keeps the digest and the size of what is written to it."""

    def __init__(self, raw):
        self.raw, self.hash, self.size = raw, hashlib.sha256(), 0

    def write(self, data):
        self.hash.update(data)
        self.size += len(data)
        return self.raw.write(data)

    def flush(self):
        self.raw.flush()


class Layout:
    def __init__(self, out):
        self.blobs = out + "/blobs/sha256/"
        self.seen = set()
        os.makedirs(self.blobs)

    def blob(self, data, media):
        digest = hashlib.sha256(data).hexdigest()
        with open(self.blobs + digest, "wb") as f:
            f.write(data)
        return {"mediaType": "application/vnd.oci.image." + media, "digest": "sha256:" + digest,
                "size": len(data)}

    def layer(self, paths, enough):
        """A layer of the next files until they are enough; its descriptor and diff_id."""
        part = self.blobs + "part"
        size = 0
        with open(part, "wb") as f:
            packed = Hashed(f)
            with gzip.GzipFile("", "wb", 6, packed, 0) as gz:
                plain = Hashed(gz)
                with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                    for path in paths:
                        size += self.add(tar, path)
                        if size >= enough:
                            break
        if size < enough:
            sys.exit("pull_image.py: too few packages are installed")
        digest = packed.hash.hexdigest()
        os.rename(part, self.blobs + digest)
        return ({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                 "digest": "sha256:" + digest, "size": packed.size},
                "sha256:" + plain.hash.hexdigest())

    def add(self, tar, path):
        if path in self.seen:
            return 0
        self.seen.add(path)
        try:
            st = os.lstat(path)
            if not (stat.S_ISREG(st.st_mode) or stat.S_ISDIR(st.st_mode) or
                    stat.S_ISLNK(st.st_mode)):
                return 0
            info = tar.gettarinfo(path)
            if info.islnk():  # the first name may be in no package
                info.type, info.linkname, info.size = tarfile.REGTYPE, "", st.st_size
            info.uid = info.gid = 0
            info.uname = info.gname = "root"
            info.mtime = int(st.st_mtime)
            if not info.isreg():
                tar.addfile(info)
                return 0
            with open(path, "rb") as f:
                tar.addfile(info, f)
            return st.st_size
        except FileNotFoundError:
            return 0

    def image(self, name, layers):
        config = {"os": "linux", "architecture": os.uname().machine.replace("x86_64", "amd64")
                  .replace("aarch64", "arm64"), "config": {"Cmd": ["/usr/bin/true"]},
                  "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]}}
        manifest = {"schemaVersion": 2,
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": self.blob(json.dumps(config).encode(), "config.v1+json"),
                    "layers": [layer for layer, _ in layers]}
        entry = self.blob(json.dumps(manifest).encode(), "manifest.v1+json")
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
        return entry


def main():
    out = sys.argv[1]
    layout = Layout(out)
    paths = (path for package in packages() for path in files_of(package))
    layers = [layout.layer(paths, LAYER_BYTES) for _ in range(LAYERS)]
    more = layout.layer(paths, MORE_BYTES)
    index = {"schemaVersion": 2, "manifests": [layout.image("big", layers),
                                               layout.image("next", layers[:4] + [more])]}
    with open(out + "/index.json", "w", encoding="ascii") as f:
        json.dump(index, f)
    with open(out + "/oci-layout", "w", encoding="ascii") as f:
        json.dump({"imageLayoutVersion": "1.0.0"}, f)


main()
