#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch and signatures: signed, unsigned, wrongly signed, expired, revoked, of another prefix, changed
# afterwards: each gets its verdict in a line, and what is refused leaves nothing in the store.
. tests/e2e/tap.sh
. tests/e2e/web.sh

FIXTURES=$TOP/tests/trust

tripod()
{
	run "$TRIPOD" --dir="$DATA" --system-config="$WORK/system" --local-config="$WORK/local" "$@"
}

# new KEY...: an empty store, and these keys for example.com
new()
{
	rm -rf "$DATA" "$WORK/local"
	for key in "$@"; do
		tripod trust --skip-fingerprint-review --prefix=example.com "$FIXTURES/$key.key.asc"
		[ "$status" = 0 ] || bail "trust: $err"
	done
}

# put SIGNATURE [IMAGE]: the image to fetch, and what is beside it
put()
{
	rm -f "$WORK/image.aci" "$WORK/image.aci.asc"
	cp "$FIXTURES/${2:-image.aci}" "$WORK/image.aci"
	[ -z "$1" ] || cp "$FIXTURES/$1" "$WORK/image.aci.asc"
}

images()
{
	"$TRIPOD" --dir="$DATA" image list --no-legend --fields=name | cut -d: -f1
}

# What images there are, and what else was left of one.
stored()
{
	images
	(cd "$DATA" && find . -type f -size +0)
}

# refused NAME ERE: the last command failed, its last line says why, and nothing is stored
refused()
{
	is "$1: refused" "$status" 254
	like "$1: a line says why" "$(tail -n 1 "$WORK/err")" "$2"
	is "$1: nothing is stored" "$(stored)" ''
}

# accepted NAME SIGNER
accepted()
{
	is "$1: accepted" "$status" 0
	like "$1: it says whose signature it is" "$err" "signature verified:"
	like "$1: by user ID" "$err" "$2 key <$2@example.com>"
	is "$1: the image is stored" "$(images)" example.com/app
}

for case in good.aci.asc:good good.aci.sig:good subkey.aci.asc:subkey both.aci.asc:good \
	blocks.aci.asc:good old-sha1.aci.asc:old; do
	signature=${case%:*}
	new "${case#*:}"
	put "$signature"
	tripod fetch "$WORK/image.aci"
	accepted "$signature" "${case#*:}"
done
new expired
put expired-key.aci.asc
tripod fetch "$WORK/image.aci"
accepted 'a key that has expired since' expired
like 'a key that has expired since: there is a warning' "$err" 'it expired on 2021-01-01'
mkdir -p "$WORK/local/policy.d"
echo '{"rktKind": "signaturePolicy", "rktVersion": "v1", "expiredKeys": "reject"}' \
	>"$WORK/local/policy.d/strict.json"
rm -rf "$DATA"
tripod fetch "$WORK/image.aci"
refused 'a key that has expired since, on a strict host' 'which expired on 2021-01-01'

# refusals, where all keys but one are trusted
while read -r signature says; do
	new good expired subkey old weak
	tripod trust --skip-fingerprint-review --prefix=example.com "$FIXTURES/revoked.key.asc"
	put "$signature"
	tripod fetch "$WORK/image.aci"
	refused "$signature" "$says"
done <<'END'
other.aci.asc openpgp: signature made by unknown entity
revoked.aci.asc which is revoked
expired.aci.asc the signature by key .* expired on 2020-03-01
late.aci.asc which had expired on 2021-01-01
future.aci.asc of a day to come
tar.aci.asc bad signature
sha1.aci.asc uses SHA1
md5.aci.asc uses MD5
ripemd.aci.asc uses RIPEMD160
weak-key.aci.asc nothing valid allows
text.aci.asc not of the kind that signs files
message.aci.asc not a detached OpenPGP signature
clear.aci.asc not a detached OpenPGP signature
good.key.asc not a detached OpenPGP signature
END
new
put good.aci.asc
tripod fetch "$WORK/image.aci"
refused 'no key at all' 'no key is trusted for example.com/app'
new good
put ''
tripod fetch "$WORK/image.aci"
refused 'unsigned' 'image.aci.asc: No such file'
tripod --debug fetch "$WORK/image.aci"
like 'unsigned: with --debug it says what failed' "$err" 'error opening signature file'
for junk in empty large noise; do
	case $junk in
	empty) : >"$WORK/image.aci.asc" ;;
	large) head -c 1048577 /dev/zero >"$WORK/image.aci.asc" ;;
	noise) head -c 300 /dev/urandom >"$WORK/image.aci.asc" ;;
	esac
	tripod fetch "$WORK/image.aci"
	refused "$junk for a signature" 'image.aci'
