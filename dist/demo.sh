#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# make demo: run real images in microVMs, show what happened and how long it took.
set -u
cd "$(dirname "$0")/.." || exit 1

data=$PWD/build/demo
limit=300 # seconds for any one pod
failed=0

say()
{
	printf '\n\033[1m%s\033[0m\n' "$*"
}

# show WANTED-STATUS ARGUMENT...: run a pod as a user would, and check how it ends
show()
{
	local want=$1 status begin end word line=
	shift
	for word; do
		case $word in
		*[!A-Za-z0-9_/.,=+:-]*) line="$line '${word//\'/\'\\\'\'}'" ;;
		*) line="$line $word" ;;
		esac
	done
	printf '$ tripod --insecure-options=image run%s\n' "$line"
	begin=${EPOCHREALTIME/./}
	timeout -k 5 "$limit" build/bin/tripod --dir="$data" --insecure-options=image run "$@" \
		</dev/null > >(sed 's/^/  /') 2> >(sed 's/^/  (stderr) /' >&2)
	status=$?
	end=${EPOCHREALTIME/./}
	sleep 0.1 # for the last lines of the two filters
	printf '  -> exit status %d after %d.%02d s\n' "$status" $(((end - begin) / 1000000)) \
		$(((end - begin) / 10000 % 100))
	if [ "$status" -ne "$want" ]; then
		printf '  -> expected exit status %d\n' "$want"
		failed=$((failed + 1))
	fi
}

busybox=build/images/busybox.aci
python=build/images/python3.aci
rm -rf "$data"

say 'Can pods run here?'
build/bin/tripod doctor | sed 's/^/  /'

say 'A command in a microVM: the kernel and the init are the pod'"'"'s own'
# shellcheck disable=SC2016 # for the shell in the pod
show 0 "$busybox" --exec=/bin/sh -- -c \
	'uname -srm; echo "pid $$, $(nproc) CPU, $(ls /bin | wc -l) programs in /bin"'

say 'Once more: the image has been rendered, so this is the time a pod takes'
show 0 "$busybox" --exec=/bin/true

say 'Both streams and the exit status are the app'"'"'s'
show 7 "$busybox" --exec=/bin/sh -- -c 'echo out; echo err >&2; exit 7'

say 'A real dynamic program computes something over its own standard library'
show 0 "$python" -- -c '
import pathlib, sys
files = sorted(pathlib.Path("/usr/lib/python3.11").glob("*.py"))
lines = sum(len(f.read_bytes().splitlines()) for f in files)
print(f"Python {sys.version.split()[0]}: {len(files)} modules, {lines} lines")
'

say 'Two apps in one pod, which has two CPUs and one GiB'
show 0 "$busybox" --name=cpus --cpu=2 --memory=512M --exec=/usr/bin/nproc --- \
	"$busybox" --name=memory --memory=512M --exec=/bin/grep -- MemTotal /proc/meminfo

say 'Where the time of a pod goes'
# --debug turns the guest's slow serial console on; quiet keeps the kernel from using it much
RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS=quiet timeout -k 5 "$limit" build/bin/tripod --dir="$data" \
	--debug --insecure-options=image run "$busybox" --exec=/bin/true </dev/null 2>&1 |
	sed -n 's/.*phase: /  /p'

say 'What is left'
build/bin/tripod --dir="$data" list 2>&1 | sed 's/^/  /'
build/bin/tripod --dir="$data" gc --grace-period=0s 2>&1 | sed 's/^/  /'
rm -rf "$data"

if [ $failed -ne 0 ]; then
	say "demo: $failed of the pods did not end as they should"
	exit 1
fi
say 'demo: all as it should be. Run your own:'
echo '$ build/bin/tripod --insecure-options=image run IMAGE.aci'
