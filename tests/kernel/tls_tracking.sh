#!/bin/bash
# Guarantee 2 and connection tracking: it forgets connections, it is full of other people's marks and labels, it begins late;
# the gate neither cuts what it let through nor lets through what it did not see. And what a change of the policy cuts.
. "$(dirname "$0")/../lib/guard.sh"
# shellcheck source=tests/lib/tls.sh
. "$root/tests/lib/tls.sh"
network
redis host 6379 6380
serve host tcp :: 9999
serve host tcp :: 11211 defer
environment "$required"
apply
session_begin
far=("allowed,10.20.0.5" "allowed,2001:db8:20::5")

open() { # open NAME ADDRESS PORT: a connection that says nothing yet
	expect_equal "connection $1" connected "$(session open "$1" allowed "$2" "$3")"
}
says() { # says OUTCOME SPEAK NAME...
	local outcome=$1 speak=$2 name patience=4000
	shift 2
	[ "$outcome" != timeout ] || patience=700
	for name; do expect_equal "connection $name" "$outcome" "$(session say $patience "$speak" "$name")"; done
}
both() { # TLS passes, plaintext does not, here and now
	local before
	before=$(plaintext_heard)
	{
		try passes 9999 "tls tls-large" "${far[@]}"
		try passes 6380 "tls tls-large" "${far[@]}"
		try cut 9999 "resp http" "${far[@]}"
		try cut 11211 "resp http" "${far[@]}"
		try cut 6380 "resp http" "${far[@]}"
	} | expect_traffic
	expect_equal "the plaintexts that servers heard" "$before" "$(plaintext_heard)"
}

# --------------------------------------------------------------------------------------------------------- forgotten ---
forgotten_sessions() {
	tls_open t4 allowed 10.20.0.5 6380
	tls_open t6 allowed 2001:db8:20::5 6380 -tls1_2
	for _ in 1 2 3; do
		conntrack -F 2>/dev/null
		tls_lives t4 t6
		tls_lives t4 t6
	done
}
t "TLS sessions go on when connection tracking forgets them" forgotten_sessions

forgotten_silence() {
	local port before
	for port in 9999 11211; do
		open "p4-$port" 10.20.0.5 $port
		open "p6-$port" 2001:db8:20::5 $port
		open "t4-$port" 10.20.0.5 $port
		open "t6-$port" 2001:db8:20::5 $port
	done
	before=$(plaintext_heard)
	conntrack -F 2>/dev/null
	says cut resp p4-9999 p6-9999 p4-11211 p6-11211
	says answer tls t4-9999 t6-9999 t4-11211 t6-11211
	conntrack -F 2>/dev/null
	# What follows a ClientHello is not looked at: this stands for records of TLS.
	says answer resp t4-9999 t6-9999
	expect_equal "the plaintexts that servers heard" $((before + 2)) "$(plaintext_heard)"
	both
}
t "silent connections that were forgotten are judged when they speak" forgotten_silence

forgotten_by_apply() { # the table goes away and comes back, and with it the set of silent connections
	open q4 10.20.0.5 9999
	open q6 2001:db8:20::5 9999
	environment "$required max_connections_per_source = 200"
	apply
	says cut resp q4 q6
	environment "$required"
	apply
}
t "a change of the rules forgets no silent connection" forgotten_by_apply

full() { # as many silent connections as the set holds
	local before size used
	before=$(plaintext_heard)
	open f4 10.20.0.5 9999
	nft flush set inet dflyguard unjudged_v4
	open g4 10.20.0.5 9999
	nft list set inet dflyguard unjudged_v4 >"$work/set"
	size=$(sed -n 's/.*size \([0-9]*\).*/\1/p' "$work/set")
	used=$(grep -c expires "$work/set")
	awk -v count=$((size - used)) 'BEGIN {
		print "add element inet dflyguard unjudged_v4 {"
		for (i = 0; i < count; i++) print "10.99.0.1 . 1 . " i ","
		print "}"
	}' >"$work/fill"
	expect_exit 0 nft -f "$work/fill"
	expect_exit 1 nft 'add element inet dflyguard unjudged_v4 { 10.99.0.2 . 1 . 1 }'
	{
		try passes 9999 "tls tls-large" "allowed,10.20.0.5"
		try passes 6380 "tls tls-large" "allowed,10.20.0.5"
		try cut 9999 "resp http byte" "allowed,10.20.0.5"
		try cut 11211 "resp http byte" "allowed,10.20.0.5"
	} | expect_traffic
	says cut resp g4
	says timeout resp f4
	expect_equal "the plaintexts that servers heard" "$before" "$(plaintext_heard)"
	nft flush set inet dflyguard unjudged_v4
}
t "a full set of silent connections opens nothing and closes nothing" full

