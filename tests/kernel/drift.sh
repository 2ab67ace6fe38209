#!/bin/bash
# Guarantee 10: whatever somebody does to our table, plan and audit see it and say what, audit --heal mends it, both then
# find nothing, the table lists as before, and nobody else's table has changed.
. "$(dirname "$0")/../lib/guard.sh"
ip link set lo up
environment 'tls = required bind = {"10.20.0.5", "10.20.0.6", "2001:db8:20::5"} admin_bind = {"10.20.0.6"}
	loopback = tls max_connections_per_source = 4 new_connections_per_second = 10 clients = {"10.20.0.0/24", "10.20.1.10-10.20.1.20", "2001:db8:20::/64"}
	admins = {"10.9.0.0/28", "10.11.0.1"} memcached_clients = {"10.20.0.0/25", "2001:db8:9::/48"}'
nft -f - <<'END'
table inet other {
	set clients_v4 { type ipv4_addr; flags interval; elements = { 10.1.0.0/16 }; }
	chain judge { tcp dport 6379 accept; }
	chain input { type filter hook input priority 5; policy accept; jump judge; }
}
END

our='inet dflyguard'
handle() { # handle CHAIN TEXT: the number of the first rule in the chain that holds the text
	nft -a list chain $our "$1" | grep -F -- "$2" | sed -n 's/.*# handle \([0-9]*\)$/\1/p' | head -n 1
}
refill() { # refill CHAIN SED-SCRIPT: its rules again, changed, in one transaction
	{
		echo "flush chain $our $1"
		nft list chain $our "$1" | sed -n '/^\t\t/p' | sed -e '/^\t\ttype /d' -e '/^\t\tcomment /d' -e "$2" |
			sed "s/^\t\t/add rule $our $1 /"
	} | nft -f -
}
# remake SET DECLARATION [ELEMENTS]: the set anew under its name, with the rules that refer to it as they were
remake() {
	local chains chain
	chains=$(nft list table $our | awk -v want="@$1" '$1 == "chain" { c = $2 }
		{ for (i = 1; i <= NF; i++) if ($i == want) print c }' | sort -u)
	{
		for chain in $chains; do echo "flush chain $our $chain"; done
		echo "delete set $our $1"
		echo "add set $our $1 { $2 }"
		[ -z "${3:-}" ] || echo "add element $our $1 { $3 }"
		for chain in $chains; do
			nft list chain $our "$chain" | sed -n '/^\t\t/p' | sed -e '/^\t\ttype /d' -e '/^\t\tcomment /d' |
				sed "s/^\t\t/add rule $our $chain /"
		done
	} | nft -f -
}

healthy=true
heals() { # heals PATTERN MUTATION: the plan shows PATTERN
	# One failure must not become that of all cases after it.
	$healthy || nft "add table $our; delete table $our"
	healthy=false
	apply
	listing >"$work/listing"
	[ -s "$work/listing" ] || wrong "our table cannot be listed"
	nft list ruleset | md5sum >"$work/sum"
	if ! eval "$2" 2>"$work/refused"; then
		wrong "the mutation itself was refused: $(cat "$work/refused")"
		return
	fi
	nft list ruleset | md5sum | cmp -s - "$work/sum" && wrong "the mutation changed nothing"
	foreign >"$work/foreign"
	expect_exit 1 guard plan
	expect_text "$out" "$1"
	expect_exit 1 guard --format json plan
	expect_text "$out" '"kind": *"(add|remove|change|move)"'
	expect_exit 1 guard audit --verbose
	expect_text "$out" "$1"
	expect_exit 0 guard audit --heal
	expect_exit 0 guard audit --fail-on info
	expect_exit 0 guard plan
	listing >"$work/healed"
	expect_same "our table" "$work/listing" "$work/healed"
	foreign >"$work/foreign.after"
	expect_same "the foreign tables" "$work/foreign" "$work/foreign.after"
	case_has_failed || healthy=true
}
mutation() { # mutation NAME PATTERN COMMANDS
	t "$1" heals "$2" "$3"
}

# Rules.
mutation "a refusing rule deleted" clients 'nft delete rule $our clients handle $(handle clients refuse_source)'
mutation "the label rule of the first hook deleted" prerouting 'nft flush chain $our prerouting'
mutation "an accepting rule put first" clients 'nft insert rule $our clients accept'
mutation "an accepting rule in front of the first hook" prerouting \
	'nft insert rule $our prerouting tcp dport 6379 accept'
mutation "an accepting rule put last" judge 'nft add rule $our judge accept'
mutation "a returning rule in the middle" clients \
	'nft add rule $our clients handle $(handle clients @clients_v4) ip saddr 10.66.0.0/16 return'
mutation "a rule that looks into another set under the same comment" clients \
	'refill clients s/@clients_v4/@admins_v4/'
mutation "a rule that asks for the opposite" clients 'refill clients "s/ip saddr @clients_v4/ip saddr != @clients_v4/"'
mutation "a rule that asks for the destination instead" clients 'refill clients "s/ip saddr @clients/ip daddr @clients/"'
mutation "drop become return" refuse_source 'refill refuse_source s/drop/return/'
mutation "drop become accept" refuse_source 'refill refuse_source s/drop/accept/'
mutation "a refusal for another reason" clients 'refill clients s/refuse_source/refuse_state/'
mutation "reset become drop" refuse_closed 'refill refuse_closed "s/reject with tcp reset/drop/"'
mutation "goto become jump" bind 'refill bind "s/goto judge/jump judge/"'
mutation "a jump to another chain" tls 'refill tls "s/jump clients/jump admins/"'
mutation "a rule that counts elsewhere" refuse_source 'refill refuse_source s/refused_source/refused_state/'
mutation "a rule with a counter of its own" refuse_state 'refill refuse_state "s/counter name \"refused_state\"/& counter/"'
mutation "a rule twice" clients 'nft add rule $our clients ip saddr @clients_v4 return'
mutation "rules in another order" clients \
	'nft delete rule $our clients handle $(handle clients refuse_source)
	 nft insert rule $our clients goto refuse_source'
mutation "a condition more on a refusing rule" clients 'refill clients "s/goto refuse/ip ttl 64 &/"'
mutation "all rules of a chain gone" judge 'nft flush chain $our judge'
mutation "rules of every chain gone" prerouting 'nft flush table $our'

# The gate, the limits and what is told of refusals.
mutation "the gate lets everything pass" gate 'nft insert rule $our gate accept'
mutation "the gate is not asked" tls 'nft delete rule $our tls handle $(handle tls "goto gate")'
mutation "the gate judges by less" gate_judge 'refill gate_judge "s/0xfffffcc000ff == 0x160300000001/0xff0000000000 == 0x160000000000/"'
mutation "the gate takes SSL 3 for TLS" gate_judge 'refill gate_judge "s/@ih,16,8 != 0x0 //"'
mutation "the gate takes another label for cleared" gate 'refill gate "s/ct label 101/ct label 100/"'
mutation "the gate clears all that begins" gate_begin 'refill gate_begin "s/ct label set 100/ct label set 101/"'
mutation "the gate lets data on a SYN pass" gate_begin 'refill gate_begin /refuse_fast_open/d'
mutation "the gate lets pass what comes before the first byte" gate_data 'refill gate_data "s/ drop/ return/"'
mutation "the server is not reset" refuse_plaintext 'refill refuse_plaintext "s/tcp flags set rst | ack//"'
mutation "the server gets other flags" refuse_plaintext 'refill refuse_plaintext "s/set rst | ack/set rst/"'
mutation "the client is not reset" gate 'refill gate /reject/d'
mutation "the first byte is remembered otherwise" gate_answer 'refill gate_answer "s/add @unjudged_v4/update @unjudged_v4/"'
mutation "the first byte is what the client says" gate_answer \
	'refill gate_answer "s/ip daddr . tcp dport . tcp ackseq/ip saddr . tcp sport . tcp sequence/"'
mutation "answers are not heard" output 'nft flush chain $our output'
mutation "answers of containers are not heard" forward 'refill forward /gate_answer/d'
mutation "a client may answer itself" output 'refill output "s/ct direction reply //"'
mutation "nobody is counted" admit 'refill admit /@connections_over_4_v4/d'
mutation "IPv6 sources are counted by /48" admit 'refill admit "s/ffff:ffff:ffff:ffff::/ffff:ffff:ffff::/"'
mutation "a limit raised" admit 'refill admit "s/ct count over 4/ct count over 9/"'
mutation "a limit that counts nothing" admit 'refill admit "s/ ct count over 4//"'
mutation "a limit the wrong way round" admit 'refill admit "s/ct count over 4/ct count 4/"'
mutation "a limit kept in the set" connections_over_4_v4 \
	'remake connections_over_4_v4 "type ipv4_addr; size 65536; flags dynamic; ct count over 4;"'
mutation "a limit for one source alone" connections_over_4_v6 \
	'remake connections_over_4_v6 "type ipv6_addr; size 1; flags dynamic;"'
mutation "a rate raised" new_connections_v4 \
	'remake new_connections_v4 "type ipv4_addr; size 65536; flags dynamic,timeout; timeout 1m; limit rate over 99/second burst 10 packets;"'
mutation "a rate by the minute" new_connections_v4 \
	'remake new_connections_v4 "type ipv4_addr; size 65536; flags dynamic,timeout; timeout 1m; limit rate over 10/minute burst 10 packets;"'
mutation "the first bytes forgotten at once" unjudged_v4 \
	'remake unjudged_v4 "typeof ip saddr . tcp sport . tcp sequence; size 65536; flags dynamic,timeout; timeout 1s;"'
mutation "refusals logged to another group" refuse_source 'refill refuse_source "s/group 6379/group 1/"'
mutation "refusals logged for another reason" refuse_source 'refill refuse_source "s/dflyguard source/dflyguard state/"'
mutation "refusals logged less often" refuse_source 'refill refuse_source "s/10\/second/1\/hour/"'
mutation "refusals not logged" refuse_source 'refill refuse_source /log/d'
mutation "refused sources listed under another reason" refuse_source 'refill refuse_source "s/0x00000001/0x00000004/"'

not_drift() { # what rules put into sets is state
	apply
	nft add element $our connections_over_4_v4 '{ 10.20.0.1 }'
	nft add element $our refused_v4 '{ 192.0.2.1 . 0x1, 192.0.2.2 . 0x6 }'
	nft add element $our unjudged_v6 '{ 2001:db8:20::1 . 99 . 12345 }'
	expect_exit 0 guard plan
	expect_exit 0 guard apply
	nft list set $our refused_v4 | grep -q 192.0.2.2 || wrong "apply emptied the list of refused sources"
	nft list set $our unjudged_v6 | grep -q 12345 || wrong "apply emptied the list of first bytes"
	nft flush set $our refused_v4
	nft flush set $our unjudged_v6
	nft flush set $our connections_over_4_v4
}
t "what packets put into a set is no drift, and stays" not_drift

# Rules of which the program has no words.
for words in 'tcp dport 1 numgen random mod 2 0 accept' 'meta mark set 0x1' 'log prefix "x"' 'limit rate 3/minute accept' \
	'quota over 3 mbytes accept' 'ct label != 5 accept' 'ct mark set 7' 'limit rate over 3/second drop' \
	'log prefix "x" group 6379 queue-threshold 20' 'update @refused_v4 { ip daddr . 0x1 }' 'tcp flags set syn' \
	'update @new_connections_v4 { ip saddr timeout 1s }' 'update @connections_over_4_v4 { ip daddr }' 'tcp option maxseg size set 1200' 'ip dscp 4 accept' \
	'fib saddr . iif oif missing drop' 'tcp dport { 6379, 6380 } accept' 'ip saddr 10.66.0.0/24 accept' \
	'ip saddr . tcp dport { 10.66.0.10 . 6379 } accept' 'ct count over 3 accept' 'meta skuid 0 accept' \
	'@th,16,16 6379 accept' '@ih,0,8 0x16 accept' 'meta nftrace set 1' \
	'reject with icmpx admin-prohibited' 'tcp dport vmap { 6379 : accept }'; do
	mutation "a rule with: $words" judge "nft insert rule \$our judge '$words'"
done

# Sets and maps.
mutation "a source deleted" '10\.20\.0\.0/24' 'nft delete element $our clients_v4 "{ 10.20.0.0/24 }"'
mutation "an IPv6 source deleted" '2001:db8:20::/64' 'nft delete element $our clients_v6 "{ 2001:db8:20::/64 }"'
mutation "a source added" '203\.0\.113\.0/24' 'nft add element $our clients_v4 "{ 203.0.113.0/24 }"'
mutation "a source added with a comment" '203\.0\.113\.1' \
	'nft add element $our clients_v4 "{ 203.0.113.1 comment \"trust me\" }"'
mutation "a source that begins where another ends" '10\.20\.1\.21' 'nft add element $our clients_v4 "{ 10.20.1.21 }"'
mutation "the last address of all added" '255\.255\.255\.255' 'nft add element $our clients_v4 "{ 255.255.255.255 }"'
mutation "the first address of all added" '0\.0\.0\.0' 'nft add element $our clients_v4 "{ 0.0.0.0 }"'
mutation "everybody let in by halves" clients_v4 \
	'nft "flush set $our clients_v4; add element $our clients_v4 { 0.0.0.0/1, 128.0.0.0/1 }"'
mutation "everybody let in by IPv6" clients_v6 \
	'nft "flush set $our clients_v6; add element $our clients_v6 { ::/0 }"'
mutation "a source made wider" clients_v4 \
	'nft "delete element $our clients_v4 { 10.20.0.0/24 }; add element $our clients_v4 { 10.20.0.0-10.20.1.5 }"'
mutation "a set of clients emptied" clients_v4 'nft flush set $our clients_v4'
mutation "a guarded port forgotten" 9999 'nft delete element $our guarded_ports "{ 9999 }"'
mutation "all guarded ports but one forgotten" guarded_ports \
	'nft "flush set $our guarded_ports; add element $our guarded_ports { 9999 }"'
mutation "a guarded port more" 22 'nft add element $our guarded_ports "{ 22 }"'
mutation "no guarded ports" guarded_ports 'nft flush set $our guarded_ports'
mutation "a service judged by another chain" 6379 \
	'nft "delete element $our services { 6379 : goto plaintext }; add element $our services { 6379 : goto memcached }"'
mutation "a service judged by nobody" 6380 'nft delete element $our services "{ 6380 : goto tls }"'
mutation "a service accepted at once" 6380 \
	'nft "delete element $our services { 6380 : goto tls }; add element $our services { 6380 : accept }"'
mutation "an address to listen at more" '10\.66\.0\.5' 'nft add element $our bind_v4 "{ 10.66.0.5 }"'
mutation "a set made anew with time-outs" clients_v4 \
	'remake clients_v4 "type ipv4_addr; flags interval, timeout;" "10.20.0.0/24 timeout 1h, 10.20.1.10-10.20.1.20 timeout 1h"'
mutation "a set made anew without intervals" admins_v6 'remake admins_v6 "type ipv6_addr;"'
mutation "a set made anew that packets may fill" clients_v4 'remake clients_v4 "type ipv4_addr; flags dynamic;" 10.20.0.1'
mutation "a set made anew that cannot be changed" clients_v4 \
	'remake clients_v4 "type ipv4_addr; flags constant, interval; elements = { 10.20.0.0/24 };"'
mutation "a set and the rule that uses it deleted" clients_v6 \
	'nft delete rule $our clients handle $(handle clients @clients_v6); nft delete set $our clients_v6'

# Chains.
mutation "a chain added" extra 'nft add chain $our extra'
mutation "a chain with rules added" extra 'nft add chain $our extra; nft add rule $our extra tcp dport 6379 accept'
mutation "a hook added" early 'nft add chain $our early "{ type filter hook prerouting priority -400; policy drop; }"'
mutation "a hook for translation added" early \
	'nft add chain $our early "{ type nat hook prerouting priority -100; }"
	 nft add rule $our early tcp dport 7000 redirect to :6379'
mutation "a hook on a device added" early \
	'nft add chain $our early "{ type filter hook ingress device lo priority 0; policy accept; }"'
mutation "a chain renamed" judge 'nft rename chain $our judge jury'
mutation "a chain renamed, and a harmless one under its name" judge \
	'nft rename chain $our judge jury
	 nft add chain $our judge "{ comment \"every packet to a guarded port\"; }"'
mutation "a hook's policy become drop" input 'nft chain $our input "{ policy drop; }"'
mutation "a hook deleted" forward 'nft "flush chain $our forward; delete chain $our forward"'
mutation "a hook made anew at another priority" forward \
	'rules=$(nft list chain $our forward | grep "@guarded_ports")
	 nft "flush chain $our forward; delete chain $our forward
		add chain $our forward { type filter hook forward priority 300; policy accept; }"
	 nft "add rule $our forward $rules"'
mutation "a hook made anew elsewhere" prerouting \
	'rules=$(nft list chain $our prerouting | grep "@guarded_ports")
	 nft "flush chain $our prerouting; delete chain $our prerouting
		add chain $our prerouting { type filter hook output priority -150; policy accept; }"
	 nft "add rule $our prerouting $rules"'
mutation "a hook become a plain chain" input \
	'rules=$(nft list chain $our input | grep "@guarded_ports")
	 nft "flush chain $our input; delete chain $our input; add chain $our input"
	 nft "add rule $our input $rules"'

# What the table may hold besides.
mutation "a set added" strange 'nft add set $our strange "{ type inet_service; elements = { 1, 2 }; }"'
mutation "a set of other things added" strange \
	'nft add set $our strange "{ type ether_addr . ipv4_addr; flags interval; }"'
mutation "a map added" strange 'nft add map $our strange "{ type ipv4_addr : mark; elements = { 10.0.0.1 : 5 }; }"'
mutation "a map of verdicts that go to our chains" strange \
	'nft add map $our strange "{ type ipv4_addr : verdict; elements = { 10.0.0.1 : jump judge }; }"'
mutation "a counter added" strange 'nft add counter $our strange'
mutation "a quota added" strange 'nft add quota $our strange "{ over 1 mbytes }"'
mutation "a limit added" strange 'nft add limit $our strange "{ rate 3/second }"'
mutation "a limit added and used" strange \
	'nft add limit $our strange "{ rate 3/second }"; nft insert rule $our judge limit name strange accept'
mutation "a connection tracking helper added" strange 'nft add ct helper $our strange "{ type \"ftp\" protocol tcp; }"'
mutation "a time-out policy added" strange \
	'nft add ct timeout $our strange "{ protocol tcp; policy = { established: 132 }; }"'
mutation "a synproxy added" strange 'nft add synproxy $our strange "{ mss 1460; wscale 7; }"'
flowtable() {
	if ! nft "add table inet probe; add flowtable inet probe f { hook ingress priority 0; devices = { lo }; }" 2>/dev/null; then
		nft delete table inet probe
		skip "this kernel has no flowtables (nf_flow_table_inet)"
		return
	fi
	nft delete table inet probe
	heals strange 'nft add flowtable $our strange "{ hook ingress priority 0; devices = { lo }; }"'
}
t "a flowtable added" flowtable

# The whole.
mutation "the table put to sleep" dormant 'nft add table $our "{ flags dormant; }"'
mutation "the table put to sleep and changed" dormant \
	'nft add table $our "{ flags dormant; }"; nft flush set $our clients_v4'
mutation "the table deleted" dflyguard 'nft delete table $our'
mutation "the table deleted, and an empty one under its name" prerouting 'nft "delete table $our; add table $our"'
mutation "many things at once" clients \
	'nft flush set $our clients_v4; nft flush chain $our judge; nft add chain $our extra; nft add rule $our extra accept
	 nft insert rule $our prerouting jump extra; nft add element $our admins_v4 "{ 192.168.0.0/16 }"
	 nft chain $our forward "{ policy drop; }"'
mutation "everything flushed" dflyguard 'nft flush ruleset'

harmless() { # harmless COMMANDS: no drift
	apply
	eval "$1" || wrong "refused"
	expect_exit 0 guard plan
	local before
	before=$(generation)
	expect_exit 0 guard apply
	expect_equal "the generation id" "$before" "$(generation)"
}
t "counters set to zero are no drift" harmless 'nft reset counters table $our >/dev/null'
t "foreign tables are no drift" harmless 'nft add table inet third; nft add chain inet third judge'
t "a chain made anew as it was is no drift" harmless 'refill judge ""'
t "our own listing, loaded again, is no drift" harmless \
	'nft list table $our >"$work/list"; nft delete table $our; nft -f "$work/list"'

parts() { # a list that is laid out in parts
	{
		echo 'default_environment = test service { port = 6379 } environment test { tls = off server = optional clients = {'
		awk 'BEGIN { for (i = 0; i < 20000; i++) printf "\"10.%d.%d.8\",\n", i % 256, i / 256 }'
		echo '"2001:db8::/32" } }'
	} | policy
	# shellcheck disable=SC2034 # used by what is evaluated
	local part
	heals '10\.20\.7\.8' 'part=$(nft list table $our | awk "\$1 == \"set\" { s = \$2 } /10\.20\.7\.8/ { print s; exit }")
		nft delete element $our $part "{ 10.20.7.8 }"'
	heals '10\.20\.7\.9' 'part=$(nft list table $our | awk "\$1 == \"set\" { s = \$2 } /10\.20\.7\.8/ { print s; exit }")
		nft add element $our $part "{ 10.20.7.9 }"'
	heals clients_v4_parts 'nft flush map $our clients_v4_parts'
	heals clients_v4_parts 'target=$(nft list map $our clients_v4_parts | grep -oE "10\.[0-9./-]* : goto [^ ,]*" | head -n 1)
		nft "delete element $our clients_v4_parts { $target }; add element $our clients_v4_parts { ${target% : *} : accept }"'
}
t "a list of 20,000 sources: a source less, a source more, parts lost, a part let through" parts
finish
