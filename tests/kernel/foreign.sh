#!/bin/bash
# What other tables do to the guarded ports: audit sees it, says which rule, stays small whatever they hold,
# and leaves them as they are, byte for byte, also when it heals.
. "$(dirname "$0")/../lib/guard.sh"
ip link set lo up
environment 'tls = optional clients = {"10.20.0.0/24", "2001:db8:20::/64"} admins = {"10.9.0.0/28"}
	bind = {"10.20.0.5", "2001:db8:20::5"}'

fresh() { # fresh [RULESET]: our table, and these others
	nft flush ruleset
	guard --quiet apply || wrong "apply failed"
	[ $# -eq 0 ] || nft -f - <<<"$1" 2>"$work/refused" && return
	if grep -q 'Could not process rule: \(No such file\|Operation not supported\)' "$work/refused"; then
		skip "this ruleset: this kernel has no ${missing:-part that it needs} ($(head -n 1 "$work/refused"))"
	else
		wrong "nft refuses the ruleset: $(cat "$work/refused")"
	fi
	return 1
}
found() { # found STATUS RULESET PATTERN...: audit ends so, and shows each line
	local status=$1
	fresh "$2" || return 0
	shift 2
	foreign >"$work/before"
	expect_exit "$status" guard audit
	expect_text "$out" "$@"
	foreign >"$work/after"
	expect_same "other tables" "$work/before" "$work/after"
}
none() { # none RULESET: no other table does anything to us
	fresh "$1" || return 0
	expect_exit 0 guard audit --fail-on info
	expect_no_text "$out" '^  (fail|unknown)'
}

# --- NAT ---
docker_nat='table ip nat {
	chain DOCKER {
		iifname "docker0" counter return
		iifname != "docker0" tcp dport 16379 counter dnat to 172.17.0.2:6379
	}
	chain PREROUTING {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local counter jump DOCKER
	}
	chain POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 172.17.0.0/16 oifname != "docker0" counter masquerade
	}
}'
t "docker publishes another port" found 1 "$docker_nat" \
	'^  fail +warning +firewall.foreign_nat +table ip nat chain DOCKER handle [0-9]+: translates port 16379 to port 6379 of 172.17.0.2$' \
	'iifname != "docker0" tcp dport 16379 counter dnat to 172.17.0.2:6379' 'known by name: ip nat \(docker\)'
t "a redirect to a guarded port" found 1 'table inet mine { chain pre { type nat hook prerouting priority -100; tcp dport 7000 redirect to :6379; }; }' \
	'fail +warning +firewall.foreign_nat .*table inet mine chain pre handle [0-9]+: translates port 7000 to port 6379 of this host'
t "a redirect from a range and from a set" found 1 'table ip mine { chain pre { type nat hook prerouting priority -100;
		tcp dport 7000-7010 redirect to :6379; tcp dport { 8000, 8001 } redirect to :9999; }; }' \
	'translates a port of 7000-7010 to port 6379' 'translates another port to port 9999'
t "a guarded port led elsewhere" found 1 'table ip mine { chain pre { type nat hook prerouting priority -100; tcp dport 6379 dnat to 10.66.0.9; }; }' \
	'fail +warning +firewall.foreign_nat .*translates port 6379 to port 6379 of 10.66.0.9'
t "a guarded port led elsewhere, by a set and IPv6" found 1 'table ip6 mine {
		set doors { type inet_service; elements = { 22, 6380 }; }
		chain pre { type nat hook prerouting priority -100; tcp dport @doors dnat to [2001:db8::9]:1; }; }' \
	'translates port 6380 to port 1 of 2001:db8::9'
t "a translation that a map tells" found 0 'table ip mine {
		map doors { type inet_service : ipv4_addr . inet_service; elements = { 16379 : 172.17.0.2 . 6379 }; }
		chain pre { type nat hook prerouting priority -100; dnat ip to tcp dport map @doors; }; }' \
	'unknown +info +firewall.foreign_nat .*to a port that cannot be told'
t "a packet rewritten behind our look" found 1 'table ip mine { chain in { type filter hook input priority -5; tcp dport 7000 tcp dport set 6379; }; }' \
	'fail +critical +firewall.foreign_nat .*rewrites port 7000 to port 6379 of this host, where nothing judges it'
t "a packet rewritten before our look" found 1 'table ip mine { chain pre { type filter hook prerouting priority -300; tcp dport 7000 tcp dport set 6379; }; }' \
	'fail +warning +firewall.foreign_nat .*rewrites port 7000 to port 6379 of this host$'
t "tproxy" found 1 'table ip mine { chain pre { type filter hook prerouting priority -150; tcp dport 7000 tproxy to :6379; }; }' \
	'fail +critical +firewall.foreign_nat .*rewrites port 7000 to port 6379'
