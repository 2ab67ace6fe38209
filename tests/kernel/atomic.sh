#!/bin/bash
# Guarantee 8: the host is never between two policies: not under kill -9, not under lack of memory, not with others who
# change the same ruleset at the same time. New connections are tried without pause through all of it.
. "$(dirname "$0")/../lib/guard.sh"
network
redis host 6379 6380
session_begin
long=${DFLYGUARD_TEST_LONG:-}

# Lists of environments do not touch each other here: pieces of an interval mean the same as the whole, but list otherwise.
# Two environments whose elements and whose rules differ, and a third that is the second without a set. allowed@10.20.0.10
# is in all of them, on the TLS port; outside in none.
policy <<END
default_environment = a
service {
	port = 6379
	tls_port = 6380
	admin_port = 9999
}
network base { sources = {"10.20.0.0/28", "2001:db8:20::/120"} }
network one { sources = {
	$(awk 'BEGIN { for (i = 0; i < 2000; i++) printf "\"10.%d.%d.8/30\",\n", 100 + i % 8, i / 8 }')
	"2001:db8:a::/48" } }
network two { sources = {
	$(awk 'BEGIN { for (i = 0; i < 2000; i++) printf "\"10.%d.%d.16/30\",\n", 104 + i % 8, i / 8 }')
	"2001:db8:b::/48" } }
environment a { tls = required clients = {base, one} admins = {"10.9.0.0/28"}
	bind = {"10.20.0.5", "10.66.0.5", "2001:db8:20::5"} }
environment b { tls = optional routed = all clients = {base, two} bind = {"10.20.0.5", "2001:db8:20::5"} }
environment unbound { tls = optional routed = all clients = {base, one} }
END
remember() { # the listing of each environment, to know them by while somebody else keeps changing the ruleset
	apply --environment a
	listing >"$work/a"
	apply --environment b
	listing >"$work/b"
	cmp -s "$work/a" "$work/b" && wrong "the two environments are the same"
	expect_exit 0 guard remove
}
t "two environments that differ in elements and rules" remember

which_one() { # what the kernel holds: a, b, none, or neither
	listing >"$work/now"
	if cmp -s "$work/now" "$work/a"; then
		echo a
	elif cmp -s "$work/now" "$work/b"; then
		echo b
	elif ! nft list table inet dflyguard >/dev/null 2>&1; then
		echo none
	else
		echo neither
		{
			echo "compared with a:"
			diff "$work/a" "$work/now" | head -n 20
			echo "compared with b:"
			diff "$work/b" "$work/now" | head -n 20
		} >&2
	fi
}
pause() { # pause SECONDS: shorter than sleep(1) can start
	read -rt "$1" <&"$never" || true
}
mkfifo "$work/never"
exec {never}<>"$work/never"
microseconds() { echo "${EPOCHREALTIME/./}"; }

# Starts an apply and kills it after a time; $ended is its exit status, 137 where it was killed.
killed_after() { # killed_after MICROSECONDS ENVIRONMENT
	"$dflyguard" --policy "$policy_file" --environment "$2" apply >"$work/killed" 2>&1 &
	local process=$!
	[ "$1" -eq 0 ] || pause "$(printf '%d.%06d' $(($1 / 1000000)) $(($1 % 1000000)))"
	kill -9 "$process" 2>/dev/null
	wait "$process" 2>/dev/null
	ended=$?
}
apply_takes() { # apply_takes PREPARE ENVIRONMENT: microseconds, the least of some, since others may be busy
	local begin took least=10000000
	for _ in 1 2 3 4; do
		eval "$1" >/dev/null
		begin=$(microseconds)
		guard --environment "$2" apply >/dev/null || wrong "apply --environment $2 failed"
		took=$(($(microseconds) - begin))
		[ $took -ge $least ] || least=$took
	done
	echo $least
}

