#!/bin/bash
# Guarantees 3 and 4 for TLS connections in full flow: a revoked source, and an address taken out of bind, are cut by the
# transaction that says so; everybody else's data flow on, through that and every other change.
. "$(dirname "$0")/../lib/guard.sh"
# shellcheck source=tests/lib/tls.sh
. "$root/tests/lib/tls.sh"
network
redis host 6379 6380
redis container 6379 9999
nft -f - <<'END'
table inet docker {
	chain translate {
		type nat hook prerouting priority dstnat
		fib daddr type local tcp dport 7002 meta nfproto ipv4 dnat ip to 172.17.0.2:9999
		fib daddr type local tcp dport 7002 meta nfproto ipv6 dnat ip6 to [fd00:17::2]:9999
	}
}
END
clients() { # clients TEXT SOURCE...: these may connect, to all ports where TLS is spoken
	local text=$1 list
	shift
	list=$(printf '"%s", ' "$@")
	environment "tls = required clients = {${list%, }} admins = {${list%, }} $text"
}
everybody=(10.20.0.0/24 2001:db8:20::/64)
others=(10.20.0.10 2001:db8:20::10)

# A pipe full of questions, and what is answered.
head -c 6000 < <(yes $'PING\r') >"$work/questions"
stream() { # stream NAME SOURCE ADDRESS PORT
	[ -e "$work/$1.out" ] && rm "$work/$1.out"
	# shellcheck disable=SC2016 # expanded inside
	inside allowed bash -c 'while cat "$1" && sleep 0.005; do :; done 2>/dev/null |
		openssl s_client -quiet -bind "$2" -connect "$3" >"$4" 2>"$4.errors"' \
		stream "$work/questions" "[$2]:0" "[$3]:$4" "$work/$1.out" &
	flow "$1"
}
size() { stat -c %s "$work/$1.out" 2>/dev/null || echo 0; }
grows() { [ "$(size "$1")" -gt "$2" ]; }
flow() { # flow NAME...: more arrives, now
	local name
	for name; do
		wait_until 5 grows "$name" "$(($(size "$name") + 20000))" ||
			wrong "stream $name stands still at $(size "$name") bytes: $(cat "$work/$name.out.errors")"
	done
}
rests() { # what is on its way still arrives; then nothing more does
	local before
	before=$(size "$1")
	sleep 0.3
	[ "$(size "$1")" = "$before" ]
}
end() { # end NAME...: they have come to rest
	local name
	for name; do wait_until 4 rests "$name" || wrong "stream $name goes on"; done
}

begin() {
	clients "" "${everybody[@]}"
	apply
	stream ten4 10.20.0.10 10.20.0.5 6380
	stream ten6 2001:db8:20::10 2001:db8:20::5 6380
	stream eleven4 10.20.0.11 10.20.0.5 6380
	stream eleven6 2001:db8:20::11 2001:db8:20::5 6380
	stream ten4c 10.20.0.10 10.20.0.5 7002
	stream eleven4c 10.20.0.11 10.20.0.5 7002
	stream eleven6c 2001:db8:20::11 2001:db8:20::5 7002
}
t "TLS streams of two sources, to this host and to a container" begin

changes() { # of everything that does not concern them
	clients "" "${everybody[@]}" 10.30.0.0/16
	apply
	clients "max_connections_per_source = 100 new_connections_per_second = 50" "${everybody[@]}"
	apply
	clients 'loopback = tls log = all bind = {"10.20.0.5", "2001:db8:20::5"}' 10.20.0.0/28 10.66.0.0/16 2001:db8:20::/60
	apply
	clients "loopback = deny" "${everybody[@]}"
	apply
	flow ten4 ten6 eleven4 eleven6 ten4c eleven4c eleven6c
	expect_equal refused_plaintext 0 "$(counted refused_plaintext)"
	expect_equal refused_source 0 "$(counted refused_source)"
}
t "they flow on through changes that do not concern them" changes

revoked() {
	clients "" "${others[@]}"
	apply
	end eleven4 eleven6 eleven4c eleven6c
	flow ten4 ten6 ten4c
	[ "$(counted refused_source)" -gt 0 ] || wrong "refused_source did not count"
}
t "a revoked source's streams end, the others' flow on" revoked

not_resumed() { # what is cut stays cut when tracking forgets, and no new one comes in
	conntrack -F 2>/dev/null
	end eleven4 eleven6
	flow ten4 ten6
	echo "allowed@10.20.0.11 10.20.0.5 6380 tls timeout" | expect_traffic
}
t "and do not come back when connection tracking forgets them" not_resumed

address() {
	clients "" "${everybody[@]}"
	apply
	stream six4 10.20.0.11 10.20.0.6 6380
	stream six6 2001:db8:20::11 2001:db8:20::6 6380
	clients 'bind = {"10.20.0.5", "10.20.0.6", "2001:db8:20::5", "2001:db8:20::6"}' "${everybody[@]}"
	apply
	flow six4 six6 ten4 ten6
	clients 'bind = {"10.20.0.5", "2001:db8:20::5"}' "${everybody[@]}"
	apply
	end six4 six6
	flow ten4 ten6
	[ "$(counted refused_address)" -gt 0 ] || wrong "refused_address did not count"
}
t "an address taken out of bind: streams to it end, the others flow on" address

benchmark() { # many connections, of which none may break while others come and go
	local process i
	clients "" "${everybody[@]}"
	apply
	inside allowed redis-benchmark -h 10.20.0.5 -p 6380 --tls --insecure -c 20 -n 20000 -q -t get >"$work/benchmark" 2>&1 &
	process=$!
	for ((i = 0; i < 100; i++)); do
		kill -0 $process 2>/dev/null || break
		clients "" 10.20.0.10 2001:db8:20::10 10.30.$i.0/24
		guard apply >"$work/out" 2>&1 || wrong "apply: $(cat "$work/out")"
	done
	wait $process || wrong "redis-benchmark ended with $?"
	[ "$i" -ge 3 ] || wrong "only $i applies while it ran"
	expect_text "$work/benchmark" 'GET: [0-9.]+ requests per second'
	expect_no_text "$work/benchmark" '[Ee]rror'
	flow ten4 ten6
}
t "20 busy connections live through changes without pause" benchmark
finish