t "tproxy before our look, which does not see the port change" found 1 'table ip mine { chain pre { type filter hook prerouting priority -300; tcp dport 7000 tproxy to :6379; }; }' \
	'fail +critical +firewall.foreign_nat .*rewrites port 7000 to port 6379 of this host, where nothing judges it'
t "other translations are none of ours" none 'table ip mine {
		chain pre { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.9:80; udp dport 6379 dnat to 10.0.0.1; tcp dport 6379 iif lo redirect to :1; }
		chain post { type nat hook postrouting priority 100; masquerade; }
		chain out { type nat hook output priority -100; tcp dport 6379 redirect to :6380; }; }'
t "a redirect to several ports" found 0 'table ip mine { chain pre { type nat hook prerouting priority -100; tcp dport 7000 redirect to :6000-7001; }; }' \
	'unknown +info +firewall.foreign_nat .*translates port 7000 to a port that cannot be told'
t "dnat to several ports" found 0 'table ip mine { chain pre { type nat hook prerouting priority -100; tcp dport 7000 dnat to 172.17.0.2:6000-7001; }; }' \
	'unknown +info +firewall.foreign_nat .*translates port 7000 to a port that cannot be told'
t "a dormant table does nothing" none 'table ip mine { flags dormant; chain pre { type nat hook prerouting priority -100; tcp dport 7000 redirect to :6379; }; }'

# --- tracking, fwd ---
t "notrack in raw" found 1 'table inet raw { chain pre { type filter hook prerouting priority raw; tcp dport { 80, 6380 } notrack; }; }' \
	'fail +critical +firewall.notrack .*table inet raw chain pre handle [0-9]+: takes connection tracking away from port 6380$'
t "notrack for everything" found 1 'table ip raw { chain pre { type filter hook prerouting priority raw; notrack; }; }' \
	'away from port 6379' 'away from port 11211'
t "notrack for others" none 'table ip raw { chain pre { type filter hook prerouting priority raw; udp dport 53 notrack; tcp dport 80 notrack; }; }'
t "fwd at ingress" found 1 'table netdev mine { chain in { type filter hook ingress device lo priority 0; tcp dport 6379 fwd to lo; }; }' \
	'fail +critical +firewall.flowtable .*table netdev mine chain in handle [0-9]+: sends packets on before any chain: to port 6379'
flowtable() {
	local missing=flowtables
	fresh 'table inet mine { flowtable f { hook ingress priority 0; devices = { lo }; }
		chain forw { type filter hook forward priority 0; ip protocol tcp ct state established flow add @f; }; }' || return 0
	expect_exit 1 guard audit
	expect_text "$out" 'fail +critical +firewall.flowtable .*to port 6379' 'flow add @f'
}
t "a flowtable" flowtable

# --- drops ---
t "policy drop" found 1 'table inet mine { chain in { type filter hook input priority 0; policy drop; tcp dport 22 accept; }; }' \
	'fail +warning +firewall.foreign_drop +table inet mine chain in: drops what the policy allows: from 10.20.0.1 to port 6379 .*policy.conf' 'policy drop'
t "policy drop, and the established ones accepted" found 1 'table inet mine { chain in { type filter hook input priority 0; policy drop; ct state established,related accept; }; }' \
	'drops what the policy allows: from 10.20.0.1 to port 6380'
t "dropped by a set of networks" found 1 'table inet mine {
		set bad { type ipv4_addr; flags interval; elements = { 10.20.0.0/28, 192.0.2.0/24 }; }
		chain in { type filter hook input priority -200; ip saddr @bad counter drop; }; }' \
	'chain in handle [0-9]+: drops what the policy allows: from 10.20.0.1 to port 6379' 'ip saddr @bad counter drop'
t "dropped by a map of verdicts" found 1 'table ip mine {
		chain no { reject with tcp reset; }
		chain in { type filter hook input priority 0; tcp dport vmap { 22 : accept, 9999 : jump no }; }; }' \
	'chain no handle [0-9]+: drops what the policy allows: from 10.9.0.1 to port 9999'
t "dropped by what a map says of all others" found 1 'table inet mine { map m { type inet_service : verdict; elements = { 22 : accept, * : drop }; }
		chain in { type filter hook input priority 0; tcp dport vmap @m; }; }' \
	'drops what the policy allows: from 10.20.0.1 to port 6379' 'tcp dport vmap @m'
t "an interval in a map of verdicts" none 'table inet mine { map m { type inet_service : verdict; flags interval; elements = { 6379-6390 : accept, 9000-10000 : accept, 1-6378 : drop }; }
		chain in { type filter hook input priority 0; policy drop; tcp dport vmap @m; }; }'
t "dropped by state" found 1 'table ip mine { chain in { type filter hook prerouting priority 10; tcp dport 6380 ct state new drop; }; }' \
	'drops what the policy allows: from 10.20.0.1 to port 6380'
