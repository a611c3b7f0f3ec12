#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Images come from files, URLs and names: signed, unchanged, once, and nothing else does.
# shellcheck disable=SC2154 # out, err and status are set by run
. tests/e2e/tap.sh
. tests/e2e/web.sh
. tests/e2e/stub.sh

KEYS=$TOP/tests/trust
WEB=$WORK/web
mkdir -p "$WEB"

# The web, as a proxy.
set -- example.com www.example.com other.example.com keys.example.com plain.example.com
for host; do
	mkdir -p "$WEB/$host"
done
web "$WEB" "$@"

LOCAL=$WORK/local
tripod()
{
	run "$TRIPOD" --dir="$DATA" --system-config="$WORK/system" --local-config="$LOCAL" "$@"
}

# without signatures
unsigned()
{
	tripod --insecure-options=image "$@"
}

# requests since the last call, "METHOD URL STATUS RANGE" each
requests()
{
	[ ! -e "$WORK/requests" ] || cut -d' ' -f1-4 "$WORK/requests"
	: >"$WORK/requests"
}

# the store is empty again, but for what is locked
forget()
{
	rm -rf "$DATA"
	: >"$WORK/requests"
}

stored()
{
	find "$DATA/cas/imageManifest" -type f 2>/dev/null | wc -l | tr -d ' '
}

# refused NAME ERE: one line says why, and nothing was stored
refused()
{
	is "$1: status" "$status" 254
	like "$1: why" "$err" "$2"
	is "$1: nothing is printed" "$out" ''
	is "$1: nothing is stored" "$(stored) $(ls "$DATA/cas/tmp" 2>/dev/null)" '0 '
}

cp "$KEYS/image.aci" "$KEYS/good.aci.asc" "$WORK"
cp "$KEYS/image.aci" "$WEB/example.com/app.aci"
cp "$KEYS/good.aci.asc" "$WEB/example.com/app.aci.asc"
make_app "$WORK/unsigned.aci" unsigned
ID=sha512-$(gzip -cdf "$KEYS/image.aci" | sha512sum | cut -c1-32)

# files
unsigned fetch "$WORK/unsigned.aci"
is 'a file is fetched without its signature when that is waived' "$status" 0
like 'its ID is printed, half of it' "$out" '^sha512-[0-9a-f]{32}$'
short=$out
unsigned fetch --full "$WORK/unsigned.aci"
like '--full prints all of it' "$out" "^${short}[0-9a-f]{32}\$"
is 'its tree is rendered' "$(find "$DATA/cas/tree" -name 0 | wc -l | tr -d ' ')" 1
unsigned fetch "$short"
is 'it is found by its ID' "$status $out" "0 $short"
unsigned fetch "$(echo "$short" | cut -c1-15)"
is 'and by the beginning of it' "$status $out" "0 $short"
unsigned fetch example.com/unsigned:1.0 --pull-policy=never
is 'and by its name' "$status $out" "0 $short"
unsigned fetch --pull-policy=never example.com/unsigned,version=2
is 'not by another version' "$status" 254
like 'which is said' "$err" \
	'unable to fetch app image from image name "example.com/unsigned,version=2"'
forget
tripod --debug fetch "$WORK/unsigned.aci"
refused 'without signature' 'error opening signature file.*unsigned.aci.asc: No such file'
tripod fetch "$WORK/image.aci" --signature="$WORK/good.aci.asc"
refused 'with a signature of nobody known' 'openpgp: signature made by unknown entity'
tripod trust --prefix=example.com/app --skip-fingerprint-review "$KEYS/good.key.asc"
is 'a key is trusted' "$status" 0
tripod fetch "$WORK/image.aci" --signature="$WORK/good.aci.asc"
is 'then the image is fetched' "$status $out" "0 $ID"
like 'and who signed it is told' "$err" 'signature verified:'
forget
cp "$WORK/good.aci.asc" "$WORK/image.aci.asc"
tripod fetch "file://$WORK/image.aci"
is 'the signature beside the file is found' "$status $out" "0 $ID"
forget
tripod fetch "$WORK/image.aci" --signature="$KEYS/other.aci.asc"
refused 'with the signature of another key' 'unknown entity'
tripod fetch "$WORK/image.aci" --signature="$KEYS/tar.aci.asc"
refused 'with a signature of other bytes' 'bad signature'
(cat "$WORK/image.aci" && echo) >"$WORK/more.aci"
tripod fetch "$WORK/more.aci" --signature="$WORK/good.aci.asc"
refused 'with a byte more than was signed' 'more.aci'
tripod fetch "$WORK/none.aci"
refused 'a file that is not there' 'none.aci: No such file'

