#!/bin/bash
# Guarantee 10, at random: mutations of the live table, one or a few at once, of objects taken from its own listing. What
# nft lists before and after says whether something differs, by coverage; audit must say the same, --heal must bring back
# what was first in force, and nobody else's table may change. DFLYGUARD_TEST_SEED repeats a run; it is in the log.
. "$(dirname "$0")/../lib/guard.sh"
ip link set lo up
seed=${DFLYGUARD_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((seed % 32768))
echo "DFLYGUARD_TEST_SEED=$seed"
rounds=12
[ -z "${DFLYGUARD_TEST_LONG:-}" ] || rounds=90
our='inet dflyguard'
nft -f - <<'END'
table inet other {
	set clients_v4 { type ipv4_addr; flags interval; elements = { 10.1.0.0/16 }; }
	chain judge { tcp dport 6379 accept; }
	chain input { type filter hook input priority 5; policy accept; jump judge; }
}
table ip dflyguard {
	set clients_v4 { type ipv4_addr; flags interval; elements = { 10.1.0.0/16 }; }
	chain clients { ip saddr @clients_v4 return; }
}
END

# ------------------------------------------------------------------------------------------- what there is to mutate ---
# RANDOM in a subshell would begin anew: what chance has a part in sets variables.
one_of() { # one_of ITEM...: sets $one
	one=
	[ $# -eq 0 ] || one=${*:$((RANDOM % $# + 1)):1}
}
chance() { [ $((RANDOM % $1)) -eq 0 ]; } # chance N: one of so many times

# Reads the live table into lists: chains, base chains, rules (CHAIN HANDLE TEXT), sets and maps (NAME), elements of what
# packets do not fill (NAME ELEMENT).
look() {
	chains=() bases=() rules=() sets=() elements=()
	local what rest
	while IFS=$'\t' read -r what rest; do
		case $what in
		C) chains+=("$rest") ;;
		B) bases+=("$rest") ;;
		R) rules+=("$rest") ;;
		S) sets+=("$rest") ;;
		E) elements+=("$rest") ;;
		esac
	done < <(nft -a -s list table $our 2>/dev/null | awk '
		/^\tchain / { chain = $2; print "C\t" chain; next }
		/^\t(set|map) / { set = $2; dynamic = 0; list = ""; print "S\t" set; next }
		/^\t}/ {
			if (set != "" && list != "" && !dynamic) {
				gsub(/ comment "[^"]*"/, "", list)
				count = split(list, part, /, */)
				for (i = 1; i <= count; i++) { gsub(/^ +| +$/, "", part[i]); print "E\t" set " " part[i] }
			}
			chain = set = ""
			next
		}
		set != "" && $1 == "flags" { if (/dynamic/) dynamic = 1; next }
		set != "" && (list != "" || $1 == "elements") {
			sub(/^\t*(elements = \{)?[ \t]*/, "")
			sub(/ *}.*$/, "")
			sub(/,$/, ", ")
			list = list $0
			next
		}
		chain != "" && $1 == "type" { print "B\t" chain; next }
		chain != "" && $1 != "comment" && / # handle [0-9]+$/ {
			number = $NF
			sub(/^\t\t/, ""); sub(/ # handle [0-9]+$/, "")
			print "R\t" chain " " number " " $0
		}')
}
a_rule() { # sets $chain $number $text
	one_of "${rules[@]}"
	read -r chain number text <<<"$one"
	[ -n "$number" ]
}
an_element() { # sets $set $element
	one_of "${elements[@]}"
	read -r set element <<<"$one"
	[ -n "$element" ]
}
# The rules of some chains as statements that put them back: refill CHAIN...
refill() {
	local name rule
	for name; do
		for rule in "${rules[@]}"; do
			[[ $rule = "$name "* ]] || continue
			rule=${rule#* }
			echo "add rule $our $name ${rule#* }"
		done
	done
}
users_of() { # users_of @SET or CHAIN: sets $users to the chains that have rules with it, and $using to those rules
	local rule
	users='' using=''
	for rule in "${rules[@]}"; do
		[[ " $rule " = *" $1 "* ]] || continue
		[[ " $users " = *" ${rule%% *} "* ]] || users+=" ${rule%% *}"
		using+="delete rule $our $(awk '{ print $1 " handle " $2 }' <<<"$rule")"$'\n'
	done
}
number_of() { # number_of IPV4: sets $value
	local a b c d
	IFS=. read -r a b c d <<<"$1"
	value=$(((a << 24) + (b << 16) + (c << 8) + d))
}
address_of() { value=$(($1 >> 24 & 255)).$(($1 >> 16 & 255)).$(($1 >> 8 & 255)).$(($1 & 255)); }
bounds_of() { # bounds_of IPV4-ELEMENT: sets $first $last
	local prefix
	number_of "${1%%[-/]*}"
	first=$value last=$value
	case $1 in
	*/*) prefix=${1#*/} last=$((first + (1 << (32 - prefix)) - 1)) ;;
	*-*) number_of "${1#*-}"; last=$value ;;
	esac
}
range_of() { # range_of FIRST LAST: sets $range
	address_of "$1"
	range=$value
	[ "$1" = "$2" ] && return
	address_of "$2"
	range+=-$value
}

