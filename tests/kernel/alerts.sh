#!/bin/bash
# watch and attacks: a silent server keeps nobody from healing; the server's log is followed through rotation,
# truncation and floods; failed logins, failed handshakes and refused packets raise alerts, and with --heal bans.
. "$(dirname "$0")/../lib/guard.sh"
network
# The peer that attacks is one of the policy's clients.
pretend=$build/tests/kernel/pretend
cp "$pretend" "$work/dragonfly"
chmod 755 "$work" "$work/dragonfly"
logs=$work/log
mkdir -p "$logs"
chmod 755 "$logs"
events=$work/events
printf 'sesame\n' >"$work/password"
flagfile=$work/dragonfly.flags
server= watcher=

alert_policy() { # alert_policy TEXT...: without TLS, which is another test's
	policy <<-END
		default_environment = test
		service { port = 6379 flagfile = "$flagfile" unit = "df.service" }
		environment test {
			tls = off clients = {"10.20.0.0/24", "10.66.0.9"} server = optional bind = {"10.20.0.5"}
			$*
		}
	END
}
dragonfly() { # dragonfly [OPTION...]: a process of that name, which writes no log itself
	PRETEND='10.20.0.5,6379' "$work/dragonfly" --bind=10.20.0.5 --requirepass=hush "$@" >"$work/server.out" 2>&1 &
	server=$!
	wait_until 5 grep -q ready "$work/server.out" || wrong "dragonfly: $(cat "$work/server.out")"
	warnings=$logs/dragonfly.host.user.log.WARNING.20261126-100000.$server.log
	information=$logs/dragonfly.host.user.log.INFO.20261126-100000.$server.log
}
begin() { # begin OPTION...
	: >"$events"
	"$dflyguard" --policy "$policy_file" watch "$@" >"$events" 2>"$events.errors" &
	watcher=$!
	wait_until 10 grep -q '  start  ' "$events" || wrong "watch did not start: $(cat "$events" "$events.errors")"
}
end() { # what was started is ended; the watch without failure
	local status=0
	if [ -n "$watcher" ]; then
		kill "$watcher"
		wait "$watcher" || status=$?
		expect_equal "exit status of watch" 0 "$status"
	fi
	[ -z "$server" ] || { kill "$server"; wait "$server" 2>/dev/null; }
	server= watcher=
	rm -f "$logs"/*
}
told() { # told SECONDS PATTERN
	wait_until "$1" grep -qE -- "$2" "$events" && return
	wrong "within $1 s nothing tells /$2/:"
	tail -n 15 "$events"
}
line() { # line SEVERITY FILE:LINE TEXT: as glog writes it
	printf '%s20261126 10:00:01.355903 30046 %s] %s\n' "$1" "$2" "$3"
}
failed() { line W main_service.cc:1737 ' AUTH failed with reason: -WRONGPASS invalid username-password pair or user is disabled.'; }
handshake() { # handshake ADDRESS
	line I dragonfly_connection.cc:1098 "[7] Error handshaking Connection reset by peer, socket state: State: ESTABLISHED, Local: 10.20.0.5:6380, Remote: $1:41000, Inode: 4711"
}

silent() {
	alert_policy
	apply
	SILENT=1 dragonfly "--log_dir=$logs"
	begin --heal
	# What is asked takes seconds, since nobody answers; meanwhile what is undone is healed.
	nft 'delete table inet dflyguard'
	told 3 'healed +[0-9]+ differences put back'
	expect_no_text "$events" 'auth\.open'
	told 60 'finding +unknown auth.open: .*'
	# What was told once is not told again, and nothing before it was known.
	expect_no_text "$events" 'nobody asked'
	end
}
t "a server that says nothing keeps watch from nothing" silent

follows() {
	alert_policy 'alert { on = auth-failures count = 3 within = 60s } alert { on = tls-errors count = 3 within = 60s }'
	apply
	dragonfly "--log_dir=$logs"
	# What was there before is not new.
	{ failed; failed; failed; failed; } >"$warnings"
	: >"$information"
	begin
	{ failed; failed; } >>"$warnings"
	line I listener_interface.cc:102 'sock[8] AcceptServer - listening on 10.20.0.5:6379' >>"$information"
	told 5 "log +dragonfly $server listens on 10.20.0.5:6379"
	expect_no_text "$events" '  alert  '
	# A line that is not whole yet.
	failed | head -c 40 >>"$warnings"
	line W dfly_main.cc:1 'Protected mode enabled: bind' >>"$information"
	line I dfly_main.cc:1 'Exiting on signal Terminated' >>"$information"
	told 5 "log +dragonfly $server ends"
	expect_no_text "$events" 'protected mode'
	failed | tail -c +41 >>"$warnings"
	told 5 'alert +3 failed logins within 60 s  .*policy.conf:5$'
	for _ in 1 2 3; do handshake 10.66.0.77; done >>"$information"
	told 5 'alert +3 failed handshakes from 10.66.0.77 within 60 s  .*policy.conf:5$'
	# Secrets in it stay there.
	line W main_service.cc:1737 ' HELLO 3 AUTH admin hunter2 failed with reason: -WRONGPASS no' >>"$warnings"
	line W main_service.cc:1737 ' CONFIG SET requirepass hunter2 failed with reason: no' >>"$warnings"
	told 5 'log +dragonfly [0-9]+ refused a setting: CONFIG SET requirepass$'
	expect_no_text "$events" 'hunter2'
	end
}
t "the log is followed from its end, line by whole line" follows

rotates() {
	alert_policy 'alert { on = auth-failures count = 3 within = 60s }'
	apply
	dragonfly "--log_dir=$logs"
	for _ in $(seq 20); do failed; done >"$warnings"
	begin
	# One in the old file, which then is gone; one in the new; one after it was cut short.
	failed >>"$warnings"
	local new=${warnings/-100000/-110000}
	failed >"$new"
	rm "$warnings"
	told 5 "log +.*-110000.$server.log is followed now, in place of .*-100000.$server.log"
	for _ in $(seq 20); do line W a.cc:1 'nothing of interest'; done >>"$new"
	wait_until 5 eval 'sleep 1.2' # a look, at which it is read
	: >"$new"
	told 5 "log +.*-110000.$server.log was cut short, from [0-9]+ bytes to 0"
	failed >>"$new"
	told 5 'alert +3 failed logins within 60 s'
	# Written anew and longer between two looks: seen by what stood in front.
	for _ in $(seq 5); do line W b.cc:1 'another one, of the same name and place'; done >"$work/anew"
	cat "$work/anew" >"$new"
	told 5 "log +.*-110000.$server.log was written anew: it is read from its beginning"
	end
}
t "rotation, removal, truncation: nothing is lost" rotates

floods() {
	alert_policy 'alert { on = auth-failures count = 50000 within = 1h }'
	apply
	dragonfly "--log_dir=$logs"
	: >"$warnings"
	begin --metrics "$work/m.prom"
	# All are counted: 60,000 lines, several looks' worth.
	yes "$(failed)" | head -n 60000 >>"$warnings"
	wait_until 20 grep -q '^dflyguard_server_log_events_total{event="auth-failure"} 60000$' "$work/m.prom" ||
		wrong "$(grep log_events "$work/m.prom")"
	told 5 'alert +[56][0-9]{4} failed logins within 3600 s'
	expect_equal "alerts" 1 "$(grep -c '  alert  ' "$events")"
	# More than may be read is passed over, and that is told.
	truncate -s +80M "$warnings"
	told 10 'log +.*: [0-9]+ bytes were passed over'
	# One line that is longer than a look.
	echo >>"$warnings"
	head -c 3000000 /dev/zero | tr '\0' x >>"$warnings"
	echo >>"$warnings"
	told 20 'log +.*: 1 line is too long to be read'
	end
}
t "a flood is read in parts, or passed over with a word" floods

# Servers that have ACL LOG: with the sources.
wrong_password() { # wrong_password NS ADDRESS TIMES
	local i
	for ((i = 0; i < $3; i++)); do inside "$1" timeout 2 redis-cli -h 10.20.0.5 --user app --pass "guess$i" ping; done >/dev/null 2>&1
}
denied() {
	alert_policy "monitor_password_file = \"$work/password\"
			alert { on = auth-failures count = 3 within = 60s ban = 10m }
			alert { on = acl-denials count = 2 within = 60s }"
	apply
	redis host 6379 0 --bind 10.20.0.5 127.0.0.1 --requirepass sesame --user limited on '>other' '~*' +ping +hello
	# What was before watch is not its business.
	wrong_password allowed 10.20.0.10 5
	begin --heal --metrics "$work/m.prom"
	# Once to look at the server, and once as to who failed before.
	wait_until 15 eval 'timeout 2 redis-cli -h 127.0.0.1 --no-auth-warning -a sesame info commandstats | grep -q "acl|log:calls=[2-9]"' ||
		wrong "nobody asked for ACL LOG"
	wrong_password allowed 10.20.0.10 2
	for _ in 1 2; do inside allowed timeout 2 redis-cli -h 10.20.0.5 --user limited --pass other get x; done >/dev/null 2>&1
	told 15 'alert +2 commands that the ACL denies from 10.20.0.10 within 60 s  '
	expect_no_text "$events" 'failed login'
	wrong_password allowed 10.20.0.10 1
	told 15 'alert +3 failed logins from 10.20.0.10 within 60 s; banned for 600 s  .*policy.conf:6$'
	expect_text <(guard status) '10\.20\.0\.10'
	expect_traffic <<-END
		allowed@10.20.0.10 10.20.0.5 6379 ping timeout
		allowed@10.20.0.11 10.20.0.5 6379 ping passes
	END
	# A ban is no drift.
	expect_exit 0 guard plan
	# Whom the policy protects is told of, and not banned.
	wrong_password host 10.20.0.5 3
	told 15 'alert +3 failed logins from 10.20.0.5 within 60 s; not banned: .*10.20.0.5 cannot be banned: .* bind'
	wait_until 15 grep -q '^dflyguard_alert_bans_total 1$' "$work/m.prom" || wrong "$(grep bans "$work/m.prom")"
	wait_until 15 grep -q '^dflyguard_alerts_total{on="auth-failures"} 2$' "$work/m.prom" || wrong "$(grep alerts "$work/m.prom")"
	guard unban --all >/dev/null || wrong "cannot unban"
	kill "$redis"
	end
}
if command -v redis-check-rdb >/dev/null; then
	t "failed logins by ACL LOG: whose they are, and a ban" denied
else
	t "failed logins by ACL LOG: whose they are, and a ban" skip "redis-tools is not installed"
fi

refused() {
	alert_policy 'alert { on = refused count = 5 within = 60s ban = 5m }'
	apply
	serve host tcp 10.20.0.5 6379
	"$dflyguard" --policy "$policy_file" --format json watch --heal >"$events" &
	watcher=$!
	told 10 '"event": "start"'
	for _ in 1 2 3 4 5 6; do
		inside outside "$netprobe" ping 10.66.0.5 6379 100 >/dev/null 2>&1
		inside outside timeout 0.3 redis-cli -h 10.66.0.5 ping >/dev/null 2>&1
	done
	told 15 '"event": "alert", "message": "[0-9]+ refused packets from 10.66.0.10 within 60 s; banned for 300 s".*"alert": \{"on": "refused", "source": "10.66.0.10", "count": [0-9]+, "within": 60, "ban": 300, "banned": true, "not_banned": null\}\}$'
	expect_text <(guard status) '10\.66\.0\.10'
	end
}
t "packets that the firewall refused: whose they are, and a ban" refused

finish
