#!/bin/bash
# Who is refused is counted, with real packets: by reason in the counters, by source and reason in the sets of refused
# sources; status shows both. Neither is lost when something else changes, and neither is a way to harm the host.
. "$(dirname "$0")/../lib/guard.sh"
network
redis host 6379 6380
session_begin
sources='"10.20.0.10", "10.20.0.11", "2001:db8:20::10", "2001:db8:20::11"'
usual="tls = required loopback = tls clients = {$sources} bind = {\"10.20.0.5\", \"2001:db8:20::5\"}"

json() { # the status as JSON, in $out
	expect_exit 0 guard --format json status
}
pairs() { # SOURCE REASON PACKETS BYTES, one a line, of the status in $out
	awk -F'[":, ]+' '
		/^      "source": / { split($0, part, "\""); source = part[4] }
		/^        "[a-z0-9]+": {/ { reason = $2 }
		/^          "packets": / { packets = $3 }
		/^          "bytes": / { print source, reason, packets, $3 }' "$out" | sort
}
# What nft says about the same: an oracle that shares no code with us.
pairs_of_nft() {
	local family
	for family in v4 v6; do nft list set inet dflyguard refused_$family; done | tr ',' '\n' |
		sed -nE 's/.*[ \t]([0-9a-f.:]+) \. 0x0*([0-9a-f]+) .*counter packets ([0-9]+) bytes ([0-9]+).*/\1 \2 \3 \4/p' |
		awk '{ split("source address closed state loopback plaintext connections rate banned", name)
			print $1, name[$2], $3, $4 }' | sort
}
expect_pairs() { # expect_pairs "SOURCE REASON"...: exactly these were refused, and the counters say so too
	local reason sum
	json
	pairs >"$work/pairs"
	pairs_of_nft >"$work/pairs.nft"
	expect_same "refused sources, by nft and by status" "$work/pairs.nft" "$work/pairs"
	printf '%s\n' "$@" | sed '/^$/d' | sort >"$work/pairs.expected"
	cut -d' ' -f1,2 "$work/pairs" >"$work/pairs.seen"
	expect_same "refused sources" "$work/pairs.expected" "$work/pairs.seen"
	for reason in source address closed state loopback plaintext connections rate banned; do
		sum=$(awk -v reason=$reason '$2 == reason { sum += $3 } END { print sum + 0 }' "$work/pairs")
		expect_equal "packets of refused_$reason" "$sum" "$(counted refused_$reason)"
	done
}
expect_packets() { # expect_packets SOURCE REASON PACKETS
	expect_equal "packets of $1, $2" "$3" "$(awk -v s="$1" -v r="$2" '$1 == s && $2 == r { print $3 }' "$work/pairs")"
}

nobody() {
	environment "$usual"
	apply
	expect_traffic <<-END
		allowed@10.20.0.10      10.20.0.5      6380 tls passes
		allowed@2001:db8:20::10 2001:db8:20::5 6380 tls passes
		host                    127.0.0.1      6380 tls passes
	END
	expect_pairs
	expect_text "$out" '"refused_sources": \[\]' '"refused_sources_full": false'
	expect_exit 0 guard status
	expect_no_text "$out" 'top refused sources'
	expect_text "$out" 'limits +none' 'log +sampled to NFLOG group 6379' 'labels +100 to 104 '
}
t "who passes is in no list" nobody

