#!/bin/bash
# watch: what changes is told within two seconds by polling and half a second by events, with the process; healing, its
# limits and its rivals; the policy's files; lost events; metrics; what it tells systemd; its end.
. "$(dirname "$0")/../lib/guard.sh"
ip link set lo up
settings='tls = required clients = {"10.20.0.0/24", "10.30.0.0/24"}'
environment "$settings"
apply
cp "$policy_file" "$work/good.conf"
watchers=()
events=$work/events

begin() { # begin OPTION...: starts one, and waits until it has looked
	begin_as "$events" "$@"
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
end() { # ends all, which is no failure
	local process status
	for process in "${watchers[@]}"; do
		kill -CONT "$process"
		kill -TERM "$process"
		status=0
		wait "$process" || status=$?
		expect_equal "exit status after SIGTERM" 0 "$status"
	done
	watchers=()
	expect_text "$events" '  stop +was told to stop'
}
mended() { # the table as it was, whatever the last case left
	cp "$work/good.conf" "$policy_file"
	guard --quiet apply || wrong "cannot apply"
	expect_exit 0 guard plan
}
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
told() { # told SECONDS PATTERN [FILE]: waits for a line
	wait_until "$1" grep -qE -- "$2" "${3:-$events}" && return
	wrong "within $1 s nothing tells /$2/:"
	tail -n 12 "${3:-$events}"
}
within() { # within MS PATTERN COMMAND...: that it is told so soon after the command
	local limit=$1 pattern=$2 from
	shift 2
	from=$(milliseconds)
	"$@"
	told 4 "$pattern"
	from=$(($(milliseconds) - from))
	[ "$from" -le "$limit" ] || wrong "/$pattern/ was told after $from ms, not $limit"
}

by_polling() {
	begin
	expect_text "$events" "  start +environment test, .*: the kernel's table is what the policy says; asks every 1 s, compares every 300 s$"
	within 2000 'drift +chain judge rule 1 should not be there: observed accept  .*policy.conf:[0-9]+$' \
		nft insert rule inet dflyguard judge accept
	within 2000 'drift +element of clients_v4 should not be there: observed 192.0.2.0/24' \
		nft add element inet dflyguard clients_v4 '{ 192.0.2.0/24 }'
	within 2000 'drift +element of clients_v4 is missing: expected 10.20.0.0/24' \
		nft delete element inet dflyguard clients_v4 '{ 10.20.0.0/24 }'
	within 2000 'drift +table inet dflyguard differs: .*dormant' nft 'add table inet dflyguard { flags dormant; }'
	told 4 'finding +fail firewall.in_force: not in force: .*dormant'
	expect_equal "drift told" 4 "$(grep -c '  drift  ' "$events")"
	guard --quiet apply
	told 4 "mended +4 differences are gone: the kernel's table is what the policy says"
	told 4 'resolved +fail firewall.in_force'
	# What is not ours is looked at, too.
	within 2000 'finding +fail firewall.foreign_nat' \
		nft -f - <<<'table inet mine { chain pre { type nat hook prerouting priority -100; tcp dport 7000 redirect to :6380; }; }'
	within 2000 'resolved +fail firewall.foreign_nat' nft delete table inet mine
	expect_no_text "$events" 'process [0-9]'
	# Nobody else is made slower: no socket of ours hears events.
	expect_equal "sockets that hear nf_tables" "" "$(awk '$2 == 12 && $4 != "00000000"' /proc/net/netlink)"
	end
	mended
}
t "each change is told once, within two seconds" by_polling

by_events() {
	begin --events --period 3600
	expect_equal "sockets that hear nf_tables" 1 "$(awk '$2 == 12 && $4 != "00000000"' /proc/net/netlink | wc -l)"
	within 500 'drift +chain judge rule 1 should not be there: observed accept, by nft \(process [0-9]+\)  ' \
		nft insert rule inet dflyguard judge accept
	within 500 'drift +element of clients_v4 should not .*192.0.2.0/24, by nft \(process [0-9]+\)' \
		nft add element inet dflyguard clients_v4 '{ 192.0.2.0/24 }'
	within 500 'drift +table inet dflyguard is missing: .*, by nft \(process' nft flush ruleset
	within 500 'mended .*the kernel.s table is what the policy says' guard --quiet apply
	# What is not about our table may wait for a second since the last look.
	within 1500 'finding +fail firewall.notrack' \
		nft -f - <<<'table ip raw { chain pre { type filter hook prerouting priority raw; notrack; }; }'
	within 1500 'resolved +fail firewall.notrack' nft delete table ip raw
	end
	# JSON: an object a line, with the process.
	"$dflyguard" --policy "$policy_file" --format json watch --events >"$events" &
	watcher=$!
	told 5 '"event": "start"'
	nft insert rule inet dflyguard judge accept
	told 2 '"event": "drift", "message": null, "kind": "remove", "object": "chain judge rule 1", "expected": null, "observed": "accept", "policy": ".*policy.conf:[0-9]+".*"process": \{"pid": [0-9]+, "name": "nft"\}\}$'
	kill "$watcher"
	wait "$watcher" || wrong "JSON: exit status $?"
	expect_equal "lines that are no object" 0 "$(grep -cvE '^\{.*\}$' "$events")"
	mended
}
t "with --events within half a second, and by whom" by_events

heals() {
	nft 'delete table inet dflyguard'
	begin --events --heal --metrics "$work/m.prom"
	told 2 'healed .*differences put back in one transaction, and read back'
	expect_exit 0 guard plan
	listing >"$work/listing"
	local mutation
	local healed=1
	for mutation in 'flush chain inet dflyguard judge' 'flush ruleset'; do
		nft "$mutation"
		healed=$((healed + 1))
		wait_until 2 eval '[ "$(grep -c "  healed  " "$events")" = $healed ]' || wrong "'$mutation' was not healed"
		expect_exit 0 guard plan
	done
	expect_text "$events" 'drift +chain judge rule 1 is missing: .*, by nft' \
		'drift +table inet dflyguard is missing: .*, by nft'
	listing >"$work/healed"
	expect_same "our table" "$work/listing" "$work/healed"
	wait_until 3 grep -q '^dflyguard_heals_total 3$' "$work/m.prom" || wrong "$(grep heals_total "$work/m.prom")"
	# Its own transactions are nobody's drift.
	expect_no_text "$events" 'by dflyguard'
	kill -HUP "$watcher"
	told 2 'policy .* was read again: the ruleset is the same'
	end
	expect_exit 0 guard plan
}
t "--heal puts back what differs, whatever it was" heals

fights() {
	begin --events --heal
	local i before
	for i in 1 2 3; do
		nft insert rule inet dflyguard judge accept
		wait_until 3 guard plan || wrong "change $i was not healed"
	done
	nft insert rule inet dflyguard judge accept
	told 2 'finding +fail watch.fight: what was healed is undone again and again, by nft \(process [0-9]+\): healing has stopped'
	# It goes on watching, and does not touch it.
	nft add element inet dflyguard clients_v4 '{ 192.0.2.0/24 }'
	told 2 'drift .*192.0.2.0/24'
	before=$(generation)
	end
	expect_equal "the generation" "$before" "$(generation)"
}
t "what is undone three times is not healed a fourth time" fights

forgives() {
	mended
	begin --events --heal
	local i
	for i in 1 2 3; do
		nft insert rule inet dflyguard judge accept
		wait_until 3 guard plan || wrong "change $i was not healed"
	done
	nft insert rule inet dflyguard judge accept
	told 2 'finding +fail watch.fight'
	kill -HUP "$watcher"
	told 2 'resolved +fail watch.fight'
	wait_until 2 guard plan || wrong "after SIGHUP it does not heal"
	end
}
t "a signal ends the fight" forgives

two_healers() {
	mended
	begin_as "$work/second" --events --heal
	begin --events --heal
	local i
	for i in 1 2 3 4 5 6; do
		nft insert rule inet dflyguard judge accept
		wait_until 3 guard plan || wrong "change $i was not healed"
		[ $((i % 3)) -ne 0 ] || kill -HUP "${watchers[@]}" # forget these undone heals
	done
	end
	expect_no_text "$events" 'watch.fight|trouble'
	expect_no_text "$work/second" 'watch.fight|trouble'
	expect_exit 0 guard plan
}
t "two with the same policy do not fight each other" two_healers

follows() {
	mended
	begin --heal
	mkdir -p "$work/parts"
	environment 'tls = required clients = {"10.20.0.0/24", "10.31.0.0/24"}'
	told 4 'policy .*is another policy now, and is applied'
	told 2 'healed '
	expect_exit 0 guard plan
	expect_text <(nft list set inet dflyguard clients_v4) '10.31.0.0/24'
	# Bad: the old one stays, and is still healed.
	echo 'environment bad { clients = }' >>"$policy_file"
	told 4 "finding +fail policy.bad: the last good policy stays in force: .*policy.conf:[0-9]+: 'clients' has no value"
	nft insert rule inet dflyguard judge accept
	told 4 'drift +chain judge rule 1'
	wait_until 4 eval '! nft list chain inet dflyguard judge | grep -q "^		accept"' || wrong "not healed under a bad policy"
	expect_text <(nft list set inet dflyguard clients_v4) '10.31.0.0/24'
	# Mended, with a file that is included: which is followed as well.
	echo 'network n { sources = {"10.40.0.0/24"} }' >"$work/parts/n.conf"
	{ echo 'include("parts/n.conf")'; sed 's/clients = .*/clients = {n}/' "$work/good.conf"; } >"$policy_file.new"
	mv "$policy_file.new" "$policy_file"
	told 4 'resolved +fail policy.bad'
	wait_until 4 guard plan || wrong "the mended policy is not in force"
	echo 'network n { sources = {"10.41.0.0/24"} }' >"$work/parts/n.conf"
	wait_until 5 eval 'nft list set inet dflyguard clients_v4 | grep -q 10.41.0.0/24' || wrong "an included file is not followed"
	expect_exit 0 guard plan
	end
	# Without --heal it is told, not applied.
	mended
	begin
	environment 'tls = required clients = {"10.20.0.0/24", "10.32.0.0/24"}'
	told 4 'policy .*the differences are what .dflyguard apply. would do'
	told 2 'drift +element of clients_v4 is missing: expected 10.32.0.0/24'
	end
	mended
}
t "it follows the policy's files; a bad policy is told, and the last good one stays" follows

confirms() {
	mended
	begin --heal
	environment 'tls = required clients = {"10.20.0.0/24", "10.33.0.0/24"}'
	mv "$policy_file" "$work/trial.conf"
	cp "$work/good.conf" "$policy_file"
	expect_exit 0 "$dflyguard" --policy "$work/trial.conf" apply --confirm 4
	told 3 'policy +a policy waits for .dflyguard confirm.: nothing is put back until then'
	expect_text <(nft list set inet dflyguard clients_v4) '10.33.0.0/24'
	# Confirmed: what is watched is the file, so it goes back to that.
	expect_exit 0 "$dflyguard" --policy "$work/trial.conf" confirm
	told 4 'healed '
	expect_exit 0 guard plan
	# Not confirmed: undone; and then the file has it, which does not bring it back.
	expect_exit 0 "$dflyguard" --policy "$work/trial.conf" apply --confirm 3
	told 3 'waits for'
	cp "$work/trial.conf" "$policy_file"
	told 8 'policy +.*policy.conf was undone, since nobody confirmed it: it is not put in force'
	expect_no_text <(nft list set inet dflyguard clients_v4) '10.33.0.0/24'
	kill -HUP "$watcher"
	wait_until 3 guard plan || wrong "after SIGHUP it is not in force"
	expect_text <(nft list set inet dflyguard clients_v4) '10.33.0.0/24'
	# What watch put in force is what is remembered.
	expect_text "$STATE_DIRECTORY/current" '10.33.0.0/24'
	end
	mended
}
t "what waits to be confirmed is let alone, and what was undone stays so" confirms

lost_events() {
	begin --events --period 3600
	kill -STOP "$watcher"
	# Rules with long comments are long events; the listener has room for 32 MB.
	local i dropped=0 comment
	comment=$(printf '%0120d' 0)
	nft 'add table inet mine; add chain inet mine c'
	{
		echo 'flush chain inet mine c'
		for ((i = 0; i < 1500; i++)); do echo "add rule inet mine c tcp dport $i ip saddr 10.0.0.1 counter comment \"$comment\""; done
	} >"$work/many"
	for ((i = 0; i < 60 && dropped == 0; i++)); do
		nft -f "$work/many"
		dropped=$(awk '$2 == 12 && $4 != "00000000" { print $9 }' /proc/net/netlink)
	done
	[ "$dropped" -gt 0 ] || wrong "no event was lost (dropped: '$dropped')"
	nft insert rule inet dflyguard judge accept
	kill -CONT "$watcher"
	told 4 'drift +chain judge rule 1 should not be there'
	# And hears again.
	within 500 'drift +element of clients_v4 .*192.0.2.0/24.*by nft' \
		nft add element inet dflyguard clients_v4 '{ 192.0.2.0/24 }'
	end
	nft delete table inet mine
	mended
}
t "events that are lost mean: look" lost_events

# Reading under contention listens for a while; who watches without --events must not go on with that.
listeners() { awk '$2 == 12 && $4 != "00000000"' /proc/net/netlink | wc -l; }
contention() {
	# Long enough that no reading comes through undisturbed.
	environment "tls = required clients = { $(for ((i = 0; i < 20000; i++)); do printf '"10.%d.%d.1", ' $((i / 250)) $((i % 250)); done) }"
	guard --quiet apply
	begin
	local storms=() table deadline=$((SECONDS + 15)) seen=0
	for table in mine yours; do
		(while :; do nft "add table inet $table; delete table inet $table"; done) &
		storms+=($!)
	done
	while [ "$seen" = 0 ] && [ $SECONDS -lt $deadline ]; do seen=$(listeners); done
	kill "${storms[@]}"
	wait "${storms[@]}" 2>/dev/null
	[ "$seen" -gt 0 ] || wrong "no reading was disturbed"
	wait_until 4 eval '[ "$(listeners)" = 0 ]' || wrong "after the storm somebody listens on"
	within 2000 'drift +chain judge rule 1' nft insert rule inet dflyguard judge accept
	end
	mended
}
t "nothing listens on after contention" contention

journal() {
	mkdir -p /run/systemd/journal
	start "$work/journal" "$netprobe" hear /run/systemd/journal/socket
	begin --journal --events
	nft insert rule inet dflyguard judge accept
	told 2 'drift '
	told 2 '^DFLYGUARD_PROCESS_PID=[0-9]+$' "$work/journal"
	expect_text "$work/journal" '^MESSAGE=start  environment test' '^MESSAGE=drift  chain judge rule 1 should not be there: observed accept, by nft' \
		'^PRIORITY=2$' '^MESSAGE_ID=[0-9a-f]{32}$' '^SYSLOG_IDENTIFIER=dflyguard$' '^DFLYGUARD_EVENT=drift$' '^DFLYGUARD_ENVIRONMENT=test$' \
		'^DFLYGUARD_OBJECT=chain judge rule 1$' '^DFLYGUARD_OBSERVED=accept$' '^DFLYGUARD_POLICY=/.*policy.conf:[0-9]+$' '^DFLYGUARD_PROCESS=nft$'
	expect_no_text "$work/journal" EXPECTED
	end
	# Where stderr is the journal nobody need ask; and what is there once is not written twice.
	: >"$work/stream"
	: >"$work/journal"
	JOURNAL_STREAM=$(stat -c %d:%i "$work/stream") "$dflyguard" --policy "$policy_file" watch >>"$work/stream" 2>&1 &
	watcher=$!
	told 5 '^DFLYGUARD_EVENT=start$' "$work/journal"
	kill "$watcher"
	wait "$watcher" || wrong "exit status $?"
	expect_same "stdout" /dev/null "$work/stream"
	kill "$started"
	mended
}
t "the journal gets records with fields" journal

# The text format 0.0.4: names, labels, numbers; HELP and TYPE before each metric, whose lines stand together.
valid_metrics() { # valid_metrics FILE
	awk '
	function bad(text) { print "line " NR ": " text ": " $0; status = 1 }
	/^# HELP [a-zA-Z_:][a-zA-Z0-9_:]* ./ { if ($3 in helped) bad("again"); helped[$3] = 1; next }
	/^# TYPE [a-zA-Z_:][a-zA-Z0-9_:]* (counter|gauge)$/ { if (!($3 in helped)) bad("no HELP"); typed[$3] = $4; last = $3; next }
	/^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\["\\n])*"(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\["\\n])*")*\})? [0-9]+$/ {
		name = $0; sub(/[{ ].*/, "", name)
		if (name != last) bad("not together with its TYPE")
		if (typed[name] == "counter" && name !~ /_total$/) bad("a counter that is not called _total")
		key = $0; sub(/ [0-9]+$/, "", key)
		if (key in seen) bad("twice"); seen[key] = 1; next }
	{ bad("not understood") }
	END { if (!length(seen)) { print "empty"; status = 1 } exit status }' "$1" >"$work/invalid" ||
		wrong "metrics: $(cat "$work/invalid")"
}
metrics() {
	local file=$work/metrics.prom now
	begin --metrics "$file"
	valid_metrics "$file"
	expect_text "$file" '^dflyguard_conforming 1$' '^dflyguard_drift\{kind="add"\} 0$' '^dflyguard_heals_total 0$' \
		'^dflyguard_policy_info\{environment="test",fingerprint="[0-9a-f]{16}",path="/.*policy.conf"\} 1$' \
		'^dflyguard_refused_packets_total\{reason="plaintext"\} 0$' '^dflyguard_findings\{severity="critical",outcome="fail"\} 0$'
	expect_equal "mode of the file" 644 "$(stat -c %a "$file")"
	now=$(sed -n 's/^dflyguard_last_full_look_timestamp_seconds //p' "$file")
	[ $(($(date +%s) - now)) -le 5 ] || wrong "the last look was at $now"
	nft insert rule inet dflyguard judge accept
	told 3 'drift'
	wait_until 2 grep -q '^dflyguard_conforming 0$' "$file" || wrong "the metrics do not tell of drift"
	expect_text "$file" '^dflyguard_drift\{kind="remove"\} 1$' '^dflyguard_findings\{severity="critical",outcome="fail"\} 1$'
	end
	[ ! -e "$file.new" ] || wrong "a temporary file stays"
	rm "$file"
	expect_exit 1 guard audit --metrics "$file"
	valid_metrics "$file"
	expect_text "$file" '^dflyguard_conforming 0$' '^dflyguard_drift\{kind="remove"\} 1$'
	expect_no_text "$file" heals
	mended
	expect_exit 0 guard audit --metrics "$file"
	expect_text "$file" '^dflyguard_conforming 1$'
	expect_exit 2 guard audit --metrics "$work/none/x.prom"
	expect_text "$errors" 'cannot write the metrics to .*/none/x.prom: No such file'
	begin --metrics "$work/none/x.prom"
	expect_text "$events" 'trouble +cannot write the metrics'
	mkdir "$work/none"
	kill -HUP "$watcher"
	told 3 'resolved +no more of this: cannot write the metrics'
	end
}
t "metrics are valid, and true" metrics

silent() {
	environment "$settings handshake_timeout = 1"
	serve host tcp :: 6380
	serve host tcp :: 7777
	begin --heal
	local from spoken quiet quiet6 other line
	exec {spoken}<>/dev/tcp/127.0.0.1/6380 {other}<>/dev/tcp/127.0.0.1/7777
	echo hello >&"$spoken"
	read -r -t 5 line <&"$spoken"
	expect_equal "what the server says" hello "$line"
	from=$(milliseconds)
	exec {quiet}<>/dev/tcp/127.0.0.1/6380 {quiet6}<>/dev/tcp/::1/6380
	read -r -t 5 line <&"$quiet" 2>/dev/null && wrong "a silent connection was answered"
	[ $? -le 128 ] || wrong "a silent connection lives after 5 s"
	read -r -t 1 line <&"$quiet6" 2>/dev/null
	[ $? -le 128 ] || wrong "a silent connection of IPv6 lives"
	[ $(($(milliseconds) - from)) -ge 1000 ] || wrong "ended after $(($(milliseconds) - from)) ms already"
	told 2 'ended +[12] connections? received nothing within 1 s, and (was|were) ended'
	# Whoever has spoken, and whoever is none of ours, stays.
	for from in "$spoken" "$other"; do
		echo again >&"$from"
		line=
		read -r -t 5 line <&"$from"
		expect_equal "an answer" again "$line"
	done
	exec {spoken}>&- {other}>&- {quiet}>&- {quiet6}>&-
	expect_no_text "$events" 'watch.handshake'
	end
	# Nobody asked it to change anything.
	begin
	exec {quiet}<>/dev/tcp/127.0.0.1/6380
	read -r -t 2.5 line <&"$quiet"
	[ $? -gt 128 ] || wrong "a silent connection was ended without --heal"
	exec {quiet}>&-
	end
	mended
}
t "connections to a TLS port that say nothing are ended, with --heal" silent

service_manager() {
	start "$work/notified" "$netprobe" hear "$work/notify"
	: >"$events"
	NOTIFY_SOCKET=$work/notify WATCHDOG_USEC=400000 "$dflyguard" --policy "$policy_file" watch >"$events" &
	watcher=$!
	told 10 '^READY=1$' "$work/notified"
	# A server of the last case, which is not Dragonfly, may still be there.
	expect_text "$work/notified" "^STATUS=environment test: the kernel's table is what the policy says(; 1 failed check)?$"
	# Before it has looked it is not ready.
	[ "$(grep -n '^READY' "$work/notified" | cut -d: -f1)" -gt "$(grep -n '^STATUS' "$work/notified" | cut -d: -f1)" ] ||
		wrong "ready before the first look: $(cat "$work/notified")"
	wait_until 3 eval '[ "$(grep -c "^WATCHDOG=1$" "$work/notified")" -ge 4 ]' || wrong "no sign of life: $(cat "$work/notified")"
	nft insert rule inet dflyguard judge accept
	told 3 '^STATUS=environment test: 1 difference from the policy$' "$work/notified"
	kill -HUP "$watcher"
	wait_until 3 eval '[ "$(grep -c "^READY=1$" "$work/notified")" = 2 ]' || wrong "not ready after a reload"
	expect_text "$work/notified" '^RELOADING=1$' '^MONOTONIC_USEC=[0-9]+$'
	kill -TERM "$watcher"
	wait "$watcher" || wrong "exit status $?"
	told 2 '^STOPPING=1$' "$work/notified"
	kill "$started"
	# The watchdog of another process is not ours.
	rm "$work/notify"
	start "$work/notified" "$netprobe" hear "$work/notify"
	NOTIFY_SOCKET=$work/notify WATCHDOG_USEC=100000 WATCHDOG_PID=1 "$dflyguard" --policy "$policy_file" watch >"$events" &
	watcher=$!
	told 10 '  start  '
	nft add element inet dflyguard clients_v4 '{ 192.0.2.0/24 }'
	told 3 '192.0.2.0/24'
	kill -TERM "$watcher"
	wait "$watcher"
	expect_no_text "$work/notified" WATCHDOG
	kill "$started"
	mended
}
t "the service manager is told: ready, alive, reloading, stopping, and how it is" service_manager

usage() {
	expect_exit 2 guard watch --period 0
	expect_exit 2 guard watch --full-every x
	expect_exit 2 guard plan --events
	expect_text "$errors" 'does not take --'
	expect_exit 2 "$dflyguard" --policy "$work/nothing" watch
	echo 'environment' >"$work/bad.conf"
	expect_exit 2 "$dflyguard" --policy "$work/bad.conf" watch --heal
	if command -v setpriv >/dev/null && setpriv --bounding-set=-all --inh-caps=-all true 2>/dev/null; then
		expect_exit 2 setpriv --bounding-set=-all --inh-caps=-all "$dflyguard" --policy "$policy_file" watch
		expect_text "$errors" 'Operation not permitted'
	fi
	# Nobody reads: without other work it ends.
	timeout 5 "$dflyguard" --policy "$policy_file" watch | head -n 1 >"$work/one"
	expect_equal "exit status without a reader" "0 0" "${PIPESTATUS[*]}"
}
t "usage, and what cannot begin" usage
finish