killed_first() {
	local took round rounds=$((${long:+80} + 20)) holds killed=0
	took=$(apply_takes 'guard remove' a)
	for ((round = 0; round < rounds; round++)); do
		nft 'delete table inet dflyguard' 2>/dev/null
		killed_after $((took * 11 * round / rounds / 10)) a
		[ $ended -ne 137 ] || killed=$((killed + 1))
		holds=$(which_one)
		[[ $holds = a || $holds = none ]] || wrong "round $round, exit $ended: the kernel holds $holds"
		[[ $ended -eq 137 || $holds = a ]] || wrong "round $round: exit $ended, and the kernel holds $holds"
	done
	echo "an apply takes $took microseconds; $killed of $rounds were killed"
	[ $killed -ge $((rounds / 4)) ] || wrong "only $killed of $rounds were killed before their end"
}
t "kill -9 during the first apply leaves nothing or all of it" killed_first

no_hole() { # what the storm saw: outsiders never, the client in both always
	local target tried connected refused timeouts
	while read -r target _ tried _ connected _ refused _ timeouts; do
		[ "$tried" -ge 20 ] || wrong "$target: only $tried connections were tried"
		case $target in
		outside*) [ "$connected" = 0 ] || wrong "$target: $connected of $tried connections got through" ;;
		*) [ "$connected" = "$tried" ] ||
			wrong "$target: $connected of $tried connections got through, $refused reset, $timeouts lost" ;;
		esac
	done <"$storm"
}
storm_all() {
	storm_begin 3 outside,10.66.0.5,6379 outside,10.66.0.5,6380 outside,2001:db8:66::5,6380 \
		allowed@10.20.0.10,10.20.0.5,6380 allowed@2001:db8:20::10,2001:db8:20::5,6380
}

killed_change() {
	local took round rounds=$((${long:+360} + 40)) holds before target killed=0 changed=0
	apply --environment a
	took=$(apply_takes 'guard --environment a apply' b)
	expect_equal "connection lasting" connected "$(session open lasting allowed@10.20.0.10 10.20.0.5 6380)"
	expect_equal "connection plain" connected "$(session open plain host 127.0.0.1 6379)"
	storm_all
	before=$(which_one)
	for ((round = 0; round < rounds; round++)); do
		[ "$before" = a ] && target=b || target=a
		killed_after $((took * 11 * round / rounds / 10)) $target
		[ $ended -ne 137 ] || killed=$((killed + 1))
		holds=$(which_one)
		[[ $holds = "$before" || $holds = "$target" ]] || wrong "round $round, exit $ended: the kernel holds $holds"
		[[ $ended -eq 137 || $holds = "$target" ]] || wrong "round $round: exit $ended, and the kernel holds $holds"
		# The program says the same of it.
		[ "$holds" = neither ] || expect_exit 0 guard --environment "$holds" plan
		[ "$holds" = "$before" ] || changed=$((changed + 1))
		before=$holds
	done
	storm_end
	no_hole
	expect_lives plain
	echo "an apply takes $took microseconds; $killed of $rounds were killed, $changed changed the kernel"
	[ $killed -ge $((rounds / 4)) ] || wrong "only $killed of $rounds were killed before their end"
	[ $changed -ge 1 ] || wrong "none of $rounds changed the kernel"
}
t "kill -9 at any moment of a change leaves the old policy or the new one, and no gap between them" killed_change

# A set that is new in a transaction may seem empty to packets while the kernel is still finishing that transaction.
no_gap_at_first() {
	local round
	storm_begin 1 allowed@10.20.0.10,10.20.0.5,6380 allowed@2001:db8:20::10,2001:db8:20::5,6380
	for ((round = 0; round < 10; round++)); do
		expect_exit 0 guard --environment a apply
		expect_exit 0 guard --environment a remove
		expect_exit 0 guard --environment b apply
		expect_exit 0 guard --environment b remove
	done
	storm_end
	no_hole
}
t "the first apply refuses no client, not even for a moment" no_gap_at_first

no_gap_for_a_set() { # bind comes and goes
	local round
	apply --environment unbound
	storm_begin 1 outside,10.66.0.5,6380 allowed@10.20.0.10,10.20.0.5,6380 allowed@2001:db8:20::10,2001:db8:20::5,6380
	for ((round = 0; round < 20; round++)); do
		expect_exit 0 guard --environment b apply
		expect_exit 0 guard --environment unbound apply
	done
	storm_end
	no_hole
}
t "a list that the policy did not have before refuses no client for a moment" no_gap_for_a_set

