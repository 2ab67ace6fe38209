#!/bin/bash
# Guarantee 7: every other port, protocol and table is untouched, by apply, by a change, and by remove.
. "$(dirname "$0")/../lib/guard.sh"
network
redis host 6379 6380
redis container 6379
serve host tcp :: 7777
serve host udp :: 6379
serve container tcp :: 7777
# What a host may have beside us: docker's and ufw's kind of tables, every family, sets with counters, objects.
nft -f - <<'END'
table ip nat {
	chain PREROUTING { type nat hook prerouting priority dstnat; fib daddr type local jump DOCKER; }
	chain DOCKER { tcp dport 16379 counter dnat to 172.17.0.2:6379; }
	chain POSTROUTING { type nat hook postrouting priority srcnat; ip saddr 172.17.0.0/16 oifname != "docker0" masquerade; }
}
table ip6 filter {
	set seen { type ipv6_addr; flags dynamic, timeout; timeout 1h; }
	chain INPUT { type filter hook input priority filter; policy accept; ct state established counter accept; }
}
table inet dflyguard_other {
	comment "its name begins like ours"
	counter hits { packets 7 bytes 700 }
	quota some { over 1 mbytes used 5 bytes }
	set clients_v4 {
		type ipv4_addr
		flags interval
		counter
		elements = { 10.67.0.0/24 counter packets 3 bytes 33 }
	}
	map services { type inet_service : verdict; elements = { 6379 : accept }; }
	chain prerouting { type filter hook prerouting priority mangle; policy accept; tcp dport vmap @services; }
}
table ip dflyguard {
	chain prerouting { type filter hook prerouting priority mangle; policy accept; }
}
table arp strict {
	chain input { type filter hook input priority 0; policy accept; }
}
table bridge guard {
	chain forward { type filter hook forward priority 0; policy accept; }
}
table inet asleep {
	flags dormant
	chain input { type filter hook input priority 0; policy drop; }
}
END
# Counters that count while we look would differ by themselves.
quiet() { foreign | sed 's/packets [0-9]* bytes [0-9]*/packets N bytes N/'; }
quiet >"$work/before"
[ "$(grep -c '^table' "$work/before")" = 7 ] || { echo "the foreign tables were not loaded" >&2; exit 2; }

unchanged() { # unchanged COMMAND...: runs it and compares the rest of the ruleset
	expect_exit 0 "$@"
	quiet >"$work/after"
	expect_same "the foreign tables after ${*: -1}" "$work/before" "$work/after"
}
tables() {
	environment 'tls = required clients = {"10.20.0.0/24"}'
	unchanged guard apply
	environment 'tls = optional clients = {"10.20.0.0/24", "10.30.0.0/24"} bind = {"10.20.0.5"}'
	unchanged guard apply
	unchanged guard apply
	environment 'tls = off routed = all clients = {}'
	unchanged guard apply
	unchanged guard plan
	unchanged guard status
	unchanged guard remove
	nft list tables >"$work/tables"
	expect_no_text "$work/tables" 'inet dflyguard$'
	unchanged guard remove
}
t "foreign tables are the same to the byte after apply, changes and remove" tables

traffic() {
	expect_traffic <<-END
		outside 10.66.0.5      7777  ping passes
		outside 2001:db8:66::5 7777  ping passes
		outside 172.17.0.2     7777  ping passes
		outside fd00:17::2     7777  ping passes
		outside 10.66.0.5      6379  udp  passes
		outside 2001:db8:66::5 6379  udp  passes
		outside 10.66.0.5      4     ping reset
		outside 10.66.0.5      4     udp  reset
		outside 2001:db8:66::5 4     ping reset
		container 10.66.0.5    7777  ping passes
		host    10.66.0.5      7777  ping passes
	END
}
other_traffic() {
	traffic
	environment 'tls = required loopback = deny routed = all clients = {} bind = {"10.20.0.5"}'
	apply
	traffic
	expect_exit 0 guard remove
}
t "other ports and protocols pass as before, to this host and through it" other_traffic

kept_counts() { # neither a reset nor a reload of what others count
	nft list counter inet dflyguard_other hits >"$work/hits"
	environment 'tls = required clients = {"10.20.0.0/24"}'
	apply
	expect_exit 0 guard remove
	nft list counter inet dflyguard_other hits >"$work/hits.after"
	expect_same "a foreign counter" "$work/hits" "$work/hits.after"
	expect_text "$work/hits.after" 'packets 7 bytes 700'
}
t "foreign counters keep their values" kept_counts

own_ports() { # replies to what this host and its containers ask of others
	serve outside tcp :: 6379
	serve outside tcp :: 7777
	environment 'tls = required loopback = deny clients = {}'
	apply
	expect_traffic <<-END
		host      10.66.0.10      6379 ping passes
		host      2001:db8:66::10 6379 ping passes
		host      10.66.0.10      7777 ping passes
		container 10.66.0.10      7777 ping passes
	END
	expect_exit 0 guard remove
}
t "this host's own connections to other machines' guarded ports are free" own_ports

remove_revives() {
	environment 'tls = required clients = {}'
	apply
	expect_traffic <<-END
		outside 10.66.0.5 6379  ping timeout
		outside 10.66.0.5 16379 ping timeout
	END
	expect_exit 0 guard --format json remove
	expect_text "$out" '"schema": *1' '"command": *"remove"'
	expect_traffic <<-END
		outside 10.66.0.5 6379  ping passes
		outside 10.66.0.5 16379 ping passes
	END
}
t "remove gives back what was before" remove_revives
finish
