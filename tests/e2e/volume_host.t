#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Volumes of the host's: directories and single files, what the guest can do with them and what it can
# not, what their server is confined to, and its death. VOLUME_MIB is how much goes through each way,
# VOLUME_TREE a directory of small files that does.
. tests/e2e/tap.sh
need_root
need_kvm
need_command python3
BOX=$IMAGES/busybox.aci
MIB=${VOLUME_MIB:-8}
LIMIT=$((LIMIT + 2 * MIB)) # a MiB each way takes well below a second, alone

rw=$WORK/rw
mkdir -p "$rw/tree" "$WORK/ro/sub" "$WORK/target" "$WORK/outside"
chmod 0755 "$WORK"
cp "$BUILD/tests/guest/volume" "$WORK/ro/probe"
cp -R "${VOLUME_TREE:-firmware}/." "$rw/tree"
ln -s fdt.h "$rw/tree/link"
mkdir "$rw/tree/empty"
chmod 0700 "$rw/tree/empty"
tar -C "$rw" -cf "$rw/tree.tar" tree
head -c $((MIB << 20)) /dev/urandom >"$rw/in"
echo secret >"$WORK/outside/secret"
ln -s "$WORK/outside/secret" "$rw/hosts-link"
echo 'of the host' >"$WORK/ro/file"
echo 'below' >"$WORK/target/file"
echo 'alone' >"$WORK/single"
ln -s target "$WORK/source-link"

# volume NAME SOURCE [KEY=VALUE...]: words for run
volume()
{
	name=$1
	source=$2
	shift 2
	keys=
	for key; do
		keys=$keys,$key
	done
	echo "--volume=$name,kind=host,source=$source$keys --mount=volume=$name,target=/$name"
}

# The servers of a pod's VMM: those it started, and the one below each, which serves.
servers()
{
	pgrep -P "$1" -x virtiofsd
}

# server_of FILE: the first that serves a volume with it
server_of()
{
	for server in $(servers "$vmm"); do
		server=$(pgrep -P "$server" -x virtiofsd)
		if [ -e "/proc/$server/root/$1" ]; then
			echo "$server"
			return
		fi
	done
}

# Everything that wants a guest, in one. It has all capabilities: what stops it is the host.
# shellcheck disable=SC2016 # the guest expands
script='
	cat /ln/file /one
	echo more >>/one
	ls /nested/sub /flat/sub
	echo x 2>&1 >/flat/sub/x; echo x 2>&1 >/nested/sub/x
	dd if=/rw/in of=/rw/direct bs=1M iflag=direct oflag=direct 2>/dev/null
	dd if=/rw/in bs=64k count=16 of=/rw/cached 2>/dev/null
	mkdir /rw/guest && tar -C /rw/guest -xf /rw/tree.tar
	(cd /rw/tree; find . -type f | sort | xargs sha256sum) >/tmp/sums
	(cd /rw/guest/tree; sha256sum -c /tmp/sums >/dev/null && echo "the same tree")
	/ro/probe /rw /ro '"$WORK/outside"'
	echo ready >/rw/ready
	until cat /rw/go 2>/dev/null; do sleep 0.1; done
	echo "end of the script"'
mount -t tmpfs none "$WORK/ro/sub"
echo 'mounted' >"$WORK/ro/sub/mounted"
# shellcheck disable=SC2046
set -- $(volume rw "$rw") $(volume ro "$WORK/ro" readOnly=true) \
	$(volume ln "$WORK/source-link" readOnly=true) $(volume one "$WORK/single") \
	$(volume nested "$WORK/ro" readOnly=true) \
	$(volume flat "$WORK/ro" recursive=false)

# expected NAME WORD...: what a pod with these volumes must measure
expected()
{
	name=$1
	shift
	run "$TRIPOD" --dir="$DATA" --insecure-options=image,all-run attest expected --net=none "$@" "$BOX" \
		--exec=/bin/sh -- -c "$script"
	cp "$WORK/out" "$WORK/$name"
}
changed()
{
	"$TOP/tests/e2e/attest.py" changed "$WORK/must" "$WORK/$1"
}
expected must "$@"
expected less --mount=volume=flat,target=/flat "$(printf '%s\n' "$@" | grep '^--volume=flat')"
is 'how many volumes there are is part of the machine' "$(changed less)" '1 15'
expected more "$@" --volume=more,kind=empty
is 'a volume that nobody mounts is part of the manifest' "$(changed more)" 15
(
	run "$TRIPOD" --dir="$DATA" --insecure-options=image,all-run run --net=none \
		--uuid-file-save="$WORK/uuid" --require-measured="$WORK/must" "$@" \
		"$BOX" --exec=/bin/sh -- -c "$script"
	echo "$status" >"$WORK/status"
) &
pod=$!
# is_there FILE: it is, or the pod has ended
is_there()
{
	[ -e "$1" ] || [ -e "$WORK/status" ]
}
wait_for is_there "$rw/ready"

