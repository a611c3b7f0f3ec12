#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A pod under load, from outside of the host: redis and Python's HTTP server in one pod with two
# networks, of MTU 1500 and 9000. NET_SECONDS is how long the load lasts, NET_MIB how much goes each
# way in bulk; the numbers are diagnostics.
if [ -z "${TRIPOD_TEST_NETNS-}" ] && [ "$(id -u)" = 0 ]; then
	TRIPOD_TEST_NETNS=1 exec unshare --net --mount sh "$0"
fi
. tests/e2e/tap.sh
. tests/e2e/cni.sh
need_command redis-benchmark
seconds=${NET_SECONDS:-5}
mib=${NET_MIB:-16}
# the pod's whole life: the load, and 4 times so much in bulk, at a few seconds a MiB where guest kernel
# mode is emulated
LIMIT=$((LIMIT + 3 * seconds + 16 * mib))

# host: 192.0.2.1; outside, behind a wire of MTU 9000: 192.0.2.2, and 198.51.100.2, which the pod
# answers through its second network
ip netns add outside
ip link add near mtu 9000 type veth peer name far mtu 9000
ip link set far netns outside
ip address add 192.0.2.1/24 dev near
ip link set near up
ip -n outside address add 192.0.2.2/24 dev far
ip -n outside address add 198.51.100.2/32 dev far
ip -n outside link set far up
ip -n outside link set lo up
ip -n outside route add 10.78.0.0/24 via 192.0.2.1
ip -n outside route add 10.79.0.0/24 via 192.0.2.1 src 198.51.100.2
ip route add 198.51.100.2/32 via 192.0.2.2
sysctl -q -w net.ipv4.ip_forward=1
# TCP sends frames of two segments to who seems far away, as a busy machine does: not what is tested
far=net.ipv4.tcp_tso_rtt_log=20
ip netns exec outside sysctl -q -w "$far"

mkdir -p "$WORK/config/net.d"
network()
{
	cat >"$WORK/config/net.d/$1.conflist" <<-END
		{"cniVersion": "1.0.0", "name": "$1", "plugins": [
		  {"type": "bridge", "bridge": "$1", "isGateway": true, "ipMasq": $4, "mtu": $2,
		   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$3"}]],
		            "routes": [{"dst": "$5"}]}}]}
	END
}
network mtu1500 1500 10.78.0.0/24 true 0.0.0.0/0
network mtu9000 9000 10.79.0.0/24 false 198.51.100.0/24

outside()
{
	TRIPOD_TEST=$WORK timeout "$LIMIT" ip netns exec outside "$@"
}

load()
{
	outside python3 tests/e2e/net_load.py "$@"
}

(
	run "$TRIPOD" --dir="$DATA" --insecure-options=image --local-config="$WORK/config" run \
		--net='mtu1500:IP=10.78.0.10,mtu9000:IP=10.79.0.10' --sysctl="$far" --port=6379:16379 \
		--uuid-file-save="$WORK/uuid" "$IMAGES/redis.aci" --- \
		"$IMAGES/python3.aci" --exec=/usr/bin/python3 -- \
		-c "$(cat tests/e2e/net_load.py)" serve
	echo "$status" >"$WORK/status"
) &
pod=$!
outside curl -s --retry "$LIMIT" --retry-delay 1 --retry-all-errors --max-time "$LIMIT" \
	--connect-timeout 2 http://10.78.0.10/ ||
	bail "the pod does not answer: $(tail -n 5 "$WORK/err")"
control=$DATA/pods/run/$(cat "$WORK/uuid")/control.sock

tx_frames=0 tx_segmented=0 tx_refused=0 rx_frames=0 rx_segmented=0 instructions=0
# nic N: its counters into these variables
nic()
{
	eval "$(cd "${control%/*}" && python3 "$TOP/tests/e2e/net_load.py" stats control.sock "$1")"
}

# One who takes his time, while the others work.
load slow http://10.78.0.10/data/8 "$((seconds + 3))" >"$WORK/slow" &
slow=$!
load load 192.0.2.1:16379 http://10.79.0.10 "$seconds" >"$WORK/load"
like 'redis and HTTP give right answers under load' "$(tail -n 1 "$WORK/load")" \
	'redis=[1-9][0-9]* http=[1-9][0-9]* wrong=0$'
diag "in $seconds s, with one slow reader: $(cat "$WORK/load")"
outside redis-benchmark -h 192.0.2.1 -p 16379 -c 8 -P 8 -n 400 -d 1000 -t set,get,incr --csv \
	>"$WORK/benchmark" 2>&1
is 'redis-benchmark is served on the published port' \
	"$(grep -c '^"[A-Z]*","[0-9]' "$WORK/benchmark")" 3
diag "redis-benchmark: $(cut -d, -f1,2 "$WORK/benchmark" | tail -n 3 | tr '\n' ' ')"
wait "$slow"
is 'the connection of a slow reader survives, whole' "$(cat "$WORK/slow")" \
	"$(python3 tests/e2e/net_load.py sum 8)"

# In bulk, both ways on each network.
sum=$(python3 tests/e2e/net_load.py sum "$mib")
python3 tests/e2e/net_load.py send "$mib" >"$WORK/bytes"
# bulk NIC ADDRESS MTU
bulk()
{
	nic "$1"
	tx_frames0=$tx_frames tx_segmented0=$tx_segmented before=$instructions
	start=$(date +%s%N)
	got=$(outside curl -s --max-time "$LIMIT" "http://$2/data/$mib" | sha256sum | cut -d' ' -f1)
	took=$((($(date +%s%N) - start) / 1000000))
	is "$mib MiB come out of the pod byte for byte, MTU $3" "$got" "$sum"
	nic "$1"
	tx_segmented=$((tx_segmented - tx_segmented0)) tx_frames=$((tx_frames - tx_frames0))
	diag "out, MTU $3: $took ms, $tx_frames frames, $tx_segmented to be segmented," \
		"$(((instructions - before) / mib)) guest kernel instructions a MiB"
	ok 'most of them in frames the host cuts into segments' \
		[ "$tx_segmented" -gt $((mib * 4)) -a "$tx_frames" -lt $((mib * 256)) ]
	rx_frames0=$rx_frames rx_segmented0=$rx_segmented before=$instructions
	start=$(date +%s%N)
	got=$(outside curl -s --max-time "$LIMIT" -H Expect: -T "$WORK/bytes" "http://$2/")
	took=$((($(date +%s%N) - start) / 1000000))
	is "$mib MiB go into the pod byte for byte, MTU $3" "$got" "$sum"
	nic "$1"
	rx_segmented=$((rx_segmented - rx_segmented0)) rx_frames=$((rx_frames - rx_frames0))
	diag "in, MTU $3: $took ms, $rx_frames frames, $rx_segmented of several segments," \
		"$(((instructions - before) / mib)) guest kernel instructions a MiB"
	ok 'most of them in frames of several segments' \
		[ "$rx_segmented" -gt $((mib * 4)) -a "$rx_frames" -lt $((mib * 256)) ]
	is 'none was refused' "$tx_refused" 0
}
bulk 0 10.78.0.10 1500
bulk 1 10.79.0.10 9000

run "$TRIPOD" --dir="$DATA" stop "$(cat "$WORK/uuid")"
is 'the pod is stopped' "$status" 0
wait "$pod"
no_leaks 'no process and no mount is left'
done_testing
