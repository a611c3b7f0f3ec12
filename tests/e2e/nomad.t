#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What integrators run and read, word for word (rkt-behaviour 11): Nomad's rkt driver, the kubelet,
# unit files. Everything through a link called rkt, on a "host" that is a network and mount namespace
# of the test's own, so that no line needs a directory of the test's in it.
if [ -z "${TRIPOD_TEST_NETNS-}" ] && [ "$(id -u)" = 0 ]; then
	TRIPOD_TEST_NETNS=1 exec unshare --net --mount sh "$0"
fi
. tests/e2e/tap.sh
. tests/e2e/manager.sh
. tests/e2e/web.sh
need_root
need_kvm
need_command python3
[ -x /usr/lib/cni/ptp ] || skip_all 'no CNI plugins'
[ -c /dev/net/tun ] || skip_all 'no /dev/net/tun'

mkdir -p /run/netns /var/lib
mount -t tmpfs tmpfs /run/netns
mkdir -p "$WORK/varlib/tripod" "$WORK/bin" "$WORK/web"
mount --bind "$WORK/varlib" /var/lib
cp -a /etc "$WORK/etc"
mount --bind "$WORK/etc" /etc
DATA=/var/lib/tripod
ln -s "$TRIPOD" "$WORK/bin/rkt"
PATH=$WORK/bin:$PATH
ip link set lo up

# An image with a port, as an image of a server has.
mkdir "$WORK/make"
tar -C "$WORK/make" -xf "$IMAGES/busybox.aci"
python3 - "$WORK/make/manifest" <<'END'
import json, sys
manifest = json.load(open(sys.argv[1]))
manifest["name"] = "example.com/web"
manifest["app"]["ports"] = [{"name": "http", "protocol": "tcp", "port": 80, "count": 1}]
manifest["labels"] = [x for x in manifest["labels"] if x["name"] != "version"]
manifest["labels"].append({"name": "version", "value": "1.0"})
json.dump(manifest, open(sys.argv[1], "w"))
END
IMAGE=$WORK/web.aci
tar -C "$WORK/make" --owner=0 --group=0 -cf "$IMAGE" manifest rootfs
rm -rf "$WORK/make"

# Nomad: fingerprint. The expressions are the driver's.
cat >"$WORK/fingerprint.py" <<'END'
import re, sys
out = sys.stdin.read()
rkt = re.search(r"rkt [vV]ersion[:]? (\d[.\d]+)", out)
appc = re.search(r"appc [vV]ersion[:]? (\d[.\d]+)", out)
version = tuple(int(n) for n in rkt.group(1).split("."))
print(rkt.group(1), appc.group(1), version >= (1, 27, 0))
END
run rkt version
is 'fingerprint: rkt version succeeds' "$status" 0
is 'fingerprint: both versions are found, and new enough' \
	"$(python3 "$WORK/fingerprint.py" <"$WORK/out")" '1.30.0 0.8.11 True'

# Nomad: trust
web "$WORK/web" example.com
mkdir -p "$WORK/web/example.com"
cp tests/trust/good.key.asc "$WORK/web/example.com/key"
cat >"$WORK/web/example.com/index.html" <<'END'
<meta name="ac-discovery-pubkeys" content="example.com/web https://example.com/key">
END
run rkt trust --skip-fingerprint-review=true --prefix=example.com/web --debug=false
is 'trust: exit code 0' "$status" 0
ok 'trust: the key is there' test -s "/etc/rkt/trustedkeys/prefix.d/example.com/web/$(cat tests/trust/good.fingerprint)"
unset http_proxy https_proxy SSL_CERT_FILE
kill $!

