#!/bin/bash
# docs/tls.md says what works: its openssl commands make certificates that are good, and its checks tell good from bad;
# the flags that it says are Dragonfly's exist, those of which it says that they do not, do not; every policy in it is
# good, every option, command and link is there.
#
# How the page tells them apart: an option in backticks that begins with `--` is Dragonfly's, and so is a block of the
# language flags; everybody else's stands behind the name of its program.
. "$(dirname "$0")/../lib/guard.sh"
cd "$root" || exit 2
page=docs/tls.md
flags=tests/docs/dragonfly-flags.txt

# What the page tells of and dflyguard does not have yet. What is there by now is checked all the same; to be emptied.
later_commands="explain log"
later_options="from to_port speaks verdict"

blocks() { # blocks LANGUAGE [HEADING]: all fenced blocks of this kind, below this heading only (and those below it)
	awk -v language="$1" -v heading="${2:-}" '
		/^```/ { if (inside) { inside = 0; next } inside = 1; wanted = $0 == "```" language && on; next }
		inside { if (wanted) print; next }
		/^#+ / { level = index($0, " "); if (level <= depth) on = 0; if ($0 == heading) { on = 1; depth = level } }
		BEGIN { on = heading == "" }' $page
}
spans() { # everything between backticks, outside of blocks
	awk '/^```/ { inside = !inside; next } !inside' $page | grep -oE '`[^`]+`' | tr -d '`' | sort -u
}
at_least() { # at_least NUMBER WHAT FILE: or the page was not understood
	[ "$(wc -l <"$3")" -ge "$1" ] || wrong "$page: fewer than $1 $2 were found"
}

# ---------------------------------------------------------------------------------------------------- certificates ---
tls=$work/tls
shell() { # shell FILE: commands of the page, as they stand, in the folder of the certificates
	(cd "$tls" && umask 022 && bash -eo pipefail "$1")
}
make_certificates() {
	mkdir -p "$tls"
	blocks sh '## Certificates' >"$work/certificates.sh"
	blocks sh '### Check before they go in' >"$work/checks.sh"
	grep -vxFf "$work/checks.sh" "$work/certificates.sh" >"$work/make.sh"
	at_least 12 "commands that make certificates" "$work/make.sh"
	at_least 4 "checks" "$work/checks.sh"
	expect_exit 0 shell "$work/make.sh"
	expect_exit 0 shell "$work/checks.sh"
}
t "the page's commands make certificates, and its checks accept them" make_certificates

certificate_says() { # certificate_says FILE TEXT...
	openssl x509 -in "$tls/$1" -noout -text >"$work/text" || wrong "$1 is no certificate"
	local file=$1
	shift
	local text
	for text; do grep -qF -- "$text" "$work/text" || wrong "$file does not say '$text'"; done
}
good_certificates() {
	local name
	for name in ca server client; do
		certificate_says $name.crt 'ASN1 OID: prime256v1'
		expect_equal "mode of $name.key" 600 "$(stat -c %a "$tls/$name.key")"
		expect_equal "key of $name.crt" "$(openssl x509 -in "$tls/$name.crt" -noout -pubkey)" \
			"$(openssl pkey -in "$tls/$name.key" -pubout)"
		openssl pkey -in "$tls/$name.key" -passin pass: -noout || wrong "$name.key is encrypted"
	done
	certificate_says ca.crt 'CA:TRUE, pathlen:0' 'Certificate Sign'
	certificate_says server.crt 'CA:FALSE' 'TLS Web Server Authentication, TLS Web Client Authentication' \
		'DNS:store.example.net, IP Address:10.20.0.5, IP Address:2001:DB8:20:0:0:0:0:5'
	certificate_says client.crt 'CA:FALSE' 'TLS Web Client Authentication'
	# Each extension once: twice is accepted by OpenSSL and by nobody else.
	for name in ca server client; do
		expect_equal "extensions of $name.crt that are there twice" '' \
			"$(openssl x509 -in "$tls/$name.crt" -noout -text | grep -E '^ {12}X509v3' | sort | uniq -d)"
	done
	local verify=(openssl verify -x509_strict -CAfile "$tls/ca.crt")
	for name in "-verify_hostname store.example.net" "-verify_ip 10.20.0.5" "-verify_ip 2001:db8:20::5"; do
		# shellcheck disable=SC2086 # two words
		expect_exit 0 "${verify[@]}" -purpose sslserver $name "$tls/server.crt"
	done
	expect_exit 0 "${verify[@]}" -purpose sslclient "$tls/server.crt" # a replica shows it to its master
	expect_exit 0 "${verify[@]}" -purpose sslclient "$tls/client.crt"
	expect_exit 2 "${verify[@]}" -purpose sslserver "$tls/client.crt"
	expect_exit 2 "${verify[@]}" -verify_ip 10.20.0.6 "$tls/server.crt"
}
t "the certificates are what the page says, and no more" good_certificates