# While it runs: what serves it
vmm=$(cat "$DATA/pods/run/$(cat "$WORK/uuid")/pid" 2>/dev/null)
is 'a server for each volume' "$(servers "$vmm" | wc -l)" 6
inner=$(server_of direct)
is 'the server sees its volume and nothing else' \
	"$(cd "/proc/$inner/root" && ls -A)" "$(cd "$rw" && ls -A)"
is 'in a network of its own' "$(grep -c : "/proc/$inner/net/dev")" 1
is 'without what it has no use for' "$(awk '/^CapEff/ { print $2 }' "/proc/$inner/status")" \
	00000000000000db
is 'nor could it get more' "$(awk '/^NoNewPrivs|^Seccomp:/ { print $2 }' "/proc/$inner/status" |
	tr '\n' ' ')" '1 2 '
ro_inner=$(server_of sub/mounted)
like 'its mount of a read-only volume is read-only' \
	"$(awk '$5 == "/" { print $6 }' "/proc/$ro_inner/mountinfo")" '^ro,nosuid,nodev,noexec'
is 'as are those below' \
	"$(awk '$5 == "/sub" { print $6 }' "/proc/$ro_inner/mountinfo" | cut -c1-3)" 'ro,'
echo 'written by the host' >"$rw/go.new"
mv "$rw/go.new" "$rw/go"
wait "$pod"
umount "$WORK/ro/sub"
is 'the pod ends well' "$(cat "$WORK/status")" 0
out=$(cat "$WORK/out")

like 'a source that is a link leads where it led' "$out" '^below$'
like 'a single file' "$out" '^alone$'
is 'is written in place' "$(cat "$WORK/single")" 'alone
more'
like 'what is mounted below the source is there' "$out" '^mounted$'
is 'but not with recursive=false' "$(printf '%s\n' "$out" | grep -c '^mounted$')" 1
ok 'what goes below such a mount is under it on the host' test -e "$WORK/ro/sub/x"
ok "$MIB MiB through a volume and back, past the guest's cache" cmp "$rw/in" "$rw/direct"
head -c 1048576 "$rw/in" >"$WORK/first"
ok 'and 1 MiB through it' cmp "$WORK/first" "$rw/cached"
ok 'a tree unpacked by the guest is the same on the host' \
	diff -r --no-dereference "$rw/tree" "$rw/guest/tree"
is 'with its modes' "$(stat -c '%a %u:%g' "$rw/guest/tree/empty")" '700 0:0'
like 'a tree of the host is the same in the guest' "$out" '^the same tree$'
like 'what the host writes comes to a pod that runs' "$out" '^written by the host$'

# has NAME=VALUE...: the probe found these
has()
{
	for pair; do
		is "$promise: ${pair%%=*}" "$(printf '%s\n' "$out" | grep "^${pair%%=*}=")" "$pair"
	done
}
promise='renaming'
has rename=ok renamed=one replaced=two noreplace=EEXIST exchange=ok exchanged=one rename-dir=ok \
	renamed-dir=deep unlinked=one
promise='mappings'
has mmap=ok msync=ok 'read-of-mapped=mapped..........' mapped-of-write=ok mmap-readonly=EACCES
is 'mappings: the host reads what the guest mapped' "$(cat "$rw/map")" 'mapped..written.'
promise='making'
has mknod-char=EPERM mknod-block=EPERM mkfifo=ok link=ok link-count=ok suid=ok chown=ok \
	xattr-user=ok xattr-trusted=EOPNOTSUPP xattr-capability=EPERM
is 'making: a chosen owner is the one on the host' "$(stat -c %u:%g "$rw/map")" 1234:5678
is 'making: a set-user-ID file is one, as docs/volumes.md says' "$(stat -c '%a %u' "$rw/suid")" \
	'4755 0'
is 'making: attributes on the host' "$(python3 -c '
import os, sys
for f in "b", "suid":
	print([n for n in os.listxattr(sys.argv[1] + "/" + f) if n.startswith(("user.", "trusted."))])
' "$rw")" "['user.name']
[]"
promise='reading only'
has ro-create=EROFS ro-mkdir=EROFS ro-symlink=EROFS ro-link=EROFS ro-open=EROFS ro-chmod=EROFS \
	ro-unlink=EROFS ro-rename=EXDEV ro-xattr=EROFS ro-remounted=EROFS
promise='climbing'
has outside=ENOENT absolute=ENOENT relative=ENOENT hosts-link=ENOENT dots=ENOENT race=in
is 'climbing: nothing is planted outside' "$(ls -A "$WORK/outside")" secret
promise='nobody'
has nobody-read=EACCES nobody-write=EACCES nobody-create=ok nobody-owns=ok nobody-chown=EPERM
is 'nobody: is nobody on the host' "$(stat -c %u "$rw/open/mine")" 4321
no_leaks 'no server is left'

