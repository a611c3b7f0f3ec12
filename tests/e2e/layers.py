# SPDX-License-Identifier: Apache-2.0
"""Layers that have one of everything: layers.py OUT writes OUT/1.tar, OUT/2.tar ..., base first."""
import io
import struct
import sys
import tarfile

TIME = 1600000000
# cap_net_raw+ep, as the kernel stores it
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0).decode("latin-1")


class Layer:
    def __init__(self, path):
        self.tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT, encoding="utf-8",
                                errors="surrogateescape")
        self.time = TIME

    def add(self, name, kind=tarfile.REGTYPE, data=b"", mode=0o644, uid=0, gid=0, link="",
            major=0, minor=0, pax=None):
        info = tarfile.TarInfo(name)
        info.type, info.size, info.mode, info.uid, info.gid = kind, len(data), mode, uid, gid
        info.linkname, info.devmajor, info.devminor = link, major, minor
        self.time += 1
        info.mtime = self.time + 0.25
        info.pax_headers = pax or {}
        self.tar.addfile(info, io.BytesIO(data))

    def directory(self, name, mode=0o755, **more):
        self.add(name, tarfile.DIRTYPE, mode=mode, **more)

    def whiteout(self, path):
        head, _, name = path.rpartition("/")
        self.add(f"{head}/.wh.{name}" if head else ".wh." + name)

    def close(self):
        self.tar.close()


def base(layer):
    layer.directory("./", 0o750)
    for name in ("etc", "opaque", "opaque/deep", "gone", "gone/deep", "links", "dev", "replaced"):
        layer.directory(name)
    layer.directory("sticky", 0o1777)
    layer.directory("setgid", 0o2775, gid=50)
    layer.add("etc/passwd", data=b"root:x:0:0::/:/bin/sh\n")
    layer.add("setuid", data=b"#!", mode=0o4755)
    layer.add("capable", data=b"x" * 5000, mode=0o755,
              pax={"SCHILY.xattr.security.capability": CAPABILITY})
    layer.add("noted", data=b"y", pax={"SCHILY.xattr.user.note": "some value"})
    layer.add("owned", data=b"z" * 4096, mode=0o600, uid=1234567, gid=7654321)
    layer.add("large", data=bytes(range(256)) * 5000)
    layer.add("empty")
    layer.add("symlink", tarfile.SYMTYPE, link="../does/not/exist")
    layer.add("absolute", tarfile.SYMTYPE, link="/etc/passwd")
    layer.add("dirlink", tarfile.SYMTYPE, link="etc")
    layer.add("fifo", tarfile.FIFOTYPE, mode=0o620)
    layer.add("dev/char", tarfile.CHRTYPE, mode=0o666, major=1, minor=3)
    layer.add("dev/block", tarfile.BLKTYPE, mode=0o660, gid=6, major=259, minor=70000)
    for i in range(3):
        layer.add(f"links/one{i}" if i else "links/one0", tarfile.LNKTYPE if i else
                  tarfile.REGTYPE, data=b"" if i else b"linked", link="links/one0" if i else "")
    layer.add("links/lower", data=b"of the lower layer")
    for i in range(4):
        layer.add(f"opaque/file{i}", data=b"lower")
        layer.add(f"opaque/deep/file{i}", data=b"lower")
    layer.add("gone/deep/file", data=b"lower")
    layer.add("gone/file", data=b"lower")
    layer.add("file-to-directory", data=b"file")
    layer.directory("directory-to-file")
    layer.add("directory-to-file/inside", data=b"x")
    layer.add("replaced/content", data=b"old", mode=0o600)
    layer.add("back\\slash new\nline \u00fcml\u00e4ut", data=b"odd name")
    layer.add("bytes-\udcff\udcfe", data=b"not UTF-8")
    layer.add("n" * 255, data=b"long name")
    # a parent that is not in the archive gets the time of unpacking from some
    for depth in range(1, 40):
        layer.directory("/".join(["long"] * depth))
    layer.add("/".join(["long"] * 40), data=b"long path")
    for i in range(400):
        layer.add(f"setgid/many{i:04}", data=b"%d" % i)


def upper(layer):
    layer.directory("opaque", 0o711)
    layer.add("opaque/.wh..wh..opq")
    layer.add("opaque/new", data=b"upper")
    layer.whiteout("gone/deep")
    layer.whiteout("links/one0")
    layer.whiteout("does-not-exist")
    layer.add("links/upper", tarfile.LNKTYPE, link="links/lower")
    layer.add("links/symlink", tarfile.LNKTYPE, link="symlink")
    layer.directory("file-to-directory", 0o700)
    layer.add("file-to-directory/inside", data=b"inside")
    layer.add("directory-to-file", data=b"file")
    layer.add("replaced/content", data=b"new and longer", mode=0o640, uid=3, gid=4)
    layer.add("dirlink/through-the-link", data=b"in etc")
    layer.directory("etc", 0o751, uid=9)
    layer.add("links/one2", data=b"no longer linked")


def top(layer):
    layer.whiteout("gone")
    layer.directory("gone-again")
    layer.add("opaque/file0", data=b"third")
    layer.whiteout("empty")
    layer.whiteout("setgid/many0007")


def main():
    for i, fill in enumerate((base, upper, top)):
        layer = Layer(f"{sys.argv[1]}/{i + 1}.tar")
        fill(layer)
        layer.close()


main()
