#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What goes wrong before the VM: one clear line, status 254, nothing left behind.
. tests/e2e/tap.sh
. tests/e2e/stub.sh

export GC_LOG=/dev/null
app=$WORK/app.aci
make_app "$app" web
make_stage1 "$WORK/stage1.aci" 6 <<'EOM'
#!/bin/sh
echo ran
EOM
stage1=--stage1-path=$WORK/stage1.aci
run_tripod run "$stage1" "$app"
is 'the stubs work' "$status $out" '0 ran'
run_tripod gc --grace-period=0s

# fails NAME ERE: the run before failed as it should, and its one line says ERE
fails()
{
	is "$1: status 254" "$status" 254
	is "$1: one line" "$(printf '%s\n' "$err" | wc -l | tr -d ' ')" 1
	like "$1: the line says why" "$err" "^run: .*$2"
	is "$1: nothing on stdout" "$out" ''
	is "$1: nothing is left" "$(find "$DATA"/pods/*/* "$DATA"/cas/tmp/* 2>/dev/null)" ''
}

# references
run_tripod run "$stage1" "$WORK/none.aci"
fails 'no such file' 'none.aci: No such file or directory'
run_tripod run "$stage1" "$WORK"
fails 'a directory' 'is a directory'
for ref in docker://busybox docker:busybox https://example.com/x.aci example.com/app:1 app \
	sha512-0123456789abcdef; do
	run_tripod run --pull-policy=never "$stage1" "$ref"
	fails "reference $ref" 'unable to fetch.*image from .* "'
done
run_tripod run "$stage1" "file://$app"
is 'a file URL works' "$status" 0
run_tripod gc --grace-period=0s
mkdir -p "$WORK/user/stage1.d"
echo "{\"rktKind\": \"stage1\", \"rktVersion\": \"v1\", \"location\": \"$WORK/stage1.aci\"}" \
	>"$WORK/user/stage1.d/x.json"
signed()
{
	run "$TRIPOD" --dir="$DATA" --user-config="$WORK/user" --local-config="$WORK/none" "$@"
}
signed run "$app"
fails 'an unsigned image' "error opening signature file: $app.asc"
echo >"$app.asc"
signed run "$app"
fails 'a signature that is none' 'signature'
rm "$app.asc"
signed run "$stage1" "$app"
fails 'an unsigned stage1' 'stage1: .*error opening signature file'
run_tripod --user-config="$WORK/user" run "$app"
is 'the configured stage1 needs no option' "$status $out" '0 ran'
run_tripod gc --grace-period=0s
mkdir -p "$WORK/user/paths.d"
echo "{\"rktKind\": \"paths\", \"rktVersion\": \"v1\", \"stage1-images\": \"$WORK/images\"}" \
	>"$WORK/user/paths.d/x.json"
mkdir "$WORK/images" && cp "$WORK/stage1.aci" "$WORK/images/mine.aci"
signed run --stage1-from-dir=mine.aci "$app"
fails 'a stage1 of the directory for them needs no signature, the app does' "$app.asc"
run_tripod --user-config="$WORK/user" run --stage1-from-dir=mine.aci "$app"
is 'and runs' "$status $out" '0 ran'
run_tripod run --stage1-url="file://$WORK/stage1.aci" "$app"
is 'a stage1 by URL runs' "$status $out" '0 ran'
run_tripod run --stage1-name=example.com/stage1 "$app"
is 'a stage1 by name runs' "$status $out" '0 ran'
run_tripod run --stage1-hash="$(run_tripod fetch "$WORK/stage1.aci"; echo "$out")" "$app"
is 'a stage1 by ID runs' "$status $out" '0 ran'
run_tripod gc --grace-period=0s
run_tripod run --stage1-name=example.com/other --pull-policy=never "$app"
fails 'a stage1 that is not there' 'stage1: unable to fetch'
run_tripod run "$stage1" "$stage1" "$app"
fails 'two stage1' 'only one can be given'
run_tripod run "$stage1" --stage1-name=x "$app"
fails 'two ways to stage1' 'only one can be given'

# files that are no images
echo 'hello' >"$WORK/text.aci"
: >"$WORK/empty.aci"
head -c 100000 /dev/zero >"$WORK/zero.aci"
gzip -c "$WORK/text.aci" >"$WORK/gztext.aci"
gzip -c "$app" >"$WORK/whole.aci"
head -c $(($(wc -c <"$WORK/whole.aci") - 30)) "$WORK/whole.aci" >"$WORK/gzcut.aci"
head -c 3000 "$app" >"$WORK/tarcut.aci"
cp "$TRIPOD" "$WORK/elf.aci"
for image in text empty zero gztext gzcut tarcut elf; do
	run_tripod run "$stage1" "$WORK/$image.aci"
	fails "$image.aci" "$image.aci"
done
run_tripod run --stage1-path="$WORK/text.aci" "$app"
fails 'a stage1 that is no image' 'stage1: .*text.aci'

