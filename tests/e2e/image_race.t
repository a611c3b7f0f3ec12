#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetching, running, collecting and removing the same images at once, of which two share a layer: every
# run has the whole image, nobody fails but who is told that an image is in use, and nothing is left
# over in the end.
# RACE_ROUNDS: how often each of them does it.
. tests/e2e/tap.sh
. tests/e2e/stub.sh
need_root
need_command python3

: "${RACE_ROUNDS:=20}"
export GC_LOG=/dev/null
make_stage1 "$WORK/stage1.aci" 6 yes <<'EOM'
#!/bin/sh
cat stage1/rootfs/opt/stage2/*/disk/* | sha256sum
EOM
make_app "$WORK/app.aci" web
python3 tests/e2e/layouts.py "$WORK"

# The image in the place of an app's disk, as stage1 sees it.
start()
{
	"$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none --stage1-path="$WORK/stage1.aci" "$1"
}

images="$WORK/app.aci oci:$WORK/one oci:$WORK/two"
for image in $images; do
	start "$image" >"$WORK/good.${image##*/}" 2>"$WORK/err"
	like "the run of ${image##*/} works" "$(cat "$WORK/good.${image##*/}")" '^[0-9a-f]{64}'
done
is 'the images differ' "$(sort -u "$WORK"/good.* | wc -l)" 3

# Each writes a line for what is wrong, and one when it is through.
runner()
{
	name=${1##*/}
	for i in $(seq "$RACE_ROUNDS"); do
		start "$1" >"$WORK/got.$name" 2>"$WORK/err.$name" ||
			echo "run $name.$i: $? $(cat "$WORK/err.$name")"
		cmp -s "$WORK/got.$name" "$WORK/good.$name" || echo "run $name.$i: another image"
	done
	echo "done $name"
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
		"$TRIPOD" --dir="$DATA" image rm example.com/web example.com/stage1 one two >/dev/null \
			2>"$WORK/err.rm" || grep -q 'is in use$' "$WORK/err.rm" ||
			echo "rm $i: $? $(cat "$WORK/err.rm")"
		"$TRIPOD" --dir="$DATA" image list >/dev/null 2>"$WORK/err.rm" ||
			echo "list $i: $? $(cat "$WORK/err.rm")"
	done
	echo 'done rm'
}

for image in $images; do
	runner "$image" >"$WORK/log.${image##*/}" &
done
collector >"$WORK/log.gc" &
remover >"$WORK/log.rm" &
wait
is 'every run had the whole image, and nobody failed' "$(sort "$WORK"/log.*)" 'done app.aci
done gc
done one
done rm
done two'
for image in $images; do
	is "${image##*/} can be run afterwards" "$(start "$image" 2>"$WORK/err")" \
		"$(cat "$WORK/good.${image##*/}")"
done
run_tripod gc --grace-period=0s
run_tripod image gc --grace-period=0s
is 'and all of it collected' "$status $(find "$DATA/cas" -mindepth 2 ! -path '*/imageManifest/*')" '0 '
no_leaks 'nothing is left running'
done_testing
