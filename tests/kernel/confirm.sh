#!/bin/bash
# apply --confirm, confirm, rollback: what is undone, by whom, and what is remembered of it.
. "$(dirname "$0")/../lib/guard.sh"
current=$STATE_DIRECTORY/current
previous=$STATE_DIRECTORY/previous
pending=$RUNTIME_DIRECTORY/pending

source_is() { # source_is ADDRESS: the policy names this one source
	environment "tls = optional clients = {\"$1\"}"
}
in_force() { # in_force ADDRESS: the kernel's table does; "" = there is no table
	if [ -z "$1" ]; then
		! nft list table inet dflyguard >/dev/null 2>&1
	else
		nft list set inet dflyguard clients_v4 2>/dev/null | grep -qF "$1"
	fi
}
expect_in_force() {
	in_force "$1" || wrong "'$1' is not in force"
}
remembered() { # remembered FILE ADDRESS: "" = there is no such file
	if [ -z "$2" ]; then
		[ ! -e "$1" ] || wrong "there is $1"
	else
		expect_text "$1" "\"$2\""
	fi
}
watchers() { # processes that wait to undo something
	local file count=0
	for file in /proc/[0-9]*/cmdline; do
		tr '\0' ' ' 2>/dev/null <"$file" | grep -q '^dflyguard undo ' && count=$((count + 1))
	done
	echo $count
}
no_watchers() { [ "$(watchers)" = 0 ]; }
reset() {
	guard --quiet remove
	rm -rf "$STATE_DIRECTORY" "$RUNTIME_DIRECTORY"
	wait_until 10 no_watchers || wrong "somebody still waits to undo"
}

kept() {
	reset
	source_is 10.1.0.1
	apply
	remembered "$current" 10.1.0.1
	remembered "$previous" ''
	source_is 10.1.0.2
	apply
	remembered "$current" 10.1.0.2
	remembered "$previous" 10.1.0.1
	expect_equal "modes" "700 600 600" "$(stat -c %a "$STATE_DIRECTORY" "$current" "$previous" | tr '\n' ' ' | sed 's/ $//')"
	# It needs no other file, and gives the same.
	expect_exit 0 "$dflyguard" --policy "$current" --environment test plan
	# Applied itself, it still says where it came from.
	expect_exit 0 "$dflyguard" --policy "$current" --environment test apply
	expect_text "$current" "^# path $policy_file"
	# Another text for the same ruleset is kept, and a rollback still leads to another ruleset.
	environment 'tls = optional clients = {"10.1.0.2"} server = optional'
	apply
	expect_text "$current" 'server = optional'
	remembered "$previous" 10.1.0.1
	# A dry run and a plan keep nothing.
	source_is 10.1.0.3
	expect_exit 1 guard apply --dry-run
	expect_exit 1 guard plan
	remembered "$current" 10.1.0.2
}
t "the policy in force and the one before it are kept" kept

rollback() {
	reset
	expect_exit 2 guard rollback
	expect_text "$errors" 'no earlier policy'
	source_is 10.1.0.1
	apply
	expect_exit 2 guard rollback
	source_is 10.1.0.2
	apply
	expect_exit 1 guard rollback --dry-run
	expect_text "$out" '^  \+ .*10\.1\.0\.1' '^  - .*10\.1\.0\.2'
	expect_in_force 10.1.0.2
	expect_exit 0 guard rollback
	expect_in_force 10.1.0.1
	remembered "$current" 10.1.0.1
	remembered "$previous" 10.1.0.2
	# What it came from still stands in it, however often it goes to and fro.
	expect_text "$current" "^# path $policy_file" "# $policy_file:[0-9]"
	expect_exit 0 guard --format json rollback
	expect_text "$out" '"command": "rollback"' '"applied": true' '"environment": "test"' '"warnings": \[\]'
	expect_in_force 10.1.0.2
	remembered "$current" 10.1.0.2
	remembered "$previous" 10.1.0.1
	# Not the files of today count, and no environment of today.
	echo nonsense >"$policy_file"
	DFLYGUARD_ENVIRONMENT=nowhere expect_exit 0 guard rollback
	expect_in_force 10.1.0.1
	# A policy that others could have written is none.
	chmod g+w "$previous"
	expect_exit 2 guard rollback
	expect_text "$errors" 'not trusted'
	expect_in_force 10.1.0.1
}
t "rollback goes back, and a second one returns" rollback

