#!/bin/bash
# Guarantee 2 on lines that lose, repeat and reorder: what is judged is the first byte of a connection, whichever segment
# brings it and however often. No TLS connection is taken for plaintext, no plaintext for TLS.
. "$(dirname "$0")/../lib/guard.sh"
# shellcheck source=tests/lib/tls.sh
. "$root/tests/lib/tls.sh"
network
# The client's segments leave one by one, as a network card would send them.
ip -n allowed link set eth0 gso_max_segs 1
redis host 6379 6380
serve host tcp :: 9999
serve host tcp :: 11211 defer
environment "$required"
apply
far=("allowed,10.20.0.5" "allowed,2001:db8:20::5")

# ------------------------------------------------------------------------------------------------------ lost segments ---
# lost RULE: the client's line loses what the rule takes, the first time for each connection
lost() {
	inside allowed nft -f - <<-END
		table inet line {
			counter lost {}
			set seen { type nf_proto . inet_service . inet_service; size 65535; flags dynamic; }
			set seen_in { type nf_proto . inet_service . inet_service; size 65535; flags dynamic; }
			chain out { type filter hook output priority 0; $1 }
			chain in { type filter hook prerouting priority 0; ${2:-} }
		}
	END
}
connection='meta nfproto . tcp sport . tcp dport'
once="$connection != @seen add @seen { $connection } counter name lost drop;"
once_in="$connection != @seen_in add @seen_in { $connection } counter name lost drop;"
tls_and_plaintext() { # tls_and_plaintext NAME: all connections meet the same line
	local port counted before refused
	counted=$(counted refused_plaintext)
	before=$(plaintext_heard)
	for port in 6380 9999 11211; do
		try passes "$port" "tls tls-large tls-halves" "${far[@]}"
		# "cut", as long as it may take here.
		try "cut|reset" "$port" "resp http byte alert" "${far[@]}"
	done >"$work/probes"
	expect_traffic <"$work/probes"
	refused=$(grep -c 'cut' "$work/probes")
	expect_equal refused_plaintext $((counted + refused)) "$(counted refused_plaintext)"
	expect_equal "the plaintexts that servers heard" "$before" "$(plaintext_heard)"
	lost=$(inside allowed nft list counter inet line lost | sed -n 's/.*packets \([0-9]*\) .*/\1/p')
	[ "$lost" -ge "$(wc -l <"$work/probes")" ] || wrong "only $lost segments were lost"
	inside allowed nft delete table inet line
}
line() { # line RULE [RULE]
	lost "$@"
	tls_and_plaintext
}
data='tcp dport { 6380, 9999, 11211 } @ih,0,8 >= 0'
ack='tcp dport { 6380, 9999, 11211 } tcp flags & (syn | ack) == ack'
syn='tcp dport { 6380, 9999, 11211 } tcp flags syn'
answer='tcp sport { 6380, 9999, 11211 } tcp flags syn'
t "the first segment with data is lost: the second, which is no beginning, is not judged" line "$data $once"
t "the ACK of the handshake is lost" line "$ack $once"
t "the SYN-ACK is lost: the SYN comes again" line "" "$answer $once_in"
t "SYN and SYN-ACK are lost" line "$syn $once" "$answer $once_in"
t "every fourth packet of the client is lost" line "tcp dport { 6380, 9999, 11211 } numgen inc mod 4 == 3 counter name lost drop;"

real() {
	lost "tcp dport 6380 numgen inc mod 5 == 4 counter name lost drop;" "tcp sport 6380 numgen inc mod 5 == 4 counter name lost drop;"
	head -c 20000 /dev/urandom | base64 -w 0 >"$work/value"
	inside allowed redis-cli -h 10.20.0.5 -p 6380 --tls --insecure -x set value <"$work/value" >"$work/answer" 2>&1
	expect_text "$work/answer" '^OK'
	inside allowed redis-cli -h 2001:db8:20::5 -p 6380 --tls --insecure get value | tr -d '\n' >"$work/answer"
	expect_same "the value" "$work/value" "$work/answer"
	inside allowed nft delete table inet line
}
t "redis-cli on a line that loses every fifth packet, both ways" real

