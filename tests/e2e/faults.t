#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Whatever call of an import fails, and wherever it is killed: the store shows whole images only, and
# the same import then succeeds.
# hundreds of imports: without waiting for a disk
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
. tests/e2e/tap.sh
. tests/e2e/web.sh
. tests/e2e/stub.sh

[ "$BUILD" != build/san ] || skip_all 'the sanitizers take the calls for themselves'
FAULTS=$TOP/build/tests/faults.so
PREPARE="--insecure-options=image prepare --quiet --stage1-path=$WORK/stage1.aci"

echo 'exit 0' | make_stage1 "$WORK/stage1.aci" 5 yes
make_app "$WORK/first.aci" first
make_app "$WORK/second.aci" second
gzip "$WORK/second.aci"

mkdir -p "$WORK/a/d" "$WORK/b/d"
head -c 300000 /dev/zero >"$WORK/a/d/zeroes"
echo lower >"$WORK/a/d/file"
echo upper >"$WORK/b/d/file"
: >"$WORK/b/d/.wh.zeroes"
for layer in a b; do
	tar -C "$WORK/$layer" --owner=0 --group=0 -cf "$WORK/$layer.tar" d
done
make_layout()
{
	umoci init --layout "$WORK/layout" && umoci new --image "$WORK/layout:x" &&
		umoci raw add-layer --image "$WORK/layout:x" "$WORK/a.tar" &&
		umoci raw add-layer --image "$WORK/layout:x" "$WORK/b.tar" &&
		umoci config --image "$WORK/layout:x" --config.cmd /d/file
}
make_layout || bail 'umoci failed'

# a data directory in use: the stage1 is there, and an image
# shellcheck disable=SC2086 # words
run_tripod ${PREPARE#--insecure-options=image } "$WORK/first.aci"
is 'an import without failures' "$status" 0

inject()
{
	# shellcheck disable=SC2086 # words
	python3 tests/faults/inject.py "$FAULTS" "$DATA" "$WORK" "$1" "$TRIPOD" --dir=@DIR \
		$PREPARE @IMAGE >"$WORK/complaints" 2>&1
	head -n 20 "$WORK/complaints"
}

like 'an ACI' "$(inject "$WORK/second.aci.gz")" '^[0-9]+ failures$'
like 'an image of an OCI layout' "$(inject "oci:$WORK/layout:x")" '^[0-9]+ failures$'

# over the network, with a download that could go on later
mkdir -p "$WORK/web/example.com"
make_app "$WORK/third.aci" third
head -c 3000000 /dev/urandom >"$WORK/make/rootfs/noise"
tar -C "$WORK/make" --owner=0 --group=0 -cf "$WORK/web/example.com/third.aci" manifest rootfs
echo '{"etag": "\"x\""}' >"$WORK/web/example.com/third.aci.rule"
web "$WORK/web" example.com
FAULTS_MAX=9 python3 tests/faults/inject.py "$FAULTS" "$DATA" "$WORK" \
	https://example.com/third.aci "$TRIPOD" --dir=@DIR --insecure-options=image \
	--local-config="$WORK/none" fetch @IMAGE >"$WORK/complaints" 2>&1
like 'an ACI of a server' "$(head -n 20 "$WORK/complaints")" '^[0-9]+ failures$'
done_testing