no_gap_in_growth() { # a list that outgrows one set and shrinks again
	local round
	{
		echo 'default_environment = small service { port = 6379 tls_port = 6380 }'
		echo 'environment small { clients = {"10.20.0.0/28", "2001:db8:20::/120", "10.100.0.0/16"} }'
		echo 'environment large { clients = {"10.20.0.0/28", "2001:db8:20::/120",'
		awk 'BEGIN { for (i = 0; i < 10000; i++) printf "\"10.%d.%d.8\",\n\"2001:db8:%x::/64\",\n", 100 + i % 100, i / 100, 256 + 2 * i }'
		echo '} }'
	} | policy "$work/growing.conf"
	expect_exit 0 "$dflyguard" --policy "$work/growing.conf" apply
	storm_begin 1 outside,10.66.0.5,6380 allowed@10.20.0.10,10.20.0.5,6380 allowed@2001:db8:20::10,2001:db8:20::5,6380
	for ((round = 0; round < 3; round++)); do
		expect_exit 0 "$dflyguard" --policy "$work/growing.conf" --environment large apply
		expect_exit 0 "$dflyguard" --policy "$work/growing.conf" --environment small apply
	done
	storm_end
	no_hole
}
t "a list that outgrows one set, and shrinks again, refuses no client for a moment" no_gap_in_growth

no_memory() { # an address space that ends somewhere in the course of an apply
	local size holds before target status=0 short=0
	apply --environment a
	before=a
	for ((size = 2000; size < 40000; size += 1000)); do
		[ "$before" = a ] && target=b || target=a
		(
			ulimit -v $size
			exec "$dflyguard" --policy "$policy_file" --environment $target apply
		) >"$work/short" 2>&1
		status=$?
		[ $status -eq 0 ] || short=$((short + 1))
		holds=$(which_one)
		[[ $holds = "$before" || $holds = "$target" ]] || wrong "with $size KiB: the kernel holds $holds"
		[[ $status -ne 0 || $holds = "$target" ]] || wrong "with $size KiB: exit 0, and the kernel holds $holds"
		before=$holds
	done
	[ $short -ge 1 ] || wrong "memory was never short"
	apply --environment a
}
t "an apply that runs out of memory leaves the old policy or the new one" no_memory

# Writers without pause. Each stops when its file goes.
foreign_writer() {
	while [ -e "$work/writing" ]; do
		nft -f - <<-END
			add table inet busy
			add chain inet busy c { type filter hook input priority 7; policy accept; }
			add rule inet busy c tcp dport 1 counter
			flush chain inet busy c
		END
	done
}
our_writer() {
	while [ -e "$work/writing" ]; do
		nft 'insert rule inet dflyguard judge accept; add element inet dflyguard clients_v4 { 203.0.113.7 }'
		nft 'flush set inet dflyguard clients_v4'
		nft 'flush chain inet dflyguard clients; add chain inet dflyguard strange'
		nft 'delete table inet dflyguard'
	done 2>/dev/null
}
stop_writer() { # stop_writer PROCESS
	rm "$work/writing"
	wait "$1"
}

competing() {
	local round holds target writer status ok=0 gave_up=0
	apply --environment a
	storm_all
	: >"$work/writing"
	foreign_writer &
	writer=$!
	for ((round = 0; round < ${long:+90} + 10; round++)); do
		((round % 2)) && target=a || target=b
		status=0
		guard --environment $target apply >"$work/contended" 2>&1 || status=$?
		holds=$(which_one)
		case $status in
		0)
			ok=$((ok + 1))
			expect_equal "round $round: exit 0, and the kernel holds" $target "$holds"
			;;
		2)
			gave_up=$((gave_up + 1))
			[[ $holds = a || $holds = b ]] || wrong "round $round: exit 2, and the kernel holds $holds"
			[ -s "$work/contended" ] || wrong "round $round: exit 2 without a word"
			;;
		*) wrong "round $round: exit $status" "$(cat "$work/contended")" ;;
		esac
	done
	stop_writer $writer
	storm_end
	no_hole
	echo "$ok applied, $gave_up gave up"
	[ $ok -ge 1 ] || wrong "none of $gave_up was applied: $(cat "$work/contended")"
	apply --environment a
	foreign >"$work/foreign"
	expect_text "$work/foreign" '^table inet busy'
	nft delete table inet busy
}
t "a writer of another table without pause: applied or refused, never half, no gap" competing

