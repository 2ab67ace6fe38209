#!/bin/bash
# Guarantee 2: where TLS is spoken nothing else reaches the server, whatever a client says first, in whichever segments and
# over whichever way; who is refused is told so, and the server keeps nothing of it. TLS passes, over bad lines too.
. "$(dirname "$0")/../lib/guard.sh"
# shellcheck source=tests/lib/tls.sh
. "$root/tests/lib/tls.sh"
network
# TCP fast open, with data on the first SYN and for every server: more than anybody should permit.
for ns in host allowed container; do
	inside "$ns" sh -c 'echo 0x607 >/proc/sys/net/ipv4/tcp_fastopen'
done
# A port that was refused may be used again when connection tracking has forgotten it: it need not take 10 seconds here.
echo 1 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close
redis host 6379 6380
redis container 6379 9999
serve host tcp :: 9999
serve host tcp :: 11211 defer
serve host tcp :: 7001
serve container tcp :: 6380

# ------------------------------------------------------------------------------------- before there is a table ---
without() {
	local port
	for port in 9999 11211 7001; do
		try passes "$port" "${others[*]} ${hellos[*]} resp-on-syn tls-on-syn" allowed,10.20.0.5 allowed,2001:db8:20::5
		try passes "$port" "ping resp-on-syn" host,127.0.0.1 host,::1
	done | expect_traffic
	[ "$(heard host 9999)" -ge 56 ] || wrong "the server heard $(heard host 9999) times"
}
t "without a table everything passes, and SYNs carry data" without

older() { # connection tracking begins with the first apply: everything is picked up in the middle
	session_begin
	expect_equal "tracked connections" 0 "$(conntrack -C)"
	tls_open old4 allowed 10.20.0.5 6380
	tls_open old6 allowed 2001:db8:20::5 6380 -tls1_2
	tls_open old0 host 127.0.0.1 6380
	expect_equal "a connection" connected "$(session open plain allowed 10.20.0.5 9999)"
	expect_lives plain
	environment "$required loopback = tls"
	apply
	for _ in 1 2 3; do tls_lives old4 old6 old0; done
	expect_lives plain
	expect_equal refused_plaintext 0 "$(counted refused_plaintext)"
}
t "connections older than the table go on, though nothing was tracked before" older

# --------------------------------------------------------------------------------------------- what is said first ---
far=("allowed,10.20.0.5" "allowed,2001:db8:20::5" "allowed,::ffff:10.20.0.5")
near=("host,127.0.0.1" "host,::1" "host,10.20.0.5" "host,2001:db8:20::5" "host,::ffff:127.0.0.1")
environment "$required"

t "refused on the admin port: whatever is not TLS, IPv4, IPv6, v4-mapped" refused host 9999 9999 "${far[@]}"
t "refused on the memcached port, whose server defers accepting" refused host 11211 11211 "${far[@]}"
t "refused on tls_port, with a real server" refused host 6380 6380 "${far[@]}"
all_hellos() {
	passes 9999 "${far[@]}"
	passes 11211 "${far[@]}"
	try passes 6380 "${hellos[*]:0:3}" "${far[@]}" | expect_traffic
}
t "TLS passes there, in two segments and cut after six bytes, too" all_hellos

own() {
	environment "$required loopback = tls"
	apply
	refused host 9999 9999 "${near[@]}"
	refused host 11211 11211 "${near[@]}"
	passes 9999 "${near[@]}"
	passes 11211 "${near[@]}"
	try passes 6380 "${hellos[*]:0:3}" "${near[@]}" | expect_traffic
	try "reset" 6379 ping "${near[@]}" | expect_traffic
	environment "$required"
	apply
	try passes 9999 "ping resp-on-syn" "${near[@]}" | expect_traffic
}
t "loopback = tls: the same for this host, by lo and by its own addresses" own

one_port() {
	policy <<-END
		service { port = 7001 tls_port = 7001 }
		environment test { tls = required clients = $everybody }
	END
	apply --environment test
	refused host 7001 7001 "${far[@]}"
	passes 7001 "${far[@]}"
}
t "port and tls_port are one port" one_port

admin_off() {
	environment "$required admin_tls = off"
	apply
	try passes 9999 "ping resp-on-syn tls" "${far[@]}" | expect_traffic
	try cut 11211 ping "${far[@]}" | expect_traffic
	environment "$required"
	apply
}
t "admin_tls = off: plaintext on the admin port, and nowhere else" admin_off