# URLs
url=https://example.com/app.aci
tripod --debug fetch $url
is 'an image is fetched from a URL' "$status $out" "0 $ID"
like 'which is said' "$err" "fetching image from $url"
like 'with --debug in detail' "$err" "image: remote fetching from URL \"$url\""
like 'the transfer is told' "$err" "Downloading $url"
is 'the signature is asked for first' "$(requests | cut -d' ' -f1-3)" \
	"GET $url.asc 200
GET $url 200"
tripod --debug fetch --pull-policy=new $url
is 'with the policy new it is not asked for again' "$status $out $(requests)" "0 $ID "
like 'but found' "$err" "image: using image from local store for url $url"
tripod fetch --store-only $url
is 'nor with --store-only' "$status $out $(requests)" "0 $ID "
like 'which is deprecated' "$err" '--store-only is deprecated.*--pull-policy=never'
forget
tripod fetch --pull-policy=never $url
refused 'never means never' "unable to fetch image from URL \"$url\""
is 'nobody is asked' "$(requests)" ''
tripod fetch --pull-policy=sometimes $url
is 'another policy is none' "$status" 254
tripod fetch https://example.com/none.aci
refused 'what is not there' 'error downloading the signature file.*bad HTTP status code: 404'
unsigned fetch https://example.com/none.aci
refused 'what is not there, unsigned' 'bad HTTP status code: 404'
tripod fetch https://example.com/none
refused 'what does not end in .aci' 'does not end in .aci'
unsigned fetch http://example.com/app.aci
refused 'plain http' 'plain http'
tripod --insecure-options=image,http fetch http://example.com/app.aci
is 'plain http is fine when it is allowed' "$status $out" "0 $ID"
like 'a download without signature is warned of' "$err" \
	'image signature verification has been disabled'
forget
SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt unsigned fetch $url
refused 'a server with a certificate nobody knows' '[Cc]ertificate'
SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt tripod --insecure-options=image,tls fetch $url
is 'is fine when that is allowed' "$status $out" "0 $ID"
forget
cp "$WEB/example.com/app.aci" "$WEB/other.example.com/real.aci"
echo https://other.example.com/real.aci >"$WEB/www.example.com/moved.aci.redirect"
unsigned fetch https://www.example.com/moved.aci
is 'redirects are followed' "$status $out" "0 $ID"
echo http://other.example.com/real.aci >"$WEB/www.example.com/down.aci.redirect"
unsigned fetch https://www.example.com/down.aci
is 'but not to plain http' "$status" 254
forget
printf 'not an image, but long enough to be looked at' >"$WEB/example.com/text.aci"
unsigned fetch https://example.com/text.aci
refused 'what is no image' 'text.aci'
: >"$WEB/example.com/empty.aci"
unsigned fetch https://example.com/empty.aci
refused 'nothing at all' 'empty.aci'

# a signature that comes after the image
forget
cp "$WEB/example.com/app.aci" "$WEB/example.com/late.aci"
cp "$WEB/example.com/app.aci.asc" "$WEB/example.com/late.aci.asc"
echo '{"status": 202}' >"$WEB/example.com/late.aci.asc.rule"
tripod fetch https://example.com/late.aci
is 'a server may defer the signature' "$status $out" "0 $ID"
like 'which is said' "$err" 'server requested deferring the signature download'
is 'then it is asked for again after the image' "$(requests | cut -d' ' -f2-3 | xargs)" \
	'https://example.com/late.aci.asc 202 https://example.com/late.aci 200 https://example.com/late.aci.asc 200'
forget
cp "$WEB/example.com/late.aci" "$WEB/example.com/later.aci"
echo '{"status": 202, "times": 9}' >"$WEB/example.com/later.aci.asc.rule"
tripod fetch https://example.com/later.aci
refused 'but not for ever' 'defers it'

