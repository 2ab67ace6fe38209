#!/bin/bash
# bind_guard: binds of guarded ports to other addresses are refused, or rewritten, by the kernel itself: every way to ask
# for a wildcard, through changes of the policy, deaths of the tool, and hands that take the guard away.

# Never at the machine's own root: in a cgroup of the test's own, which a cgroup namespace makes the root of all that
# the program can see.
if [ -z "${DFLYGUARD_TEST_CGROUP:-}" ]; then
	hierarchy=$(sed -n 's/^[0-9]* [0-9]* [0-9:]* [^ ]* \([^ ]*\) .* - cgroup2 .*/\1/p' /proc/self/mountinfo | head -n 1)
	if [ -z "$hierarchy" ]; then
		echo "the cgroup v2 hierarchy is not mounted here: mount -t cgroup2 none /sys/fs/cgroup/unified" >&2
		exit 77
	fi
	own=$hierarchy/dflyguard-test-$$
	if ! why=$(mkdir "$own" 2>&1); then
		echo "cannot make a cgroup of the test's own (run this as root): $why" >&2
		exit 77
	fi
	status=0
	DFLYGUARD_TEST_CGROUP=$own sh -c 'echo $$ >"$DFLYGUARD_TEST_CGROUP/cgroup.procs" && exec unshare --cgroup "$@"' sh \
		"$BASH" "$0" "$@" || status=$?
	rmdir "$own"
	exit "$status"
fi
. "$(dirname "$0")/../lib/guard.sh"
bindprobe=$build/tests/kernel/bindprobe
[ -x "$bindprobe" ] || { echo "$bindprobe is missing: make build-kernel-tests" >&2; exit 2; }

mkdir /run/cgroup && mount -t cgroup2 none /run/cgroup && mount -t bpf bpf /sys/fs/bpf || {
	echo "cgroup2 or bpf filesystems cannot be mounted here: run this as root of the host" >&2
	exit 77
}
# What the program takes for the root must be ours: not one mount with the root "/" but that.
if [ "$(tail -n 1 /proc/self/cgroup)" != 0::/ ] || [ "$(stat -c %i /run/cgroup)" = 1 ] ||
	[ "$(grep -c '^[0-9]* [0-9]* [0-9:]* / .* - cgroup2 ' /proc/self/mountinfo)" != 1 ]; then
	echo "$0: refuses to run: it would reach other cgroups" >&2
	exit 2
fi
ip link set lo up
ip addr add 10.20.0.5/24 dev lo
ip addr add 10.20.0.6/24 dev lo
ip addr add 2001:db8:20::5/64 dev lo nodad
ip netns add container
ip -n container link set lo up
pins=/sys/fs/bpf/dflyguard

guarded() { # guarded MODE OPTION...: the usual environment with this bind_guard
	environment "tls = optional clients = {\"10.20.0.0/24\"} server = optional bind_guard = $*"
}
both='bind = {"10.20.0.5", "2001:db8:20::5", "127.0.0.1", "::1"}'
expect_binds() { # reads lines FAMILY ADDRESS PORT [OPTION...] = ANSWER
	local line question seen
	while read -r line; do
		question=${line% = *}
		# shellcheck disable=SC2086 # words
		seen=$("$bindprobe" $question)
		expect_equal "bind $question" "${line##* = }" "$seen"
	done
}

guarded deny "$both"
why=$("$dflyguard" --policy "$policy_file" audit 2>&1 | grep -A 1 'unknown .* bind\.guard')
if [ -n "$why" ]; then
	echo "this kernel, or who runs this, can have no bind guard: $why" >&2
	tap_finished=true
	exit 77
fi

off() {
	guarded off "$both"
	apply
	[ ! -e "$pins" ] || wrong "$pins is there"
	expect_binds <<-END
		4 0.0.0.0 6379 = 0.0.0.0
		6 :: 6380 = ::
	END
	expect_exit 0 guard audit
	expect_text "$out" 'not-applicable +bind\.guard'
	LD_DEBUG=files guard plan 2>&1 | grep -q libbpf && wrong "libbpf is loaded for nothing"
	return 0
}
t "off: nothing is pinned, nothing is loaded, everything may be bound" off

