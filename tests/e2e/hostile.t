#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A guest that breaks every rule it knows, against the VMM as stage1 runs it: a pod directory whose
# kernel is tests/hostile. The VMM lives or ends the pod cleanly, within bounds of time and memory.
# With SAN=1 it is built with ASan and UBSan, whose reports are exits no scenario expects.
. tests/e2e/tap.sh

need_kvm
need_command python3

GUEST=$TOP/build/tests/hostile/guest.elf
VMM=$TOP/$BUILD/libexec/tripod-vmm
POD=$WORK/pod
# What the VMM may have resident: the 32 MiB that the guest lets devices write to, the guest, itself
# with its sanitizers. A guest that makes it grow has 256 MiB of its own to do it with.
PEAK_KIB=$((64 * 1024))
export ASAN_OPTIONS=quarantine_size_mb=16:detect_leaks=0
export RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS

make_pod()
{
	rootfs=$POD/stage1/rootfs
	mkdir -p "$rootfs/opt/stage2/app/disk"
	cp "$VMM" "$rootfs/run"
	cp "$GUEST" "$rootfs/vmlinux"
	echo none >"$rootfs/initrd"
	printf TRIP >"$rootfs/opt/stage2/app/disk/0"
	truncate -s 64M "$rootfs/opt/stage2/app/disk/0"
	# one that is written, too: it begins like the other, as the guest looks for that
	printf TRIP >"$POD/disk.img"
	truncate -s 64M "$POD/disk.img"
	echo 67108864 >"$POD/disk"
	cat >"$POD/pod" <<-END
	{"acVersion": "0.8.11", "acKind": "PodManifest", "apps": [{
	  "name": "app",
	  "image": {"id": "sha512-$(printf '%0128d' 0)"},
	  "app": {"exec": ["/none"], "user": "0", "group": "0", "isolators": [
	    {"name": "resource/cpu", "value": {"limit": "2"}},
	    {"name": "resource/memory", "value": {"limit": "256Mi"}}]}}],
	 "volumes": null, "isolators": null, "annotations": null, "ports": null}
	END
}

# scenario NAME [MEASURE-OPTION...]: boot it; sets $exit, $peak and $err
scenario()
{
	RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS=hostile=$1
	shift
	cd "$POD" || exit 1
	run "$TOP/tests/hostile/measure" 100 "$@" "$POD/stage1/rootfs/run" --debug --net=none \
		00000000-0000-4000-8000-000000000000
	cd "$TOP" || exit 1
	exit=$(sed -n 's/^measure: exit \([^,]*\),.*/\1/p' "$WORK/err")
	peak=$(sed -n 's/^measure: .* peak \([0-9]*\) KiB.*/\1/p' "$WORK/err")
	diag "$(tail -n 1 "$WORK/err")"
}

bounded()
{
	ok "$1: the VMM does not grow" [ "${peak:-$PEAK_KIB}" -lt "$PEAK_KIB" ]
}

faults_told()
{
	like 'rules: what was broken is told' "$err" \
		"guest's driver of blk0 broke a rule: descriptor index out of range"
	is 'rules: but a few times a device' "$(grep -c 'driver of blk0 broke' "$WORK/err")" 4
}

make_pod
for what in rules lengths geometry registers rewrite reset storm requests undermine; do
	scenario "$what"
	is "$what: the VMM lives until the guest resets itself" "$exit" 254
	like "$what: every check of the guest's holds" "$err" \
		"hostile: $what: [1-9][0-9]* checks, 0 failed"
	like "$what: the pod's end is told in one line" "$err" 'the guest ended before its apps did'
	bounded "$what"
	[ "$what" != rules ] || faults_told
done

# The guest is given the TPM here only: elsewhere there is none to be abused.
printf on >"$POD/tpm"
scenario tpm
is 'tpm: the VMM lives until the guest resets itself' "$exit" 254
like 'tpm: every check of the guest'\''s holds' "$err" \
	"hostile: tpm: [1-9][0-9]* checks, 0 failed"
like 'tpm: the pod'\''s end is told in one line' "$err" 'the guest ended before its apps did'
bounded tpm
rm "$POD/tpm"

# A volume's server may take offence where the VMM's own devices would say so: then the pod ends with it.
mkdir "$WORK/shared"
cp "$POD/pod" "$WORK/pod-json"
sed -i 's|"volumes": null|"volumes": [{"name": "v", "kind": "host", "source": "'"$WORK"'/shared"}]|
	s|"app": {"exec"|"mounts": [{"volume": "v", "path": "/v"}], "app": {"exec"|' "$POD/pod"
for what in rules geometry registers reset storm; do
	scenario "$what"
	is "share, $what: the VMM lives as long as the guest, or ends the pod" "$exit" 254
	is "share, $what: in one line" "$(printf '%s\n' "$err" | grep -Ec \
		'the guest ended before its apps did|^stage1: volume v: virtiofsd|^stage1: volume v: vhost')" 1
	unlike "share, $what: which is not the jail's" "$err" 'system call [0-9]+ is not allowed'
	bounded "share, $what"
done
mv "$WORK/pod-json" "$POD/pod"

scenario vsock
is 'vsock: packets of any kind end the pod at the most' "$exit" 254
like 'vsock: and only those that pass for init' "$err" 'hostile: vsock is half way'
unlike 'vsock: every check before holds' "$err" 'hostile: not so'
bounded vsock

scenario forever -s 5
is 'forever: a notify storm does not keep the VMM from a signal' "$exit" 143
bounded forever

scenario triple
is 'triple: a triple fault ends the pod' "$exit" 254
like 'triple: and is told' "$err" 'triple fault on vCPU 0'

scenario halt -s 3
is 'halt: a guest that stands still is ended by a signal' "$exit" 143

no_leaks 'nothing is left'
done_testing
