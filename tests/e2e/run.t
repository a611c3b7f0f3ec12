#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A pod from the command line to the exit status. Booting is what costs, so each boot shows much.
. tests/e2e/tap.sh
. tests/e2e/stub.sh
need_kvm
busybox=$IMAGES/busybox.aci

# field NAME: the value the guest told as NAME=value
field()
{
	sed -n "s/^$1=//p" "$WORK/out"
}

# One app that tells what it sees.
cat >"$WORK/look" <<'EOM'
echo "args=$# $1 $2"
echo "env=$FROM_SET/$FROM_APP/$HOME/$USER/$AC_APP_NAME"
echo "path=$PATH"
echo "cwd=$PWD"
echo "umask=$(umask)"
echo "hostname=$(hostname) $(cat /etc/hostname)"
echo "stdin=$(readlink /proc/self/fd/0)"
echo fds: && ls /proc/$$/fd && echo end
echo "caps=$(sed -n 's/^Cap\(Eff\|Bnd\|Inh\|Amb\):.0*//p' /proc/$$/status | tr '\n' ' ')"
echo "nodes=$(cd /dev && ls -d console full net/tun null ptmx pts random shm tty urandom zero | wc -l)"
echo "ptmx=$(stat -L -c '%F %a %u:%g' /dev/ptmx)"
echo "disks=$(ls /dev | grep -c vd)"
echo "mtab=$(readlink /etc/mtab)"
echo "tmp=$(stat -c %a /tmp)"
echo "lo=$(ifconfig lo | grep -c 127.0.0.1)"
echo "init=$(ls /init /lower /upper 2>/dev/null)"
echo to-stdout >/dev/stdout
echo text >/written && echo "written=$(cat /written)"
echo err >&2
echo to-stderr >/dev/stderr
sleep 1000 & # holds the streams; must not hold up the end
exit 7
EOM
run_tripod run --hostname=some-pod --set-env=FROM_SET=set "$busybox" --exec=/bin/sh \
	--environment=FROM_APP='a b' --working-dir=/usr/bin -- -c "$(cat "$WORK/look")" sh 'x y' z
is 'run exits as the app does' "$status" 7
is 'stderr is the app'\''s alone' "$err" 'err
to-stderr'
is 'arguments arrive' "$(field args)" '2 x y z'
is 'the environment is the image'\''s, the options'\'' and the defaults' "$(field env)" \
	'set/a b//root/root/busybox'
is 'PATH has its default' "$(field path)" \
	/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
is 'the working directory is the one asked for' "$(field cwd)" /usr/bin
is 'umask is 0022' "$(field umask)" 0022
is 'the host name is set, in the kernel and in the file' "$(field hostname)" 'some-pod some-pod'
is 'stdin is null' "$(field stdin)" /dev/null
is 'no descriptor leaks into the app' "$(sed -n '/^fds:/,/^end/p' "$WORK/out" | tr '\n' ' ')" \
	'fds: 0 1 2 end '
is 'capabilities are the default set, none inheritable' "$(field caps)" ' a80425fb a80425fb  '
is '/dev has what it must' "$(field nodes)" 11
is '/dev/ptmx is for everybody' "$(field ptmx)" 'character special file 666 0:0'
is '/dev has no disks' "$(field disks)" 0
is '/etc/mtab is a link' "$(field mtab)" ../proc/self/mounts
is '/tmp is there' "$(field tmp)" 1777
is 'loopback is up' "$(field lo)" 1
is 'nothing of init is in sight' "$(field init)" ''
is 'the root can be written to' "$(field written)" text
ok '/dev/stdout can be opened' grep -qx to-stdout "$WORK/out"
no_leaks 'an ended pod leaves nothing running'

# Two apps, the first as somebody else, who leaves processes behind.
cat >"$WORK/first" <<'EOM'
echo "id=$(id -u):$(id -g):$(id -G)"
echo "eff=$(sed -n 's/^CapEff:.0*//p' /proc/self/status)"
touch /x 2>/dev/null || echo "root=readonly"
echo works >/dev/stdout
sleep 1000 &
(setsid sleep 1000 &)
exit 0
EOM
# shellcheck disable=SC2016 # for the guest
run_tripod run "$busybox" --name=first --exec=/bin/sh --user=1000 --group=100 \
	--supplementary-gids=7,8 -- -c "$(cat "$WORK/first")" --- \
	"$busybox" --name=second --exec=/bin/sh -- -c \
	'while ps | grep -q "[t]ouch /x"; do sleep 0.2; done; sleep 0.5
	 echo "others=$(ps | grep -c "[s]leep 1000$")"; echo err >&2; exit 5'
