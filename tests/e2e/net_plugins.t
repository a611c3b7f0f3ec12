#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Plugins run unmodified: macvlan, dhcp with its daemon and a server outside, tuning, firewall and
# bandwidth, in one pod of two networks.
if [ -z "${TRIPOD_TEST_NETNS-}" ] && [ "$(id -u)" = 0 ]; then
	TRIPOD_TEST_NETNS=1 exec unshare --net --mount sh "$0"
fi
. tests/e2e/tap.sh
. tests/e2e/cni.sh
need_command busybox
mkdir -p /run/cni
mount -t tmpfs tmpfs /run/cni

# a wire to outside, where a DHCP server and a web server are; nobody has an address on our side
ip netns add outside
ip link add near type veth peer name far netns outside
ip link set near up
ip -n outside address add 10.80.0.1/24 dev far
ip -n outside link set far up
ip -n outside link set lo up

mkdir -p "$WORK/config/net.d" "$WORK/www"
echo 'from outside' >"$WORK/www/index.html"
cat >"$WORK/config/net.d/10-lan.conf" <<'END'
{"cniVersion": "0.4.0", "name": "lan", "type": "macvlan", "master": "near", "mode": "bridge",
 "ipam": {"type": "dhcp"}}
END
cat >"$WORK/config/net.d/20-chain.conflist" <<'END'
{"cniVersion": "0.4.0", "name": "chain", "plugins": [
  {"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.81.0.0/24"}},
  {"type": "tuning", "mac": "02:11:22:33:44:55", "mtu": 1400,
   "sysctl": {"net.ipv4.conf.eth1.log_martians": "1"}},
  {"type": "firewall", "backend": "iptables"},
  {"type": "bandwidth", "ingressRate": 80000000, "ingressBurst": 8000000,
   "egressRate": 40000000, "egressBurst": 4000000}]}
END
# the chains that firewall leaves for the next pod are there already
for chain in CNI-FORWARD CNI-ADMIN; do
	iptables -N "$chain"
done
cat >"$WORK/udhcpd.conf" <<END
start 10.80.0.50
end 10.80.0.50
interface far
lease_file $WORK/leases
pidfile $WORK/udhcpd.pid
option subnet 255.255.255.0
option router 10.80.0.1
option dns 10.80.0.1
END
: >"$WORK/leases"
TRIPOD_TEST=$WORK ip netns exec outside busybox udhcpd -f -I 10.80.0.1 "$WORK/udhcpd.conf" \
	>"$WORK/udhcpd" 2>&1 &
servers=$!
TRIPOD_TEST=$WORK ip netns exec outside busybox httpd -f -p 10.80.0.1:80 -h "$WORK/www" &
servers="$servers $!"
TRIPOD_TEST=$WORK /usr/lib/cni/dhcp daemon >"$WORK/dhcp" 2>&1 &
servers="$servers $!"
wait_for test -S /run/cni/dhcp.sock || bail "the DHCP client does not run: $(cat "$WORK/dhcp")"

# what firewall and bandwidth have made
rules()
{
	iptables-save | grep -c -- '-s 10\.81\.0\.\|-d 10\.81\.0\.'
}
shapers()
{
	tc qdisc show | grep -c 'qdisc tbf'
}
before="$(ip -o link | wc -l) $(rules) $(shapers)"

(
	run "$TRIPOD" --dir="$DATA" --insecure-options=image --local-config="$WORK/config" run \
		--net=lan,chain:IP=10.81.0.9 --uuid-file-save="$WORK/uuid" "$IMAGES/busybox.aci" \
		--exec=/bin/sh -- -c '
		ip -o -4 address show dev eth0; ip route
		wget -q -O - http://10.80.0.1/
		cat /sys/class/net/eth1/mtu /sys/class/net/eth1/address /etc/resolv.conf
		mkdir /www; echo "from the pod" >/www/index.html
		trap "exit 0" TERM
		httpd -p 80 -h /www; echo up
		sleep 100000 & wait'
	echo "$status" >"$WORK/status"
) &
pod=$!
is_up()
{
	has_line "$WORK/out" '^up' || [ -e "$WORK/status" ]
}
wait_for is_up
out=$(cat "$WORK/out")
like 'macvlan and dhcp: the address is the one the server leased' "$out" 'inet 10\.80\.0\.50/24'
like 'with its route' "$out" '^default via 10\.80\.0\.1 dev eth0'
like 'and the pod talks through it' "$out" '^from outside$'
like 'tuning: the MTU is the one asked for' "$out" '^1400$'
like 'and the MAC' "$out" '^02:11:22:33:44:55$'
like 'firewall: the pod has rules' "$(rules)" '^[1-9]'
is 'bandwidth: it is shaped in both directions' "$(shapers)" 2
is 'and reached all the same' "$(curl -s --max-time "$LIMIT" http://10.81.0.9/)" 'from the pod'
run "$TRIPOD" --dir="$DATA" status "$(cat "$WORK/uuid")"
like 'status shows the addresses' "$out" 'lan:ip4=10\.80\.0\.50, *chain:ip4=10\.81\.0\.9'
run "$TRIPOD" --dir="$DATA" stop "$(cat "$WORK/uuid")"
is 'the pod is stopped' "$status" 0
wait "$pod"
is 'links, rules and shapers are gone' "$(ip -o link | wc -l) $(rules) $(shapers)" "$before"
like 'DHCP: the lease is given back' "$(cat "$WORK/dhcp")" 'releasing lease'
is 'host-local: so is the other' "$(find /var/lib/cni/networks -name '10.*')" ''
# shellcheck disable=SC2086 # a word each
end_network $servers
