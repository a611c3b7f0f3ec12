#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Keys get into the keystore by file, URL and discovery, after a question or without, and nothing
# that is not one public key does.
. tests/e2e/tap.sh
. tests/e2e/web.sh

KEYS=$TOP/tests/trust
STORE=$WORK/local/trustedkeys
GOOD=$(cat "$KEYS/good.fingerprint")
# as it is shown: groups of four, a wider space in the middle
SHOWN=$(echo "$GOOD" | tr a-f A-F | sed 's/..../& /g; s/^\(.\{24\}\) */\1  /; s/ $//')

trust()
{
	run "$TRIPOD" --dir="$DATA" --system-config="$WORK/system" --local-config="$WORK/local" trust "$@"
}

trust
is 'without arguments: usage' "$status" 254
like 'on stdout' "$out" '^USAGE:'
trust "$KEYS/good.key.asc"
is 'a key for nothing is refused' "$status" 254
like 'with an explanation' "$err" '^trust: .*--prefix.*--root'
trust --root
is 'keys for all names are not looked for' "$status" 254
for prefix in https://example.com 'example.com/*' ../x /etc example.com/ ''; do
	trust --skip-fingerprint-review --prefix="$prefix" "$KEYS/good.key.asc"
	is "\"$prefix\" is no prefix" "$status" 254
done
trust --root --prefix=example.com "$KEYS/good.key.asc"
is 'root and prefix exclude each other' "$status" 254
run "$TRIPOD" --insecure-options=image --local-config="$WORK/local" trust --root "$KEYS/good.key.asc"
is 'without verification there is nothing to trust' "$status" 254
trust --prefix=example.com "$KEYS/good.key.asc"
is 'without a terminal nobody can be asked' "$status" 254
like 'the key is shown' "$err" \
	"^gpg key fingerprint is: $SHOWN\$"
like 'with who it says it is' "$err" 'good key <good@example.com>'
like 'and what to do is said' "$err" 'skip-fingerprint-review'
is 'nothing was stored' "$(find "$WORK/local" -type f 2>/dev/null)" ''

trust --prefix=example.com/app --skip-fingerprint-review "$KEYS/good.key.asc"
is 'a key is added' "$status" 0
like 'it says so' "$err" \
	"Added key for prefix \"example.com/app\" at \"$STORE/prefix.d/example.com/app/$GOOD\""
like 'and that nobody looked at it' "$err" 'without fingerprint review'
ok 'the file is the key' cmp "$KEYS/good.key.asc" "$STORE/prefix.d/example.com/app/$GOOD"
is 'everybody may read it' "$(stat -c %a "$STORE/prefix.d/example.com/app/$GOOD" "$STORE" | xargs)" \
	'644 755'
trust --root --skip-fingerprint-review "$KEYS/good.key.gpg"
is 'a binary key is added for all names' "$status" 0
like 'as a root key' "$err" "Added root key at \"$STORE/root.d/$GOOD\""
is 'as text' "$(head -n 1 "$STORE/root.d/$GOOD")" '-----BEGIN PGP PUBLIC KEY BLOCK-----'

# hostile files
head -c 1048577 /dev/zero >"$WORK/large"
: >"$WORK/empty"
for file in "$KEYS/two.key.asc" "$KEYS/blocks.key.asc" "$KEYS/secret.key.asc" "$KEYS/secret.key.gpg" \
	"$KEYS/good.aci.asc" "$KEYS/image.aci" "$WORK/large" "$WORK/empty" "$WORK/none" /dev/zero; do
	trust --prefix=example.org --skip-fingerprint-review "$file"
	is "${file##*/} is not one public key" "$status" 254
	is "${file##*/}: a line says why" "$(printf '%s\n' "$err" | grep -c .)" 1