# ------------------------------------------------------------------------------------------------ the catalogue ---
# Each leaves commands of nft in $batch, or nothing.
new_rules=('accept' 'tcp dport 6379 accept' 'ip saddr 10.66.0.0/16 return' 'drop' 'meta mark set 0x1' 'counter' 'ct state new accept'
	'ip saddr @clients_v4 accept' 'ip saddr { 10.66.0.1, 10.66.0.9 } accept' 'tcp dport vmap { 6379 : accept }' 'goto refuse_closed'
	'limit rate 3/minute accept' 'accept comment "goto refuse_source"' 'meta l4proto tcp' 'ip6 saddr ::1 tcp dport 1-65535 return'
	'ct label set 101' 'add @refused_v4 { ip saddr . 0x1 }' 'tcp option maxseg size set 1200' 'log prefix "x"' 'notrack')
edits=('s/clients/admins/' 's/admins/clients/' 's/_v4/_v6/' 's/drop/accept/' 's/drop/return/' 's/goto/jump/' 's/jump/goto/' 's/return/accept/'
	's/saddr/daddr/' 's/daddr/saddr/' 's/rate 10/rate 11/' 's/burst 20/burst 19/' 's/ct label 10[0-9]/ct label 7/' 's/set 10\([0-9]\)/set 11\1/'
	's/9999/22/' 's/0x0000000\([1-8]\)/0x0000009\1/' 's/counter name "[^"]*"//' 's/group 6379/group 1/' 's/over 4/over 5/' 's/"lo"/"eth0"/'
	's/ == / != /' 's/ with tcp reset//' 's/^/ip ttl 64 /' 's/^/counter /' 's/@[a-z_0-9]* /!= &/' 's/tcp flags/tcp flags !=/' 's/update/add/')
