#!/bin/bash
# apply --boot: the policy; else the one that was in force last; else the guarded ports are closed and nothing else is.
# With the one capability that the unit leaves.
. "$(dirname "$0")/../lib/guard.sh"
network
export STATE_DIRECTORY=$work/state RUNTIME_DIRECTORY=$work/run
mkdir "$STATE_DIRECTORY" "$RUNTIME_DIRECTORY"
kept=$STATE_DIRECTORY/current

# 7000 is a port that no policy here names but the last ones.
for port in 6379 6380 6381 7000 8080; do serve host tcp :: $port; done

good() {
	policy <<-'END'
		default_environment = production
		service { port = 6379 tls_port = 6380 }
		network app { sources = {"10.20.0.0/24", "2001:db8:20::/64"} }
		environment production { tls = optional clients = {app} }
		environment staging { tls = optional clients = {} }
	END
}
bad() { # its service section can be read
	policy <<-'END'
		default_environment = production
		service { port = 6379 tls_port = 6381 }
		environment production { tls = optional clients = {nobody_knows} }
	END
}
remember() { # remember ENVIRONMENT: the policy file, as the one that was in force last
	{
		kept_head "$1"
		cat "$policy_file"
	} >"$kept"
}
# As the unit runs it: one capability, nothing to gain another by, and systemd's variables.
boot() { # boot [OPTION...]
	setpriv --bounding-set=-all,+net_admin --inh-caps=-all --no-new-privs \
		sh -c 'SYSTEMD_EXEC_PID=$$ exec "$@"' sh "$dflyguard" --policy "$policy_file" "$@" apply --boot
}
fresh() { # as after a reboot
	rm -f "$kept" "$policy_file"
	nft delete table inet dflyguard 2>/dev/null
	good
}
open_to_clients() {
	expect_traffic <<-'END'
		allowed 10.20.0.5 6379 ping answer
		allowed 2001:db8:20::5 6379 ping answer
		outside 10.66.0.5 6379 ping timeout
		outside 2001:db8:66::5 6379 ping timeout
		outside 10.66.0.5 8080 ping answer
	END
}
closed() { # closed PORT...: to everybody but this host; other ports are as before
	local port
	for port; do
		cat <<-END
			allowed 10.20.0.5 $port ping timeout
			allowed 2001:db8:20::5 $port ping timeout
			outside 10.66.0.5 $port ping timeout
			host 127.0.0.1 $port ping answer
			host ::1 $port ping answer
		END
	done | expect_traffic
}
untouched() { # untouched PORT...
	local port
	for port; do
		cat <<-END
			allowed 10.20.0.5 $port ping answer
			outside 2001:db8:66::5 $port ping answer
		END
	done | expect_traffic
}

good_policy() {
	fresh
	remember staging
	expect_exit 0 boot
	expect_equal "what is said on stderr" "" "$(cat "$errors")"
	open_to_clients
	expect_exit 0 guard plan
	expect_exit 0 boot
	expect_text "$out" 'Nothing to do|nothing differs|Nothing differs|is what the policy says'
}
t "a good policy: in force, and the last one is not asked" good_policy

last_policy() {
	fresh
	remember production
	bad
	expect_exit 0 boot
	expect_text "$errors" 'policy\.conf:3: .*nobody_knows' \
		"warning: $policy_file cannot be used: .* in force last is in force, environment production, from $kept"
	open_to_clients
	untouched 6381
	expect_exit 2 guard status
	expect_text "$out" 'environment +production' 'not compared: the policy cannot be used'
}
t "a bad policy: the one that was in force last, exit 0, and both are named" last_policy

last_environment() {
	local variable
	# The environment is the one that was in force, whatever the default is, and whatever is asked for.
	for variable in '' nowhere production; do
		fresh
		remember staging
		bad
		DFLYGUARD_ENVIRONMENT=$variable expect_exit 0 boot
		expect_text "$errors" 'environment staging, from'
		closed 6379
	done
	# One that is not in the policy is as a bad policy.
	fresh
	remember production
	expect_exit 0 boot --environment nowhere
	expect_text "$errors" "there is no environment 'nowhere'" 'environment production, from'
	open_to_clients
}
t "the last policy comes with its own environment; an unknown one is as a bad policy" last_environment