# Nomad: prepare. What it must print is the UUID and nothing else.
mkdir "$WORK/alloc" "$WORK/local" "$WORK/secrets"
echo 'from the host' >"$WORK/alloc/word"
ID=8fd2d9d5-1b2b-4a7e-9e4b-2f6f2a1c3d4e-task
# shellcheck disable=SC2016 # for the shell in the pod
SERVE='trap "echo interrupted; exit 3" INT
mkdir /www; cp /alloc/word /www/index.html; httpd -p 80 -h /www
echo "$NOMAD_TASK_NAME $(id -u) $(cat /etc/resolv.conf | tr "\n" " ")"; echo oops >&2
echo "$1" >/local/args; sleep 100000 & wait'
run rkt --insecure-options=all --debug=false prepare --no-overlay=true \
	--volume=$ID-alloc,kind=host,source="$WORK/alloc" --mount=volume=$ID-alloc,target=/alloc \
	--volume=$ID-local,kind=host,source="$WORK/local" --mount=volume=$ID-local,target=/local \
	--volume=$ID-secrets,kind=host,source="$WORK/secrets" --mount=volume=$ID-secrets,target=/secrets \
	--set-env=NOMAD_TASK_NAME=web --set-env=NOMAD_ALLOC_DIR=/alloc \
	"$IMAGE" --exec=/bin/sh --memory=134217728 --cpu-shares=100 --port=http:18080 \
	--user=root --group=root -- -c "$SERVE" sh 'a b'
is 'prepare: exit code 0' "$status" 0
uuid=$(echo "$out" | tr -d '[:space:]')
like 'prepare: stdout, trimmed, is exactly the UUID' "$out" \
	'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
is 'prepare: one line' "$(wc -l <"$WORK/out" | tr -d ' ')" 1

# Nomad: run, a process of the driver's
TRIPOD_TEST=$WORK rkt --insecure-options=all --debug=false run-prepared --dns=192.0.2.53 \
	--dns-search=example.com --net=default "$uuid" \
	>"$WORK/task.out" 2>"$WORK/task.err" </dev/null &
task=$!

# Nomad: network. The first global unicast address, asked for every second for a minute, here longer.
cat >"$WORK/network.py" <<'END'
import ipaddress, json, sys
try:
    status = json.load(sys.stdin)
except ValueError:
    sys.exit(1)
for net in status.get("networks") or []:
    ip = ipaddress.ip_address(net["ip"])
    if not (ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified):
        print(ip)
        sys.exit(0)
sys.exit(1)
END
network()
{
	run rkt status --format=json "$uuid"
	ip=$(python3 "$WORK/network.py" <"$WORK/out")
}
ok 'network: status names an address' wait_for network
like 'network: of the network asked for' "$ip" '^172\.16\.28\.[0-9]+$'

# Nomad: ports
cat >"$WORK/ports.py" <<'END'
import json, sys
manifest = json.load(sys.stdin)
assert manifest["acKind"] == "PodManifest" and len(manifest["apps"]) == 1
print(*("%s=%d" % (p["name"], p["port"]) for p in manifest["apps"][0]["app"]["ports"]))
END
run rkt cat-manifest "$uuid"
is 'ports: the manifest has exactly one app, with its ports' \
	"$status $(python3 "$WORK/ports.py" <"$WORK/out")" '0 http=80'

# what it is all for
ok 'the task comes up' wait_for test -s "$WORK/local/args"
is 'it has its arguments, and writes to its volume' "$(cat "$WORK/local/args")" 'a b'
served()
{
	word=$(curl -s --max-time 5 --noproxy '*' "http://$1/")
	[ -n "$word" ]
}
ok 'it is reached at its address' wait_for served "$ip"
is 'and serves what is in its volume' "$word" 'from the host'

# Nomad: exec
# shellcheck disable=SC2016 # for the shell in the pod
TRIPOD_TEST=$WORK timeout "$LIMIT" rkt enter "$uuid" /bin/sh -c 'echo out $0; echo err >&2; exit 4' a \
	>"$WORK/combined" 2>&1 </dev/null
is 'exec: the exit code is the command'\''s' "$?" 4
is 'exec: the output is its, stdout and stderr' "$(sort "$WORK/combined" | tr '\n' ' ')" 'err out a '

# Nomad: stop. The signal reaches the task, whose exit code is the process'.
kill -INT $task
finish $task
is 'stop: the exit code is the task'\''s' "$?" 3
is 'run: its stdout is the task'\''s log' "$(cat "$WORK/task.out")" \
	'web 0 # Generated by rkt run  search example.com nameserver 192.0.2.53 
