#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile images, for attacks.t: attacks.py OUT VICTIM writes OUT/NAME.aci or the layout OUT/NAME and
prints a line for each: NAME, aci or oci, refuse or accept, and what is attacked. VICTIM is a directory
outside of everything that no image may reach."""
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile

OUT, VICTIM = sys.argv[1:]
UP = "../" * 12 + VICTIM.lstrip("/")
MANIFEST = {"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/attack",
            "labels": [{"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"}],
            "app": {"exec": ["/x"], "user": "0", "group": "0"}}


def entry(name, kind=tarfile.REGTYPE, data=b"", link="", mode=0o644, **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, link, mode, len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def directory(name, **more):
    return entry(name, tarfile.DIRTYPE, mode=more.pop("mode", 0o755), **more)


def symlink(name, target, **more):
    return entry(name, tarfile.SYMTYPE, link=target, mode=0o777, **more)


def hardlink(name, target, **more):
    return entry(name, tarfile.LNKTYPE, link=target, **more)


def tar(entries, pax=None):
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode="w", format=tarfile.PAX_FORMAT,
                      errors="surrogateescape") as out:
        for info, data in entries:
            out.addfile(info, io.BytesIO(data))
    return buf.getvalue()


def say(name, kind, verdict, what):
    print(name, kind, verdict, what)


def aci(name, verdict, what, entries, manifest=None):
    if manifest is None:
        # an image of its own for each, so that one can not stand in for another
        manifest = json.dumps(dict(MANIFEST, name="example.com/" + name))
    data = tar([entry("manifest", data=manifest.encode()), directory("rootfs")] + entries)
    open(f"{OUT}/{name}.aci", "wb").write(data)
    say(name, "aci", verdict, what)


def raw(name, what, data):
    open(f"{OUT}/{name}.aci", "wb").write(data)
    say(name, "aci", "refuse", what)


def header(name, size, kind=b"0", link=b""):
    """A header whose size is anything, in base 256 if need be."""
    block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT)[:512])
    block[156:157] = kind
    block[157:157 + len(link)] = link
    if size < 1 << 33:
        block[124:136] = b"%011o\0" % size
    else:
        block[124:136] = b"\x80" + size.to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def oci(name, verdict, what, layers, **change):
    out = f"{OUT}/{name}"
    os.makedirs(out + "/blobs/sha256")

    def blob(data, media):
        digest = hashlib.sha256(data).hexdigest()
        open(f"{out}/blobs/sha256/{digest}", "wb").write(data)
        return {"mediaType": "application/vnd.oci.image." + media, "digest": "sha256:" + digest,
                "size": len(data)}

    tars = [tar(entries) for entries in layers]
    config = {"os": "linux", "architecture": "amd64", "config": {"Cmd": ["/x"]},
              "rootfs": {"type": "layers",
                         "diff_ids": ["sha256:" + hashlib.sha256(t).hexdigest() for t in tars]}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob(json.dumps(config).encode(), "config.v1+json"),
                "layers": [blob(gzip.compress(t, mtime=0), "layer.v1.tar+gzip") for t in tars]}
    manifest.update(change.get("manifest", {}))
    text = change.get("text", json.dumps)(manifest)
    index = {"schemaVersion": 2, "manifests": [blob(text.encode(), "manifest.v1+json")]}
    if "digest" in change:
        index["manifests"][0]["digest"] = change["digest"]
    json.dump(index, open(out + "/index.json", "w"))
    json.dump({"imageLayoutVersion": "1.0.0"}, open(out + "/oci-layout", "w"))
    say(name, "oci", verdict, what)


evil = b"evil\n"
target = f"{VICTIM}/file"

# names (CVE-2014-6407, CVE-2016-6321, CVE-2015-2304)
aci("dotdot", "refuse", "a name goes up", [entry(f"rootfs/{UP}/new", data=evil)])
aci("dotdot-inside", "refuse", "a name goes up and down again", [entry("rootfs/a/../b", data=evil)])
aci("absolute", "refuse", "an absolute name", [entry(target, data=evil)])
aci("prefix", "refuse", "a name that begins like rootfs", [entry("rootfsX/a", data=evil)])
aci("twice", "refuse", "one name twice", [entry("rootfs/a", data=b"1"), entry("rootfs/./a", data=b"2")])
aci("long", "refuse", "a component of 256 bytes", [entry("rootfs/" + "a" * 256)])
aci("longer", "refuse", "a path of 5000 bytes", [entry("rootfs" + "/aaaa" * 1000)])
aci("deep", "refuse", "300 directories in each other", [entry("rootfs" + "/a" * 300)])
aci("control", "refuse", "escapes for a terminal in a name that is refused",
    [entry("rootfs/\x1b]0;x\x07\n/../a")])
oci("oci-dotdot", "refuse", "a name of a layer goes up", [[entry(f"{UP}/new", data=evil)]])
oci("oci-absolute", "accept", "an absolute name of a layer", [[entry(target, data=evil)]])

# the root (CVE-2021-29136)
aci("root-link", "refuse", "the root is a link (CVE-2021-29136)",
    [symlink("rootfs", VICTIM), entry("rootfs/file", data=evil)])
oci("oci-root-link", "refuse", "a layer makes the root a link (CVE-2021-29136)",
    [[symlink(".", VICTIM), entry("file", data=evil)]])
oci("oci-root-late", "refuse", "a later layer does", [[entry("a")], [symlink("./", VICTIM)]])

# through links (CVE-2014-6407, CVE-2014-9356, CVE-2018-15664)
through = [symlink("rootfs/l", VICTIM), entry("rootfs/l/file", data=evil)]
aci("through", "refuse", "a file through a link (CVE-2014-6407)", through)
aci("through-up", "refuse", "a file through a relative link",
    [symlink("rootfs/l", UP), entry("rootfs/l/file", data=evil)])
aci("through-two", "refuse", "a directory, then a link, then a file through it",
    [directory("rootfs/d"), symlink("rootfs/d/l", VICTIM), entry("rootfs/d/l/file", data=evil)])
oci("oci-through", "accept", "a layer writes through a link of the one below (CVE-2014-9356)",
    [[symlink("l", VICTIM)], [entry("l/file", data=evil)]])
oci("oci-chain", "accept", "through a chain of links",
    [[symlink("a", "b"), symlink("b", "/c"), symlink("c", UP)], [entry("a/file", data=evil)]])
oci("oci-loop", "refuse", "through a circle of links",
    [[symlink("a", "b"), symlink("b", "a")], [entry("a/file", data=evil)]])
oci("oci-whiteout", "accept", "a whiteout through a link",
    [[symlink("l", VICTIM)], [entry("l/.wh.file"), entry("l/.wh..wh..opq")]])
oci("oci-whiteout-up", "refuse", "a whiteout of the directory above",
    [[entry("a/b")], [entry("a/.wh...")]])

# hard links (CVE-2016-5418)
aci("hard-outside", "refuse", "a hard link to a file of the host", [hardlink("rootfs/h", target)])
aci("hard-up", "refuse", "a hard link up", [hardlink("rootfs/h", f"rootfs/{UP}/file")])
aci("hard-dir", "refuse", "a hard link to a directory", [hardlink("rootfs/h", "rootfs")])
aci("hard-none", "refuse", "a hard link to nothing", [hardlink("rootfs/h", "rootfs/none")])
aci("hard-through", "refuse", "a hard link through a link",
    [symlink("rootfs/l", VICTIM), hardlink("rootfs/h", "rootfs/l/file")])
aci("hard-link", "accept", "a hard link to a link, and its attributes (CVE-2021-32760)",
    [symlink("rootfs/l", target, mtime=1), hardlink("rootfs/h", "rootfs/l", mode=0o777, mtime=2)])
aci("hard-write", "refuse", "a hard link to a link that is then written",
    [symlink("rootfs/l", target), hardlink("rootfs/h", "rootfs/l"), entry("rootfs/h", data=evil)])
# attributes (CVE-2021-23177, CVE-2021-31566, CVE-2021-41089, CVE-2021-41091)
aci("link-attributes", "accept", "a link with a mode, an owner and a time (CVE-2021-31566)",
    [symlink("rootfs/l", target, mtime=1, uid=7, gid=7)])
aci("link-xattr", "accept", "a link with attributes",
    [symlink("rootfs/l", target, pax_headers={"SCHILY.xattr.user.evil": "1"})])
aci("overlay", "accept", "attributes of overlay file systems",
    [entry("rootfs/a", pax_headers={"SCHILY.xattr.trusted.overlay.opaque": "y",
                                    "SCHILY.xattr.user.overlay.opaque": "y"})])
aci("device", "accept", "devices",
    [entry("rootfs/sda", tarfile.BLKTYPE, devmajor=8, devminor=0, mode=0o660),
     entry("rootfs/mem", tarfile.CHRTYPE, devmajor=1, devminor=1, mode=0o660)])
aci("setuid", "accept", "a set-user-ID program (CVE-2021-41091)",
    [entry("rootfs/su", data=evil, mode=0o6755)])
aci("guest-mounts", "refuse", "a link in the place of /proc (CVE-2019-16884)",
    [symlink("rootfs/proc", VICTIM)])

# sizes (CVE-2017-14992, CVE-2022-2879, CVE-2025-62518)
begin = tar([entry("manifest", data=json.dumps(MANIFEST).encode()), directory("rootfs")])
begin = begin[:512 * 3]
raw("hard-data", "a hard link with content (CVE-2016-5418)",
    begin + header("rootfs/f", 5) + evil.ljust(512, b"\0") +
    header("rootfs/h", 5, b"1", b"rootfs/f") + evil.ljust(512, b"\0") + bytes(1024))
raw("size-2-63", "a file of 2^63 bytes", begin + header("rootfs/a", (1 << 63) - 1) + bytes(4096))
raw("size-2-80", "a file of 2^80 bytes", begin + header("rootfs/a", 1 << 80) + bytes(4096))
raw("size-tib", "a file of 2 TiB", begin + header("rootfs/a", 2 << 40) + bytes(4096))
raw("pax-size", "a header for 64 MiB of attributes (CVE-2022-2879)",
    begin + header("rootfs/x", 64 << 20, b"x") + b"1" * (2 << 20))
raw("bomb", "300 MiB of nothing in 300 KiB (CVE-2017-14992)",
    gzip.compress(begin + header("rootfs/a", 300 << 20) + bytes((300 << 20) + 1024), 6, mtime=0))
aci("pax-desync", "accept", "sizes that differ between headers (CVE-2025-62518)",
    [entry("rootfs/a", data=tar([entry("rootfs/smuggled", data=evil)]),
           pax_headers={"size": str(len(tar([entry("rootfs/smuggled", data=evil)])))})])
raw("cut", "an image that ends in the middle", begin + header("rootfs/a", 5000) + bytes(600))

# documents (CVE-2014-8179, CVE-2014-9358, CVE-2021-41190, CVE-2024-3727)
aci("keys", "refuse", "a key twice in the manifest (CVE-2014-8179)", [],
    json.dumps(MANIFEST)[:-1] + ', "name": "example.com/other"}')
aci("nested", "refuse", "a manifest of 100000 brackets", [], "[" * 100000)
aci("manifest-dir", "refuse", "a manifest that climbs out with its dependencies", [],
    json.dumps(dict(MANIFEST, dependencies=[{"imageName": "../../x", "imageID": "sha512-../x"}])))
oci("oci-digest", "refuse", "a digest that is a path (CVE-2014-9358, CVE-2024-3727)",
    [[entry("a")]], digest=f"sha256:{UP}/file")
oci("oci-ambiguous", "refuse", "a manifest that is an index too (CVE-2021-41190)", [[entry("a")]],
    manifest={"manifests": []})
oci("oci-keys", "refuse", "a key twice in an OCI manifest", [[entry("a")]],
    text=lambda m: json.dumps(m)[:-1] + ', "schemaVersion": 2}')
# with content of its own: a layer the store has by its diff_id is not asked for
oci("oci-other", "refuse", "a layer that is not the one named", [[entry("other")]],
    manifest={"layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                          "digest": "sha256:" + "0" * 64, "size": 10}]})