reasons() {
	expect_traffic <<-END
		outside@10.66.0.10      10.20.0.5      6380 tls  timeout
		outside@10.66.0.10      10.20.0.5      6379 ping timeout
		outside@10.66.0.11      10.20.0.5      6380 tls  timeout
		outside@2001:db8:66::10 2001:db8:20::5 6380 tls  timeout
		allowed@10.20.0.10      10.20.0.6      6380 tls  timeout
		allowed@2001:db8:20::10 2001:db8:20::6 6380 tls  timeout
		allowed@10.20.0.10      10.20.0.5      6379 ping reset
		allowed@10.20.0.10      10.20.0.5      6379 ping reset
		allowed@2001:db8:20::10 2001:db8:20::5 6379 ping reset
		allowed@10.20.0.11      10.20.0.5      6380 ping cut
		allowed@2001:db8:20::11 2001:db8:20::5 6380 ping cut
		host@127.0.0.1          127.0.0.1      6379 ping reset
		host@::1                ::1            6379 ping reset
	END
	"$netprobe" raw allowed 10.20.0.11 10.20.0.5 6380 0x03 || wrong "no SYN and FIN"
	wait_until 10 sh -c 'nft list counter inet dflyguard refused_state | grep -q "packets 1 "'
	expect_pairs '10.66.0.10 source' '10.66.0.11 source' '2001:db8:66::10 source' '10.20.0.10 address' \
		'2001:db8:20::10 address' '10.20.0.10 closed' '2001:db8:20::10 closed' '10.20.0.11 plaintext' \
		'2001:db8:20::11 plaintext' '127.0.0.1 loopback' '::1 loopback' '10.20.0.11 state'
	expect_packets 10.66.0.10 source 2
	expect_packets 10.66.0.11 source 1
	expect_packets 10.20.0.10 closed 2
	expect_packets 10.20.0.10 address 1
	expect_packets 10.20.0.11 state 1
}
t "each reason is counted under its own name, for the source that was refused" reasons

text() {
	expect_exit 0 guard status
	expect_text "$out" '^  top refused sources +packets +bytes +last refused +reasons$' \
		'^  10\.66\.0\.10 +2 +120 B +[0-9] s ago +source$' '^  10\.66\.0\.11 +1 +60 B +[0-9] s ago +source$' \
		'^  10\.20\.0\.10 +3 +180 B +[0-9] s ago +closed, address$' \
		'^  2001:db8:66::10 +1 +80 B +[0-9] s ago +source$' '^  127\.0\.0\.1 .* loopback$' \
		'^  10\.20\.0\.11 .* (plaintext, state|state, plaintext)$'
	expect_no_text "$out" ' more \(--verbose|list is full'
	# The loudest first.
	sed '1,/top refused/d' "$out" | awk '{ print $2 }' >"$work/order"
	sort -rn "$work/order" >"$work/order.sorted"
	expect_same "the order of sources" "$work/order.sorted" "$work/order"
	expect_exit 0 guard --quiet status
	expect_same "quiet" /dev/null "$out"
}
t "status shows them, the loudest first" text

frozen() { # what must not change, of the status in $out
	sed -n '/"counters"/,$p' "$out" | grep -v last_seconds_ago
}
survives() {
	json
	frozen >"$work/frozen"
	environment "${usual/clients = \{/clients = \{\"10.30.0.0/16\", } admins = {\"10.9.0.1\"} log = all"
	apply
	json
	frozen >"$work/seen"
	expect_same "counters and refused sources" "$work/frozen" "$work/seen"
	environment "$usual max_connections_per_source = 2"
	apply
	json
	frozen >"$work/seen"
	expect_same "counters and refused sources, where there are limits" "$work/frozen" "$work/seen"
	expect_exit 0 guard status
	expect_text "$out" 'limits +2 connections per source \(IPv6 by /64\)'
}
t "an apply that changes something else changes none of it" survives

connections() {
	local n
	for n in 1 2; do
		expect_equal "connection a$n" connected "$(session open a$n allowed@10.20.0.11 10.20.0.5 6380)"
		expect_equal "connection b$n" connected \
			"$(session open b$n allowed@2001:db8:20::11 2001:db8:20::5 6380)"
	done
	expect_traffic <<-END
		allowed@10.20.0.11      10.20.0.5      6380 tls reset
		allowed@2001:db8:20::11 2001:db8:20::5 6380 tls reset
		allowed@10.20.0.10      10.20.0.5      6380 tls passes
	END
	json
	pairs >"$work/pairs"
	expect_packets 10.20.0.11 connections 1
	expect_packets 2001:db8:20::11 connections 1
	expect_packets 10.20.0.10 connections ''
	expect_equal refused_connections 2 "$(counted refused_connections)"
	expect_exit 0 guard status
	expect_text "$out" '^  10\.20\.0\.11 .*connections' '^  2001:db8:20::11 .*connections'
	session close a1 >/dev/null
	session close a2 >/dev/null
	session close b1 >/dev/null
	session close b2 >/dev/null
}
t "a source with too many connections" connections

