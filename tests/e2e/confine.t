#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What apps can do, by a program that tries it (tests/guest/probe.c), and what the manifest says they
# can (rkt-behaviour 7.2, 7.3). An app for each way of being confined.
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
all=--seccomp=mode=retain,@appc.io/all # no filter
run_tripod run --hostname=probed --sysctl=net.core.somaxconn=777 \
	"$p" --name=small --memory=4Mi --cpu=900m --cpu-shares=512 --oom-score-adj=-500 -- wait hog \
	--- "$p" --name=plain --environment=A=b -- wait \
	--- "$WORK/nnp.aci" --name=nnp --memory=100M -- wait \
	--- "$p" --name=user --user=1000 --group=1000 --ulimit=nofile=100:200 --ulimit=core=unlimited -- go
is 'apps that only look end well' "$status" 0
[ "$status" = 0 ] || diag "$err"

# nobody's in particular
can plain 'descriptors=0,1,2 cwd=/ hostname=probed session=own SigBlk=0000000000000000
	SigIgn=0000000000000000 SigCgt=0000000000000000 Umask=0022 tty=ENXIO somaxconn=777
	dev=console,fd,full,mqueue,net,null,ptmx,pts,random,shm,stderr,stdin,stdout,tty,urandom,zero
	/dev/fd=/proc/self/fd /dev/stdin=/proc/self/fd/0 /dev/stdout=/proc/self/fd/1
	/dev/stderr=/proc/self/fd/2 /etc/mtab=../proc/self/mounts etc-hostname=probed
	/dev/shm=41777 /dev/mqueue=41777 /dev/null=20666 /dev/zero=20666 /dev/full=20666
	/dev/random=20666 /dev/urandom=20666 /dev/tty=20666 /dev/console=20600 /dev/ptmx=20666
	/dev/net/tun=20666 shm=ok mqueue=ok pty=ok ulimit-nofile=1024:524288 env-A=b
	env-AC_APP_NAME=plain env-container=tripod env-SHELL=/bin/sh env-USER=root env-LOGNAME=root
	env-HOME=/root env-PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	root-write=ok init-root=EACCES init-ns=EACCES raise-files=EPERM'
# confined as by default
can plain 'uid=0 Uid=0,0,0,0 Gid=0,0,0,0 Groups= CapBnd=00000000a80425fb
	CapEff=00000000a80425fb CapPrm=00000000a80425fb CapInh=0000000000000000
	CapAmb=0000000000000000 NoNewPrivs=0 Seccomp=2 mount=killed umount=killed unshare=killed
	ptrace=killed settime=killed keyctl=killed bpf=killed sethostname=killed uring=ENOSYS
	uname=ok chroot=ok mknod=ok setuid=ok nice=EACCES oom=0 raise-oom=EACCES group=0::/
	core=EROFS panic=EROFS sys=EROFS hidden=EROFS groups=ENOENT /sys/firmware=40000
	/sys/fs=40000 /sys/module=40000 /sys/kernel=40755 /proc/kcore=ENOENT uncover=killed
	fresh-proc=killed raise-group=killed raise-group-as-user=killed'
can small 'group=0::/ hog=killed oom=-500 raise-oom=EACCES'
can nnp 'NoNewPrivs=1 oom=300 group=0::/'
can user 'Uid=1000,1000,1000,1000 Gid=1000,1000,1000,1000 CapBnd=00000000a80425fb
	CapEff=0000000000000000 CapPrm=0000000000000000 NoNewPrivs=1 Seccomp=2 mount=killed
	chroot=EPERM setuid=EPERM uname=ok ulimit-nofile=100:200 ulimit-core=unlimited:unlimited
	raise-files=EPERM root-write=EACCES shm=ok'
is 'all apps have the same /dev/shm' "$(sed -n 's/^[a-z]*: shm-is=//p' "$WORK/out" | sort -u | wc -l)" 1
uuid=$(cd "$DATA/pods/run" && echo *)
is 'the machine ID is the UUID of the pod' "$(sed -n 's/^plain: machine-id=//p' "$WORK/out")" \
	"$(echo "$uuid" | tr -d -)"
