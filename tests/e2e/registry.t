#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Images of a registry, pushed there by skopeo from what umoci and buildah build: with TLS and a
# password, with tokens, by tag, by digest and out of an index; whole downloads and broken ones.
. tests/e2e/tap.sh
. tests/e2e/registry.sh
for command in docker-registry skopeo umoci buildah openssl python3; do
	need_command $command
done

unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY DOCKER_CONFIG XDG_RUNTIME_DIR XDG_CONFIG_HOME
export HOME="$WORK/home"
mkdir "$HOME"
make_ca
export SSL_CERT_FILE="$WORK/ca.pem" REGISTRY_AUTH_FILE="$WORK/auth.json"
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$WORK/policy.json"

# login HOST:PORT USER:PASSWORD: what our side knows
login()
{
	printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$1" "$(printf %s "$2" | base64)" \
		>"$REGISTRY_AUTH_FILE"
	chmod 600 "$REGISTRY_AUTH_FILE"
}

# push SOURCE NAME [OPTION...]
push()
{
	from=$1 to=$2
	shift 2
	skopeo --policy "$WORK/policy.json" copy -q "$@" --dest-cert-dir "$WORK/certs" \
		--dest-creds user:pass:word "$from" "docker://$REGISTRY/$to"
}

fetch()
{
	run_tripod fetch "$@"
}

stored()
{
	find "$DATA/cas/imageManifest" -type f 2>/dev/null | wc -l
}

# An image of two layers by umoci. Its lower layer is larger than what is downloaded again rather
# than kept, and does not compress.
layout=$WORK/layout
mkdir -p "$WORK/lower/bin" "$WORK/lower/data" "$WORK/upper/data"
tar -xf "$IMAGES/busybox.aci" -C "$WORK" rootfs/bin/busybox
cp "$WORK/rootfs/bin/busybox" "$WORK/lower/bin/"
head -c 12582912 /dev/urandom >"$WORK/lower/data/noise"
echo lower >"$WORK/lower/data/kept"
echo lower >"$WORK/lower/data/gone"
echo upper >"$WORK/upper/data/kept"
: >"$WORK/upper/data/.wh.gone"
{
	umoci init --layout "$layout" && umoci new --image "$layout:app"
	for layer in lower upper; do
		tar -C "$WORK/$layer" --owner=0 --group=0 -cf "$WORK/$layer.tar" . &&
			umoci raw add-layer --image "$layout:app" "$WORK/$layer.tar"
	done
	umoci config --image "$layout:app" --config.cmd /bin/busybox --config.cmd cat \
		--config.cmd /data/kept
} >"$WORK/umoci.log" 2>&1 || bail "umoci: $(cat "$WORK/umoci.log")"

# --- a password ---

start_registry basic basic
ok 'skopeo pushes an image of umoci' push "oci:$layout:app" test/app:v1

login "$REGISTRY" user:wrong
fetch "docker://$REGISTRY/test/app:v1"
unlike 'a wrong password is an error' "$status" '^0$'
like 'and says so' "$err" 'bad HTTP status code: 401'
is 'and leaves nothing in the store' "$(stored)" 0
unlike 'and no message has the password' "$err" wrong

login 'other.test' user:pass:word
fetch "docker://$REGISTRY/test/app:v1"
unlike 'a password for another registry is none' "$status" '^0$'
like 'and says that' "$err" 'bad HTTP status code: 401.*no user and password are configured'

login "$REGISTRY" user:pass:word
SSL_CERT_FILE=/dev/null fetch "docker://$REGISTRY/test/app:v1"
unlike 'a certificate of a stranger is an error' "$status" '^0$'
like 'and says so' "$err" 'TLS: '

fetch "docker://$REGISTRY/test/absent:v1"
unlike 'an image that is not there is an error' "$status" '^0$'
like 'with what the registry says of it' "$err" '404.*MANIFEST_UNKNOWN'
is 'nothing of it all is in the store' "$(stored)" 0

fetch "docker://$REGISTRY/test/app:v1"
is 'the right password pulls' "$status" 0
like 'and prints the ID' "$out" '^sha512-[0-9a-f]{32}$'
app=$out

digest=$(skopeo inspect --format '{{.Digest}}' --cert-dir "$WORK/certs" --creds user:pass:word \
	"docker://$REGISTRY/test/app:v1")