other_environment() {
	reset
	policy <<-END
		service { port = 6379 tls_port = 6380 }
		environment a { clients = {"10.1.0.1"} }
		environment b { clients = {"10.1.0.2"} }
	END
	expect_exit 0 guard --environment a apply
	expect_exit 0 guard --environment b apply
	expect_exit 0 guard rollback
	expect_exit 0 guard --format json status
	expect_text "$out" '"environment": "a"'
	expect_in_force 10.1.0.1
}
t "rollback goes back to the environment, too" other_environment

removed() {
	reset
	source_is 10.1.0.1
	apply
	expect_exit 0 guard remove
	remembered "$current" ''
	expect_exit 0 guard rollback
	expect_in_force 10.1.0.1
	remembered "$current" 10.1.0.1
}
t "rollback undoes remove" removed

undone() {
	reset
	source_is 10.1.0.1
	apply
	cp "$current" "$work/before"
	source_is 10.1.0.2
	expect_exit 0 guard apply --confirm 2
	expect_text "$out" 'Until .* UTC only' 'dflyguard confirm'
	expect_in_force 10.1.0.2
	# A reboot goes back to what was confirmed.
	expect_same "current while one waits" "$work/before" "$current"
	remembered "$previous" ''
	expect_exit 0 guard status
	expect_text "$out" 'waiting .*dflyguard confirm'
	expect_exit 0 guard --format json status
	expect_text "$out" '"confirm_until": "20[0-9T:-]*Z"'
	expect_equal "watchers" 1 "$(watchers)"
	wait_until 10 in_force 10.1.0.1 || wrong "it was not undone"
	wait_until 10 no_watchers || wrong "who undid it is still there"
	expect_same "current" "$work/before" "$current"
	[ ! -e "$pending" ] || wrong "it still waits"
	expect_exit 1 guard --format json status
	expect_text "$out" '"confirm_until": null'
	expect_exit 1 guard confirm
	expect_exit 1 guard --format json confirm
	expect_text "$out" '"confirmed": false'
}
t "what nobody confirms is undone" undone

confirmed() {
	reset
	source_is 10.1.0.1
	apply
	source_is 10.1.0.2
	expect_exit 0 guard --format json apply --confirm 2
	expect_text "$out" '"confirm_until": "20[0-9T:-]*Z"'
	expect_exit 0 guard confirm
	wait_until 2 no_watchers || wrong "who would have undone it is still there"
	remembered "$current" 10.1.0.2
	remembered "$previous" 10.1.0.1
	sleep 2.3 # past the time when it would have been undone
	expect_in_force 10.1.0.2
	expect_exit 1 guard confirm
}
t "what is confirmed in time stays" confirmed

killed() { # the shell that applied it, and the program itself, are killed: the terminal is gone
	reset
	source_is 10.1.0.1
	apply
	source_is 10.1.0.2
	setsid script -qec "$dflyguard --policy $policy_file apply --confirm 3; echo \$\$ >$work/shell; sleep 1000" /dev/null \
		>/dev/null 2>&1 </dev/null &
	local terminal=$!
	wait_until 10 test -s "$work/shell" || wrong "the shell did not start"
	expect_in_force 10.1.0.2
	kill -HUP "$(cat "$work/shell")" 2>/dev/null
	kill -9 -- "-$terminal" "$(cat "$work/shell")" 2>/dev/null
	wait "$terminal" 2>/dev/null
	expect_in_force 10.1.0.2
	expect_equal "watchers" 1 "$(watchers)"
	wait_until 10 in_force 10.1.0.1 || wrong "it was not undone"
}
t "it is undone though the login is gone" killed