deny() {
	guarded deny "$both"
	expect_exit 1 guard plan
	expect_text "$out" '\+ bind guard hook bind4 +attached' '\+ bind guard port 6379 +deny all but 10\.20\.0\.5, 127\.0\.0\.1, ::1, 2001:db8:20::5'
	[ ! -e "$pins" ] || wrong "plan has made $pins"
	apply
	expect_text "$work/applied" 'read back: nothing differs'
	expect_binds <<-END
		4 0.0.0.0 6379 = EPERM
		4 0.0.0.0 6379 unspec = EPERM
		4 0.0.0.0 6379 reuseport = EPERM
		4 0.0.0.0 6379 mptcp = EPERM
		4 0.0.0.0 6380 = EPERM
		4 0.0.0.0 9999 = EPERM
		4 0.0.0.0 11211 = EPERM
		4 10.20.0.6 6379 = EPERM
		4 127.0.0.2 6379 = EPERM
		4 10.99.0.1 6379 = EPERM
		4 10.99.0.1 6379 freebind = EPERM
		4 10.99.0.1 6379 transparent = EPERM
		4 10.20.0.5 6379 = 10.20.0.5
		4 10.20.0.5 6379 mptcp = 10.20.0.5
		4 127.0.0.1 11211 = 127.0.0.1
		6 :: 6379 = EPERM
		6 :: 6379 v6only = EPERM
		6 :: 6379 reuseport = EPERM
		6 :: 6379 mptcp = EPERM
		6 ::ffff:0.0.0.0 6379 = EPERM
		6 ::ffff:10.20.0.6 6379 = EPERM
		6 ::ffff:10.20.0.5 6379 = ::ffff:10.20.0.5
		6 2001:db8:20::6 6379 freebind = EPERM
		6 2001:db8:20::6 6379 transparent = EPERM
		6 2001:db8:20::5 6379 = 2001:db8:20::5
		6 ::1 6380 = ::1
		4 0.0.0.0 6378 = 0.0.0.0
		6 :: 6381 = ::
		4 0.0.0.0 0 = 0.0.0.0
		6 :: 0 = ::
		4 0.0.0.0 6379 udp = 0.0.0.0
		6 :: 6379 udp = ::
	END
}
t "deny: EPERM for every wildcard and every address that is not listed; others, other ports and UDP as ever" deny

elsewhere() {
	expect_equal "another network namespace" 0.0.0.0 "$(inside container "$bindprobe" 4 0.0.0.0 6379)"
	expect_equal "another network namespace" :: "$(inside container "$bindprobe" 6 :: 6379)"
	# One with a guard of its own, beside ours.
	environment 'tls = optional clients = {} bind_guard = deny bind = {"127.0.0.1"}'
	expect_exit 0 inside container "$dflyguard" --policy "$policy_file" apply
	expect_equal "with a guard of its own" EPERM "$(inside container "$bindprobe" 4 10.20.0.5 6379 freebind)"
	expect_equal "with a guard of its own" 127.0.0.1 "$(inside container "$bindprobe" 4 127.0.0.1 6379)"
	expect_equal "ours" 10.20.0.5 "$("$bindprobe" 4 10.20.0.5 6379)"
	expect_exit 0 inside container "$dflyguard" remove
	expect_equal "without it again" 0.0.0.0 "$(inside container "$bindprobe" 4 0.0.0.0 6379)"
	expect_equal "ours" EPERM "$("$bindprobe" 4 0.0.0.0 6379)"
	guarded deny "$both"
	expect_exit 0 guard plan
}
t "other network namespaces bind as they like, or as a guard of their own says" elsewhere