fetch "docker://$REGISTRY/test/app@$digest"
is 'a digest pulls the same layers' "$status" 0
: >"$WORK/basic.log"
fetch "docker://$REGISTRY/test/app:v1"
is 'a second fetch finds the same image' "$out" "$app"
unlike 'and loads no blob' "$(cat "$WORK/basic.log")" 'GET /v2/test/app/blobs'

# --- an index ---

for arch in s390x amd64; do
	umoci tag --image "$layout:app" $arch && umoci config --image "$layout:$arch" \
		--architecture $arch --config.env "WHO=$arch"
done >>"$WORK/umoci.log" 2>&1 || bail "umoci: $(cat "$WORK/umoci.log")"
python3 - "$layout" <<'EOM'
import hashlib, json, sys
layout, index = sys.argv[1], json.load(open(sys.argv[1] + "/index.json"))
entries = []
for arch in ["s390x", "amd64"]:
    for desc in index["manifests"]:
        if desc["annotations"]["org.opencontainers.image.ref.name"] == arch:
            entries.append({key: desc[key] for key in ["mediaType", "digest", "size"]})
            entries[-1]["platform"] = {"os": "linux", "architecture": arch}
media = "application/vnd.oci.image.index.v1+json"
data = json.dumps({"schemaVersion": 2, "mediaType": media, "manifests": entries}).encode()
digest = hashlib.sha256(data).hexdigest()
open(f"{layout}/blobs/sha256/{digest}", "wb").write(data)
index["manifests"].append({"mediaType": media, "digest": "sha256:" + digest, "size": len(data),
                           "annotations": {"org.opencontainers.image.ref.name": "all"}})
json.dump(index, open(layout + "/index.json", "w"))
EOM
ok 'images for two machines and an index of them are pushed' \
	push "oci:$layout:all" test/multi:all --all
fetch "docker://$REGISTRY/test/multi:all"
is 'an index is pulled' "$status" 0
run_tripod image cat-manifest "$out"
like "and it is this machine's image" "$(tr -d ' \n\t' <"$WORK/out")" '"WHO","value":"amd64"'
fetch --platform=linux/s390x "docker://$REGISTRY/test/multi:all"
run_tripod image cat-manifest "$out"
like 'another machine can be named' "$(tr -d ' \n\t' <"$WORK/out")" '"WHO","value":"s390x"'
fetch --pull-policy=new "docker://$REGISTRY/test/multi:all"
run_tripod image cat-manifest "$out"
like 'for that once only' "$(tr -d ' \n\t' <"$WORK/out")" '"WHO","value":"amd64"'
fetch --platform=linux/arm64 "docker://$REGISTRY/test/multi:all"
unlike 'one there is no image for is an error' "$status" '^0$'
like 'that names those there are' "$err" 'among: linux/s390x, linux/amd64'

# --- what the layers add up to ---

# One of everything, as umoci unpacks it. The root is without its time: that is of unpacking.
tree_image()
{
	mkdir "$WORK/layers" && python3 tests/e2e/layers.py "$WORK/layers" &&
		umoci init --layout "$WORK/tree" && umoci new --image "$WORK/tree:x" || return
	for layer in "$WORK"/layers/*.tar; do
		umoci raw add-layer --image "$WORK/tree:x" "$layer" || return
	done
	umoci config --image "$WORK/tree:x" --config.cmd /x &&
		umoci unpack --image "$WORK/tree:x" "$WORK/bundle" 2>"$WORK/umoci.log" &&
		push "oci:$WORK/tree:x" test/tree:x
}

list_tree()
{
	python3 tests/e2e/tree.py "$@" 2>&1 | awk '$1 == "." { $5 = "-" } { print }'
}

ok 'an image with one of everything is pushed' tree_image
list_tree "$WORK/bundle/rootfs" >"$WORK/expected"
ok 'umoci unpacks it' test "$(wc -l <"$WORK/expected")" -gt 400
run_tripod prepare --quiet --stage1-path="$STAGE1" "docker://$REGISTRY/test/tree:x"
is 'pulled and rendered it is the same, file by file' "$(
	list_tree --disk "$DATA/pods/prepared/$out/stage1/rootfs/opt/stage2"/*/disk |
		diff "$WORK/expected" -
)" ''

# --- buildah ---

