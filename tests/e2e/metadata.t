#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The metadata service, from inside of pods (images.md section 8, rkt-behaviour 10.5).
. tests/e2e/tap.sh
. tests/e2e/stub.sh
need_kvm
need_command passt # any network but none; this one leaves nothing on the machine

# What stage1 is told, by one of a few lines.
export LOG="$WORK/log" GC_LOG="$WORK/gc.log"
make_app "$WORK/app.aci" web
make_stage1 "$WORK/stage1.aci" 6 <<'EOM'
#!/bin/sh
for arg; do echo "arg=$arg"; done >"$LOG"
stat -c 'registered=%s,%a' mds-registered >>"$LOG"
echo $$ >pid
EOM

stub()
{
	run_tripod run --stage1-path="$WORK/stage1.aci" "$@" "$WORK/app.aci"
}

stub --net=user --mds-register
is 'a registered pod runs' "$status" 0
like 'stage1 is told a token of 128 random bits' "$(cat "$LOG")" '^arg=--mds-token=[0-9a-f]{32}$'
like 'the pod is marked, and its key is for its owner' "$(cat "$LOG")" '^registered=64,600$'
is "so is the data directory's" "$(stat -c %s,%a "$DATA/mds-key")" 64,600
grep mds-token "$LOG" >"$WORK/tokens"
stub --net=user --mds-register
grep mds-token "$LOG" >>"$WORK/tokens"
is 'the token is another for each pod' "$(sort -u "$WORK/tokens" | wc -l)" 2
stub --net=user --mds-register=false
unlike 'an unregistered pod has none' "$(cat "$LOG")" 'mds|registered'
stub --mds-register --net=none
is 'without a network there is no service' "$status" 254
like 'which is told' "$err" 'mds-register needs a network, not --net=none'
run_tripod prepare --mds-register "$WORK/app.aci"
is 'prepare has no such option' "$status" 254

cp "$IMAGES/busybox.aci" "$WORK/b.aci"
# An image with annotations, which goes through the service byte for byte.
mkdir "$WORK/a"
tar -C "$WORK/a" -xf "$IMAGES/python3.aci"
sed -i 's/^{/{ "annotations": [{"name":"color","value":"blue"}, {"name":"size","value":"2"}],/' \
	"$WORK/a/manifest"
tar -C "$WORK/a" --owner=0 --group=0 -cf "$WORK/a.aci" manifest rootfs

# shellcheck disable=SC2016 # for the shell in the pod
of_b='U=$AC_METADATA_URL/acMetadata/v1
	echo "wget $(wget -q -O - "$U/pod/uuid")"
	signature=$(nc -l -p 7777 | sed "s/+/%2B/g;s,/,%2F,g;s/=/%3D/g")
	form="uuid=$(wget -q -O - "$U/pod/uuid")&signature=$signature&content=hello"
	wget -q -O - --post-data "$form%20pod" "$U/pod/hmac/verify" && echo "good"
	wget -q -O - --post-data "$form+cod" "$U/pod/hmac/verify" || echo "bad"; true'
run_tripod run --mds-register --net=user --uuid-file-save="$WORK/uuid" \
	"$WORK/a.aci" --name=a --annotation=color=red --annotation=new=3 \
	--exec=/usr/bin/python3 -- -c "$(cat tests/e2e/metadata.py)" --- \
	"$WORK/b.aci" --name=b --annotation=big="$(head -c 20000 /dev/zero | tr '\0' x)" --exec=/bin/sh -- -c "$of_b"
is 'a pod that asks for everything ends well' "$status" 0
like 'a false signature is told to who asks' "$err" '^b: wget: .* 403 Forbidden$'
uuid=$(cat "$WORK/uuid")
JSON='application/json'
TEXT='text/plain; charset=us-ascii'
said()
{
	printf '%s\n' "$out" | sed -n "s|^a: $1+\? ||p" | tr -d '\n'
}

manifest=$(find "$DATA/pods" -path "*/$uuid/pod")
dir=${manifest%/pod}
is 'pod/manifest is the pod, byte for byte' "$(said pod/manifest)" "200 $JSON $(cat "$manifest")"
is 'pod/annotations is its member' "$(said pod/annotations)" \
	"200 $JSON $(python3 -c 'import json, sys
print(json.dumps(json.load(open(sys.argv[1]))["annotations"], separators=(",", ":")))' "$manifest")"
is 'pod/uuid is the UUID' "$(said pod/uuid)" "200 $TEXT $uuid"
like 'an annotation that is not there' "$(said pod/annotations/none)" "^404 "
is "an app's annotations are the image's below the pod's" "$(said apps/a/annotations)" \
	"200 $JSON [{\"name\":\"color\",\"value\":\"red\"},{\"name\":\"size\",\"value\":\"2\"},{\"name\":\"new\",\"value\":\"3\"}]"
is 'one of them by its name' "$(said apps/a/annotations/size)" "200 $TEXT 2"
is "an app's image manifest is the image's, byte for byte" "$(said apps/a/image/manifest)" \
	"200 $JSON $(cat "$dir/appsinfo/a/manifest")"
