#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tpm2.aci: Debian's tpm2-tools, to look at a pod's TPM from inside, and a shell.
. "$(dirname "$0")/lib.sh"

debs=$1 out=$2
image_begin "$out"
image_unpack "$debs" tpm2
image_base
root=$work/rootfs
rm -rf "${root:?}/usr/share" "$root/usr/lib/x86_64-linux-gnu/gconv"
"$root/bin/busybox" --list-full | while read -r applet; do
	[ -e "$root/$applet" ] || [ ! -d "$root/${applet%/*}" ] || ln -s /bin/busybox "$root/$applet"
done

# A package forgotten in tpm2.packages shows here, not in a guest: every library of the tools and of
# the TCTI, which is loaded by its name, is found in the image.
libs=$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu
for file in "$root/usr/bin/tpm2" "$root"/usr/lib/x86_64-linux-gnu/libtss2-tcti-device.so.0; do
	env -i "$root/lib64/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$libs" \
		--list "$file" >"$work/list"
	if grep -v -e "=> $root/" -e linux-vdso -e "^	$root/" "$work/list"; then
		echo "tpm2.aci: libraries from outside of the image" >&2
		exit 1
	fi
done
rm "$work/list"
image_manifest tripod/tpm2 "$(image_version "$debs" tpm2 tpm2-tools)" /bin/sh
image_end "$out"
