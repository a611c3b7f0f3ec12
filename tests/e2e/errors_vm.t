#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What goes wrong at the VM and in it: one clear line, the right status, nothing left behind.
. tests/e2e/tap.sh
. tests/e2e/stub.sh
need_root

cp "$TRIPOD" "$STAGE1" "$IMAGES/busybox.aci" "$WORK"
chmod 755 "$WORK"

# one_line NAME STATUS ERE: the run before ended with STATUS, and its one line says ERE
one_line()
{
	unwarned
	is "$1: status $2" "$status" "$2"
	is "$1: one line" "$(printf '%s\n' "$err" | wc -l | tr -d ' ')" 1
	like "$1: the line says why" "$err" "$3"
	is "$1: nothing on stdout" "$out" ''
}

# collected NAME: the pod is an exited one, and gc takes it away
collected()
{
	uuid=$(pods_at run)
	run_tripod status "$uuid"
	like "$1: the pod has exited" "$out" '^state=exited$'
	run_tripod gc --grace-period=0s
	is "$1: gc succeeds" "$status" 0
	no_pods "$1: no pod is left"
}

# --- no machine

if unshare -m true 2>/dev/null; then
	# shellcheck disable=SC2016 # for the inner shell
	run unshare -m sh -c 'mkdir "$1/dev" && mount -t tmpfs none "$1/dev" &&
		for dev in null zero urandom; do
			: >"$1/dev/$dev" && mount --bind "/dev/$dev" "$1/dev/$dev"; done &&
		mount --rbind "$1/dev" /dev && shift && exec "$@"' - "$WORK" \
		"$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none "$WORK/busybox.aci"
	one_line 'no /dev/kvm' 254 'no /dev/kvm'
	collected 'no /dev/kvm'

	mknod -m 600 "$WORK/kvm" c 10 232
	[ -e /dev/kvm ] || mknod -m 600 /dev/kvm c 10 232
	# shellcheck disable=SC2016
	as_nobody='mount --bind "$1/kvm" /dev/kvm && shift &&
		exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"'
	rm -rf "$DATA"
	install -d -o 65534 -g 65534 "$DATA"
	run unshare -m sh -c "$as_nobody" - "$WORK" "$WORK/tripod" --dir="$DATA" \
		--insecure-options=image run "$WORK/busybox.aci"
	one_line 'no permission for /dev/kvm' 254 'no permission to open /dev/kvm'
	collected 'no permission for /dev/kvm'
	run unshare -m sh -c "$as_nobody" - "$WORK" "$WORK/tripod" --dir="$DATA" doctor
	is 'doctor: status 254 without permission' "$status" 254
	like 'doctor: says so' "$out" '^FAIL  /dev/kvm +no permission'
	like 'doctor: and how to mend it' "$out" '-> .*usermod -aG'
	rm -rf "$DATA"
else
	skip 'no /dev/kvm' 'no mount namespaces'
fi

if ! [ -w /dev/kvm ]; then
	skip 'missing programs, a killed VMM' 'no usable /dev/kvm'
	done_testing
	exit
fi

run_tripod doctor
is 'doctor: status 0 where pods can run' "$status" 0
like 'doctor: and says so' "$out" '^Pods can run here\.$'
run_tripod doctor --format=json
like 'doctor: JSON' "$out" '^\{"ok":true,'
like 'doctor: with what the VMM found' "$out" '"kernel-mode":"(hardware|emulated)"'
no_pods 'doctor: leaves no pod'

# --- no program

run_tripod run "$IMAGES/busybox.aci" --exec=/not/there
one_line 'a missing program' 203 '^Error: Unable to open "/not/there": No such file or directory$'
collected 'a missing program'

make_app "$WORK/app.aci" web
rm "$WORK/make/rootfs/bin/app"
ln -s /no/where "$WORK/make/rootfs/bin/app"
tar -C "$WORK/make" -cf "$WORK/dead.aci" manifest rootfs
run_tripod run "$WORK/dead.aci"
one_line 'a dead link as program' 203 'Unable to open "/bin/app": No such file or directory, it links to'
collected 'a dead link as program'

# --- killed

TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none \
	--uuid-file-save="$WORK/uuid" "$IMAGES/busybox.aci" --exec=/bin/sleep -- 1000 \
	>"$WORK/out" 2>"$WORK/err" </dev/null &
pid=$!
for _ in $(seq 150); do # until the pod is there
	[ ! -s "$WORK/uuid" ] || break
	sleep 0.2
done
LIMIT=300
run_tripod status --wait-ready=280s --uuid-file="$WORK/uuid"
like 'it runs' "$out" '^state=running$'
like 'the pid is that of the process we started' "$out" "^pid=$pid\$"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
is 'a killed VMM: the status is that of the signal' "$?" 137
collected 'a killed VMM'
no_leaks 'nothing else is left'
done_testing