# Killed at any moment: either nothing happened, or it is undone.
killed_itself() {
	local delay process
	reset
	source_is 10.1.0.1
	apply
	for delay in 0 0.001 0.002 0.003 0.004 0.006 0.008 0.012; do
		source_is 10.1.0.2
		"$dflyguard" --quiet --policy "$policy_file" apply --confirm 1 >/dev/null 2>&1 &
		process=$!
		sleep "$delay"
		kill -9 $process 2>/dev/null
		wait $process 2>/dev/null
		# What did not come to its end cannot be confirmed.
		if grep -q '^# committed no' "$pending" 2>/dev/null; then expect_exit 2 guard confirm; fi
		wait_until 10 no_watchers || wrong "after $delay s: somebody still waits"
		expect_in_force 10.1.0.1
		remembered "$current" 10.1.0.1
	done
}
t "it is undone though the program was killed, at any moment" killed_itself

first() { # nothing was in force before
	reset
	source_is 10.1.0.1
	expect_exit 0 guard apply --confirm 2
	expect_text "$out" 'no table'
	remembered "$current" ''
	wait_until 10 in_force '' || wrong "it was not undone"
	remembered "$current" ''
	# A table of which nobody knows the policy cannot be gone back to.
	apply
	rm -r "$STATE_DIRECTORY"
	source_is 10.1.0.2
	expect_exit 2 guard apply --confirm 2
	expect_text "$errors" 'nothing to go back to'
	expect_in_force 10.1.0.1
	expect_equal "watchers" 0 "$(watchers)"
}
t "where nothing was in force, it is undone to no table" first

again() { # a second one takes the first one's place, and is undone to what was confirmed
	reset
	source_is 10.1.0.1
	apply
	source_is 10.1.0.2
	expect_exit 0 guard apply --confirm 1000
	source_is 10.1.0.3
	expect_exit 0 guard apply --confirm 2
	wait_until 5 one_watcher || wrong "the first one still waits"
	expect_in_force 10.1.0.3
	wait_until 10 in_force 10.1.0.1 || wrong "it was not undone"
	# One that fails leaves the first one waiting.
	source_is 10.1.0.2
	expect_exit 0 guard apply --confirm 2
	echo nonsense >"$policy_file"
	expect_exit 2 guard apply --confirm 1000
	wait_until 10 in_force 10.1.0.1 || wrong "it was not undone"
	# One without --confirm stays, and ends the waiting.
	source_is 10.1.0.2
	expect_exit 0 guard apply --confirm 2
	source_is 10.1.0.4
	expect_exit 0 guard apply
	expect_text "$errors" 'warning: .*took its place'
	wait_until 2 no_watchers || wrong "somebody still waits"
	remembered "$current" 10.1.0.4
	remembered "$previous" 10.1.0.1
	# So does the same one.
	source_is 10.1.0.5
	expect_exit 0 guard apply --confirm 1000
	expect_exit 0 guard apply
	wait_until 2 no_watchers || wrong "somebody still waits"
	remembered "$current" 10.1.0.5
	# And rollback undoes it now; so does remove, for good.
	source_is 10.1.0.6
	expect_exit 0 guard apply --confirm 1000
	expect_exit 0 guard rollback
	expect_in_force 10.1.0.5
	remembered "$current" 10.1.0.5
	wait_until 2 no_watchers || wrong "somebody still waits"
	expect_exit 0 guard apply --confirm 2
	expect_exit 0 guard remove
	wait_until 2 no_watchers || wrong "somebody still waits"
	expect_in_force ''
}
one_watcher() { [ "$(watchers)" = 1 ]; }
t "one that follows takes its place" again

