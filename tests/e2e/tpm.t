#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A pod's TPM: what the guest sees of it, what the host asks of it meanwhile. Two boots.
. tests/e2e/tap.sh
need_kvm
need_command tpm2_eventlog
need_command swtpm
need_command python3
busybox=$IMAGES/busybox.aci

# pcr N: its SHA-256 value by replaying $WORK/log
pcr()
{
	tpm2_eventlog "$WORK/log" 2>/dev/null |
		sed -n "/^  sha256:/,/^  sha384:/s/^    $1 *: 0x\(.*\)/\1/p"
}

# Two apps, of which one asks. It makes TPM traffic until it is told to end.
cat >"$WORK/asks" <<'EOM'
echo "nodes=$(ls /dev/tpm0 /dev/tpmrm0 | tr '\n' ' ')"
echo "owner=$(stat -c %u:%g:%a /dev/tpmrm0)"
log=/sys/kernel/security/tpm0/binary_bios_measurements
echo "log=$(sha256sum <$log)"
for n in 0 1 4 8 9 10 15; do
	echo "pcr$n=$(cat /sys/class/tpm/tpm0/pcr-sha256/$n)"
done
echo traffic
n=0
while [ $n -lt 8 ]; do
	cat /sys/class/tpm/tpm0/pcr-sha256/15 >/dev/null || echo 'traffic failed'
	n=$((n + 1))
done
echo end
sleep 1000
EOM
cat >"$WORK/other" <<'EOM'
echo "other=$(ls /dev/tpm0 /dev/tpmrm0 /sys/kernel/security/tpm0 2>/dev/null)"
EOM
TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none --uuid-file-save="$WORK/uuid" \
	"$busybox" --name=asks --annotation=tripod/tpm=on --user=1000 --group=1000 \
	--exec=/bin/sh -- -c "$(cat "$WORK/asks")" --- \
	"$busybox" --name=other --exec=/bin/sh -- -c "$(cat "$WORK/other")" \
	>"$WORK/out" 2>"$WORK/err" </dev/null &
launcher=$!
printed()
{
	n=0
	until grep -qs "$1" "$WORK/out"; do
		n=$((n + 1))
		if [ $n -ge 2400 ] || ! kill -0 $launcher 2>/dev/null; then break; fi
		sleep 0.1
	done
}
printed traffic
pod=$DATA/pods/run/$(cat "$WORK/uuid")
cp "$pod/measurements" "$WORK/log"

# Quotes while the guest keeps the TPM busy.
python3 - "$pod" >"$WORK/answers" <<'END'
import json, os, socket, sys
os.chdir(sys.argv[1])
def ask(*lines):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(120)
    s.connect("control.sock")
    s.sendall("".join(line + "\n" for line in lines).encode())
    f = s.makefile()
    return [json.loads(f.readline()) for _ in lines]
quotes = [ask("quote 00%02x 8313" % i)[0] for i in range(4)]
print("quotes=%d" % sum(1 for q in quotes if q.get("quoted") and q.get("signature")))
print("keys=%d" % len({q["public"] for q in quotes}))
print("differ=%d" % len({q["quoted"] for q in quotes}))
print("selected=" + " ".join(quotes[0]["pcrs"]["sha256"]))
several = ask("pcrs", "status", "quote zz 1", "quote 00", "quote 00 0", "quote 00 1000000",
              "quote 00 1 1", "stats x", "pcrs")
print("host15=" + several[0]["sha256"]["15"], several[8]["sha256"]["15"])
print("state=" + several[1]["state"])
print("errors=%d" % sum(1 for a in several if "error" in a))
leave = socket.socket(socket.AF_UNIX)
leave.connect("control.sock")
leave.sendall(b"quote 00 1\nquote 01 1\n")
leave.close()
print("alive=" + ask("status")[0]["state"])
END
printed '^asks: end'
field()
{
	sed -n "s/^\(asks: \|other: \)*$1=//p" "$WORK/out" "$WORK/answers"
}
is 'an app that asks has the devices' "$(field nodes)" '/dev/tpm0 /dev/tpmrm0 '
is 'they are its user'\''s' "$(field owner)" 1000:1000:600
is 'another app has none of it' "$(field other)" ''
ok 'and has looked' grep -q '^other: other=' "$WORK/out"
is 'the guest reads the launch'\''s log' "$(field log)" "$(sha256sum <"$WORK/log")"
for n in 0 1 4 8 9 15; do
	is "PCR $n is what the log gives" "$(field "pcr$n" | tr 'A-F' 'a-f')" "$(pcr $n)"
done
like 'PCR 10 is as after a reset' "$(field pcr10)" '^0{64}$'
is 'quotes are had while the guest uses the TPM' "$(field quotes)" 4
is 'all with the same key' "$(field keys)" 1
is 'and each a quote of its own' "$(field differ)" 4
is 'over the PCRs asked for' "$(field selected)" '0 1 4 8 9 15'
is 'the host sees the same values' "$(field host15)" "$(pcr 15) $(pcr 15)"
is 'other requests on the connection are answered in turn' "$(field state)" running
is 'malformed ones with an error' "$(field errors)" 6
is 'a client that leaves is no harm' "$(field alive)" running
unlike 'the guest'\''s commands are not disturbed' "$(cat "$WORK/out")" 'traffic failed'
kill "$(cat "$pod/pid")"
wait
ok 'the log stays after the end' cmp "$pod/measurements" "$WORK/log"
is 'no state of the TPM does' "$(ls -d "$pod"/tpm-state 2>/dev/null)" ''

# Off: no process, but a log
run_tripod run --tpm=off --uuid-file-save="$WORK/uuid" "$busybox" --exec=/bin/sh -- \
	-c 'ls /dev/tpm0 /sys/bus/platform/devices/fed40000.tpm'
pod=$DATA/pods/run/$(cat "$WORK/uuid")
unlike 'without a TPM there is none in the guest' "$out" tpm
ok 'the launch is measured all the same' sh -c "tpm2_eventlog '$pod/measurements' >/dev/null 2>&1"
run_tripod run --tpm=off "$busybox" --annotation=tripod/tpm=on --exec=/bin/true
is 'an app that asks for it does not run without' "$status" 254
like 'and is told why' "$err" 'app busybox asks for a TPM, and --tpm=off is given'
no_leaks 'nothing is left'
done_testing
