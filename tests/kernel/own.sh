#!/bin/bash
# watch --own: nobody else changes the table while it lives, whoever he is; kill -9 leaves it in force; who comes after
# may change it, or own it again; and there is no moment without the guard.
. "$(dirname "$0")/../lib/guard.sh"
network
redis host 6379 6380
session_begin
watchers=()
events=$work/events
other=$work/other.conf
tls_only='password = optional tls = required bind = {"10.20.0.5", "10.66.0.5"}'
usual="$tls_only clients = {\"10.20.0.10\", \"10.30.0.0/24\"}"
environment "$usual"
cp "$policy_file" "$work/usual.conf"
# What others try to put in force.
sed 's/10\.30\.0\.0/10.66.0.0/' "$policy_file" >"$other"

begin() { # starts a watch that owns; it has looked when this returns
	begin_as "$events" --own --heal
}
begin_as() { # begin_as FILE OPTION...
	local file=$1
	shift
	: >"$file"
	"$dflyguard" --policy "$policy_file" watch "$@" >"$file" 2>"$file.errors" &
	watcher=$!
	watchers+=("$watcher")
	wait_until 10 grep -q '  start  ' "$file" || wrong "watch did not start: $(cat "$file" "$file.errors")"
}
kill_hard() { # kill_hard PROCESS: and it is gone when this returns
	kill -9 "$1"
	wait "$1" 2>/dev/null
}
end() { # ends all, which is no failure
	local process status
	for process in "${watchers[@]}"; do
		kill -0 "$process" 2>/dev/null || continue
		kill -TERM "$process"
		status=0
		wait "$process" || status=$?
		expect_equal "exit status after SIGTERM" 0 "$status"
	done
	watchers=()
}
afresh() { # the usual policy, in a table of nobody
	end
	cp "$work/usual.conf" "$policy_file"
	guard --quiet remove || wrong "cannot remove"
	"$dflyguard" --policy "$other" --quiet apply || wrong "cannot apply" # for who wants to go back
	guard --quiet apply || wrong "cannot apply"
}
told() { # told SECONDS PATTERN [FILE]: waits for a line
	wait_until "$1" grep -qE -- "$2" "${3:-$events}" && return
	wrong "within $1 s nothing tells /$2/:"
	tail -n 12 "${3:-$events}"
}
flags() { # the table's flags as the kernel has them, as nft (1.0.6, which has no word for persist) writes them
	nft list table inet dflyguard 2>/dev/null | sed -n 's/^\tflags \?//p'
}
whole() { # the table with its handles, counters and elements, but not whose it is, nor how long elements still live
	nft -a list table inet dflyguard | sed '/^\tflags/d; 1s/ #.*//; s/ expires [0-9a-z]*//g'
}
guarded() { # real packets
	expect_traffic <<-END
		allowed@10.20.0.10 10.20.0.5 6380 tls  passes
		allowed@10.20.0.10 10.20.0.5 6379 ping refused
		outside            10.66.0.5 6380 tls  timeout
		outside            10.66.0.5 6379 ping timeout
	END
}
status_owner() { # status_owner: process and program that the status names, or null
	guard --format json status | tr -d ' \n' | sed -n 's/.*"persists":\([a-z]*\),"owner":\(null\|{[^}]*}\).*/\1 \2/p'
}

supported() {
	local version
	apply
	expect_text <(status_owner) '^false null$'
	begin
	if grep -q 'unknown watch.own' "$events"; then
		# It must go on without, and only where there is a reason.
		expect_text "$events" 'finding +unknown watch.own: it cannot be owned: this kernel has no tables that stay'
		expect_equal "the table's flags" "" "$(flags)"
		version=$(uname -r)
		IFS=.- read -r major minor _ <<<"$version"
		[ "$major" -lt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -lt 9 ]; } || wrong "Linux $version should have them"
		end
		skip "this kernel has no tables that stay when their owner ends (flag persist, Linux 6.9)"
		return
	fi
	expect_text "$events" '  owned +nobody else can change table inet dflyguard .* it was made anew in one transaction' \
		'  start .*, owns the table$'
	expect_equal "the table's flags" owner "$(flags)"
	touch "$work/supported"
	end
}
t "it owns the table, or says why not" supported
if [ ! -e "$work/supported" ]; then
	finish
