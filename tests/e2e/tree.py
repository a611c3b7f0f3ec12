# SPDX-License-Identifier: Apache-2.0
"""List a file tree, a line an object: path, type and mode, owner, size, time, device, link target,
content, attributes, and the first path of its inode: tree.py DIRECTORY, or tree.py --disk DIRECTORY
for a pod's disk, whose files 0, 1, 2 ... are one EROFS file system. Two trees are the same when their
lists are.

The reader of EROFS knows what the on-disk format says, not what the writer does.
"""
import hashlib
import os
import stat
import struct
import sys

BLOCK = 4096
PREFIXES = {1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default",
            4: "trusted.", 6: "security."}


class Disk:
    def __init__(self, path):
        self.parts, end, i = [], 0, 0
        while os.path.exists(f"{path}/{i}"):
            f = open(f"{path}/{i}", "rb")
            size = os.fstat(f.fileno()).st_size
            assert size % BLOCK == 0, "a part of the disk is no whole number of blocks"
            self.parts.append((end, end + size, f))
            end, i = end + size, i + 1
        sb = self.read(1024, 128)
        assert sb[:4] == struct.pack("<I", 0xE0F5E1E2), "no EROFS"
        assert sb[12] == 12, "blocks are not of 4 KiB"
        self.meta = struct.unpack_from("<I", sb, 40)[0] * BLOCK
        self.shared = struct.unpack_from("<I", sb, 44)[0] * BLOCK
        self.root = struct.unpack_from("<H", sb, 14)[0]
        self.time = struct.unpack_from("<QI", sb, 24)

    def read(self, offset, size):
        data = b""
        for start, end, f in self.parts:
            if size and start <= offset < end:
                n = min(size, end - offset)
                data += os.pread(f.fileno(), n, offset - start)
                offset, size = offset + n, size - n
        assert size == 0, "the file system goes beyond its disk"
        return data

    def inode(self, nid):
        return Inode(self, nid)


