#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetching, running, collecting and removing the same image at once: every run has the whole image,
# nobody fails but who is told that an image is in use, and nothing is left over in the end.
# RACE_ROUNDS: how often each of them does it.
. tests/e2e/tap.sh
. tests/e2e/stub.sh
need_root

: "${RACE_ROUNDS:=20}"
export GC_LOG=/dev/null
make_stage1 "$WORK/stage1.aci" 6 yes <<'EOM'
#!/bin/sh
cat stage1/rootfs/opt/stage2/web/disk/* | sha256sum
EOM
make_app "$WORK/app.aci" web
run_tripod run --stage1-path="$WORK/stage1.aci" "$WORK/app.aci"
good=$out
like 'the run works' "$status $good" '^0 [0-9a-f]{64}'

# Each writes a line for what is wrong, and one when it is through.
runner()
{
	for i in $(seq "$RACE_ROUNDS"); do
		got=$("$TRIPOD" --dir="$DATA" --insecure-options=image run \
			--stage1-path="$WORK/stage1.aci" "$WORK/app.aci" 2>"$WORK/err.$1") ||
			echo "run $1.$i: $? $(cat "$WORK/err.$1")"
		[ "$got" = "$good" ] || echo "run $1.$i: $got"
	done
	echo "done $1"
}

collector()
{
	for i in $(seq "$RACE_ROUNDS"); do
		"$TRIPOD" --dir="$DATA" image gc --grace-period=0s >/dev/null 2>"$WORK/err.gc" ||
			echo "image gc $i: $? $(cat "$WORK/err.gc")"
		"$TRIPOD" --dir="$DATA" gc --grace-period=0s >/dev/null 2>"$WORK/err.gc" ||
			echo "gc $i: $? $(cat "$WORK/err.gc")"
	done
	echo 'done gc'
}

remover()
{
	for i in $(seq "$RACE_ROUNDS"); do
		"$TRIPOD" --dir="$DATA" image rm example.com/web example.com/stage1 >/dev/null \
			2>"$WORK/err.rm" || grep -q 'is in use$' "$WORK/err.rm" ||
			echo "rm $i: $? $(cat "$WORK/err.rm")"
		"$TRIPOD" --dir="$DATA" image list >/dev/null 2>"$WORK/err.rm" ||
			echo "list $i: $? $(cat "$WORK/err.rm")"
	done
	echo 'done rm'
}

runner a >"$WORK/log.a" &
runner b >"$WORK/log.b" &
collector >"$WORK/log.gc" &
remover >"$WORK/log.rm" &
wait
is 'every run had the whole image, and nobody failed' "$(sort "$WORK"/log.*)" 'done a
done b
done gc
done rm'
run_tripod run --stage1-path="$WORK/stage1.aci" "$WORK/app.aci"
is 'the image can be run afterwards' "$status $out" "0 $good"
run_tripod gc --grace-period=0s
run_tripod image gc --grace-period=0s
is 'and all of it collected' "$status $(find "$DATA/cas" -mindepth 2 ! -path '*/imageManifest/*')" '0 '
no_leaks 'nothing is left running'
done_testing