interrupted'
is 'run: and its stderr' "$(cat "$WORK/task.err")" oops
run rkt status --format=json "$uuid"
like 'then the pod has exited' "$out" '"state":"exited"'

# The kubelet: pull and look up
run rkt --insecure-options=image,ondisk --local-config=/etc/rkt --system-config=/usr/lib/rkt \
	--dir=/var/lib/tripod fetch --full "$IMAGE"
is 'kubelet: flags before the command are those of the command' "$status" 0
id=$out
run rkt image list --no-legend=true --fields=name
like 'kubelet: image list prints NAME:TAG' "$out" '^example\.com/web:1\.0[[:space:]]*$'
run rkt image cat-manifest --pretty-print=false example.com/web:1.0
is 'kubelet: the manifest is exactly one line' "$(wc -l <"$WORK/out" | tr -d ' ')" 1
like 'kubelet: of the image' "$out" '"name":"example.com/web"'

# The kubelet: create by a pod manifest with what it uses of one
cat >"$WORK/k8s_uid" <<END
{"acVersion": "0.8.11", "acKind": "PodManifest",
 "apps": [{"name": "c1", "image": {"id": "$id"}, "readOnlyRootFS": true,
   "app": {"exec": ["/bin/sh", "-c", "httpd -p 80 -h /data; touch /x || echo read-only; id -G; exec sleep 1000"],
     "user": "0", "group": "0", "supplementaryGIDs": [7, 8],
     "mountPoints": [{"name": "data", "path": "/data"}],
     "ports": [{"name": "web", "protocol": "tcp", "port": 80}],
     "isolators": [{"name": "resource/memory", "value": {"request": "64M", "limit": "64M"}}]},
   "mounts": [{"volume": "data", "path": "/data"}],
   "annotations": [{"name": "rkt.kubernetes.io/container-hash", "value": "1234"}]},
  {"name": "c2", "image": {"id": "$id"},
   "app": {"exec": ["/bin/sleep", "1000"], "user": "0", "group": "0"}}],
 "volumes": [{"name": "data", "kind": "host", "source": "$WORK/alloc"}],
 "annotations": [{"name": "rkt.kubernetes.io/managed-by-kubelet", "value": "true"}],
 "ports": [{"name": "web", "hostPort": 18081}]}
