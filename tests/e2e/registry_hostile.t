#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Registries that lie, break off, point elsewhere or ask for what is not theirs: a clear refusal, and
# nothing in the store.
. tests/e2e/tap.sh

unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY DOCKER_CONFIG XDG_RUNTIME_DIR XDG_CONFIG_HOME
export HOME="$WORK/home" SSL_CERT_FILE="$WORK/server/ca.pem" REGISTRY_AUTH_FILE="$WORK/auth.json"
mkdir "$HOME" "$WORK/server"
mkfifo "$WORK/stdin"
TRIPOD_TEST=$WORK python3 tests/httpd.py "$WORK/server" <"$WORK/stdin" >"$WORK/ports" &
exec 9>"$WORK/stdin"
wait_for test -s "$WORK/ports" || bail 'the server does not start'
read -r http other https <"$WORK/ports"
registry=127.0.0.1:$https
printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$registry" "$(printf user:pass:word | base64)" \
	>"$REGISTRY_AUTH_FILE"
chmod 600 "$REGISTRY_AUTH_FILE"

stored()
{
	find "$DATA/cas/imageManifest" -type f
	find "$DATA/cas/layer" -mindepth 1
}

# refused NAME MESSAGE: the repository is named for what is wrong with it
refused()
{
	run_tripod fetch "docker://$registry/$1/img:v1"
	is "$1 is refused" "$status" 254
	like "$1 says why" "$err" "$2"
	is "$1 leaves nothing in the store" "$(stored)" ''
}

refused wrongdigest 'is not what its Docker-Content-Digest says'
refused big 'larger than 4194304 bytes'
refused absent '404.*MANIFEST_UNKNOWN'
refused noblob '404'
refused longblob 'has [0-9]* bytes, not [0-9]*'
refused changedblob 'digest|archive|tar'
refused elsewhere 'is redirected to plain http'
refused elsewhere401 'is redirected to plain http'
refused badtoken 'sent no token'
refused cleartoken 'a token server without TLS'

registry=127.0.0.1:$http
refused basic 'user and password are not sent over plain http'
# the blobs are elsewhere, on another port of plain http: what asks there is told nothing
refused elsewhere401 'bad HTTP status code: 401'
unlike 'a redirect never shows its query' "$err" 'secret'
curl -s "http://127.0.0.1:$http/log" >"$WORK/log"
like 'the log of the server is there' "$(cat "$WORK/log")" '^GET /storage/elsewhere401'
is 'where a redirect led no credentials went' \
	"$(grep '^[A-Z]* /storage' "$WORK/log" | grep -v ' - [^ ]*$')" ''
is 'nor over plain http any password' "$(grep -c 'GET /v2/basic/.* Basic' "$WORK/log")" 0
[ -n "$other" ] || bail 'one port is missing'

done_testing
