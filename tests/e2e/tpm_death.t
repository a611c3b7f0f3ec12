#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# swtpm that is missing, dies or hangs, before the launch is measured and later.
. tests/e2e/tap.sh
need_kvm
need_command swtpm
need_command python3
busybox=$IMAGES/busybox.aci
real=$(command -v swtpm)

# fake TEXT: a swtpm in $WORK/bin, which the pod finds first
fake()
{
	mkdir -p "$WORK/bin"
	cat >"$WORK/bin/swtpm"
	chmod 755 "$WORK" "$WORK/bin" "$WORK/bin/swtpm"
}

# fails NAME ERE: the pod does not start its app, and says why in one line
fails()
{
	PATH=$WORK/bin:$PATH run_tripod run --tpm=auto "$busybox" --exec=/bin/echo -- ran
	is "$1: the pod fails to start" "$status" 254
	is "$1: no app ran" "$out" ''
	like "$1: one line says why" "$err" "$2"
	is "$1: and only one" "$(grep -c '^stage1:' "$WORK/err")" 1
}

echo 'exit 1' | sed '1i#!/bin/sh' | fake
fails 'swtpm ends at once' "^stage1: the pod's TPM: swtpm: .*(ended|Broken pipe|data channel)"
printf '#!/bin/sh\nexec sleep 1000\n' | fake
fails 'swtpm hangs' "^stage1: the pod's TPM: swtpm: .*(no answer|data channel)"
# dies in the middle of what the launch does with it
printf '#!/bin/sh\n%s "$@" & sleep 0.1; kill -KILL $!; exit 1\n' "$real" | fake
PATH=$WORK/bin:$PATH run_tripod run --tpm=auto "$busybox" --exec=/bin/echo -- ran
case $status in
0) ok 'killed swtpm: a pod that runs was measured before' grep -q ran "$WORK/out" ;;
*) is 'killed swtpm: a pod that was not measured does not run' "$status $out" '254 ' ;;
esac

# Not installed: only who asks for it misses it.
mkdir "$WORK/nothing"
env -i PATH="$WORK/nothing" TRIPOD_TEST="$WORK" /usr/bin/timeout 240 "$TRIPOD" --dir="$DATA" \
	--insecure-options=image run --net=none --tpm=on "$busybox" --exec=/bin/true 2>"$WORK/err" </dev/null
is 'not installed and asked for: the pod fails to start' "$?" 254
like 'not installed: and names the package' "$(grep '^stage1:' "$WORK/err")" \
	'^stage1: a TPM is asked for: starting swtpm: No such file or directory \(package swtpm\)$'
env -i PATH="$WORK/nothing" TRIPOD_TEST="$WORK" /usr/bin/timeout 240 "$TRIPOD" --dir="$DATA" \
	--insecure-options=image run --net=none --tpm=auto "$busybox" --exec=/bin/echo -- ran \
	>"$WORK/out" 2>"$WORK/err" </dev/null
is 'not installed and not asked for: the pod runs' "$?$(cat "$WORK/out")$(grep '^stage1:' "$WORK/err")" 0ran

# later NAME SIGNAL: to the swtpm of a pod whose app uses the TPM
# shellcheck disable=SC2016 # the guest expands
later()
{
	rm -f "$WORK/uuid"
	TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none --tpm=on \
		--uuid-file-save="$WORK/uuid" "$busybox" --exec=/bin/sh -- -c '
		read=/sys/class/tpm/tpm0/pcr-sha256/15
		value=$(cat $read) && echo up
		while [ "$(cat $read 2>/dev/null)" = "$value" ]; do :; done
		echo "tpm fails"; exit 7' >"$WORK/out" 2>"$WORK/err" </dev/null &
	pid=$!
	n=0
	until grep -q up "$WORK/out" || [ $n -ge 2400 ]; do
		n=$((n + 1))
		sleep 0.1
	done
	pod=$DATA/pods/run/$(cat "$WORK/uuid")
	vmm=$(cat "$pod/pid")
	kill "-$2" "$(pgrep -P "$vmm" -x swtpm)"
	python3 - "$pod" >"$WORK/answer" <<-'END'
		import os, socket, sys
		os.chdir(sys.argv[1])
		s = socket.socket(socket.AF_UNIX)
		s.settimeout(60)
		s.connect("control.sock")
		s.sendall(b"status\nquote 00 1\nstatus\n")
		f = s.makefile()
		for _ in range(3):
		    sys.stdout.write(f.readline())
	END
	like "$1: who asks for a quote hears of it" "$(sed -n 2p "$WORK/answer")" '^."error":'
	is "$1: the loop goes on" "$(grep -c '"state":' "$WORK/answer")" 2
	wait $pid
	is "$1: the guest sees errors, and the app goes on" "$?:$(tail -n 1 "$WORK/out")" '7:tpm fails'
	no_leaks "$1: nothing is left"
}
later 'swtpm is killed' KILL
later 'swtpm is stopped' STOP
done_testing
