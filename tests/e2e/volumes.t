#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Volumes: shared between apps, seeded by images, read only, mounted where links lead; and pods of a
# manifest. Of the host's here only what a pod sees of them; shares.t asks for more.
. tests/e2e/tap.sh
need_kvm

mkdir "$WORK/x" "$WORK/host" "$WORK/host/dir"
tar -xf "$IMAGES/busybox.aci" -C "$WORK/x" rootfs/bin/busybox
python3 tests/e2e/volumes.py "$WORK/volumes.aci" "$WORK/x/rootfs/bin/busybox"
echo 'of the host' >"$WORK/host/file"

# What needs no pod.
refuses()
{
	name=$1 why=$2
	shift 2
	run_tripod run "$@"
	is "$name: exit status" "$status" 254
	like "$name: the reason" "$err" "$why"
}

refuses 'a volume of no kind' 'kind is missing' --volume v,source=/x "$IMAGES/busybox.aci"
refuses 'two volumes of a name' 'duplicate volume name "v"' --volume v,kind=empty \
	--volume v,kind=host,source=/ "$IMAGES/busybox.aci"
refuses 'a mount of no volume, of all apps' 'no volume "w" to mount at "/w"' \
	--volume v,kind=empty --mount volume=w,target=/w "$IMAGES/busybox.aci"
refuses 'a mount of no volume, of an app' 'no volume "w" to mount at "/w"' \
	"$IMAGES/busybox.aci" --mount volume=w,target=/w
refuses 'a source that is not there' 'Failed to stat .*/gone: No such file or directory' \
	--volume "v,kind=host,source=$WORK/gone" "$IMAGES/busybox.aci" --mount volume=v,target=/v
mkdir "$WORK/gone"
run_tripod prepare --volume "v,kind=host,source=$WORK/gone" "$IMAGES/busybox.aci" \
	--mount volume=v,target=/v
uuid=$out
rmdir "$WORK/gone"
run_tripod run-prepared "$uuid"
like 'a source that has gone since is refused' "$status $err" '^254 .*Failed to stat .*/gone:'
run_tripod status "$uuid"
like 'and the pod stays prepared' "$out" '^state=prepared'

# One pod. a's image is as if converted from Docker's; b's root is read only.
# shellcheck disable=SC2016 # for the shell in the pod
a='
say() { echo "$1: $(stat -c "%a %u %g" "$2")"; }
say data /data; say seed /data/seed; say sub /data/sub; cat /data/seed /data/sub/deep
echo "data has: $(echo /data/*)"
say bare /bare; echo "bare has: $(echo /bare/*)"
say absent /absent/deep
say shared /shared
say link /srv/real/x; say up /srv/real/y; say dangling /made/by/mount
say nested /data/nested/deep
echo of a >/shared/a
echo "same: $(cat /srv/real/x/a /srv/real/y/a /made/by/mount/a /data/nested/deep/a | uniq)"
echo new >/data/seed && echo gone >/data/sub/deep && rm /data/sub/deep && echo "data: written"
touch /given/x || echo "given: read-only"
mount -o remount,rw /given || echo "given: stays"
umount /given || echo "given: not undone"
cat /host/file /one; echo by a >/host/dir/a; touch /one/x /host/dir/ok || echo "one: is a file"
touch /hostro/x || echo "host: read-only"
while [ ! -e /shared/b ]; do sleep 0.05; done
cat /shared/b'
# shellcheck disable=SC2016
b='
echo "sys: $(ls /sys)"
while [ ! -s /own/place/a ]; do sleep 0.05; done # it is there before what is in it
cat /own/place/a
touch /x || echo "root: read-only"
touch /ro/x || echo "ro: read-only"
echo of b >/own/place/new && mv /own/place/new /own/place/b && echo "shared: written"'

