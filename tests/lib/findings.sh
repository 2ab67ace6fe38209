# What an audit found, one finding a line, for tests of the posture; to be sourced after guard.sh. And a server for it to
# look at: doors (tests/kernel/doors.c) under the name dragonfly.
# shellcheck shell=bash
: "${work:?}" "${build:?}" "${dflyguard:?}"
findings=$work/findings

look() { # look [OPTION...]: audits; $findings has lines `OUTCOME CHECK SUBJECT: MESSAGE`, $looked the exit status
	looked=0
	guard --format json audit "$@" >"$work/look" 2>"$work/look.errors" || looked=$?
	awk -F'": ' '
		function value() { sub(/^"/, "", $2); sub(/",?$/, "", $2); return $2 }
		{ name = $1; sub(/^ *"/, "", name); sub(/^[^:]*": /, ""); rest = $0; $0 = "x\": " rest }
		name == "id" { id = value() }
		name == "outcome" { outcome = value() }
		name == "subject" && id { subject = value() }
		name == "message" && id { print outcome, id, subject ": " value(); id = "" }' "$work/look" >"$findings"
	[ -s "$findings" ] || wrong "no findings: $(cat "$work/look" "$work/look.errors")"
}
row() { # row OUTCOME CHECK PATTERN: there is one
	grep -qE "^$1 $2 .*($3)" "$findings" && return
	wrong "expected $1 $2 /$3/, seen: $(grep -F " $2 " "$findings")"
}
no_row() { # no_row OUTCOME CHECK [PATTERN]: there is none
	! grep -qE "^$1 $2 .*(${3-})" "$findings" || wrong "not expected: $(grep -E "^$1 $2 .*(${3-})" "$findings")"
}

doors() { # doors DOOR... [-- ARGUMENT...]: a server named dragonfly with these doors; its process is $server
	local list=()
	while [ $# -gt 0 ] && [ "$1" != -- ]; do list+=("$1"); shift; done
	[ $# -eq 0 ] || shift
	[ -e "$work/dragonfly" ] || install -m 755 "$build/tests/kernel/doors" "$work/dragonfly"
	# shellcheck disable=SC2154 # start sets it
	DOORS=${list[*]} start "$work/doors" ${doors_as-} "$work/dragonfly" "$@" && server=$started
}
stop() {
	kill "$server"
	wait "$server" 2>/dev/null
	return 0
}
