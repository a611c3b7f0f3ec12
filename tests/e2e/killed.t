#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tripod run killed before each system call that changes anything: nothing half-made is ever used,
# and gc takes away what is left.
. tests/e2e/tap.sh
. tests/e2e/stub.sh
need_command strace

export GC_LOG=/dev/null
make_app "$WORK/app.aci" web
make_stage1 "$WORK/stage1.aci" 6 yes <<'EOM'
#!/bin/sh
cat stage1/rootfs/opt/stage2/web/disk/* | sha256sum
EOM

run_tripod run --stage1-path="$WORK/stage1.aci" "$WORK/app.aci"
good=$out
is 'the run works' "$status" 0
if ! strace -qq -o /dev/null true 2>/dev/null; then
	skip 'a kill leaves nothing that gc does not take away' 'no ptrace here'
	done_testing
	exit
fi

calls=mkdir,mkdirat,rename,renameat,renameat2,openat,linkat,symlinkat,unlinkat,write,pwrite64
calls=$calls,flock,ftruncate,fchmod,fchmodat,chmod,fsync,clone,clone3,fork,vfork,execve,utimensat

# every_call NAME [keep]: kill at the first call, the second, ...; keep: with the image in the store
every_call()
{
	n=0
	bad=
	while :; do
		n=$((n + 1))
		[ "${2-}" = keep ] || rm -rf "$DATA"
		run strace -qq -o /dev/null -e "trace=$calls" \
			-e "inject=$calls:signal=KILL:when=$n" \
			"$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none \
			--stage1-path="$WORK/stage1.aci" "$WORK/app.aci"
		[ "$status" = 137 ] || break
		if [ $((n % 3)) = 0 ]; then
			run_tripod run --stage1-path="$WORK/stage1.aci" "$WORK/app.aci"
			[ "$status $out" = "0 $good" ] || bad="$bad $n:run:$status"
		fi
		run_tripod gc --grace-period=0s
		[ "$status" = 0 ] || bad="$bad $n:gc:$status"
		left=$(find "$DATA"/pods/*/* "$DATA"/cas/tmp/* 2>/dev/null)
		[ -z "$left" ] || bad="$bad $n:left:$left"
	done
	diag "$1: killed at $((n - 1)) calls"
	is "$1: the run that is not killed works" "$status $out" "0 $good"
	is "$1: a kill leaves nothing that gc does not take away" "$bad" ''
	ok "$1: it was killed many times" test "$n" -gt 20
}

every_call 'a first run'
every_call 'a second run' keep
run_tripod gc --grace-period=0s
is 'no pod is left' "$(find "$DATA"/pods/*/* 2>/dev/null)" ''
no_leaks 'nor anything else'
done_testing