rule_delete() { a_rule && batch="delete rule $our $chain handle $number"; }
rule_insert() {
	local how
	a_rule || return
	one_of insert add
	how=$one
	one_of "${new_rules[@]}"
	batch="$how rule $our $chain handle $number $one"
	! chance 3 || batch="$how rule $our $chain $one"
}
rule_twice() { a_rule && batch="add rule $our $chain handle $number $text"; }
rule_move() { # alone in its chain it only gets another handle
	local moved rule others=()
	a_rule || return
	for rule in "${rules[@]}"; do [[ $rule != "$chain "* || $rule = "$chain $number "* ]] || others+=("$rule"); done
	moved=$text
	batch="delete rule $our $chain handle $number"
	[ ${#others[@]} -gt 0 ] || { batch+=$'\n'"add rule $our $chain $moved"; return; }
	one_of "${others[@]}"
	read -r chain number text <<<"$one"
	batch+=$'\n'"insert rule $our $chain handle $number $moved"
}
rule_edit() { # its comment stays
	local edited i
	for i in 1 2 3 4 5 6 7 8 9; do
		a_rule || return
		one_of "${edits[@]}"
		edited=$(sed "$one" <<<"$text")
		[ "$edited" = "$text" ] || break
	done
	batch="replace rule $our $chain handle $number $edited"
}
rule_comment() { # which is nothing
	a_rule && [[ $text != *'in force since'* ]] || return
	batch="replace rule $our $chain handle $number ${text%% comment *} comment \"goto judge\""
}
chain_add() {
	batch="add chain $our strange"
	one_of '' '{ type filter hook prerouting priority -400; policy drop; }' '{ type filter hook input priority 7; }' \
		'{ type nat hook prerouting priority -100; }' '{ type route hook output priority 3; }'
	batch+=" $one"
	one_of '' accept 'tcp dport 6379 accept' 'jump judge'
	[ -z "$one" ] || batch+=$'\n'"add rule $our strange $one"
}
chain_flush() { one_of "${chains[@]}" && batch="flush chain $our $one"; }
chain_delete() {
	one_of "${chains[@]}"
	local name=$one
	users_of "$name"
	batch="${using}flush chain $our $name"$'\n'"delete chain $our $name"
}
chain_rename() { one_of "${chains[@]}" && batch="rename chain $our $one strange$((RANDOM % 3))"; }
chain_policy() { # accept is what all have
	one_of "${bases[@]}"
	batch="chain $our $one"
	one_of accept drop drop
	batch+=" { policy $one; }"
}
chain_hook() { # sometimes as it was
	one_of "${bases[@]}"
	local name=$one
	batch="flush chain $our $name"$'\n'"delete chain $our $name"$'\n'"add chain $our $name { type filter"
	one_of prerouting input forward output "$name"
	batch+=" hook $one priority"
	one_of -150 0 0 300
	batch+=" $one; policy accept; }"$'\n'$(refill "$name")
}
chain_again() { # as it was
	one_of "${chains[@]}"
	batch="flush chain $our $one"$'\n'$(refill "$one")
}
element_add() {
	one_of "${sets[@]}"
	set=$one
	case $set in
	*_v4) one="10.$((RANDOM % 256)).$((RANDOM % 256)).0" && { ! chance 2 || one+=/$((24 + RANDOM % 9)); } ;;
	*_v6) one="2001:db8:$((RANDOM % 100)):$((RANDOM % 100))::" && { ! chance 2 || one+=/64; } ;;
	services) one_of "$((RANDOM + 1)) : accept" "$((RANDOM + 1)) : goto plaintext" "$((RANDOM + 1)) : drop" ;;
	*) one=$((RANDOM + 1)) ;;
	esac
	batch="add element $our $set { $one }"
}
element_comment() { # nothing, on what is there
	an_element && [[ $element != *:\ * ]] || return
	batch="delete element $our $set { $element }"$'\n'"add element $our $set { $element comment \"10.20.0.0/24\" }"
}
element_delete() { an_element && batch="delete element $our $set { $element }"; }
element_split() { # nothing, in as many pieces as may be
	local pieces='' middle i
	an_element || return
	case $set:$element in
	*_v4:*[-/]*)
		bounds_of "$element"
		for ((i = RANDOM % 3; i >= 0 && first < last; i--)); do
			middle=$((first + (RANDOM * 32768 + RANDOM) % (last - first)))
			range_of "$first" "$middle"
			pieces+="$range, "
			first=$((middle + 1))
		done
		range_of "$first" "$last"
		pieces+=$range
		;;
	*_v6:*:*:*:*::/64) pieces="${element%/64}/65, ${element%:/64}8000::/65" ;;
	*_v6:*:*:*::/64) pieces="${element%/64}/65, ${element%:/64}0:8000::/65" ;;
	guarded_ports:*-*) pieces="${element%-*}, $((${element%-*} + 1))-${element#*-}" ;;
	*) return ;;
	esac
	batch="delete element $our $set { $element }"$'\n'"add element $our $set { $pieces }"
}
element_stretch() { # an end one further out, or in
	an_element && [[ $set = *_v4 ]] || return
	bounds_of "$element"
	case $((RANDOM % 4)) in
	0) first=$((first - 1)) ;;
	1) last=$((last + 1)) ;;
	2) [ "$first" -eq "$last" ] || first=$((first + 1)) ;;
	3) [ "$first" -eq "$last" ] || last=$((last - 1)) ;;
	esac
	range_of "$first" "$last"
	batch="delete element $our $set { $element }"$'\n'"add element $our $set { $range }"
}
element_verdict() {
	local item targets=()
	for item in "${elements[@]}"; do [[ $item != *' : '* ]] || targets+=("$item"); done
	one_of "${targets[@]}"
	read -r set element <<<"$one"
	[ -n "$element" ] || return
	one_of accept drop 'goto plaintext' 'goto tls' 'goto refuse_closed' 'jump clients'
	batch="delete element $our $set { $element }"$'\n'"add element $our $set { ${element% : *} : $one }"
}
elements_of() { # elements_of SET: sets $list
	local item
	list=
	for item in "${elements[@]}"; do [[ $item != "$1 "* ]] || list+="${list:+, }${item#* }"; done
}
set_flush() { one_of "${sets[@]}" && batch="flush set $our $one"; }
set_everybody() { # /0, by halves
	one_of clients_v4 admins_v4 clients_v6 admins_v6
	batch="flush set $our $one"$'\n'"add element $our $one { "
	case $one in *_v4) batch+='0.0.0.0/1, 128.0.0.0/1 }' ;; *) batch+='::/1, 8000::/1 }' ;; esac
}
set_again() { # other flags, other elements, or as it was; with the rules that look into it
	local type flags
	one_of clients_v4 clients_v6 admins_v4 admins_v6 bind_v4 guarded_ports
	set=$one
	elements_of "$set"
	users_of "@$set"
	case $set in *_v4) type=ipv4_addr ;; *_v6) type=ipv6_addr ;; *) type=inet_service ;; esac
	flags=' flags interval;'
	[ "$set" != bind_v4 ] || flags=
	one_of "$flags" "$flags" "$flags" ' flags interval; auto-merge;' ' flags interval, timeout;' ' flags interval; size 999;' ' flags dynamic;' ' timeout 1h;' \
		' flags constant, interval;' "$flags comment \"who may connect\";"
	flags=$one
	batch=''
	for chain in $users; do batch+="flush chain $our $chain"$'\n'; done
	batch+="delete set $our $set"$'\n'"add set $our $set { type $type;$flags"
	[ -z "$list" ] || chance 5 || batch+=" elements = { $list };"
	# shellcheck disable=SC2086 # names
	batch+=" }"$'\n'$(refill $users)
}
set_delete() {
	one_of "${sets[@]}"
	local name=$one
	users_of "@$name"
	batch="${using}delete set $our $name"
}
table_sleep() { batch="add table $our { flags dormant; }"; }
table_wake() { batch="add table $our"; } # nothing, if it does not sleep
table_delete() { batch="delete table $our"; }
table_empty() { batch="flush table $our"; }
table_hollow() { batch="delete table $our"$'\n'"add table $our"; }
table_again() { batch="delete table $our"$'\n'$(nft list table $our 2>/dev/null); } # as it was
thing_add() {
	one_of 'counter X' 'quota X { over 1 mbytes }' 'limit X { rate 3/second }' 'set X { type inet_service; elements = { 1, 2 }; }' \
		'map X { type ipv4_addr : verdict; elements = { 10.0.0.1 : jump judge }; }' 'ct helper X { type "ftp" protocol tcp; }' \
		'synproxy X { mss 1460; wscale 7; }' 'set X { type ether_addr . ipv4_addr; flags interval; }'
	batch="add ${one/X/$our strange}"
}
counters_reset() { batch="reset counters table $our"; } # nothing
packets_come() { # nothing: what packets put into sets
	one_of refused_v4 refused_v6 unjudged_v4 connections_over_4_v4
	batch="add element $our $one { "
	case $one in
	refused_v4) batch+='192.0.2.1 . 0x1' ;;
	refused_v6) batch+='2001:db8::7 . 0x3' ;;
	unjudged_v4) batch+='192.0.2.1 . 99 . 12345' ;;
	*) batch+='10.20.0.1' ;;
	esac
	batch+=' }'
}
catalogue=(rule_delete rule_insert rule_twice rule_move rule_edit rule_comment chain_add chain_flush chain_delete chain_rename chain_policy
	chain_hook chain_again element_add element_comment element_delete element_split element_split element_stretch element_verdict set_flush
	set_everybody set_again set_again set_delete table_sleep table_wake table_delete table_empty table_hollow table_again thing_add thing_add counters_reset
	packets_come)
