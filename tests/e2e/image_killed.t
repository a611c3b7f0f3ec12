#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# image rm, gc, export and extract killed before each system call that changes anything: an image is
# whole or gone, what other images have stays, and gc takes away the rest.
. tests/e2e/tap.sh
. tests/e2e/stub.sh
need_root
need_command strace
need_command python3

export GC_LOG=/dev/null
make_stage1 "$WORK/stage1.aci" 6 yes <<'EOM'
#!/bin/sh
exit 0
EOM
make_app "$WORK/app.aci" web
mkdir "$WORK/layouts"
python3 tests/e2e/layouts.py "$WORK/layouts"
if ! strace -qq -o /dev/null true 2>/dev/null; then
	skip_all 'no ptrace here'
fi
calls=mkdir,mkdirat,rename,renameat,renameat2,openat,openat2,linkat,symlinkat,unlinkat,rmdir,write
calls=$calls,pwrite64,flock,ftruncate,fchmod,fchmodat,fsync,fdatasync,clone,clone3,utimensat

# All three images in the store.
fill()
{
	there=" $("$TRIPOD" --dir="$DATA" image list --no-legend --fields=name | tr '\n' ' ')"
	for image in "example.com/web:1.0 $WORK/app.aci" "one oci:$WORK/layouts/one" \
		"two oci:$WORK/layouts/two"; do
		case $there in
		*" ${image% *} "*) ;;
		*) "$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none \
			--stage1-path="$WORK/stage1.aci" "${image#* }" 2>"$WORK/err" ||
			echo "$image does not run: $(cat "$WORK/err")" ;;
		esac
	done
}

# Every image of the store can be used, and the second one is there.
whole()
{
	keys=$("$TRIPOD" --dir="$DATA" image list --no-legend --full --fields=id)
	# shellcheck disable=SC2086 # words
	"$TRIPOD" --dir="$DATA" image verify two $keys >/dev/null || echo "$1: damaged"
}

# every_call WHAT COMMAND...: kill at the first call, the third, ...
every_call()
{
	what=$1
	shift
	n=-1
	bad=
	rm -rf "$DATA"
	while :; do
		n=$((n + 2))
		bad=$bad$(fill)
		run strace -qq -o /dev/null -e "trace=$calls" \
			-e "inject=$calls:signal=KILL:when=$n" "$TRIPOD" --dir="$DATA" image "$@"
		[ "$status" = 137 ] || break
		[ $((n % 3)) != 0 ] || bad=$bad$(whole "$n")
		rm -rf "$WORK/x" "$WORK"/.x.tmp-* "$WORK"/x.tmp-*
	done
	diag "$what: killed at $(((n + 1) / 2)) calls"
	is "$what: that is not killed works" "$status" 0
	is "$what: a kill leaves whole images" "$bad$(whole end)" ''
	ok "$what: it was killed many times" test "$n" -gt 20
	run_tripod gc --grace-period=0s
	run_tripod image rm example.com/web example.com/stage1 one two
	run_tripod image gc --grace-period=0s
	is "$what: gc takes away what is left" \
		"$status $(find "$DATA/cas" -mindepth 2 ! -path '*/imageManifest/*' ! -name '*.tmp-*'; \
		find "$DATA/cas/imageManifest" -type f ! -name '*.tmp-*')" '0 '
	rm -rf "$WORK/x"
}

every_call 'a removal' rm one
every_call 'a collection' gc
every_call 'an export' export one "$WORK/x"
every_call 'an extraction' extract --rootfs-only one "$WORK/x"
no_leaks 'nothing is left running'
done_testing