buildah_image()
{
	set -- buildah --storage-driver vfs --root "$WORK/containers" --runroot "$WORK/run"
	container=$("$@" from scratch) &&
		"$@" add --quiet "$container" "$WORK/lower/bin/busybox" /bin/busybox &&
		"$@" config --cmd '["/bin/busybox","echo","built"]' "$container" &&
		"$@" commit --quiet --signature-policy "$WORK/policy.json" --format docker \
			"$container" "docker-archive:$WORK/built.tar:built:1" &&
		push "docker-archive:$WORK/built.tar" test/built:1 --format v2s2
}
ok 'an image of buildah is pushed, in the format of Docker' buildah_image
fetch "docker://$REGISTRY/test/built:1"
is 'and pulled' "$status" 0

# pod NAME IMAGE OUTPUT
pod()
{
	if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
		run_tripod run "docker://$REGISTRY/$2"
		is "$1" "$out" "$3"
	else
		skip "$1" 'no usable /dev/kvm'
	fi
}
pod 'an image of umoci runs in a pod' test/app:v1 upper
pod 'an image of buildah runs in a pod' test/built:1 built

# --- mirrors ---

export CONTAINERS_REGISTRIES_CONF="$WORK/registries.conf"
cat >"$CONTAINERS_REGISTRIES_CONF" <<EOM
[[registry]]
prefix = "registry.test/there"
[[registry.mirror]]
location = "$REGISTRY/absent"
[[registry.mirror]]
location = "$REGISTRY/test"

[[registry]]
prefix = "registry.test/shut"
blocked = true
EOM
fetch docker://registry.test/there/app:v1
is 'a registry that can not be reached is pulled from its second mirror' "$status" 0
like 'and the first is said to lack it' "$err" "mirror: https://$REGISTRY/v2/absent/app.*404"
fetch docker://registry.test/shut/app:v1
unlike 'a blocked one is not' "$status" '^0$'
like 'and says so' "$err" 'registry.test/shut/app is blocked'
unset CONTAINERS_REGISTRIES_CONF

# --- a download that ends in the middle ---

port=${REGISTRY##*:}
TRIPOD_TEST=$WORK python3 tests/narrow.py "$port" 6291456 >"$WORK/narrow.log" &
listens "$WORK/narrow.log" '^port'
narrow=127.0.0.1:$(sed -n 's/^port //p' "$WORK/narrow.log")
login "$narrow" user:pass:word
DATA=$WORK/broken
TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" --insecure-options=image fetch \
	"docker://$narrow/test/app:v1" >/dev/null 2>&1 &
pid=$!
loads()
{
	part=$(find "$DATA/cas" -name 'blob-*.part' -size +4M 2>/dev/null) && [ -n "$part" ]
}
wait_for loads
kill -KILL $pid
wait $pid 2>/dev/null
unlike 'a download that is killed leaves what it has' "$part" '^$'
is 'and no image' "$(stored)" 0
login "$REGISTRY" user:pass:word
: >"$WORK/basic.log"
fetch "docker://$REGISTRY/test/app:v1"
is 'the next one gets the same image' "$out" "$app"
like 'and loads only the rest' "$(cat "$WORK/basic.log")" 'GET /v2/test/app/blobs[^"]*" 206'
is 'nothing is left of it' "$(find "$DATA/cas" -name 'blob-*.part')" ''
DATA=$WORK/data

# --- tokens ---

TRIPOD_TEST=$WORK python3 tests/token_server.py "$WORK/ca.pem" "$WORK/key.pem" \
	>"$WORK/token.log" &
listens "$WORK/token.log" '^port'
TOKEN_REALM=https://localhost:$(sed -n 's/^port //p' "$WORK/token.log")/auth
start_registry tokens token
ok 'skopeo pushes with a token' push "oci:$layout:app" test/app:v1
: >"$REGISTRY_AUTH_FILE"
DATA=$WORK/tokens-data
fetch "docker://$REGISTRY/test/app:v1"
is 'anybody gets a token, and with it the image' "$status" 0
is 'one token, for this repository and for pulling' \
	"$(grep -c '^token for nobody: repository:test/app:pull$' "$WORK/token.log")" 1
login "$REGISTRY" user:pass:word
fetch --no-store "docker://$REGISTRY/test/app:v1"
like 'who has a password gets one of his own' "$(cat "$WORK/token.log")" \
	'^token for user: repository:test/app:pull$'
login "$REGISTRY" user:wrong
DATA=$WORK/none
fetch "docker://$REGISTRY/test/app:v1"
unlike 'a wrong password gets none' "$status" '^0$'
is 'and no image' "$(stored)" 0

done_testing
