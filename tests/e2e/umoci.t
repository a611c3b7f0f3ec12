#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What layers add up to: file by file what `umoci unpack` makes of them, whatever way the image comes
# in, and however its layers are packed.
. tests/e2e/tap.sh

pack()
{
	umoci init --layout "$WORK/layout" && umoci new --image "$WORK/layout:x" || return
	for layer in "$@"; do
		umoci raw add-layer --image "$WORK/layout:x" "$layer" || return
	done
	umoci config --image "$WORK/layout:x" --config.cmd /setuid &&
		umoci unpack --image "$WORK/layout:x" "$WORK/bundle"
}

# List what the image is rendered to, in a store of its own: layers it has would not be read again.
# The root is without its time: umoci leaves that of unpacking.
list_image()
{
	rm -rf "$DATA"
	run_tripod prepare --quiet --stage1-path="$STAGE1" "$1"
	[ "$status" = 0 ] || { echo "$err"; return; }
	python3 tests/e2e/tree.py --disk "$DATA/pods/prepared/$out/stage1/rootfs/opt/stage2"/*/disk \
		2>&1 | timeless_root
}

timeless_root()
{
	awk '$1 == "." { $5 = "-" } { print }'
}

mkdir "$WORK/layers"
python3 tests/e2e/layers.py "$WORK/layers"
# a file with holes, in the way only tar itself writes them
truncate -s 9M "$WORK/sparse"
printf 'in the middle' | dd of="$WORK/sparse" bs=1M seek=4 conv=notrunc status=none
printf 'at the end' | dd of="$WORK/sparse" bs=1 seek=9437100 conv=notrunc status=none
tar -cf "$WORK/layers/4.tar" -S --format=pax --mtime=@1600000000.5 --owner=7:7 --group=8:8 \
	-C "$WORK" sparse

ok 'umoci makes the image and unpacks it' pack "$WORK"/layers/*.tar
python3 tests/e2e/tree.py "$WORK/bundle/rootfs" | timeless_root >"$WORK/expected"
ok 'it has one of everything' test "$(wc -l <"$WORK/expected")" -gt 450

list_image "oci:$WORK/layout:x" >"$WORK/got"
is 'a layout renders to what umoci unpacks' "$(diff "$WORK/expected" "$WORK/got")" ''

skopeo copy -q --dest-compress-format zstd "oci:$WORK/layout:x" "oci:$WORK/zstd:x"
ok 'the layers can be packed with zstd' grep -rq 'tar+zstd' "$WORK/zstd/blobs"
is 'layers packed with zstd' "$(list_image "oci:$WORK/zstd:x" | diff "$WORK/expected" -)" ''

skopeo copy -q "oci:$WORK/layout:x" "oci-archive:$WORK/oci.tar:x"
is 'an OCI archive' "$(list_image "oci-archive:$WORK/oci.tar:x" | diff "$WORK/expected" -)" ''

skopeo copy -q "oci:$WORK/layout:x" "docker-archive:$WORK/docker.tar:some/app:1"
is 'a docker save archive' \
	"$(list_image "docker-archive:$WORK/docker.tar" | diff "$WORK/expected" -)" ''
gzip -1 "$WORK/docker.tar"
is 'a compressed docker save archive' \
	"$(list_image "docker-archive:$WORK/docker.tar.gz:some/app:1" | diff "$WORK/expected" -)" ''

# unpacked on the host: the same, but device nodes are not made there
run_tripod fetch "oci:$WORK/layout:x"
run_tripod image render --rootfs-only "$out" "$WORK/rendered"
is 'image render unpacks it' "$status" 0
python3 tests/e2e/tree.py "$WORK/rendered" | timeless_root | grep -v '^dev/' >"$WORK/got"
is 'to the same files' "$(grep -v '^dev/' "$WORK/expected" | diff - "$WORK/got")" ''
done_testing