unmet() { # a policy that is not what it expects of itself
	fresh
	remember production
	cat >>"$policy_file" <<<'expect { environment = production from = "10.20.0.1" to_port = 6379 speaks = plaintext verdict = refuse }'
	expect_exit 0 boot
	expect_text "$errors" 'policy.conf:6' 'environment production, from'
	open_to_clients
	expect_exit 0 boot --format json
	expect_equal "objects on stdout" 1 "$(grep -c '^{' "$out")"
	expect_text "$out" '"warnings"' 'in force last is in force'
}
t "a policy that does not meet its own expectations: the last one" unmet

# What boot puts in force is remembered; closed ports are not.
remembered() {
	fresh
	expect_exit 0 boot
	expect_text "$kept" '^# environment production' 'clients'
	cp "$kept" "$work/kept"
	nft delete table inet dflyguard
	bad
	expect_exit 0 boot
	expect_same "what is kept" "$work/kept" "$kept"
	fresh
	bad
	expect_exit 1 boot
	[ ! -e "$kept" ] || wrong "closed ports are kept as a policy"
}
t "what boot puts in force is remembered as such, closed ports are not" remembered

missing() {
	fresh
	remember production
	rm "$policy_file"
	expect_exit 0 boot
	expect_text "$errors" 'No such file' 'environment production, from'
	open_to_clients
	fresh
	remember production
	chmod 622 "$policy_file"
	expect_exit 0 boot
	expect_text "$errors" 'can be changed by everybody' 'environment production, from'
	open_to_clients
}
t "a policy that is missing, or that others may write: the last one" missing

no_policy() {
	fresh
	bad
	nft 'table inet foreign { chain c { type filter hook input priority 0; tcp dport 9 drop; }; }'
	foreign >"$work/foreign.before"
	expect_exit 1 boot
	expect_text "$errors" 'nobody_knows' "no policy was in force before: there is no $kept" \
		'closed to all but this host: 6379, 6381'
	closed 6379 6381
	untouched 6380 8080
	foreign >"$work/foreign.after"
	expect_same "foreign tables" "$work/foreign.before" "$work/foreign.after"
	nft delete table inet foreign
	# And mended.
	good
	expect_exit 0 guard apply
	open_to_clients
}
t "a bad policy, and none before: the ports that it names are closed, exit 1, others are not touched" no_policy

ports_of_both() {
	fresh
	# A last policy that cannot be used either still tells of ports, and so does a torn one.
	kept_head gone >"$kept"
	printf 'service { port = 7000 tls_port = 6380 }\nenvironment x { tls = optional clients = {} }\n' >>"$kept"
	printf 'service { port = 6379 tls_port = 6381\nenvironment production { clients = {"10.0.0.0/33' >"$policy_file"
	expect_exit 1 boot
	expect_text "$errors" "there is no environment 'gone'" 'this host: 6379, 6380, 6381, 7000$'
	closed 6379 6380 6381 7000
	untouched 8080
	expect_equal "the table, read back" "$(nft list set inet dflyguard guarded_ports | tr -d ' \n\t' | grep -o 'elements={[^}]*}')" \
		'elements={6379-6381,7000}'
}
t "closed are the ports of both, the torn policy and the unusable last one" ports_of_both

nothing_known() {
	fresh
	rm "$policy_file"
	expect_exit 1 boot
	expect_text "$errors" 'this host: 6379$'
	closed 6379
	untouched 6380 8080
	# What others may write tells no ports: whoever wrote it shall not close port 8080.
	fresh
	echo 'service { port = 8080 }' >"$policy_file"
	chmod 666 "$policy_file"
	expect_exit 1 boot
	expect_text "$errors" 'this host: 6379$'
	untouched 8080
	chmod 600 "$policy_file"
}
t "no policy at all, or one that others may write: the default port is closed" nothing_known

stays_open() {
	fresh
	bad
	local before
	before=$(generation)
	expect_exit 2 boot --on-failure open
	expect_text "$errors" 'on-failure=open'
	expect_equal "the generation id" "$before" "$(generation)"
	untouched 6379 6381
	remember production
	good
	remember production
	bad
	expect_exit 0 boot --on-failure=open
	open_to_clients
}
t "--on-failure=open: nothing is changed, exit 2; but the last policy goes before it" stays_open