# What a careless hand does to the files: `spoiled COMMAND...` runs it on a copy and expects a check to fail.
spoiled() {
	local kept=$tls
	tls=$work/spoiled
	rm -rf "$tls"
	cp -r "$kept" "$tls"
	(cd "$tls" && "$@") >"$work/spoiling" 2>&1 || wrong "$*: $(cat "$work/spoiling")"
	! shell "$work/checks.sh" >"$work/checked" 2>&1 || wrong "the checks do not notice: $*"
	tls=$kept
}
sign() { # sign CA-NAME DAYS: the server's certificate anew
	openssl x509 -req -in server.csr -CA "$1.crt" -CAkey "$1.key" -days "$2" -extfile tls.cnf \
		-extensions server -out server.crt
}
other_ca() {
	openssl req -x509 -config tls.cnf -extensions ca -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key \
		-out other.crt && sign other 90
}
other_name() {
	sed -i s/store.example.net/stare.example.net/ tls.cnf && sign ca 90
}
checks_fail() {
	spoiled cp client.key server.key
	spoiled cp client.crt server.crt
	spoiled cp server.crt ca.crt
	spoiled other_ca
	spoiled sign ca 13
	spoiled other_name
}
t "the page's checks refuse another key, certificate, CA or name, and what ends soon" checks_fail

renewal() {
	ip link set lo up
	local command server
	blocks console '### Renewal' | sed -n '/^\$ .*openssl s_client/,/[^\\]$/p' | sed 's/^\$ //' >"$work/ask.sh"
	[ -s "$work/ask.sh" ] || wrong "$page: the command that asks what is served was not found"
	sed -i 's/-connect [^ ]*/-connect 127.0.0.1:7777/' "$work/ask.sh"
	openssl s_server -accept 127.0.0.1:7777 -cert "$tls/server.crt" -key "$tls/server.key" -www >"$work/s_server" 2>&1 &
	server=$!
	wait_until 10 grep -q ACCEPT "$work/s_server" || wrong "s_server did not start: $(cat "$work/s_server")"
	expect_exit 0 asks
	expect_text "$out" '^notAfter=' '^Certificate will not expire$'
	mv "$tls/ca.crt" "$tls/kept.crt"
	cp "$tls/client.crt" "$tls/ca.crt"
	expect_exit 1 asks
	mv "$tls/kept.crt" "$tls/ca.crt"
	command=$(sed 's/-verify_hostname [^ ]*/-verify_hostname other.example.net/' "$work/ask.sh")
	echo "$command" >"$work/ask.sh"
	expect_exit 1 asks
	kill $server
}
# Without pipefail: the status is that of the last command, as in the reader's shell.
asks() { (cd "$tls" && bash "$work/ask.sh"); }
t "the command that asks what is served tells a good certificate from a foreign one" renewal

key_stores() {
	blocks sh '### Java: the stores' | grep '^openssl' >"$work/stores.sh"
	at_least 1 "commands for key stores" "$work/stores.sh"
	expect_exit 0 shell "$work/stores.sh"
	expect_exit 0 openssl pkcs12 -in "$tls/client.p12" -passin pass:changeit -nodes
	expect_text "$out" 'CN = app-1|CN=app-1' 'PRIVATE KEY'
}
t "the key store holds the client's certificate and key" key_stores

# ------------------------------------------------------------------------------------------------ Dragonfly's flags ---
exists() { grep -qxF -- "$1" $flags; }
dragonfly_flags() {
	expect_equal "the first line of $flags" '#' "$(head -c 1 $flags)"
	tail -n +2 $flags >"$work/flags"
	at_least 40 "flags" "$work/flags"
	expect_equal "lines of $flags that are no flag, not in order, or there twice" '' \
		"$(grep -vE '^[a-z][a-z0-9_]*$' "$work/flags"; sort -uc "$work/flags" 2>&1)"
	blocks flags >"$work/flagfiles"
	at_least 15 "lines of flagfiles" "$work/flagfiles"
	{
		grep -oE '^ *--[^ =]+' "$work/flagfiles"
		spans | grep -E '^(--[^ ]|dragonfly )' | grep -oE -- '--[^ =]+'
	} | sed 's/^ *--//' | sort -u >"$work/named"
	at_least 15 "flags of Dragonfly" "$work/named"
	local name
	while read -r name; do
		exists "$name" || wrong "Dragonfly has no flag '--$name' ($flags)"
	done <"$work/named"
}
t "every flag that the page says is Dragonfly's exists" dragonfly_flags

no_flags() {
	tr '\n' ' ' <$page | grep -oE 'None of these exist:[^.]*\.' | grep -oE '`[^`]+`' | tr -d '`' >"$work/denied"
	at_least 5 "names that do not exist" "$work/denied"
	local name
	while read -r name; do
		! exists "$name" || wrong "$page denies '$name', which $flags has"
	done <"$work/denied"
}
t "the names that the page denies are no flags" no_flags

