#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Attacks by images (attacks.py): what no image may hold is refused and nothing of it is stored; what
# may is stored and unpacked, and reaches nothing outside the directory it is unpacked into.
. tests/e2e/tap.sh
. tests/e2e/stub.sh
need_root
need_command python3

export GC_LOG=/dev/null
make_stage1 "$WORK/stage1.aci" 6 no <<'EOM'
#!/bin/sh
exit 0
EOM
mkdir "$WORK/victim" "$WORK/images"
echo precious >"$WORK/victim/file"
chmod 640 "$WORK/victim/file"
touch -d '2001-02-03 04:05:06' "$WORK/victim/file" "$WORK/victim"
run python3 tests/e2e/attacks.py "$WORK/images" "$WORK/victim"
is 'the images are made' "$status" 0
cp "$WORK/out" "$WORK/list"

xattrs()
{
	python3 -c 'import os, sys; print(os.listxattr(sys.argv[1]))' "$1"
}

# All that could be told of what is outside: names, attributes, times, content.
outside()
{
	find "$WORK/victim" -printf '%p %y %m %u %g %T@ %n %l\n' | sort
	find "$WORK/victim" -type f -exec sha256sum {} +
	xattrs "$WORK/victim/file"
	find "$WORK" / -mindepth 1 -maxdepth 1 ! -name out ! -name err ! -name x ! -name y ! -name data |
		sort
}

image_count()
{
	"$TRIPOD" --dir="$DATA" image list --no-legend | wc -l
}

umask 0
run_tripod run --stage1-path="$WORK/stage1.aci" "$WORK/stage1.aci"
before=$(outside)
while read -r name kind verdict what; do
	ref=$WORK/images/$name.aci
	[ "$kind" = aci ] || ref=oci:$WORK/images/$name
	count=$(image_count)
	run_tripod run --stage1-path="$WORK/stage1.aci" "$ref"
	if [ "$verdict" = refuse ]; then
		is "$what: refused, nothing stored" "$status $(image_count)" "254 $count"
		is "$what: with a clear line" \
			"$(grep -vc 'signature verification has been disabled' "$WORK/err")" 1
		ok "$what: that can be printed" test "$(tr -d '\n\t -~' <"$WORK/err" | wc -c)" = 0
	else
		is "$what: taken" "$status $(image_count)" "0 $((count + 1))"
		id=$("$TRIPOD" --dir="$DATA" image list --no-legend --full --fields=id | tail -n 1)
		run_tripod image extract "$id" "$WORK/x"
		is "$what: unpacked" "$status" 0
		run_tripod image render --rootfs-only "$id" "$WORK/y"
		is "$what: rendered" "$status" 0
		is "$what: no devices, and nothing anybody may write" \
			"$(find "$WORK/x" "$WORK/y" -type b -o -type c -o ! -type l -perm -002)" ''
		cp -a "$WORK/y" "$WORK/images/$name.y"
		rm -rf "$WORK/x" "$WORK/y"
	fi
	is "$what: nothing outside has changed" "$(outside)" "$before"
done <"$WORK/list"
done_images=$WORK/images

is 'what was written through a link is inside, where the link leads inside' \
	"$(cat "$done_images/oci-through.y$WORK/victim/file")" evil
is 'an absolute name is inside' "$(cat "$done_images/oci-absolute.y$WORK/victim/file")" evil
is 'a chain of links ends inside' "$(cat "$done_images/oci-chain.y$WORK/victim/file")" evil
is 'a link is what it was, and not what it names' "$(readlink "$done_images/link-attributes.y/l")" \
	"$WORK/victim/file"
is 'a hard link to a link is a link' "$(readlink "$done_images/hard-link.y/h")" "$WORK/victim/file"
is 'a device is an empty file' "$(stat -c '%F %s' "$done_images/device.y/sda")" \
	'regular empty file 0'
is 'attributes of overlays are left out' \
	"$(xattrs "$done_images/overlay.y/a")" '[]'
ok 'what is smuggled in content stays content' test ! -e "$done_images/pax-desync.y/smuggled"

# nobody else reaches what root unpacked into the store
chmod 755 "$WORK"
run setpriv --reuid=65534 --regid=65534 --clear-groups find "$DATA/cas" "$DATA/pods" -perm -4000
is 'others can not enter the store nor a pod' "$status $out" '1 '
run_tripod gc --grace-period=0s
run_tripod image gc --grace-period=0s
is 'gc takes away all of it' "$(find "$DATA/cas/layer" "$DATA/cas/tree" "$DATA/cas/tmp" -mindepth 1)" ''
no_leaks 'nothing is left running'
done_testing
