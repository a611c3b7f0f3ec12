# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2034 # variables for the tests
#
# TAP and a sandbox for end-to-end tests, read by every tests/e2e/*.t:
#
#	. tests/e2e/tap.sh
#	need_kvm
#	run_tripod run "$IMAGES/busybox.aci" --exec=/bin/true
#	is 'true exits 0' "$status" 0
#	no_leaks 'a finished pod leaves nothing'
#	done_testing
#
# The name of a test comes first and says the promise. Tests run from the top of the tree, in
# parallel with each other, each with a directory of its own ($WORK), which goes away at the end
# with every process that still carries its mark.

: "${BUILD:=build}"
: "${LIMIT:=240}" # seconds run() gives a command: a boot takes 5 on an idle machine, a minute on a busy one
TOP=$PWD
TRIPOD=$TOP/$BUILD/bin/tripod
export STAGE1="$TOP/$BUILD/bin/stage1-kvm.aci"
export IMAGES="$TOP/build/images"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/tripod-test.XXXXXX") || exit 1
DATA=$WORK/data
tests_run=0
tests_planned=

# The processes that belong to this test: started by run(), or with $WORK in hand.
marked_pids()
{
	{
		grep -las "TRIPOD_TEST=$WORK" /proc/[0-9]*/environ
		grep -las "$WORK" /proc/[0-9]*/cmdline
		find /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/fd/ -maxdepth 1 \
			-lname "$WORK*" 2>/dev/null
	} | cut -d/ -f3 | sort -un | while read -r pid; do
		# the commands above are gone by now
		[ "$pid" = "$$" ] || [ ! -d "/proc/$pid" ] || echo "$pid"
	done
}

end_of_test()
{
	code=$?
	trap - EXIT
	cd "$TOP" || exit 1
	for pid in $(marked_pids); do
		kill -KILL "$pid" 2>/dev/null
	done
	awk -v dir="$WORK/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r |
		while read -r mount; do umount -l "$mount"; done
	rm -rf "$WORK"
	exit $code
}
trap end_of_test EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

plan()
{
	tests_planned=$1
	echo "1..$1"
}

# Print the plan when plan() has not.
done_testing()
{
	[ -n "$tests_planned" ] || echo "1..$tests_run"
}

diag()
{
	printf '%s\n' "$*" | sed 's/^/# /'
}

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 0
}

bail()
{
	echo "Bail out! $*"
	exit 1
}

pass()
{
	tests_run=$((tests_run + 1))
	echo "ok $tests_run - $1"
}

fail()
{
	tests_run=$((tests_run + 1))
	echo "not ok $tests_run - $1"
}

# skip NAME REASON: a test this host can not run, by name
skip()
{
	tests_run=$((tests_run + 1))
	echo "ok $tests_run - $1 # SKIP $2"
}

# ok NAME COMMAND...: the command succeeds
ok()
{
	name=$1
	shift
	if "$@"; then
		pass "$name"
	else
		fail "$name"
		diag "failed: $*"
	fi
}

# is NAME GOT WANT
is()
{
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1"
		diag "     got: $2"
		diag "expected: $3"
		[ ! -s "$WORK/err" ] || diag "  stderr: $(tail -n 20 "$WORK/err")"
	fi
}

# like NAME TEXT ERE, unlike NAME TEXT ERE
like()
{
	if printf '%s\n' "$2" | grep -Eq -- "$3"; then
		pass "$1"
	else
		fail "$1"
		diag "          got: $2"
		diag "does not match: $3"
	fi
}

unlike()
{
	if printf '%s\n' "$2" | grep -Eq -- "$3"; then
		fail "$1"
		diag "    got: $2"
		diag "matches: $3"
	else
		pass "$1"
	fi
}

# Run a command within LIMIT seconds: its stdout is $WORK/out and $out, its stderr $WORK/err and
# $err, its exit status $status (124 when it ran out of time).
run()
{
	status=0
	TRIPOD_TEST=$WORK timeout -k 5 "$LIMIT" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null ||
		status=$?
	out=$(tr -d '\0' <"$WORK/out" | head -c 65536)
	err=$(tr -d '\0' <"$WORK/err" | head -c 65536)
}

# wait_for COMMAND...: until it succeeds, LIMIT seconds at the most
wait_for()
{
	wait_tries=0
	until "$@"; do
		wait_tries=$((wait_tries + 1))
		[ $wait_tries -lt $((LIMIT * 10)) ] || return 1
		sleep 0.1
	done
}

# has_line FILE ERE: for wait_for; the file may not be there yet
has_line()
{
	grep -Eqs -- "$2" "$1"
}

has_ended()
{
	! has_line "/proc/$1/status" '^State:.[^XZ]'
}

# finish PID: wait for what was started with &; its status is $?, 137 when LIMIT seconds were too few
finish()
{
	wait_for has_ended "$1" || kill -KILL "$1"
	wait "$1"
}

# $err without the warning that --insecure-options=image causes
unwarned()
{
	err=$(printf '%s\n' "$err" |
		grep -v 'warning: image signature verification has been disabled$')
}

# tripod with the data directory of this test; unsigned images are fine, and a pod has no network
# unless the test says which: on the machine itself there is to be none of a test
run_tripod()
{
	words=$#
	verb=
	while [ "$words" -gt 0 ]; do
		word=$1
		shift
		set -- "$@" "$word"
		words=$((words - 1))
		case $verb:$word in
		:-* | :attest) ;;
		:run | :run-prepared | :expected) set -- "$@" --net=none ;;
		esac
		case $word in
		-* | attest) ;;
		*) verb=$word ;;
		esac
	done
	run "$TRIPOD" --dir="$DATA" --insecure-options=image "$@"
	unwarned
}

# Nothing of this test is left: no process, no mount, no pod that still runs.
no_leaks()
{
	left=$(marked_pids)
	for pid in $left; do
		left="$left: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
	done
	left=$left$(awk -v dir="$WORK/" 'index($2, dir) == 1 { print " mount " $2 }' /proc/mounts)
	is "$1" "$left" ''
}

need_command()
{
	command -v "$1" >/dev/null || skip_all "no $1"
}

need_root()
{
	[ "$(id -u)" = 0 ] || skip_all 'not root'
}

need_kvm()
{
	if ! [ -r /dev/kvm ] || ! [ -w /dev/kvm ]; then
		skip_all 'no usable /dev/kvm'
	fi
}