fi

owns() {
	local before
	afresh
	listing >"$work/before"
	before=$(counted refused_source)
	guarded
	[ "$(counted refused_source)" -gt "$before" ] || wrong "nothing was counted"
	begin
	listing >"$work/after"
	sed -i '/^\tflags owner$/d; s/ # progname.*//' "$work/after"
	expect_same "the table, but for its owner" "$work/before" "$work/after"
	# The stand-in and the counters of the former table are gone.
	expect_equal "refused" 0 "$(counted refused_source)"
	guarded
	# Who owns it is no difference from the policy, and nobody's fault.
	expect_exit 0 guard plan
	# The server is not Dragonfly, and on all addresses.
	expect_exit 0 guard audit --fail-on critical
	expect_text "$out" 'pass +firewall.owner .*ours is owned by a dflyguard watch'
	expect_exit 0 guard status
	expect_text "$out" "owner +dflyguard \(process $watcher\): nobody else can change it; it stays when that ends"
	expect_text <(status_owner) "^true \{\"port\":[0-9]+,\"pid\":$watcher,\"program\":\"dflyguard\",\"unknown\":null\}$"
}
t "what is in force stays the same, and status, plan and audit say whose it is" owns

others_fail() {
	whole >"$work/before"
	nft add table inet mine
	expect_exit 0 nft flush ruleset
	expect_equal "tables after a flush" "table inet dflyguard" "$(nft list tables)"
	expect_exit 1 nft delete table inet dflyguard
	expect_exit 1 nft insert rule inet dflyguard judge accept
	expect_exit 1 nft add element inet dflyguard clients_v4 '{ 10.66.0.0/24 }'
	whole >"$work/after"
	expect_same "the table" "$work/before" "$work/after"
	local command
	for command in 'apply' 'apply --confirm 60' 'remove' 'rollback'; do
		# shellcheck disable=SC2086 # words
		expect_exit 2 "$dflyguard" --policy "$other" $command
		expect_text "$errors" "table inet dflyguard is owned by process $watcher \(dflyguard\)" 'edit the policy file .*or stop it'
	done
	expect_exit 2 "$dflyguard" --policy "$other" audit --heal
	expect_text "$errors" "healing: table inet dflyguard is owned by process $watcher \(dflyguard\)"
	expect_exit 2 "$dflyguard" --policy "$other" --format json apply
	expect_text "$out" "\"message\": \"table inet dflyguard is owned by process $watcher" '"hint": "edit the policy file'
	# To look is allowed.
	expect_exit 1 "$dflyguard" --policy "$other" plan
	expect_exit 1 "$dflyguard" --policy "$other" remove --dry-run
	# Nothing of it is remembered as in force, or waits.
	expect_exit 1 guard confirm
	expect_text "$work/state/current" '10\.30\.0\.0'
	whole >"$work/after"
	expect_same "the table after all of it" "$work/before" "$work/after"
	guarded
}
t "flush, delete, and other applies do not change it, and are told who owns it" others_fail

follows() {
	local before
	before=$(counted refused_source)
	environment "$tls_only clients = {\"10.20.0.0/24\", \"10.66.0.0/24\"}"
	told 5 'healed .*put back in one transaction'
	expect_exit 0 guard plan
	expect_equal "the table's flags" owner "$(flags)"
	[ "$before" -gt 0 ] && [ "$(counted refused_source)" = "$before" ] || wrong "the counters did not survive: $before"
	expect_traffic <<-END
		allowed@10.20.0.11 10.20.0.5 6380 tls  passes
		outside            10.66.0.5 6380 tls  passes
		outside            10.66.0.5 6379 ping refused
	END
	cp "$work/usual.conf" "$policy_file"
	wait_until 5 guard plan || wrong "the former policy is not in force"
	guarded
}
t "it follows the policy file, and changes what it owns" follows

killed() {
	expect_equal "connection lasting" connected "$(session open lasting allowed@10.20.0.10 10.20.0.5 6380)"
	whole >"$work/before"
	kill_hard "$watcher"
	whole >"$work/after"
	expect_same "the table" "$work/before" "$work/after"
	guarded
	expect_exit 0 guard plan
	expect_exit 0 guard audit --fail-on critical
	expect_exit 0 guard status
	expect_text "$out" 'owner +nobody: a watch that owned it has ended, and anybody may change it'
	expect_text <(status_owner) '^true null$'
	session close lasting >/dev/null
}
t "kill -9 leaves the table in force" killed

