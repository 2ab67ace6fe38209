#!/bin/bash
# A look that finds nothing new costs one query, and never takes a difference for none.
. "$(dirname "$0")/../lib/guard.sh"
looked=$RUNTIME_DIRECTORY/looked

requests() { # requests COMMAND...: what the program asks nf_tables, in the order of asking
	strace -qq -e trace=sendto,sendmsg -o "$work/trace" "$@" >"$work/traced" 2>&1
	grep -oE 'NFT_MSG_[A-Z]+' "$work/trace" | sed 's/NFT_MSG_//' | tr '\n' ' '
}
expect_cheap() { # expect_cheap COMMAND...
	expect_equal "requests of $*" "GETGEN " "$(requests "$dflyguard" --policy "$policy_file" "$@")"
	expect_text "$work/traced" 'Nothing to do'
}
expect_full() { # expect_full COMMAND...: the table was read
	[[ "$(requests "$dflyguard" --policy "$policy_file" "$@")" = *GETRULE* ]] || wrong "$*: the table was not read"
}

command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null || { echo "strace is not installed, or not permitted" >&2; exit 77; }
environment 'tls = required clients = {"10.20.0.0/24", "2001:db8:20::/64"}'

cheap() {
	apply
	[ -e "$looked" ] || { skip "this kernel tells no cookie of a network namespace"; return; }
	expect_equal "mode" 600 "$(stat -c %a "$looked")"
	expect_cheap apply
	expect_cheap plan
	expect_cheap apply --dry-run
	expect_full plan --full
	expect_full apply --full
	# An apply that did something has looked, too; a plan that found nothing remembers it.
	rm "$looked"
	expect_full plan
	expect_cheap plan
	environment 'tls = required clients = {"10.20.0.0/24"}'
	expect_exit 0 guard apply
	expect_cheap apply
}
t "a look that finds nothing new asks for the generation only" cheap

# An audit reads other tables each time, but ours only where a transaction was since; and says when it was read.
asked_of_ours() { # asked_of_ours COMMAND...: chains, rules and elements
	strace -qq -s 65536 -e trace=sendto,sendmsg -o "$work/trace" "$@" >"$work/traced" 2>&1
	# The name of our table, as strace writes what it does not know.
	grep -E 'NFT_MSG_GET(SETELEM|RULE|SET|OBJ|CHAIN)' "$work/trace" | grep -cF '\x64\x66\x6c\x79\x67\x75\x61\x72\x64\x00'
}
expect_audit() { # expect_audit cheap|full STATUS OPTION...
	local how=$1 wanted=$2 asked status=0
	shift 2
	asked=$(asked_of_ours "$dflyguard" --policy "$policy_file" audit "$@")
	expect_exit "$wanted" guard --format json audit "$@"
	if [ "$how" = cheap ]; then
		[ "$asked" = 0 ] || wrong "audit $*: our table was read: $asked requests"
		expect_text "$out" '"conforming": true' '"unchanged_since": "20[0-9T:-]*Z"' \
			'"message": "in force: nothing changed since the look at 20.* UTC"' '"drift": \[\]'
	else
		[ "$asked" -gt 2 ] || wrong "audit $*: our table was not read"
	fi
}
audits() {
	[ -e "$looked" ] || { skip "this kernel tells no cookie of a network namespace"; return; }
	apply
	expect_audit cheap 0
	expect_text "$work/traced" '^  pass .* firewall.drift .*nothing changed since the look at 20[0-9-]* [0-9:]* UTC' '^8 passed'
	expect_audit cheap 0 --heal
	expect_audit cheap 0 --heal --dry-run
	expect_text "$work/traced" '--heal would do nothing'
	# It is when the record was written, and not now.
	sed -i "s/^at .*/at $(($(sed -n 's/^at //p' "$looked") - 100000000000))/" "$looked"
	expect_exit 0 guard --format json audit
	local since
	since=$(sed -n 's/.*"unchanged_since": "\(.*\)",/\1/p' "$out")
	since=$(($(date +%s) - $(date -d "$since" +%s)))
	[ "$since" -ge 100 ] && [ "$since" -lt 130 ] || wrong "unchanged since $since s, and not 100"
	expect_exit 0 guard audit --metrics "$work/metrics.prom"
	expect_text "$work/metrics.prom" '^dflyguard_conforming 1$' '^dflyguard_drift\{kind="add"\} 0$' \
		'^dflyguard_refused_packets_total\{reason="source"\} 0$'
	since=$(sed -n 's/^dflyguard_last_full_look_timestamp_seconds //p' "$work/metrics.prom")
	since=$(($(date +%s) - since))
	[ "$since" -ge 100 ] && [ "$since" -lt 130 ] || wrong "last full look $since s ago, and not 100"
	# Asked for; then it remembers.
	expect_exit 0 guard --format json audit --full
	expect_text "$out" '"unchanged_since": null'
	expect_audit full 0 --full
	rm "$looked"
	expect_exit 0 guard --format json audit
	expect_text "$out" '"unchanged_since": null'
	expect_audit cheap 0
	# What others have is read though nothing was committed since; packets may fill what their rules ask.
	nft -f - <<-'END'
		table inet mine {
			set gone { type ipv4_addr; flags dynamic; }
			chain fill { type filter hook output priority 0; udp dport 9 add @gone { ip daddr }; }
			chain in { type filter hook input priority 0; ip saddr @gone tcp dport 6380 drop; }
		}
	END
	expect_exit 0 guard --quiet audit --full
	expect_audit cheap 0
	local before last
	before=$(generation)
	ip link set lo up
	for last in {0..255}; do
		ip addr add 10.20.0.$last/32 dev lo
		echo x >/dev/udp/10.20.0.$last/9
	done 2>/dev/null
	expect_equal "the generation" "$before" "$(generation)"
	expect_audit cheap 1
	expect_text "$out" '"message": "drops what the policy allows: from 10.20.0.[0-9]* to port 6380"'
	nft 'add chain inet mine pre { type nat hook prerouting priority -100; }; add rule inet mine pre tcp dport 7000 redirect to :6380'
	expect_audit full 1
	expect_text "$out" '"id": "firewall.foreign_nat"'
	expect_audit cheap 1
	expect_text "$out" '"message": "translates port 7000 to port 6380'
	nft delete table inet mine
	# Ours: each change is seen, and what follows is cheap again.
	expect_audit full 0 --full
	nft insert rule inet dflyguard judge accept
	expect_audit full 1
	expect_text "$out" '"conforming": false' '"unchanged_since": null'
	expect_audit full 1
	expect_exit 0 guard --format json audit --heal
	expect_text "$out" '"conforming": true' '"unchanged_since": null' '"object": "chain judge rule 1"'
	expect_audit cheap 0
	# Another policy is not what was looked at.
	environment 'tls = required clients = {"10.22.0.0/24"}'
	expect_audit full 1
	environment 'tls = required clients = {"10.20.0.0/24"}'
}
t "an audit that finds nothing new does not read our table, and says since when" audits

