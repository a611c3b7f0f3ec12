#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every command has its page, and the pages tell of the options there are.
. tests/e2e/tap.sh

# the pages tell of everything there can be
export RKT_EXPERIMENT_APP=true RKT_EXPERIMENT_ATTACH=true

run "$TRIPOD" help
commands=$(printf '%s\n' "$out" | sed -n '/^COMMANDS:/,/^$/s/^	\([a-z -]*\)	.*/\1/p')
ok 'there are commands' test "$(echo "$commands" | wc -l)" -gt 5
is 'every command has a page, and every page a command' \
	"$(cd docs && printf '%s\n' tripod-*.md | sort)" \
	"$(echo "$commands" | sed 's/ /-/;s/.*/tripod-&.md/' | sort)"
for page in docs/tripod.md docs/tripod-*.md; do
	docs/fill-options "$BUILD/libexec/tripod-doc-options" "$page" >"$WORK/page"
	is "$page has the options of the table (make docs-options)" \
		"$(diff "$page" "$WORK/page")" ''
done
while read -r command; do
	page=tripod-$(echo "$command" | tr ' ' -).md
	# shellcheck disable=SC2086 # one word or two
	run "$TRIPOD" $command --help
	is "$command --help succeeds" "$status" 0
	like "$command --help shows its usage" "$out" "^	tripod $command"
	unlike "$command --help is lines of text" "$out" '\\n'
	help=$out
	# shellcheck disable=SC2086
	run "$TRIPOD" help $command
	is "help $command says the same" "$out" "$help"
	summary=$(printf '%s\n' "$help" | sed -n "s/^	$command - //p")
	is "the page of $command has its summary" "$(head -n 1 "docs/$page")" \
		"# tripod $command: $summary"
	like "tripod.md lists $command" "$(cat docs/tripod.md)" \
		"^\\| \\[$command\\]\\($page\\) \\| $summary \\|\$"
done <<EOF
$commands
EOF

for group in app attest image; do
	run "$TRIPOD" $group
	is "$group alone succeeds" "$status" 0
	like "$group alone shows its commands" "$out" "^	$group [a-z-]+	"
	help=$out
	run "$TRIPOD" $group nonsense
	is "$group with an unknown command shows the same" "$status $out" "0 $help"
	run "$TRIPOD" $group --nonsense
	is "$group with an unknown flag is a usage error" "$status" 254
	run "$TRIPOD" help $group nonsense
	is "help on it too" "$status" 254
done

run "$TRIPOD" completion bash
"$TRIPOD" completion bash >"$WORK/completion"
ok 'the completion is a bash script' bash -n "$WORK/completion"
# shellcheck disable=SC2016 # for bash
complete='. "$1"; shift; COMP_WORDS=(tripod "$@"); COMP_CWORD=$#; compopt() { :; }; _tripod
	echo "${COMPREPLY[*]}"'
is 'it completes commands' "$(bash -c "$complete" - "$WORK/completion" ver)" version
is 'it completes options of the command' \
	"$(bash -c "$complete" - "$WORK/completion" run --work)" '--working-dir='
is 'it completes global options anywhere' \
	"$(bash -c "$complete" - "$WORK/completion" gc --deb)" '--debug'
is 'it completes the words of groups' \
	"$(bash -c "$complete" - "$WORK/completion" im)" image
is 'it completes the commands of a group' \
	"$(bash -c "$complete" - "$WORK/completion" image cat-)" cat-manifest
is 'it completes their options' \
	"$(bash -c "$complete" - "$WORK/completion" image cat-manifest --pre)" '--pretty-print'
run "$TRIPOD" completion fish
is 'an unknown shell is refused' "$status" 254
done_testing