t "dropped by what is not in a set" found 1 'table ip6 mine {
		set good { type ipv6_addr . inet_service; flags interval; elements = { 2001:db8:21::/64 . 6379 }; }
		chain in { type filter hook input priority 0; tcp dport 6379 ip6 saddr . tcp dport != @good drop; }; }' \
	'drops what the policy allows: from 2001:db8:20::1 to port 6379'
t "an accept elsewhere does not save" found 1 'table inet a { chain in { type filter hook input priority -50; accept; }; }
	table inet b { chain in { type filter hook input priority 50; tcp dport 6379-6380 drop; }; }' \
	'table inet b chain in handle [0-9]+: drops what the policy allows'
t "perhaps dropped" found 0 'table inet mine { chain in { type filter hook input priority 0; tcp dport 6379 limit rate over 10/second drop; meta mark 7 drop; }; }' \
	'unknown +info +firewall.foreign_drop .*may drop what the policy allows'
ufw='table ip filter {
	chain ufw-user-input { tcp dport 22 counter accept
		tcp dport 6379-6380 ip saddr 10.20.0.0/24 counter accept
		tcp dport 9999 ip saddr 10.9.0.0/28 counter accept; }
	chain ufw-before-input { iifname "lo" counter accept
		ct state related,established counter accept
		ct state invalid counter drop
		icmp type echo-request counter accept
		counter jump ufw-user-input; }
	chain INPUT { type filter hook input priority filter; policy drop;
		counter jump ufw-before-input; }
}'
t "ufw that allows the clients" none "${ufw/counter jump ufw-user-input/fib saddr . iif oif missing drop; counter jump ufw-user-input}"
t "ufw that allows others" found 1 "${ufw//10.20.0.0/10.21.0.0}" \
	'table ip filter chain INPUT: drops what the policy allows: from 10.20.0.1 to port 6379' 'known by name: ip filter \(ufw\)'
firewalld='table inet firewalld { 
	chain filter_IN_public_allow { tcp dport 6379-6380 ct state new,untracked accept
		tcp dport 9999 accept; }
	chain filter_IN_public { jump filter_IN_public_allow
		meta l4proto { icmp, ipv6-icmp } accept; }
	chain filter_INPUT_ZONES { iifname "eth7" goto filter_IN_public
		goto filter_IN_public; }
	chain mangle_PREROUTING { type filter hook prerouting priority mangle + 10; policy accept;
		icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
		meta nfproto ipv6 fib saddr . mark . iif oif missing drop; }
	chain filter_INPUT { type filter hook input priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		ct state { invalid } drop
		jump filter_INPUT_ZONES
		reject with icmpx admin-prohibited; }
	chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept;
		reject with icmpx admin-prohibited; }
}'
t "firewalld that allows the clients" none "$firewalld"
t "firewalld that does not" found 1 "${firewalld/tcp dport 9999 accept/}" \
	'table inet firewalld chain filter_INPUT handle [0-9]+: drops what the policy allows: from 10.9.0.1 to port 9999' 'reject'
t "a container behind a forward that drops" found 1 'table ip mine {
		chain pre { type nat hook prerouting priority -100; tcp dport 6379 dnat to 172.17.0.2:6379; }
		chain in { type filter hook input priority 0; tcp dport 6379 drop; }
		chain forw { type filter hook forward priority 0; policy drop; ip daddr 172.17.0.3 accept; }; }' \
	'chain forw: drops what the policy allows: from 10.20.0.1 to port 6379'
only_accepts='table inet mine { chain in { type filter hook input priority 0; tcp dport 6379 accept; ip saddr 10.20.0.0/24 accept; }
		chain forw { type filter hook forward priority 0; policy drop; }
		chain out { type filter hook output priority 0; policy drop; }; }'
t "tables that accept, and what we do not pass" none "$only_accepts"

iptables_nft() {
	command -v iptables-nft >/dev/null || { skip "iptables is not installed"; return; }
	fresh
	{
		iptables-nft -t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 16379 -j DNAT --to-destination 172.17.0.2:6379 &&
		ip6tables-nft -t nat -A PREROUTING -p tcp --dport 7000 -j REDIRECT --to-ports 6379 &&
		iptables-nft -t raw -A PREROUTING -p tcp --dport 6380 -j CT --notrack &&
		iptables-nft -P INPUT DROP &&
		iptables-nft -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT &&
		iptables-nft -A INPUT -p tcp -m multiport --dports 22,6379:6380 -m conntrack --ctstate NEW -j ACCEPT &&
		iptables-nft -A INPUT -m comment --comment 'the rest' -j REJECT
	} 2>"$work/refused" || { skip "iptables-nft: this kernel has no extension that it needs: $(tail -n 1 "$work/refused")"; return; }
	expect_exit 1 guard audit
	expect_text "$out" 'table ip nat chain PREROUTING .*translates port 16379 to port 6379 of 172.17.0.2' \
		'table ip6 nat chain PREROUTING .*translates port 7000 to port 6379 of this host' \
		'takes connection tracking away from port 6380' \
		'table ip filter chain INPUT handle [0-9]+: drops what the policy allows: from 10.9.0.1 to port 9999'
	expect_no_text "$out" 'from 10.20.0.1'
}
t "iptables-nft with its own extensions" iptables_nft

