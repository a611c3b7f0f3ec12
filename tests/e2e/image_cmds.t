#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tripod image: columns, JSON, order, messages and exit statuses; what is unpacked and written; what
# goes and what stays.
. tests/e2e/tap.sh
. tests/e2e/stub.sh
need_root

export GC_LOG=/dev/null
tab=$(printf '\t')
make_stage1 "$WORK/stage1.aci" 6 yes <<'EOM'
#!/bin/sh
[ ! -e "$HOLD" ] || { touch "$HOLD.ready"; while [ -e "$HOLD" ]; do sleep 0.1; done; }
EOM
for app in web db; do
	make_app "$WORK/$app.aci" $app
	run_tripod run --stage1-path="$WORK/stage1.aci" "$WORK/$app.aci"
	is "the image $app is put into the store" "$status" 0
done
web=sha512-$(sha512sum <"$WORK/web.aci" | head -c 64)
db=sha512-$(sha512sum <"$WORK/db.aci" | head -c 64)
stage1=sha512-$(sha512sum <"$WORK/stage1.aci" | head -c 64)

# list
run_tripod image list
is 'list succeeds' "$status" 0
is 'list has its columns' "$(printf '%s\n' "$out" | head -n 1 | tr -s '\t' '|')" \
	'ID|NAME|SIZE|IMPORT TIME|LAST USED'
like 'a row is of an image' "$out" \
	"^sha512-[0-9a-f]{12}${tab}+example\.com/web:1\.0${tab}+[0-9.]+[KM]?i?B${tab}+(now|[0-9]+ (second|minute)s? ago)${tab}+(now|[0-9]+ (second|minute)s? ago)\$"
like 'an image without a version has its name alone' "$out" "${tab}example\.com/stage1${tab}"
is 'list has a row for each image' "$(printf '%s\n' "$out" | wc -l)" 4
run_tripod image list --no-legend --fields=name
is 'the order is that of the imports, the fields are those asked for' \
	"$(echo "$out" | tr '\n' ' ')" 'example.com/stage1 example.com/web:1.0 example.com/db:1.0 '
run_tripod image list --no-legend --fields=name --order=desc --sort=name
is 'the order may be another' "$(echo "$out" | tr '\n' ' ')" \
	'example.com/web:1.0 example.com/stage1 example.com/db:1.0 '
run_tripod image list --no-legend --fields=name --sort=size,name
is 'several things may decide it' "$status" 0
run_tripod image list --full --no-legend --fields=id,size,importtime --sort=name
like '--full has the key, bytes and the whole time' "$out" \
	"^$db${tab}+[0-9]+${tab}+20[0-9][0-9]-[0-9]{2}-[0-9]{2} [0-9:.]+ [+-][0-9]{4} [A-Z0-9+-]+\$"