# Dragonfly's parser: one flag a line, `=` without blanks, no quotes, no comment behind, nothing at the end.
flagfiles() {
	grep -nvE '^(|#.*|--[a-z0-9_]+|--[a-z0-9_]+=[^ "'"'"'#]*[^ "'"'"'#\\])$' "$work/flagfiles" >"$work/bad" || return 0
	wrong "lines that Dragonfly would not take, or not so: $(cat "$work/bad")"
}
t "the flagfiles on the page follow Dragonfly's rules" flagfiles

# -------------------------------------------------------------------------------------------- dflyguard's own words ---
schema() {
	sed -nE 's/^\t(TEXT|LIST|PORT|CHOICE|COUNT)\(([a-z]+, )?"([a-z0-9_]+)".*/\3/p' src/policy/policy_schema.c
}
is_option() { schema | grep -qxF -- "$1"; }
is_later() { [[ " $1 " = *" $2 "* ]]; }
policy_options() {
	[ "$(schema | wc -l)" -ge 20 ] || wrong "src/policy/policy_schema.c was not understood"
	local name
	{
		blocks conf | sed 's/[#].*//' | grep -oE '[a-z_]+ +=' | tr -d ' ='
		spans | sed -nE 's/^([a-z_]+) = [a-z0-9]+$/\1/p'
		# Names alone, where no other language has such: with an underscore, and not on the list of what does not exist.
		spans | grep -xE '[a-z]+(_[a-z0-9]+)+' | grep -vxFf "$work/denied" | grep -vxE 'unjudged_v[46]|verify_name'
	} | sort -u >"$work/options"
	at_least 10 "policy options" "$work/options"
	while read -r name; do
		is_option "$name" || is_later "$later_options" "$name" || wrong "there is no policy option '$name'"
	done <"$work/options"
}
t "every policy option on the page exists" policy_options

policies() {
	local file name missing=''
	for name in $later_options; do is_option "$name" || missing+="$name|"; done
	awk -v file="$work/policy" '/^```conf$/ { n++; on = 1; next } /^```/ { on = 0 } on { print > (file "." n) }' $page
	ls "$work"/policy.[0-9] >"$work/policies"
	at_least 3 "policies" "$work/policies"
	while read -r file; do
		[ -z "$missing" ] || ! grep -qwE "${missing%|}" "$file" || continue
		expect_exit 0 "$dflyguard" --policy "$file" check --verbose
		expect_no_text "$out" "covered by|not used|is 0"
	done <"$work/policies"
}
t "every policy on the page is good, and has nothing redundant" policies

calls() { # every call of the program, one a line, without what a shell would do with its result
	{
		blocks console
		blocks sh
		spans
	} | sed -nE 's/^[$#] //; s/^(sudo )?dflyguard( |$)/dflyguard /p' | sed 's/ *[|>#;&].*//'
}
commands() {
	"$dflyguard" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' >"$work/commands"
	at_least 5 "commands in --help" "$work/commands"
	local program words word command
	calls | sort -u >"$work/calls"
	at_least 6 "calls of dflyguard" "$work/calls"
	while read -r program command words; do
		if ! grep -qxF -- "$command" "$work/commands"; then
			is_later "$later_commands" "$command" || wrong "there is no command '$program $command'"
			continue
		fi
		"$dflyguard" "$command" --help >"$work/help"
		for word in $words; do
			[[ $word = -* ]] || continue
			grep -qE -- "^ +(-[a-zA-Z], +)?${word%%=*}( |\$)" "$work/help" ||
				wrong "'$program $command' has no option '$word'"
		done
	done <"$work/calls"
}
t "every command of dflyguard on the page exists, with its options" commands

# ------------------------------------------------------------------------------------------------------------ links ---
anchors() { # anchors FILE: of its headings, as they are shown on the web
	awk '/^```/ { inside = !inside; next } !inside && /^#+ /' "$1" | sed 's/^#* *//' | tr 'A-Z' 'a-z' |
		sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}
links() {
	local link file anchor
	grep -oE '\]\([^)]+\)' $page | sed 's/^](//; s/)$//' | sort -u >"$work/links"
	at_least 10 "links" "$work/links"
	while read -r link; do
		[[ $link != *://* ]] || continue
		file=$page anchor=''
		[[ $link = '#'* ]] || file=docs/${link%%#*}
		[[ $link != *'#'* ]] || anchor=${link#*#}
		[ -e "$file" ] || { wrong "the link $link leads to no file"; continue; }
		[ -z "$anchor" ] || anchors "$file" | grep -qxF -- "$anchor" || wrong "the link $link leads to no heading"
	done <"$work/links"
	expect_equal "headings that are there twice" '' "$(anchors $page | sort | uniq -d)"
	local heading
	for heading in $(anchors <(grep '^## ' $page)); do
		grep -qF "](#$heading)" $page || wrong "the list at the top does not have $heading"
	done
}
t "every link leads somewhere, and the list at the top is complete" links
finish
