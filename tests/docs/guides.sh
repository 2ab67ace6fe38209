#!/bin/bash
# docs/hardening.md and docs/monitoring.md say what is there: every check is in the guide, and every check in it exists;
# the flags that they name are Dragonfly's, the commands and options the program's, the metrics and fields those that are
# written; the policy in them is good, and so is the flagfile.
. "$(dirname "$0")/../lib/guard.sh"
cd "$root" || exit 2
hardening=docs/hardening.md
monitoring=docs/monitoring.md
flags=tests/docs/dragonfly-flags.txt

blocks() { # blocks FILE LANGUAGE: all fenced blocks of this kind
	awk -v fence="\`\`\`$2" '/^```/ { if (inside) { inside = 0; next } inside = $0 == fence ? 1 : 2; next } inside == 1' "$1"
}
spans() { # spans FILE: everything between backticks, outside of blocks
	awk '/^```/ { inside = !inside; next } !inside' "$1" | grep -oE '`[^`]+`' | tr -d '`' | sort -u
}
at_least() { # at_least NUMBER WHAT FILE: or the page was not understood
	[ "$(wc -l <"$3")" -ge "$1" ] || wrong "fewer than $1 $2 were found"
}

checks() {
	"$dflyguard" --format json checks | sed -n 's/^ *"id": "\(.*\)",/\1/p' | sort >"$work/ids"
	at_least 20 checks "$work/ids"
	sed -n 's/^| `\([a-z_]*\.[a-z_]*\)` |.*/\1/p' $hardening | sort >"$work/told"
	# Asked by `audit --before-start` alone.
	{ cat "$work/ids"; echo start.binding; } | sort >"$work/all"
	expect_same "checks in the guide" "$work/all" "$work/told"
	# Each below the heading of its area.
	awk '/^## / { heading = $0 } /^\| `[a-z_]*\./ { split($0, part, "`"); split(part[2], name, ".")
		if (index(heading, name[1]) == 0) print part[2] " stands below " heading }' $hardening >"$work/misplaced"
	expect_equal "misplaced" '' "$(cat "$work/misplaced")"
	# Why and how are never empty.
	grep -E '^\| `[a-z_]*\.[a-z_]*` \|' $hardening | awk -F'|' 'NF < 5 || $3 ~ /^ *$/ || $4 ~ /^ *$/' >"$work/empty"
	expect_equal "rows without why or how" '' "$(cat "$work/empty")"
}
t "the guide has every check, with why and how, and no other" checks

dragonfly_flags() {
	{ spans $hardening; blocks $hardening flags; } | grep -oE '(^|[ ,])--[a-z_]+' | tr -d ' ,' | sed 's/^--//' | sort -u >"$work/flags"
	# Those of dflyguard stand behind its name.
	spans $hardening | grep '^dflyguard ' | grep -oE -e '--[a-z-]+' | sed 's/^--//' | sort -u >"$work/own"
	grep -vxFf "$work/own" "$work/flags" >"$work/theirs"
	at_least 15 flags "$work/theirs"
	while read -r flag; do
		grep -qxF "$flag" "$flags" || wrong "$hardening: Dragonfly has no flag --$flag"
	done <"$work/theirs"
	blocks $hardening flags >"$work/dragonfly.conf"
	at_least 8 flags "$work/dragonfly.conf"
}
t "the flags in the guide are Dragonfly's" dragonfly_flags

policies() {
	blocks $hardening policy | policy
	expect_exit 0 guard check
	spans $hardening | sed -n 's/^\([a-z_]*\) = [a-z]*$/\1/p' | while read -r option; do
		grep -qE "^\.It Ic $option$" docs/dflyguard.8 || echo "$option"
	done >"$work/unknown"
	expect_equal "options that are none" '' "$(cat "$work/unknown")"
}
t "the policy in the guide is good" policies