# images that can not run
sed_manifest()
{
	rm -rf "$WORK/make" && mkdir "$WORK/make" && tar -C "$WORK/make" -xf "$app"
	sed -i "$1" "$WORK/make/manifest"
	tar -C "$WORK/make" -cf "$WORK/odd.aci" manifest rootfs
}
sed_manifest 's/linux/freebsd/'
run_tripod run "$stage1" "$WORK/odd.aci"
fails 'another system' 'freebsd'
sed_manifest 's/amd64/aarch64/'
run_tripod run "$stage1" "$WORK/odd.aci"
fails 'another machine' 'bad arch "aarch64"'
sed_manifest 's/"labels"/"nolabels"/'
run_tripod run "$stage1" "$WORK/odd.aci"
fails 'no labels' 'missing os label in the image manifest'
sed_manifest 's/"exec"/"noexec"/'
run_tripod run "$stage1" "$WORK/odd.aci"
fails 'no program' 'use --exec'
sed_manifest 's/"app"/"noapp"/'
run_tripod run "$stage1" "$WORK/odd.aci"
fails 'no app' 'use --exec'
run_tripod run "$stage1" "$WORK/odd.aci" --exec=/x
is 'without an app --exec is enough' "$status" 0
run_tripod gc --grace-period=0s
sed_manifest 's/"user"/"nouser"/'
run_tripod run "$stage1" "$WORK/odd.aci"
fails 'no user' 'user is required'
sed_manifest 's/{/[/'
run_tripod run "$stage1" "$WORK/odd.aci"
fails 'no JSON' 'malformed JSON'
sed_manifest 's/"acVersion"/"acKind": "ImageManifest", "acVersion"/'
run_tripod run "$stage1" "$WORK/odd.aci"
fails 'a duplicate key' 'duplicate key'

# the command line
run_tripod run "$stage1"
fails 'no image' 'no image'
run_tripod run "$stage1" "$app" "$app"
fails 'two apps of one name' 'two apps are called web'
run_tripod run "$stage1" --interactive "$app" "$app"
fails 'interactive with two images' 'interactive'
run_tripod run "$stage1" "$app" --memory=4095
fails 'too little memory' '4095.* is less than 4096'
run_tripod run "$stage1" "$app" --cpu=fast
fails 'no quantity' 'cpu: "fast" is not a quantity'
run_tripod run "$stage1" "$app" --no-such-flag
fails 'an unknown flag after the image' 'unknown flag: --no-such-flag'
run_tripod run "$stage1" --hostname=a_b "$app"
fails 'no host name' 'hostname'
run_tripod run "$stage1" --set-env-file="$WORK/none" "$app"
fails 'no environment file' 'set-env-file.*No such file'
run_tripod run --no-such-flag "$app"
is 'an unknown flag before the image: status 254' "$status" 254
like 'an unknown flag before the image: usage on stdout' "$out" '^USAGE:'
is 'an unknown flag before the image: the error, then an empty line' \
	"$(cat "$WORK/err"; echo .)" "$(printf 'Error: unknown flag: --no-such-flag\n\n.')"
run "$TRIPOD" --dir=relative run --net=none "$app"
is 'a relative data directory: status 254' "$status" 254
like 'a relative data directory: the line says why' "$err" 'not an absolute path'
run "$TRIPOD"
is 'no command: status 2' "$status" 2
run "$TRIPOD" nonsense
is 'an unknown command: status 254' "$status" 254
like 'an unknown command: it is named' "$err" '^Error: unknown command "nonsense" for "tripod"'
is 'an unknown command: nothing on stdout' "$out" ''

# stage1
run_tripod run --stage1-path="$WORK/none.aci" "$app"
fails 'no stage1' 'stage1: .*none.aci'
run_tripod run --stage1-path="$app" "$app"
fails 'a stage1 without entry points' 'no annotation coreos.com/rkt/stage1/run'
make_stage1 "$WORK/bad.aci" 6 <<'EOM'
#!/no/such/interpreter
EOM
run_tripod run --stage1-path="$WORK/bad.aci" "$app"
fails 'a stage1 that can not be started' 'starting stage1: .*No such file or directory'
sed_stage1()
{
	rm -rf "$WORK/make" && mkdir "$WORK/make" && tar -C "$WORK/make" -xf "$WORK/stage1.aci"
	sed -i "$1" "$WORK/make/manifest"
	tar -C "$WORK/make" -cf "$WORK/bad.aci" manifest rootfs
}
sed_stage1 's,/sub/run,/../../../../../../../bin/true,'
run_tripod run --stage1-path="$WORK/bad.aci" "$app"
fails 'an entry point outside stage1' 'bad path'
run_tripod run "$stage1" --uuid-file-save="$WORK/no/dir" "$app"
fails 'a UUID file that can not be written' 'uuid-file-save'

# a read-only data directory, a full disk
if unshare -m true 2>/dev/null; then
	mkdir "$WORK/small"
	head -c 3000000 /dev/urandom >"$WORK/noise"
	rm -rf "$WORK/make" && mkdir "$WORK/make" && tar -C "$WORK/make" -xf "$app"
	cp "$WORK/noise" "$WORK/make/rootfs"
	tar -C "$WORK/make" -cf "$WORK/big.aci" manifest rootfs
	full()
	{
		# shellcheck disable=SC2016 # for the inner shell
		run unshare -m sh -c 'mount -t tmpfs -o size="$1" none "$2" || exit 99
			dir=$2; shift 2
			"$@"; status=$?
			find "$dir" -path "*/pods/*/*" -o -path "*/cas/tmp/*"
			exit $status' - "$1" "$WORK/small" "$TRIPOD" --dir="$WORK/small" \
			--insecure-options=image run --net=none "$stage1" "$WORK/big.aci"
		unwarned
	}
	full 64m
	is 'the image fits a larger disk' "$status $(echo "$out" | head -n 1)" '0 ran'
	for size in 4k 20k 64k 256k 1m 2m; do
		full $size
		fails "a full disk of $size" 'No space left on device'
	done
	# shellcheck disable=SC2016
	run unshare -m sh -c 'mount -t tmpfs -o ro none "$1" && shift && exec "$@"' - \
		"$WORK/small" "$TRIPOD" --dir="$WORK/small" --insecure-options=image run --net=none \
		"$stage1" "$app"
	fails 'a read-only data directory' 'Read-only file system'
else
	skip 'a full disk' 'no mount namespaces'
fi

no_leaks 'nothing else is left'
done_testing
