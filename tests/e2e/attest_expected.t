#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# attest expected: reference values, computed without a pod. Each part has its PCR, and only that.
. tests/e2e/tap.sh
. tests/e2e/stub.sh

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
is 'and the pod is gone' "$(ls "$DATA/pods/run")" ''
# the host's TPM, with a stage1 of a few lines
stub_pids=
make_app "$WORK/app.aci" web
make_stage1 "$WORK/stub.aci" 6 <<'EOM'
#!/bin/sh
exit 7
EOM
stub_run()
{
	run_tripod run --stage1-path="$WORK/stub.aci" "$@" "$WORK/app.aci"
}
stub_run --host-tcti=swtpm:host=127.0.0.1,port=1
is "a host's TPM that may be there and is not is none" "$status" 7
like 'though told when it was named' "$err" \
	"run: the launch is not recorded: the host's TPM: no connection by swtpm:"
stub_run --host-tpm=off --host-tcti=swtpm:host=127.0.0.1,port=1
unlike 'and not looked for with --host-tpm=off' "$status $err" "not recorded|the host's TPM"
mkdir "$WORK/host-tpm"
# shellcheck disable=SC2046 # two words
set -- $(TRIPOD_TEST=$WORK "$attest" swtpm "$WORK/host-tpm")
for _ in 1 2 3 4; do
	stub_run --host-tpm=on --host-tcti="swtpm:host=127.0.0.1,port=$2" &
	stub_pids="$stub_pids $!"
done
for pid in $stub_pids; do
	wait "$pid"
done
is 'launches at once are recorded one after the other' "$(wc -l <"$DATA/host-tpm")" 5
is 'each of them' "$(for record in "$DATA"/pods/run/*/host-record; do
	sha256sum <"$record" | cut -d' ' -f1
done | sort)" "$(tail -n 4 "$DATA/host-tpm" | sort)"
pcr=$(python3 - "$DATA/host-tpm" <<'EOF'
import hashlib, pathlib, sys

start, *records = map(bytes.fromhex, pathlib.Path(sys.argv[1]).read_text().split())
for record in records:
    start = hashlib.sha256(start + record).digest()
print(start.hex())
EOF
)
is "and they give the TPM's PCR" \
	"$(tpm2_pcrread -T "swtpm:host=127.0.0.1,port=$2" sha256:15 | "$attest" toolpcrs)" \
	"sha256 15 $pcr"
record=$(cat "$DATA"/pods/run/*/host-record | head -n 1)
like "the record is rkt's" "$record" '^rkt: Rootfs:  Manifest: \{"acVersion":.*\} Stage1 args: /.*-[0-9a-f]{12}$'
kill "$1"
wait_for has_ended "$1"

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