END
run rkt --insecure-options=image,ondisk,all-run prepare --quiet --pod-manifest "$WORK/k8s_uid"
is 'kubelet: prepare prints exactly one line' "$status $(wc -l <"$WORK/out" | tr -d ' ')" '0 1'
uuid=$out
[ "$status" = 0 ] || bail 'there is no pod to go on with'
mkdir -p /etc/rkt/net.d
cat >/etc/rkt/net.d/k8s.conf <<'END'
{"name": "rkt.kubernetes.io", "type": "ptp", "ipMasq": true,
 "ipam": {"type": "host-local", "subnet": "10.88.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}
END

# The kubelet: run in a network namespace of the pod's
ip netns add k8s_uid
ip -n k8s_uid link set lo up
TRIPOD_TEST=$WORK nsenter --net=/run/netns/k8s_uid -- "$WORK/bin/rkt" \
	--insecure-options=image,ondisk,all-run run-prepared --net=rkt.kubernetes.io \
	--dns=192.0.2.53 --dns-search=svc.example --dns-opt=ndots:5 --hostname=pod-1 "$uuid" \
	>"$WORK/k8s.out" 2>"$WORK/k8s.err" </dev/null &
unit=$!
run rkt status --wait-ready="${LIMIT}s" "$uuid"
is 'kubelet: the pod becomes ready' "$status" 0

# The kubelet: exec, with a terminal, when c1 serves
wait_for has_line "$WORK/k8s.out" '^c1: 0 7 8'
TRIPOD_TEST=$WORK timeout "$LIMIT" script -qec "rkt enter --app=c1 $uuid /bin/sh -c 'tty; hostname; cat /etc/resolv.conf /data/word'" \
	/dev/null </dev/null >"$WORK/pty"
tr -d '\r' <"$WORK/pty" >"$WORK/pty.text"
like 'kubelet: exec with a terminal' "$(cat "$WORK/pty.text")" '/dev/pts/[0-9]+$'
like 'kubelet: the host name' "$(cat "$WORK/pty.text")" '^pod-1$'
like 'kubelet: the resolver' "$(cat "$WORK/pty.text")" '^options ndots:5$'
like 'kubelet: the volume' "$(cat "$WORK/pty.text")" '^from the host$'
is 'kubelet: a read-only root, groups' "$(grep ^c1: "$WORK/k8s.out" | tr '\n' ' ')" \
	'c1: read-only c1: 0 7 8 '
run rkt status --format=json "$uuid"
like 'kubelet: both apps run' "$out" '"name":"c1","state":"running".*"name":"c2","state":"running"'
reached=$(nsenter --net=/run/netns/k8s_uid curl -s --max-time "$LIMIT" --noproxy '*' http://127.0.0.1:18081/word)
is 'kubelet: a host port is published' "$reached" 'from the host'

# stop it, as KillMode=mixed does
kill -TERM $unit
finish $unit
is 'kubelet: the unit ends' "$?" 143
run rkt rm "$uuid"
is 'kubelet: rm' "$status $out" "0 \"$uuid\""
run rkt gc --grace-period=0s --expire-prepared=0s
is 'kubelet: gc' "$status" 0

# Unit files of CoreOS' wrappers and others
run rkt rm --uuid-file="$WORK/wrapper.uuid"
is 'unit: ExecStartPre=-rkt rm without a file fails, which the dash forgives' "$status" 254
start_manager
# shellcheck disable=SC2016 # for the shell in the pod
NOTIFY_SOCKET=$WORK/notify ETCD_NAME=one TRIPOD_TEST=$WORK rkt --insecure-options=image \
	--pull-policy=update run --uuid-file-save="$WORK/wrapper.uuid" --trust-keys-from-https \
	--inherit-env --volume data,kind=host,source="$WORK/alloc",readOnly=true \
	--mount volume=data,target=/data --net=default --dns=host \
	"$IMAGE" --exec=/bin/sh -- -c 'trap "exit 0" TERM; echo "$ETCD_NAME $(cat /data/word)"
	touch /data/x; sleep 100000 & wait' >"$WORK/unit.out" 2>"$WORK/unit.err" </dev/null &
unit=$!
ok 'unit: the manager is told that it is ready' wait_for grep -qx READY=1 "$WORK/told"
is 'unit: the main process is the one that was started' \
	"$(rkt status --uuid-file="$WORK/wrapper.uuid" | sed -n 's/^pid=//p')" $unit
run rkt list --no-legend
like 'unit: completion takes column 1' "$(printf '%s\n' "$out" | cut -f1)" "^$(cut -c1-8 "$WORK/wrapper.uuid")"
wait_for grep -q 'Read-only file system' "$WORK/unit.err"
run rkt stop --uuid-file="$WORK/wrapper.uuid"
is 'unit: ExecStop=-rkt stop' "$status" 0
finish $unit
is 'unit: the app has ended in order' "$?" 0
is 'unit: with the environment of the unit and its volume' "$(cat "$WORK/unit.out")" 'one from the host'
like 'unit: which is read only' "$(cat "$WORK/unit.err")" '/data/x: Read-only file system'
run rkt gc --mark-only
is 'unit: ExecStopPost=rkt gc --mark-only' "$status" 0
run rkt status --format=json --uuid-file="$WORK/wrapper.uuid"
like 'unit: then it is known when the app ended' "$out" '"finished_at":[0-9]+'
run rkt rm --uuid-file="$WORK/wrapper.uuid"
is 'unit: ExecStartPre=-rkt rm before the next start' "$status" 0
end_manager
run rkt gc --grace-period=0s
is 'unit: rkt-gc.service' "$status" 0
is 'no pod is left' "$(find $DATA/pods/*/* 2>/dev/null)" ''
no_leaks 'no process and no mount is left'
done_testing
