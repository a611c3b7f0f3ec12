#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What run's options do, seen from inside the apps.
. tests/e2e/tap.sh
need_kvm

# shellcheck disable=SC2016 # for the shell in the pod
look='echo "id: $(id)"
echo "pwd: $(pwd)"
echo "host: $(hostname)"
env | sed "s/^/env: /"
touch /x 2>/dev/null && echo "root: writable" || echo "root: read-only"
echo "caps: $(sed -n "s/^CapBnd:[[:space:]]*//p" /proc/self/status)"
echo "args: $0 $*"'

printf 'FILE=file\nOVER=file\n' >"$WORK/env"
run env -i CALLER=caller IMAGE=caller "$TRIPOD" --dir="$DATA" run --net=none --hostname=box \
	--set-env=OVER=set --set-env-file="$WORK/env" --inherit-env \
	--uuid-file-save="$WORK/uuid" --insecure-options=image \
	"$IMAGES/busybox.aci" --name=one --user=1234 --group=1235 --supplementary-gids=5,6 \
	--working-dir=/bin --environment=IMAGE=app --environment=OVER=app \
	--readonly-rootfs=true --caps-retain=KILL,CAP_CHOWN \
	--exec=/bin/sh -- -c "$look" sh a 'b c' --- \
	"$IMAGES/busybox.aci" --name=two --caps-remove=CAP_KILL --exec=/bin/sh -- -c "$look"
unwarned
is 'the pod ends well' "$status" 0
is 'nothing else on stderr' "$err" ''

one()
{
	like "$1" "$out" "^one: $2\$"
}

two()
{
	like "$1" "$out" "^two: $2\$"
}

one 'user, group and supplementary groups' 'id: uid=1234 gid=1235 groups=5,6'
one 'working directory' 'pwd: /bin'
one 'host name' 'host: box'
one 'an app variable wins over the caller' 'env: IMAGE=app'
one 'set-env wins over the file and the app' 'env: OVER=set'
one 'a variable of the file' 'env: FILE=file'
one 'a variable of the caller' 'env: CALLER=caller'
one 'the name of the app' 'env: AC_APP_NAME=one'
one 'a read-only root' 'root: read-only'
one 'capabilities retained: chown and kill' 'caps: 0000000000000021'
one 'arguments as they are' 'args: sh a b c'
two 'the other app is root' 'id: uid=0.* gid=0.*'
two 'and may write' 'root: writable'
two 'its variable comes from the caller' 'env: IMAGE=caller'
two 'the pod has one host name' 'host: box'
two 'capabilities removed: the default set without kill' 'caps: 00000000a80425db'
unlike 'every line has its app' "$out" '^[^ot]'

run_tripod status --uuid-file="$WORK/uuid"
like 'both exit statuses are known' "$(printf '%s\n' "$out" | grep ^app- | sort | tr '\n' ' ')" \
	'^app-one=0 app-two=0 $'
run_tripod gc --grace-period=0s
is 'gc takes the pod away' "$status$(find "$DATA"/pods/*/* 2>/dev/null)" 0
no_leaks 'nothing is left'
done_testing
