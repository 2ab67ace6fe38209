#!/bin/bash
# What the program writes as nft text is what it puts into the kernel, and what the kernel shows loads again.
. "$(dirname "$0")/../lib/guard.sh"
network

same_by_nft() { # same_by_nft TEXT...: the environment exported, loaded elsewhere by nft -f, equals the one applied here
	environment "$@"
	# From nothing: an interval that grew out of another one stays in its pieces, which mean the same.
	expect_exit 0 guard remove
	apply
	expect_exit 0 guard export --to nft
	cp "$out" "$work/export.nft"
	# nft tells twice of what it cannot read: in a dry run, too.
	inside container nft flush ruleset
	if inside container nft -c -f "$work/export.nft" 2>&1 | grep -q 'Message too long'; then
		skip "nft cannot send so long a ruleset with the socket buffer of an ordinary user"
		return
	fi
	expect_exit 0 inside container nft -c -f "$work/export.nft"
	expect_exit 0 inside container nft -f "$work/export.nft"
	listing >"$work/applied.list"
	listing container >"$work/loaded.list"
	[ -s "$work/applied.list" ] || wrong "nothing was listed"
	expect_same "applied and loaded by nft -f" "$work/applied.list" "$work/loaded.list"
	# A second load replaces the first, and the program finds nothing to mend in it.
	expect_exit 0 inside container nft -f "$work/export.nft"
	listing container >"$work/loaded.list"
	expect_same "applied and loaded twice" "$work/applied.list" "$work/loaded.list"
	expect_exit 0 inside container "$dflyguard" --policy "$policy_file" plan
	# And the kernel's own listing is a ruleset, too.
	nft list table inet dflyguard >"$work/list.nft"
	inside outside nft flush ruleset
	expect_exit 0 inside outside nft -f "$work/list.nft"
	listing outside >"$work/loaded.list"
	expect_same "applied and its listing loaded" "$work/applied.list" "$work/loaded.list"
	expect_exit 0 inside outside "$dflyguard" --policy "$policy_file" plan
}
t "the smallest policy" same_by_nft 'clients = {}'
t "tls = required" same_by_nft 'tls = required clients = {"10.20.0.0/24", "10.30.0.1-10.30.0.9", "2001:db8:20::/64"}'
t "every option" same_by_nft 'tls = required admin_tls = required loopback = tls routed = all log = none
	clients = {"10.20.0.0/24", "::ffff:0:0/96"} admins = {"10.9.0.0/28", "fe80::/10"} memcached_clients = {"10.20.0.9"}
	bind = {"10.20.0.5", "2001:db8:20::5", "127.0.0.1"} admin_bind = {"10.9.0.1"}'
t "tls = off, loopback = deny, routed = none" same_by_nft 'tls = off loopback = deny routed = none clients = {"10.0.0.0/8"}
	bind = {"10.20.0.5"}'
t "everybody" same_by_nft 'tls = optional loopback = tls clients = {"0.0.0.0/0", "::/0"}'
t "the ends of the address spaces" same_by_nft 'tls = optional
	clients = {"0.0.0.0", "255.255.255.255", "128.0.0.0/1", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "8000::/1"}'
long() {
	same_by_nft "tls = optional clients = { $(awk 'BEGIN {
		for (i = 0; i < 20000; i++) printf "\"10.%d.%d.8\",", i % 256, i / 256
		for (i = 0; i < 10000; i++) printf "\"2001:db8:%x::/64\"%s", i * 2, i < 9999 ? "," : "" }') }"
}
t "lists in parts" long

replaces() { # a table that somebody changed is whole after the export is loaded
	environment 'tls = required clients = {"10.20.0.0/24"}'
	apply
	expect_exit 0 guard export --to nft
	cp "$out" "$work/export.nft"
	nft 'flush chain inet dflyguard judge; add element inet dflyguard clients_v4 { 203.0.113.0/24 }; add chain inet dflyguard x'
	expect_exit 1 guard plan
	expect_exit 0 nft -f "$work/export.nft"
	expect_exit 0 guard plan
}
t "the export loaded over a changed table mends it" replaces

explains_itself() {
	environment 'tls = required clients = {"10.20.0.0/24"} bind = {"10.20.0.5"}'
	apply
	nft list table inet dflyguard >"$work/list"
	expect_text "$work/list" 'comment "kept by dflyguard' 'chain judge' 'set clients_v4' 'counter refused_source' \
		'type filter hook prerouting priority mangle' 'type filter hook input priority filter' \
		'type filter hook forward priority filter' 'comment "environment test'
}
t "nft list table explains itself" explains_itself

unprivileged_export() { # an export needs no kernel at all
	environment 'tls = required clients = {"10.20.0.0/24"}'
	expect_exit 0 guard export --to nft
	cp "$out" "$work/here"
	cp "$policy_file" "$work/theirs"
	chown 65534:65534 "$work/theirs" 2>/dev/null || { skip "one user only in this namespace"; return; }
	chmod 711 "$work"
	expect_exit 0 setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --inh-caps=-all \
		"$dflyguard" --policy "$work/theirs" export --to nft
	# But for the path and the time.
	sed '/^#/d; s/20[0-9-]*T[0-9:]*Z/TIME/' "$work/here" >"$work/here.text"
	sed '/^#/d; s/20[0-9-]*T[0-9:]*Z/TIME/' "$out" >"$work/there.text"
	expect_same "the export" "$work/here.text" "$work/there.text"
}
t "export needs no privilege" unprivileged_export
finish
