#!/bin/bash
# README.md, the manual page and docs/json.md say what the program does: options, exit statuses, policy options, limits,
# names of the table, JSON keys; and what they show as an example works.
. "$(dirname "$0")/../lib/guard.sh"
cd "$root" || exit 2
manual=docs/dflyguard.8

# A checkout may be writable by a group, which the program refuses for a policy.
policies=$work/policies
mkdir "$policies"
cat policies/complete.conf >"$policies/complete.conf"
cat policies/networks.conf >"$policies/networks.conf"

# The text of a roff source: macros' names, escapes and quoting signs are gone, one line each.
plain() {
	sed -e 's/\\-/-/g; s/\\&//g; s/\\(dq/"/g' -e 's/^\.\\".*//' "$@"
}
subsection() { # subsection TITLE: the lines of a .Sh or .Ss, up to the next one
	plain $manual | awk -v title="$1" '/^\.S[hs] / { on = substr($0, 5) == title; next } on'
}
item() { # item NAME: what the manual says about a policy option
	subsections_of_policy | awk -v name="$1" '/^\.It / { on = $2 == "Ic" && $3 == name; next } /^\.El/ { on = 0 } on'
}
subsections_of_policy() {
	local title
	for title in 'Outside all sections' service 'network NAME' 'environment NAME' expect alert 'waive ID'; do subsection "$title"; done
}
says() { # says WHAT TEXT: the manual holds this word
	plain $manual | grep -qwF -- "$2" || wrong "$manual does not name the $1 '$2'"
}
differ() { # differ WHAT LIST LIST: the same lines, or those that only one side has
	local only
	only=$(comm -3 <(sort -u <<<"$2") <(sort -u <<<"$3") | sed 's/^\t/documented only: /; t; s/^/undocumented: /')
	[ -z "$only" ] || wrong "$1: $only"
}

no_warnings() {
	man --help >/dev/null 2>&1 || { skip "man is not installed"; return; }
	local locale
	for locale in C C.UTF-8; do
		LC_ALL=$locale MANWIDTH=80 man --warnings -l $manual >"$work/page" 2>"$work/warnings" || wrong "man failed"
		expect_same "warnings in $locale" /dev/null "$work/warnings"
	done
	[ "$(wc -l <"$work/page")" -gt 100 ] || { skip "man shows no pages here (a minimized system?)"; return; }
}
t "man formats the manual page without a warning" no_warnings

all_help() {
	local command
	"$dflyguard" --help
	for command in $commands; do "$dflyguard" "$command" --help; done
}
commands=$("$dflyguard" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
options() {
	local shown
	# Every line of help that begins with an option, and every item of OPTIONS: "--policy", "-q".
	shown=$(all_help | grep -oE '^ +(-[a-zA-Z], +)?--[a-z-]+' | grep -oE -- '--?[a-zA-Z][a-z-]*')
	[ "$(sort -u <<<"$shown" | wc -l)" -ge 10 ] || wrong "--help was not understood"
	differ options "$shown" "$(subsection OPTIONS | sed -n 's/^\.It Fl //p' | grep -oE '(^|Fl )-?[a-zA-Z][a-z-]*' |
		sed 's/^Fl //; s/^/-/')"
	shown=$(plain $manual | grep -oE '(^\.Fl|Fl) -[a-z-]+' | sed 's/.*Fl /-/')
	differ "options in the text" "$(all_help | grep -oE -- '--[a-z-]+')" "$shown"
}
t "every option of --help is in the manual page, and back" options

all_commands() {
	[ -n "$commands" ] || wrong "--help was not understood"
	differ commands "$commands" "$(subsection COMMANDS | sed -n 's/^\.It Cm //p')"
}
t "every command is in the manual page, and back" all_commands

statuses() {
	differ "exit statuses" "$("$dflyguard" --help | sed -n '/^Exit status:/,$s/^  \([0-9]\) .*/\1/p')" \
		"$(subsection 'EXIT STATUS' | sed -n 's/^\.It //p')"
}
t "every exit status is in the manual page, and back" statuses

