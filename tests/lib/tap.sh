# Test cases and assertions for bash; to be sourced. A case is a function run by `t`; every assertion that fails says
# what it expected and what it saw, and the case goes on, so that one run tells all. `finish` prints the count that
# tests/run reads; a script that ends without it has failed.
# shellcheck shell=bash

tap_passed=0
tap_failed=0
tap_skipped=0
tap_finished=false
: "${work:=$(mktemp -d)}" # the test's own folder, gone afterwards
# What a case says of itself stands in files, so that an assertion in a pipeline or a subshell counts like any other.

t() { # t NAME COMMAND...: one test case
	local name=$1 status=0
	shift
	rm -f "$work/case.failed" "$work/case.skipped"
	"$@" >"$work/case.log" 2>&1 || status=$?
	if ! case_has_failed && [ -e "$work/case.skipped" ]; then
		tap_skipped=$((tap_skipped + 1))
		echo "skipped - $name: $(cat "$work/case.skipped")"
	elif ! case_has_failed && [ "$status" -eq 0 ]; then
		tap_passed=$((tap_passed + 1))
		echo "ok - $name"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok - $name"
		[ -s "$work/case.log" ] || echo "exit status $status" >"$work/case.log"
		sed 's/^/    /' "$work/case.log"
	fi
}

case_has_failed() { [ -e "$work/case.failed" ]; }

skip() { # skip REASON: this case cannot run here; `return` afterwards
	echo "$*" >"$work/case.skipped"
}

wrong() { # wrong TEXT...: the case has failed, and this is why
	local frame=1
	: >"$work/case.failed"
	# The line in the test itself, not in the assertion that called us.
	while [ $frame -lt ${#BASH_SOURCE[@]} ] && [ "${BASH_SOURCE[$frame]}" != "$0" ]; do frame=$((frame + 1)); done
	echo "line ${BASH_LINENO[$((frame - 1))]}: $*"
}

expect_equal() { # expect_equal WHAT EXPECTED SEEN
	[ "$2" = "$3" ] || wrong "$1: expected '$2', seen '$3'"
}

expect_same() { # expect_same WHAT FILE FILE: equal texts, else the difference
	cmp -s "$2" "$3" && return
	wrong "$1: differs (< expected, > seen)"
	diff "$2" "$3" | head -n 40
	return 0
}

expect_exit() { # expect_exit STATUS COMMAND...: its output is kept in $out and $errors
	local wanted=$1 status=0
	shift
	out=$work/out
	errors=$work/errors
	"$@" >"$out" 2>"$errors" || status=$?
	[ "$status" = "$wanted" ] && return
	wrong "exit status of '$*': expected $wanted, seen $status"
	sed 's/^/  > /' "$out" | head -n 30
	sed 's/^/  2> /' "$errors" | head -n 30
}

expect_text() { # expect_text FILE PATTERN...: each (grep -E) is in the file
	local file=$1 pattern
	shift
	for pattern; do
		grep -qE -- "$pattern" "$file" && continue
		wrong "expected /$pattern/ in $(basename "$file"), seen:"
		head -n 30 "$file" | sed 's/^/  > /'
	done
}

expect_no_text() { # expect_no_text FILE PATTERN
	grep -E -- "$2" "$1" >"$work/unwanted" || return 0
	wrong "expected no /$2/ in $(basename "$1"), seen:"
	head -n 10 "$work/unwanted" | sed 's/^/  > /'
}

finish() {
	tap_finished=true
	echo "$tap_passed passed, $tap_failed failed, $tap_skipped skipped"
	[ "$tap_failed" -eq 0 ] || exit 1
	exit 0
}

tap_end() {
	local status=$?
	if ! $tap_finished; then
		echo "not ok - the script ended early, with exit status $status"
		[ ! -s "$work/case.log" ] || sed 's/^/    /' "$work/case.log"
		echo "$tap_passed passed, $((tap_failed + 1)) failed, $tap_skipped skipped"
		status=1
	fi
	rm -rf "$work"
	exit "$status"
}
trap tap_end EXIT
