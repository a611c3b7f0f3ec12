#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# NET_PODS pods start on one bridge at once, live side by side, and stop at once: each has an address
# of its own, and afterwards leases, links, rules and namespaces are what they were.
if [ -z "${TRIPOD_TEST_NETNS-}" ] && [ "$(id -u)" = 0 ]; then
	TRIPOD_TEST_NETNS=1 exec unshare --net --mount sh "$0"
fi
. tests/e2e/tap.sh
. tests/e2e/cni.sh
pods=${NET_PODS:-3}
LIMIT=$((LIMIT + pods * 20))

mkdir -p "$WORK/config/net.d" "$WORK/pod"
cat >"$WORK/config/net.d/10-br.conflist" <<'END'
{"cniVersion": "1.0.0", "name": "br", "plugins": [
  {"type": "bridge", "bridge": "trip0", "isGateway": true, "ipMasq": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}}]}
END

# tripod with files for the streams of its own
tripod()
{
	TRIPOD_TEST=$WORK timeout -k 5 "$LIMIT" "$TRIPOD" --dir="$DATA" --insecure-options=image \
		--local-config="$WORK/config" "$@" </dev/null
}

# What plugins leave on purpose, for the next pod: the bridge, and chains of rules with no pod in them.
ok 'a pod on a bridge ends well' tripod run --net=br --port=1:1 "$IMAGES/busybox.aci" \
	--exec=/bin/true 2>/dev/null
traces >"$WORK/before"

started=$(date +%s)
pids=
for i in $(seq "$pods"); do
	(
		tripod run --net=br --port=80:$((20000 + i)) --uuid-file-save="$WORK/pod/$i.uuid" \
			"$IMAGES/busybox.aci" --exec=/bin/sh -- -c \
			"trap 'exit 0' TERM; ip -o -4 address show dev eth0
			mkdir /www; echo pod $i >/www/index.html; httpd -p 80 -h /www; echo up
			sleep 100000 & wait" >"$WORK/pod/$i.out" 2>"$WORK/pod/$i.err"
		echo $? >"$WORK/pod/$i.status"
	) &
	pids="$pids $!"
done
tries=0
up=0
while [ "$up" -lt "$pods" ] && [ ! -e "$WORK/pod/1.status" ] && [ $tries -lt "$LIMIT" ]; do
	sleep 1
	tries=$((tries + 1))
	up=$(cat "$WORK"/pod/*.out 2>/dev/null | grep -c '^up')
done
is "$pods pods are up side by side" "$up" "$pods"
diag "after $(($(date +%s) - started)) s"
addresses=$(sed -n 's/.* inet \([0-9.]*\)\/24 .*/\1/p' "$WORK"/pod/*.out | sort)
is 'each has an address of its own' "$(echo "$addresses" | uniq | grep -c .)" "$pods"
is 'which is the one it has a lease for' "$addresses" \
	"$(find /var/lib/cni/networks/br -name '[0-9]*.[0-9]*' -exec basename {} \; | sort)"
answers=
for i in $(seq "$pods"); do
	address=$(sed -n 's/.* inet \([0-9.]*\)\/24 .*/\1/p' "$WORK/pod/$i.out")
	answers="$answers$(curl -s --max-time 60 "http://$address/")
"
done
is 'and each is reached at it' "$answers" "$(seq -f 'pod %g' "$pods")
"
started=$(date +%s)
# shellcheck disable=SC2046 # a word each
tripod stop $(tail -q -n 1 "$WORK"/pod/*.uuid | sed 's/\(.\{36\}\)/\1 /g') >"$WORK/stopped" 2>&1
is 'they are stopped at once' "$?" 0
diag "within $(($(date +%s) - started)) s"
for pid in $pids; do
	wait "$pid"
done
is 'each ends well' "$(sort -u "$WORK"/pod/*.status)" 0
no_traces 'leases, links, routes, rules and namespaces are back'
end_network