orphan() {
	nft insert rule inet dflyguard judge accept
	expect_exit 1 guard plan
	expect_exit 0 guard apply
	expect_exit 0 guard plan
	guarded
	expect_exit 0 "$dflyguard" --policy "$other" apply
	expect_traffic <<<"outside 10.66.0.5 6380 tls passes"
	apply
	guarded
	# Dormant, which an update that forgets the flag persist cannot mend.
	"$nftgen" flags 5 >"$work/dormant" &
	started=$!
	wait_until 5 grep -q ready "$work/dormant" || wrong "not dormant: $(cat "$work/dormant")"
	kill_hard "$started"
	expect_traffic <<<"outside 10.66.0.5 6379 ping passes"
	expect_exit 1 guard plan
	expect_text "$out" 'dormant'
	apply
	guarded
}
t "without an owner it is everybody's to change, and apply mends it" orphan

adopts() {
	guarded
	whole >"$work/before"
	begin
	expect_text "$events" '  owned .*: it was taken over from a watch that has ended, as it was$'
	expect_no_text "$events" 'healed|drift|finding +[a-z]+ [^b]'
	whole >"$work/after"
	# Handles and counters, too.
	expect_same "the table" "$work/before" "$work/after"
	[ "$(counted refused_source)" -gt 0 ] || wrong "nothing was counted before"
	expect_equal "the table's flags" owner "$(flags)"
	kill_hard "$watcher"
	# With work to do at once: what differs, and that it is dormant.
	nft insert rule inet dflyguard judge accept
	"$nftgen" flags 5 >/dev/null &
	started=$!
	wait_until 5 eval '[ "$(flags)" = "dormant," ] || [ "$(flags)" = dormant ]' || wrong "not dormant: $(flags)"
	kill_hard "$started"
	begin
	expect_text "$events" '  owned .*taken over' '  healed +2 differences'
	expect_exit 0 guard plan
	guarded
}
t "the next watch takes over what it finds, without replacing it" adopts

ends() {
	end
	expect_text "$events" '  stop +was told to stop; what is in force stays in force'
	guarded
	expect_exit 0 guard plan
	expect_exit 0 guard remove
	expect_equal "tables" "" "$(nft list tables)"
	# Nothing there: it is made, and owned.
	begin
	expect_text "$events" '  drift +table inet dflyguard is missing' '  owned .*: it was made$' '  healed '
	expect_exit 0 guard plan
	expect_equal "the table's flags" owner "$(flags)"
	guarded
}
t "SIGTERM leaves the table, remove takes it away, and a watch makes it again" ends

second() {
	local first=$watcher
	begin_as "$work/second" --own --heal
	told 2 "finding +fail watch.own: it is not owned: process $first \(dflyguard\) owns it" "$work/second"
	expect_no_text "$work/second" 'trouble|  owned '
	kill_hard "$first"
	kill -HUP "$watcher"
	told 5 '  owned .*taken over' "$work/second"
	told 5 'resolved +fail watch.own' "$work/second"
	expect_text <(status_owner) "\"pid\":$watcher,"
	end
}
t "a second watch waits until it can own" second

waiting() {
	afresh
	expect_exit 0 "$dflyguard" --policy "$other" apply --confirm 600
	begin
	expect_text "$events" '  policy +a policy waits for .dflyguard confirm' \
		'  finding +fail watch.own: it is not owned: a policy waits for .dflyguard confirm., and could not be undone'
	expect_equal "the table's flags" "" "$(flags)"
	expect_exit 0 guard confirm
	# What was confirmed is not what this watch follows, which is put back, and owned.
	told 5 '  owned .*made anew'
	told 5 'resolved +fail watch.own'
	expect_exit 0 guard plan
	expect_equal "the table's flags" owner "$(flags)"
	# And the other way out: it is undone while a watch would like to own it.
	afresh
	expect_exit 0 "$dflyguard" --policy "$other" apply --confirm 3
	expect_traffic <<<"outside 10.66.0.5 6380 tls passes"
	begin
	expect_equal "the table's flags" "" "$(flags)"
	expect_exit 1 guard plan
	told 10 '  owned .*made anew'
	expect_exit 1 guard confirm
	expect_exit 0 guard plan
	guarded
}
t "while a policy waits to be confirmed it is not owned, and can be undone" waiting