# Faster than any reading: nothing but luck would find a moment in which the generation stands still.
busy_begin() { # busy_begin MICROSECONDS [N]: pauses between its transactions; every Nth is about our table; sets $busy
	"$nftgen" busy "$@" >"$work/busy" &
	busy=$!
	wait_until 10 grep -q busy "$work/busy" || wrong "nftgen is not busy"
}
busy_end() {
	kill "$busy"
	wait "$busy" 2>/dev/null
}
busy() {
	local pauses=$1 rounds=$((${long:+70} + 30)) round target begin took longest=0
	shift
	apply --environment a
	for pause in $pauses; do
		busy_begin "$pause"
		for ((round = 0; round < rounds; round++)); do
			((round % 2)) && target=a || target=b
			begin=$(microseconds)
			expect_exit 0 guard --environment $target apply
			took=$(($(microseconds) - begin))
			[ $took -le $longest ] || longest=$took
			expect_exit 0 guard --environment $target plan
			[ $((round % 10)) -ne 9 ] || expect_exit 0 guard remove
		done
		expect_exit 0 guard --environment a apply
		busy_end
		expect_equal "with pauses of $pause microseconds, the kernel holds" a "$(which_one)"
		expect_exit 0 guard --environment a plan
	done
	echo "the longest apply took $longest microseconds"
	[ $longest -lt 5000000 ] || wrong "an apply took $longest microseconds"
	nft delete table inet busy
}
t "a writer of another table who is faster than any reading: always applied, in seconds" busy "1000 200 0"

# The same, and now and then somebody changes our table as well, at any moment of an apply.
hostile() {
	local round rounds=$((${long:+140} + 20)) target status planned holds took spoilt=0 ok=0
	local commands=(
		'flush chain inet dflyguard judge'
		'add chain inet dflyguard strange'
		'delete table inet dflyguard'
		'flush set inet dflyguard clients_v4'
	)
	apply --environment a
	busy_begin 300
	took=$(apply_takes 'guard --environment a apply' b)
	for ((round = 0; round < rounds; round++)); do
		((round % 2)) && target=a || target=b
		(
			pause "$(printf '0.%06d' $((took * 11 * (round % 20) / 200)))"
			exec nft "${commands[round % 4]}"
		) 2>/dev/null &
		status=0
		guard --environment $target apply >"$work/contended" 2>&1 || status=$?
		wait $!
		planned=0
		guard --environment $target plan >"$work/planned" 2>&1 || planned=$?
		# What it said of the kernel while that was busy is what the kernel says of itself when it is not.
		kill -STOP $busy
		holds=$(which_one 2>/dev/null)
		kill -CONT $busy
		[[ $status = 0 || $status = 2 ]] || wrong "round $round: exit $status" "$(cat "$work/contended")"
		[[ $status = 0 || -s $work/contended ]] || wrong "round $round: exit 2 without a word"
		case $planned:$holds in
		"0:$target") ok=$((ok + 1)) ;;
		0:*) wrong "round $round: the plan finds nothing to do, and the kernel holds $holds" ;;
		"1:$target") wrong "round $round: the plan finds something to do" "$(cat "$work/planned")" ;;
		1:*) spoilt=$((spoilt + 1)) ;;
		*) wrong "round $round: plan: exit $planned" "$(cat "$work/planned")" ;;
		esac
		expect_exit 0 guard --environment $target apply
		expect_exit 0 guard --environment $target plan
	done
	busy_end
	expect_equal "the kernel holds" "$target" "$(which_one)"
	echo "$ok in force in spite of it, $spoilt spoilt afterwards"
	[ $ok -ge 1 ] || wrong "nothing was ever in force"
	nft delete table inet busy
	apply --environment a
}
t "and somebody who changes our table at any moment of it: what we say of the kernel is true" hostile