run_tripod run --uuid-file-save="$WORK/uuid" --volume given,kind=empty \
	--volume shared,kind=empty,mode=1770,uid=10,gid=20 --volume ro,kind=empty,readOnly=true \
	--volume sys,kind=empty \
	--volume "host,kind=host,source=$WORK/host" --volume "one,kind=host,source=$WORK/host/file" \
	--volume "hostro,kind=host,source=$WORK/host,readOnly=true" \
	--mount volume=shared,target=/shared --mount volume=ro,target=/ro \
	"$WORK/volumes.aci" --name=a --mount volume=shared,target=/abs/x \
	--mount volume=shared,target=/up/y --mount volume=shared,target=/dangling \
	--mount volume=shared,target=/data/nested/deep --mount volume=host,target=/host \
	--mount volume=one,target=/one --mount volume=hostro,target=/hostro \
	--exec=/bin/sh -- -c "$a" --- \
	"$IMAGES/busybox.aci" --name=b --readonly-rootfs=true --mount volume=shared,target=/own/place \
	--mount volume=sys,target=/sys \
	--exec=/bin/sh -- -c "$b"
is 'the pod ends well' "$status" 0

has()
{
	like "$1" "$out" "^$2\$"
}

has 'an image has its directory in its volume: mode and owner' 'a: data: 750 33 34'
has 'a file in it is as it was' 'a: seed: 640 35 36'
has 'a directory in it is as it was' 'a: sub: 711 37 38'
has 'and what files hold' 'a: from the image'
has 'deeper, too' 'a: deep'
has 'nothing else is in it but what is mounted there' \
	'a: data has: /data/nested /data/seed /data/sub'
has 'an empty directory gives mode and owner' 'a: bare: 1733 5 6'
has 'and nothing in it' 'a: bare has: /bare/\*'
has 'one that is missing is made' 'a: absent: 755 0 0'
has 'the app may write to what came from its image' 'a: data: written'
has 'an empty volume has the mode and owner asked for' 'a: shared: 1770 10 20'
has 'a target behind an absolute link is in the root of the app' 'a: link: 1770 10 20'
has 'so is one behind too many ..' 'a: up: 1770 10 20'
has 'what a link leads to is made if it is missing' 'a: dangling: 1770 10 20'
has 'a target in another volume is mounted after it' 'a: nested: 1770 10 20'
has 'wherever it is mounted it is one volume' 'a: same: of a'
has 'apps share it' 'b: of a'
has 'both ways' 'a: of b'
has 'a mount point may ask for reading alone' 'a: given: read-only'
has 'root can not make it writable again' 'a: given: stays'
has 'nor take it away' 'a: given: not undone'
has 'a read-only root may have a volume that is not' 'b: shared: written'
has 'and a target that it lacked, and be read-only' 'b: root: read-only'
has 'an app may have a /sys of its own' 'b: sys: '
has 'a volume may be for reading alone' 'b: ro: read-only'
is 'a directory and a file of the host are seen' \
	"$(printf '%s\n' "$out" | grep -c '^a: of the host$')" 2
has 'a file is mounted as one' 'a: one: is a file'
is 'what is written to a directory of the host is there' "$(cat "$WORK/host/dir/a")" 'by a'
has 'a volume of the host may be for reading alone' 'a: host: read-only'
like 'it is said which volumes were made' "$err" \
	'app a: no volume for mount point "volume-data", an empty one "a-volume-data" is made'
unlike 'and no others' "$err" 'mount point "given"'

run_tripod status --format=json --uuid-file="$WORK/uuid"
is 'status says what is mounted in each app' "$(printf '%s\n' "$out" | python3 -c '
import json, sys
for app in json.load(sys.stdin)["apps"]:
    for m in app["mounts"]:
        if m["name"] in ("hostro", "given", "ro"):
            print(app["name"], m["name"], m["container_path"],
                  m["host_path"].rsplit("/", 1)[-1], m["read_only"])' | sort)" \
	"a given /given  True
a hostro /hostro host True
a ro /ro  True
b ro /ro  True"
run_tripod cat-manifest "$(cat "$WORK/uuid")"
like 'cat-manifest shows the volumes' "$out" '"mode": *"1770"'