server() {
	ln -sf "$(command -v redis-check-rdb)" "$work/redis-server"
	expect_exit 1 "$work/redis-server" --port 6379 --bind 0.0.0.0 --save '' --dir "$work"
	expect_text "$out" 'Could not create server TCP listening socket 0\.0\.0\.0:6379: bind: Operation not permitted'
	redis host 6379 0 --bind 10.20.0.5 127.0.0.1 || wrong "a server that keeps to the addresses does not start"
	expect_equal "its answer" PONG "$(redis-cli -h 10.20.0.5 ping)"
	redis-cli -h 10.20.0.5 shutdown nosave
	wait "$redis"
	expect_exit 0 guard status
	expect_text "$out" 'bind guard deny on 6379, 6380, 9999, 11211' '0\.0\.0\.0 port 6379 .* refused .* redis-server, process [0-9]+, user 0'
	expect_exit 0 guard --format json status
	expect_text "$out" '"mode": "deny"' '"command": "redis-server"' '"rewritten": 0'
	expect_exit 0 guard audit
	expect_text "$out" 'pass +bind\.guard +in force on 6379, 6380, 9999, 11211' 'the last one: redis-server'
}
t "a real server: its own error, counted and shown with the command; one that keeps to the addresses runs" server

admin() {
	guarded deny "$both admin_bind = {\"10.20.0.6\"}"
	apply
	expect_binds <<-END
		4 10.20.0.6 9999 = 10.20.0.6
		4 10.20.0.5 9999 = EPERM
		4 10.20.0.6 6379 = EPERM
		4 10.20.0.5 6379 = 10.20.0.5
	END
}
t "admin_port has the addresses of admin_bind" admin

rewrite() {
	guarded rewrite "$both"
	apply
	expect_binds <<-END
		4 0.0.0.0 6379 = 10.20.0.5
		4 0.0.0.0 6379 unspec = EAFNOSUPPORT
		4 0.0.0.0 6379 mptcp = 10.20.0.5
		4 10.20.0.6 6379 = 10.20.0.5
		4 127.0.0.1 6379 = 127.0.0.1
		6 :: 6379 = 2001:db8:20::5
		6 :: 6379 v6only = 2001:db8:20::5
		6 ::ffff:0.0.0.0 6379 = ::ffff:10.20.0.5
		6 ::ffff:10.20.0.6 6379 = ::ffff:10.20.0.5
		6 2001:db8:20::6 6379 freebind = 2001:db8:20::5
		6 ::1 6379 = ::1
		4 0.0.0.0 6378 = 0.0.0.0
	END
	guarded rewrite 'bind = {"10.20.0.5"}'
	apply
	expect_binds <<-END
		6 :: 6379 = ::ffff:10.20.0.5
		6 :: 6379 v6only = EINVAL
		6 2001:db8:20::5 6379 = EPERM
		4 0.0.0.0 6379 = 10.20.0.5
	END
	guarded rewrite 'bind = {"2001:db8:20::5"}'
	apply
	expect_binds <<-END
		4 0.0.0.0 6379 = EPERM
		6 ::ffff:0.0.0.0 6379 = EPERM
		6 :: 6379 = 2001:db8:20::5
	END
	expect_exit 0 guard --format json status
	expect_text "$out" '"mode": "rewrite"' '"rewritten": true' '"rewritten": [1-9]'
}
t "rewrite: to the first address of the family; refused where there is none" rewrite