strangers() {
	# Somebody else's program has taken what a watch left.
	kill_hard "$watcher"
	"$nftgen" flags 6 >"$work/stranger" &
	started=$!
	wait_until 5 grep -q ready "$work/stranger" || wrong "not owned: $(cat "$work/stranger")"
	expect_exit 0 guard plan
	expect_exit 1 guard audit
	expect_text "$out" "fail +warning +firewall.owner .*it is owned by process $started \(nftgen\): nobody else can change it"
	expect_exit 2 "$dflyguard" --policy "$other" apply
	expect_text "$errors" "is owned by process $started \(nftgen\)" 'stop it: the table stays'
	begin
	expect_text "$events" "finding +fail watch.own: it is not owned: process $started \(nftgen\) owns it" \
		'finding +fail firewall.owner'
	kill_hard "$started"
	kill -HUP "$watcher"
	told 5 '  owned .*taken over'
	end
	expect_exit 0 guard remove
	# Without persist it is gone with its owner: a difference, and critical.
	"$nftgen" flags 2 >"$work/stranger.2" &
	started=$!
	wait_until 5 grep -q ready "$work/stranger.2" || wrong "not owned: $(cat "$work/stranger.2")"
	expect_exit 1 guard --verbose audit --fail-on critical
	expect_text "$out" 'fail +critical +firewall.owner .*without the flag persist: when that ends the kernel takes the table away'
	expect_exit 1 guard plan
	expect_text "$out" 'owned by a process, and is gone when that ends'
	expect_exit 2 guard apply
	expect_text "$errors" "is owned by process $started \(nftgen\)" 'the kernel then takes the table away'
	kill_hard "$started"
	wait_until 5 eval '[ -z "$(nft list tables)" ]' || wrong "the table is still there"
	apply
}
t "another program that owns it is told of" strangers

# New interval sets are filled a moment after the rules are in force (Linux 6.18), which takes longer with long lists: a
# millisecond or two with these, which a connection every millisecond meets in every third round.
no_hole() {
	local round target tried connected
	policy <<-END
		default_environment = test
		service {
			port = 6379
			tls_port = 6380
		}
		network many { sources = {
			$(awk 'BEGIN { for (i = 0; i < 20000; i++) printf "\"10.%d.%d.%d/31\",\n", 100 + i % 8, i / 8 % 256, int(i / 2048) * 4 }')
			"10.20.0.10" } }
		environment test {
			tls = required
			clients = many
		}
	END
	for round in 1 2 3 4 5 6 7 8; do
		guard --quiet remove
		guard --quiet apply || wrong "cannot apply"
		expect_equal "connection lasting$round" connected "$(session open "lasting$round" allowed@10.20.0.10 10.20.0.5 6380)"
		storm_begin 1 outside,10.66.0.5,6379 outside,10.66.0.5,6380 outside@10.66.0.11,10.66.0.5,6379 outside,2001:db8:66::5,6379
		wait_until 5 eval '[ "$(counted refused_source)" -gt 10 ]' || wrong "the storm does not begin"
		begin
		end
		storm_end
		while read -r target _ tried _ connected _; do
			[ "$tried" -ge 20 ] || wrong "$target: only $tried connections were tried"
			expect_equal "connections of $target in round $round" 0 "$connected"
		done <"$storm"
		expect_text "$events" 'owned .*made anew'
		expect_equal "what lasts" connected "$(session open "after$round" allowed@10.20.0.10 10.20.0.5 6380)"
		session close "lasting$round" >/dev/null
		session close "after$round" >/dev/null
	done
}
t "there is no moment without the guard while it becomes owned" no_hole

usage() {
	expect_exit 2 guard watch --own
	expect_text "$errors" 'watch takes --own only with --heal'
	expect_exit 2 guard plan --own
	expect_exit 0 "$dflyguard" watch --help
	expect_text "$out" '--own ' 'kill -9 included, the table stays in force' 'counters, limits'
}
t "usage" usage
finish
