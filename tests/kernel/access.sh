#!/bin/bash
# Guarantee 1: who passes on which port (DESIGN.md section 2), IPv4 and IPv6, measured with real packets.
# allowed@10.20.0.10 is a client, allowed@10.20.0.11 an admin, outside is nobody.
. "$(dirname "$0")/../lib/guard.sh"
network
redis host 6379 6380
serve host tcp :: 9999
serve host tcp :: 11211
serve host tcp :: 7777
serve host udp :: 6379
client='clients = {"10.20.0.10", "2001:db8:20::10"}'
others='admins = {"10.20.0.11", "2001:db8:20::11"} memcached_clients = {"10.20.0.11", "2001:db8:20::11"}'

without() {
	expect_traffic <<-END
		outside 10.66.0.5      6379  ping passes
		outside 2001:db8:66::5 6379  ping passes
		outside 10.66.0.5      6380  tls  passes
		outside 2001:db8:66::5 6380  tls  passes
		outside 10.66.0.5      9999  tls  passes
		outside 2001:db8:66::5 11211 tls  passes
		outside 10.66.0.5      6379  udp  passes
	END
}
t "without a table everybody gets in" without

# What no environment may change: outsiders out, the host in, other ports and protocols as they were.
everywhere() {
	cat <<-END
		outside 10.66.0.5      6379  ping timeout
		outside 10.66.0.5      6380  tls  timeout
		outside 10.66.0.5      9999  tls  timeout
		outside 10.66.0.5      11211 tls  timeout
		outside 2001:db8:66::5 6379  ping timeout
		outside 2001:db8:66::5 6380  tls  timeout
		outside 2001:db8:66::5 9999  tls  timeout
		outside 2001:db8:66::5 11211 tls  timeout
		outside 10.66.0.5      7777  ping passes
		outside 2001:db8:66::5 7777  ping passes
		outside 10.66.0.5      6379  udp  passes
		outside 2001:db8:66::5 6379  udp  passes
		outside 10.66.0.5      5     ping reset
		host    127.0.0.1      6379  ping passes
		host    127.0.0.1      6380  tls  passes
		host    ::1            6379  ping passes
		host    10.20.0.5      6379  ping passes
		host    2001:db8:66::5 6380  tls  passes
		host    127.0.0.1      9999  tls  passes
	END
}
# The lists do not lend each other their members.
lists() {
	cat <<-END
		allowed@10.20.0.11      10.20.0.5      9999  tls passes
		allowed@2001:db8:20::11 2001:db8:20::5 9999  tls passes
		allowed@10.20.0.10      10.20.0.5      9999  tls timeout
		allowed@2001:db8:20::10 2001:db8:20::5 9999  tls timeout
		allowed@10.20.0.11      10.20.0.5      11211 tls passes
		allowed@2001:db8:20::11 2001:db8:20::5 11211 tls passes
		allowed@10.20.0.10      10.20.0.5      11211 tls timeout
		allowed@10.20.0.11      10.20.0.5      6379  ping refused
		allowed@10.20.0.11      10.20.0.5      6380  tls  timeout
		allowed@2001:db8:20::11 2001:db8:20::5 6380  tls  timeout
	END
}
mode() { # mode TLS PLAINTEXT TLS-PORT: what clients see on the two ports
	environment "tls = $1 $client $others"
	apply
	{
		everywhere
		lists
		cat <<-END
			allowed@10.20.0.10      10.20.0.5      6379 ping $2
			allowed@2001:db8:20::10 2001:db8:20::5 6379 ping $2
			allowed@10.20.0.10      10.20.0.5      6380 tls  $3
			allowed@2001:db8:20::10 2001:db8:20::5 6380 tls  $3
		END
	} | expect_traffic
}
t "tls = required: only the TLS port" mode required refused passes
refusals_counted() {
	[ "$(counted refused_closed)" -gt 0 ] || wrong "refused_closed did not count"
	[ "$(counted refused_source)" -gt 0 ] || wrong "refused_source did not count"
	expect_equal refused_address 0 "$(counted refused_address)"
	expect_equal refused_loopback 0 "$(counted refused_loopback)"
	expect_equal refused_state 0 "$(counted refused_state)"
}
t "tls = required: the refusals are counted by their reasons" refusals_counted
t "tls = optional: both ports" mode optional passes passes
t "tls = off: only the plaintext port" mode off passes refused

