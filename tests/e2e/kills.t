#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kill -9 of stage0, the VMM and what runs beside it, at random moments: nothing is left that list, gc
# and the next pod would stumble over. KILLS (6) says how often, KILLS_SEED repeats a run. In a network
# namespace of the test's own.
if [ -z "${TRIPOD_TEST_NETNS-}" ] && [ "$(id -u)" = 0 ]; then
	TRIPOD_TEST_NETNS=1 exec unshare --net --mount sh "$0"
fi
. tests/e2e/tap.sh
. tests/e2e/passt.sh
need_command python3
[ -x /usr/lib/cni/ptp ] || skip_all 'no CNI plugins'
[ -c /dev/net/tun ] || skip_all 'no /dev/net/tun'
: "${KILLS:=6}"

mkdir -p /run/netns /var/lib/cni
mount -t tmpfs tmpfs /run/netns
mount -t tmpfs tmpfs /var/lib/cni

run_tripod prepare "$IMAGES/busybox.aci"
is 'the image is in the store' "$status" 0
run_tripod gc --grace-period=0s --expire-prepared=0s
run_tripod image list --no-legend --full --fields=id,name
IMAGE=$(printf '%s\n' "$out" | awk '$2 ~ /busybox/ { print $1 }')
PODS_DIR=$DATA/pods
SHARE=
if [ -x /usr/lib/qemu/virtiofsd ] || [ -x /usr/libexec/virtiofsd ]; then
	SHARE=$WORK/share
	mkdir "$SHARE"
fi
export IMAGE PODS_DIR SHARE

status=0
TRIPOD_TEST=$WORK python3 tests/e2e/kills.py "$KILLS" "$WORK" "$TRIPOD" --dir="$DATA" \
	--insecure-options=image >"$WORK/kills" 2>"$WORK/kills.err" </dev/null || status=$?
while read -r line; do
	case $line in
	'ok '*) pass "${line#ok - }" ;;
	'not ok '*) fail "${line#not ok - }" ;;
	*) echo "$line" ;;
	esac
done <"$WORK/kills"
is 'the driver came to its end' "$status $(grep -c 'ok - ' "$WORK/kills") $(tail -n 5 "$WORK/kills.err")" '0 4 '
run_tripod run --net=none "$IMAGE" --exec=/bin/true
is 'and the next pod runs' "$status" 0
run_tripod gc --grace-period=0s
no_leaks 'nothing is left'
done_testing