# ------------------------------------------------------------------------------------------------------ containers ---
publish() {
	nft -f - <<-END
		table inet docker {
			chain translate {
				type nat hook prerouting priority dstnat
				fib daddr type local tcp dport { 6380, 7000 } meta nfproto ipv4 dnat ip to 172.17.0.2:6380
				fib daddr type local tcp dport { 6380, 7000 } meta nfproto ipv6 dnat ip6 to [fd00:17::2]:6380
				fib daddr type local tcp dport 7002 meta nfproto ipv4 dnat ip to 172.17.0.2:9999
				fib daddr type local tcp dport 7002 meta nfproto ipv6 dnat ip6 to [fd00:17::2]:9999
				fib daddr type local tcp dport 7003 redirect to :9999
			}
		}
	END
}
published() {
	publish
	refused container 6380 6380 "${far[@]}"
	refused container 6380 7000 "${far[@]}"
	refused container 9999 7002 "${far[@]}"
	refused host 9999 7003 "${far[@]}"
	passes 6380 "${far[@]}"
	passes 7000 "${far[@]}"
	passes 7003 "${far[@]}"
	try passes 7002 "${hellos[*]:0:3}" "${far[@]}" | expect_traffic
	transfer 10.20.0.5 7002
	transfer 2001:db8:20::5 7002
	nft delete table inet docker
}
t "published by dnat (same port, another port) and by redirect" published

late() { # later than the first retransmission of a SYN-ACK, at which a server stops deferring
	local port counted before
	environment "$required loopback = tls"
	apply
	publish
	counted=$(counted refused_plaintext)
	before=$(plaintext_heard)
	for port in 9999 11211 7003 6380 7000 7002; do
		try cut "$port" resp-late "${far[@]}"
		try passes "$port" tls-late "${far[@]}"
	done >"$work/probes"
	for port in 9999 11211; do
		try cut "$port" resp-late "${near[@]}"
		try passes "$port" tls-late "${near[@]}"
	done >>"$work/probes"
	expect_traffic <"$work/probes"
	expect_equal refused_plaintext $((counted + $(grep -c resp "$work/probes"))) "$(counted refused_plaintext)"
	expect_equal "the plaintexts that servers heard" "$before" "$(plaintext_heard)"
	: >"$work/sockets"
	expect_nothing_left host 11211
	expect_nothing_left container 6380
	expect_nothing_left container 9999
	nft delete table inet docker
	environment "$required"
	apply
}
t "a client that says nothing for two seconds is judged by what it says then" late

# ---------------------------------------------------------------------------------------------------- real clients ---
real() {
	local to
	for to in 10.20.0.5 2001:db8:20::5; do
		transfer "$to" 6380
		inside allowed redis-cli -h "$to" -p 6380 --tls --insecure -x set value <"$work/blob" >"$work/answer" 2>&1
		expect_text "$work/answer" '^OK'
		inside allowed redis-cli -h "$to" -p 6380 --tls --insecure get value | tr -d '\n' >"$work/answer"
		expect_same "redis-cli's value" "$work/blob" "$work/answer"
		inside allowed timeout 60 redis-benchmark -h "$to" -p 6380 --tls --insecure -c 30 -n 3000 -q -t set >"$work/answer" 2>&1
		expect_text "$work/answer" 'SET: [0-9.]+ requests per second'
		expect_no_text "$work/answer" '[Ee]rror'
	done
	tls_lives old4 old6
}
t "redis-cli, openssl s_client in TLS 1.2 and 1.3, 30 connections at once: 200 kB both ways" real

web() {
	(cd "$work" && exec openssl s_server -WWW -accept 7004 -cert server.crt -key server.key >"$work/web" 2>&1) &
	wait_until 5 grep -q ACCEPT "$work/web" || wrong "openssl s_server did not start"
	policy <<-END
		service { port = 7004 tls_port = 7004 }
		environment test { tls = required clients = $everybody }
	END
	apply --environment test
	local option
	for option in --tlsv1.3 --tls-max\ 1.2; do
		# shellcheck disable=SC2086 # an option and its argument
		inside allowed curl -gsSk --max-time 10 $option -o "$work/answer" https://10.20.0.5:7004/blob ||
			wrong "curl $option: exit status $?"
		expect_same "curl's file" "$work/blob" "$work/answer"
	done
	inside allowed curl -gsSk --max-time 10 -o "$work/answer" 'https://[2001:db8:20::5]:7004/blob' || wrong "curl: $?"
	# 56: the connection was reset.
	expect_exit 56 inside allowed curl -gsS --max-time 3 http://10.20.0.5:7004/blob
	expect_exit 56 inside allowed curl -gsS --max-time 3 'http://[2001:db8:20::5]:7004/blob'
	environment "$required"
	apply
}
t "curl: https passes, http is reset" web

plaintext_clients() {
	sockets host 6380 >"$work/sockets"
	expect_exit 1 inside allowed timeout 5 redis-cli -h 10.20.0.5 -p 6380 ping
	expect_text "$errors" 'reset by peer'
	# nc says nothing of a reset, but without one it would go on until it is stopped (124).
	expect_exit 0 inside allowed timeout 5 bash -c 'printf "PING\r\n" | nc 2001:db8:20::5 6380'
	expect_nothing_left host 6380
}
t "redis-cli and nc in plaintext are reset" plaintext_clients
finish