nobody() {
	environment 'tls = optional clients = {}'
	apply
	{
		everywhere
		cat <<-END
			allowed@10.20.0.10      10.20.0.5      6379 ping timeout
			allowed@2001:db8:20::10 2001:db8:20::5 6379 ping timeout
			allowed@10.20.0.10      10.20.0.5      6380 tls  timeout
			allowed@10.20.0.11      10.20.0.5      9999 tls  timeout
			allowed@2001:db8:20::11 2001:db8:20::5 9999 tls  timeout
			allowed@10.20.0.11      10.20.0.5      11211 tls timeout
		END
	} | expect_traffic
}
t "an empty list of clients, and lists not given: nobody" nobody

loopback_deny() {
	local before
	environment "tls = optional loopback = deny $client"
	apply
	before=$(counted refused_source)
	expect_traffic <<-END
		host 127.0.0.1      6379  ping refused
		host ::1            6379  ping refused
		host 10.20.0.5      6379  ping refused
		host 2001:db8:20::5 6379  ping refused
		host 127.0.0.1      6380  tls  refused
		host ::1            6380  tls  refused
		host 127.0.0.1      9999  tls  refused
		host 127.0.0.1      11211 tls  refused
		host 127.0.0.1      7777  ping passes
		allowed@10.20.0.10      10.20.0.5      6379 ping passes
		allowed@2001:db8:20::10 2001:db8:20::5 6380 tls  passes
	END
	[ "$(counted refused_loopback)" -gt 0 ] || wrong "refused_loopback did not count"
	expect_equal refused_source "$before" "$(counted refused_source)"
}
t "loopback = deny: nobody on this host, clients as before" loopback_deny

loopback_tls() {
	environment "tls = required loopback = tls $client $others"
	apply
	expect_traffic <<-END
		host 127.0.0.1      6379 ping refused
		host ::1            6379 ping refused
		host 10.20.0.5      6379 ping refused
		host 127.0.0.1      6380 tls  passes
		host ::1            6380 tls  passes
		host 127.0.0.1      7777 ping passes
		allowed@10.20.0.10      10.20.0.5      6380 tls passes
		allowed@2001:db8:20::10 2001:db8:20::5 6380 tls passes
	END
}
t "loopback = tls: this host reaches only the ports where TLS is spoken" loopback_tls

from_lo() {
	environment 'tls = optional clients = {"127.0.0.0/8", "::1"}'
	apply
	expect_traffic <<-END
		host    127.0.0.1      6379 ping passes
		host    ::1            6379 ping passes
		outside 10.66.0.5 6379 ping timeout
		outside 2001:db8:66::5 6379 ping timeout
	END
}
t "clients = this host: nobody from outside" from_lo

one_port() {
	serve host tcp :: 7001
	policy <<-END
		service { port = 7001 tls_port = 7001 }
		environment test { tls = required $client }
	END
	apply --environment test
	expect_traffic <<-END
		allowed@10.20.0.10      10.20.0.5      7001 tls passes
		allowed@2001:db8:20::10 2001:db8:20::5 7001 tls passes
		allowed@10.20.0.11      10.20.0.5      7001 tls timeout
		outside 10.66.0.5      7001 tls  timeout
		outside 2001:db8:66::5 7001 tls  timeout
		outside 10.66.0.5      6379 ping passes
		host    127.0.0.1      7001 tls  passes
	END
}
t "port and tls_port are one port" one_port

