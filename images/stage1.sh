#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# images/stage1.sh VERSION VMM VMLINUX INITRD OUT.aci
#
# stage1-kvm.aci: the isolation as an image. Its rootfs holds the entry point /run, which is the VMM,
# beside it what it boots, and links by whose names the VMM is the other entry points. The
# annotations are rkt's stage1 contract; app-disks is ours and says that apps come as EROFS files, not
# as directories.
. "$(dirname "$0")/lib.sh"

version=$1 vmm=$2 vmlinux=$3 initrd=$4 out=$5
image_begin "$out"
install -m 755 "$vmm" "$work/rootfs/run"
ln -s run "$work/rootfs/attach"
ln -s run "$work/rootfs/enter"
ln -s run "$work/rootfs/stop"
ln -s run "$work/rootfs/gc"
for change in add start stop rm; do
	ln -s run "$work/rootfs/app-$change"
done
install -m 644 "$vmlinux" "$work/rootfs/vmlinux"
install -m 644 "$initrd" "$work/rootfs/initrd"
cat >"$work/manifest" <<END
{
  "acKind": "ImageManifest",
  "acVersion": "0.8.11",
  "name": "tripod/stage1-kvm",
  "labels": [
    {"name": "version", "value": "$version"},
    {"name": "os", "value": "linux"},
    {"name": "arch", "value": "amd64"}
  ],
  "annotations": [
    {"name": "coreos.com/rkt/stage1/run", "value": "/run"},
    {"name": "coreos.com/rkt/stage1/attach", "value": "/attach"},
    {"name": "coreos.com/rkt/stage1/enter", "value": "/enter"},
    {"name": "coreos.com/rkt/stage1/stop", "value": "/stop"},
    {"name": "coreos.com/rkt/stage1/gc", "value": "/gc"},
    {"name": "coreos.com/rkt/stage1/app/add", "value": "/app-add"},
    {"name": "coreos.com/rkt/stage1/app/start", "value": "/app-start"},
    {"name": "coreos.com/rkt/stage1/app/stop", "value": "/app-stop"},
    {"name": "coreos.com/rkt/stage1/app/rm", "value": "/app-rm"},
    {"name": "coreos.com/rkt/stage1/interface-version", "value": "6"},
    {"name": "tripod/stage1/app-disks", "value": "erofs"}
  ]
}
END
image_end "$out"