replaced() { # 100 policies, one after the other, while somebody asks for wildcards without pause
	local i tried hammer
	guarded deny "$both"
	apply
	mkfifo "$work/hammer.end"
	exec 8<>"$work/hammer.end"
	"$bindprobe" hammer 6379 <&8 >"$work/hammer" &
	hammer=$!
	wait_until 10 grep -q ready "$work/hammer" || wrong "the hammer does not begin"
	for ((i = 0; i < 100; i++)); do
		guarded deny "bind = {\"10.20.0.$((i % 2 + 5))\", \"127.0.0.$((i % 7 + 1))\"}"
		# Each second time the programs themselves are replaced, too.
		((i % 2)) || rm -f "$pins"/*/program4 "$pins"/*/program6
		"$dflyguard" --policy "$policy_file" --quiet apply || wrong "apply $i: exit status $?"
	done
	echo >&8
	wait "$hammer"
	exec 8<&-
	tried=$(tail -n 1 "$work/hammer")
	# Every one is answered by the guard, and not by chance.
	[[ $tried =~ ^tried\ ([0-9]+)\ bound\ 0\ refused\ ([0-9]+)$ ]] &&
		[ "${BASH_REMATCH[1]}" -gt 1000 ] && [ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[2]}" ] || wrong "hammer: $tried"
	expect_exit 0 guard plan
}
t "100 changes of the policy, and of the programs: not one wildcard slips through" replaced

killed() { # at any moment of an apply: either policy, and never none
	local i
	guarded deny "$both"
	apply
	for ((i = 0; i < 20; i++)); do
		guarded deny "bind = {\"10.20.0.$((i % 2 + 5))\"}"
		"$dflyguard" --policy "$policy_file" --quiet apply &
		sleep "0.00$((i * 3 % 10))$((i % 3))"
		kill -9 $! 2>/dev/null
		wait $! 2>/dev/null
		expect_equal "after kill $i" "EPERM EPERM" "$("$bindprobe" 4 0.0.0.0 6379) $("$bindprobe" 6 :: 6379)"
	done
	apply
	guarded deny "$both"
	apply
	expect_equal "no leftovers" "bind4 bind6 policy program4 program6 refusals rules totals" \
		"$(cd "$pins" && cd ./* && echo *)"
}
t "kill -9 in the middle: it goes on refusing, and the next apply ends what was begun" killed