in_force_already() {
	fresh
	apply
	rm -f "$kept"
	bad
	local before
	before=$(generation)
	expect_exit 2 boot
	expect_text "$errors" 'what is in force already stays'
	expect_equal "the generation id" "$before" "$(generation)"
	open_to_clients
	# A table that guards nothing is not in force.
	nft flush chain inet dflyguard input
	expect_exit 1 boot
	closed 6379
}
t "called again while a table is in force: it stays, if it is whole" in_force_already

dry_run() {
	fresh
	bad
	local before
	before=$(generation)
	expect_exit 1 boot --dry-run
	expect_text "$errors" 'would be closed'
	good
	remember staging
	bad
	expect_exit 1 boot --dry-run
	expect_text "$errors" 'would be in force, environment staging'
	expect_equal "the generation id" "$before" "$(generation)"
	expect_exit 0 boot --format json
	expect_text "$out" '^\{$' '"environment": "staging"' '"applied": true'
	expect_equal "objects on stdout" 1 "$(grep -c '^{' "$out")"
}
t "--dry-run tells which it would be, and JSON stays one object" dry_run

# Root of a user namespace may not raise the socket's buffer, and a transaction is one message: a good policy that is not
# taken, as where it needs what the kernel lacks.
refused_by_kernel() {
	local inner=(unshare --user --map-root-user --net)
	"${inner[@]}" true 2>/dev/null || { skip "no user namespaces inside this one"; return; }
	fresh
	remember production
	{
		echo 'default_environment = big service { port = 7001 } environment big { tls = off clients = {'
		awk 'BEGIN { for (i = 0; i < 300000; i++) printf "\"10.%d.%d.%d\",\n", i / 32768, i / 128 % 256, i % 128 * 2 }'
		echo '} }'
	} >"$policy_file"
	cat >"$work/inner" <<-'END'
		sh -c 'SYSTEMD_EXEC_PID=$$ exec "$@"' sh "$1" --policy "$2" apply --boot
		echo "exit $?"
		nft list set inet dflyguard guarded_ports
	END
	"${inner[@]}" sh "$work/inner" "$dflyguard" "$policy_file" >"$work/inner.log" 2>&1
	if grep -q 'Applied.*environment big' "$work/inner.log"; then
		skip "net.core.wmem_max is so large that nothing is refused"
		return
	fi
	expect_text "$work/inner.log" 'net.core.wmem_max' 'in force last is in force, environment production' '^exit 0' '6379-6380'
	rm "$kept"
	"${inner[@]}" sh "$work/inner" "$dflyguard" "$policy_file" >"$work/inner.log" 2>&1
	expect_text "$work/inner.log" 'net.core.wmem_max' 'these ports are closed .*: 7001' '^exit 1' 'elements = \{ 7001 \}'
}
t "a good policy that the kernel does not take: the last one, or closed ports" refused_by_kernel

owned() { # somebody else owns the table: no ruleset is taken
	fresh
	remember production
	coproc OWNER { exec nft -i; } 2>/dev/null
	echo 'add table inet dflyguard { flags owner; }' >&"${OWNER[1]}"
	if wait_until 3 nft list table inet dflyguard && nft list table inet dflyguard | grep -q 'flags owner'; then
		expect_exit 2 boot
		expect_text "$errors" 'owned by'
	else
		skip "this kernel has no tables with an owner"
	fi
	# Where nft reads no more it ends, and the table goes with it.
	kill "$OWNER_PID"
	wait_until 5 sh -c '! nft list table inet dflyguard'
}
t "a table that another process owns: exit 2, and why" owned

no_kernel() {
	fresh
	remember production
	expect_exit 2 setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$dflyguard" --policy "$policy_file" apply --boot
	expect_text "$errors" 'CAP_NET_ADMIN'
	expect_equal "how often it is said" 1 "$(grep -c 'CAP_NET_ADMIN' "$errors")"
	bad
	rm "$kept"
	expect_exit 2 setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$dflyguard" --policy "$policy_file" apply --boot
	expect_text "$errors" 'nobody_knows' 'CAP_NET_ADMIN'
}
t "a kernel that is not talked to: exit 2, once, with what is missing" no_kernel
finish
