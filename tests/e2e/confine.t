#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What apps can do, by a program that tries it (tests/guest/probe.c), and what the manifest says they
# can (rkt-behaviour 7.2, 7.3). One pod, an app for each way of being confined.
. tests/e2e/tap.sh
need_kvm

mkdir -p "$WORK/image/rootfs/tmp" && cp "$BUILD/tests/guest/probe" "$WORK/image/rootfs/probe"
cat >"$WORK/image/manifest" <<'EOM'
{"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/probe",
 "labels": [{"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"}],
 "app": {"exec": ["/probe"], "user": "0", "group": "0"}}
EOM
tar -C "$WORK/image" --owner=0 --group=0 -cf "$WORK/probe.aci" manifest rootfs

# can APP TABLE: what the app said is what the table says
can()
{
	said=$(sed -n "s/^$1: //p" "$WORK/out")
	for row in $2; do
		is "$1: $row" "$(printf '%s\n' "$said" | grep "^${row%%=*}=")" "$row"
	done
	is "$1: told everything" "$(printf '%s\n' "$said" | tail -n 1)" 'done=1'
}

isolators='[{"name": "os/linux/no-new-privileges", "value": true},
	{"name": "os/linux/oom-score-adj", "value": 300}]'
sed -i "s|\"group\": \"0\"|&, \"isolators\": $(echo "$isolators" | tr -d '\n\t')|" \
	"$WORK/image/manifest"
tar -C "$WORK/image" --owner=0 --group=0 -cf "$WORK/nnp.aci" manifest rootfs

p=$WORK/probe.aci
run_tripod run "$p" --name=small --memory=6Mi --cpu=900m --cpu-shares=512 --oom-score-adj=-500 \
	--- "$p" --name=plain \
	--- "$WORK/nnp.aci" --name=nnp --memory=100M \
	--- "$p" --name=user --user=1000 --group=1000 \
	--- "$p" --name=errno --caps-retain=CAP_SYS_ADMIN \
		--seccomp=mode=remove,errno=EXDEV,@systemd/mount,uname \
	--- "$p" --name=keep --seccomp=mode=retain,errno=EPERM,@rkt/default-whitelist,keyctl \
	--- "$p" --name=open --caps-retain=CAP_SYS_ADMIN,CAP_SETUID \
		--seccomp=mode=retain,@appc.io/all -- limits
is 'apps that only look end well' "$status" 0
[ "$status" = 0 ] || diag "$err"
can plain 'uid=0 CapBnd=00000000a80425fb CapEff=00000000a80425fb CapInh=0000000000000000
	NoNewPrivs=0 Seccomp=2 mount=killed umount=killed unshare=killed ptrace=killed
	settime=killed keyctl=killed bpf=killed sethostname=killed uring=ENOSYS uname=ok
	chroot=ok mknod=ok setuid=ok nice=EACCES oom=0 raise-oom=EACCES group=0::/
	core=EROFS panic=EROFS sys=EROFS hidden=EROFS groups=ENOENT /sys/firmware=40000
	/sys/fs=40000 /sys/module=40000 /sys/kernel=40755 /proc/kcore=ENOENT'
can small 'group=0::/ hog=killed oom=-500 raise-oom=EACCES'
can nnp 'NoNewPrivs=1 oom=300 hog=ok group=0::/'
can user 'uid=1000 CapBnd=00000000a80425fb CapEff=0000000000000000 NoNewPrivs=1 Seccomp=2
	mount=killed chroot=EPERM setuid=EPERM uname=ok'
can errno 'CapEff=0000000000200000 NoNewPrivs=0 Seccomp=2 mount=EXDEV umount=EXDEV
	remount=EXDEV uname=EXDEV unshare=ok chroot=EXDEV'
can keep 'Seccomp=2 mount=EPERM unshare=EPERM uring=EPERM keyctl=ENOSYS uname=ok'
can open 'memory.max=max cpu.max=max_100000 cpu.weight=100
	sys=EROFS Seccomp=0 NoNewPrivs=0 unshare=ok mount=ok setuid=ok settime=EPERM'

run_tripod run "$p" --seccomp=remove,mount
like '--seccomp wants a mode' "$err" '--seccomp: "remove,mount" has neither mode=retain nor'
run_tripod run "$p" --seccomp=mode=retain
like 'and a set' "$err" '--seccomp: "mode=retain" names no system calls'
run_tripod run "$p" --seccomp=mode=retain,errno=perm,read
like 'and the name of an error' "$err" '--seccomp: "perm" is not the name of an error'
no_leaks 'nothing is left'
done_testing
