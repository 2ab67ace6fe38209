#!/bin/bash
# The log: each refused packet is told with its reason and its addresses, as it happens; what is lost is counted; it ends
# when it should, and says why it cannot begin.
. "$(dirname "$0")/../lib/guard.sh"
network
environment 'tls = required clients = {"10.20.0.0/24", "2001:db8:20::/64"}'

# Where refused packets come from: rules that log as those of our table do.
log_rules() { # log_rules [GROUP]
	nft -f - <<-END
		table inet logging
		delete table inet logging
		table inet logging {
			counter logged { }
			chain prerouting {
				type filter hook prerouting priority -150;
				tcp dport 6379 counter name logged log prefix "dflyguard source" group ${1:-6379} snaplen 128 drop
				tcp dport 6380 @ih,0,8 >= 0 log prefix "dflyguard plaintext" group ${1:-6379} snaplen 128 reject with tcp reset
				tcp dport 9999 counter name logged log prefix "dflyguard state" group ${1:-6379} snaplen 128 drop
				tcp dport 9998 log prefix "somebody else" group ${1:-6379} drop
			}
		}
	END
}
log_rules
serve host tcp :: 6380 || exit 1

shown=$work/shown
notes=$work/notes
hears() { grep -q 'waiting for refused packets' "$notes"; }
follow() { # follow OPTION...: the log in the background, its process in $log; it hears when this returns
	: >"$notes" # before the process: what is waited for must not be that of the last one
	"$dflyguard" --policy "$policy_file" log "$@" >"$shown" 2>"$notes" &
	log=$!
	wait_until 10 hears || wrong "the log did not begin: $(cat "$notes")"
}
shows() { # shows PATTERN...: soon
	local pattern
	for pattern; do
		wait_until 10 grep -qE -- "$pattern" "$shown" && continue
		wrong "expected /$pattern/, shown: $(cat "$shown" "$notes")"
	done
}
ends() { # ends STATUS [SIGNAL]: by itself, or by a signal
	local status=0
	[ $# -eq 1 ] || kill "-$2" "$log"
	wait_until 10 gone "$log" || { wrong "the log does not end"; kill -KILL "$log"; }
	wait "$log" || status=$?
	expect_equal "exit status of the log" "$1" "$status"
}
gone() { # it has ended, whether or not its parent knows
	local state
	state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
	[ "${state:-Z}" = Z ]
}
refused() { # refused NS SOURCE PORT [COUNT]: SYNs from there to port PORT of the host
	local to=10.20.0.5
	"$netprobe" raw "$1" "$2" "$to" "$3" 0x02 "${4:-1}"
}

addresses() {
	follow --follow
	inside outside nc -w 1 -s 10.66.0.11 -p 40001 10.66.0.5 6379
	inside allowed nc -w 1 -s 2001:db8:20::11 -p 40002 2001:db8:20::5 6379
	shows '^[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{3}  source       10\.66\.0\.11:40001      -> 10\.66\.0\.5:6379        no list of the policy names the source$' \
		'  source       \[2001:db8:20::11\]:40002 -> \[2001:db8:20::5\]:6379  no list of the policy names the source$'
	ends 0 TERM
	expect_text "$notes" '^dflyguard: [0-9]+ refused packets shown, 0 notices lost$'
}
t "refused connections are shown with reason and addresses, in IPv4 and IPv6" addresses

verbose() {
	follow --verbose --count 1
	refused outside 10.66.0.10 6379
	shows '^20[0-9]{2}-[0-9]{2}-[0-9]{2} .*  on out0  flags syn  40 B$'
	ends 0
}
t "with --verbose the day, the interface, flags and length" verbose

plaintext() {
	follow --follow --reason plaintext
	local address
	for address in 10.20.0.5 2001:db8:20::5; do
		printf 'PING\r\n\033[2J"\\' | inside allowed nc -w 2 "$address" 6380 >/dev/null 2>&1
	done
	shows '  plaintext    10\.20\.0\.10:[0-9]+ .*-> 10\.20\.0\.5:6380 +begins with "PING\\r\\n\\x1b\[2J\\"\\\\"$' \
		'  plaintext    \[2001:db8:20::1[01]\]:[0-9]+ -> \[2001:db8:20::5\]:6380  begins with "PING'
	ends 0 TERM
	expect_equal "escape characters" 0 "$(tr -cd '\033' <"$shown" | wc -c)"
}
t "the first bytes of what is no TLS are shown, and do nothing to a terminal" plaintext

json() {
	follow --format json --count 3
	refused outside 10.66.0.10 6379
	refused outside 10.66.0.11 9999
	printf 'GET / HTTP/1.1\r\n' | inside allowed nc -w 2 10.20.0.5 6380 >/dev/null 2>&1
	ends 0
	[ "$(wc -l <"$shown")" = 3 ] || wrong "expected three lines, seen: $(cat "$shown")"
	expect_equal "lines that are no object" 0 "$(grep -vcE '^\{"schema": 1, .*\}$' "$shown")"
	expect_text "$shown" '"command": "log", "version": "[0-9.]+", "environment": "test", "time": "20[0-9-]{8}T[0-9:]{8}\.[0-9]{3}Z", "reason": "source", "source": "10\.66\.0\.10", "source_port": [0-9]+, "destination": "10\.20\.0\.5", "port": 6379, "flags": "syn", "length": 40, "payload": null, "interface": "out0", "lost": 0\}$' \
		'"reason": "state", "source": "10\.66\.0\.11"' '"payload": "GET / HTTP/1\.1\\\\r\\\\n", "interface": "alw0"'
	# The packet's own time, to the second.
	local now seen
	now=$(date +%s)
	seen=$(date -d "$(sed -n '1s/.*"time": "\([^"]*\)".*/\1/p' "$shown")" +%s)
	[ $((now - seen)) -ge 0 ] && [ $((now - seen)) -le 5 ] || wrong "the time is $((now - seen)) seconds ago"
}
t "JSON: one object a line, with all of it" json

filtered() {
	follow --follow --reason state
	refused outside 10.66.0.10 6379
	refused outside 10.66.0.10 9998
	refused outside 10.66.0.10 9999
	shows '  state  '
	ends 0 TERM
	expect_equal "lines" 1 "$(wc -l <"$shown")"
	expect_text "$notes" "^dflyguard: 1 refused packet shown, 1 for other reasons not, 1 of somebody else's rules skipped, 0 notices lost$"
}
t "--reason shows only that, skips what somebody else logs, and says so" filtered

ten() {
	follow
	refused outside 10.66.0.10 6379 12
	ends 0
	expect_equal "lines" 10 "$(wc -l <"$shown")"
}
t "without --follow it ends after ten" ten

# A reader that sleeps while the kernel goes on: its buffer overflows. Each packet is shown or counted.
stopped() { grep -q '^State:.T' "/proc/$log/status"; }
flood() {
	follow --follow
	log_rules # the counter begins at 0; the group is the same
	kill -STOP "$log"
	wait_until 10 stopped || wrong "it does not stop"
	refused outside 10.66.0.10 6379 60000
	kill -CONT "$log"
	wait_until 10 grep -q ' source ' "$shown"
	# What was lost is known when the next packet comes; the buffer must be empty for it to get there.
	wait_until 20 after_flood || wrong "no packet got through after the flood"
	wait_until 10 all_told || wrong "$(nft list counter inet logging logged), shown $(grep -c ' -> ' "$shown"), lost $(lost)"
	ends 0 TERM
	[ "$(lost)" -gt 0 ] || wrong "nothing was lost: $(cat "$notes")"
	expect_equal "lost, in the end" "$(lost)" "$(sed -nE 's/.*, ([0-9,]+) notices? lost$/\1/p' "$notes" | tr -d ,)"
}
lost() { # as told line by line, where it is missing
	sed -nE 's/.*  ([0-9,]+) notices? lost: .*/\1/p' "$shown" | tr -d , | awk '{ n += $1 } END { print n + 0 }'
}
all_told() { # all_told: what the rules logged was shown or is lost
	local total
	total=$(nft list counter inet logging logged | sed -n 's/.*packets \([0-9]*\) .*/\1/p')
	[ "$(($(grep -c ' -> ' "$shown") + $(lost)))" = "$total" ]
}
after_flood() {
	refused outside 10.66.0.11 9999
	grep -q ' state  .*10\.66\.0\.11' "$shown"
}
t "a flood that it cannot follow: what is lost is counted, to the packet" flood

flood_of_others() {
	follow --follow --reason state
	kill -STOP "$log"
	wait_until 10 stopped || wrong "it does not stop"
	refused outside 10.66.0.10 6379 60000
	kill -CONT "$log"
	wait_until 10 drained || wrong "it does not read"
	# The gap is in front of a packet that is not shown, and is told with the next one that is.
	refused outside 10.66.0.10 6379
	refused outside 10.66.0.10 9999
	shows ' state '
	ends 0 TERM
	[ "$(lost)" -gt 0 ] || wrong "nothing was lost: $(cat "$shown" "$notes")"
	expect_equal "lost, in the end" "$(lost)" "$(sed -nE 's/.*, ([0-9,]+) notices? lost$/\1/p' "$notes" | tr -d ,)"
}
drained() { # the queue of its only socket is empty
	[ "$(awk -v port="$log" '$2 == 12 && $3 == port { print $5 }' /proc/net/netlink)" = 0 ]
}
t "a flood of what is not asked for: what is lost is told with what is" flood_of_others

flood_at_the_end() {
	follow --follow
	kill -STOP "$log"
	wait_until 10 stopped || wrong "it does not stop"
	refused outside 10.66.0.10 6379 60000
	kill -CONT "$log"
	wait_until 10 grep -q ' source ' "$shown"
	ends 0 TERM
	# Nobody knows how many, since nothing came behind them.
	expect_text "$notes" '^dflyguard: [0-9,]+ refused packets shown, at least [1-9][0-9,]* notices? lost$'
}
t "a flood at the end: how much of it was lost nobody knows, and it says so" flood_at_the_end

taken() {
	follow --follow
	expect_exit 2 guard log
	expect_text "$errors" 'NFLOG group 6379 is read by another process already' 'to mend it: .*log_group'
	expect_exit 2 guard --format json log
	expect_text "$out" '^\{"schema": 1, "command": "log", .*"message": "NFLOG group 6379 is read by another process'
	ends 0 TERM
	# And free again.
	follow --follow
	ends 0 TERM
}
t "a group that somebody else reads: exit 2, and how to go on" taken

dropped() {
	expect_exit 2 setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$dflyguard" --policy "$policy_file" log
	expect_text "$errors" 'Operation not permitted' 'to mend it: .*CAP_NET_ADMIN'
}
t "without CAP_NET_ADMIN: exit 2, and what is missing" dropped

library() {
	local file
	file=$(ldconfig -p | sed -n 's/.*libnetfilter_log\.so\.1 .*=> //p' | head -n 1)
	[ -e "$file" ] || { skip "libnetfilter_log.so.1 was not found"; return; }
	expect_exit 0 ldd "$dflyguard"
	expect_no_text "$out" 'netfilter_log|nfnetlink'
	mount --bind /dev/null "$file" || { skip "cannot mount here"; return; }
	expect_exit 2 guard log
	expect_text "$errors" 'libnetfilter_log\.so\.1' 'to mend it: .*apt-get install libnetfilter-log1'
	expect_exit 1 guard plan
	umount "$file"
}
t "without libnetfilter_log: exit 2, and what to install; nobody else misses it" library

signals() {
	follow --follow
	ends 0 TERM
	expect_text "$notes" '^dflyguard: 0 refused packets shown, 0 notices lost$'
	# What runs in the background of a script is started with Ctrl-C ignored, and keeps to that.
	follow --follow
	kill -INT "$log"
	refused outside 10.66.0.10 6379
	shows ' source '
	ends 0 TERM
	: >"$notes"
	env --default-signal=INT "$dflyguard" --policy "$policy_file" log --follow >"$shown" 2>"$notes" &
	log=$!
	wait_until 10 hears
	ends 0 INT
}
t "SIGTERM and SIGINT end it, with exit status 0 and a sum" signals

reader_gone() {
	local option
	for option in '' '--format json'; do
		: >"$notes"
		# shellcheck disable=SC2086 # one word or two
		{ "$dflyguard" --policy "$policy_file" $option log --follow 2>"$notes"; echo $? >"$work/status"; } |
			head -n 1 >"$shown" &
		log=$!
		wait_until 10 hears || wrong "the log did not begin"
		refused outside 10.66.0.10 6379
		# No second packet: that nobody reads any more is seen without one.
		wait_until 10 gone "$log" || wrong "head does not end"
		wait_until 10 test -s "$work/status" || wrong "the log does not end"
		expect_equal "exit status" 0 "$(cat "$work/status")"
		expect_equal lines 1 "$(wc -l <"$shown")"
		expect_no_text "$notes" 'cannot|shown'
		rm -f "$work/status"
	done
}
t "'| head -n 1' ends it, quietly" reader_gone

no_room() {
	: >"$notes"
	"$dflyguard" --policy "$policy_file" log --follow >/dev/full 2>"$notes" &
	log=$!
	wait_until 10 hears
	refused outside 10.66.0.10 6379
	ends 2
	expect_text "$notes" 'cannot write the result: No space left'
}
t "a disk that is full: exit 2" no_room

in_force() {
	follow --follow
	expect_text "$notes" 'nothing is refused at present: there is no table inet dflyguard'
	ends 0 TERM
	apply
	follow --follow
	expect_no_text "$notes" 'nothing is refused'
	ends 0 TERM
	nft 'add table inet dflyguard { flags dormant; }'
	follow --follow
	expect_text "$notes" 'nothing is refused at present: table inet dflyguard is dormant'
	ends 0 TERM
	nft 'delete table inet dflyguard'
	# shellcheck disable=SC2016 # expanded inside
	expect_exit 0 bash -c 'timeout 20 "$1" --policy "$2" --quiet log | :; exit "${PIPESTATUS[0]}"' sh "$dflyguard" "$policy_file"
	expect_equal "errors with --quiet" '' "$(cat "$errors")"
}
t "where nothing is in force it says so, and waits" in_force

group() {
	policy <<-END
		service { log_group = 77 }
		environment a { tls = off clients = {} }
		environment b { tls = off clients = {} log = none }
	END
	log_rules 77
	follow --count 1 --format json
	refused outside 10.66.0.10 6379
	ends 0
	# None need be chosen, and none is told.
	expect_text "$shown" '"environment": null,'
	expect_exit 2 guard --environment b log
	expect_text "$errors" 'log = none'
	# Without a policy the usual group.
	log_rules
	: >"$notes"
	"$dflyguard" log --count 1 >"$shown" 2>"$notes" &
	log=$!
	wait_until 10 hears || wrong "the log did not begin: $(cat "$notes")"
	refused outside 10.66.0.10 6379
	ends 0
	expect_equal lines 1 "$(wc -l <"$shown")"
}
t "the group is the policy's; without a policy it is 6379" group
real_table() { # and so does the table itself
	nft delete table inet logging
	environment 'tls = required log = all bind = {"10.20.0.5", "2001:db8:20::5"} clients = {"10.20.0.0/24", "2001:db8:20::/64"}'
	apply
	follow --follow
	refused outside 10.66.0.10 6379
	printf 'PING\r\n' | inside allowed timeout 5 nc -N 10.20.0.5 6380 >/dev/null
	printf 'GET / HTTP/1.1\r\n' | inside allowed timeout 5 nc -N 2001:db8:20::5 6380 >/dev/null
	inside allowed timeout 5 nc -z 10.20.0.5 6379
	inside allowed timeout 0.3 nc -z 10.20.0.6 6380
	shows ' source  .*10\.66\.0\.10.*10\.20\.0\.5:6379' ' plaintext .*10\.20\.0\.10.*:6380.*"PING' \
		' plaintext .*2001:db8:20::1[01].*:6380.*"GET /' ' closed .*:6379' ' address .*10\.20\.0\.6:6380'
	ends 0 TERM
}
t "the table itself: strangers, plaintext with its first bytes, closed ports, other addresses" real_table
finish
