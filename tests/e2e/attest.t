#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Attestation of a pod that runs: what its guest, its TPM, its host and stock tools say is the same,
# and what is not the same is refused. One pod for all of it: a boot is the expensive part.
. tests/e2e/tap.sh
need_kvm
need_command swtpm

attest=$TOP/tests/e2e/attest.py
nonce=00112233445566778899aabbccddeeff
other=ffeeddccbbaa99887766554433221100
cd "$WORK" || exit 1

# a TPM that stands for the host's
mkdir host-tpm
# shellcheck disable=SC2046 # two words
set -- $(TRIPOD_TEST=$WORK "$attest" swtpm "$WORK/host-tpm")
host_pid=$1
tcti=swtpm:host=127.0.0.1,port=$2

# In the guest: what its tools say of the TPM, then TPM commands without a pause until it is stopped,
# so that quotes are taken in between.
cat >guest.sh <<'EOG'
export TPM2TOOLS_TCTI=device:/dev/tpmrm0
log=/sys/kernel/security/tpm0/binary_bios_measurements
pcrs=0,1,2,3,4,5,6,7,8,9,15
echo '== pcrread'; tpm2_pcrread sha256:$pcrs+sha384:$pcrs
echo '== log'; cat $log | base64
echo '== eventlog'; cp $log /tmp/log; tpm2_eventlog /tmp/log 2>/dev/null | sed -n '/^pcrs:/,$p'
echo '== quote'
tpm2_createprimary -Q -C o -G ecc256:ecdsa-sha256:null -c /tmp/ak \
	-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign' &&
tpm2_quote -Q -c /tmp/ak -l sha256:$pcrs -q aabb -m /tmp/m -s /tmp/s -o /tmp/p &&
tpm2_readpublic -Q -c /tmp/ak -o /tmp/pub &&
tpm2_checkquote -Q -u /tmp/pub -m /tmp/m -s /tmp/s -f /tmp/p -g sha256 -q aabb && echo quoted
echo '== traffic'
good=0 bad=0
trap 'echo "traffic $good $bad"; exit 0' TERM
while :; do
	if tpm2_getrandom --hex 8 >/dev/null; then good=$((good + 1)); else bad=$((bad + 1)); fi
	echo "beat $good $bad"
done
EOG

set -- --tpm=on --hostname=proof "$IMAGES/tpm2.aci" --exec=/bin/sh -- -c "$(cat guest.sh)"
# on a clean copy: nothing of it comes from the pod's own store
run "$TRIPOD" --dir="$WORK/clean" --insecure-options=image attest expected --net=none "$@"
cp out expected
is 'there are reference values' "$status" 0

TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none --uuid-file-save=uuid \
	--require-measured=expected --tpm-ca="$WORK/ca" --host-tpm=on --host-tcti="$tcti" "$@" \
	>guest.out 2>guest.err </dev/null &
pod_pid=$!

# printed ERE: until the guest has
printed()
{
	waited=0
	until grep -q "$1" guest.out 2>/dev/null; do
		[ "$waited" -lt 6000 ] && kill -0 "$pod_pid" 2>/dev/null || return 1
		waited=$((waited + 1))
		sleep 0.1
	done
}

# section NAME: what the guest printed after it
section()
{
	sed -n "/^== $1\$/,/^== /p" guest.out | grep -v '^== '
}

ok 'the pod starts, with these values required' printed '^== pcrread'
uuid=$(cat uuid)
ok 'its TPM is used by the guest' printed '^beat 2 '
quote()
{
	run_tripod attest quote --host-tcti="$tcti" "$@" "$uuid"
}

before=$(grep -c '^beat' guest.out)
quote --nonce=$nonce --out=quote --host-quote=host
is 'a quote is given while the guest talks to its TPM' "$status $err" '0 '
quote --nonce=$other
is 'and another' "$status" 0
cp out quote2
quote --nonce=$nonce --pcrs=0,15
cp out quote.part
quote --nonce=$nonce --pcrs=24
is 'there is no PCR 24' "$status $err" '254 quote: --pcrs: "24" is not a PCR'
ok 'the guest goes on' printed "^beat $((before + 2)) "
is 'and none of its commands fails' "$(grep '^beat' guest.out | grep -vc ' 0$')" 0

# the guest's view, the host's and stock tools
want=$("$attest" pcrs expected)
is "the quoted PCRs are the expected ones" "$("$attest" pcrs quote)" "$want"
is "the guest's tpm2_pcrread says the same" "$(section pcrread | "$attest" toolpcrs)" "$want"
run_tripod status --format=json "$uuid"
cp out status
is 'status says the same of the launch' "$("$attest" pcrs status measured)" "$want"
is 'and of the TPM' "$("$attest" pcrs status | grep -E ' ([0-9]|15) ')" "$want"
"$attest" blobs quote .
is "the log in the guest is the host's" "$(section log | base64 -d | sha256sum)" \
	"$(sha256sum <"$DATA/pods/run/$uuid/measurements")"
ok "the quote's too" cmp eventlog "$DATA/pods/run/$uuid/measurements"
is "the guest's tpm2_eventlog replays it to the PCRs" \
	"$(section eventlog | "$attest" toolpcrs)" "$want"