edges() {
	local host
	for host in 7 8 12 20 21 22; do
		ip -n allowed addr add 10.20.0.$host/24 dev eth0
		ip -n allowed addr add 2001:db8:20::$host/64 dev eth0 nodad
	done
	environment 'tls = optional clients = {"10.20.0.8/30", "10.20.0.20-10.20.0.21", "2001:db8:20::8/126",
		"2001:db8:20::20-2001:db8:20::21"}'
	apply
	expect_traffic <<-END
		allowed@10.20.0.7       10.20.0.5 6379 ping timeout
		allowed@10.20.0.8       10.20.0.5 6379 ping passes
		allowed@10.20.0.11      10.20.0.5 6379 ping passes
		allowed@10.20.0.12      10.20.0.5 6379 ping timeout
		allowed@10.20.0.20      10.20.0.5 6379 ping passes
		allowed@10.20.0.21      10.20.0.5 6379 ping passes
		allowed@10.20.0.22      10.20.0.5 6379 ping timeout
		allowed@2001:db8:20::7  2001:db8:20::5 6379 ping timeout
		allowed@2001:db8:20::8  2001:db8:20::5 6379 ping passes
		allowed@2001:db8:20::12 2001:db8:20::5 6379 ping timeout
		allowed@2001:db8:20::20 2001:db8:20::5 6379 ping passes
		allowed@2001:db8:20::21 2001:db8:20::5 6379 ping passes
		allowed@2001:db8:20::22 2001:db8:20::5 6379 ping timeout
	END
}
t "the first and the last address of a prefix and of a range pass, their neighbours do not" edges

anybody() { # the widest prefixes are intervals without an end
	environment 'tls = optional clients = {"0.0.0.0/0", "::/0"}'
	apply
	expect_traffic <<-END
		outside 10.66.0.5      6379 ping passes
		outside 2001:db8:66::5 6379 ping passes
		outside 10.66.0.5      6380 tls  passes
		outside 10.66.0.5      9999 tls  timeout
	END
}
t "everybody is a list too" anybody

# Every second address of 10.20.0.0/17 and of 2001:db8:20::/112: too many for one set (peers.md D), so it is split.
long() {
	{
		echo 'network many { sources = {'
		awk 'BEGIN {
			for (i = 0; i < 16384; i++) printf "\"10.20.%d.%d\",\n", i / 128, i % 128 * 2
			for (i = 0; i < 10000; i++) printf "\"2001:db8:20::%x\"%s\n", i * 2, i < 9999 ? "," : ""
		}'
		echo '} } service { port = 6379 tls_port = 6380 } environment test { tls = optional clients = {many} }'
	} | policy
	apply --environment test
	expect_traffic <<-END
		allowed@10.20.0.10      10.20.0.5 6379 ping passes
		allowed@10.20.0.11      10.20.0.5 6379 ping timeout
		allowed@10.20.0.8       10.20.0.5 6379 ping passes
		allowed@10.20.0.7       10.20.0.5 6379 ping timeout
		allowed@2001:db8:20::10 2001:db8:20::5 6379 ping passes
		allowed@2001:db8:20::11 2001:db8:20::5 6379 ping timeout
		outside 10.66.0.5      6379 ping timeout
		outside 2001:db8:66::5 6380 tls  timeout
	END
	expect_exit 0 guard --environment test apply
	expect_exit 0 guard --environment test --format json status
	expect_text "$out" '"in_force": *true' '"sources": *26384'
}
t "a list of 26,384 sources" long

status() {
	environment "tls = required $client"
	apply
	expect_traffic <<-END
		outside 10.66.0.5 6379 ping timeout
	END
	expect_exit 0 guard --format json status
	expect_text "$out" '"schema": *1' '"command": *"status"' '"in_force": *true' '"sources": *2' '"counters"' \
		'"refused_source"' '"refused_address"' '"refused_closed"' '"refused_state"' '"refused_loopback"'
	[ "$(tr -d ' \n' <"$out" | sed -n 's/.*"refused_source":{"packets":\([0-9]*\).*/\1/p')" = "$(counted refused_source)" ] ||
		wrong "the packets of refused_source: expected $(counted refused_source), seen $(cat "$out")"
	expect_exit 0 guard status
	expect_text "$out" 'environment +test' 'source +[1-9]'
	expect_exit 0 guard remove
	expect_exit 1 guard status
	expect_exit 1 guard --format json status
	expect_text "$out" '"in_force": *false'
	without
}
t "status tells what is in force, remove opens everything again" status
finish