# Death of a server
# shellcheck disable=SC2016 # the guest expands
doomed='echo up >/rw/up; while :; do cat /rw/up >/dev/null; done'

# start_doomed: a pod that uses its volume for ever, in $pod, its VMM in $vmm, servers in $outer, $inner
start_doomed()
{
	rm -f "$rw/up" "$WORK/uuid" "$WORK/out" "$WORK/err" "$WORK/status"
	(
		# shellcheck disable=SC2046
		run_tripod run --net=none --uuid-file-save="$WORK/uuid" $(volume rw "$rw") "$BOX" --exec=/bin/sh -- -c "$doomed"
		echo "$status" >"$WORK/status"
	) &
	pod=$!
	wait_for is_there "$rw/up"
	vmm=$(cat "$DATA/pods/run/$(cat "$WORK/uuid")/pid")
	outer=$(servers "$vmm")
	inner=$(pgrep -P "$outer" -x virtiofsd)
}

start_doomed
kill -KILL "$inner"
wait "$pod"
is 'a pod ends with the server of its volume' "$(cat "$WORK/status")" 254
is 'in one line that says which' "$(grep '^stage1:' "$WORK/err")" \
	'stage1: volume rw: virtiofsd ended with status 1'
no_leaks 'nothing is left'

start_doomed
kill -KILL "$vmm"
wait "$pod"
wait_for has_ended "$inner"
wait_for has_ended "$outer"
no_leaks 'the servers end with their VMM'

# Somebody without any privilege but /dev/kvm: what he may do, his pods may, and all they make is his.
USER_ID=20032
mkdir -p "$WORK/user/bin" "$WORK/user/files/open" "$WORK/user/home"
cp "$TRIPOD" "$STAGE1" "$BOX" "$WORK/user/bin"
echo mine >"$WORK/user/files/mine"
chmod 0777 "$WORK/user/files/open"
chown -R "$USER_ID:$USER_ID" "$WORK/user/files" "$WORK/user/home"
echo roots >"$WORK/user/files/roots"
chmod 0600 "$WORK/user/files/roots"
# shellcheck disable=SC2016 disable=SC2046 # the guest expands; words
STAGE1=$WORK/user/bin/stage1-kvm.aci run setpriv --reuid="$USER_ID" --regid="$USER_ID" \
	--groups="$(stat -c %g /dev/kvm),4" --no-new-privs env HOME="$WORK/user/home" \
	"$WORK/user/bin/tripod" --insecure-options=image run --net=none \
	$(volume f "$WORK/user/files") $(volume own "$WORK/user/files/mine" readOnly=true) \
	"$WORK/user/bin/busybox.aci" --exec=/bin/sh -- -c '
	cat /f/mine /f/roots 2>&1
	cat /own
	stat -c "%u %n" /f/mine /f/roots
	echo made >/f/made
	su nobody -s /bin/sh -c "echo too >/f/open/made; echo no >/f/not"
	(echo x >/own) 2>&1
	echo end'
is 'a user has volumes, too' "$status $(printf '%s\n' "$out" | tail -n 1)" '0 end'
is 'his file and the same file alone' "$(printf '%s\n' "$out" | grep -c '^mine$')" 2
like 'what he may not read, his pod may not' "$out" "/f/roots'?: Permission denied"
like 'his files are root'"'s there, others nobody's" "$(printf '%s\n' "$out" | tr '\n' ' ')" \
	' 0 /f/mine 65534 /f/roots '
is 'what any user of the guest makes is his' \
	"$(stat -c %u "$WORK/user/files/made" "$WORK/user/files/open/made" | tr '\n' ' ')" \
	"$USER_ID $USER_ID "
ok 'who may not in the guest, does not' test ! -e "$WORK/user/files/not"
like 'read-only is that for him, too' "$out" 'Read-only file system'
no_leaks 'and nothing is left of it'

# No guest is started for what can not be served.
# fails NAME ERE WORD...: run ends with 254 and one line that matches
fails()
{
	name=$1
	want=$2
	shift 2
	run_tripod run --net=none "$@" "$BOX" --exec=/bin/echo -- ran
	is "$name: the pod fails to start" "$status$out" 254
	like "$name: one line says why" "$(grep '^stage1:' "$WORK/err")" "$want"
}
mkdir "$WORK/bin"
printf '#!/bin/sh\necho "it will not" >&2\nexit 3\n' >"$WORK/bin/virtiofsd"
chmod 0755 "$WORK/bin/virtiofsd"
PATH=$WORK/bin:$PATH
# shellcheck disable=SC2046
fails 'a server that fails' '^stage1: volume rw: virtiofsd: it will not$' $(volume rw "$rw")
no_leaks 'it is not left'
done_testing
