#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch, run, render and the collectors at the same images at the same time: nobody gets anything
# wrong. CONCURRENT_SECONDS (10) says how long.
# shellcheck disable=SC2154 # out, err and status are set by run
. tests/e2e/tap.sh
. tests/e2e/web.sh
. tests/e2e/stub.sh

: "${CONCURRENT_SECONDS:=10}"
export GC_LOG=/dev/null
WEB=$WORK/web
mkdir -p "$WEB/example.com"

# two images: top depends on leaf. The run entry point says what the app's tree holds.
make_app "$WORK/leaf.aci" leaf
head -c 2000000 /dev/urandom >"$WORK/make/rootfs/noise"
tar -C "$WORK/make" --owner=0 --group=0 -cf "$WEB/example.com/leaf.aci" manifest rootfs
noise=$(sha256sum <"$WORK/make/rootfs/noise" | cut -d' ' -f1)
make_app "$WORK/top.aci" top
sed -i 's;"app":;"dependencies": [{"imageName": "example.com/leaf"}], "app":;' "$WORK/make/manifest"
tar -C "$WORK/make" --owner=0 --group=0 -cf "$WEB/example.com/top.aci" manifest rootfs
echo '<meta name="ac-discovery" content="example.com https://{name}.{ext}">' \
	>"$WEB/example.com/index.html"
echo '{"etag": "\"leaf\""}' >"$WEB/example.com/leaf.aci.rule"
make_stage1 "$WORK/stage1.aci" 6 <<'EOM'
#!/bin/sh
cd stage1/rootfs/opt/stage2/*/rootfs && cat bin/app && sha256sum <noise
EOM
TOP_ID=sha512-$(sha512sum <"$WEB/example.com/top.aci" | cut -c1-32)

web "$WEB" example.com

run_tripod fetch example.com/top
is 'alone it works' "$status $out" "0 $TOP_ID"
run_tripod run --stage1-path="$WORK/stage1.aci" example.com/top
is 'and runs' "$status $out" "0 content of top
$noise  -"
run_tripod gc --grace-period=0s

# work NAME COMMAND...: again and again until the time is over, in the background. What the command
# prints and how it ends must be as the function expect_NAME says; else it is written down.
end=$(($(date +%s) + CONCURRENT_SECONDS))
work()
{
	name=$1
	shift
	turns=0
	while [ "$(date +%s)" -lt "$end" ]; do
		turns=$((turns + 1))
		code=0
		TRIPOD_TEST=$WORK timeout -k 5 "$LIMIT" "$TRIPOD" --dir="$DATA" \
			--insecure-options=image "$@" >"$WORK/$name.out" 2>"$WORK/$name.err" \
			</dev/null || code=$?
		"expect_$name" $code || {
			echo "status $code"
			cat "$WORK/$name.out" "$WORK/$name.err"
		} >>"$WORK/$name.wrong"
	done
	echo $turns >"$WORK/$name.turns"
}
expect_id()
{
	[ "$1" = 0 ] && [ "$(cat "$WORK/$name.out")" = "$TOP_ID" ]
}
expect_update() { expect_id "$1"; }
expect_again() { expect_id "$1"; }
expect_new() { expect_id "$1"; }
expect_run()
{
	[ "$1" = 0 ] && [ "$(cat "$WORK/run.out")" = "content of top
$noise  -" ]
}
# whoever removes images may be faster than whoever unpacks them, but not half as fast
expect_render()
{
	if [ "$1" = 0 ]; then
		[ "$(sha256sum <"$WORK/tree/rootfs/noise" | cut -d' ' -f1)" = "$noise" ]
	else
		[ ! -e "$WORK/tree" ] && grep -q 'in the store' "$WORK/render.err"
	fi
	was=$?
	rm -rf "$WORK/tree"
	return $was
}
# what is in use, or gone already, can not be removed
expect_remove()
{
	[ "$1" = 0 ] || ! grep -qv -e 'is in use$' -e 'in the store$' -e 'successfully removed$' "$WORK/remove.err"
}
expect_collect() { [ "$1" = 0 ]; }
expect_pods() { [ "$1" = 0 ]; }

work update fetch example.com/top &
work again fetch --pull-policy=update example.com/top &
work new fetch --pull-policy=new example.com/top &
work run run --net=none --stage1-path="$WORK/stage1.aci" example.com/top &
work render image render example.com/top "$WORK/tree" &
work remove image rm example.com/top example.com/leaf &
work collect image gc --grace-period=0s &
work pods gc --grace-period=0s &
workers='update again new run render remove collect pods'
n=0
while [ "$(find "$WORK" -maxdepth 1 -name '*.turns' | wc -l)" -lt "$(echo "$workers" | wc -w)" ] &&
	[ $n -lt $((CONCURRENT_SECONDS * 10 + 1200)) ]; do
	sleep 0.1
	n=$((n + 1))
done
for worker in $workers; do
	ok "$worker was at it ($(cat "$WORK/$worker.turns" 2>/dev/null) times)" \
		test -s "$WORK/$worker.turns"
	is "$worker never gave a wrong result" "$(head -n 20 "$WORK/$worker.wrong" 2>/dev/null)" ''
done

run_tripod fetch example.com/top
is 'afterwards all is well' "$status $out" "0 $TOP_ID"
run_tripod image verify example.com/top
is 'the store is whole' "$status" 0
run_tripod gc --grace-period=0s
run_tripod image rm example.com/top example.com/leaf
run_tripod image gc --grace-period=0s
is 'and can be emptied' "$status $(find "$DATA/cas/imageManifest" "$DATA/cas/tmp" \
	"$DATA/cas/partial" "$DATA/cas/tree" -type f)" '0 '
is 'no layer stays' "$(ls "$DATA/cas/layer")" ''
is 'no pod either' "$(find "$DATA/pods" -mindepth 2)" ''
done_testing
