#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# attest expected: reference values, computed without a pod. Each part has its PCR, and only that.
. tests/e2e/tap.sh

attest=$TOP/tests/e2e/attest.py
app=$IMAGES/busybox.aci
host='--host-kind=hardware --host-cpus=2'

# expected NAME WORDS...: reference values of a pod in $WORK/NAME
expected()
{
	name=$1
	shift
	# shellcheck disable=SC2086 # two words
	run_tripod attest expected $host "$@"
	cp "$WORK/out" "$WORK/$name"
}

# only NAME PCR: beside base, only that PCR is another
only()
{
	is "changing $1 changes PCR $2 and no other" "$("$attest" changed "$WORK/base" "$WORK/$3")" "$2"
}

expected base "$app" --exec=/bin/true
is 'attest expected succeeds' "$status" 0
is 'without a word' "$err" ''
is 'it leaves no pod' "$(find "$DATA/pods" -mindepth 2)" ''
expected again "$app" --exec=/bin/true
is 'it prints the same each time' "$(cat "$WORK/again")" "$(cat "$WORK/base")"
DATA=$WORK/other
expected again "$app" --exec=/bin/true
is 'and with another data directory' "$(cat "$WORK/again")" "$(cat "$WORK/base")"

"$attest" flip "$app" rootfs/etc/passwd "$WORK/changed.aci"
expected app "$WORK/changed.aci" --name=busybox --exec=/bin/true
only 'a byte of the app' 15 app
"$attest" label "$app" "$WORK/changed.aci"
expected manifest "$WORK/changed.aci" --name=busybox --exec=/bin/true
only "the image's manifest" 15 manifest
expected flag "$app" --exec=/bin/true --user=1
only 'a flag' 15 flag
expected hostname --hostname=web "$app" --exec=/bin/true
only 'the host name' 15 hostname
export RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS=quiet
expected cmdline "$app" --exec=/bin/true
unset RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS
only "the kernel's command line" 8 cmdline
while read -r file pcr what; do
	"$attest" flip "$STAGE1" "rootfs/$file" "$WORK/stage1.aci"
	expected "$file" --stage1-path="$WORK/stage1.aci" "$app" --exec=/bin/true
	only "a byte of the $what" "$pcr" "$file"
done <<EOF
vmlinux 4 kernel
initrd 9 initrd
run 0 VMM
EOF
host='--host-kind=hardware --host-cpus=1'
expected cpus "$app" --exec=/bin/true --cpu=2
host='--host-kind=hardware --host-cpus=2'
expected cpus2 "$app" --exec=/bin/true --cpu=2
is 'the number of CPUs is part of the machine, and of the app' \
	"$("$attest" changed "$WORK/cpus" "$WORK/cpus2")" 1
host='--host-kind=emulated --host-cpus=2'
expected emulated "$app" --exec=/bin/true
kind=" $("$attest" changed "$WORK/base" "$WORK/emulated") "
like 'the kind of host is in the command line' "$kind" ' 8 '
unlike 'and in none of the files' "$kind" ' [0249] '

run_tripod attest expected
is 'no image is an error' "$status" 254
run_tripod attest expected --host-kind=paper "$app"
is 'an unknown kind of host too' "$status" 254
run_tripod attest expected --tpm=maybe "$app"
is 'and a word for --tpm' "$status" 254
like 'which is told' "$err" '^expected: --tpm: "maybe" is neither auto nor on nor off'
run_tripod run --tpm-ca="$WORK/ca" "$app"
is '--tpm-ca needs a TPM' "$status $err" '254 run: --tpm-ca goes with --tpm=on only'
run_tripod run --host-tpm=on --host-tcti=swtpm:host=127.0.0.1,port=1 "$app"
is "a host's TPM that must be there and is not is an error" "$status" 254
like 'which is told too' "$err" "^run: the host's TPM: no connection by swtpm:host=127.0.0.1,port=1"
is 'before there is a pod' "$(ls "$DATA/pods/run")" ''
run_tripod run --require-measured="$WORK/none" "$app"
is 'reference values that are not there refuse' "$status" 254
like 'and are named' "$err" "^run: --require-measured: $WORK/none"
echo '{}' >"$WORK/empty"
run_tripod run --require-measured="$WORK/empty" "$app"
like 'and such as are none' "$err" '^run: --require-measured: expected values: kind is not tripod-exp'
run_tripod attest verify --nonce=00 "$WORK/base"
is 'verify wants to know what is expected' "$status" 254
run_tripod attest verify --nonce=0g --expected="$WORK/base" "$WORK/base"
is 'and a nonce' "$status" 254
run_tripod attest quote --nonce=00 0123
is 'there is no quote of a pod that is not there' "$status" 254
no_leaks 'nothing is left'
done_testing
