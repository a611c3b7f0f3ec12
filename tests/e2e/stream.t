#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Streams: every byte arrives, in order, on its side, also when much comes at once or nobody reads.
. tests/e2e/tap.sh
need_kvm
python=$IMAGES/python3.aci busybox=$IMAGES/busybox.aci
: "${STREAM_MB:=200}"
LIMIT=600

# A program that is the same here and in the guest: MB of bytes no two blocks of which are alike.
cat >"$WORK/blocks.py" <<'EOM'
import hashlib, sys
mb, sink = int(sys.argv[1]), hashlib.sha256()
for i in range(mb * 16):
    block = (b"%016d" % i) * 4096
    sink.update(block)
    if len(sys.argv) == 2:
        sys.stdout.buffer.write(block)
if len(sys.argv) > 2:
    print(sink.hexdigest())
EOM
want=$(python3 "$WORK/blocks.py" "$STREAM_MB" sum)

run_tripod run "$python" --exec=/usr/bin/python3 -- -u -c "
import os, sys
sys.stderr.write('start\n')
sys.argv = ['', '$STREAM_MB']
$(sed 's/\\/\\\\/g' "$WORK/blocks.py")
# out of the root and back: chroot(2) must not be a way to what is outside
os.mkdir('/jail')
os.chroot('/jail')
for _ in range(9):
    os.chdir('..')
os.chroot('.')
sys.stderr.write('root=' + ' '.join(sorted(set(os.listdir('/')) & {'usr', 'init', 'lower'})))
"
is "$STREAM_MB MB: exit status" "$status" 0
is "$STREAM_MB MB of stdout arrive to the byte" "$(sha256sum "$WORK/out" | cut -d' ' -f1)" "$want"
is 'stderr is separate, and chroot(2) leads nowhere' "$err" 'start
root=usr'
rm -f "$WORK/out"

# stdin: all of it, its end, and a reader that stops early.
head -c 3000000 "$TRIPOD" >"$WORK/in"
sum=$(sha256sum <"$WORK/in" | cut -d' ' -f1)
TRIPOD_TEST=$WORK timeout "$LIMIT" "$TRIPOD" --dir="$DATA" --insecure-options=image \
	run --net=none --interactive "$busybox" --exec=/bin/sh -- -c 'sha256sum; echo eof' \
	<"$WORK/in" >"$WORK/out" 2>"$WORK/err"
is 'stdin of a pipe or file ends in the app' "$? $(tr '\n' ' ' <"$WORK/out")" "0 $sum  - eof "

# A conversation: what is written is answered before more is written.
mkfifo "$WORK/to" "$WORK/from"
# shellcheck disable=SC2016 # for the guest
TRIPOD_TEST=$WORK timeout "$LIMIT" "$TRIPOD" --dir="$DATA" --insecure-options=image \
	run --net=none --interactive "$busybox" --exec=/bin/sh -- -c \
	'while read -r line; do echo "got $line"; done; echo bye' \
	<"$WORK/to" >"$WORK/from" 2>"$WORK/err" &
pid=$!
exec 3>"$WORK/to" 4<"$WORK/from"
for word in one two three; do
	echo "$word" >&3
	read -r answer <&4
	is "an answer to $word comes at once" "$answer" "got $word"
done
exec 3>&-
read -r answer <&4
is 'the end of stdin comes through' "$answer" bye
wait $pid
is 'the conversation ends well' $? 0
exec 4<&-

# A reader that goes away: the app gets SIGPIPE, as it would without a VM.
(
	TRIPOD_TEST=$WORK timeout "$LIMIT" "$TRIPOD" --dir="$DATA" --insecure-options=image \
		run --net=none "$busybox" --exec=yes 2>"$WORK/err"
	echo $? >"$WORK/status"
) | head -n 3 >"$WORK/out"
is 'a reader gets what it wants' "$(tr '\n' ' ' <"$WORK/out")" 'y y y '
ok 'and the pod ends when it has gone' test "$(cat "$WORK/status")" -ne 124
no_leaks 'nothing is left'
done_testing
