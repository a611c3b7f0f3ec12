#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The launch measurement of a pod that ran, and what the VMM measures of copies of its directory of
# which one byte was changed. One boot.
. tests/e2e/tap.sh
need_kvm
need_command tpm2_eventlog
busybox=$IMAGES/busybox.aci

# expected DIR [OPTION...]: the log --measure makes of a pod directory with a default host name
expected()
{
	(
		cd "$1" || exit 1
		shift
		stage1/rootfs/run --measure "$@"
	)
}

# same DIR [OPTION...]: with those of the pod that ran
same()
{
	dir=$1
	shift
	# shellcheck disable=SC2086 # words
	expected "$dir" "$@" $args
}

# pcrs LOG: a line "PCR VALUE" for each PCR it extends, SHA-256
pcrs()
{
	tpm2_eventlog "$1" 2>/dev/null |
		sed -n '/^  sha256:/,/^  sha384:/s/^    \([0-9]*\) *: 0x\(.*\)/\1 \2/p'
}

# changed LOG: the PCRs that are not what they are in $WORK/log
changed()
{
	pcrs "$1" | diff "$WORK/pcrs" - | sed -n 's/^> \([0-9]*\) .*/\1/p' | tr '\n' ' '
}

# A pod that ran: its log is what --measure says of its directory, which has no pod of its own UUID.
run_tripod run "$busybox" --exec=/bin/true
is 'the pod runs' "$status" 0
ran=$(echo "$DATA"/pods/run/*)
cp -a --no-preserve=links "$ran" "$WORK/pod"
uuid=00000000-0000-4000-8000-000000000000
# the arguments stage0 gave, with this UUID
args=$(grep -ao 'Stage1 args: [ -~]*' "$ran/measurements" | sed "s/.*args: //; s/UUID/$uuid/g")
# shellcheck disable=SC2086 # words
expected "$WORK/pod" $args >"$WORK/log"
ok 'the log of a launch is that of a clean copy without a launch' \
	cmp "$ran/measurements" "$WORK/log"
ok 'stock tools read it' sh -c "tpm2_eventlog '$WORK/log' >'$WORK/yaml' 2>/dev/null"
pcrs "$WORK/log" >"$WORK/pcrs"
is 'these PCRs are measured, the others just closed' \
	"$(awk '{ print $1 }' "$WORK/pcrs" | tr '\n' ' ')" '0 1 2 3 4 5 6 7 8 9 15 '
is 'the event of the command line is readable' \
	"$(tr -d '\0' <"$WORK/log" | grep -ac 'kernel_cmdline: ')" 1

# Digests with stock tools.
disk=$(sha256sum <"$WORK/pod/stage1/rootfs/opt/stage2/busybox/disk/0" | cut -d' ' -f1)
disk=$disk$(sha256sum <"$WORK/pod/stage1/rootfs/opt/stage2/busybox/disk/1" | cut -d' ' -f1)
disk=$(printf '%s' "$disk" | sed 's/../\\x&/g')
# shellcheck disable=SC2059 # bytes
disk=$(env printf "$disk" | sha256sum | cut -d' ' -f1)
like 'sha256sum gives the digest of an app'\''s disk' "$(cat "$WORK/yaml")" "Digest: \"$disk\""
kernel=$(sha256sum <"$WORK/pod/stage1/rootfs/vmlinux" | cut -d' ' -f1)
like 'and that of the kernel' "$(cat "$WORK/yaml")" "Digest: \"$kernel\""

# one_byte NAME PCRS FILE: with its last byte changed
one_byte()
{
	cp -a "$WORK/pod" "$WORK/copy"
	size=$(stat -c %s "$WORK/copy/$3")
	printf '\125' | dd of="$WORK/copy/$3" bs=1 seek=$((size - 1)) conv=notrunc status=none
	same "$WORK/copy" >"$WORK/other"
	is "one byte of $1 changes exactly its PCR" "$(changed "$WORK/other")" "$2 "
	rm -rf "$WORK/copy"
}

one_byte 'the kernel' 4 stage1/rootfs/vmlinux
one_byte 'the initrd' 9 stage1/rootfs/initrd
one_byte 'the app'\''s metadata' 15 stage1/rootfs/opt/stage2/busybox/disk/0
one_byte 'the app'\''s files' 15 stage1/rootfs/opt/stage2/busybox/disk/1
one_byte 'the image'\''s manifest' 15 appsinfo/busybox/manifest

cp -a "$WORK/pod" "$WORK/copy"
printf x >>"$WORK/copy/stage1/rootfs/run"
same "$WORK/copy" >"$WORK/other"
is 'another VMM changes PCR 0' "$(changed "$WORK/other")" '0 '
sed -i 's/"\/bin\/true"/"\/bin\/trux"/' "$WORK/copy/pod"
same "$WORK/copy" >"$WORK/other"
is 'another pod manifest changes PCR 15' "$(changed "$WORK/other")" '0 15 '

expected "$WORK/pod" --hostname=other $uuid >"$WORK/other"
is 'a flag changes PCR 15' "$(changed "$WORK/other")" '15 '
same "$WORK/pod" --debug >"$WORK/other"
is '--debug changes the machine and the command line, too' "$(changed "$WORK/other")" '1 8 15 '
RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS=x same "$WORK/pod" >"$WORK/other"
is 'a word for the kernel changes PCR 8' "$(changed "$WORK/other")" '8 '
other=00000000-0000-4000-8000-000000000001
expected "$WORK/pod" --mds-token=one --hostname=rkt-$other $other >"$WORK/one"
expected "$WORK/pod" --mds-token=two --hostname=rkt-$uuid $uuid >"$WORK/two"
ok 'UUID, default host name and token are not measured' cmp "$WORK/one" "$WORK/two"
expected "$WORK/pod" --host=hardware --host-cpus=4 --hostname=rkt-$uuid $uuid >"$WORK/one"
expected "$WORK/pod" --host=emulated --host-cpus=4 --hostname=rkt-$uuid $uuid >"$WORK/two"
pcrs "$WORK/one" >"$WORK/pcrs"
is 'the kind of host changes command line and default memory' "$(changed "$WORK/two")" '1 8 15 '
printf on >"$WORK/pod/tpm"
expected "$WORK/pod" --host=hardware --host-cpus=4 --hostname=rkt-$uuid $uuid >"$WORK/two"
is 'a TPM for the guest changes machine and plan' "$(changed "$WORK/two")" '1 15 '
rm "$WORK/pod/tpm"
pcrs "$WORK/log" >"$WORK/pcrs"

printf off >"$WORK/pod/tpm"
same "$WORK/pod" >"$WORK/other"
ok 'a TPM nobody in the guest asks for is nothing to the guest' cmp "$WORK/log" "$WORK/other"
rm "$WORK/pod/tpm"

# --require-measured: refused before anything runs
rm -rf "$WORK/copy"
cp -a "$WORK/pod" "$WORK/copy"
cp "$WORK/log" "$WORK/copy/require-measured"
printf x >>"$WORK/copy/stage1/rootfs/initrd"
cd "$WORK/copy" || exit 1
# shellcheck disable=SC2086 # words
run stage1/rootfs/run $args
cd "$TOP" || exit 1
is 'a pod that is not as required does not start' "$status" 254
like 'and names the first event that differs' "$err" \
	'^stage1: required measurements: event [0-9]+, PCR 9 \(initrd\) differs'
is 'in one line' "$(wc -l <"$WORK/err")" 1
head -c 100 "$WORK/log" >"$WORK/copy/require-measured"
cd "$WORK/copy" || exit 1
# shellcheck disable=SC2086 # words
run stage1/rootfs/run $args
cd "$TOP" || exit 1
is 'nor does one whose requirement is cut off' "$status" 254

# The cache: a store's file that was changed behind everybody's back
export TRIPOD_DIGESTS="$DATA/cas/digests"
sleep 4 # files modified a moment ago are not kept
same "$ran" >"$WORK/other"
ok 'a log made with the cache is the same' cmp "$WORK/log" "$WORK/other"
file=$ran/stage1/rootfs/opt/stage2/busybox/disk/1
touch -r "$file" "$WORK/times"
printf '\125' | dd of="$file" bs=1 seek=100 conv=notrunc status=none
touch -r "$WORK/times" "$file"
same "$ran" >"$WORK/other"
is 'a change that hides its time is measured' "$(changed "$WORK/other")" '15 '

expected "$WORK/pod" --host=martian $uuid 2>"$WORK/err" >"$WORK/other"
is 'a kind of host that is none is refused' "$?" 254
expected "$WORK/pod" --host-cpus=0 $uuid 2>"$WORK/err" >"$WORK/other"
is 'as is no CPU' "$?" 254
no_leaks 'nothing is left'
done_testing