# Those that mostly are nothing: a part of the rounds has no others.
quiet=(rule_move rule_comment chain_policy chain_hook chain_again element_comment element_split element_split element_split set_again table_wake
	table_again counters_reset packets_come)

# ----------------------------------------------------------------------------------------------------- rounds ---
first_sight() { # what is in force at first, and what it covers
	nft list table $our >/dev/null 2>&1 && nft delete table $our
	apply
	listing >"$work/first"
	coverage "$work/first" >"$work/first.covers" || wrong "nft cannot say what is covered at first"
}
covers_the_same() { # covers_the_same FILE: as at first
	cmp -s "$work/first" "$1" && return
	coverage "$1" >"$1.covers" 2>/dev/null && cmp -s "$work/first.covers" "$1.covers"
}
declare -A accepted=()
differed=0 equal=0 refused=0 mutated=0
round() {
	local i count=1 expected kinds=("${catalogue[@]}")
	! chance 3 || kinds=("${quiet[@]}")
	! chance 2 || count=$((RANDOM % 4 + 2))
	: >"$work/commands"
	foreign >"$work/foreign"
	for ((i = 0; i < count; i++)); do
		look
		batch=''
		one_of "${kinds[@]}"
		local kind=$one
		$kind
		[ -n "$batch" ] || continue
		if nft -f - <<<"$batch" >/dev/null 2>"$work/refused"; then
			accepted[$kind]=$((${accepted[$kind]:-0} + 1))
			mutated=$((mutated + 1))
			printf '# %s\n%s\n' "$kind" "$batch" >>"$work/commands"
		else
			refused=$((refused + 1))
		fi
	done
	listing >"$work/now"
	expected=1
	! covers_the_same "$work/now" || expected=0
	if [ $expected = 1 ]; then differed=$((differed + 1)); else equal=$((equal + 1)); fi
	expect_exit $expected guard --format json audit
	[ $expected = 0 ] || complete_differences "$out"
	expect_exit 0 guard audit --heal
	expect_exit 0 guard audit --fail-on info
	listing >"$work/healed"
	if ! covers_the_same "$work/healed"; then
		wrong "after healing nft lists another table (< first, > now)"
		diff "$work/first" "$work/healed" | head -n 20
	fi
	foreign >"$work/foreign.after"
	expect_same "the foreign tables" "$work/foreign" "$work/foreign.after"
	case_has_failed || return 0
	echo "the commands of this round:"
	cat "$work/commands"
	[ $expected = 0 ] || { echo "what differs, as nft says:"; diff "$work/first" "$work/now" | head -n 20; }
	return 1
}
some_rounds() { # some_rounds POLICY-TEXT
	local n
	environment "$1"
	first_sight
	for ((n = 1; n <= rounds; n++)); do
		round && continue
		echo "round $n"
		return
	done
}
rich='tls = required bind = {"10.20.0.5", "10.20.0.6", "2001:db8:20::5"} admin_bind = {"10.20.0.6"}
	loopback = tls max_connections_per_source = 4 new_connections_per_second = 10
	clients = {"10.20.0.0/24", "10.20.1.10-10.20.1.20", "10.21.0.0/16", "2001:db8:20::/64", "2001:db8:21:7::/64"}
	admins = {"10.9.0.0/28", "10.11.0.1"} memcached_clients = {"10.20.0.0/25", "2001:db8:9::/48"}'
plain='tls = off clients = {"10.20.0.0/24", "10.22.0.0-10.24.7.1", "2001:db8:20::/64"} admins = {"10.9.0.0/28"}'
for part in 1 2 3 4; do
	t "at random, of a table with everything, part $part" some_rounds "$rich"
done
t "at random, of a table with the least" some_rounds "$plain"

every_kind() {
	local kind
	[ "$differed" -gt 0 ] && [ "$equal" -gt 0 ] || wrong "the rounds do not tell the one from the other"
	[ "$mutated" -gt "$refused" ] || wrong "the kernel refused most of them"
	[ -n "${DFLYGUARD_TEST_LONG:-}" ] || return 0
	for kind in "${catalogue[@]}"; do [ -n "${accepted[$kind]:-}" ] || wrong "$kind never did anything"; done
}
t "the mutations are of all kinds" every_kind
echo "$mutated mutations ($refused more were refused): $differed rounds differed, $equal did not"
for kind in "${!accepted[@]}"; do echo "  $kind ${accepted[$kind]}"; done | sort
finish
