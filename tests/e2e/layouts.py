#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two OCI layouts, DIRECTORY/one and DIRECTORY/two, of two layers each. They share the lower one."""
import hashlib
import io
import json
import os
import sys
import tarfile


def layer(name):
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = 5000 * len(name)
        tar.addfile(info, io.BytesIO(name.encode() * 5000))
    return buf.getvalue()


def layout(out, names):
    os.makedirs(out + "/blobs/sha256")

    def blob(data, media):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{out}/blobs/sha256/{digest}", "wb") as f:
            f.write(data)
        return {"mediaType": "application/vnd.oci.image." + media,
                "digest": "sha256:" + digest, "size": len(data)}

    tars = [layer(name) for name in names]
    config = {"os": "linux", "architecture": "amd64", "config": {"Cmd": ["/x"]}, "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(t).hexdigest() for t in tars]}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob(json.dumps(config).encode(), "config.v1+json"),
                "layers": [blob(t, "layer.v1.tar") for t in tars]}
    with open(out + "/index.json", "w") as f:
        json.dump({"schemaVersion": 2, "manifests": [
            blob(json.dumps(manifest).encode(), "manifest.v1+json")]}, f)
    with open(out + "/oci-layout", "w") as f:
        json.dump({"imageLayoutVersion": "1.0.0"}, f)


for image in "one", "two":
    layout(f"{sys.argv[1]}/{image}", ["base", image])
