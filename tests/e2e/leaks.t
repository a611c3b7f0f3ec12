#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Many runs leave no process, mount, descriptor or file behind.
. tests/e2e/tap.sh
need_kvm
busybox=$IMAGES/busybox.aci
: "${LEAK_RUNS:=100}"

# What there is of us on this machine: mounts, files of ours in shared places, open files.
state()
{
	sort /proc/mounts
	find /tmp /run /var/lib/tripod /dev/shm -maxdepth 2 -name '*tripod*' \
		! -path "$WORK*" ! -path '/tmp/tripod-test.*' 2>/dev/null | sort
}

run_tripod run "$busybox" --exec=/bin/true
is 'a pod runs' "$status" 0
run_tripod gc --grace-period=0s
files=$(cd "$DATA" && find . | sort)
before=$(state)

# Two at a time, of three kinds: good, failing, and one whose program is missing.
one()
{
	case $(($1 % 3)) in
	0) set -- 0 /bin/true ;;
	1) set -- 1 /bin/false ;;
	2) set -- 203 /no/such/program ;;
	esac
	got=0
	TRIPOD_TEST=$WORK timeout "$LIMIT" "$TRIPOD" --dir="$DATA" --insecure-options=image \
		run --net=none "$busybox" --exec="$2" >>"$WORK/out" 2>>"$WORK/err" </dev/null || got=$?
	[ "$got" = "$1" ] || echo "$2: $got, not $1" >>"$WORK/wrong"
}

n=0
: >"$WORK/wrong"
while [ $n -lt "$LEAK_RUNS" ]; do
	one $n &
	one $((n + 1)) &
	wait
	n=$((n + 2))
done
is "$LEAK_RUNS runs end as they should" "$(head -n 5 "$WORK/wrong")" ''
no_leaks 'no process and no mount is left'
is 'mounts and shared places are as before' "$(state)" "$before"
run_tripod gc --grace-period=0s
is 'gc succeeds' "$status" 0
is 'after gc the data directory is as after one run' "$(cd "$DATA" && find . | sort)" "$files"
done_testing