drifted() { # the undo mends, too, whatever happened meanwhile
	reset
	source_is 10.1.0.1
	apply
	source_is 10.1.0.2
	expect_exit 0 guard apply --confirm 1
	nft flush ruleset
	wait_until 10 in_force 10.1.0.1 || wrong "it was not undone"
}
t "it is undone though the table was taken away meanwhile" drifted

# The service manager is asked where there is one; here one that only writes down what it is asked for.
manager() {
	reset
	mkdir -p /run/systemd/system "$work/bin"
	cat >"$work/bin/systemd-run" <<-END
		#!/bin/sh
		printf '%s\n' "\$@" >$work/asked
		exit \$(cat $work/answer)
	END
	chmod +x "$work/bin/systemd-run"
	source_is 10.1.0.1
	apply
	source_is 10.1.0.2
	echo 0 >"$work/answer"
	PATH=$work/bin:$PATH expect_exit 0 guard apply --confirm 1
	expect_text "$work/asked" '^--on-active=[01]s$' '^--unit=dflyguard-undo-[0-9a-f]{32}$' \
		"^--setenv=STATE_DIRECTORY=$STATE_DIRECTORY$" "^--setenv=RUNTIME_DIRECTORY=$RUNTIME_DIRECTORY$" '^undo$'
	expect_equal "watchers" 0 "$(watchers)"
	# What it was asked to start does it.
	local command
	mapfile -t command < <(sed -n '/^\//,$p' "$work/asked")
	expect_exit 0 "${command[@]}"
	expect_in_force 10.1.0.1
	# One that refuses is done without.
	echo 1 >"$work/answer"
	PATH=$work/bin:$PATH expect_exit 0 guard apply --confirm 1
	expect_equal "watchers" 1 "$(watchers)"
	wait_until 10 in_force 10.1.0.1 || wrong "it was not undone"
	rm -r /run/systemd
}
t "systemd is asked to undo it, where it runs" manager

boots() { # what nobody confirmed, or what was rolled back, is not what a boot brings, though it is in the policy file
	reset
	source_is 10.1.0.1
	apply
	source_is 10.1.0.2
	expect_exit 0 guard apply --confirm 1
	wait_until 10 in_force 10.1.0.1 || wrong "it was not undone"
	expect_exit 0 guard apply --boot
	expect_text "$errors" "warning: $policy_file was undone, .* in force last is in force, .* from $current"
	expect_in_force 10.1.0.1
	# While it waits, with a reboot: what is in /run is gone, and so is the table.
	expect_exit 0 guard apply --confirm 1000
	rm -r "$RUNTIME_DIRECTORY"
	nft flush ruleset
	expect_exit 0 guard apply --boot
	expect_in_force 10.1.0.1
	remembered "$current" 10.1.0.1
	# The same under another name for the same sources, and a second boot.
	source_is 10.1.0.2/32
	expect_exit 0 guard apply --boot
	expect_in_force 10.1.0.1
	# Another file.
	source_is 10.1.0.3
	expect_exit 0 guard apply --boot
	expect_no_text "$errors" warning
	expect_in_force 10.1.0.3
	# Applied: it is what a boot brings. Rolled back: it is not.
	source_is 10.1.0.2
	apply
	expect_exit 0 guard apply --boot
	expect_in_force 10.1.0.2
	expect_exit 0 guard rollback
	expect_exit 0 guard apply --boot
	expect_in_force 10.1.0.3
	expect_exit 0 guard rollback
	expect_exit 0 guard apply --boot
	expect_no_text "$errors" warning
	expect_in_force 10.1.0.2
	# One was undone, and then the one before it was rolled back: both stay so.
	source_is 10.1.0.5
	expect_exit 0 guard apply --confirm 1
	wait_until 10 in_force 10.1.0.2 || wrong "it was not undone"
	expect_exit 0 guard rollback
	expect_exit 0 guard apply --boot
	expect_in_force 10.1.0.3
	source_is 10.1.0.2
	expect_exit 0 guard apply --boot
	expect_in_force 10.1.0.3
	# Confirmed is as applied.
	source_is 10.1.0.4
	expect_exit 0 guard apply --confirm 1000
	expect_exit 0 guard confirm
	expect_exit 0 guard apply --boot
	expect_no_text "$errors" warning
	expect_in_force 10.1.0.4
	# A record that others could have written is none.
	expect_exit 0 guard rollback
	expect_equal "mode" 600 "$(stat -c %a "$STATE_DIRECTORY/undone")"
	chmod g+w "$STATE_DIRECTORY/undone"
	expect_exit 0 guard apply --boot
	expect_in_force 10.1.0.4
	# Nothing was in force before: rather this one than none.
	reset
	expect_exit 0 guard apply --confirm 1
	wait_until 10 in_force '' || wrong "it was not undone"
	expect_exit 0 guard apply --boot
	expect_text "$errors" 'was undone, .* there is no other'
	expect_in_force 10.1.0.4
}
t "a boot brings what was in force, not what was undone" boots