is 'a pod exits as its first app that fails' "$status" 5
is 'user, group and supplementary groups are set' "$(field 'first: id')" '1000:100:100 7 8'
is 'a user has no capabilities' "$(field 'first: eff')" ''
is 'a user can not write to the root' "$(field 'first: root')" readonly
ok 'a user can open /dev/stdout' grep -qx 'first: works' "$WORK/out"
is 'what an app leaves behind is killed' "$(field 'second: others')" 0
is 'stderr carries the app'\''s name too' "$err" 'second: err'

# Apps that can not be started: one image with everything that is wrong.
mkdir -p "$WORK/bad/rootfs/bin" "$WORK/bad/rootfs/etc"
ln -s /nowhere "$WORK/bad/rootfs/bin/dead"
printf '#!/no/interpreter\n' >"$WORK/bad/rootfs/bin/script"
printf 'plain text\n' >"$WORK/bad/rootfs/bin/text"
printf '#!/bin/sh\n' >"$WORK/bad/rootfs/bin/mode"
chmod 755 "$WORK/bad/rootfs/bin/script" "$WORK/bad/rootfs/bin/text"
cat >"$WORK/bad/manifest" <<'EOM'
{"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/bad",
 "labels": [{"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"}],
 "app": {"exec": ["/foo-not-there"], "user": "0", "group": "0"}}
EOM
tar -C "$WORK/bad" --owner=0 --group=0 -cf "$WORK/bad.aci" manifest rootfs
bad=$WORK/bad.aci
run_tripod run "$bad" --name=missing --- "$bad" --name=dead --exec=/bin/dead --- \
	"$bad" --name=script --exec=/bin/script --- "$bad" --name=text --exec=/bin/text --- \
	"$bad" --name=mode --exec=/bin/mode --- "$bad" --name=dir --exec=/etc --- \
	"$bad" --name=user --user=nobody --- "$bad" --name=group --group=nobody --- \
	"$bad" --name=cwd --working-dir=/nowhere
is 'a program that is missing: status 203' "$status" 203
like 'it is named' "$err" '^missing: Error: Unable to open "/foo-not-there": No such file or dir'
like 'a dead link is named with its target' "$err" \
	'^dead: Error: Unable to open "/bin/dead": No such file or directory.*"/nowhere"'
like 'a missing interpreter is named' "$err" '^script: Error: Unable to open "/no/interpreter"'
like 'a file of no known type' "$err" '^text: Error: "/bin/text" is of an unsupported file type'
like 'a file that is not executable' "$err" '^mode: Error: "/bin/mode" is not executable'
like 'a directory' "$err" '^dir: Error: "/etc" is not a regular file'
like 'an unknown user' "$err" '^user: "nobody" user not found'
like 'an unknown group' "$err" '^group: "nobody" group not found'
like 'a missing working directory' "$err" '^cwd: .*"/nowhere": No such file or directory'
is 'a line for each' "$(printf '%s\n' "$err" | wc -l | tr -d ' ')" 9

# Sizes, and a read-only root.
run_tripod run "$busybox" --cpu=2 --memory=1G --readonly-rootfs=true --exec=/bin/sh -- -c \
	'nproc; sed -n "s/^MemTotal: *\([0-9]*\) kB/\1/p" /proc/meminfo; touch /x'
is 'sizes: the pod runs' "$status" 1
cpus=$(sed -n 1p "$WORK/out") memory=$(sed -n 2p "$WORK/out")
is '--cpu=2 gives two CPUs' "$cpus" 2
ok "--memory=1G gives a GiB less what the kernel needs (${memory:-0} KiB)" \
	test "${memory:-0}" -gt 900000 -a "${memory:-0}" -le 1200000
like 'a read-only root can not be written to' "$err" 'Read-only file system'

# Signals go to the app.
TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none "$busybox" --exec=/bin/sh \
	-- -c 'trap "echo term; exit 3" TERM; echo ready; sleep 100000 & wait' \
	>"$WORK/out" 2>"$WORK/err" </dev/null &
pid=$!
for _ in $(seq "$LIMIT"); do
	grep -q ready "$WORK/out" && break
	sleep 1
done
kill -TERM $pid
status=0
wait $pid || status=$?
is 'SIGTERM reaches the app, which ends as it likes' "$status $(tr '\n' ' ' <"$WORK/out")" \
	'3 ready term '
no_leaks 'nothing is left at the end'
done_testing