# A pod of somebody else's manifest, with an image by its ID and one by its name.
run_tripod image list --no-legend --full --fields=id,name
id=$(printf '%s\n' "$out" | grep 'example.com/volumes' | cut -f1)
name=$(printf '%s\n' "$out" | grep 'busybox' | cut -f2 | cut -d: -f1 | tr -d ' ')
one='cat /data/seed; echo from one >/given/x; mkdir /given/m; mount -t tmpfs none /given/m; echo >/given/m/in;
while [ ! -e /given/y ]; do sleep 0.05; done'
two='while [ ! -s /v/x ]; do sleep 0.05; done; cat /v/x; while [ ! -e /v/m/in ]; do sleep 0.05; done;
echo mounts are seen; echo >/v/y'
one=$(echo "$one" | tr '\n' ' ') two=$(echo "$two" | tr '\n' ' ')
manifest()
{
	cat >"$WORK/pod.json" <<EOM
{"acKind": "PodManifest", "acVersion": "0.8.11", "apps": [
 {"name": "one", "image": {"id": "$id"}, "mounts": [{"volume": "v", "path": "/given"}],
  "app": {"exec": ["/bin/sh", "-c", "$one"], "user": "0", "group": "0",
          "isolators": [
           {"name": "os/linux/capabilities-retain-set", "value": {"set": ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]}},
           {"name": "os/linux/seccomp-retain-set", "value": {"set": ["@appc.io/all"]}}]}},
 {"name": "two", "image": {"name": "$name"}, "readOnlyRootFS": true,
  "mounts": [{"volume": "$1", "path": "/v"}],
  "app": {"exec": ["/bin/sh", "-c", "$two"], "user": "0", "group": "0"}}],
 "volumes": [{"name": "v", "kind": "empty", "mode": "0711"}]}
EOM
}

manifest v
for flag in --port=http:80 --volume=w,kind=empty --mount=volume=v,target=/x --set-env=A=b \
	--inherit-env "$IMAGES/busybox.aci"; do
	run_tripod prepare --pod-manifest="$WORK/pod.json" "$flag"
	is "a pod manifest and $flag exclude each other" "$status $err" \
		'254 prepare: conflicting flags set with --pod-manifest (see --help)'
done
run_tripod prepare --pod-manifest="$WORK/pod.json"
is 'a pod manifest is prepared' "$status" 0
uuid=$out
run_tripod --insecure-options=paths run-prepared --rw=tmpfs "$uuid"
is 'and runs, in memory alone; what one app mounts others see where paths of the kernel are open' \
	"$status $(printf '%s\n' "$out" | sort)" '0 one: from the image
two: from one
two: mounts are seen'
manifest w
run_tripod run --pod-manifest="$WORK/pod.json"
is 'a volume it lacks is found missing' "$status" 254
like 'and said' "$err" 'app two: mounts\[0\]: there is no volume "w"'
echo '{"acKind": "PodManifest", "acVersion": "0.8.11", "apps": []}' >"$WORK/pod.json"
run_tripod prepare --pod-manifest="$WORK/pod.json"
is 'one without apps is prepared' "$status" 0
run_tripod run-prepared "$out"
is 'but is not run' "$status $err" '254 run-prepared: pod must contain at least one application'

# What a pod measures as does not depend on whether the host has what it mounts.
expected()
{
	run_tripod attest expected "$@" "$IMAGES/busybox.aci" --exec=/bin/true
	sum=$(printf '%s' "$status $out" | cksum)
}

expected
like 'a pod without volumes is measured' "$status $out" '^0 \{'
plain=$sum
expected --volume "v,kind=host,source=$WORK/later" --mount volume=v,target=/v
like 'a pod with one is measured, whose source is missing' "$status $out" '^0 \{'
gone=$sum
mkdir "$WORK/later"
expected --volume "v,kind=host,source=$WORK/later" --mount volume=v,target=/v
is 'a source is not looked at to measure' "$sum" "$gone"
ok 'a share is a device more, and measures as one' [ "$plain" != "$sum" ]

run_tripod gc --grace-period=0s
is 'gc collects them' "$status" 0
no_leaks 'nothing is left at the end'
done_testing
