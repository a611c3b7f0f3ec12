#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Who apps run as: by appc's rule (rkt-behaviour 7.4) and, for Docker's images, by OCI's (images.md
# 17.2); and what asks them to end. An app for each form, all in one pod.
. tests/e2e/tap.sh
need_kvm

mkdir -p "$WORK/image/rootfs/tmp" "$WORK/image/rootfs/etc"
cp "$BUILD/tests/guest/probe" "$WORK/image/rootfs/probe"
: >"$WORK/image/rootfs/owned"
cat >"$WORK/image/rootfs/etc/passwd" <<'EOF2'
root:x:0:0:root:/root:/bin/sh
app:x:1000:100:App:/:/bin/sh
1000:x:77:78:named like a number:/:/bin/sh
EOF2
cat >"$WORK/image/rootfs/etc/group" <<'EOF2'
root:x:0:
app:x:500:
staff:x:50:app,other
video:x:44:app
1000:x:79:
EOF2
# image USER GROUP: an image of that user and group
image()
{
	cat >"$WORK/image/manifest" <<-EOM
	{"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/ids",
	 "labels": [{"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"}],
	 "app": {"exec": ["/probe", "ids"], "user": "$1", "group": "$2"}$3}
	EOM
	tar -C "$WORK/image" --owner=33 --group=34 -cf "$4" manifest rootfs
}
# docker USER NAME: ... as Docker's image with this User becomes
docker()
{
	user=${1%%:*}
	group=${1#*:}
	image "$user" "${group:-$user}" \
		", \"annotations\": [{\"name\": \"appc.io/docker/user\", \"value\": \"$1\"}]" "$2"
}

a=$WORK/appc.aci
image 0 0 '' "$a"
docker app "$WORK/app.aci"
docker 1000 "$WORK/listed.aci"
docker 4242 "$WORK/unlisted.aci"
docker app:video "$WORK/pair.aci"
docker 1000:app "$WORK/mixed.aci"

# is_id APP UID GID GROUPS
is_id()
{
	for row in "Uid=$2,$2,$2,$2" "Gid=$3,$3,$3,$3" "Groups=$4"; do
		is "$1: $row" "$(sed -n "s/^$1: //p" "$WORK/out" | grep "^${row%%=*}=")" "$row"
	done
}

run_tripod run "$a" --name=number --user=4242 --group=4343 --supplementary-gids=7,8 \
	--- "$a" --name=name --user=app --group=staff \
	--- "$a" --name=path --user=/owned --group=/owned \
	--- "$a" --name=literal --user=1000 --group=1000 \
	--- "$WORK/app.aci" --name=d-name \
	--- "$WORK/listed.aci" --name=d-listed \
	--- "$WORK/unlisted.aci" --name=d-unlisted \
	--- "$WORK/pair.aci" --name=d-pair \
	--- "$WORK/mixed.aci" --name=d-mixed --supplementary-gids=9 \
	--- "$WORK/unlisted.aci" --name=d-said --user=app \
	--- "$WORK/pair.aci" --name=d-group --group=staff
is 'all of them run' "$status" 0
is_id number 4242 4343 7,8
is_id name 1000 50 ''
is_id path 33 34 ''
# appc looks for names first, OCI for numbers
is_id literal 77 79 ''
is_id d-name 1000 100 44,50
is_id d-listed 1000 100 ''
is_id d-unlisted 4242 0 ''
is_id d-pair 1000 44 ''
is_id d-mixed 1000 500 9
# what the command line says counts as if the image had said it
is_id d-said 1000 100 44,50
is_id d-group 1000 50 ''

docker ghost "$WORK/ghost.aci"
run_tripod run "$WORK/ghost.aci"
is 'a user that the image does not know is an error' "$status" 217
like 'and is named' "$err" '"ghost" user not found'

# asked: a pod whose app waits for its stop signal and says which it was
run_tripod prepare "$IMAGES/busybox.aci" --annotation=appc.io/docker/stopsignal=SIGUSR1 \
	--exec=/bin/sh -- -c 'trap "echo got USR1; exit 0" USR1; trap "echo got TERM" TERM
		echo up; while :; do sleep 1000 & wait; done'
uuid=$out
TRIPOD_TEST=$WORK timeout -k 5 "$LIMIT" "$TRIPOD" --dir="$DATA" run-prepared --net=none "$uuid" \
	>"$WORK/stopped" 2>&1 </dev/null &
pid=$!
wait_for has_line "$WORK/stopped" '^up'
run_tripod stop "$uuid"
status=0
wait $pid || status=$?
is 'stop sends the signal the image names' "$(tail -n 1 "$WORK/stopped")" 'got USR1'
is 'and the app ends well' "$status" 0
run_tripod prepare "$IMAGES/busybox.aci" --annotation=appc.io/docker/stopsignal=SIGNOTHING
run_tripod run-prepared "$out"
like 'a signal nobody knows is refused' "$err" '"SIGNOTHING" is not a signal'
no_leaks 'nothing is left'
done_testing