unwritable() { # the guard goes first
	reset
	source_is 10.1.0.1
	echo in the way >"$RUNTIME_DIRECTORY"
	echo in the way >"$STATE_DIRECTORY"
	expect_exit 0 guard apply
	expect_text "$errors" 'dflyguard: warning: '
	expect_in_force 10.1.0.1
	expect_exit 0 guard --format json apply
	expect_text "$out" '"warnings": \[$' 'not remembered'
	expect_exit 0 guard plan
	# But nothing is promised that could not be kept.
	source_is 10.1.0.2
	expect_exit 2 guard apply --confirm 10
	expect_in_force 10.1.0.1
	rm "$RUNTIME_DIRECTORY" "$STATE_DIRECTORY"
	if mkdir "$STATE_DIRECTORY" && mount -t tmpfs -o size=4k,nr_inodes=8 tmpfs "$STATE_DIRECTORY" 2>/dev/null; then
		chmod 700 "$STATE_DIRECTORY"
		head -c 4096 /dev/zero >"$STATE_DIRECTORY/full"
		expect_exit 0 guard apply
		expect_text "$errors" 'warning: .*No space left'
		expect_in_force 10.1.0.2
		# Who confirms has access: it is not undone for want of room.
		source_is 10.1.0.3
		guard --quiet remove 2>/dev/null
		expect_exit 0 guard apply --confirm 2
		expect_exit 0 guard confirm
		expect_text "$errors" 'warning: '
		wait_until 3 no_watchers || wrong "somebody still waits"
		expect_in_force 10.1.0.3
		umount "$STATE_DIRECTORY"
	fi
}
t "where nothing can be remembered, apply guards all the same and says so" unwritable

namespaces() { # another network namespace never touches ours
	reset
	source_is 10.1.0.1
	apply
	cp "$current" "$work/before"
	source_is 10.1.0.2
	ip netns add other
	expect_exit 0 ip netns exec other "$dflyguard" --policy "$policy_file" apply
	expect_same "current" "$work/before" "$current"
	remembered "$RUNTIME_DIRECTORY/netns-$(stat -Lc %i /run/netns/other)/current" 10.1.0.2
	expect_exit 2 ip netns exec other "$dflyguard" rollback
	source_is 10.1.0.3
	expect_exit 0 ip netns exec other "$dflyguard" --policy "$policy_file" apply --confirm 1
	expect_exit 1 guard confirm
	wait_until 10 no_watchers || wrong "it was not undone"
	ip netns exec other nft list set inet dflyguard clients_v4 >"$work/set"
	expect_text "$work/set" '10\.1\.0\.2'
	expect_in_force 10.1.0.1
	ip netns del other
}
t "each network namespace has its own" namespaces
finish