others() { # whatever anybody does with nf_tables
	local change
	for change in 'add table inet foreign' 'add chain inet foreign c' 'add rule inet foreign c accept' \
		'add set inet foreign s { type ipv4_addr; flags interval; }' 'add element inet foreign s { 10.0.0.0/8 }' \
		'delete element inet foreign s { 10.0.0.0/8 }' 'add counter inet foreign n' 'flush chain inet foreign c' \
		'delete table inet foreign' 'add table ip x' 'delete table ip x' 'add table netdev x' 'delete table netdev x'; do
		expect_cheap plan
		nft "$change"
		expect_full plan
	done
	expect_cheap plan
}
t "every transaction of anybody leads to a full look" others

ours() { # each is seen, mended, and what follows is cheap again
	local change
	while read -r change; do
		expect_cheap plan
		nft "$change" || { wrong "nft refuses: $change"; continue; }
		expect_exit 1 guard plan
		expect_exit 1 guard plan
		[ "$change" = 'flush ruleset' ] || expect_exit 1 guard apply --dry-run
		expect_exit 0 guard apply
		expect_text "$out" '^Applied'
	done <<-END
		flush ruleset
		delete table inet dflyguard
		add table inet dflyguard { flags dormant; }
		add element inet dflyguard clients_v4 { 10.66.0.0/24 }
		delete element inet dflyguard clients_v4 { 10.20.0.0/24 }
		flush set inet dflyguard clients_v4
		insert rule inet dflyguard prerouting accept
		add rule inet dflyguard judge accept
		flush chain inet dflyguard clients
		add chain inet dflyguard prerouting { policy drop; }
		add chain inet dflyguard mine
		add set inet dflyguard mine { type ipv4_addr; }
		add counter inet dflyguard mine
	END
}
t "every change of our table is seen" ours

mended() { # changed and changed back: the generation has moved all the same
	expect_cheap plan
	nft add element inet dflyguard clients_v4 '{ 10.66.0.0/24 }'
	nft delete element inet dflyguard clients_v4 '{ 10.66.0.0/24 }'
	expect_full plan
	expect_text "$work/traced" 'Nothing to do'
	expect_cheap plan
}
t "what was changed and changed back is read" mended

