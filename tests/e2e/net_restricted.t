#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# default-restricted: a pod with every privilege over its own network reaches neither the host nor
# through it, and speaks for nobody else; what is published is reached. In a "host" that is a network
# namespace of the test's own, with a neighbour outside and another pod's place on the same network.
if [ -z "${TRIPOD_TEST_NETNS-}" ] && [ "$(id -u)" = 0 ]; then
	TRIPOD_TEST_NETNS=1 exec unshare --net --mount sh "$0"
fi
. tests/e2e/tap.sh
. tests/e2e/cni.sh

# host 192.0.2.1, outside 192.0.2.2, which knows the way to the pods; other: what ptp makes of a pod
ip netns add outside
ip link add near type veth peer name far netns outside
ip address add 192.0.2.1/24 dev near
ip link set near up
ip -n outside address add 192.0.2.2/24 dev far
ip -n outside link set far up
ip -n outside route add 172.31.0.0/16 via 192.0.2.1
ip netns add other
ip link add other0 type veth peer name eth0 netns other
ip address add 172.31.0.1/32 dev other0
ip link set other0 up
ip route add 172.31.0.99/32 dev other0
ip -n other address add 172.31.0.99/32 dev eth0
ip -n other link set eth0 up
ip -n other route add 172.31.0.1 dev eth0
ip -n other route add default via 172.31.0.1
sysctl -q -w net.ipv4.ip_forward=1

spoof="env TRIPOD_TEST=$WORK python3 tests/e2e/net_spoof.py"

$spoof serve "$WORK/host" &
servers=$!
# shellcheck disable=SC2086 # words
ip netns exec outside $spoof serve "$WORK/outside" &
servers="$servers $!"
# shellcheck disable=SC2086
ip netns exec other $spoof serve "$WORK/other" &
servers="$servers $!"
for where in host outside other; do
	wait_for has_line "$WORK/$where" ready || bail "no server $where"
done
ok 'the neighbour and the other pod reach each other through the host' \
	ip netns exec other bash -c 'exec 3<>/dev/tcp/192.0.2.2/8080'
run "$TRIPOD" --dir="$DATA" --insecure-options=image run --net=default-restricted --port=1:1 \
	"$IMAGES/busybox.aci" --exec=/bin/true
is 'a restricted pod ends well' "$status" 0
traces >"$WORK/before"

# The pod waits until somebody looks at its wire, attacks, and serves.
(
	run "$TRIPOD" --dir="$DATA" --insecure-options=image run \
		--net=default-restricted:IP=172.31.0.50 --port=80:18080 \
		--uuid-file-save="$WORK/uuid" "$IMAGES/python3.aci" \
		--caps-retain=CAP_NET_ADMIN,CAP_NET_RAW,CAP_NET_BIND_SERVICE \
		--exec=/usr/bin/python3 -- -c '
import http.server, socket, sys, threading
gate = socket.create_server(("", 81))
gate.accept()[0].close()
'"$(sed 1d tests/e2e/net_spoof.py)"'
http.server.HTTPServer(("", 80), http.server.SimpleHTTPRequestHandler).serve_forever()' \
		attack 172.31.0.50 172.31.0.1 192.0.2.1 192.0.2.2 172.31.0.99
) &
pod=$!
is_linked()
{
	veth=$(ip route show 172.31.0.50 | sed -n 's/.* dev \([^ ]*\) .*/\1/p')
	[ -n "$veth" ]
}
wait_for is_linked || bail "no pod: $(tail -n 3 "$WORK/err")"
$spoof sniff "$WORK/wire" "$veth" &
sniffer=$!
wait_for has_line "$WORK/wire" ready || bail 'nobody looks at the wire'
# the host may come to the pod
wait_for timeout 5 bash -c 'exec 3<>/dev/tcp/172.31.0.50/81' 2>/dev/null ||
	bail "the pod does not listen: $(tail -n 3 "$WORK/err")"
wait_for has_line "$WORK/out" '^done'
for target in gateway host outside other; do
	like "the pod does not get to $target" "$(cat "$WORK/out")" "^$target nothing\$"
done
is 'nothing came to the host' "$(grep -v ready "$WORK/host")" ''
is 'nor outside, but for what the other pod said' "$(grep -v ready "$WORK/outside")" tcp
is 'nor to the other pod' "$(grep -v ready "$WORK/other")" ''
hex()
{
	printf %s "$1" | od -An -tx1 | tr -d ' \n'
}
# "the last one" is the pod's own frame to everybody, sent after all the forged ones
wait_for has_line "$WORK/wire" "$(hex 'the last one')"
like 'its own frames are on its wire' "$(cat "$WORK/wire")" "$(hex 'the last one')"
own=$(ip -n "cni-$(cat "$WORK/uuid")" link show eth0 | sed -n 's/.*ether \([0-9a-f:]*\).*/\1/p' | tr -d :)
is 'none has another MAC' "$(grep -v ready "$WORK/wire" | grep -v "^.\{12\}$own")" ''
is 'none is anything but ARP, IPv4 and IPv6' \
	"$(grep -v ready "$WORK/wire" | grep -Ev '^.{24}(0806|0800|86dd)')" ''
is 'no ARP claims another address' \
	"$(grep '^.\{24\}0806' "$WORK/wire" | grep -v "^.\{44\}${own}ac1f0032")" ''
is 'no IPv4 has another source' \
	"$(grep '^.\{24\}0800' "$WORK/wire" | grep -v '^.\{52\}ac1f0032')" ''
is 'no IPv6 has any' "$(grep '^.\{24\}86dd' "$WORK/wire" | grep -v '^.\{44\}0\{32\}')" ''
is 'the kernel looks before it redirects' "$(ip netns exec "cni-$(cat "$WORK/uuid")" \
	tc filter show dev tap0 parent ffff: | sed -n 's/.* pref \([0-9]*\) \([^ ]*\) .*/\1 \2/p' |
	sort -u | head -n 1)" '1 bpf'

# What is published is reached, and nothing else.
got=$(ip netns exec outside curl -s --retry "$LIMIT" --retry-delay 1 --retry-all-errors \
	--max-time "$LIMIT" --connect-timeout 10 http://192.0.2.1:18080/)
like 'its published port is reached from outside' "$got" 'Directory listing'
got=$(ip netns exec other curl -s --max-time "$LIMIT" http://192.0.2.1:18080/)
like 'and from another pod' "$got" 'Directory listing'
ok 'an unpublished one is not, from outside' \
	sh -c '! ip netns exec outside curl -s --connect-timeout 2 http://172.31.0.50/'
ok 'nor from another pod' \
	sh -c '! ip netns exec other curl -s --connect-timeout 2 http://172.31.0.50/'

# The rules leave with the pod, also with one that is killed.
like 'the rules name the pod' "$(iptables-save)" "tripod $(cat "$WORK/uuid")"
kill -KILL "$(cat "$DATA/pods/run/$(cat "$WORK/uuid")/pid")"
wait "$pod"
finish "$sniffer"
no_traces_soon 'links, routes, rules, namespaces and leases are back'
# shellcheck disable=SC2086
end_network $servers
