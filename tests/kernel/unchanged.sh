#!/bin/bash
# Guarantee 9: an apply that changes nothing sends nothing; one that changes elements sends only those; counters live on.
. "$(dirname "$0")/../lib/guard.sh"
network
redis host 6379
clients() {
	local list
	list=$(printf '"%s", ' "$@")
	environment "tls = optional clients = {${list%, }}"
}

nothing() {
	local before
	clients 10.20.0.0/24 2001:db8:20::/64
	apply
	before=$(generation)
	[ "$before" -gt 0 ] || wrong "the generation id is '$before'"
	expect_exit 0 guard apply
	expect_exit 0 guard plan
	expect_exit 0 guard apply --dry-run
	expect_exit 0 guard status
	expect_equal "the generation id" "$before" "$(generation)"
	expect_exit 0 watched "$work/events" guard apply
	expect_same "events" /dev/null "$work/events"
	before=$(generation)
	expect_exit 0 guard --format json apply
	expect_text "$out" '"schema": *1' '"command": *"apply"' '"changes": *\[ *\]' '"applied": *false'
	expect_equal "the generation id" "$before" "$(generation)"
}
t "an apply that changes nothing sends nothing" nothing

# events NAME=COUNT...: how many lines of $work/events begin so, and nothing else is there
events() {
	local wanted total=0
	for wanted; do
		expect_equal "events '${wanted%=*}'" "${wanted#*=}" "$(grep -c "^${wanted%=*}" "$work/events")"
		total=$((total + ${wanted#*=}))
	done
	[ "$(wc -l <"$work/events")" = "$total" ] || wrong "expected $total events, seen:"$'\n'"$(cat "$work/events")"
}
count_something() {
	for _ in 1 2 3; do
		expect_traffic <<-END
			outside 10.66.0.5      6379 ping timeout
			outside 2001:db8:66::5 6379 ping timeout
		END
	done
}
survives() { # survives SOURCE...: the policy with these goes in; counters, handles and the rest stay
	local before
	before=$(counted refused_source)
	[ "$before" -gt 0 ] || wrong "nothing was counted"
	handles >"$work/handles"
	clients "$@"
	expect_exit 1 guard plan
	cp "$out" "$work/planned"
	expect_exit 0 watched "$work/events" guard apply
	expect_exit 0 guard plan
	expect_equal "refused_source" "$before" "$(counted refused_source)"
	handles >"$work/handles.after"
	expect_same "handles of chains, sets and rules" "$work/handles" "$work/handles.after"
}
one_added() {
	count_something
	survives 10.20.0.0/24 2001:db8:20::/64 10.30.7.0/24
	events 'add element inet dflyguard clients_v4 { 10.30.7.0/24 }=1'
	expect_text "$work/planned" '10\.30\.7\.0/24'
}
t "one source more sends that one" one_added
one_removed() {
	survives 10.20.0.0/24 2001:db8:20::/64
	events 'delete element inet dflyguard clients_v4 { 10.30.7.0/24 }=1'
}
t "one source less sends that one" one_removed
one_each() {
	survives 10.20.0.0/24 10.31.0.1 2001:db8:30::/64
	events 'delete element inet dflyguard clients_v6 { 2001:db8:20::/64 }=1' \
		'add element inet dflyguard clients_v4 { 10.31.0.1 }=1' \
		'add element inet dflyguard clients_v6 { 2001:db8:30::/64 }=1'
}
t "one of each sends those" one_each
hole() { # an interval cannot shrink in place: it goes and its pieces come
	survives 10.20.0.0-10.20.0.99 10.20.0.101-10.20.0.255 10.31.0.1 2001:db8:30::/64
	events 'delete element inet dflyguard clients_v4 { 10.20.0.0/24 }=1' \
		'add element inet dflyguard clients_v4 { 10.20.0=2'
}
t "a hole in a prefix sends that prefix and its pieces" hole
same_meaning() { # written otherwise, the same sources
	local before
	before=$(generation)
	clients 10.31.0.1 10.20.0.101-10.20.0.255 10.20.0.0/26 10.20.0.64-10.20.0.99 10.20.0.0/27 2001:db8:30::/65 \
		2001:db8:30:0:8000::/65
	expect_exit 0 guard plan
	expect_exit 0 guard apply
	expect_equal "the generation id" "$before" "$(generation)"
}
t "the same sources in other words send nothing" same_meaning

structure() { # a rule changes: what it does not touch keeps its counts
	local before
	count_something
	before=$(counted refused_source)
	environment 'tls = required clients = {"10.31.0.1", "2001:db8:30::/64"}'
	apply
	expect_equal "refused_source" "$before" "$(counted refused_source)"
	environment 'tls = required clients = {"10.31.0.1", "2001:db8:30::/64"} bind = {"10.20.0.5"}'
	apply
	expect_equal "refused_source" "$before" "$(counted refused_source)"
	environment 'tls = off loopback = deny routed = all clients = {"10.31.0.1"}'
	apply
	expect_equal "refused_source" "$before" "$(counted refused_source)"
}
t "counters survive a change of rules" structure

environments() { # another environment of the same policy
	local before
	policy <<-END
		default_environment = a
		service { port = 6379 tls_port = 6380 }
		environment a { tls = required clients = {"10.20.0.0/24"} }
		environment b { tls = required clients = {"10.20.0.0/24", "10.21.0.0/24"} }
	END
	apply
	count_something
	before=$(counted refused_source)
	expect_exit 0 guard --format json status
	expect_text "$out" '"environment": *"a"'
	expect_exit 1 guard --environment b plan
	apply --environment b
	expect_exit 1 guard plan
	expect_equal "refused_source" "$before" "$(counted refused_source)"
	expect_exit 0 guard --environment b --format json status
	expect_text "$out" '"environment": *"b"'
	DFLYGUARD_ENVIRONMENT=b expect_exit 0 guard plan
	DFLYGUARD_ENVIRONMENT=a expect_exit 1 guard plan
}
t "counters survive a change of the environment, and status names the one in force" environments

dry_run() {
	local before
	environment 'tls = optional clients = {"10.99.0.0/24"}'
	before=$(generation)
	expect_exit 1 guard plan
	expect_exit 1 guard apply --dry-run
	expect_exit 1 guard --format json plan
	expect_text "$out" '"schema": *1' '"command": *"plan"' '"applied": *false' '"kind": *"add"' '10\.99\.0\.0/24' \
		'policy\.conf:[0-9]'
	expect_exit 0 guard check
	expect_equal "the generation id" "$before" "$(generation)"
}
t "plan, apply --dry-run and check send nothing" dry_run

bad_policy() {
	local before
	apply
	before=$(generation)
	listing >"$work/before"
	environment 'tls = perhaps clients = {"10.99.0.0/24"}'
	expect_exit 2 guard apply
	expect_exit 2 guard plan
	expect_text "$errors" 'policy\.conf:[0-9]+'
	rm "$policy_file"
	expect_exit 2 guard apply
	listing >"$work/after"
	expect_same "the table" "$work/before" "$work/after"
	expect_equal "the generation id" "$before" "$(generation)"
}
t "a bad policy and a missing one leave the kernel as it was, exit 2" bad_policy

large() { # one source among 20,000, in a list that is laid out in parts
	large_policy 20000
	apply
	handles >"$work/handles"
	large_policy 20001
	expect_exit 1 guard plan
	expect_exit 0 watched "$work/events" guard apply
	expect_exit 0 guard plan
	handles >"$work/handles.after"
	expect_same "handles of chains, sets and rules" "$work/handles" "$work/handles.after"
	events 'add element inet dflyguard clients_v4=1'
}
large_policy() { # large_policy COUNT: single addresses far from each other, in a scattered order
	{
		echo 'service { port = 6379 } environment test { tls = off clients = {'
		awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) { a = i * 7919 % 65536
			printf "%s\"10.%d.%d.8\"", i ? ",\n" : "", a / 256, a % 256 } }'
		echo '} } default_environment = test'
	} | policy
}
t "one source more among 20,000 sends that one" large
finish