# ---------------------------------------------------------------------------------------------- segments by hand ---
own_segments() { # the client's kernel knows nothing of our connections, and would end them
	inside allowed nft -f - <<-END
		table inet own {
			chain out {
				type filter hook output priority 0
				tcp sport 20000-29999 tcp flags rst meta mark != 0x5e9 drop
			}
		}
	END
}
own_segments
by_hand() { # by_hand STEP...: for both families, and for both kinds of servers
	local port
	for port in 9999 11211; do
		expect_exit 0 "$segments" allowed 10.20.0.10 10.20.0.5 "$port" "$@"
		expect_exit 0 "$segments" allowed 2001:db8:20::10 2001:db8:20::5 "$port" "$@"
	done
}
goes() { # goes STEP...: the ClientHello arrives in the end, whole and once
	local before
	before=$(counted refused_plaintext)
	by_hand "$@" answer 3000
	expect_equal refused_plaintext "$before" "$(counted refused_plaintext)"
}
stopped() { # stopped STEP...: the plaintext never arrives
	local before
	before=$(plaintext_heard)
	by_hand "$@"
	expect_equal "the plaintexts that servers heard" "$before" "$(plaintext_heard)"
}
begin=(syn accept ack)
whole=(hello 0 1400 hello 1400 2800 hello 2800 3000)
t "in order" goes "${begin[@]}" "${whole[@]}"
t "without the handshake's ACK" goes syn accept "${whole[@]}"
t "many ACKs first" goes "${begin[@]}" ack ack ack "${whole[@]}"
t "the last segment first" goes "${begin[@]}" hello 2800 3000 silence 50 "${whole[@]}"
t "the segments backwards" goes "${begin[@]}" hello 2800 3000 hello 1400 2800 "${whole[@]}"
t "the first one twice, and once larger" goes "${begin[@]}" hello 0 1400 hello 0 1400 hello 0 2000 hello 1400 3000
t "the SYN twice before it is answered" goes syn syn accept ack "${whole[@]}"
t "the SYN again after it was answered" goes syn accept syn syn "${begin[@]:2}" "${whole[@]}"
t "the SYN again after the handshake" goes "${begin[@]}" syn "${whole[@]}"
t "keepalives before the first byte" goes "${begin[@]}" keepalive keepalive "${whole[@]}"
t "keepalives with a byte in them, before the first byte" goes "${begin[@]}" garbage garbage "${whole[@]}"

say=(text 0 PING)
t "plaintext is reset when it says more" stopped "${begin[@]}" "${say[@]}" text 4 PONG reset
t "and when it repeats itself" stopped "${begin[@]}" "${say[@]}" "${say[@]}" reset
t "and without the handshake's ACK" stopped syn accept "${say[@]}" "${say[@]}" reset
t "plaintext whose end comes first" stopped "${begin[@]}" text 2 NG silence 50 "${say[@]}" "${say[@]}" reset
t "plaintext whose end looks like a ClientHello" stopped "${begin[@]}" text 4 $'\x16\x03\x01\x3f\x3f\x01' silence 50 \
	"${say[@]}" "${say[@]}" reset
t "plaintext after a SYN that came again" stopped syn accept syn syn ack "${say[@]}" "${say[@]}" reset
t "plaintext after keepalives" stopped "${begin[@]}" keepalive garbage "${say[@]}" "${say[@]}" reset
t "plaintext after a SYN with a ClientHello, which the server does not take" stopped syn accept syn-hello ack \
	"${say[@]}" "${say[@]}" reset
t "plaintext after a ClientHello with a wrong checksum, which the server does not take" stopped "${begin[@]}" \
	forged 0 $'\x16\x03\x01\x3f\x3f\x01' "${say[@]}" "${say[@]}" reset
# A ClientHello that the server throws away must clear nothing: the number of the first byte is what the server says.
t "plaintext after a ClientHello before the first byte" stopped "${begin[@]}" old-hello 100 silence 50 \
	"${say[@]}" "${say[@]}" reset
