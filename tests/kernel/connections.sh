#!/bin/bash
# Guarantees 3 and 6 for connections that last: a revoked source is cut off at once, on this host and in a container;
# everybody else's connection lives through the first apply, every later one, and a lost connection tracking table.
. "$(dirname "$0")/../lib/guard.sh"
network
redis host 6379
redis container 6379
nft -f - <<'END'
table inet docker {
	chain translate {
		type nat hook prerouting priority dstnat
		tcp dport 16379 meta nfproto ipv4 dnat ip to 172.17.0.2:6379
		tcp dport 16379 meta nfproto ipv6 dnat ip6 to [fd00:17::2]:6379
	}
}
END
session_begin

clients() { # clients SOURCE...: the policy lets these in
	local list
	list=$(printf '"%s", ' "$@")
	environment "tls = optional clients = {${list%, }}"
}
open() { # open NAME NS[@SOURCE] ADDRESS PORT: and hear once
	expect_equal "connection $1" connected "$(session open "$@")"
	expect_lives "$1"
}
everyone=(10.20.0.10 10.20.0.11 2001:db8:20::10 2001:db8:20::11 10.66.0.10 2001:db8:66::10)

first_apply() {
	open a4 allowed@10.20.0.10 10.20.0.5 6379
	open a6 allowed@2001:db8:20::10 2001:db8:20::5 6379
	open a4c allowed@10.20.0.10 10.20.0.5 16379
	open a6c allowed@2001:db8:20::10 2001:db8:20::5 16379
	open b4 allowed@10.20.0.11 10.20.0.5 6379
	open b6 allowed@2001:db8:20::11 2001:db8:20::5 6379
	open o4 outside@10.66.0.10 10.66.0.5 6379
	open o6 outside@2001:db8:66::10 2001:db8:66::5 6379
	open o4c outside@10.66.0.10 10.66.0.5 16379
	open o6c outside@2001:db8:66::10 2001:db8:66::5 16379
	open h4 host 127.0.0.1 6379
	clients "${everyone[@]}"
	apply
	expect_lives a4 a6 a4c a6c b4 b6 o4 o6 o4c o6c h4
}
t "connections older than the table live on when their sources are named" first_apply

again() {
	expect_exit 0 guard apply
	clients "${everyone[@]}" 10.30.0.0/16 2001:db8:30::/48
	apply
	expect_lives a4 a6 a4c a6c b4 b6 o4 o6 o4c o6c h4
	clients "${everyone[@]}"
	apply
	environment "$(sed -n '/environment test/,$p' "$policy_file" | sed '1d;$d' | tr '\n' ' ') admins = {\"10.9.0.1\"}"
	apply
	expect_lives a4 a6 a4c a6c b4 b6 o4 o6 o4c o6c h4
}
t "and when other sources come and go" again

merged() { # one interval becomes another that holds the same source: never out in between
	clients 10.20.0.0/24 2001:db8:20::/64 10.66.0.10 2001:db8:66::10
	apply
	expect_lives a4 a6 b4 b6 o4
	clients 10.20.0.0-10.20.0.10 10.20.0.11-10.20.0.99 2001:db8:20::/112 10.66.0.0/28 2001:db8:66::/64
	apply
	expect_lives a4 a6 a4c a6c b4 b6 o4 o6 o4c o6c h4
}
t "and when the intervals around them change" merged

lost_tracking() {
	conntrack -F 2>/dev/null
	expect_lives a4 a6 b4 b6 o4 o6 h4
	# Translation is not to be had without tracking: what was published is lost with it, guard or no guard.
	expect_traffic <<-END
		allowed@10.20.0.10      10.20.0.5 16379 ping passes
		allowed@2001:db8:20::10 2001:db8:20::5 16379 ping passes
	END
}
t "and when connection tracking forgets them all" lost_tracking

revoked() {
	session close a4c >/dev/null
	session close a6c >/dev/null
	session close o4c >/dev/null
	session close o6c >/dev/null
	open a4c allowed@10.20.0.10 10.20.0.5 16379
	open a6c allowed@2001:db8:20::10 2001:db8:20::5 16379
	open o4c outside@10.66.0.10 10.66.0.5 16379
	open o6c outside@2001:db8:66::10 2001:db8:66::5 16379
	clients 10.20.0.10 2001:db8:20::10
	apply
	expect_dead b4 b6 o4 o6 o4c o6c
	expect_lives a4 a6 a4c a6c h4
	expect_traffic <<-END
		outside 10.66.0.5      6379  ping timeout
		outside 2001:db8:66::5 6379  ping timeout
		outside 10.66.0.5      16379 ping timeout
		allowed@10.20.0.10      10.20.0.5      6379 ping passes
		allowed@10.20.0.11      10.20.0.5      6379 ping timeout
		allowed@2001:db8:20::11 2001:db8:20::5 6379 ping timeout
	END
}
t "a revoked source's connections are dead, to this host and to a container; the others live" revoked

tracking_helps_nobody() {
	conntrack -F 2>/dev/null
	expect_dead o4 o6 b4 b6
	expect_lives a4 a6 h4
	expect_traffic <<-END
		outside 10.66.0.5      6379 ping timeout
		outside 2001:db8:66::5 6379 ping timeout
	END
}
t "a flushed connection tracking table lets no revoked one back in" tracking_helps_nobody

one_by_one() { # only one interval's worth goes: a single element changes
	clients 10.20.0.0/24 2001:db8:20::/64
	apply
	open c4 allowed@10.20.0.11 10.20.0.5 6379
	open c6 allowed@2001:db8:20::11 2001:db8:20::5 6379
	clients 10.20.0.0-10.20.0.10 10.20.0.12-10.20.0.255 2001:db8:20::/124 2001:db8:20::10
	apply
	expect_dead c4 c6
	expect_lives a4 a6 h4
}
t "one address taken out of the middle of a prefix is cut, its neighbours are not" one_by_one

mode_changed() { # the plaintext port closes: what goes on there ends, whoever it is
	environment 'tls = required clients = {"10.20.0.0/24", "2001:db8:20::/64"}'
	apply
	expect_dead a4 a6
	expect_lives h4
}
t "tls = required ends plaintext connections, but not this host's" mode_changed

loopback_revoked() {
	environment 'tls = optional loopback = deny clients = {"10.20.0.0/24"}'
	apply
	expect_dead h4
}
t "loopback = deny ends this host's" loopback_revoked

first_apply_cuts() { # the outsider was there before the table
	expect_exit 0 guard remove
	open x4 outside 10.66.0.5 6379
	open x6 outside 2001:db8:66::5 6379
	open y4 allowed@10.20.0.10 10.20.0.5 6379
	clients 10.20.0.10
	apply
	expect_dead x4 x6
	expect_lives y4
}
t "the first apply cuts outsiders who are in already" first_apply_cuts
finish