is "the host's too" "$(tpm2_eventlog eventlog 2>/dev/null | "$attest" toolpcrs)" "$want"
like "the guest's own tpm2_quote is good" "$(section quote)" '^quoted$'
ok 'tpm2_checkquote accepts our quote' \
	tpm2_checkquote -Q -u public -m quoted -s signature -g sha256 -q $nonce
run tpm2_checkquote -u public -m quoted -s signature -g sha256 -q $other
ok 'and not with another nonce' test "$status" -ne 0

# verify WORDS...
verify()
{
	run "$TRIPOD" attest verify --nonce=$nonce --expected=expected "$@"
}

# refused NAME ERE WORDS...
refused()
{
	name=$1 why=$2
	shift 2
	verify "$@"
	is "$name is refused" "$status" 1
	like "$name: and why is told" "$err" "^verify: $why"
}

verify quote
is 'verify accepts the quote' "$status" 0
like 'and says that nobody vouches for the key' "$out $err" 'trust=none.*nothing says that the quote'
key=$(printf '%s\n' "$out" | sed -n 's/^key=//p')
verify --ak-name="$key" quote
is 'the key is known by its Name' "$status $(printf '%s\n' "$out" | tail -n 1)" '0 trust=name'
verify --ak=public quote
is 'or by its file' "$status $(printf '%s\n' "$out" | tail -n 1)" '0 trust=key'
verify --ca=ca/swtpm-localca-rootca-cert.pem quote
is 'or by its certificate' "$status $(printf '%s\n' "$out" | tail -n 1)" '0 trust=certificate'
verify --host-quote=host quote
like 'a host whose key nobody knows is told' "$status $err" "^0 .*nothing says that the host's"
host_key=$(printf '%s\n' "$out" | sed -n 's/^host_key=//p')
verify --host-quote=host --host-ak-name="$host_key" quote
is 'a host that is known vouches for the key' "$status $(printf '%s\n' "$out" | grep ^trust)" \
	'0 trust=host'
is 'then nothing is left to say' "$err" ''
mkdir host.blobs
"$attest" blobs host host.blobs
ok "tpm2_checkquote accepts the host's quote" tpm2_checkquote -Q -u host.blobs/public \
	-m host.blobs/quoted -s host.blobs/signature -g sha256 -q $nonce
verify --format=json --host-quote=host --host-ak=host.blobs/public quote
cp out verdict
is "and its PCR 15 is the host TPM's" "$("$attest" pcrs verdict host_pcrs | grep ' 15 ')" \
	"$(tpm2_pcrread -T "$tcti" sha256:15 | "$attest" toolpcrs)"

# what is refused, each for its own reason
run "$TRIPOD" attest verify --nonce=$other --expected=expected quote
is 'another nonce is refused' "$status" 1
like 'and why is told' "$err" "^verify: the quote answers another nonce, $nonce"
while read -r what why; do
	"$attest" edit quote "$what" forged
	refused "a forged quote ($what)" "$why" forged
done <<EOF
log sha384 PCR 8 is not what the event log gives: the log was edited, or
pcr the PCR values are not those that were quoted
key=host the signature is not of this quote by this key
truncated quote: not valid JSON|quote: .*
hostile quote: quoted: (not base64|more than)
EOF
"$attest" edit quote2 nonce=$nonce forged
refused 'a replayed quote' "replayed: the quote answers nonce $other" forged
refused 'a quote of some PCRs' 'PCR 1 is in the event log and was not quoted' quote.part
refused 'the quote of another key' "signed by another key, whose Name is $key" \
	--ak-name="$host_key" quote
refused 'the key of another' 'signed by another key than the one in the file' \
	--ak=host.blobs/public quote
"$attest" edit quote pod forged
refused "a host's word for another pod" 'host: no record of the launch of pod' \
	--host-quote=host forged
refused 'the certificate of another pod' 'the certificate is of another pod' \
	--ca=ca/swtpm-localca-rootca-cert.pem forged
refused "a quote without its host's word" 'host quote: kind is not' --host-quote=quote quote
set -- --tpm=on --hostname=proof "$IMAGES/tpm2.aci" --exec=/bin/sh -- -c 'echo other'
run_tripod attest expected "$@"
cp out expected.other
run "$TRIPOD" attest verify --nonce=$nonce --expected=expected.other quote
is 'another pod than expected is refused' "$status" 1
like 'and the first event that differs is named' "$err" \
	'^verify: event [0-9]+ differs: PCR 15, rkt: Pod manifest: SHA-256'
run_tripod run --require-measured=expected "$@"
is 'with --require-measured it does not start' "$status $out" '254 '
like 'and the event is named too' "$err" 'event [0-9]+, PCR 15 \(pod manifest\) differs'

run_tripod stop "$uuid"
wait "$pod_pid"
is 'the pod ends well' $? 0
quote --nonce=$nonce
is 'a pod that has ended gives no quote' "$status" 254
like 'and that is told' "$err" "^quote: pod $uuid is not running"
like 'none of its TPM commands has failed' "$(tail -n 1 guest.out)" '^traffic [1-9][0-9]* 0$'
is 'and nothing was complained of' \
	"$(grep -v 'signature verification has been disabled' guest.err)" ''
kill "$host_pid"
wait_for has_ended "$host_pid"
cd "$TOP" || exit 1 # what stays there counts as of this test
no_leaks 'nothing is left'
done_testing
