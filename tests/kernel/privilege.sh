#!/bin/bash
# The program for an ordinary user: works where a user namespace gives CAP_NET_ADMIN; says what is missing where nothing does.
. "$(dirname "$0")/../lib/guard.sh"
ip link set lo up
environment 'tls = required clients = {"10.20.0.0/24", "2001:db8:20::/64"} bind = {"10.20.0.5"}'

# Runs as nobody, with a policy of nobody's own, in the folder $theirs.
theirs=$work/theirs
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all)
become_nobody() {
	chmod 711 "$work"
	mkdir -p "$theirs"
	cp "$policy_file" "$theirs/policy.conf"
	chown -R 65534:65534 "$theirs" 2>/dev/null && "${nobody[@]}" true 2>/dev/null && return
	skip "one user only in this namespace: run as root"
	return 1
}

without() {
	become_nobody || return 0
	local before command
	apply
	before=$(generation)
	for command in apply plan remove status; do
		expect_exit 2 "${nobody[@]}" "$dflyguard" --policy "$theirs/policy.conf" $command
		expect_text "$errors" 'CAP_NET_ADMIN|root|sudo'
	done
	expect_exit 2 "${nobody[@]}" "$dflyguard" --policy "$theirs/policy.conf" --format json apply
	expect_text "$out" '"error"' '"message"'
	expect_exit 0 "${nobody[@]}" "$dflyguard" --policy "$theirs/policy.conf" check
	expect_equal "the generation id" "$before" "$(generation)"
}
t "without privilege: exit 2, what is missing, and the kernel as it was; check works" without

dropped() { # root without the capability
	local before
	apply
	before=$(generation)
	expect_exit 2 setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$dflyguard" --policy "$policy_file" apply
	expect_text "$errors" 'CAP_NET_ADMIN|root|sudo'
	expect_equal "the generation id" "$before" "$(generation)"
}
t "root without CAP_NET_ADMIN: exit 2 and what is missing" dropped

# The whole round in a user namespace of nobody's own.
in_user_namespace() {
	become_nobody || return 0
	local log=$work/user.log
	if ! "${nobody[@]}" unshare --user --map-root-user --net true 2>"$log"; then
		skip "no user namespaces for ordinary users: $(cat "$log")"
		return
	fi
	cat >"$theirs/round" <<-'END'
		set -u
		program=$1 policy=$2
		run() { want=$1; shift; "$program" --policy "$policy" "$@"; seen=$?
			[ $seen -eq $want ] || echo "WRONG: exit status of $*: expected $want, seen $seen"; }
		run 1 plan
		run 0 apply
		run 0 plan
		nft delete element inet dflyguard clients_v4 '{ 10.20.0.0/24 }'
		run 1 plan
		run 0 apply
		run 0 apply
		run 0 status
		run 0 export --to nft
		run 0 remove
		nft list ruleset | grep -q . && echo "WRONG: something is left"
		echo done
	END
	chmod 644 "$theirs/round"
	"${nobody[@]}" unshare --user --map-root-user --net sh "$theirs/round" "$dflyguard" "$theirs/policy.conf" \
		>"$log" 2>&1
	expect_no_text "$log" WRONG
	expect_text "$log" '^done'
}
t "in a user namespace: plan, apply, heal, status, export, remove" in_user_namespace

# There the socket's buffer cannot be raised over net.core.wmem_max, and a transaction is one message.
too_long() {
	become_nobody || return 0
	"${nobody[@]}" unshare --user --map-root-user --net true 2>/dev/null ||
		{ skip "no user namespaces for ordinary users"; return; }
	{
		echo 'default_environment = test service { port = 6379 } environment test { tls = off clients = {'
		awk 'BEGIN { for (i = 0; i < 300000; i++) printf "\"10.%d.%d.%d\",\n", i / 32768, i / 128 % 256, i % 128 * 2 }'
		echo '} }'
	} >"$theirs/policy.conf"
	cat >"$theirs/round" <<-'END'
		"$1" --policy "$2" apply
		echo "exit $?"
		nft list tables
	END
	chmod 644 "$theirs/round"
	"${nobody[@]}" unshare --user --map-root-user --net sh "$theirs/round" "$dflyguard" "$theirs/policy.conf" \
		>"$work/user.log" 2>&1
	if grep -q '^exit 0' "$work/user.log"; then
		expect_text "$work/user.log" 'table inet dflyguard'
	else
		expect_text "$work/user.log" '^exit 2' 'net\.core\.wmem_max'
		expect_no_text "$work/user.log" 'table inet dflyguard'
	fi
}
t "a list too long for an ordinary user's socket buffer: in force, or the setting to raise, and nothing changed" too_long

not_mine() { # a policy that others could write is not obeyed
	apply
	local before
	before=$(generation)
	chmod 620 "$policy_file"
	expect_exit 2 guard apply
	expect_text "$errors" 'policy\.conf'
	chmod 602 "$policy_file"
	expect_exit 2 guard apply
	chmod 600 "$policy_file"
	expect_exit 0 guard apply
	if become_nobody; then
		chmod 644 "$theirs/policy.conf"
		expect_exit 2 "$dflyguard" --policy "$theirs/policy.conf" apply
		expect_text "$errors" 'policy\.conf'
	else
		rm "$work/case.skipped"
	fi
	expect_equal "the generation id" "$before" "$(generation)"
}
t "a policy that belongs to somebody else, or that others may write, is refused" not_mine
finish
