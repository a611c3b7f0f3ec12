#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The recipes: what they promise of every image they build.
. tests/e2e/tap.sh

for image in "$IMAGES/busybox.aci" "$IMAGES/python3.aci" "$STAGE1"; do
	name=${image##*/}
	gzip -dc "$image" >"$WORK/tar"
	tar -tf "$WORK/tar" >"$WORK/names"
	is "$name: the manifest comes first" "$(head -n 1 "$WORK/names")" manifest
	is "$name: nothing but manifest and rootfs" \
		"$(cut -d/ -f1 "$WORK/names" | sort -u | tr '\n' ' ')" 'manifest rootfs '
	is "$name: no name twice" "$(sort "$WORK/names" | uniq -d)" ''
	is "$name: everything is root's and without a date" \
		"$(tar -tvf "$WORK/tar" --numeric-owner --full-time | awk '{ print $2, $4 }' | sort -u)" \
		'0/0 1970-01-01'
done

run images/busybox.sh build/debs "$WORK/again.aci"
ok 'busybox.aci: the same packages give the same bytes' cmp "$WORK/again.aci" "$IMAGES/busybox.aci"
run images/python3.sh build/debs "$WORK/again.aci"
ok 'python3.aci: the same packages give the same bytes' cmp "$WORK/again.aci" "$IMAGES/python3.aci"
is 'a recipe leaves nothing beside its image' "$(ls "$WORK")" "$(printf 'again.aci\nerr\nnames\nout\ntar')"

run images/busybox.sh "$WORK/none" "$WORK/x.aci"
is 'without packages a recipe fails' "$status" 1
like 'and says what to do' "$err" "make deps"
ok 'and leaves no image' test ! -e "$WORK/x.aci"
done_testing
