#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The pod's disk: what apps write is kept there, limited, given back, and exported. DISK_MIB (1): how
# much is written to it; over 128 it is more than the guest has memory.
. tests/e2e/tap.sh
need_kvm
need_command python3

mib=${DISK_MIB:-1}
LIMIT=$((600 + 10 * mib)) # writing a MiB takes seconds where guest kernel mode is emulated
size=$((mib + 32))
box=$IMAGES/busybox.aci

# What is done in a root directory, in the guest and here: the same, times included.
# shellcheck disable=SC2016 # for the shell in the pod
change='set -e
mkdir -p made/a/b made/empty
echo hello >made/a/b/file
ln made/a/b/file made/hard
ln -s ../x made/soft
ln -s "$(printf %0100d 7)" made/long
mkfifo made/fifo
chmod 2750 made/a
chmod 4711 made/hard
dd if=/dev/zero of=made/sparse bs=4096 seek=100 count=1 2>/dev/null
dd if=/dev/zero of=made/sparse bs=1 seek=819200 count=0 2>/dev/null
i=0; while [ $i -lt 40 ]; do echo $i >made/empty/$i; i=$((i + 1)); done
rm made/empty/1?
echo more >>etc/passwd
rm -r usr/sbin
mv bin/cat made/cat
rm -r root && mkdir root && echo new >root/new
touch -h -d @1000 made/soft made/long
find made etc/passwd root -depth ! -type l -exec touch -d @1000 {} +
touch -d @1000 usr bin etc .'

# shellcheck disable=SC2016 # for the shell in the pod
guest='cd /; '$change'
df -k / | tail -n 1
fallocate -l '$((size + 1))'m big 2>&1 || echo "too much: $?"
rm -f big
dd if=/dev/zero of=/large bs=1M count='$mib' 2>/dev/null && sync && ls -s /large && rm /large
dd if=/dev/zero of=/tmp/kept bs=64k count=4 2>/dev/null; sync
touch -d @1000 . tmp tmp/kept
grep " / " /proc/mounts'

run_tripod attest expected --disk=${size}Mi "$box" --exec=/bin/sh -- -c "$guest"
cp "$WORK/out" "$WORK/expected"
is 'the disk is part of what is expected' "$status" 0
run_tripod run --disk=$((size + 1))Mi --require-measured="$WORK/expected" "$box" --exec=/bin/sh -- \
	-c "$guest"
is 'and one of another size is not that' "$status" 254
like 'which is said' "$err" 'differs'
run_tripod run --disk=${size}Mi --disk-rate=bytes=1G,ops=100k --require-measured="$WORK/expected" \
	--uuid-file-save="$WORK/uuid" "$box" --exec=/bin/sh -- -c "$guest"
is 'a pod with a disk of the size that is expected runs' "$status" 0
is 'nothing on stderr' "$err" ''
kib=$(printf '%s\n' "$out" | sed -n 's/^overlay *\([0-9]*\) .*/\1/p')
ok "the root is about as large as the disk (${kib:-none} KiB)" \
	[ "${kib:-0}" -gt $((size * 1024 * 3 / 4)) -a "${kib:-0}" -le $((size * 1024)) ]
like 'more does not fit: No space left on device' "$out" '^too much: 1$'
like 'what fits is written' "$out" " /large$"
uuid=$(cat "$WORK/uuid")
pod=$DATA/pods/run/$uuid
kib=$(du -k "$pod/disk.img" | cut -f1)
diag "$kib KiB of the disk are there"
ok 'the disk holds what was kept' [ "$kib" -ge 256 ]
ok 'and what was removed was given back' [ "$kib" -lt $((256 + mib * 1024)) ]