commands() {
	local command words options option
	{
		blocks $monitoring sh
		spans $hardening
		spans $monitoring
	} | grep '^dflyguard ' | sort -u >"$work/commands"
	at_least 10 commands "$work/commands"
	while read -r command; do
		# shellcheck disable=SC2086 # words
		set -- ${command#dflyguard }
		options=()
		while [ $# -gt 0 ] && [[ $1 = --* ]]; do
			options+=("$1")
			[ "$1" != --format ] || shift
			shift
		done
		words=$1
		shift
		"$dflyguard" "$words" --help >"$work/help" 2>&1 || wrong "'$command': there is no such command"
		for option; do
			[[ $option != --* ]] || options+=("${option%%=*}")
		done
		for option in ${options[@]+"${options[@]}"}; do
			grep -qE -e "(^|[ ,[|])$option([ =,.|]|\]|$)" "$work/help" <("$dflyguard" --help) ||
				wrong "'$command': $option is no option of it"
		done
	done <"$work/commands"
	grep -oE '(AUDIT|WATCH)_OPTIONS=.*' $monitoring | grep -oE -e '--[a-z-]+' | sort -u | while read -r option; do
		"$dflyguard" watch --help | grep -q -e "$option" || "$dflyguard" audit --help | grep -q -e "$option" || echo "$option"
	done >"$work/unknown"
	expect_equal "options in /etc/default/dflyguard that are none" '' "$(cat "$work/unknown")"
	for words in AUDIT_OPTIONS WATCH_OPTIONS; do
		grep -q "$words" systemd/*.service || wrong "no unit knows $words"
	done
	grep -oE 'dflyguard[a-z-]*\.(service|timer)' $hardening $monitoring | sed 's/.*://' | sort -u | while read -r unit; do
		[ -e "systemd/$unit" ] || echo "$unit"
	done >"$work/unknown"
	expect_equal "units that are none" '' "$(cat "$work/unknown")"
}
t "commands, options and units in the guides exist" commands

metrics() {
	grep -oE 'dflyguard_[a-z_]+' $monitoring | sort -u >"$work/told"
	sed -n 's/^# TYPE \(dflyguard_[a-z_]*\) .*/\1/p' tests/golden/report/*.prom | sort -u >"$work/written"
	at_least 8 metrics "$work/written"
	expect_same "metrics" "$work/written" "$work/told"
	# Labels of a query are labels of that metric, and their values are ones that are written.
	blocks $monitoring yaml >"$work/rules"
	grep -oE '(severity|outcome|verdict|reason)=~?"[a-z|-]+"' "$work/rules" | tr -d '"~' | sort -u | while IFS='=' read -r label values; do
		for value in ${values//|/ }; do
			grep -qhE "$label=\"$value\"" tests/golden/report/*.prom || echo "$label=$value"
		done
	done >"$work/unknown"
	expect_equal "labels that are never written" '' "$(cat "$work/unknown")"
	grep -oE 'alert: .*' "$work/rules" | sort | uniq -d >"$work/twice"
	expect_equal "rules twice" '' "$(cat "$work/twice")"
	# Each rule has all that Prometheus wants of it.
	awk '/- alert:/ { if (name && !(expr && summary)) print name; name = $3; expr = summary = 0 }
		/expr: ./ { expr = 1 } /summary: "/ { summary = 1 } END { if (!(expr && summary)) print name }' "$work/rules" >"$work/incomplete"
	expect_equal "rules that lack something" '' "$(cat "$work/incomplete")"
}
t "the metrics in the guide are those that are written, and the rules ask for nothing else" metrics

journal() {
	grep -oE 'DFLYGUARD_[A-Z_]+' $monitoring | sort -u >"$work/told"
	grep -ohE 'DFLYGUARD_[A-Z_]+' src/cmd/watch_tell.c | sort -u >"$work/written"
	expect_same "fields" "$work/written" "$work/told"
	grep -oE 'MESSAGE_ID=[0-9a-f]+' $monitoring | sed 's/.*=//' | while read -r id; do
		grep -q "\"$id\"" src/cmd/watch_tell.c || echo "$id"
	done >"$work/unknown"
	expect_equal "message ids that are none" '' "$(cat "$work/unknown")"
	grep -oE 'DFLYGUARD_(EVENT|CHECK)=[a-z._]+' $monitoring | sed 's/.*=//' | while read -r value; do
		grep -qxF "$value" "$work/ids" || grep -q "^\.It Li $value\$" docs/dflyguard.8 || echo "$value"
	done >"$work/unknown"
	expect_equal "events and checks that are none" '' "$(cat "$work/unknown")"
}
t "the journal's fields and ids in the guide are those that are written" journal

links() {
	local page link target
	for page in $hardening $monitoring; do
		grep -oE '\]\([^)]+\)' "$page" | sed 's/^](//; s/)$//' | sort -u >"$work/links"
		while read -r link; do
			case $link in
			'#'*)
				grep '^#' "$page" | sed 's/^#* //' | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9\n-' | grep -qxF "${link#\#}" ||
					wrong "$page: no heading $link"
				;;
			*)
				target=docs/${link%%#*}
				[ -e "$target" ] || wrong "$page: $link is not there"
				;;
			esac
		done <"$work/links"
	done
	grep -q 'docs/hardening.md' README.md || wrong "README does not name $hardening"
	grep -q 'docs/monitoring.md' README.md || wrong "README does not name $monitoring"
}
t "links lead somewhere, and README leads here" links
finish
