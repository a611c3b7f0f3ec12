#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The user's network: a pod of somebody without any privilege but /dev/kvm, in a network namespace of
# the test's own.
if [ -z "${TRIPOD_TEST_NETNS-}" ] && [ "$(id -u)" = 0 ]; then
	TRIPOD_TEST_NETNS=1 exec unshare --net sh "$0"
fi
. tests/e2e/tap.sh
. tests/e2e/passt.sh
ip address add 2001:db8::2/64 dev outside nodad
ip -6 route add default via 2001:db8::1

# What the user needs, where the user can read it: the tree may be in a directory of root's.
USER_ID=20031
HOME=$WORK/home
mkdir -m 0755 "$WORK/files" "$WORK/bin"
cp "$TRIPOD" "$STAGE1" "$IMAGES/busybox.aci" "$WORK/bin"
mkdir "$HOME"
chmod 0755 "$WORK"
chown "$USER_ID:$USER_ID" "$HOME"

# run tripod as the user, in the group of /dev/kvm
as_user()
{
	run setpriv --reuid="$USER_ID" --regid="$USER_ID" --groups="$(stat -c %g /dev/kvm)" \
		--no-new-privs env HOME="$HOME" "$WORK/bin/tripod" --insecure-options=image "$@"
	unwarned
}

head -c 3000000 /dev/urandom >"$WORK/files/data"
TRIPOD_TEST=$WORK python3 tests/e2e/net_peer.py "$WORK/files" >/dev/null 2>&1 &
peer=$!

BOX=$WORK/bin/busybox.aci
# shellcheck disable=SC2016 # for the shell in the pod
as_user run --dns=10.0.2.2 --hosts-entry=10.9.8.7=nine "$BOX" --exec=/bin/sh -- -c '
	wget -q -O - http://any.example:8080/data | sha256sum
	cat /sys/class/net/eth0/mtu
	ip address show dev eth0 | grep -o "inet [0-9./]*"
	ip route
	cat /etc/resolv.conf /etc/hosts
	tries=0
	while ! ip address show dev eth0 | grep -q "inet6 2" && [ $tries -lt 900 ]; do
		tries=$((tries + 1)); sleep 0.2
	done
	ip address show dev eth0 | grep -o "inet6 2[0-9a-f:/]*"'
is 'a user needs no --net for a network' "$status" 0
like '3 MB come over TCP, byte for byte, from a host found by name' "$out" \
	"^$(sha256sum <"$WORK/files/data" | cut -d' ' -f1) "
like 'the MTU is what passt takes' "$out" '^65520$'
like 'the address is set' "$out" '^inet 10\.0\.2\.15/24$'
like 'and the route' "$out" '^default via 10\.0\.2\.2 dev eth0'
like 'the resolver is the one asked for' "$out" '^nameserver 10\.0\.2\.2$'
like 'the hosts file has the entry' "$out" '^10\.9\.8\.7 nine$'

like 'with IPv6 on the host the pod has an address of its network' "$out" \
	'^inet6 2001:db8::65:2ff:fe00:1/64$'

# An image from a server, unsigned; the key is what it is run by.
ln "$WORK/bin/busybox.aci" "$WORK/files"
as_user --insecure-options=image,http fetch http://127.0.0.1:8080/busybox.aci
is 'a user fetches' "$status" 0
BOX=$(printf '%s\n' "$out" | tail -n 1)
like 'and is told the key' "$BOX" '^sha512-[0-9a-f]+$'

# A pod that serves, published; nothing of the host's is in the way. It is entered, and ends when it is
# asked to.
# shellcheck disable=SC2016
serve='mkdir /www; echo "from the pod" >/www/index.html
	trap "exit 0" TERM
	httpd -p 80 -h /www
	sleep 100000 & wait'
(
	as_user run --port=80:127.0.0.1:18080 --uuid-file-save="$HOME/uuid" "$BOX" \
		--exec=/bin/sh -- -c "$serve"
	echo "$status" >"$WORK/served"
) &
serving=$!
fetched=$(curl -s --retry "$LIMIT" --retry-delay 1 --retry-all-errors --max-time "$LIMIT" \
	--connect-timeout 10 http://127.0.0.1:18080/)
is 'a published port is reached' "$fetched" 'from the pod'
as_user list
like 'list shows the network' "$out" 'user:ip4=10\.0\.2\.15'
as_user run --port=81:127.0.0.1:18080 "$BOX" --exec=/bin/true
is 'a host port can be published once' "$status" 254
like 'and the message says so' "$err" 'failed to setup network: user: passt: .*18080'
as_user enter "$(cat "$HOME/uuid")" /bin/sh -c 'cat /www/index.html; exit 5'
is 'a user enters' "$status $out" '5 from the pod'
is 'its process is the user'\''s' \
	"$(stat -c %u "/proc/$(cat "$HOME"/.local/share/tripod/pods/run/"$(cat "$HOME/uuid")"/pid)")" \
	"$USER_ID"
as_user stop "$(cat "$HOME/uuid")"
is 'and stops the pod' "$status" 0
wait "$serving"
is 'which ended well' "$(cat "$WORK/served")" 0
as_user status "$(cat "$HOME/uuid")"
like 'and has exited' "$out" '^state=exited$'

# Without passt the pod goes on, without its network.
# shellcheck disable=SC2016
(
	as_user run --uuid-file-save="$HOME/uuid2" "$BOX" --exec=/bin/sh -- -c '
		echo up; while [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do sleep 0.2; done
		echo down'
	{ echo "$status"; echo "$out"; echo "$err"; } >"$WORK/lost"
) &
losing=$!
has_passt()
{
	pid=$(cat "$HOME"/.local/share/tripod/pods/run/"$(cat "$HOME/uuid2" 2>/dev/null)"/pid 2>/dev/null)
	passt=${pid:+$(pgrep -P "$pid" passt)}
	[ -n "$passt" ]
}
wait_for has_passt
# not before the app has its link
wait_for has_line "$WORK/out" '^up'
ok 'passt is a child of the VMM' kill -KILL "$passt"
wait "$losing"
is 'the pod ends as its app says' "$(head -n 1 "$WORK/lost")" 0
like 'the app sees the link go down' "$(cat "$WORK/lost")" '^down$'
like 'the user is told' "$(cat "$WORK/lost")" 'network user is gone'

as_user run --net=none "$BOX" --exec=/bin/ls -- /sys/class/net
is 'none is loopback alone' "$out" lo
as_user run --net=nonesuch "$BOX" --exec=/bin/true
like 'an unknown network is said to be' "$status $err" '254 .*failed to setup network'
as_user run --net=host "$BOX" --exec=/bin/true
like 'the host'\''s own network is refused, with the reason' "$status $err" \
	'254 .*failed to setup network: a pod in a VM can not have the host.s network'
as_user run --net=none --port=80:1 "$BOX" --exec=/bin/true
like 'ports need a network' "$status $err" '254 .*--port'

as_user gc --grace-period=0s
is 'gc ends well' "$status" 0
is 'nothing of root is in the data directory' "$(find "$HOME" -not -uid "$USER_ID")" ''
is 'no pod is left' "$(find "$HOME"/.local/share/tripod/pods/*/* 2>/dev/null)" ''
kill "$peer"
wait "$peer" 2>/dev/null
no_leaks 'no process and no mount is left'
done_testing