# what does not change is not loaded again
echo '{"etag": "\"one\""}' >"$WEB/example.com/app.aci.rule"
tripod fetch $url
requests >/dev/null
tripod fetch $url
is 'an ETag saves the download' "$status $out $(requests | grep "$url ")" "0 $ID GET $url 304 -"
echo '{"cache": "public, max-age=1000"}' >"$WEB/example.com/app.aci.rule"
tripod --debug fetch $url
requests >/dev/null
tripod --debug fetch $url
is 'within max-age nobody is asked' "$status $out $(requests)" "0 $ID "
like 'which is said' "$err" "image: image for $url isn't expired, not fetching\\."
forget
echo '{"cache": "max-age=1000, no-store"}' >"$WEB/example.com/app.aci.rule"
tripod fetch $url
requests >/dev/null
tripod fetch $url
like 'no-store takes that back' "$(requests)" "GET $url 200"
rm "$WEB/example.com/app.aci.rule"
forget

# downloads that are cut short
rm -rf "$WORK/make" && mkdir -p "$WORK/make/rootfs"
head -c 6000000 /dev/urandom >"$WORK/make/rootfs/noise"
cat >"$WORK/make/manifest" <<'EOM'
{"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/large",
 "labels": [{"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"}]}
EOM
tar -C "$WORK/make" -cf "$WEB/example.com/large.aci" manifest rootfs
LARGE=sha512-$(sha512sum <"$WEB/example.com/large.aci" | cut -c1-32)
large=https://example.com/large.aci
echo '{"etag": "\"L\"", "cut": 3000000}' >"$WEB/example.com/large.aci.rule"
unsigned fetch $large
is 'a connection that breaks is made again' "$status $out" "0 $LARGE"
like 'and the download goes on where it was' "$(requests)" "GET $large 206 bytes=[0-9]{7}-"
forget
echo '{"etag": "\"L\"", "slow": 0.05}' >"$WEB/example.com/large.aci.rule"
half_way()
{
	[ "$(cat "$DATA"/cas/partial/* 2>/dev/null | wc -c)" -ge 2000000 ]
}

# fetch the large one, and kill that when two megabytes are there
kill_half_way()
{
	TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" --insecure-options=image --local-config="$LOCAL" \
		fetch $large >"$WORK/out" 2>"$WORK/err" &
	victim=$!
	wait_for half_way
	kill -KILL $victim
	wait $victim
}
kill_half_way 2>/dev/null
is 'a fetch that is killed leaves no image' "$(stored)" 0
requests >/dev/null
echo '{"etag": "\"L\""}' >"$WEB/example.com/large.aci.rule"
unsigned --debug fetch $large
is 'the next one' "$status $out" "0 $LARGE"
like 'says that it goes on' "$err" 'going on with .*large.aci at byte [0-9]{7}'
like 'and does' "$(requests)" "GET $large 206 bytes=[0-9]{7}-"
is 'nothing is left of the download' "$(ls "$DATA/cas/partial")" ''
forget
echo '{"etag": "\"L\"", "slow": 0.05}' >"$WEB/example.com/large.aci.rule"
kill_half_way 2>/dev/null
head -c 6000000 /dev/urandom >"$WORK/make/rootfs/noise"
tar -C "$WORK/make" -cf "$WEB/example.com/large.aci" manifest rootfs
LARGE=sha512-$(sha512sum <"$WEB/example.com/large.aci" | cut -c1-32)
echo '{"etag": "\"M\""}' >"$WEB/example.com/large.aci.rule"
requests >/dev/null
unsigned fetch $large
is 'when the image changed meanwhile it is loaded anew' "$status $out" "0 $LARGE"
like 'in one request' "$(requests)" "GET $large 200 bytes=[0-9]{7}-"
forget
echo '{"modified": "Sun, 22 Nov 2015 00:00:00 GMT", "cut": 3000000}' \
	>"$WEB/example.com/large.aci.rule"
cp "$WEB/example.com/large.aci" "$WEB/example.com/dated.aci"
mv "$WEB/example.com/large.aci.rule" "$WEB/example.com/dated.aci.rule"
unsigned fetch https://example.com/dated.aci
is 'a date of the last change will do, too' "$status $out" "0 $LARGE"
like 'to go on' "$(requests)" 'dated.aci 206 bytes='
forget

