#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# CNI networks, in a "host" that is a network namespace of the test's own, with a neighbour: pods that
# talk to each other and outside, published ports, plugins that fail, crashes.
if [ -z "${TRIPOD_TEST_NETNS-}" ] && [ "$(id -u)" = 0 ]; then
	TRIPOD_TEST_NETNS=1 exec unshare --net --mount sh "$0"
fi
. tests/e2e/tap.sh
. tests/e2e/cni.sh

# host: 192.0.2.1, its neighbour outside: 192.0.2.2, which knows no way to the pods
ip netns add outside
ip link add near type veth peer name far
ip link set far netns outside
ip address add 192.0.2.1/24 dev near
ip link set near up
ip -n outside address add 192.0.2.2/24 dev far
ip -n outside link set far up
ip -n outside link set lo up

mkdir -p "$WORK/config/net.d" "$WORK/files"
cat >"$WORK/config/net.d/10-br.conflist" <<'END'
{"cniVersion": "1.0.0", "name": "br", "plugins": [
  {"type": "bridge", "bridge": "trip0", "isGateway": true, "ipMasq": true, "mtu": 9000,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}]},
   "dns": {"nameservers": ["192.0.2.2"], "search": ["test.example"]}}]}
END
echo '{"cniVersion":"0.4.0","name":"absent","type":"nonesuch"}' >"$WORK/config/net.d/60-absent.conf"
for plugin in garbage fails sleeps; do
	echo "{\"cniVersion\":\"0.4.0\",\"name\":\"$plugin\",\"type\":\"$plugin\"}" \
		>"$WORK/config/net.d/50-$plugin.conf"
	{
		echo '#!/bin/sh'
		echo "echo \"$plugin \$CNI_COMMAND\" >>'$WORK/plugins'"
		# shellcheck disable=SC2016 # for the plugin
		echo '[ "$CNI_COMMAND" = ADD ] || exit 0'
	} >"$WORK/config/net.d/$plugin"