other_policy() { # the record is about one ruleset
	expect_cheap plan
	environment 'tls = required clients = {"10.21.0.0/24"}'
	expect_exit 1 guard plan
	environment 'tls = required clients = {"10.20.0.0/24"}'
	# The same in other words.
	environment 'clients = {"10.20.0.0/25", "10.20.0.128/25"}'
	expect_cheap plan
	environment 'tls = required clients = {"10.20.0.0/24"}'
}
t "a record of one policy says nothing of another" other_policy

forge() { # forge SED...: a record that is changed so, on a table that has drifted
	local before
	for before; do
		expect_exit 0 guard apply --full
		nft insert rule inet dflyguard prerouting accept
		# What an attacker, or chance, would have to write: the generation of now.
		sed -i "s/^generation .*/generation $(generation)/; $before" "$looked"
		chmod 600 "$looked"
		expect_exit 1 guard plan
		expect_exit 0 guard apply
	done
}
forged() {
	forge 's/^boot ..../boot 0000/' 's/^namespace \([0-9]*\) \([0-9]*\) .*/namespace \1 \2 7/' \
		's/^namespace \([0-9]*\) [0-9]*/namespace \1 7/' 's/^module .*/module 123456789/' \
		's/^expected .*/expected 0000000000000000/' 's/^at .*/at 1/' 's/^at \(.*\)/at 9\10/' 's/^at .*//' \
		's/^generation/generation +/' '$aat 1' 's/^dflyguard [^ ]*/dflyguard 9/'
	# In the hands of another one, or open to others.
	expect_exit 0 guard apply --full
	nft insert rule inet dflyguard prerouting accept
	sed -i "s/^generation .*/generation $(generation)/" "$looked"
	chmod 606 "$looked"
	expect_exit 1 guard plan
	mv "$looked" "$work/elsewhere"
	chmod 600 "$work/elsewhere"
	ln -s "$work/elsewhere" "$looked"
	expect_exit 1 guard plan
	rm "$looked"
	if [ "$(id -u)" = 0 ] && cp "$work/elsewhere" "$looked" && chown 1 "$looked" 2>/dev/null; then
		expect_exit 1 guard plan
		rm -f "$looked"
	fi
	# The test itself: as root wrote it, it would be believed.
	cp "$work/elsewhere" "$looked"
	expect_exit 0 guard plan
	rm "$looked"
	expect_exit 0 guard apply
}
t "records that prove nothing are ignored" forged

inode_again() { # inode_again INODE: namespace `again` is made, and has it
	[ ! -e /run/netns/again ] || ip netns del again
	ip netns add again
	[ "$(stat -Lc %i /run/netns/again)" = "$1" ]
}
another_namespace() { # with the same inode, so that only the cookie tells
	local inode
	ip netns add again
	inode=$(stat -Lc %i /run/netns/again)
	expect_exit 0 ip netns exec again "$dflyguard" --policy "$policy_file" apply
	cp "$RUNTIME_DIRECTORY/netns-$inode/looked" "$work/again"
	ip netns del again
	# The kernel cleans up behind it, and gives the lowest inode that is free.
	if ! wait_until 5 inode_again "$inode"; then
		skip "the inode of a namespace that was gone did not come again"
		return
	fi
	# Its generation is the old one's, its table is not.
	while [ "$(ip netns exec again "$build/tests/kernel/nftgen")" != "$(sed -n 's/^generation //p' "$work/again")" ]; do
		ip netns exec again nft 'add table ip x' || break
	done
	expect_exit 1 ip netns exec again "$dflyguard" --policy "$policy_file" plan
	expect_exit 2 ip netns exec again "$dflyguard" rollback
	ip netns del again
}
t "a namespace with the inode of one that is gone is another one" another_namespace

two() { # two at once, with two policies, and somebody who changes things
	local n
	environment 'tls = required clients = {"10.20.0.0/24"}'
	cp "$policy_file" "$work/one.conf"
	environment 'tls = required clients = {"10.21.0.0/24"}'
	cp "$policy_file" "$work/two.conf"
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
		"$dflyguard" --quiet --policy "$work/one.conf" apply &
		"$dflyguard" --quiet --policy "$work/two.conf" apply &
		"$dflyguard" --quiet --policy "$work/one.conf" plan &
		nft 'add table ip x; delete table ip x' &
		wait
		# What a cheap look says is what a full one says.
		for policy in one two; do
			local cheap=0 full=0
			"$dflyguard" --quiet --policy "$work/$policy.conf" plan || cheap=$?
			"$dflyguard" --quiet --policy "$work/$policy.conf" plan --full || full=$?
			expect_equal "plan of $policy" "$full" "$cheap"
		done
		# And what is remembered is what is in force.
		expect_exit 0 "$dflyguard" --policy "$STATE_DIRECTORY/current" --environment test plan --full
	done
}
t "two at once never take a difference for none" two
finish