done
is 'and none of them was stored' "$(find "$STORE/prefix.d" -name example.org)" ''
trust --prefix=example.org --skip-fingerprint-review "$WORK/none" "$KEYS/other.key.asc"
is 'a failure is not forgotten over a success' "$status" 254
is 'and does not keep other keys out' "$(find "$STORE/prefix.d/example.org" -type f | wc -l)" 1

# the question, on a terminal
ask()
{
	answers=$1
	shift
	run python3 tests/e2e/ask.py "$answers" "$TRIPOD" --dir="$DATA" --system-config="$WORK/system" \
		--local-config="$WORK/local" trust "$@"
}
ask no --prefix=example.net "$KEYS/subkey.key.asc"
is 'no is no' "$status $(find "$STORE/prefix.d" -name example.net)" '254 '
ask perhaps,yes --prefix=example.net "$KEYS/subkey.key.asc"
is 'yes, after being asked again, is yes' "$status" 0
is 'it was asked twice' "$(printf '%s\n' "$out" | grep -c 'Are you sure you want to trust this key')" 2
like 'subkeys are shown' "$out" 'Subkey fingerprint: [0-9A-F]{4} [0-9A-F]{4}'
like 'a review took place' "$out" 'after fingerprint review'
is 'the key is there' "$(find "$STORE/prefix.d/example.net" -type f | wc -l)" 1
ask yes --prefix=example.net "$KEYS/revoked.key.asc"
like 'a revoked key is shown as such' "$out" 'This key is revoked'

# from servers
mkdir -p "$WORK/web/example.com/deep" "$WORK/web/plain.example.com"
cp "$KEYS/good.key.asc" "$WORK/web/example.com/key.asc"
cp "$KEYS/other.key.asc" "$WORK/web/plain.example.com/key.asc"
head -c 1048577 /dev/zero >"$WORK/web/example.com/large"
echo http://plain.example.com/key.asc >"$WORK/web/example.com/down.redirect"
cat >"$WORK/web/example.com/index.html" <<'EOM'
<html><head><meta name="ac-discovery-pubkeys" content="example.com https://example.com/key.asc">
</head></html>
EOM
cat >"$WORK/web/plain.example.com/index.html" <<'EOM'
<meta name="ac-discovery-pubkeys" content="plain.example.com http://plain.example.com/key.asc">
EOM
web "$WORK/web" example.com plain.example.com
rm -rf "$WORK/local"

trust --prefix=example.com --skip-fingerprint-review https://example.com/key.asc
is 'a key comes by https' "$status $(find "$STORE" -type f)" \
	"0 $STORE/prefix.d/example.com/$GOOD"
rm -rf "$WORK/local"
trust --prefix=example.com/deep/er --skip-fingerprint-review
is 'a prefix leads to its keys' "$status $(find "$STORE" -type f)" \
	"0 $STORE/prefix.d/example.com/deep/er/$GOOD"
rm -rf "$WORK/local"
trust --prefix=plain.example.com --skip-fingerprint-review
is 'a key by plain http is not taken' "$status" 254
trust --prefix=plain.example.com --skip-fingerprint-review http://plain.example.com/key.asc
is 'nor when it is named' "$status" 254
trust --prefix=example.com --skip-fingerprint-review https://example.com/down
is 'nor when https leads there' "$status" 254
trust --prefix=example.com --skip-fingerprint-review ftp://example.com/key.asc
is 'other ways there are none' "$status" 254
trust --prefix=example.com --skip-fingerprint-review https://example.com/none
is 'what is not there is an error' "$status" 254
like 'with its status' "$err" 'bad HTTP status code: 404'
trust --prefix=example.com --skip-fingerprint-review https://example.com/large
is 'a body without end ends' "$status" 254
is 'nothing was stored by any of these' "$(find "$WORK/local" -type f 2>/dev/null)" ''
trust --prefix=plain.example.com --skip-fingerprint-review --insecure-allow-http
is 'plain http is taken when it is allowed' "$status $(find "$STORE" -type f | wc -l)" '0 1'
done_testing
