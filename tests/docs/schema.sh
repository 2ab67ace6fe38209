#!/bin/bash
# docs/schema.json is what dflyguard writes: all golden files and the examples in docs/json.md are valid, and it would be
# noticed if a key were missing, unknown or of another type. Real output is in kernel/json.
. "$(dirname "$0")/../lib/guard.sh"
cd "$root" || exit 2
goldens=(tests/golden/*/*.json)
validate() { # validate [--spoil | --cover] FILE...
	expect_exit 0 tests/lib/json_schema.pl "$@"
}
tests/lib/json_schema.pl "${goldens[0]}" >"$work/first"
[ $? != 77 ] || { cat "$work/first"; exit 77; }

all_goldens() {
	[ ${#goldens[@]} -ge 80 ] || wrong "there are only ${#goldens[@]} golden files"
	validate "${goldens[@]}"
	expect_text "$out" "^${#goldens[@]} objects$"
}
t "all golden files are valid" all_goldens

t "nothing is in the schema that no golden file has" validate --cover "${goldens[@]}"

t "a missing key, an unknown one, and a value of another type are noticed" validate --spoil "${goldens[@]}"

examples() { # `...` on a line of its own stands for what was left out
	awk -v to="$work/example." '/^```json/ { file = to (++n); next } /^```/ { file = "" }
		file && !/^ *\.\.\.$/ { print >file }' docs/json.md
	local file
	for file in "$work"/example.*; do sed -zi 's/,\n\( *[]}]\)/\n\1/g' "$file"; done
	validate "$work"/example.*
	local command
	for command in check explain plan apply confirm audit watch checks status log; do
		grep -qF "\"command\": \"$command\"" "$work"/example.* || wrong "docs/json.md shows no '$command'"
	done
}
t "the examples in docs/json.md are valid" examples

# SARIF: what of it we write.
sarif() {
	local mode logs=(tests/golden/*/*.sarif)
	[ ${#logs[@]} -ge 4 ] || wrong "there are only ${#logs[@]} golden files"
	for mode in "" --cover --spoil; do
		# shellcheck disable=SC2086
		expect_exit 0 tests/lib/json_schema.pl --sarif $mode "${logs[@]}"
	done
	# A rule's index is its place among the rules.
	awk '/"rules": \[/ { on = 1 } /"invocations"/ { on = 0 } on && $1 == "\"id\":" { rule[n++] = $2 }
		$1 == "\"ruleId\":" { id = $2 } $1 == "\"ruleIndex\":" { seen++; if (rule[$2 + 0] != id) print id, rule[$2 + 0] }
		END { if (seen < 5) print "nothing was compared" }' tests/golden/report/audit-waived.sarif >"$work/strange"
	expect_same "rules with another index" /dev/null "$work/strange"
}
t "the same for SARIF, by tests/sarif-subset.json" sarif

# What the validator itself must not let pass.
refuses() { # refuses TEXT: in a file
	printf '%s' "$1" >"$work/bad.json"
	expect_exit 1 tests/lib/json_schema.pl "$work/bad.json"
}
nonsense() {
	refuses ''
	refuses '{}'
	refuses '[]'
	refuses 'null'
	refuses '{"schema": 1, "command": "mystery", "version": "1", "environment": null}'
	refuses "$(cat tests/golden/report/confirmed.json) rest"
	refuses "$(head -n -1 tests/golden/report/confirmed.json)"
	refuses "$(cat tests/golden/report/confirmed.json) $(sed 's/"confirmed": true/"confirmed": "true"/' tests/golden/report/confirmed.json)"
	refuses "$(sed 's/"command": "confirm"/"command": "plan"/' tests/golden/report/confirmed.json)"
}
t "what is no JSON, or that of another command, is refused" nonsense
finish