size=$(($(stat -c %s "$WORK/db.aci") + $(stat -c %s "$DATA"/cas/tree/*/disk/0 | head -n 1)))
is 'the size is that of the archive and of what was rendered' \
	"$(printf '%s\n' "$out" | head -n 1 | tr -s '\t' '|' | cut -d'|' -f2)" "$size"
for bad in --fields=id,age --fields= --sort=id --sort=age --order=up --format=xml --fields=id,id; do
	run_tripod image list "$bad"
	is "$bad is a usage error" "$status" 254
	like "$bad: usage on stdout" "$out" '^USAGE:'
	like "$bad: the message on stderr" "$err" '^Error: --'
done
run_tripod image list --format=json --fields=name --sort=name
is 'JSON is one line' "$(wc -l <"$WORK/out")" 1
json='{"id":"sha512-[0-9a-f]{64}","name":"example.com/[a-z1:.0]+","import_time":[0-9]{19},"last_used_time":[0-9]{19},"size":[0-9]+}'
like 'JSON has everything, whatever the fields' "$out" "^\\[$json,$json,$json\\]\$"
run_tripod image list --format=json-pretty
like 'json-pretty is indented by tabs' "$out" "^${tab}${tab}\"id\": ?\"sha512-"
run "$TRIPOD" --dir="$WORK/none" image list --format=json
is 'no image: null' "$status $out" '0 null'
run "$TRIPOD" --dir="$WORK/none" image list
is 'no image: the header' "$(printf '%s\n' "$out" | wc -l)" 1

# cat-manifest
run_tripod image cat-manifest --pretty-print=false example.com/web
is 'the manifest on one line' "$status $(wc -l <"$WORK/out")" '0 1'
like 'it is the manifest' "$out" '^\{"acKind":"ImageManifest",.*"name":"example.com/web",'
run_tripod image cat-manifest "$(echo "$web" | head -c 20)"
like 'or indented' "$out" "^${tab}\"acKind\""
for bad in 'sha512-a|image ID too short' 'sha512-|image ID too short' \
	'sha512-00000000000000000|no image IDs found' 'example.com/none|example.com/none' \
	'example.com/web:2|example.com/web:2' 'example.com/web,os=plan9|os=plan9'; do
	run_tripod image cat-manifest "${bad%|*}"
	is "${bad%|*} is not found" "$status $out" '254 '
	like "${bad%|*} is said" "$err" "^cat-manifest: .*${bad#*|}"
done
run_tripod image cat-manifest
is 'an argument is needed' "$status" 254

# export
(umask 077 && run_tripod image export example.com/web "$WORK/out.aci")
ok 'an exported image is the archive that came in' cmp "$WORK/web.aci" "$WORK/out.aci"
is 'and for all to read' "$(stat -c %a "$WORK/out.aci")" 644
echo precious >"$WORK/there"
run_tripod image export "$db" "$WORK/there"
is 'nothing is overwritten' "$status $(cat "$WORK/there")" '254 precious'
like 'unless that is asked for' "$err" '--overwrite'
run_tripod image export --overwrite "$db" "$WORK/there"
ok 'and then it is' cmp "$WORK/db.aci" "$WORK/there"
ln -s there "$WORK/alias"
for bad in "$WORK/alias" "$WORK" /dev/null; do
	run_tripod image export --overwrite "$db" "$bad"
	is "$bad is not replaced" "$status" 254
done
ok 'and still what it was' test -L "$WORK/alias" -a -c /dev/null
run_tripod image export "$db" "$WORK/no/such/place"
is 'a place that is not there is an error' "$status" 254
is 'and nothing is left beside' "$(find "$WORK" -name '*.tmp-*')" ''

# extract and render
run_tripod image extract example.com/web "$WORK/x"
is 'extract succeeds' "$status" 0
is 'it has manifest and rootfs' "$(cd "$WORK/x" && echo *)" 'manifest rootfs'
is 'and the content' "$(cat "$WORK/x/rootfs/bin/app")" 'content of web'
run_tripod image extract --rootfs-only example.com/web "$WORK/y/"
is '--rootfs-only has what is in rootfs' "$(cat "$WORK/y/bin/app")" 'content of web'
run_tripod image render "$web" "$WORK/z"
ok 'render makes the same of an image without dependencies' diff -r "$WORK/x" "$WORK/z"
touch "$WORK/x/mine"
run_tripod image extract example.com/db "$WORK/x"
is 'a directory that is there stays' "$status $(cd "$WORK/x" && echo *)" '254 manifest mine rootfs'
like 'unless' "$err" '--overwrite'
run_tripod image extract --overwrite example.com/db "$WORK/x"
is 'it is replaced' "$status $(cat "$WORK/x/rootfs/bin/app")" '0 content of db'
ok 'with all that was in it' test ! -e "$WORK/x/mine"
ln -s x "$WORK/link"
for bad in / // /. /usr/.. "$DATA" "$WORK" "$WORK/link" "$WORK/there" "$WORK/x/rootfs/bin/app/a" \
	"$WORK/x/.." .; do
	for how in --overwrite --rootfs-only=false; do
		run_tripod image render "$how" example.com/web "$bad"
		is "$how: $bad is refused" "$status" 254
	done
done
is 'and nothing of it was touched' "$(cat "$WORK/x/rootfs/bin/app")" 'content of db'
is 'nor left beside' "$(find "$WORK" -name '.*.tmp-*')" ''

# verify
run_tripod image verify example.com/web "$db"
is 'whole images are whole' "$status $out" \
	"0 successfully verified checksum for image: \"example.com/web\" (\"$web\")
successfully verified checksum for image: \"$db\" (\"$db\")"
chmod u+w "$DATA/cas/layer/$web/data"
printf X | dd of="$DATA/cas/layer/$web/data" bs=1 seek=4096 conv=notrunc 2>/dev/null
run_tripod image verify example.com/web "$db"
is 'a damaged one is not' "$status $out" \
	"254 successfully verified checksum for image: \"$db\" (\"$db\")"
like 'and that is said' "$err" "^verify: tree cache verification failed for image \"example.com/web\""
run_tripod image export "$web" "$WORK/damaged.aci"
is 'it is not exported either' "$status" 254
ok 'not even in part' test ! -e "$WORK/damaged.aci"

# rm
run_tripod image rm example.com/web "$web" example.com/none
is 'rm removes once what is named twice, and exits 0' "$status $out" \
	"0 successfully removed aci for image: \"$web\""
like 'rm counts' "$err" '^rm: 1 image\(s\) successfully removed$'
like 'rm says what is not there' "$err" '^rm: .*example\.com/none'
run_tripod image rm "$web"
is 'nothing to remove is no failure' "$status $out" '0 '
like 'but said' "$err" 'no image IDs found'
unlike 'and not counted' "$err" 'successfully'
run_tripod image rm
is 'rm needs an image' "$status" 254
is 'nothing of it is left but what was rendered' \
	"$(find "$DATA/cas" -path '*/tree/*' -prune -o -name "*${web#sha512-}*" -print)" ''
run_tripod run --stage1-path="$WORK/stage1.aci" "$WORK/web.aci"
is 'it can be fetched and run again' "$status" 0

# gc
run_tripod image gc
is 'gc keeps what was used of late' "$status $out" '0 '
run_tripod image list --no-legend --fields=name
is 'all of it' "$(printf '%s\n' "$out" | wc -l)" 3
export HOLD="$WORK/hold"
touch "$HOLD"
TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" --insecure-options=image run --net=none \
	--stage1-path="$WORK/stage1.aci" "$WORK/web.aci" &
pod=$!
wait_for test -e "$HOLD.ready"
run_tripod gc --grace-period=0s
run_tripod image gc --grace-period=0s
is 'gc removes what no running pod has' "$status $out" \
	"0 successfully removed aci for image: \"$db\""
like 'gc counts' "$err" '^gc: 1 image\(s\) successfully removed$'
like 'gc says which trees went' "$err" '^gc: removed tree store "deps-sha512-[0-9a-f]{64}"'
is 'the trees of the pod stay' "$(find "$DATA/cas/tree" -mindepth 1 -maxdepth 1 | wc -l)" 2
rm "$HOLD"
wait $pod
is 'the pod ends well' "$?" 0
run_tripod image gc --grace-period=0s
is 'the trees of a pod that ended stay while the pod does' \
	"$status $(find "$DATA/cas/tree" -mindepth 1 -maxdepth 1 | wc -l)" '0 2'
like 'its images do not' "$out" "\"$web\""
like 'nor does its stage1' "$out" "\"$stage1\""
run_tripod gc --grace-period=0s
run_tripod image gc --grace-period=0s
is 'nothing is left' "$status $(find "$DATA/cas" -type f ! -name digests; find "$DATA/cas/tree" "$DATA/cas/layer" \
	"$DATA/cas/tmp" -mindepth 1)" '0 '
run_tripod image gc --grace-period=never
is 'a bad period is a usage error' "$status" 254

# as somebody else
chmod 755 "$WORK"
run setpriv --reuid=65534 --regid=65534 --clear-groups "$TRIPOD" --dir="$DATA" image gc
is 'others can not collect' "$status" 254
like 'and are told why' "$err" '[Pp]ermission denied'
no_leaks 'nothing is left running'
done_testing