done

# changed after signing: every byte counts, also those after the archive
put good.aci.asc
printf 'x' >>"$WORK/image.aci"
tripod fetch "$WORK/image.aci"
refused 'bytes after the end' 'bad signature'
put good.aci.asc
printf '\377' | dd of="$WORK/image.aci" bs=1 seek=9 conv=notrunc 2>/dev/null
[ "$(gzip -dc "$WORK/image.aci" | cmp - "$FIXTURES/image.tar")" ] && bail 'the content changed'
tripod fetch "$WORK/image.aci"
refused 'a byte of the header that decompression does not mind' 'bad signature'
put good.aci.asc
truncate -s -1 "$WORK/image.aci"
tripod fetch "$WORK/image.aci"
refused 'a byte less' 'bad signature'

# prefixes
rm -rf "$WORK/local"
put good.aci.asc
for prefix in example.org example.com/ap example.com/app/x; do
	rm -rf "$WORK/local"
	tripod trust --skip-fingerprint-review --prefix=$prefix "$FIXTURES/good.key.asc"
	tripod fetch "$WORK/image.aci"
	refused "the key is for $prefix" 'not trusted for example.com/app'
done
tripod trust --skip-fingerprint-review --root "$FIXTURES/good.key.asc"
GOOD=$(cat "$FIXTURES/good.fingerprint")
: >"$WORK/local/trustedkeys/prefix.d/$(echo example.com/app/x | cut -d/ -f1-2)/$GOOD"
tripod fetch "$WORK/image.aci"
refused 'the root key is masked for the name' 'not trusted for example.com/app'
rm "$WORK/local/trustedkeys/prefix.d/example.com/app/$GOOD"
cp "$FIXTURES/other.key.asc" "$WORK/local/trustedkeys/root.d/$GOOD"
tripod fetch "$WORK/image.aci"
refused 'a key file of another key' 'holds the key '

# where the signature is
new good
put ''
tripod fetch "$WORK/image.aci" --signature="$FIXTURES/good.aci.asc"
accepted '--signature names another file' good
rm -rf "$DATA"
tripod --insecure-options=image fetch "$WORK/image.aci"
is 'unverified when told so: taken' "$status" 0
like 'and said' "$err" 'verification has been disabled'

# by name: the signature comes first, and keys by discovery when that is wanted
mkdir -p "$WORK/web/example.com"
cat >"$WORK/web/example.com/index.html" <<'EOM'
<meta name="ac-discovery" content="example.com https://example.com/{name}.{ext}">
<meta name="ac-discovery-pubkeys" content="example.com https://example.com/key.asc">
EOM
mkdir "$WORK/web/example.com/example.com"
cp "$FIXTURES/good.key.asc" "$WORK/web/example.com/key.asc"
cp "$FIXTURES/image.aci" "$WORK/web/example.com/example.com/app.aci"
web "$WORK/web" example.com sign.example.com
# sign SIGNATURE: what the server has for one
sign()
{
	cp "$FIXTURES/$1" "$WORK/web/example.com/example.com/app.aci.asc"
	: >"$WORK/requests"
}
asked()
{
	grep -c "https://example.com/$1 " "$WORK/requests"
}

new good
sign good.aci.asc
tripod fetch example.com/app
accepted 'by name' good
new good
sign other.aci.asc
tripod fetch example.com/app
refused 'by name, of an unknown signer' 'openpgp: signature made by unknown entity'
is 'the image was not even asked for' "$(asked example.com/app.aci)" 0
new good
sign tar.aci.asc
tripod fetch example.com/app
refused 'by name, of other bytes' 'bad signature'
rm "$WORK/web/example.com/example.com/app.aci.asc"
: >"$WORK/requests"
tripod --debug fetch example.com/app
is 'by name, unsigned: refused' "$status $(stored)" '254 '
like 'by name, unsigned: it says what failed' "$err" 'error downloading the signature file'
is 'by name, unsigned: the image was not asked for' "$(asked example.com/app.aci)" 0
new
sign good.aci.asc
tripod fetch example.com/app
refused 'by name, without any key' 'no key is trusted for example.com/app'
tripod --trust-keys-from-https fetch example.com/app
accepted 'by name, with keys from https' good
like 'by name, with keys from https: it says so' "$err" 'Added key for prefix "example.com/app"'
rm -rf "$DATA"
: >"$WORK/requests"
tripod --trust-keys-from-https fetch example.com/app
is 'a second time' "$status" 0
like 'there are keys already' "$err" 'keys already exist for prefix "example.com/app"'
is 'and they are not fetched again' "$(asked key.asc)" 0
new other
cp "$FIXTURES/other.key.asc" "$WORK/web/example.com/key.asc"
tripod --trust-keys-from-https fetch example.com/app
refused 'keys there are keep new ones from being fetched' 'signature made by unknown entity'

