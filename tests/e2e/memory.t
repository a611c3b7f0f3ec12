#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Memory goes back to the host: what apps free by itself, more when it is asked for.
. tests/e2e/tap.sh
need_kvm

SMALL=24              # MiB an app of the default size takes and frees
: "${MEMORY_HOG:=24}" # ... and one that is given more
LIMIT=$((LIMIT + 2 * MEMORY_HOG)) # which takes long where guest kernel mode is emulated

run_tripod memory 00000000-0000-0000-0000-000000000000
is 'a pod that is not has no memory' "$status" 254

mkfifo "$WORK/words"
exec 9<>"$WORK/words"

# start MIB OPTIONS..: a pod whose app does what it is told on 9, with so much; without --memory it is of
# the default size
start()
{
	hog=$1
	shift
	: >"$WORK/said"
	TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none --interactive \
		--uuid-file-save="$WORK/uuid" "$IMAGES/python3.aci" "$@" \
		--exec=/usr/bin/python3 -- -c "$(cat tests/e2e/memory.py)" "$hog" \
		<"$WORK/words" >>"$WORK/said" 2>"$WORK/complaints" 9<&- &
	pod=$!
	said ready || bail 'the pod does not start'
	uuid=$(cat "$WORK/uuid")
}

end()
{
	echo end >&9
	finish $pod
	is 'the pod ends well' $? 0
}

# said WORD: wait for the app to say it, in a whole line
said()
{
	tries=0
	until grep -q "^$1" "$WORK/said" && [ -z "$(tail -c 1 "$WORK/said")" ]; do
		tries=$((tries + 1))
		if [ $tries -gt $((LIMIT * 10)) ] || ! kill -0 $pod 2>/dev/null; then
			diag "the app does not say $1: $(cat "$WORK/said" "$WORK/complaints")"
			return 1
		fi
		sleep 0.1
	done
}

# ask WORD [COLUMN]: have the app do it; $answer is what it says in the column, KiB
ask()
{
	: >"$WORK/said"
	echo "$1" >&9
	said "$1" || bail "the pod is gone"
	answer=$(awk -v column="${2:-2}" '{ print $column }' "$WORK/said")
}

# member NAME: what tripod says about the pod's memory, bytes
member()
{
	run_tripod memory "$uuid"
	printf '%s\n' "$out" | sed -n "s/^$1=//p"
}

# gets_to NAME BYTES: until it is that or, of what the host has in use, less
gets_to()
{
	begin=$(date +%s)
	while :; do
		value=$(member "$1")
		[ "${value:-0}" != "$2" ] || return 0
		[ "$1" != resident ] || [ "${value:-$2}" -ge "$2" ] || return 0
		if [ $(($(date +%s) - begin)) -gt "$LIMIT" ]; then
			diag "$1 is $value, expected $2"
			return 1
		fi
		sleep 0.2
	done
}

MIB=1048576

# takes_and_frees: memory is the host's before and after, and the app's between
takes_and_frees()
{
	before=$(member resident)
	ask take
	taken=$(member resident)
	# meanwhile the host may get back what booting had used
	ok "what the app takes, the host gives ($before, $taken)" \
		test $((taken - before)) -ge $(((hog - 6) * MIB))
	if [ "$(id -u)" = 0 ]; then
		shmem=$(awk '/^Pss_Shmem:/ { print $2 }' "/proc/$(cat "$DATA/pods/run/$uuid/pid")/smaps_rollup")
		ok "which is the VMM's by the host's account ($shmem KiB)" \
			test "$shmem" -ge $((hog * 1024))
	else
		skip "which is the VMM's by the host's account" 'not root'
	fi
	ask free
	freed=$(date +%s.%N)
	ok 'what it frees, the host has again' gets_to resident $((taken - hog * MIB * 3 / 4))
	diag "$hog MiB were back $(echo "$(date +%s.%N) $freed" | awk '{ print $1 - $2 }') s after they had been freed"
}

# The default size: in the emulated profile all of it is what the guest boots with.
start $SMALL
run_tripod memory --format=json "$uuid"
is 'the memory of a running pod is shown' "$status" 0
total=$(printf '%s' "$out" | python3 -c 'import json, sys
doc = json.load(sys.stdin)
assert list(doc) == ["total", "target", "current", "minimum", "resident", "returned"]
assert doc["total"] == doc["target"] == doc["current"] > doc["resident"] > 0
assert doc["minimum"] == 64 << 20
print(doc["total"])')
takes_and_frees

# What is asked for.
ask available 3
before=$answer
returned=$(member returned)
target=$((total - 12 * MIB))
run_tripod memory --target="$((target / 1024))Ki" "$uuid"
is 'less can be asked for' "$status" 0
like 'and is shown' "$out" "^target=$target\$"
ok 'the guest gives it' gets_to current "$target"
ok 'the host gets it' test "$(member returned)" -ge $((returned + 12 * MIB))
ask available 3
ok "the guest has so much less ($before, $answer KiB)" test "$answer" -le $((before - 10 * 1024))
after=$answer
run_tripod memory --target=max "$uuid"
is 'all can be given again' "$status" 0
ok 'the guest takes it' gets_to current "$total"
ask available 3
ok "and has it ($answer KiB)" test "$answer" -ge $((after + 10 * 1024))

for size in 1Mi 63Mi 1Ti; do
	run_tripod memory --target=$size "$uuid"
	is "a target there is not: $size" "$status" 254
	like 'with the limits' "$err" "the guest can keep 64 to $((total / MIB)) MiB"
done
run_tripod memory --target=much "$uuid"
is 'what is no size is told' "$status" 254
run_tripod memory --format=xml "$uuid"
is 'what is no format is told' "$status" 254

end
run_tripod memory "$uuid"
is 'an ended pod has no memory' "$status" 254
like 'which is told' "$err" 'is not running'

# More: what is plugged is another zone of the guest's kernel.
limit=$((MEMORY_HOG + 136))
start "$MEMORY_HOG" --memory=${limit}Mi
total=$(member total)
ok "the guest has more than its apps may use, in steps of 128 MiB (${total:-none})" \
	test "$((total % (128 * MIB)))" = 0 -a "$total" -gt $((limit * MIB))
ask available 3
ok "--memory=${limit}Mi is for the app: $answer KiB are available" test "$answer" -ge $((limit * 1024))
takes_and_frees
end

exec 9>&-
no_leaks 'nothing is left'
done_testing
