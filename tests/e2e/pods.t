#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Many pods at once, from their preparation to their collection: right states throughout, and a data
# directory that is as it was found. PODS (6) says how many, BOOTING (3) how many boot at a time.
. tests/e2e/tap.sh
need_kvm
need_command python3
: "${PODS:=6}" "${BOOTING:=3}"

# everything in the data directory; the cache of digests has its size from its first use
tree()
{
	(cd "$DATA" && find . \( -type d -o -path ./cas/digests \) -printf '%p %y %m\n' -o \
		-printf '%p %y %m %n %s\n' | sort)
}

run_tripod prepare "$IMAGES/busybox.aci"
is 'the image is in the store' "$status" 0
run_tripod gc --grace-period=0s --expire-prepared=0s
run_tripod image list --no-legend --full --fields=id,name
IMAGE=$(printf '%s\n' "$out" | awk '$2 ~ /busybox/ { print $1 }')
export IMAGE
tree >"$WORK/before"

status=0
TRIPOD_TEST=$WORK python3 tests/e2e/pods.py "$PODS" "$BOOTING" "$WORK" "$TRIPOD" --dir="$DATA" \
	--insecure-options=image >"$WORK/pods" 2>"$WORK/pods.err" </dev/null || status=$?
while read -r line; do
	case $line in
	'ok '*) pass "${line#ok * - }" ;;
	'not ok '*) fail "${line#not ok * - }" ;;
	COUNT*) ;;
	*) echo "$line" ;;
	esac
done <"$WORK/pods"
is 'the driver came to its end' "$status $(grep -c ^COUNT "$WORK/pods") $(tail -n 5 "$WORK/pods.err")" '0 1 '
tree >"$WORK/after"
is 'the data directory is as it was found' "$(diff "$WORK/before" "$WORK/after")" ''
no_leaks 'nothing is left'
done_testing