# Export: what is in it is what the same commands leave of the same image here.
run_tripod export "$uuid" "$WORK/out.tar"
is 'the name has to end in .aci' "$status" 254
run_tripod export "$uuid" "$WORK/out.aci"
is 'an exited pod is exported' "$status:$err" '0:'
like 'as a gzip archive' "$(od -An -tx1 -N2 "$WORK/out.aci")" '1f 8b'
is 'whose manifest is last' "$(tar tzf "$WORK/out.aci" 2>/dev/null | tail -n 1)" manifest
run_tripod export "$uuid" "$WORK/out.aci"
is 'which is not written over' "$status" 254
like 'unless that is asked for' "$err" 'overwrite'
run_tripod export --overwrite --app=busybox "$uuid" "$WORK/out.aci"
is 'as here' "$status:$err" '0:'
run_tripod export --app=other "$uuid" "$WORK/other.aci"
like 'an app that is not there is said so' "$status $err" '^254 .*no app "other"'
run_tripod image extract --rootfs-only "$(sed -n 's/.*"id":"\([^"]*\)".*/\1/p' "$pod/pod")" \
	"$WORK/here"
(cd "$WORK/here" && sh -c "$change" && : >tmp/kept && truncate -s 256k tmp/kept &&
	touch -d @1000 tmp/kept tmp .)
run_tripod fetch "$WORK/out.aci"
is 'the result is an image' "$status" 0
run_tripod image extract --rootfs-only "$out" "$WORK/there"
python3 tests/e2e/tree.py "$WORK/here" >"$WORK/here.list"
python3 tests/e2e/tree.py "$WORK/there" >"$WORK/there.list"
is 'file by file what the same commands make here' \
	"$(diff "$WORK/here.list" "$WORK/there.list" | head -n 20)" ''

# It runs; without a disk; beside an app that writes nothing.
# shellcheck disable=SC2016 # for the shell in the pod
run_tripod run --rw=tmpfs --uuid-file-save="$WORK/uuid2" "$WORK/out.aci" --name=new \
	--exec=/bin/sh -- -c 'while read -r a; do echo "$a"; done </made/a/b/file' --- \
	"$box" --name=ro --readonly-rootfs=true --exec=/bin/true
is 'the image runs' "$status" 0
is 'with what was written' "$out" 'new: hello'
uuid2=$(cat "$WORK/uuid2")
ok 'without a disk there is none' [ ! -e "$DATA/pods/run/$uuid2/disk.img" ]
run_tripod export "$uuid2" "$WORK/two.aci"
like 'of several apps one has to be named' "$status $err" '^254 .*--app: new, ro'
run_tripod export --app=new "$uuid2" "$WORK/two.aci"
like 'what was in memory can not be exported' "$status $err" '^254 .*--rw=tmpfs'
run_tripod export --app=ro "$uuid2" "$WORK/ro.aci"
is 'an app that could not write is as its image' "$status:$err" '0:'
ok 'nothing is left of what failed' [ ! -e "$WORK/two.aci" ]
run_tripod prepare "$box"
run_tripod export "$out" "$WORK/three.aci"
like 'a pod that has not run is refused' "$status $err" '^254 .*not exited, but prepared'

# A disk is the guest's word.
cp --sparse=always "$pod/disk.img" "$WORK/disk.img"
cat >"$WORK/damage" <<-'END'
	import random, sys
	seed = int(sys.argv[2])
	random.seed(seed)
	with open(sys.argv[1], "r+b") as f:
	    for i in range(1 + seed * 8):
	        f.seek(random.randrange(1024, 4096 if i % 4 == 0 else 1 << 20))
	        f.write(bytes([random.randrange(256)]))
END
bad=
for seed in 0 1 2 3 4 5 6 7; do
	cp --sparse=always "$WORK/disk.img" "$pod/disk.img"
	python3 "$WORK/damage" "$pod/disk.img" $seed
	rm -f "$WORK/damaged.aci"
	run_tripod export "$uuid" "$WORK/damaged.aci"
	case $status:$(printf '%s' "$err" | grep -c '') in
	0:[01]) ;;
	254:1) [ ! -e "$WORK/damaged.aci" ] || bad="$bad $seed: a file" ;;
	*) bad="$bad $seed: $status $err" ;;
	esac
done
is 'a damaged disk is an image or one line' "$bad" ''
truncate -s 0 "$pod/disk.img"
rm -f "$WORK/damaged.aci"
run_tripod export "$uuid" "$WORK/damaged.aci"
like 'one that is none, too' "$status $err" '^254 .*no sound file system'

# Options
for given in '--rw=both' '--rw=tmpfs --disk=1G' '--disk=1M' '--disk=9Ti' '--disk=x' \
	'--disk-rate=0' '--disk-rate=packets=1'; do
	# shellcheck disable=SC2086 # a list of words
	run_tripod run $given "$box"
	like "$given is refused" "$status $err" '^254 .*--(rw|disk|disk-rate)'
done

run_tripod gc --grace-period=0s
run_tripod rm "$uuid" "$uuid2"
no_leaks 'nothing is left'
done_testing
