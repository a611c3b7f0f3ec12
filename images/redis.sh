#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# redis.aci: Debian's redis-server, without a configuration: it keeps nothing but what is in memory.
. "$(dirname "$0")/lib.sh"

debs=$1 out=$2
image_begin "$out"
image_unpack "$debs" redis
image_base
root=$work/rootfs
rm -rf "${root:?}/usr/share" "$root/etc/redis" "$root/usr/lib/x86_64-linux-gnu/gconv"
"$root/bin/busybox" --list-full | while read -r applet; do
	[ -e "$root/$applet" ] || [ ! -d "$root/${applet%/*}" ] || ln -s /bin/busybox "$root/$applet"
done

# The server runs in place on the image's own libraries: a package forgotten in redis.packages shows
# here, not in a guest.
libs=$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu
env -i "$root/lib64/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$libs" \
	--list "$root/usr/bin/redis-server" >"$work/list"
if grep -v -e "=> $root/" -e linux-vdso -e "^	$root/" "$work/list"; then
	echo "redis.aci: libraries from outside of the image" >&2
	exit 1
fi
rm "$work/list"
image_manifest tripod/redis "$(image_version "$debs" redis redis-server)" \
	/usr/bin/redis-server --save '' --appendonly no --protected-mode no
image_end "$out"