cp "$WEB/example.com/large.aci" "$WEB/example.com/bare.aci"
echo '{"cut": 3000000}' >"$WEB/example.com/bare.aci.rule"
unsigned fetch https://example.com/bare.aci
is 'where a server can not go on it all starts over' "$status $out" "0 $LARGE"
is 'and nothing is kept' "$(find "$DATA/cas/partial" "$DATA/cas/tmp" -mindepth 1)" ''
forget
touch_date=$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT')
cp "$WEB/example.com/large.aci" "$WEB/example.com/fresh.aci"
echo "{\"cut\": 3000000, \"modified\": \"$touch_date\"}" >"$WEB/example.com/fresh.aci.rule"
unsigned fetch https://example.com/fresh.aci
is 'so it does where a change of a moment ago can not be told apart' \
	"$status $out $(requests | grep -c ' 206 ')" "0 $LARGE 0"
forget

# names
cat >"$WEB/example.com/index.html" <<'EOM'
<html><head>
<meta name="ac-discovery" content="example.com https://www.example.com/{name}-{version}.{ext}">
<meta name="ac-discovery-pubkeys" content="example.com https://keys.example.com/good.asc">
</head></html>
EOM
mkdir -p "$WEB/www.example.com/example.com"
cp "$KEYS/image.aci" "$WEB/www.example.com/example.com/app-1.0.0.aci"
cp "$KEYS/good.aci.asc" "$WEB/www.example.com/example.com/app-1.0.0.aci.asc"
cp "$KEYS/image.aci" "$WEB/www.example.com/example.com/app-latest.aci"
cp "$KEYS/good.aci.asc" "$WEB/www.example.com/example.com/app-latest.aci.asc"
cp "$KEYS/good.key.asc" "$WEB/keys.example.com/good.asc"
name=example.com/app:1.0.0
at=https://www.example.com/example.com
tripod --debug fetch $name
is 'an image is fetched by its name' "$status $out" "0 $ID"
like 'which is said' "$err" "image: searching for app image $name"
is 'from where the page of its host says' "$(requests | cut -d' ' -f2,3 | xargs)" \
	"https://example.com/app?ac-discovery=1 404 https://example.com/?ac-discovery=1 200 $at/app-1.0.0.aci.asc 200 $at/app-1.0.0.aci 200"
tripod --debug fetch --pull-policy=new $name
is 'the store is good enough for the policy new' "$status $out $(requests)" "0 $ID "
like 'which is said' "$err" "image: using image from local store for image name $name"
tripod fetch example.com/app
is 'without a version it is the latest' "$status $out" "0 $ID"
like 'by name' "$(requests)" 'app-latest.aci 200'
like 'which the store knows' "$(cat "$DATA"/cas/imageInfo/*)" '"latest": ?true'
forget
tripod fetch example.com/app,version=1.0.0,arch=amd64
is 'labels may be written out' "$status $out" "0 $ID"
forget
cp "$KEYS/image.aci" "$WEB/www.example.com/example.com/app-2.0.0.aci"
cp "$KEYS/good.aci.asc" "$WEB/www.example.com/example.com/app-2.0.0.aci.asc"
tripod fetch example.com/app:2.0.0
refused 'an image of another version' \
	'requested value for label "version": "2.0.0" differs from fetched aci label value: "1.0.0"'
tripod fetch example.com/app:1.0.0,flavour=mild
refused 'an image without a label that was asked for' \
	'requested label "flavour" not provided by the image manifest'
cp "$KEYS/image.aci" "$WEB/www.example.com/example.com/else-1.0.0.aci"
unsigned fetch example.com/else:1.0.0
refused 'an image of another name' 'example.com/app.*example.com/else'
tripod fetch example.com/none:1.0.0
refused 'an image that is not there' 'error downloading the signature file'
unsigned fetch other.example.com/x/y
refused 'a name nobody knows of' 'other.example.com/x/y'
is 'was looked for up to its host' "$(requests | grep -c 'other.example.com')" 3
mkdir -p "$WEB/plain.example.com"
echo '<meta name=ac-discovery content="plain.example.com ftp://x/y.{ext}">' \
	>"$WEB/plain.example.com/index.html"
unsigned fetch plain.example.com/x
refused 'a page that names no place of the web' 'plain.example.com/x'