# Somebody switches our table between two states, each in one transaction: what is read is one of them, not a mixture. They
# differ in what is read first (chains) and in what is read last (elements), with 2,000 elements between.
switched() {
	local round rounds=$((${long:+900} + 100)) name status
	local to_b='add chain inet dflyguard strange; add element inet dflyguard admins_v4 { 203.0.113.7 }'
	local to_a='delete chain inet dflyguard strange; delete element inet dflyguard admins_v4 { 203.0.113.7 }'
	declare -A seen=([a]=0 [b]=0)
	apply --environment a
	nft -f - <<<"$to_b"
	guard --environment a plan >"$work/plan.b"
	nft -f - <<<"$to_a"
	guard --environment a plan >"$work/plan.a"
	cmp -s "$work/plan.a" "$work/plan.b" && wrong "the two states are the same"
	busy_begin 200 50
	for ((round = 0; round < rounds; round++)); do
		status=0
		guard --environment a plan >"$work/planned" 2>&1 || status=$?
		case $status in
		0) name=a ;;
		1) name=b ;;
		*)
			wrong "round $round: exit $status" "$(cat "$work/planned")"
			continue
			;;
		esac
		seen[$name]=$((seen[$name] + 1))
		expect_same "round $round" "$work/plan.$name" "$work/planned"
	done
	busy_end
	echo "read ${seen[a]} times a, ${seen[b]} times b"
	[[ ${seen[a]} -ge 1 && ${seen[b]} -ge 1 ]] || wrong "only one of the two states was ever read"
	nft delete table inet busy
	apply --environment a
}
t "somebody who switches our table, beside such a writer: each reading is one state" switched

fiddled() {
	local round status writer ok=0
	apply --environment a
	: >"$work/writing"
	our_writer &
	writer=$!
	for ((round = 0; round < ${long:+90} + 10; round++)); do
		status=0
		guard apply >"$work/contended" 2>&1 || status=$?
		[[ $status = 0 || $status = 2 ]] || wrong "round $round: exit $status" "$(cat "$work/contended")"
		[[ $status = 0 || -s $work/contended ]] || wrong "round $round: exit 2 without a word"
		[ $status -ne 0 ] || ok=$((ok + 1))
	done
	stop_writer $writer
	echo "$ok of $round applied"
	apply --environment a
	expect_equal "the kernel holds" a "$(which_one)"
}
t "a writer who keeps spoiling our table: applied or refused, and whole when he stops" fiddled

two_of_us() {
	local round first second status_first status_second holds
	apply --environment a
	storm_all
	for ((round = 0; round < ${long:+90} + 10; round++)); do
		guard --environment a apply >"$work/first" 2>&1 &
		first=$!
		guard --environment b apply >"$work/second" 2>&1 &
		second=$!
		status_first=0 status_second=0
		wait $first || status_first=$?
		wait $second || status_second=$?
		holds=$(which_one)
		[[ $holds = a || $holds = b ]] || wrong "round $round: the kernel holds $holds"
		# The one who came last must have won; one who lost may say so.
		[[ $status_first = 0 || $status_second = 0 ]] ||
			wrong "round $round: exits $status_first and $status_second: $(cat "$work/first" "$work/second")"
		[[ $status_first =~ ^[02]$ && $status_second =~ ^[02]$ ]] || wrong "exits $status_first $status_second"
	done
	storm_end
	no_hole
	apply --environment a
}
t "two applies of different environments at once: one of them is in force, whole" two_of_us

flushed() { # somebody reloads the host's rules by `flush ruleset` again and again
	local round
	apply --environment a
	for ((round = 0; round < 5; round++)); do
		nft flush ruleset
		expect_exit 1 guard plan
		expect_exit 0 guard apply
		expect_equal "the kernel holds" a "$(which_one)"
	done
	expect_traffic <<-END
		outside 10.66.0.5 6379 ping timeout
		outside 10.66.0.5 6380 tls  timeout
		allowed@10.20.0.10 10.20.0.5 6380 tls passes
	END
}
t "flush ruleset by somebody else is mended by the next apply" flushed
finish