sed -n 's/^[a-z]*: boot-id=//p' "$WORK/out" >"$WORK/boot-ids"

run_tripod run "$p" --name=errno --caps-retain=CAP_SYS_ADMIN \
		--seccomp=mode=remove,errno=EXDEV,@systemd/mount,uname -- wait \
	--- "$p" --name=keep --seccomp=mode=retain,errno=EPERM,@rkt/default-whitelist,keyctl \
		--readonly-rootfs=true --working-dir=/tmp -- wait \
	--- "$p" --name=bare --caps-remove=CAP_CHOWN,CAP_MKNOD "$all" -- wait \
	--- "$p" --name=open --memory=8Mi --cpu=900m --cpu-shares=512 \
		--caps-retain=CAP_SYS_ADMIN,CAP_SETUID "$all" -- go limits
is 'so do those with more to try' "$status" 0
[ "$status" = 0 ] || diag "$err"
sed -n 's/^[a-z]*: boot-id=//p' "$WORK/out" >>"$WORK/boot-ids"
is 'each pod has a boot ID of its own, for all its apps' \
	"$(sort "$WORK/boot-ids" | uniq -c | grep -c '^ *4 [0-9a-f-]\{36\}$')" 2
can errno 'CapEff=0000000000200000 NoNewPrivs=0 Seccomp=2 mount=EXDEV umount=EXDEV
	remount=EXDEV uname=EXDEV unshare=ok chroot=EXDEV'
can keep 'Seccomp=2 mount=EPERM unshare=EPERM uring=EPERM keyctl=ENOSYS uname=ok
	root-write=EROFS cwd=/tmp'
# root without CAP_SYS_ADMIN undoes nothing, also where no system call is filtered
can bare 'CapBnd=00000000a00425fa Seccomp=0 mount=EPERM umount=EPERM remount=EPERM mknod=EPERM
	unshare=EPERM uncover=EINVAL fresh-proc=EPERM raise-group=EPERM raise-group-as-user=EPERM
	core=EROFS panic=EROFS sys=EROFS hidden=EROFS init-root=EACCES init-ns=EACCES
	raise-files=EPERM raise-oom=EACCES'
# and with it may mount, but its limits stay
can open 'memory.max=8388608 cpu.max=90000_100000 cpu.weight=50 raise-group=EPERM
	raise-group-as-user=EPERM Seccomp=0 NoNewPrivs=0 unshare=ok mount=ok umount=ok setuid=ok
	settime=EPERM init-root=EACCES init-ns=EACCES raise-files=EPERM raise-oom=EACCES'

# what --insecure-options says is off, is
run_tripod --insecure-options=image,capabilities,paths,seccomp run "$p"
is 'an app with everything ends well' "$status" 0
sed -i 's/^/free: /' "$WORK/out"
can free 'CapBnd=000001ffffffffff CapEff=000001ffffffffff Seccomp=0 NoNewPrivs=0 core=ok panic=ok
	sys=ok /sys/fs=40755 groups=ok mount=ok settime=ok raise-files=ok raise-oom=ok'

run_tripod run "$p" --seccomp=remove,mount
like '--seccomp wants a mode' "$err" '--seccomp: "remove,mount" has neither mode=retain nor'
run_tripod run "$p" --seccomp=mode=retain
like 'and a set' "$err" '--seccomp: "mode=retain" names no system calls'
run_tripod run "$p" --seccomp=mode=retain,errno=perm,read
like 'and the name of an error' "$err" '--seccomp: "perm" is not the name of an error'
run_tripod run "$p" --ulimit=nofile=2:1
like 'a soft limit is below the hard one' "$err" 'nofile: the soft limit is above the hard one'
run_tripod run "$p" --ulimit=files=1
like 'a limit has one of the names' "$err" '"files" is not the name of a limit'
run_tripod run --sysctl=kernel.core_pattern=x "$p"
like 'what the kernel executes can not be set' "$err" 'kernel.core_pattern can not be set'
no_leaks 'nothing is left'
done_testing