# ------------------------------------------------------------------------------------------------- labels and marks ---
foreign_bits() {
	local bit
	nft -f - <<-END
		table inet other {
			counter labelled {}
			counter marked {}
			chain early { type filter hook prerouting priority -160; ct state new ct label set 5 ct mark set 1; }
			chain late {
				type filter hook input priority 10
				tcp dport 9999 ct label 5 counter name labelled
				tcp dport 9999 ct mark 1 counter name marked
			}
		}
	END
	both
	# They stay: each packet that went on to the server still has them, those of cleared connections, too.
	open l4 10.20.0.5 9999
	says answer tls l4
	nft reset counters table inet other >/dev/null
	says answer data l4
	for bit in labelled marked; do
		nft list counter inet other $bit >"$work/counter"
		expect_text "$work/counter" 'packets [1-9]'
	done
	conntrack -L -p tcp --dport 9999 -o labels 2>/dev/null >"$work/tracked"
	expect_text "$work/tracked" 'mark=1'
	nft delete table inet other
}
t "other people's labels and marks change nothing, and stay" foreign_bits

other_bits() { # what somebody else uses may be ours by default
	policy <<-END
		service { port = 6379 tls_port = 6380 admin_port = 9999 memcached_port = 11211 conntrack_label = 40 }
		environment test { $required }
	END
	apply --environment test
	listing >"$work/listing"
	expect_text "$work/listing" 'ct label 41' 'ct label set 41'
	expect_no_text "$work/listing" 'ct label.* 10[0-9]'
	# All that we would use without the option is set, and none of it is ours.
	nft 'table inet other { chain early { type filter hook prerouting priority -160;
		ct state new ct label set 100 ct label set 101 ct label set 102 ct label set 103 ct label set 104; }; }'
	both
	nft delete table inet other
	environment "$required"
	apply
}
t "conntrack_label = 40 uses other bits" other_bits

tracking_off() { # nothing is looked at that is not tracked: state.sh has the rest
	nft -f - <<-END
		table inet other {
			chain early { type filter hook prerouting priority raw; tcp dport 9999 notrack; }
		}
	END
	try timeout 9999 "tls resp" "${far[@]}" | expect_traffic
	nft delete table inet other
	both
}
t "what is not tracked does not pass the gate" tracking_off

# ----------------------------------------------------------------------------------------------- other kinds of tls ---
optional() {
	local before
	environment "tls = optional clients = $everybody admins = $everybody memcached_clients = $everybody"
	apply
	before=$(plaintext_heard)
	{
		try passes 6379 "resp ping" "${far[@]}"
		try passes 6380 "tls tls-large" "${far[@]}"
		try cut 6380 "resp http byte" "${far[@]}"
		try cut 9999 "resp http byte" "${far[@]}"
		try passes 11211 "tls" "${far[@]}"
	} | expect_traffic
	expect_equal "the plaintexts that servers heard" "$before" "$(plaintext_heard)"
	# The server's tls covers the memcached port, too, and here it is not required.
	try passes 11211 resp "${far[@]}" | expect_traffic
}
t "tls = optional: plaintext on port and memcached_port, nothing but TLS on the others" optional

stricter() {
	open s4 10.20.0.5 6379
	open s6 2001:db8:20::5 6379
	expect_lives s4 s6
	tls_lives t4 t6
	environment "$required"
	apply
	expect_dead s4 s6
	tls_lives t4 t6
	both
}
t "from optional to required: plaintext sessions end, TLS sessions go on" stricter

off() {
	environment "tls = off clients = $everybody"
	apply
	try "reset" 6380 "tls" "${far[@]}" | expect_traffic
	tls_ask t4
	wait_until 1 grep -qF "$word" "$work/t4.out" && wrong "a TLS session lives on"
	return 0
}
t "to off: the TLS port is closed, and TLS sessions end" off
finish
