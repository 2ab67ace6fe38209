#!/bin/bash
# Guarantee 5: limits per source. They hold on every port together, are counted once on every way, and whoever is over one
# takes nothing away from others.
. "$(dirname "$0")/../lib/guard.sh"
# shellcheck source=tests/lib/tls.sh
. "$root/tests/lib/tls.sh"
network
redis host 6379 6380
redis container 6379 6380
serve host tcp :: 9999
session_begin
sources='{"10.20.0.0/24", "10.21.0.0/16", "2001:db8:20::/64", "2001:db8:21::/64"}'
limits() { # limits TEXT...: the usual policy with these
	environment "tls = optional clients = $sources admins = $sources memcached_clients = $sources $*"
	apply
}
a4=allowed@10.20.0.10 b4=allowed@10.20.0.11 a6=allowed@2001:db8:20::10 b6=allowed@2001:db8:20::11

opened=()
opens() { # opens OUTCOME COUNT FROM ADDRESS PORT: so many connections that last
	local outcome=$1 count=$2 seen name
	shift 2
	for ((; count > 0; count--)); do
		for _ in {1..40}; do
			name=s$((++serial))
			seen=$(session open $name "$@")
			# The kernel notices some milliseconds late that a connection has ended.
			[ "$outcome:$seen" = connected:reset ] || break
			sleep 0.02
		done
		expect_equal "connection from $1 to $2 port $3" "$outcome" "$seen"
		[ "$seen" != connected ] || opened+=("$name")
	done
}
serial=0
closes() { # closes COUNT: the first ones
	local count
	for ((count = $1; count > 0; count--)); do
		session close "${opened[0]}" >/dev/null
		opened=("${opened[@]:1}")
	done
}
closes_all() {
	closes ${#opened[@]}
	conntrack -F 2>/dev/null
}
can_open() { # can_open FROM ADDRESS PORT: right now?
	echo "$1 $2 $3 connect connected" | "$netprobe" matrix >/dev/null
}

# ---------------------------------------------------------------------------------------------- connections at once ---
exact() {
	limits 'max_connections_per_source = 4'
	opens connected 2 $a4 10.20.0.5 6379
	opens connected 2 $a4 10.20.0.5 6380
	opens reset 1 $a4 10.20.0.5 6379
	opens reset 1 $a4 10.20.0.5 6380
	opens reset 1 $a4 10.20.0.5 9999
	opens connected 4 $b4 10.20.0.5 6379
	opens reset 1 $b4 10.20.0.5 6379
	expect_lives "${opened[0]}" "${opened[4]}"
	expect_equal refused_connections 4 "$(counted refused_connections)"
	closes 1
	opens connected 1 $a4 10.20.0.5 6379
	opens reset 1 $a4 10.20.0.5 6379
	[ "$(counted refused_connections)" -ge 5 ] || wrong "refused_connections counted $(counted refused_connections)"
	closes_all
}
t "so many connections from one source over all ports, the next one is reset, a closed one frees its place" exact

prefix() {
	opens connected 2 $a6 2001:db8:20::5 6379
	opens connected 2 $b6 2001:db8:20::5 6379
	opens reset 1 $a6 2001:db8:20::5 6379
	opens reset 1 $b6 2001:db8:20::5 6379
	# A source of IPv4 has nothing to do with it.
	opens connected 4 $a4 10.20.0.5 6379
	closes_all
	limits 'max_connections_per_source = 4 ipv6_source_prefix = 128'
	opens connected 4 $a6 2001:db8:20::5 6379
	opens reset 1 $a6 2001:db8:20::5 6379
	opens connected 4 $b6 2001:db8:20::5 6379
	opens reset 1 $b6 2001:db8:20::5 6379
	closes_all
}
t "IPv6: a /64 is one source, or with ipv6_source_prefix = 128 an address" prefix

once() { # guarded outside and inside: both looks see the same SYN
	nft -f - <<-END
		table inet docker {
			chain translate {
				type nat hook prerouting priority dstnat
				fib daddr type local tcp dport { 6379, 7000 } meta nfproto ipv4 dnat ip to 172.17.0.2:6379
				fib daddr type local tcp dport 7001 redirect to :6379
			}
		}
	END
	limits 'max_connections_per_source = 4 new_connections_per_second = 5'
	opens connected 4 $a4 10.20.0.5 6379
	opens reset 1 $a4 10.20.0.5 6379
	opens connected 2 $b4 10.20.0.5 7000
	opens connected 2 $b4 10.20.0.5 7001
	opens reset 1 $b4 10.20.0.5 7000
	closes_all
	nft delete table inet docker
}
t "a connection to a container or a redirected port counts once" once

again() { # the SYN comes again because its answer was lost
	limits 'new_connections_per_second = 4'
	inside allowed nft -f - <<-END
		table inet line {
			set seen { type inet_service; size 65535; flags dynamic; }
			chain in {
				type filter hook prerouting priority 0
				tcp sport 6379 tcp flags syn tcp dport != @seen add @seen { tcp dport } drop
			}
		}
	END
	for _ in 1 2 3 4; do echo "$a4 10.20.0.5 6379 ping passes"; done | expect_traffic
	expect_equal refused_rate 0 "$(counted refused_rate)"
	inside allowed nft delete table inet line
}
t "a SYN that comes again counts once" again

not_kept() { # what the gate refused holds no place
	limits 'max_connections_per_source = 9'
	for _ in 1 2 3 4; do
		try cut 6380 "resp http byte" "$a4,10.20.0.5" | expect_traffic
	done
	opens connected 9 $a4 10.20.0.5 6379
	opens reset 1 $a4 10.20.0.5 6379
	closes_all
}
t "connections that the gate refused hold no place" not_kept

own_host() {
	environment "tls = required loopback = tls clients = $sources admins = $sources max_connections_per_source = 3
		new_connections_per_second = 3"
	apply
	opens connected 6 host 127.0.0.1 6380
	opens connected 6 host ::1 6380
	opens connected 6 host 10.20.0.5 9999
	limits 'max_connections_per_source = 3 new_connections_per_second = 3'
	opens connected 6 host 127.0.0.1 6379
	opens connected 6 host 2001:db8:20::5 9999
	closes_all
}
t "this host is not limited" own_host

# --------------------------------------------------------------------------------------------- new ones per second ---
at_once() { # at_once COUNT FROM ADDRESS: how many of so many are answered, and leaves the others' outcomes in $work/rest
	local count
	for ((count = $1; count > 0; count--)); do echo "$2 $3 6379 connect silent"; done >"$work/probes"
	"$netprobe" matrix <"$work/probes" >"$work/rest"
	grep -c 'seen connected' "$work/rest"
	sed -i '/seen connected/d' "$work/rest"
}
rate() { # rate FROM ADDRESS OTHER-FROM
	local seen
	limits 'new_connections_per_second = 5'
	seen=$(at_once 15 "$1" "$2")
	# The burst, and what a busy machine may have saved meanwhile.
	[[ $seen =~ ^[567]$ ]] || wrong "expected 5 of 15 new connections at once, seen $seen"
	expect_equal "others than time-outs" 0 "$(grep -vc 'seen timeout' "$work/rest")"
	[ "$(counted refused_rate)" -ge 8 ] || wrong "refused_rate counted $(counted refused_rate)"
	wait_until 3 can_open "$1" "$2" 6379 || wrong "nothing is possible any more"
	[ "$(at_once 15 "$1" "$2")" -le 7 ] || wrong "the second burst is larger than the first"
	[ "$(at_once 4 "$3" "$2")" = 4 ] || wrong "another source is limited, too"
}
t "new connections per second: a burst, then silence, then again; another source has its own" rate $a4 10.20.0.5 $b4
rate6() {
	rate $a6 2001:db8:20::5 allowed@2001:db8:21::10
	[ "$(at_once 10 $b6 2001:db8:20::5)" -le 3 ] || wrong "another address of the same /64 has a burst of its own"
}
ip -n allowed addr add 2001:db8:21::10/64 dev eth0 nodad
ip route add 2001:db8:21::/64 dev alw0
t "the same for IPv6, where a /64 is one source" rate6

# --------------------------------------------------------------------------------------------------- over one's limit ---
flood() { # one source asks without end, another works
	local tried connected seen
	limits 'max_connections_per_source = 12 new_connections_per_second = 20'
	conntrack -F 2>/dev/null
	opens connected 1 $b4 10.20.0.5 6379
	storm_begin 1 $a4,10.20.0.5,6379 $a4,10.20.0.5,6380 $a6,2001:db8:20::5,6379
	for _ in 1 2 3 4 5; do
		echo "$b4 10.20.0.5 6379 ping passes"
		echo "$b4 10.20.0.5 6380 tls passes"
		echo "allowed@2001:db8:21::10 2001:db8:20::5 6379 ping passes"
	done >"$work/others"
	for _ in 1 2; do
		expect_traffic <"$work/others"
		expect_lives "${opened[0]}"
	done
	wait_until 5 flooded || wrong "the storm was none: refused_rate counted $(counted refused_rate)"
	storm_end
	while read -r _ _ tried _ connected _; do
		seen=$((connected * 3))
		[ "$seen" -lt "$tried" ] || wrong "the limit was none: $connected of $tried"
	done <"$storm"
	expect_lives "${opened[0]}"
	closes_all
}
flooded() { [ "$(counted refused_rate)" -gt 500 ]; }
t "a source over its limits takes nothing from another one" flood

# ---------------------------------------------------------------------------------------------------------- changes ---
survives() {
	limits 'max_connections_per_source = 4'
	opens connected 4 $a4 10.20.0.5 6379
	opens reset 1 $a4 10.20.0.5 6379
	environment "tls = optional clients = {\"10.20.0.0/25\"} max_connections_per_source = 4"
	apply
	opens reset 1 $a4 10.20.0.5 6379
	environment "tls = optional clients = {\"10.20.0.0/25\"} bind = {\"10.20.0.5\"} log = none max_connections_per_source = 4"
	apply
	opens reset 1 $a4 10.20.0.5 6379
	environment "tls = optional loopback = deny clients = {\"10.20.0.0/25\"} new_connections_per_second = 100
		max_connections_per_source = 4"
	apply
	opens reset 1 $a4 10.20.0.5 6379
	expect_lives "${opened[@]}"
	closes 1
	wait_until 3 can_open $a4 10.20.0.5 6379 || wrong "the place of a closed connection stays taken"
	closes_all
}
t "a source at its limit stays there through changes of other things" survives

survives_rate() {
	limits 'new_connections_per_second = 2'
	at_once 20 $a4 10.20.0.5 >/dev/null
	environment "tls = optional clients = {\"10.20.0.0/25\"} new_connections_per_second = 2"
	apply
	[ "$(at_once 20 $a4 10.20.0.5)" -le 3 ] || wrong "an apply gave a new burst"
}
t "and its rate, too" survives_rate

raised() {
	limits 'max_connections_per_source = 4'
	opens connected 4 $a4 10.20.0.5 6379
	# The set of connections is a new one, which does not know those that were there.
	limits 'max_connections_per_source = 6'
	opens connected 6 $a4 10.20.0.5 6379
	opens reset 1 $a4 10.20.0.5 6379
	expect_lives "${opened[@]}"
	closes_all
}
t "another limit takes effect, counted anew" raised
lowered() {
	limits 'max_connections_per_source = 6'
	opens connected 6 $a4 10.20.0.5 6379
	limits 'max_connections_per_source = 3'
	expect_lives "${opened[@]}"
	opens connected 3 $a4 10.20.0.5 6379
	opens reset 1 $a4 10.20.0.5 6379
	closes_all
	limits
	opens connected 12 $a4 10.20.0.5 6379
	closes_all
}
t "a limit is lowered: nobody is cut; a limit is taken away" lowered

# A rule that counts connections makes the kernel track them, and when it goes it must give back what it took, not more:
# else nobody's connections are tracked in the end, and all that others built on it is dead until the next boot.
others_tracking() {
	local limit
	nft -f - <<-END
		table inet other {
			counter new {}
			chain input { type filter hook input priority 0; ct state new counter name new; }
		}
	END
	for limit in 4 5 6 7 8 9 10 11; do
		limits "max_connections_per_source = $limit"
		limits
	done
	expect_exit 0 guard remove
	nft reset counters table inet other >/dev/null
	echo "$a4 10.20.0.5 6379 ping passes" | expect_traffic
	expect_text <(nft list counter inet other new) 'packets [1-9]'
	nft delete table inet other
}
t "changes leave the tracking of other people's connections alone" others_tracking

# ---------------------------------------------------------------------------------------------------- bounded memory ---
elements() { # elements SET: how many it holds
	nft list set inet dflyguard "$1" | tr ',' '\n' | grep -cE '[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+'
}
few() { [ "$(elements connections_v4)" -lt 1000 ]; }
spray() { # more sources than the sets hold
	local size seen
	limits 'max_connections_per_source = 4 new_connections_per_second = 8'
	opens connected 4 $a4 10.20.0.5 6379
	ip -n allowed route add local 10.21.0.0/16 dev lo
	ip -n allowed route add local 10.22.0.0/16 dev lo
	ip route add 10.21.0.0/16 via 10.20.0.10
	ip route add 10.22.0.0/16 via 10.20.0.10
	sources='{"10.20.0.0/24", "10.21.0.0-10.22.255.255"}'
	limits 'max_connections_per_source = 4 new_connections_per_second = 8'
	expect_exit 0 "$segments" spray allowed 10.21.0.0 70000 10.20.0.5 6379
	size=$(nft list set inet dflyguard new_connections_v4 | sed -n 's/.*size \([0-9]*\).*/\1/p')
	seen=$(elements new_connections_v4)
	if [ "$seen" -lt 60000 ] || [ "$seen" -gt "$size" ]; then
		wrong "expected a full set of $size, seen $seen elements"
	fi
	expect_lives "${opened[@]}"
	opens reset 1 $a4 10.20.0.5 6379
	expect_traffic <<-END
		$b4                10.20.0.5 6379 ping passes
		$b4                10.20.0.5 6380 tls  passes
		allowed@10.22.99.9 10.20.0.5 6379 ping passes
		outside            10.66.0.5 6379 ping timeout
	END
	# Sources without a connection are forgotten.
	wait_until 10 few || wrong "$(elements connections_v4) sources are kept as connected"
	closes_all
}
t "70,000 sources: the sets stay bounded, clients old and new are served, a limited one stays limited" spray

strangers() {
	limits
	ip -n outside route add local 10.67.0.0/16 dev lo
	ip route add 10.67.0.0/16 via 10.66.0.10
	expect_exit 0 "$segments" spray outside 10.67.0.0 6000 10.66.0.5 6379
	[ "$(elements refused_v4)" -le 4096 ] || wrong "the set of refused sources holds $(elements refused_v4)"
	[ "$(counted refused_source)" -ge 6000 ] || wrong "refused_source counted $(counted refused_source)"
	expect_traffic <<-END
		$a4 10.20.0.5 6379 ping passes
		$a4 10.20.0.5 6380 tls  passes
	END
}
t "6,000 refused sources: the list of them stays bounded" strangers
finish
