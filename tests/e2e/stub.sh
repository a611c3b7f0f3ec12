# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# Images made of a few lines, for tests of what is around a VM: an app, and a stage1 that writes down
# how it was called. Read after tap.sh.

# make_app FILE NAME [JSON members of its app section]
make_app()
{
	rm -rf "$WORK/make" && mkdir -p "$WORK/make/rootfs/bin" &&
		echo "content of $2" >"$WORK/make/rootfs/bin/app"
	cat >"$WORK/make/manifest" <<-EOM
	{"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/$2",
	 "labels": [{"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"},
	            {"name": "version", "value": "1.0"}],
	 "app": {"exec": ["/bin/app"], "user": "0", "group": "0"${3:+, $3}}}
	EOM
	tar -C "$WORK/make" --owner=0 --group=0 -cf "$1" manifest rootfs
}

# make_stage1 FILE INTERFACE-VERSION [yes: takes disks], its run entry point on stdin; with STOP set to
# no it has no stop entry point
make_stage1()
{
	disks=
	stop='{"name": "coreos.com/rkt/stage1/stop", "value": "/stop"},'
	[ "${STOP-}" != no ] || stop=
	[ "${3-}" != yes ] ||
		disks=', {"name": "tripod/stage1/app-disks", "value": "erofs"}'
	rm -rf "$WORK/make" && mkdir -p "$WORK/make/rootfs/sub"
	cat >"$WORK/make/rootfs/sub/run"
	cat >"$WORK/make/rootfs/gc" <<-'EOM'
	#!/bin/sh
	[ ! -e gc-fails ] || exit 3
	echo "gc in ${PWD##*/}: $*" >>"$GC_LOG"
	EOM
	cat >"$WORK/make/rootfs/stop" <<-'EOM'
	#!/bin/sh
	[ ! -e stop-fails ] || exit 3
	echo "stop in ${PWD##*/}: $*" >>"$GC_LOG"
	signal=TERM
	[ "$1" != --force ] || signal=KILL
	kill -$signal "$(cat pid)"
	EOM
	chmod 755 "$WORK/make/rootfs/sub/run" "$WORK/make/rootfs/gc" "$WORK/make/rootfs/stop"
	cat >"$WORK/make/manifest" <<-EOM
	{"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/stage1",
	 "labels": [{"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"}],
	 "annotations": [{"name": "coreos.com/rkt/stage1/run", "value": "/sub/run"},
	                 {"name": "coreos.com/rkt/stage1/gc", "value": "/gc"},
	                 $stop
	                 {"name": "coreos.com/rkt/stage1/interface-version", "value": "$2"}$disks]}
	EOM
	tar -C "$WORK/make" --owner=0 --group=0 -cf "$1" manifest rootfs
}

# UUIDs of the pods at a place: run, prepare, ...
pods_at()
{
	ls "$DATA/pods/$1" 2>/dev/null
}

# No pod is left in any place.
no_pods()
{
	is "$1" "$(cd "$DATA/pods" && find . -mindepth 2 -maxdepth 2)" ''
}