t "the same, with an ACK that names its number first" stopped syn accept old-ack 100 old-hello 100 silence 50 ack \
	"${say[@]}" "${say[@]}" reset
t "plaintext after a ClientHello that begins with the SYN's number" stopped "${begin[@]}" old-hello 1 silence 50 \
	"${say[@]}" "${say[@]}" reset
t "plaintext after a SYN-ACK with a ClientHello" stopped "${begin[@]}" flags 0x12 "${say[@]}" "${say[@]}" reset
t "plaintext after the end" stopped "${begin[@]}" fin "${say[@]}" "${say[@]}" silence 50

unjudged() { # how many connections the table takes for silent ones
	nft list set inet dflyguard unjudged_v4 >"$work/unjudged"
	nft list set inet dflyguard unjudged_v6 >>"$work/unjudged"
	grep -o 'expires' "$work/unjudged" | wc -l
}
unjudged_are() { [ "$(unjudged)" = "$1" ]; }
ends() {
	nft flush set inet dflyguard unjudged_v4
	nft flush set inet dflyguard unjudged_v6
	by_hand "${begin[@]}"
	wait_until 3 unjudged_are 4 || wrong "4 silent connections: $(unjudged) are written down"
	by_hand "${begin[@]}" fin
	by_hand "${begin[@]}" "${whole[@]}" answer 3000
	by_hand "${begin[@]}" "${say[@]}" "${say[@]}" reset
	try passes 9999 connect "${far[@]}" | expect_traffic
	wait_until 3 unjudged_are 4 || wrong "only the silent ones should stay written down, $(unjudged) are"
}
t "who ends, says TLS or is refused is not kept among the silent ones" ends

# --------------------------------------------------------------------------------------------- the same port again ---
# Connection tracking keeps a connection that the server reset for ten seconds, with what was found out about it, and
# takes a SYN from the same port for the same connection.
from_port() { # from_port LOCAL-PORT: what is read goes to port 9999, what comes back to $work/again
	timeout 30 nsenter --net=/run/netns/allowed nc -N -s 10.20.0.10 -p "$1" 10.20.0.5 9999 >"$work/again" 2>"$work/again.err"
}
refused_more() { [ "$(counted refused_plaintext)" -gt "$1" ]; }
heard_more() { [ "$(heard host 9999)" -gt "$1" ]; }
echo 4 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close # need not be waited for so long
again() { # again LOCAL-PORT FIRST: the server resets a connection that said FIRST; then the same port says plaintext, and TLS
	local before client refused
	before=$(heard host 9999)
	refused=$(counted refused_plaintext)
	{ printf "$2"; exec sleep 30; } | from_port "$1" &
	client=$!
	if [[ $2 = *x16* ]]; then
		wait_until 5 heard_more "$before" || wrong "the server heard no TLS"
		inside host ss -K "sport = :9999 and dport = :$1" >/dev/null
	else
		wait_until 5 refused_more "$refused" || wrong "plaintext was not refused"
	fi
	wait_until 5 eval "! inside allowed ss -Htn 'sport = :$1' | grep -q ." || wrong "the first connection still stands"
	conntrack -L -p tcp --orig-port-src "$1" 2>/dev/null | grep -q CLOSE || wrong "connection tracking has forgotten it already"
	before=$(plaintext_heard)
	printf 'PING\r\n' | from_port "$1"
	expect_equal "plaintexts that the server heard" "$before" "$(plaintext_heard)"
	expect_same "what it answered" /dev/null "$work/again"
	kill "$client" 2>/dev/null
	# Nor is who says TLS now refused for what was said then: the SYN comes again when connection tracking has forgotten.
	before=$(heard host 9999)
	printf '\x16\x03\x03\x00\x57\x01\x00\x00\x53\x03\x03' | from_port "$1"
	heard_more "$before" || wrong "the server heard no TLS from the port that was refused: $(cat "$work/again.err")"
}
t "plaintext from a port whose TLS the server reset" again 5001 '\x16\x03\x03\x00\x57\x01\x00\x00\x53\x03\x03'
t "TLS from a port that was refused before" again 5002 'PING\r\nPING\r\n'
finish