owner() {
	fresh
	mkfifo "$work/nft"
	nft -i <"$work/nft" >"$work/nft.log" 2>&1 &
	local process=$!
	exec 7>"$work/nft"
	echo 'add table inet firewalld { flags owner; chain c { type filter hook input priority 0; tcp dport 6379 accept; }; }' >&7
	if wait_until 5 nft list table inet firewalld && nft list table inet firewalld | grep -q owner; then
		expect_exit 1 guard audit
		expect_text "$out" 'fail +warning +firewall.owner .*a program owns tables that name a guarded port: inet firewalld \(firewalld\)'
	else
		skip "an owner: this kernel has no table with an owner: $(head -n 1 "$work/nft.log")"
	fi
	exec 7>&-
	wait "$process" 2>/dev/null
	wait_until 5 eval '! nft list table inet firewalld' || wrong "the owner's table stayed"
	expect_exit 0 guard audit
}
t "a table with an owner" owner

# --- large ---
large() {
	fresh
	{
		for i in {1..1000}; do
			echo "table inet t$i { set s { type ipv4_addr; elements = { 192.0.2.1 }; }
				chain help { tcp dport 80 accept; ip saddr @s drop; }
				chain in { type filter hook input priority $i; tcp dport 22 accept; jump help; }
				chain pre { type filter hook prerouting priority $i; ip saddr 192.0.2.7 drop; }; }"
		done
		echo 'table ip large { set s { type ipv4_addr; elements = { '
		for ((i = 0; i < 200000; i++)); do echo "$((11 + i / 65536)).$((i / 256 % 256)).$((i % 256)).1,"; done
		echo '}; }
			chain in { type filter hook input priority 2000; ip saddr @s drop; }; }'
		echo 'table ip long { chain in { type filter hook input priority 3000; '
		for ((i = 0; i < 20000; i++)); do echo "ip saddr 11.$((i / 256)).$((i % 256)).1 drop"; done
		echo '}; }'
	} | nft -f - || wrong "nft refused it"
	expect_exit 0 guard audit
	# 48 MB of address space, of which libraries take a third.
	(ulimit -v 48000; "$dflyguard" --policy "$policy_file" --quiet audit) || wrong "audit needs more than 48 MB"
	nft add element ip large s '{ 10.20.0.1 }'
	expect_exit 1 guard audit
	expect_text "$out" 'table ip large chain in handle [0-9]+: drops what the policy allows: from 10.20.0.1'
}
t "a thousand tables, 200,000 elements and 20,000 rules: under a second, in little memory" large

too_large() {
	fresh
	{
		echo 'table ip long { chain in { type filter hook input priority 0; '
		for ((i = 0; i < 210000; i++)); do echo "ip saddr 11.$((i / 65536)).$((i / 256 % 256)).$((i % 256)) drop"; done
		echo '}; }'
	} | nft -f - || wrong "nft refused it"
	expect_exit 2 guard audit
	expect_text "$out" 'unknown +warning +firewall.foreign_drop .*more rules than are looked at' 'unknown +critical +firewall.notrack'
}
t "what is too large to be looked at is unknown" too_large

untouched() {
	fresh "$docker_nat
		$ufw" || return 0
	foreign >"$work/before"
	nft flush chain inet dflyguard judge
	expect_exit 1 guard audit --heal
	foreign >"$work/after"
	expect_same "other tables" "$work/before" "$work/after"
	nft delete table inet dflyguard
	expect_exit 1 guard audit --heal
	foreign >"$work/after"
	expect_same "other tables" "$work/before" "$work/after"
	watched "$work/events" guard --quiet audit
	expect_same "events during an audit" /dev/null "$work/events"
}
t "healing leaves other tables as they are" untouched

legacy() {
	command -v iptables-legacy >/dev/null || { skip "iptables is not installed"; return; }
	fresh
	iptables-legacy -t nat -S >/dev/null 2>"$work/refused" || { skip "legacy: this kernel has no legacy iptables: $(head -n 1 "$work/refused")"; return; }
	expect_exit 1 guard audit
	expect_text "$out" 'fail +warning +firewall.legacy .*ip nat'
}
t "tables of legacy iptables" legacy
finish