rate() {
	environment "$usual new_connections_per_second = 2"
	apply
	for _ in {1..12}; do
		echo 'allowed@10.20.0.10 10.20.0.5 6380 connect connected|timeout'
		echo 'allowed@2001:db8:20::10 2001:db8:20::5 6380 connect connected|timeout'
	done | expect_traffic
	json
	pairs >"$work/pairs"
	grep -q '^10.20.0.10 rate [1-9]' "$work/pairs" || wrong "10.20.0.10 is not among: $(cat "$work/pairs")"
	# All of a /64 is one source for the limit; the list names the address.
	grep -q '^2001:db8:20::10 rate [1-9]' "$work/pairs" || wrong "2001:db8:20::10 is not among: $(cat "$work/pairs")"
	expect_equal refused_rate "$(awk '$2 == "rate" { sum += $3 } END { print sum }' "$work/pairs")" "$(counted refused_rate)"
	expect_equal "sources over the rate" 2 "$(grep -c ' rate ' "$work/pairs")"
	expect_exit 0 guard status
	expect_text "$out" 'limits +2 new connections a second per source \(IPv6 by /64\)' '^  10\.20\.0\.10 .*rate'
}
t "a source that begins too many connections a second" rate

# Every address of a prefix is one of outside's own.
spray() { # spray PREFIX NUMBER TARGET: from that many of them
	awk -v prefix="$1" -v number="$2" -v target="$3" 'BEGIN {
		for (i = 0; i < number; i++)
			printf prefix ~ /:/ ? "outside@%s%x%02x %s 6380 connect timeout\n" : "outside@%s%d.%d %s 6380 connect timeout\n",
				prefix, i / 256, i % 256, target }' | expect_traffic
}
flood() {
	local before elements sources_listed
	environment "$usual"
	apply
	ip -n outside route add local 10.99.0.0/16 dev lo
	ip -n outside route add local 2001:db8:99::/64 dev lo
	inside outside sh -c 'echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind'
	before=$(counted refused_source)
	spray 10.99. 4000 10.20.0.5
	spray 10.99.1 1000 10.20.0.5 # 10.99.10.0 to 10.99.13.231: known already
	spray 10.99.2 1000 10.20.0.5
	spray 2001:db8:99::1: 200 2001:db8:20::5
	[ "$(counted refused_source)" -eq $((before + 6200)) ] ||
		wrong "refused_source: expected $((before + 6200)), seen $(counted refused_source)"
	elements=$(pairs_of_nft | grep -c '^[0-9.]* ')
	expect_equal "elements of refused_v4" 4096 "$elements"
	json
	expect_text "$out" '"refused_sources_full": true'
	sources_listed=$(grep -c '^      "source": ' "$out")
	pairs >"$work/pairs"
	expect_equal "pairs of IPv4" 4096 "$(grep -c '^[0-9.]* ' "$work/pairs")"
	expect_equal "sprayed sources of IPv6" 200 "$(grep -c '^2001:db8:99:' "$work/pairs")"
	expect_exit 0 guard status
	expect_text "$out" "and [45],[0-9]{3} more" 'The list is full'
	expect_equal "sources shown" 10 "$(sed '1,/top refused/d' "$out" | grep -c ' ago ')"
	expect_exit 0 guard --verbose status
	expect_equal "sources shown with --verbose" "$sources_listed" "$(sed '1,/top refused/d' "$out" | grep -c ' ago ')"
	expect_no_text "$out" ' more \(--verbose'
}
t "a spray from thousands of sources stays within the set, and is counted" flood

harmless() {
	expect_traffic <<-END
		allowed@10.20.0.10      10.20.0.5      6380 tls  passes
		allowed@2001:db8:20::10 2001:db8:20::5 6380 tls  passes
		allowed@10.20.0.10      10.20.0.6      6380 tls  timeout
		allowed@10.20.0.11      10.20.0.5      6380 ping cut
		outside                 10.20.0.5      6380 tls  timeout
		outside                 2001:db8:20::5 6380 tls  timeout
	END
	expect_exit 0 guard plan
	environment "$usual admins = {\"10.9.0.1\"}"
	apply
	expect_exit 0 guard status
	expect_exit 0 guard remove
	expect_exit 1 guard --format json status
	expect_text "$out" '"refused_sources": \[\]'
}
t "and harms neither those who may pass nor the tool, and strangers stay out" harmless
finish
