#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A guest that dies ends its pod at once, with a line that says why. The small ones are a few
# instructions made into a kernel; the panic is the real one's.
. tests/e2e/tap.sh
need_kvm
vmm=$TOP/$BUILD/libexec/tripod-vmm

# kernel CODE: an ELF file with CODE (hexadecimal) at its entry
kernel()
{
	perl -e '
		my $code = pack("H*", $ARGV[0]);
		print pack("a16 v2 V Q<3 V v6", "\x7fELF\2\1\1", 2, 62, 1, 0x1000000, 64, 0, 0,
			64, 56, 1, 64, 0, 0),
		      pack("V2 Q<6", 1, 5, 0x1000, 0x1000000, 0x1000000, length($code),
			length($code), 0x1000),
		      "\0" x (0x1000 - 120), $code' "$1" >"$WORK/kernel"
}

# mov $0xfe, %al; out %al, $0x64
kernel b0fee664
run "$vmm" --kernel="$WORK/kernel"
is 'a guest that resets ends without a word' "$status$out$err" 0

# ud2, and no handler
kernel 900f0b
run "$vmm" --kernel="$WORK/kernel"
is 'a triple fault is a failure' "$status" 254
is 'and one line says where' "$err" 'tripod-vmm: triple fault on vCPU 0 at rip 0x1000001'

# stac; a reset where KVM knows it
kernel 0f01cbb0fee664
run "$vmm" --probe
if printf '%s\n' "$out" | grep -q '^instruction-stac=fails$'; then
	run "$vmm" --kernel="$WORK/kernel"
	is 'an instruction KVM can not emulate is a failure' "$status" 254
	like 'and one line shows it' "$err" \
		"^tripod-vmm: KVM can not emulate an instruction on vCPU 0 at rip 0x1000000: 0f 01 cb"
else
	skip 'an instruction KVM can not emulate is a failure' 'KVM here emulates all of them'
	skip 'and one line shows it' 'KVM here emulates all of them'
fi

# what is no kernel
echo text >"$WORK/kernel"
run "$vmm" --kernel="$WORK/kernel"
is 'what is no kernel is a failure' "$status" 254
is 'and one line says why' "$err" 'tripod-vmm: guest kernel: shorter than an ELF header'

run "$vmm" --probe
is 'the probe succeeds' "$status" 0
like 'and tells the kind of host' "$out" '^kernel-mode=(emulated|hardware)$'

# init is not there
export RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS='rdinit=/nothing'
run_tripod run "$IMAGES/busybox.aci" --exec=/bin/true
is 'a kernel panic ends the pod' "$status" 254
like 'and the last line is the panic' "$(printf '%s\n' "$err" | tail -n 1)" \
	'the guest kernel died: Kernel panic - not syncing: '
like 'after what the kernel said before it' "$err" '^[^:]*: guest: .*root'
no_leaks 'a guest that died leaves nothing'
done_testing