# keys by discovery
rm -rf "$LOCAL"
tripod fetch $name
refused 'a key that is not known' 'unknown entity'
is 'is told before the image is loaded' "$(requests | grep -c "\\.aci ")" 0
tripod --trust-keys-from-https fetch $name
is 'it is taken from its server on demand' "$status $out" "0 $ID"
like 'and stored' "$(find "$LOCAL" -type f)" '/trustedkeys/prefix.d/example.com/app/[0-9a-f]{40}$'
forget
rm "$WEB/keys.example.com/good.asc"
tripod --trust-keys-from-https fetch $name
is 'once it is there nothing is looked for' "$status $out $(requests | grep -c keys.example)" "0 $ID 0"
forget

# credentials
mkdir -p "$LOCAL/auth.d"
kind='"rktKind": "auth", "rktVersion": "v1"'
echo "{$kind, \"domains\": [\"example.com\"], \"type\": \"basic\", \"credentials\":
	{\"user\": \"me\", \"password\": \"secret\"}}" >"$LOCAL/auth.d/a.json"
echo "{$kind, \"domains\": [\"www.example.com\"], \"type\": \"oauth\", \"credentials\":
	{\"token\": \"tok\"}}" >"$LOCAL/auth.d/b.json"
echo "{$kind, \"domains\": [\"other.example.com\"], \"type\": \"aws\", \"credentials\":
	{\"accessKeyID\": \"id\", \"secretAccessKey\": \"key\"}}" >"$LOCAL/auth.d/c.json"
echo '{"auth": "Basic bWU6c2VjcmV0"}' >"$WEB/example.com/app.aci.rule"
unsigned fetch $url
is 'credentials of kind basic open a door' "$status $out" "0 $ID"
forget
unsigned --insecure-options=image,http fetch http://example.com/app.aci
refused 'they are not sent over plain http' 'bad HTTP status code: 401'
echo '{"auth": "Bearer tok"}' >"$WEB/www.example.com/tok.aci.rule"
cp "$KEYS/image.aci" "$WEB/www.example.com/tok.aci"
unsigned fetch https://www.example.com/tok.aci
is 'so do those of kind oauth' "$status $out" "0 $ID"
forget
unsigned fetch https://other.example.com/real.aci
like 'those of kind aws sign the request' "$(cat "$WORK/requests")" \
	'AWS4-HMAC-SHA256 Credential=id/[0-9]{8}/us-east-1/s3/aws4_request'
forget
echo https://other.example.com/else.aci >"$WEB/example.com/away.aci.redirect"
cp "$KEYS/image.aci" "$WEB/other.example.com/else.aci"
unsigned fetch https://example.com/away.aci
is 'a redirect takes none along' "$status $(grep -c 'else.aci 200 - -$' "$WORK/requests")" '0 1'
forget
rm "$LOCAL/auth.d/a.json"
unsigned fetch $url
refused 'without credentials' 'bad HTTP status code: 401'
echo '{' >"$LOCAL/auth.d/a.json"
unsigned fetch $url
refused 'with a configuration that can not be read' 'auth.d/a.json'
rm -r "$LOCAL/auth.d" "$WEB/example.com/app.aci.rule"

# dependencies
depends()
{
	sed "s;\"app\":.*;\"dependencies\": [$(printf '%s' "$2" | tr -d '\n\t')]};" \
		"$WORK/make/manifest" >"$WORK/make/new" &&
		mv "$WORK/make/new" "$WORK/make/manifest" &&
		tar -C "$WORK/make" --owner=0 --group=0 -cf "$1" manifest rootfs
}
at=$WEB/www.example.com/example.com
make_app "$at/leaf-1.0.aci" leaf
leaf=sha512-$(sha512sum <"$at/leaf-1.0.aci" | cut -c1-128)
make_app "$at/middle-latest.aci" middle
depends "$at/middle-latest.aci" '{"imageName": "example.com/leaf",
	"labels": [{"name": "version", "value": "1.0"}]}, {"imageName": "example.com/top"}'
make_app "$at/top-latest.aci" top
sed -i 's/"1.0"/"latest"/' "$WORK/make/manifest"
depends "$at/top-latest.aci" "{\"imageName\": \"example.com/middle\"},
	{\"imageName\": \"example.com/leaf\", \"imageID\": \"$leaf\",
	 \"labels\": [{\"name\": \"version\", \"value\": \"1.0\"}]}"
unsigned fetch --pull-policy=new example.com/middle
is 'images that depend on each other do not make it go on for ever' "$(stored)" 3
is 'each is loaded once' "$(requests | grep -c '\.aci 200')" 3
forget
make_app "$at/top-latest.aci" top
depends "$at/top-latest.aci" '{"imageName": "example.com/leaf",
	"labels": [{"name": "version", "value": "1.0"}]}'
unsigned fetch example.com/top
is 'dependencies are fetched along' "$status $(stored)" '0 2'
forget
make_app "$at/top-latest.aci" top
depends "$at/top-latest.aci" "{\"imageName\": \"example.com/leaf\",
	\"imageID\": \"sha512-$(printf %0128d 0)\", \"labels\": [{\"name\": \"version\", \"value\": \"1.0\"}]}"
unsigned fetch example.com/top
is 'a dependency that is not the one it should be is an error' "$status" 254
like 'which says what it is' "$err" 'dependency example.com/leaf:1.0'
forget

# several at once
rm -f "$WEB/example.com/large.aci.rule"
echo '{"slow": 0.02}' >"$WEB/example.com/large.aci.rule"
for i in 1 2 3 4; do
	TRIPOD_TEST=$WORK "$TRIPOD" --dir="$DATA" --insecure-options=image --local-config="$LOCAL" \
		fetch $large >"$WORK/out.$i" 2>"$WORK/err.$i" &
done
for i in 1 2 3 4; do
	wait_for test -s "$WORK/out.$i"
done
is 'of four at once all get the image' "$(cat "$WORK"/out.? | sort -u)" "$LARGE"
is 'and one loads it' "$(requests | grep -c 'large.aci 200')" 1

# on a terminal of 60 columns
echo '{"slow": 0.01, "etag": "\"T\""}' >"$WEB/example.com/large.aci.rule"
cat >"$WORK/terminal.py" <<'EOM'
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
text = b""
while True:
    try:
        piece = os.read(fd, 65536)
    except OSError:
        break
    if not piece:
        break
    text += piece
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
text = text.decode()
# what stands on each line once the cursor left it: lines drawn anew end by erasing the rest
bars = [line for line in text.replace("\r", "\n").split("\n") if "[" in line and "/s" in line]
bars = [line.split("\033[K")[0] for line in bars]
print("status", code)
print("several", len(bars) > 3)
print("narrow", all(len(line) < 60 for line in bars))
print("grow", bars == sorted(bars, key=lambda line: line.count("=")))
print("one write each", text.count("\033[1A") <= text.count("\033[K") + 4)
last = [line for line in text.replace("\r", "").split("\n") if line][-1]
print("last", last[:7])
EOM
forget
run python3 "$WORK/terminal.py" "$TRIPOD" --dir="$DATA" --insecure-options=image \
	--local-config="$LOCAL" fetch $large
is 'on a terminal a line is drawn again and again, and goes away' "$out" 'status 0
several True
narrow True
grow True
one write each True
last sha512-'

# the registry's
tripod fetch docker://example.com/app
is 'a Docker image has no signature' "$status" 254
like 'so the option is asked for' "$err" \
	'signature verification for docker images is not supported.*--insecure-options=image'
tripod fetch
is 'without an image: usage' "$status" 254
like 'on stdout' "$out" '^USAGE:'

# the configuration
mkdir -p "$LOCAL/paths.d"
echo "{\"rktKind\": \"paths\", \"rktVersion\": \"v1\", \"data\": \"$WORK/elsewhere\"}" \
	>"$LOCAL/paths.d/p.json"
run "$TRIPOD" --local-config="$LOCAL" --insecure-options=image fetch "$WORK/unsigned.aci"
is 'the data directory is the configured one' "$status $(ls "$WORK/elsewhere/cas/imageManifest")" \
	'0 sha512'
run "$TRIPOD" --pretty-print=false --local-config="$LOCAL" config
is 'config prints it' "$out" "{\"stage0\":[{\"rktVersion\":\"v1\",\"rktKind\":\"paths\",\"data\":\"$WORK/elsewhere\",\"stage1-images\":\"\"},{\"rktVersion\":\"v1\",\"rktKind\":\"stage1\",\"name\":\"\",\"version\":\"\",\"location\":\"\"}]}"
rm -r "$LOCAL/paths.d"
run "$TRIPOD" --dir="$WORK/rkt" --local-config="$LOCAL" config
like 'by default it is indented by tabs' "$out" '^	"stage0"'
done_testing
