#!/bin/bash
# What listens, as audit and watch judge it: wildcards of every kind, addresses and ports that the policy does not name,
# strangers and containers, what the server was told and what it does; and nobody's file is read for somebody else.
. "$(dirname "$0")/../lib/guard.sh"
ip link set lo up
# Addresses of this host; 93.184.216.34 is one that the Internet routes to.
for address in 10.20.0.5 10.20.0.6 10.66.0.5 93.184.216.34; do ip address add "$address/32" dev lo; done
pretend=$build/tests/kernel/pretend
flagfile=$work/dragonfly.flags
chmod 755 "$work"
for name in dragonfly docker-proxy nginx memcached; do cp "$pretend" "$work/$name" && chmod 755 "$work/$name"; done
servers=()

bind_policy() { # bind_policy TEXT...: the usual one, with a flagfile of the test's own
	policy <<-END
		default_environment = test
		service { port = 6379 tls_port = 6380 admin_port = 9999 memcached_port = 11211 flagfile = "$flagfile" unit = "df.service" }
		environment test { tls = optional clients = {"10.20.0.0/24"} admins = {"10.20.0.0/24"} $* }
	END
}
flags() { # flags LINE...: what the flagfile says
	printf '%s\n' "$@" >"$flagfile"
	chmod 644 "$flagfile"
}
run_as() { # run_as NAME SOCKETS [ARGUMENT...]: a server of that name
	local name=$1 sockets=$2
	shift 2
	: >"$work/$name.out"
	PRETEND=$sockets "$work/$name" "$@" >"$work/$name.out" 2>&1 &
	server=$!
	servers+=("$server")
	wait_until 5 grep -q ready "$work/$name.out" || wrong "$name: $(cat "$work/$name.out")"
}
dragonfly() { # dragonfly SOCKETS [ARGUMENT...]
	local sockets=$1
	shift
	[ $# -ne 0 ] || set -- "--flagfile=$flagfile"
	run_as dragonfly "$sockets" "$@"
}
real() { # real NAME OPTION...: a real server, under that name
	local name=$1
	shift
	# Debian's redis-tools holds the server's binary under another name; it looks at the name it is started by.
	mkdir -p "$work/real"
	ln -sf "$(command -v redis-check-rdb)" "$work/real/$name"
	"$work/real/$name" --port 6379 --protected-mode no --save '' "$@" >"$work/real.out" 2>&1 &
	server=$!
	servers+=("$server")
	wait_until 5 redis-cli -h 10.20.0.5 ping >/dev/null || wrong "$name does not answer: $(cat "$work/real.out")"
}
stop() {
	[ ${#servers[@]} -eq 0 ] && return
	kill "${servers[@]}"
	wait "${servers[@]}" 2>/dev/null
	servers=()
}
row() { # row PORT ADDRESS HOLDER VERDICT: a line of audit's table
	expect_text "$out" "^  $1 +$2 +$3 +$4\$"
}
standard='bind = {"10.20.0.5"} admin_bind = {"10.20.0.6"}'
good=(--port=6379 --bind=10.20.0.5 --requirepass=hush)
bind_policy "$standard"
apply

as_it_should_be() {
	flags "${good[@]}" --admin_port=9999 --admin_bind=10.20.0.6 --memcached_port=11211
	dragonfly '10.20.0.5,6379 10.20.0.6,9999 10.20.0.5,11211'
	expect_exit 0 guard audit --fail-on info
	row 6379 10.20.0.5 "dragonfly $server \(.*" 'as the policy says'
	row 9999 10.20.0.6 "dragonfly $server \(.*" 'as the policy says'
	row 11211 10.20.0.5 "dragonfly $server \(.*" 'as the policy says'
	row 6380 - - 'nothing listens'
	expect_text "$out" "^  pass +bind.server +dragonfly $server .* listens on 10.20.0.5:6379$" \
		'^  pass +bind.intention .*10.20.0.6:9999, 10.20.0.5:6379, 10.20.0.5:11211$' '^  pass +bind.disagree'
	expect_exit 0 guard --format json audit
	expect_text "$out" '"address": "10.20.0.5"' '"kind": "dragonfly"' "\"pid\": $server" '"verdict": "allowed"' \
		'"of": "process"' "\"place\": \"$flagfile:2\"" '"listeners_unknown": null'
	expect_no_text "$out" hush
	expect_exit 0 guard --quiet audit --metrics "$work/m.prom"
	expect_text "$work/m.prom" '^dflyguard_listeners\{verdict="allowed"\} 3$' '^dflyguard_listeners\{verdict="wildcard"\} 0$'
	stop
}
t "a server that is bound as the policy says" as_it_should_be

nobody() {
	rm -f "$flagfile"
	bind_policy "$standard"
	expect_exit 1 guard audit
	expect_text "$out" '^  fail +warning +bind.server +df.service: no Dragonfly runs' 'systemctl start df.service' \
		"^  fail +warning +bind.intention .*$flagfile" '^  not-applicable +bind.wildcard'
	flags "${good[@]}"
	bind_policy "$standard server = optional"
	expect_exit 0 guard audit
	expect_text "$out" '^  not-applicable +bind.server' "^  pass +bind.intention +the next start would listen on 10.20.0.5:6379$"
	flags --port=6379 --bind=0.0.0.0
	expect_exit 1 guard audit
	expect_text "$out" "^  fail +warning +bind.intention +$flagfile: the next start would listen on 0.0.0.0:6379, all addresses"
	bind_policy "$standard"
}
t "no server: a finding where one is expected, and what the flagfile would do" nobody

wildcards() {
	local sockets address addresses
	flags "${good[@]}"
	while IFS='|' read -r sockets address addresses; do
		dragonfly "$sockets"
		expect_exit 1 guard audit
		row 6379 "$address" "dragonfly $server \(.*" 'all addresses'
		expect_text "$out" "^  fail +warning +bind.wildcard .*takes connections to every $addresses.*and only the firewall keeps" \
			"to mend it: write --bind=10.20.0.5 in $flagfile, line 2, then" \
			'^  fail +warning +bind.disagree .*its flags say 10.20.0.5:6379'
		stop
	done <<-'END'
		0.0.0.0,6379|0.0.0.0|IPv4 address
		::,6379|\[::\] and IPv4|address of this host
		only,::,6379|\[::\]|IPv6 address
		::ffff:0.0.0.0,6379|\[::ffff:0.0.0.0\]|IPv4 address
	END
	# Without the firewall it is worse.
	dragonfly 0.0.0.0,6379
	guard --quiet remove
	expect_exit 1 guard audit
	expect_text "$out" '^  fail +critical +bind.wildcard'
	guard --quiet apply
	# The policy does not ask.
	bind_policy ''
	guard --quiet apply
	expect_exit 1 guard audit
	expect_text "$out" '^  fail +warning +bind.wildcard .*the policy asks for no destination' "name the server's address in bind of environment test"
	stop
	bind_policy "$standard"
	guard --quiet apply
}
t "wildcards of every kind" wildcards

addresses() {
	local sockets arguments id text
	while IFS='|' read -r sockets arguments id text; do
		flags "${good[@]}" $arguments
		dragonfly "$sockets"
		expect_exit 1 guard audit --fail-on info
		expect_text "$out" "^  fail +[a-z]+ +$id +$text"
		stop
	done <<-'END'
		93.184.216.34,6379||bind.public|93.184.216.34:6379: is an address that the Internet
		10.66.0.5,6379||bind.unlisted|10.66.0.5:6379: is not in bind; the policy lists 10.20.0.5
		127.0.0.1,6379||bind.unlisted|127.0.0.1:6379: is not in bind, though only this host reaches it
		127.0.0.1,6379||bind.loopback_only|127.0.0.1:6379: is only for this host
		10.20.0.5,6379 0.0.0.0,9999|--admin_port=9999|bind.admin|0.0.0.0:9999: takes connections to every IPv4
		10.20.0.5,6379 0.0.0.0,11211|--memcached_port=11211|bind.memcached|0.0.0.0:11211: .*before v1.37
		10.20.0.5,6379 10.20.0.5,11211|--memcached_port=76747|bind.memcached|.*listens on 11211 instead
		10.20.0.5,6379 10.20.0.5,7000||bind.other_port|10.20.0.5:7000: is no port that the policy names
		10.20.0.5,7000||bind.server|df.service: Dragonfly \(process [0-9]+\) listens on none
	END
	bind_policy 'bind = {"10.20.0.5", "10.20.0.99"}'
	expect_exit 1 guard audit
	expect_text "$out" '^  fail +warning +bind.absent +10.20.0.99: is in bind, and no interface'
	bind_policy "$standard"
}
t "addresses and ports that the policy does not name" addresses

strangers() {
	flags "${good[@]}"
	run_as nginx 10.20.0.5,6379
	expect_exit 1 guard audit
	row 6379 10.20.0.5 "nginx $server \(.*" 'not Dragonfly'
	expect_text "$out" '^  fail +warning +bind.stranger +10.20.0.5:6379: is not Dragonfly' '^      held by nginx '
	stop
	# A real one; and a real one under Dragonfly's name.
	real redis-server --bind 10.20.0.5
	expect_exit 1 guard audit
	row 6379 10.20.0.5 "redis-server $server \(.*" 'not Dragonfly'
	stop
	real dragonfly --bind 0.0.0.0
	expect_exit 1 guard audit
	row 6379 0.0.0.0 "dragonfly $server \(.*" 'all addresses'
	stop
}
t "whoever else holds a guarded port" strangers

containers() {
	flags "${good[@]}"
	ip netns add box
	PRETEND='0.0.0.0,6379' ip netns exec box "$work/dragonfly" --requirepass=hush >"$work/box.out" &
	server=$!
	servers+=("$server")
	wait_until 5 grep -q ready "$work/box.out"
	run_as docker-proxy 10.20.0.5,6379 -proto tcp -host-ip 10.20.0.5 -host-port 6379 -container-ip 172.17.0.2 -container-port 6379
	expect_exit 0 guard audit
	row 6379 '0.0.0.0 in .*' 'dragonfly [0-9]+ \(.*' 'inside a container'
	expect_text "$out" '^  pass +bind.server' '^  pass +bind.published'
	kill "$server"
	wait "$server" 2>/dev/null
	run_as docker-proxy '0.0.0.0,6379 ::,6380'
	expect_exit 1 guard audit
	row 6379 0.0.0.0 "docker-proxy $server \(.*" 'all addresses, for a container'
	expect_text "$out" '^  fail +warning +bind.published +0.0.0.0:6379: ' '-p 10.20.0.5:6379:PORT'
	stop
	ip netns del box
}
t "containers: their wildcards are their own, what is published on all addresses is not" containers

unix_sockets() {
	flags "${good[@]}" "--unixsocket=$work/s"
	dragonfly "10.20.0.5,6379 unix,$work/s,0755"
	expect_exit 0 guard audit
	expect_text "$out" '^  pass +bind.unix'
	stop
	dragonfly "10.20.0.5,6379 unix,$work/s,0777"
	expect_exit 1 guard audit
	expect_text "$out" "^  fail +warning +bind.unix +$work/s: has mode 0777: every user"
	stop
}
t "Unix sockets that everybody may use" unix_sockets

intentions() {
	flags "${good[@]}"
	dragonfly 10.20.0.5,6379
	expect_exit 0 guard audit
	# Changed since it was started.
	flags --port=6379 --bind=10.66.0.5 --requirepass=hush
	expect_exit 1 guard audit
	expect_text "$out" '^  fail +warning +bind.intention +dragonfly, process .*10.66.0.5:6379, an address that the policy does not list' \
		'^  fail +warning +bind.disagree +.*listens on 10.20.0.5:6379, and its flags say 10.66.0.5:6379'
	flags --port=6379 --tls-cert-file=/x
	expect_exit 1 guard audit
	expect_text "$out" "^  fail +warning +bind.intention .*would not start: $flagfile:2: " '^  fail +warning +bind.disagree .*would not start again'
	flags --port=6379 --bind=10.20.0.5
	expect_exit 1 guard audit
	expect_text "$out" '^  fail +warning +bind.protected_mode .*whoever reaches 10.20.0.5:6379 is let in'
	stop
	# By the command line alone, as if the flagfile were not there.
	flags "${good[@]}"
	dragonfly 10.20.0.5,6379 --bind=10.20.0.5 --requirepass=hush
	expect_exit 1 guard audit
	expect_text "$out" "^  fail +warning +bind.disagree .*without --flagfile=$flagfile, which the policy names"
	expect_no_text "$out" hush
	stop
}
t "what it was told, what it will do, and what it does" intentions

others_files() { # whoever starts something called dragonfly may name any file
	[ "$(id -u)" = 0 ] && setpriv --reuid=65534 --regid=65534 --clear-groups true 2>/dev/null || { skip "there is only one user here"; return; }
	echo 'the secret of root' >"$work/secret"
	chmod 600 "$work/secret"
	flags "${good[@]}"
	: >"$work/nobody.out"
	PRETEND=10.20.0.5,6379 setpriv --reuid=65534 --regid=65534 --clear-groups "$work/dragonfly" "--flagfile=$work/secret" >"$work/nobody.out" &
	servers+=("$!")
	wait_until 5 grep -q ready "$work/nobody.out" || wrong "it did not start"
	expect_exit 2 guard audit
	expect_no_text "$out" 'secret of root'
	expect_text "$out" "^  unknown +warning +bind.intention .*$work/secret could not be read: Permission denied"
	expect_exit 2 guard --format json audit
	expect_no_text "$out" 'secret of root'
	stop
	# A pipe does not make anybody wait, and a link leads nowhere else.
	mkfifo "$work/pipe"
	dragonfly 10.20.0.5,6379 "--flagfile=$work/pipe"
	expect_exit 2 guard audit
	expect_text "$out" '^  unknown +warning +bind.intention .*is no regular file'
	stop
}
t "a flagfile is read in the name of whose it is" others_files

unprivileged() {
	local drop=(setpriv --bounding-set=-all --inh-caps=-all)
	"${drop[@]}" true 2>/dev/null || { skip "setpriv cannot drop capabilities here"; return; }
	flags "${good[@]}"
	ip netns add other
	PRETEND=0.0.0.0,6379 "$work/dragonfly" "--flagfile=$flagfile" >"$work/dragonfly.out" &
	servers+=("$!")
	wait_until 5 grep -q ready "$work/dragonfly.out"
	# Sockets are everybody's to see.
	expect_exit 1 "${drop[@]}" "$dflyguard" --policy "$policy_file" audit
	expect_text "$out" '^  6379 +0.0.0.0 +' '^  fail +critical +bind.wildcard' '^  unknown +critical +firewall.drift'
	ip netns del other
	stop
}
t "without privileges sockets are seen all the same" unprivileged

told() { # told SECONDS PATTERN
	wait_until "$1" grep -qE -- "$2" "$work/events" && return
	wrong "within $1 s nothing tells /$2/:"
	tail -n 12 "$work/events"
}
watched_sockets() {
	flags "${good[@]}"
	dragonfly 10.20.0.5,6379
	guard --quiet apply
	: >"$work/events"
	"$dflyguard" --policy "$policy_file" watch --period 1 --metrics "$work/w.prom" >"$work/events" &
	local watcher=$!
	told 10 '  start  '
	expect_no_text "$work/events" 'bind\.'
	run_as nginx 0.0.0.0,6380
	told 4 'finding +fail bind.stranger: is not Dragonfly'
	kill "$server"
	wait "$server" 2>/dev/null
	told 4 'resolved +fail bind.stranger'
	unset 'servers[1]'
	stop
	told 4 'finding +fail bind.server: no Dragonfly runs'
	dragonfly '0.0.0.0,6379'
	told 4 'finding +fail bind.wildcard: takes connections'
	told 4 'resolved +fail bind.server'
	stop
	dragonfly 10.20.0.5,6379
	told 4 'resolved +fail bind.wildcard'
	wait_until 15 grep -q '^dflyguard_listeners{verdict="allowed"} 1$' "$work/w.prom" || wrong "metrics: $(grep listeners "$work/w.prom")"
	# What it keeps is small.
	local resident
	resident=$(awk '/^VmRSS/ {print $2}' "/proc/$watcher/status")
	[ "$resident" -lt 5000 ] || wrong "watch holds $resident kB"
	if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
		# Where nothing moved, no process is looked into.
		timeout 4 strace -qq -f -e trace=openat,open -o "$work/trace" -p "$watcher"
		expect_no_text "$work/trace" '"fd"|/fd"'
	fi
	kill "$watcher"
	wait "$watcher" || wrong "exit status $?"
	stop
}
t "watch sees sockets come and go, within a period" watched_sockets
finish
