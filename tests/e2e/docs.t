#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every command has its page, and the pages tell of the options there are.
. tests/e2e/tap.sh

run "$TRIPOD" help
commands=$(printf '%s\n' "$out" | sed -n '/^COMMANDS:/,/^$/s/^	\([a-z-]*\)	.*/\1/p')
ok 'there are commands' test "$(echo "$commands" | wc -l)" -gt 5
is 'every command has a page, and every page a command' \
	"$(cd docs && ls tripod-*.md)" "$(echo "$commands" | sort | sed 's/.*/tripod-&.md/')"
for page in docs/tripod.md docs/tripod-*.md; do
	docs/fill-options "$BUILD/libexec/tripod-doc-options" "$page" >"$WORK/page"
	is "$page has the options of the table (make docs-options)" \
		"$(diff "$page" "$WORK/page")" ''
done
for command in $commands; do
	run "$TRIPOD" "$command" --help
	is "$command --help succeeds" "$status" 0
	like "$command --help shows its usage" "$out" "^	tripod $command"
	help=$out
	run "$TRIPOD" help "$command"
	is "help $command says the same" "$out" "$help"
	summary=$(printf '%s\n' "$help" | sed -n "s/^	$command - //p")
	is "the page of $command has its summary" "$(head -n 1 "docs/tripod-$command.md")" \
		"# tripod $command: $summary"
	like "tripod.md lists $command" "$(cat docs/tripod.md)" \
		"^\\| \\[$command\\]\\(tripod-$command.md\\) \\| $summary \\|\$"
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
run "$TRIPOD" completion fish
is 'an unknown shell is refused' "$status" 254
done_testing