# The rows of the tables in policy_schema.c.
schema() {
	sed -nE 's/^\t(TEXT|LIST|PORT|CHOICE|COUNT|DURATION)\([a-z]+, "([a-z0-9_]+)".*/\2/p' src/policy/policy_schema.c
}
policy_options() {
	[ "$(schema | wc -l)" -ge 30 ] || wrong "src/policy/policy_schema.c was not understood"
	differ "policy options" "$(schema)" "$(subsections_of_policy | sed -n 's/^\.It Ic //p')"
	local name
	for name in $(schema); do
		item "$name" | grep -qE 'No default|Default:' || wrong "$manual does not tell the default of '$name'"
		grep -qE "^ *$name +=" policies/*.conf || wrong "no example in policies/ has '$name'"
	done
}
t "every policy option is in the manual page, and back" policy_options

choices() { # the words of CHOICE options
	local name words word
	while read -r name words; do
		for word in $words; do
			item "$name" | grep -qwF -- "$word" || wrong "$manual: '$name' may be '$word'"
		done
	done < <(sed -n '/^static const char \*const [a-z_]*_words/,/};/p' src/policy/policy_schema.c | tr '\n' ' ' |
		sed 's/static const/\n/g' | sed -nE 's/.*const ([a-z_]+)_words.*= *\{(.*)\}.*/\1 \2/p' |
		sed -E 's/\[[A-Z_]+\] = //g; s/[",;]/ /g')
	item tls | grep -q 'required' || wrong "nothing was compared"
}
t "every word that a policy option takes is in the manual page" choices

defaults() {
	policy <<<'service { tls_port = 6379 } environment a { clients = {} }'
	expect_exit 0 guard --format json check
	local name value
	for name in tls loopback admin_tls routed; do
		value=$(sed -n "s/.*\"$name\": \"\(.*\)\".*/\1/p" "$out")
		[ -n "$value" ] || wrong "check does not tell '$name'"
		[[ "$(item $name | tr '\n' ' ')" = *"Default: $value."* ]] || wrong "$manual: the default of '$name' is '$value'"
	done
	says "default policy" "$(sed -n 's/^#define POLICY_DEFAULT_PATH *"\(.*\)"/\1/p' include/policy.h)"
}
t "the defaults in the manual page are the program's" defaults