like 'with the annotations it came with' "$(said apps/a/image/manifest)" '"value": ?"blue"'
id=$(python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["apps"][0]["image"]["id"])' "$manifest")
is 'the image ID is the one in the manifest' "$(said apps/a/image/id)" "200 $TEXT $id"
like "another app's are there, too" "$(said apps/b/image/id)" "^200 $TEXT sha512-"
like 'whatever it has' "$(said apps/b/annotations)" "^200 $JSON \\["
is 'its manifest' "$(said apps/b/image/manifest)" "200 $JSON $(cat "$dir/appsinfo/b/manifest")"
like 'no such app' "$(said apps/c/image/id)" '^404 '
like 'no name of an app' "$(said apps/B/image/id)" '^400 '
like 'another token' "$(said other-token)" '^401 '
like 'no token' "$(said no-token)" '^401 '
for name in post delete pod/hmac/sign; do
	like "another method: $name" "$(said "$name")" '^405 '
done
for name in no-content nonsense half bad-uuid bad-base64; do
	like "no good request: $name" "$(said "$name")" '^400 '
done
like 'a request that does not end' "$(said long)" '^431 '
is 'who shuts down is answered' "$(said half-closed)" "200 $TEXT $uuid"
is 'who says more than there is to say, too' "$(said more)" "200 $TEXT $uuid"
is 'who hangs up leaves the place to others' "$(said after-leave)" "200 $TEXT $uuid"
is 'a long answer comes in parts' "$(said slow)" '200 20000 True'
is 'and nobody waits for who reads it late' "$(said meanwhile)" "200 $TEXT $uuid"
like 'a signature is of SHA-512' "$(said signature)" "^200 $TEXT [A-Za-z0-9+/]{86}==\$"
is "the pod's own is verified" "$(said verified)" "200 $TEXT "
like "as another pod's it is not" "$(said other-uuid)" '^403 '
is 'silent connections are in nobody'"'"'s way, nor are many' "$(said crowd)" '200 20'
like "busybox's wget is served" "$out" "^b: wget $uuid\$"
like 'an app verifies what another has signed' "$out" '^b: good$'
like 'and not what it has not' "$out" '^b: bad$'

# Another pod of the data directory tells whose signature it is.
signature=$(said signature | sed 's/.* //; s/+/%2B/g; s,/,%2F,g; s/=/%3D/g')
# shellcheck disable=SC2016 # for the shell in the pod
run_tripod run --mds-register --net=user "$IMAGES/busybox.aci" --exec=/bin/sh -- -c \
	'wget -q -O - --post-data "$1" "$AC_METADATA_URL/acMetadata/v1/pod/hmac/verify" &&
		echo good' - "content=hello+pod&uuid=$uuid&signature=$signature"
is 'another pod verifies the signature' "$out" good

# Apps that come and go.
export RKT_EXPERIMENT_APP=true
run_tripod fetch "$IMAGES/busybox.aci"
image=$out
rm "$WORK/uuid"
TRIPOD_TEST=$WORK timeout -k 5 $((4 * LIMIT)) "$TRIPOD" --dir="$DATA" --insecure-options=image \
	app sandbox --mds-register --net=user --uuid-file-save="$WORK/uuid" \
	>"$WORK/sandbox.out" 2>"$WORK/sandbox.err" </dev/null &
sandbox=$!
wait_for has_line "$WORK/uuid" .
uuid=$(cat "$WORK/uuid")
[ -n "$uuid" ] || bail "no sandbox: $(cat "$WORK/sandbox.err")"
run_tripod status --wait-ready="${LIMIT}s" "$uuid"
add()
{
	name=$1
	shift
	run_tripod app add "$uuid" "$image" --name="$name" --exec=/bin/sleep "$@" -- 1000
}

# from_one PATH: what the service tells the first app, and whether it does
from_one()
{
	# shellcheck disable=SC2016 # for the shell in the pod
	run_tripod app exec --app=one "$uuid" /bin/sh -c \
		'exec wget -q -O - "$AC_METADATA_URL/acMetadata/v1/$1"' - "$1"
}

add one --user-annotation=a=b --annotation=color=red
is 'an app is added to a registered pod' "$status$err" 0
run_tripod app start --app=one "$uuid"
from_one apps/one/annotations/color
is 'which is told where to ask, and what it is' "$status $out" '0 red'
from_one apps/two/image/id
is 'there is no other' "$status$(printf '%s' "$err" | grep -c 404)" 11
add two
from_one apps/two/image/manifest
is 'until it is added' "$status $out" "0 $(cat "$DATA/pods/run/$uuid/appsinfo/two/manifest")"
from_one pod/manifest
is 'the pod has a new manifest' "$out" "$(cat "$DATA/pods/run/$uuid/pod")"
run_tripod app rm --app=two "$uuid"
from_one apps/two/image/id
is 'it is gone with its removal' "$status$(printf '%s' "$err" | grep -c 404)" 11
from_one pod/manifest
is 'from the manifest, too' "$out" "$(cat "$DATA/pods/run/$uuid/pod")"
run python3 tests/e2e/metadata_hostile.py "$DATA/pods/run/$uuid/control.sock"
is 'what makes no sense is refused, or tells of nothing' "$out$err" 'all refused'
from_one apps/one/annotations/color
is 'and the service goes on' "$status $out" '0 red'
like 'which says what it could not read' "$(cat "$WORK/sandbox.err")" \
	'metadata service.* app one: reading its manifests'
run_tripod stop "$uuid"
finish $sandbox
is 'the pod ends well' "$?" 0

no_leaks 'nothing of the service is left'
done_testing
