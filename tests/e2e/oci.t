#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Images of an OCI layout: layers are merged with their whiteouts, the config says what runs, and
# what does not have the digest it should have is refused.
. tests/e2e/tap.sh
need_kvm

# A layout with two images of the same two layers. The lower layer has busybox and two files, the
# upper one takes a file away and replaces the other.
mkdir "$WORK/busybox"
tar -xf "$IMAGES/busybox.aci" -C "$WORK/busybox" rootfs/bin/busybox
cat >"$WORK/layout.py" <<'EOM'
import gzip, hashlib, io, json, os, sys, tarfile

out, busybox = sys.argv[1:]
os.makedirs(out + "/blobs/sha256")

def blob(data, media, **more):
    digest = hashlib.sha256(data).hexdigest()
    open(f"{out}/blobs/sha256/{digest}", "wb").write(data)
    return {"mediaType": "application/vnd.oci.image." + media,
            "digest": "sha256:" + digest, "size": len(data), **more}

def layer(files):
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode="w") as tar:
        for name, mode, data in files:
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(data)
            tar.addfile(info, io.BytesIO(data))
    tar = buf.getvalue()
    return (blob(gzip.compress(tar, mtime=0), "layer.v1.tar+gzip"),
            "sha256:" + hashlib.sha256(tar).hexdigest())

layers = [layer([("bin/busybox", 0o755, open(busybox, "rb").read()),
                 ("data/gone", 0o644, b"lower\n"), ("data/kept", 0o600, b"lower\n")]),
          layer([("data/.wh.gone", 0o644, b""), ("data/kept", 0o640, b"upper\n")])]

def image(name, config):
    config = {"os": "linux", "architecture": "amd64", "config": config,
              "rootfs": {"type": "layers", "diff_ids": [d for _, d in layers]}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob(json.dumps(config).encode(), "config.v1+json"),
                "layers": [l for l, _ in layers]}
    return blob(json.dumps(manifest).encode(), "manifest.v1+json",
                annotations={"org.opencontainers.image.ref.name": name})

script = "id -u; id -g; pwd; cd /data; echo *; cat kept; stat -c %a kept; echo $GREETING"
look = {"Entrypoint": ["/bin/busybox", "sh", "-c"], "Cmd": [script], "User": "7:8",
        "WorkingDir": "/bin", "Env": ["GREETING=hello", "PATH=/bin"]}
index = {"schemaVersion": 2, "manifests": [
    image("look", dict(look, User="0:8")), image("other", {"Cmd": ["/bin/busybox", "true"]})]}
json.dump(index, open(out + "/index.json", "w"))
json.dump({"imageLayoutVersion": "1.0.0"}, open(out + "/oci-layout", "w"))
EOM
python3 "$WORK/layout.py" "$WORK/layout" "$WORK/busybox/rootfs/bin/busybox"

run_tripod run "oci:$WORK/layout:look"
is 'the image runs' "$status" 0
is 'user, directory, merged layers, mode and environment are as its config and layers say' "$out" '0
8
/bin
kept
upper
640
hello'
is 'nothing else on stderr' "$err" ''
# the second image gets as far as the store
layers=$(cd "$DATA/cas/layer" && echo sha256-*)
run_tripod run --uuid-file-save="$WORK/missing/uuid" "oci:$WORK/layout:other"
like 'the second image is imported' "$err" uuid-file-save
is 'and shares its layers with the first' "$(cd "$DATA/cas/layer" && echo sha256-*)" "$layers"

run_tripod run "oci:$WORK/layout:nothing"
is 'an image the layout has not is refused' "$status" 254
like 'by its name' "$err" nothing
run_tripod run "oci:$WORK/layout"
is 'of two images one must be named' "$status" 254

run "$TRIPOD" --dir="$DATA" run --net=none "oci:$WORK/layout:look"
is 'digests are no signature' "$status" 254
like 'and the message says what to do' "$err" 'insecure-options=image'

# One byte of one layer is another one.
cp -r "$WORK/layout" "$WORK/bad"
largest=$(find "$WORK/bad/blobs/sha256" -type f -size +100k)
printf x | dd of="$largest" bs=1 seek=50000 conv=notrunc 2>/dev/null
run "$TRIPOD" --dir="$WORK/data2" --insecure-options=image run --net=none "oci:$WORK/bad:look"
unwarned
is 'a layer that is not what its digest says is refused' "$status" 254
like 'in one line' "$(printf '%s\n' "$err" | wc -l)" '^1$'
is 'and nothing of it stays' "$(find "$WORK/data2/cas/layer" -name "$(basename "$largest")*" | wc -l)" 0

no_leaks 'nothing is left running'
done_testing