refusals() { "$dflyguard" --format json status | sed -n 's/^    "refused": \([0-9]*\).*/\1/p'; }
drift() {
	local pin before
	guarded deny "$both"
	apply
	before=$(refusals)
	for pin in bind4 bind6 program4 policy rules; do
		rm "$pins"/*/$pin
		expect_exit 1 guard plan
		expect_text "$out" 'bind guard (hook|rules|port)'
		expect_exit 1 guard audit
		expect_text "$out" 'fail +critical +bind\.guard'
		expect_exit 1 guard status
		expect_exit 0 guard audit --heal
		expect_text "$out" 'Healed' 'pass +bind\.guard'
		expect_exit 0 guard plan
		expect_equal "after $pin" "EPERM EPERM" "$("$bindprobe" 4 0.0.0.0 6379) $("$bindprobe" 6 :: 6379)"
	done
	# Counts outlive all that.
	expect_equal "refusals, before and since" $((before + 10)) "$(refusals)"
	# Other programs' attachments are none of ours.
	expect_exit 1 guard --format json remove --dry-run
	expect_text "$out" '"kind": "remove"' '"object": "bind guard hook bind4"'
}
t "pins that somebody takes away are drift, are healed, and the counts stay" drift

watched() {
	local watch
	guarded deny "$both"
	apply
	start_watch --heal
	rm "$pins"/*/bind6
	wait_until 10 grep -q 'healed .*bind guard' "$work/watch" || wrong "watch does not heal"
	expect_equal "after watch" EPERM "$("$bindprobe" 6 :: 6379)"
	# A policy that says otherwise is followed, too.
	guarded rewrite "$both"
	wait_until 15 rewrites || wrong "watch does not follow the policy: $(cat "$work/watch")"
	kill "$watch"
	wait "$watch"
	start_watch
	rm "$pins"/*/bind4
	wait_until 10 grep -q 'fail bind.guard' "$work/watch" || wrong "watch does not tell"
	expect_equal "not healed" 0.0.0.0 "$("$bindprobe" 4 0.0.0.0 6379)"
	kill "$watch"
	wait "$watch"
	return 0
}
rewrites() { [ "$("$bindprobe" 4 0.0.0.0 6379)" = 10.20.0.5 ]; }
start_watch() {
	"$dflyguard" --policy "$policy_file" watch "$@" >"$work/watch" 2>&1 &
	watch=$!
	wait_until 10 grep -q start "$work/watch" || wrong "watch does not start"
}
t "watch: heals within a period, follows the policy; without --heal it tells" watched

undone() {
	guarded deny "$both"
	apply
	guarded rewrite "$both"
	expect_exit 0 guard apply --confirm 1
	wait_until 15 denies || wrong "what nobody confirmed is not undone"
	# A policy that differs in this alone is another one.
	guarded rewrite "$both"
	apply
	expect_exit 0 guard rollback
	expect_equal "after rollback" EPERM "$("$bindprobe" 4 0.0.0.0 6379)"
	guarded off "$both"
	apply
	expect_equal "off" 0.0.0.0 "$("$bindprobe" 4 0.0.0.0 6379)"
	expect_exit 0 guard rollback
	expect_equal "after rollback" EPERM "$("$bindprobe" 4 0.0.0.0 6379)"
}
denies() { [ "$("$bindprobe" 4 0.0.0.0 6379)" = EPERM ]; }
t "apply --confirm and rollback take the guard with them" undone

lacking() {
	local only=(setpriv --inh-caps=-all)
	guarded deny "$both"
	expect_exit 0 guard remove
	# Beneath the bpf filesystem of the test there is none.
	umount /sys/fs/bpf
	expect_exit 0 guard apply
	expect_text "$errors" 'bind guard is not in force' 'none is mounted' 'mount -t bpf'
	expect_exit 2 guard plan
	expect_text "$errors" 'none is mounted'
	expect_exit 2 guard audit
	expect_text "$out" 'unknown +critical +bind\.guard' 'pass +firewall\.in_force' 'pass +firewall\.drift'
	mount -t bpf bpf /sys/fs/bpf
	expect_exit 1 guard plan
	# Without the capability: an error, and the firewall is in force all the same.
	expect_exit 2 "${only[@]}" --bounding-set=-all,+net_admin,+perfmon "$dflyguard" --policy "$policy_file" apply
	expect_text "$errors" 'firewall is as the policy says, but not the bind guard' 'CAP_BPF'
	expect_exit 2 "${only[@]}" --bounding-set=-all,+net_admin,+bpf "$dflyguard" --policy "$policy_file" apply
	expect_text "$errors" 'CAP_PERFMON'
	expect_exit 0 "${only[@]}" --bounding-set=-all,+net_admin,+bpf,+perfmon "$dflyguard" --policy "$policy_file" apply
	expect_exit 0 "${only[@]}" --bounding-set=-all,+net_admin,+bpf,+perfmon "$dflyguard" --policy "$policy_file" plan
}
t "where the host cannot have a guard the firewall works, and audit says so; three capabilities suffice" lacking

planted() { # in a filesystem that everybody may write to, somebody else was first
	local victim=$work/victim
	guarded deny "$both"
	expect_exit 0 guard remove
	mkdir "$victim" && touch "$victim/precious"
	mkdir "$pins"
	ln -s "$victim" "$pins/$("$bindprobe" cookie)"
	chown 65534 "$pins"
	expect_exit 0 guard remove
	guarded off "$both"
	expect_exit 0 guard apply
	guarded deny "$both"
	expect_exit 2 guard apply
	expect_text "$errors" "$pins is not a folder of root's alone"
	[ -e "$victim/precious" ] || wrong "what somebody pointed to was removed"
	rm -r "$pins"
	apply
}
t "a folder that is somebody else's is neither used nor emptied" planted

removed() {
	apply
	expect_exit 0 guard remove
	expect_text "$out" '- bind guard hook bind4' '- bind guard port 6379'
	[ ! -e "$pins" ] || wrong "$pins is there"
	expect_binds <<-END
		4 0.0.0.0 6379 = 0.0.0.0
		6 :: 6379 = ::
	END
	expect_exit 0 guard remove
	expect_text "$out" 'Nothing to do'
}
t "remove takes it away at once" removed
finish
