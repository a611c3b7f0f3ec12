#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# busybox.aci: a static busybox and a link for each of its applets.
. "$(dirname "$0")/lib.sh"

debs=$1 out=$2
image_begin "$out"
image_unpack "$debs" busybox
image_base
root=$work/rootfs
rm -rf "${root:?}/usr/share"
mkdir -p "$root/sbin" "$root/usr/bin" "$root/usr/sbin"
"$root/bin/busybox" --list-full | while read -r applet; do
	[ "$applet" = bin/busybox ] || ln -sf /bin/busybox "$root/$applet"
done
image_manifest tripod/busybox "$(image_version "$debs" busybox busybox-static)" /bin/sh
image_end "$out"