limits() {
	local name number text
	while read -r name number; do
		text=$(sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta' <<<"$number")
		subsection Limits | grep -qxF -- ".It $text" || wrong "$manual does not tell the limit $name, $text"
	done < <(sed -nE 's/^#define POLICY_(MAX_(SOURCES|DEPTH|FILES|REPORTED|NAME|WORD|EXPECTATIONS|WAIVERS))[ \t]+([0-9]+)u.*/\1 \3/p' \
		include/policy.h src/policy/policy_private.h)
	grep -qE 'POLICY_MAX_TEXT[[:space:]]+\(64u \* 1024 \* 1024\)' include/policy.h || wrong "the limit of text is another"
	subsection Limits | grep -qxF '.It 64 MiB' || wrong "$manual does not tell the limit of text"
	number=$(sed -nE 's/^#define RULESET_PART_LIMIT ([0-9]+)u.*/\1/p' include/ruleset.h)
	says "number of intervals in a set" "$(sed -E 's/([0-9]{3})$/,\1/' <<<"$number")"
	says "number of attempts" "$(sed -nE 's/^#define ATTEMPTS ([0-9]+).*/\1/p' src/cmd/reconcile.c) times"
}
t "every limit is in the manual page" limits

table() {
	policy <<-END
		default_environment = e
		service { tls_port = 6380 admin_port = 9999 memcached_port = 11211 }
		environment e { loopback = tls clients = {} bind = {10.0.0.1} admin_bind = {10.0.0.2}
			max_connections_per_source = 9 new_connections_per_second = 9 }
	END
	expect_exit 0 guard export --to nft
	local kind name
	while read -r kind name _; do
		name=${name/_over_9_/_over_N_}
		# A list is named once, and without its family.
		plain $manual | grep -qwF -- "$name" || says "$kind" "${name%_v[46]}"
	done < <(grep -E '^	(counter|set|map|chain) ' "$out")
	[ "$(grep -cE '^	(counter|set|map|chain) ' "$out")" -ge 25 ] || wrong "the export was not understood"
	differ counters "$(sed -n 's/^	counter \([a-z_]*\) .*/\1/p' "$out")" "$(subsection Counters | sed -n 's/^\.It Li //p')"
}
t "every chain, set and counter of the table is in the manual page" table

environment_variables() {
	differ "environment variables" "$(grep -ohE 'getenv\("[A-Z_]+"\)' -r src | sed 's/.*"\(.*\)".*/\1/')" \
		"$(subsection ENVIRONMENT | sed -n 's/^\.It Ev //p')"
}
t "every environment variable is in the manual page, and back" environment_variables

# Whole policies: displays that follow `.\" policy`, and fenced blocks called `conf`.
snippets() {
	awk -v to="$work/snippet.man." '/^\.\\" policy$/ { next_one = 1; next }
		next_one && /^\.Bd/ { file = to (++n); next_one = 0; next } /^\.Ed/ { file = "" }
		file { gsub(/\\-/, "-"); print >file }' $manual
	awk -v to="$work/snippet.readme." '/^```/ { file = $0 == "```conf" ? to (++n) : ""; next } file { print >file }' README.md
	ls "$work"/snippet.man.3 "$work"/snippet.readme.1 >/dev/null || wrong "the policies were not found"
	local file
	for file in "$work"/snippet.*; do expect_exit 0 "$dflyguard" --policy "$file" check; done
}
t "every policy in README and manual page is good" snippets

# Lines that call the program, in displays and fenced blocks, and in README between backticks. What a shell would do
# with the result is cut off.
examples() {
	awk '/^```/ { on = $0 == "```sh" || $0 == "```console"; next } on' README.md docs/json.md
	sed -n '/^    [a-z]/s/^    //p' README.md
	grep -ohE '`(sudo )?dflyguard [a-z-][^`]*`' README.md docs/json.md | tr -d '`'
	plain $manual | sed -n '/^\.Bd -literal/,/^\.Ed/p'
	all_help | sed -n '/^Examples:/,/^usage/p'
}
run_examples() {
	local line count=0 arguments status
	apply_complete
	while read -r line; do
		[[ " $line " = *' COMMAND '* ]] && continue # a form, no example
		read -ra arguments <<<"$line"
		status=0
		# Nothing is refused here: what would wait for it ends because nobody reads.
		(
			[[ " ${arguments[*]} " != *' log '* ]] || exec > >(:)
			while [[ ${arguments[0]} = *=* ]]; do
				export "${arguments[0]}"
				arguments=("${arguments[@]:1}")
			done
			# This one ends when it is told to, and there may be no folder for metrics.
			[[ " ${arguments[*]} " != *' watch '* ]] || exec timeout --preserve-status 1 "$dflyguard" \
				"${arguments[@]:1}" --policy "$policies/complete.conf"
			exec "$dflyguard" "${arguments[@]:1}" --policy "$policies/complete.conf"
		) >"$work/example" 2>&1 || status=$?
		count=$((count + 1))
		[ $status -le 1 ] || wrong "'$line' ends with $status: $(cat "$work/example")"
	done < <(examples | sed -nE 's/^ *([$#] )?(sudo )?//; /^(DFLYGUARD_[A-Z]+=[^ ]+ )?dflyguard /s/ *([|>#;&].*)?$//p' | sort -u)
	[ $count -ge 14 ] || wrong "only $count examples were found"
}
apply_complete() {
	expect_exit 0 "$dflyguard" --policy "$policies/complete.conf" apply
}
t "every call of the program in README, manual page and --help is understood" run_examples

files_named() {
	local name
	while read -r name; do
		[ -e "$name" ] || wrong "README.md names $name, which is not there"
	done < <({
		grep -oE '\]\([^)#]+\)' README.md | sed 's/^](//; s/)$//' | grep -v ://
		grep -oE '`[^`]+`' README.md | tr -d '`' | tr ' ' '\n' |
			grep -E '^(src|include|tests|docs|policies|contrib|systemd)/'
		grep -oE '(^|[ "])(src|include|tests|docs|policies|contrib)/[A-Za-z0-9_./-]+' README.md | tr -d ' "'
	} | sort -u)
	while read -r name; do
		[ -e "$name" ] || wrong "$manual names $name, which is not there"
	done < <(plain $manual | grep -oE '(docs|policies)/[a-z]+\.[a-z]+' | sort -u)
	for name in $(grep -oE '`make [a-z-]+`|^    make [a-z-]+' README.md | tr -d '`' | sed 's/.*make //' | sort -u); do
		grep -qE "^([a-z -]* )?$name( [a-z -]*)?:" Makefile || wrong "README.md: there is no 'make $name'"
	done
	for name in $(sed -n 's/^| \[\(src\/[a-z]*\)\].*/\1/p' README.md) ; do echo "${name#src/}"; done >"$work/rooms"
	differ rooms "$(ls src)" "$(cat "$work/rooms")"
	for name in tests/kernel/*.sh; do
		grep -qF "($name)" README.md || wrong "README.md does not name $name"
	done
}
t "every file and make target that README names exists, and it names every room and kernel test" files_named

keys() { # keys FILE: of a JSON text
	grep -oE '"[a-z_]+":' "$1" | tr -d '":' | sort -u
}
logged() { # one packet, as a rule of ours logs it
	ip link set lo up
	nft -f - <<-'END'
		table inet logging {
			chain prerouting {
				type filter hook prerouting priority -150;
				tcp dport 6379 log prefix "dflyguard source" group 6379 drop
			}
		}
	END
	: >"$work/log.errors"
	"$dflyguard" --policy "$policies/complete.conf" --format json log --count 1 2>"$work/log.errors" &
	wait_until 10 grep -q 'waiting for' "$work/log.errors"
	"$netprobe" raw host 127.0.0.1 127.0.0.1 6379 0x02
	wait $!
	nft delete table inet logging
}
changed() { # one change, as watch tells of it
	: >"$work/watch.json"
	apply_complete
	"$dflyguard" --policy "$policies/complete.conf" --format json watch --events >"$work/watch.json" &
	wait_until 10 grep -q '"start"' "$work/watch.json"
	nft insert rule inet dflyguard judge accept
	wait_until 10 grep -q '"drift"' "$work/watch.json"
	kill $!
	wait $!
	cat "$work/watch.json"
}
# A table that somebody owns, and that goes with him.
owned() {
	local owner
	"$nftgen" flags 2 >"$work/owned" &
	owner=$!
	wait_until 10 grep -q ready "$work/owned"
	"$dflyguard" --format json status
	kill "$owner"
	wait "$owner"
}
listened() { # listened POLICY: audit, with a server whose flags need a remark
	cp "$build/tests/kernel/pretend" "$work/dragonfly"
	PRETEND='127.0.0.1,6379' "$work/dragonfly" --port=6379 surplus >"$work/listens" &
	wait_until 10 grep -q ready "$work/listens"
	"$dflyguard" --policy "$1" --format json audit
	kill $!
	wait $! 2>/dev/null
}
json() {
	local plenty=$policies/complete.conf
	{
		"$dflyguard" remove --format json
		owned
		"$dflyguard" --policy "$plenty" --format json --verbose check
		"$dflyguard" --policy "$plenty" --format json plan
		"$dflyguard" --policy "$plenty" --format json apply
		# Packets of these sources were refused, for the reasons of these numbers.
		nft 'add element inet dflyguard refused_v4 { 10.20.0.10 . 2, 10.20.0.10 . 6, 10.66.0.10 . 1 }'
		"$dflyguard" --policy "$plenty" --format json ban 203.0.113.7
		"$dflyguard" --policy "$plenty" --format json status
		# A bind guard takes a cgroup of one's own, which this test has not.
		cat "$root/tests/golden/report/status-guard.json"
		"$dflyguard" --format json unban 203.0.113.7
		listened "$plenty"
		"$dflyguard" --format json checks
		"$dflyguard" --format json confirm
		"$dflyguard" --policy "$plenty" --environment nobody --format json check
		"$dflyguard" --policy "$plenty" --format json explain --from 10.20.0.10 --port 6380
		policy <<<'environment a { clients = {} } expect { from = any to_port = 6379 speaks = tls verdict = allow }'
		guard --format json check
		policy <<<'environment a { clients = {"10.0.0.0/8", "10.0.0.1"} tls = off }'
		guard --format json --verbose check
		policy <<<'default_environment = a environment a { clients = {} tls = off }
			waive bind.server { reason = "there is none" until = 9999-12-31 }'
		guard --format json audit
		{ for _ in {1..201}; do echo 'mistake = 1'; done; } | policy
		guard --format json check
		logged
		changed
	} >"$work/all.json" 2>"$work/all.errors"
	grep -q '"suppressed"' "$work/all.json" || wrong "the runs do not show every key"
	differ "JSON keys" "$(keys "$work/all.json")" "$(
		awk '/^```/ { on = !on } !on && /^\|/' docs/json.md | awk -F'|' '{ print $2 "|" ($2 ~ /error|notes|diagnostics|counters|checks/ ? $3 : "") }' |
			grep -oE '`[a-z_]+(\[\][.a-z_]*)?`' | tr -d '`' | sed 's/.*\.//; s/\[\]//' | grep -v '^plan$'
		keys docs/json.md)"
	local key
	for key in $(keys "$work/all.json"); do
		[[ $key = refused_* ]] || says "JSON key" "$key"
	done
}
t "every JSON key is in docs/json.md and the manual page" json

# What is shown as real output is what the program writes: the keys of each example, in order, and the counters.
json_examples() {
	local command arguments
	logged | grep -oE '"[a-z_]+":' >"$work/seen"
	grep '^{.*"command": "log"' docs/json.md | grep -oE '"[a-z_]+":' >"$work/shown"
	expect_same log "$work/seen" "$work/shown"
	changed | grep '"drift"' | grep -oE '"[a-z_]+":' >"$work/seen"
	grep '^{.*"command": "watch"' docs/json.md | grep -oE '"[a-z_]+":' >"$work/shown"
	expect_same watch "$work/seen" "$work/shown"
	for command in check plan apply audit checks status explain; do
		arguments=()
		[ $command != explain ] || arguments=(--from 10.66.0.1 --port 6380)
		awk -v command="$command" '/^```json/ { text = ""; on = 1; next }
			/^```/ { if (on && text ~ "\"command\": \"" command "\"" && text !~ /"error"/) { printf "%s", text; exit } on = 0 }
			on { text = text $0 "\n" }' docs/json.md | grep -oE '^ *"[a-z_]+":' | sed '/^    /d' >"$work/shown"
		"$dflyguard" --policy "$policies/complete.conf" --format json $command "${arguments[@]}" | grep -oE '^ *"[a-z_]+":' | sed '/^    /d' >"$work/seen"
		[ -s "$work/shown" ] || wrong "docs/json.md shows no '$command'"
		expect_same "$command" "$work/seen" "$work/shown"
	done
}
t "the JSON examples have the keys that the program writes, in that order" json_examples
finish
