#!/bin/bash
# Guarantee 6: what connection tracking calls invalid or does not track fails closed on guarded ports, and only there.
. "$(dirname "$0")/../lib/guard.sh"
network
redis host 6379 6380
redis container 6379
serve host tcp :: 7777
environment 'tls = optional clients = {"10.20.0.0/24", "2001:db8:20::/64"}'

notrack() { # notrack PORT
	nft -f - <<-END
		table inet raw {
			chain prerouting { type filter hook prerouting priority raw; tcp dport $1 notrack; }
			chain output { type filter hook output priority raw; tcp sport $1 notrack; }
		}
	END
}
untracked() {
	notrack 6379
	expect_traffic <<-END
		allowed 10.20.0.5      6379 ping passes
		outside 2001:db8:66::5 6379 ping passes
	END
	apply
	expect_traffic <<-END
		allowed 10.20.0.5      6379 ping refused
		allowed 2001:db8:20::5 6379 ping refused
		outside 10.66.0.5      6379 ping refused
		outside 2001:db8:66::5 6379 ping refused
		allowed 10.20.0.5      6380 tls  passes
		allowed 2001:db8:20::5 7777 ping passes
		outside 10.66.0.5      7777 ping passes
	END
	[ "$(counted refused_state)" -ge 4 ] || wrong "refused_state counted $(counted refused_state)"
	nft delete table inet raw
	expect_traffic <<-END
		allowed 10.20.0.5      6379 ping passes
		allowed 2001:db8:20::5 6379 ping passes
	END
}
t "notrack on a guarded port closes it" untracked

untracked_other() {
	notrack 7777
	expect_traffic <<-END
		outside 10.66.0.5      7777 ping passes
		outside 2001:db8:66::5 7777 ping passes
		allowed 10.20.0.5      6379 ping passes
	END
	nft delete table inet raw
}
t "notrack on another port is nobody's business" untracked_other

untracked_routed() {
	notrack 6379
	expect_traffic <<-END
		allowed 172.17.0.2 6379 ping refused
		allowed fd00:17::2 6379 ping refused
		outside 172.17.0.2 6379 ping refused
	END
	nft delete table inet raw
}
t "notrack on the way to a container closes it, too" untracked_routed

invalid() { # SYN|FIN: no state of TCP has it
	local before
	before=$(counted refused_state)
	"$segments" allowed 10.20.0.10 10.20.0.5 6379 flags 0x03
	wait_until 10 counted_more "$before" || wrong "refused_state did not count an invalid segment"
	"$segments" allowed 10.20.0.10 10.20.0.5 7777 flags 0x03
	expect_traffic <<-END
		allowed 10.20.0.5 6379 ping passes
	END
	expect_equal refused_state "$((before + 1))" "$(counted refused_state)"
}
counted_more() { [ "$(counted refused_state)" -gt "$1" ]; }
t "an invalid segment of a client is refused and counted" invalid

midstream() { # a strict host (tcp_loose = 0) calls segments in mid-stream invalid: closed, not open
	session_begin
	expect_equal "connection a4" connected "$(session open a4 allowed 10.20.0.5 6379)"
	expect_lives a4
	echo 0 >/proc/sys/net/netfilter/nf_conntrack_tcp_loose
	conntrack -F 2>/dev/null
	local before
	before=$(counted refused_state)
	expect_dead a4
	counted_more "$before" || wrong "refused_state did not count"
	echo 1 >/proc/sys/net/netfilter/nf_conntrack_tcp_loose
}
t "a strict connection tracking that forgot a connection refuses it" midstream
finish