done
echo 'echo "no JSON"' >>"$WORK/config/net.d/garbage"
echo "echo '{\"code\": 7, \"msg\": \"it will not work\"}'; exit 1" >>"$WORK/config/net.d/fails"
echo 'exec sleep 300' >>"$WORK/config/net.d/sleeps"
chmod 755 "$WORK"/config/net.d/*s "$WORK"/config/net.d/garbage

BOX=$IMAGES/busybox.aci
pod()
{
	run "$TRIPOD" --dir="$DATA" --insecure-options=image --local-config="$WORK/config" "$@"
}

last()
{
	printf '%s\n' "$err" | tail -n 1
}

# What plugins leave on purpose, for the next pod: the bridge, and chains of rules with no pod in them.
pod run --net=br --port=1:1 "$BOX" --exec=/bin/true
is 'a pod on a bridge ends well' "$status" 0
traces >"$WORK/before"

head -c 2000000 /dev/urandom >"$WORK/files/data"
sum=$(sha256sum <"$WORK/files/data" | cut -d' ' -f1)
TRIPOD_TEST=$WORK ip netns exec outside \
	python3 tests/e2e/net_peer.py "$WORK/files" 192.0.2.2 >"$WORK/served" 2>&1 &
peer=$!

# Outbound, on the network root has without asking: the neighbour sees the host's address. Half a
# megabyte comes at once, the rest takes three seconds.
# shellcheck disable=SC2016 # for the shell in the pod
pod run --net-rate=in-bytes=500k "$BOX" --exec=/bin/sh -- -c '
	read -r begin _ </proc/uptime
	wget -q -O - http://192.0.2.2:8080/data | sha256sum; ip -o -4 address show dev eth0
	read -r end _ </proc/uptime
	echo "took $begin $end"'
# shellcheck disable=SC2016 # awk's
ok 'not faster than --net-rate lets them' \
	awk '/^took/ { exit !($3 - $2 >= 2.9) }' "$WORK/out"
like '2 MB come through masquerading, byte for byte' "$out" "^$sum"
like 'the server saw the host' "$(cat "$WORK/served")" '^192\.0\.2\.1 '
like 'the address is of the network' "$out" '172\.16\.28\.[0-9]+/24'

# Two pods on one bridge and on the default network, each a server and a client of the other, until both
# are done; a resolver of the network's.
# shellcheck disable=SC2016
talk='mkdir /www; echo "I am $1" >/www/index.html; httpd -p 80 -h /www
	got=
	while [ -z "$got" ]; do
		got=$(timeout 60 wget -q -O - http://$2/ 2>/dev/null) || sleep 0.3
	done
	echo "$1 heard: $got"
	cat /sys/class/net/eth0/mtu; ip -o -4 address show dev eth0; ip route
	nslookup any.example 2>/dev/null | grep Address
	echo "$1 heard on default: $(timeout 60 wget -q -O - http://$3/)"
	touch /www/done
	while :; do
		answer=$(timeout 60 wget -O /dev/null http://$2/done 2>&1)
		case $?$answer in
		143*|[1-9]*404*) sleep 0.3 ;;
		*) break ;; # it is done, or gone
		esac
	done'
(
	pod run --net=br:IP=10.77.0.10,default:IP=172.16.28.10 --uuid-file-save="$WORK/uuid1" \
		"$BOX" --exec=/bin/sh -- -c "$talk" sh one 10.77.0.11 172.16.28.11
	echo "$out" >"$WORK/one"
) &
first=$!
(
	WORK2=$WORK/second
	mkdir "$WORK2"
	# by somebody who does not want to hear of children, which is inherited
	TRIPOD_TEST=$WORK timeout "$LIMIT" python3 -c 'import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])' "$TRIPOD" --dir="$DATA" --insecure-options=image \
		--local-config="$WORK/config" run \
		--net=br:IP=10.77.0.11,default:IP=172.16.28.11 "$BOX" --exec=/bin/sh -- -c "$talk" sh two 10.77.0.10 172.16.28.10 >"$WORK/two" 2>&1 </dev/null
) &
second=$!
wait "$first"
wait "$second"
like 'the first pod hears the second' "$(cat "$WORK/one")" '^one heard: I am two$'
like 'the second hears the first' "$(cat "$WORK/two")" '^two heard: I am one$'
like 'and on the default network, too' "$(cat "$WORK/one")" '^one heard on default: I am two$'
like 'the MTU is the bridge'\''s' "$(cat "$WORK/one")" '^9000$'
like 'the address is the one asked for' "$(cat "$WORK/one")" ' 10\.77\.0\.10/24'
like 'names are looked up where the network says' "$(cat "$WORK/one")" '10\.0\.2\.2'
pod status "$(cat "$WORK/uuid1")"
like 'status shows the address after the end' "$out" 'br:ip4=10\.77\.0\.10'

# Published, TCP and UDP, by name and by number; the neighbour comes to the host's address.
cat >"$WORK/serve.py" <<'END'
import http.server, socket, threading
def echo():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", 7))
    data, peer = s.recvfrom(100)
    s.sendto(data, peer)
threading.Thread(target=echo).start()
http.server.HTTPServer(("", 80), http.server.SimpleHTTPRequestHandler).handle_request()
END
(
	pod run --net=default --port=80:18080 --port=7/udp:10007 "$IMAGES/python3.aci" \
		--exec=/usr/bin/python3 -- -c "$(cat "$WORK/serve.py")"
	echo "$status" >"$WORK/publisher"
) &
publisher=$!
got=$(ip netns exec outside curl -s --retry "$LIMIT" --retry-delay 1 --retry-all-errors \
	--max-time "$LIMIT" --connect-timeout 10 http://192.0.2.1:18080/)
like 'a published TCP port is reached from outside' "$got" 'Directory listing'
got=$(ip netns exec outside python3 - <<'END'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
for _ in range(200):
    s.sendto(b"echo", ("192.0.2.1", 10007))
    try:
        print(s.recvfrom(100)[0].decode())
        break
    except (socket.timeout, ConnectionError):
        pass
END
)
is 'and a UDP port' "$got" echo
wait "$publisher"
is 'the pod that served ends when it is done' "$(cat "$WORK/publisher")" 0
no_traces 'links, routes, rules, namespaces and leases are back'

# Plugins that do not do.
pod run --net=nonesuch "$BOX" --exec=/bin/true
like 'an unknown network is named' "$status $(last)" '254 .*failed to setup network: no network "nonesuch"'
pod run --net=default,absent "$BOX" --exec=/bin/true
like 'a plugin that is not there, too, with what to do' "$status $(last)" \
	'254 .*network absent: plugin nonesuch is in none of .*: install containernetworking-plugins, or run with --net=none'
pod run --net=garbage "$BOX" --exec=/bin/true
like 'garbage for a result is an error' "$status $(last)" '254 .*network garbage: plugin garbage'
pod run --net=fails "$BOX" --exec=/bin/true
like 'a failing plugin is quoted' "$status $(last)" '254 .*it will not work'
pod run --net=default,sleeps "$BOX" --exec=/bin/true
like 'a plugin that hangs is not waited for for ever' "$status $(last)" '254 .*plugin sleeps did not end'
is 'DEL is called for each, once' "$(tr '\n' ' ' <"$WORK/plugins")" \
	'garbage ADD garbage DEL fails ADD fails DEL sleeps ADD sleeps DEL '
no_traces 'failures leave nothing'

# A VMM that is killed: who watches it cleans up.
(
	pod run --net=default --uuid-file-save="$WORK/uuid3" "$BOX" --exec=/bin/sleep -- 200
	echo "$status" >"$WORK/killed"
) &
killed=$!
has_pid()
{
	pid=$(cat "$DATA/pods/run/$(cat "$WORK/uuid3" 2>/dev/null)/pid" 2>/dev/null)
	[ -n "$pid" ]
}
wait_for has_pid || bail 'the pod does not start'
kill -KILL "$pid"
wait "$killed"
no_traces_soon 'a killed VMM leaves nothing either'

end_network "$peer"