class Inode:
    def __init__(self, disk, nid):
        self.disk, self.nid = disk, nid
        at = disk.meta + nid * 32
        raw = disk.read(at, 32)
        fmt, self.xcount, self.mode = struct.unpack_from("<HHH", raw)
        self.layout = fmt >> 1 & 7
        if fmt & 1:
            raw += disk.read(at + 32, 32)
            self.size, self.union = struct.unpack_from("<QI", raw, 8)
            self.uid, self.gid, sec, ns = struct.unpack_from("<IIQI", raw, 24)
            self.mtime = sec * 10**9 + ns
            self.head = at + 64
        else:
            self.size, _, self.union = struct.unpack_from("<III", raw, 8)
            self.uid, self.gid = struct.unpack_from("<HH", raw, 24)
            self.mtime = disk.time[0] * 10**9 + disk.time[1]
            self.head = at + 32
        self.tail = self.head + (12 + (self.xcount - 1) * 4 if self.xcount else 0)

    def chunks(self):
        """The content, a piece at a time."""
        blocks = -(-self.size // BLOCK)
        if self.layout == 4:
            chunk = BLOCK << (self.union & 31)
            for i in range(-(-self.size // chunk)):
                block = struct.unpack("<I", self.disk.read(self.tail + 4 * i, 4))[0]
                n = min(chunk, self.size - i * chunk)
                yield bytes(n) if block == 0xFFFFFFFF else self.disk.read(block * BLOCK, n)
            return
        assert self.layout in (0, 2), "a layout of compressed files"
        whole = blocks if self.layout == 0 else self.size // BLOCK
        for i in range(0, whole, 256):
            n = min(256, whole - i)
            yield self.disk.read((self.union + i) * BLOCK,
                                 min(n * BLOCK, self.size - i * BLOCK))
        if self.layout == 2 and self.size % BLOCK:
            yield self.disk.read(self.tail, self.size % BLOCK)

    def content(self):
        return b"".join(self.chunks())

    def digest(self):
        digest = hashlib.sha256()
        for piece in self.chunks():
            digest.update(piece)
        return digest.hexdigest()

    def entries(self):
        data = self.content()
        for at in range(0, len(data), BLOCK):
            block = data[at:at + BLOCK]
            n = struct.unpack_from("<H", block, 8)[0] // 12
            starts = [struct.unpack_from("<QHB", block, 12 * i) for i in range(n)]
            for i, (nid, start, _) in enumerate(starts):
                end = starts[i + 1][1] if i + 1 < n else len(block)
                name = block[start:end]
                if i + 1 == n:
                    name = name.rstrip(b"\0")
                if name not in (b".", b".."):
                    yield name, nid

    def xattr_at(self, raw, at):
        length, prefix, size = struct.unpack_from("<BBH", raw, at)
        name = PREFIXES[prefix] + raw[at + 4:at + 4 + length].decode("utf-8", "surrogateescape")
        value = raw[at + 4 + length:at + 4 + length + size]
        return name, value, at + (4 + length + size + 3) // 4 * 4

    def xattrs(self):
        if not self.xcount:
            return {}
        raw = self.disk.read(self.head, self.tail - self.head)
        found, shared = {}, raw[4]
        for i in range(shared):
            where = struct.unpack_from("<I", raw, 12 + 4 * i)[0]
            block = self.disk.read(self.disk.shared + where * 4, 4)
            length, _, size = struct.unpack_from("<BBH", block)
            block = self.disk.read(self.disk.shared + where * 4, 4 + length + size)
            name, value, _ = self.xattr_at(block, 0)
            found[name] = value
        at = 12 + 4 * shared
        while at < len(raw):
            name, value, at = self.xattr_at(raw, at)
            found[name] = value
        return found


def shown(data):
    return "".join(chr(c) if 33 <= c < 127 and c != 92 else f"\\{c:03o}" for c in data)


def line(path, mode, uid, gid, mtime, extra, xattrs, first):
    attrs = ",".join(f"{name}={value.hex()}" for name, value in sorted(xattrs.items()))
    print(shown(path) or ".", oct(mode), uid, gid, f"{mtime // 10**9}.{mtime % 10**9:09}", extra, f"[{attrs}]",
          "" if first == path else "= " + shown(first))


def list_disk(path):
    disk = Disk(path)
    first = {}
    todo = [(b"", disk.root)]
    while todo:
        at, nid = todo.pop()
        inode = disk.inode(nid)
        kind = stat.S_IFMT(inode.mode)
        extra = "-"
        if kind == stat.S_IFDIR:
            todo += [((at + b"/" if at else b"") + name, child)
                     for name, child in sorted(inode.entries(), reverse=True)]
        elif kind == stat.S_IFREG:
            extra = f"{inode.size} {inode.digest()}"
        elif kind == stat.S_IFLNK:
            extra = shown(inode.content())
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            extra = "%d:%d" % ((inode.union >> 8 & 0xfff),
                               (inode.union & 0xff) | (inode.union >> 12 & 0xfff00))
        line(at, inode.mode, inode.uid, inode.gid, inode.mtime, extra, inode.xattrs(),
             first.setdefault(nid, at))


def list_directory(root):
    first = {}
    todo = [b""]
    root = os.fsencode(root)
    while todo:
        at = todo.pop()
        path = root + b"/" + at
        st = os.lstat(path if at else root)
        kind = stat.S_IFMT(st.st_mode)
        extra = "-"
        if kind == stat.S_IFDIR:
            todo += [(at + b"/" if at else b"") + name
                     for name in sorted(os.listdir(path), reverse=True)]
        elif kind == stat.S_IFREG:
            digest = hashlib.sha256()
            with open(path, "rb") as f:
                while piece := f.read(1 << 20):
                    digest.update(piece)
            extra = f"{st.st_size} {digest.hexdigest()}"
        elif kind == stat.S_IFLNK:
            extra = shown(os.readlink(path))
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            extra = f"{os.major(st.st_rdev)}:{os.minor(st.st_rdev)}"
        xattrs = {os.fsdecode(name): os.getxattr(path, name, follow_symlinks=False)
                  for name in os.listxattr(path, follow_symlinks=False)}
        line(at, st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, extra, xattrs,
             first.setdefault(st.st_ino, at))


if sys.argv[1] == "--disk":
    list_disk(sys.argv[2])
else:
    list_directory(sys.argv[1])