# on a terminal: the key that discovery finds is shown, and asked about
ask()
{
	run python3 tests/e2e/ask.py "$1" "$TRIPOD" --dir="$DATA" --system-config="$WORK/system" \
		--local-config="$WORK/local" fetch example.com/app
}
cp "$FIXTURES/good.key.asc" "$WORK/web/example.com/key.asc"
new
ask no
is 'a key that is declined: refused' "$status $(stored)" '254 '
like 'it was shown' "$out" 'gpg key fingerprint is: .*'
like 'and the signer stays unknown' "$out" 'signature made by unknown entity'
is 'nothing was trusted' "$(find "$WORK/local" -type f 2>/dev/null)" ''
ask yes
is 'a key that is trusted: accepted' "$status $(images)" '0 example.com/app'
rm -rf "$DATA"
ask ''
is 'the next time nobody is asked' "$status $(printf '%s\n' "$out" | grep -c yes/no)" '0 0'

# images of layouts, by policy
DIGEST=$(tar -xOf "$FIXTURES/oci.tar" index.json | sed 's/.*"digest": "\(sha256:[0-9a-f]*\)".*/\1/')
cp "$FIXTURES/oci.tar" "$WORK/oci.tar"
# rule ACCEPT: one rule for all archives
rule()
{
	mkdir -p "$WORK/local/policy.d"
	echo "{\"rktKind\": \"imagePolicy\", \"rktVersion\": \"v1\",
		\"images\": [\"oci-archive:$WORK\"], \"accept\": [$1]}" >"$WORK/local/policy.d/x.json"
}
new good
tripod fetch "oci-archive:$WORK/oci.tar"
refused 'without a policy' 'insecure-options=image'
rule '{"digests": ["sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"]}'
tripod fetch "oci-archive:$WORK/oci.tar"
refused 'another digest is listed' "$DIGEST is not listed"
rule ''
tripod fetch "oci-archive:$WORK/oci.tar"
refused 'the rule rejects' 'rejects it'
rule "{\"digests\": [\"$DIGEST\"]}"
tripod fetch "oci-archive:$WORK/oci.tar"
is 'the digest is listed: accepted' "$status" 0
like 'the digest is listed: it says so' "$err" 'is accepted by the image policy'
rm -rf "$DATA"
rule "{\"signature\": \"$WORK/sigs/{digest}.asc\"}, {\"signature\": \"https://sign.example.com/{hex}.asc\"}"
tripod fetch "oci-archive:$WORK/oci.tar"
refused 'there is no signature' 'bad HTTP status code: 404'
mkdir -p "$WORK/sigs" "$WORK/web/sign.example.com"
cp "$FIXTURES/oci.asc" "$WORK/web/sign.example.com/${DIGEST#sha256:}.asc"
tripod fetch "oci-archive:$WORK/oci.tar"
refused 'a key for a prefix is none for local images' 'trust --root'
tripod trust --root --skip-fingerprint-review "$FIXTURES/good.key.asc"
tripod fetch "oci-archive:$WORK/oci.tar"
is 'a signature from a server: accepted' "$status" 0
like 'a signature from a server: it says whose' "$err" 'good key <good@example.com>'
rm -rf "$DATA" "$WORK/web/sign.example.com"
cp "$FIXTURES/oci-other.asc" "$WORK/sigs/$DIGEST.asc"
tripod fetch "oci-archive:$WORK/oci.tar"
refused 'a signature of somebody' 'unknown entity'
cp "$FIXTURES/good.aci.asc" "$WORK/sigs/$DIGEST.asc"
tripod fetch "oci-archive:$WORK/oci.tar"
refused 'a signature of something else' 'bad signature'
cp "$FIXTURES/oci.asc" "$WORK/sigs/$DIGEST.asc"
tripod fetch "oci-archive:$WORK/oci.tar"
is 'a signature from a file: accepted' "$status" 0
done_testing
