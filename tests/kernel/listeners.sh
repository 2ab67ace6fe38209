#!/bin/bash
# What listens, and who that is: sockets of every kind, in this network namespace and in others, by processes that hide
# nothing, that lie, that end while they are looked at, and by very many.
. "$(dirname "$0")/../lib/guard.sh"
listeners=$build/tests/kernel/listeners
[ -x "$listeners" ] || { echo "$listeners is missing: make build-kernel-tests" >&2; exit 2; }
ip link set lo up
ip link add port0 type veth peer name port1
ip -batch - <<-END
	addr add 10.20.0.5/24 dev port0 label port0:1
	addr add 2001:db8:20::5/64 dev port0 nodad
	link set port0 up
	link set port1 up
END
cd "$work" || exit 2

declare -A holders=() writers=()
# hold NAME WORD...: holds sockets until `release NAME`; the process is $held, its child $child.
hold() {
	local name=$1
	shift
	hold_by "$name" "$listeners" hold "$@"
}
hold_by() { # hold_by NAME COMMAND...: the same by any command that says `ready` and ends with its input
	local name=$1
	shift
	rm -f "$work/$name.in"
	mkfifo "$work/$name.in"
	# Without the ends of the others' pipes, which would keep them waiting.
	(
		for writer in "${writers[@]}"; do exec {writer}>&-; done
		exec "$@" <"$work/$name.in" >"$work/$name.out" 2>&1
	) &
	held=$!
	exec {writer}>"$work/$name.in"
	holders[$name]=$held writers[$name]=$writer
	wait_until 60 held_said "$name" && grep -q '^ready' "$work/$name.out" || { wrong "$(cat "$work/$name.out")"; return 1; }
	child=$(sed -n 's/^child //p' "$work/$name.out")
}
held_said() { grep -q '^ready' "$work/$1.out" || ! kill -0 "$held" 2>/dev/null; }
release() { # release NAME
	local writer=${writers[$1]}
	exec {writer}>&-
	wait "${holders[$1]}" 2>/dev/null
	unset "writers[$1]"
}
look() { # look WORD...: what is read, in $work/seen; the time it took, in the log
	"$listeners" read "$@" >"$work/seen" 2>"$work/look.err" || wrong "$(cat "$work/look.err")"
	cat "$work/look.err"
}
expect_line() { # expect_line LINE...: each is there, as it is
	local line
	for line; do
		grep -qxF -- "$line" "$work/seen" && continue
		wrong "expected the line '$line', seen:"
		head -n 40 "$work/seen" | cut -c 1-200
	done
}
expect_lines() { # expect_lines COUNT PATTERN
	expect_equal "lines of /$2/" "$1" "$(grep -cE -- "$2" "$work/seen")"
}

of_all_kinds() {
	hold all name:dragonfly 4:127.0.0.1:6379 4:0.0.0.0:6380 6::::6380 6only::::6381 6:::ffff:0.0.0.0:6382 \
		6:::ffff:10.20.0.5:6383 device:port0:6384 6:2001:db8:20::5:6385 6only:::1:6386 || return
	look 6379 6380 6381 9999
	# In this order: guarded ones first, then by port and address.
	grep '^tcp' "$work/seen" >"$work/tcp"
	# The kernel itself takes an address of IPv6 for IPv6 only.
	cat >"$work/expected" <<-END
		tcp host 127.0.0.1:6379 guarded $held
		tcp host 0.0.0.0:6380 guarded wildcard $held
		tcp host [::]:6380 guarded wildcard dual $held
		tcp host [::]:6381 guarded wildcard v6only $held
		tcp host [::ffff:0.0.0.0]:6382 wildcard $held
		tcp host [::ffff:10.20.0.5]:6383 $held
		tcp host 0.0.0.0%port0:6384 wildcard $held
		tcp host [2001:db8:20::5]:6385 v6only $held
		tcp host [::1]:6386 v6only $held
	END
	expect_same "what listens" "$work/expected" "$work/tcp"
	expect_line "address lo 127.0.0.1" "address lo ::1" "address port0 10.20.0.5" "address port0 2001:db8:20::5"
	expect_line "network host (host)"
	expect_no_text "$work/seen" '^read|^truncated'
	release all
	look 6379 6380
	expect_no_text "$work/seen" '^(tcp|process|unix)'
}
t "sockets of every kind" of_all_kinds

others_ports() { # of who is no server, only guarded ports
	hold other 4:127.0.0.1:6379 4:127.0.0.1:6400 "unix:777:$work/other.sock" || return
	look 6379
	expect_line "tcp host 127.0.0.1:6379 guarded $held" \
		"process $held other in=host command=listeners executable=$listeners"
	expect_lines 1 '^tcp'
	expect_lines 0 '^unix'
	release other
}
t "of a process that is no Dragonfly only guarded ports are told" others_ports

local_sockets() {
	local other
	mkdir "$work/below"
	hold server name:dragonfly "unix:700:$work/one.sock" unix:666:below/two.sock "unix:755:$work/gone.sock" \
		"unix:755:$work/other.sock2" abstract:three "unix:777:$work/moved.sock" "unix:711:$work/a"$'\n'"b.sock" "unix:700:$work/stolen.sock" || return
	other=$held
	rm "$work/stolen.sock"
	hold thief "unix:777:$work/stolen.sock" || return
	held=$other
	rm "$work/gone.sock" "$work/other.sock2"
	touch "$work/other.sock2"
	mv "$work/moved.sock" "$work/moved.to"
	ln -s "$work/moved.to" "$work/moved.sock"
	chown 65534:65534 "$work/one.sock" 2>/dev/null
	look 6379
	expect_text "$work/seen" "^unix host $work/one.sock 0700 uid=(65534|0) gid=(65534|0) $held$"
	expect_line "unix host below/two.sock 0666 uid=0 gid=0 $held" \
		"unix host $work/gone.sock unknown:nothing lies at the path $held" \
		"unix host $work/other.sock2 unknown:something else lies at the path $held" \
		"unix host $work/stolen.sock unknown:something else lies at the path $held" \
		"unix host @three 0777 uid=0 gid=0 $held" \
		"unix host $work/moved.sock 0777 uid=0 gid=0 $held" \
		"unix host $work/a?b.sock 0711 uid=0 gid=0 $held"
	expect_lines 8 '^unix'
	expect_no_text "$work/seen" '^read'
	release server
	release thief
}
t "Unix sockets of a server, with the permissions of their paths" local_sockets

namespaces() {
	local named unnamed
	ip netns add inner
	ip -n inner link add port7 type veth peer name port8
	hold_by named ip netns exec inner "$listeners" hold 4:0.0.0.0:6379 device:port7:6380 name:dragonfly 4:127.0.0.1:6400 || return
	named=$held
	hold unnamed network 6::::6379 || return
	unnamed=$held
	ip netns add empty
	look networks 6379 6380
	expect_line "network host (host)" "network netns inner" "network netns empty" "network process $unnamed" \
		"tcp netns inner 0.0.0.0:6379 guarded wildcard $named" \
		"tcp netns inner 0.0.0.0%port7:6380 guarded wildcard $named" \
		"tcp netns inner 127.0.0.1:6400 $named" \
		"tcp process $unnamed [::]:6379 guarded wildcard dual $unnamed"
	expect_no_text "$work/seen" '^read|^network .*unknown'
	# Where nobody asks for them, a server in one is told, and that its sockets were not looked at.
	look 6379
	expect_lines 0 '^tcp'
	expect_text "$work/seen" "^process $named dragonfly in=netns inner|^process $named dragonfly in=process $named"
	expect_text "$work/seen" '^network (netns inner|process [0-9]*) unknown:not looked at'
	release named
	release unnamed
	# What lies below /run/netns and is no network namespace.
	mkfifo /run/netns/fifo
	touch /run/netns/file /run/netns/mount
	ln -s /proc/self/ns/net /run/netns/link
	mount --bind /proc/self/ns/uts /run/netns/mount || wrong "no mount"
	look networks 6379
	expect_lines 3 '^network'
	umount /run/netns/mount
	rm /run/netns/fifo /run/netns/file /run/netns/link /run/netns/mount
	ip netns del inner
	ip netns del empty
}
t "other network namespaces, with a name and without" namespaces

inside_looks() { # from a namespace that is not that of process 1
	ip netns add inner
	ip netns exec inner ip link set lo up
	hold_by inner ip netns exec inner "$listeners" hold 4:0.0.0.0:6379 || return
	ip netns exec inner "$listeners" read 6379 >"$work/seen" 2>/dev/null
	expect_line "network netns inner" "tcp netns inner 0.0.0.0:6379 guarded wildcard $held"
	ip netns exec inner "$listeners" read networks 6379 >"$work/seen" 2>/dev/null
	expect_line "network netns inner" "network host (host)"
	release inner
	ip netns del inner
}
t "from inside another namespace, that is ours and the host's is another one" inside_looks

inherited() {
	local parent
	hold family name:dragonfly 4:127.0.0.1:6379 fork || return
	parent=$held
	look 6379
	expect_line "tcp host 127.0.0.1:6379 guarded $(printf '%s\n' "$parent" "$child" | sort -n | paste -sd ' ')"
	expect_lines 2 '^process'
	# prctl(PR_SET_PDEATHSIG) ends the child, too, but not before it was alone.
	kill -STOP "$child"
	release family
	wait_until 5 ended "$child"
	look 6379
	expect_no_text "$work/seen" '^(tcp|process)'
}
ended() { ! kill -0 "$1" 2>/dev/null; }
t "a socket that a child inherited is held by both" inherited

held_by_none() {
	hold away 4:127.0.0.1:6379 flight || return
	look 6379
	expect_line "tcp host 127.0.0.1:6379 guarded unknown:no process shows it"
	expect_lines 0 '^process'
	release away
	hold thread name:dragonfly 4:127.0.0.1:6379 thread || return
	look 6379
	expect_line "tcp host 127.0.0.1:6379 guarded $held"
	expect_text "$work/seen" "^process $held dragonfly"
	release thread
}
t "held by no process, or by one whose first thread has ended" held_by_none

details() {
	cp "$listeners" "$work/dragonfly-x86_64"
	hold_by named env -i DFLY_bind=:: PATH=/bin SECRET=1 FLAGS_x=2 INVOCATION_ID=abc "$work/dragonfly-x86_64" \
		hold 4:127.0.0.1:6401 || return
	look long 6379
	expect_text "$work/seen" "^process $held dragonfly in=host command=dragonfly-x86_6 executable=$work/dragonfly-x86_64 user=[^ ]+( unit=[^ ]*)?( container=[^ ]* [^ ]*)? directory=$work \[$work/dragonfly.*\] \[hold\] \[4:127.0.0.1:6401\] \{DFLY_bind=::\} \{FLAGS_x=2\} \{INVOCATION_ID=abc\}$"
	rm "$work/dragonfly-x86_64"
	look 6379
	expect_line "tcp host 127.0.0.1:6401 $held" \
		"process $held dragonfly in=host command=dragonfly-x86_6 executable=$work/dragonfly-x86_64 (deleted)"
	release named
	# Names that a terminal would obey, and that look like another field of /proc/PID/stat.
	hold liar name:$'x) S 1\n\e[2J' 4:127.0.0.1:6379 || return
	look 6379
	expect_line "process $held other in=host command=x) S 1??[2J executable=$listeners"
	release liar
}
t "what is known of a process; its executable may be deleted, and its name lie" details

a_server() { # Redis, under the name of Dragonfly
	ln -sf "$(command -v redis-check-rdb)" "$work/dragonfly"
	# It looks at the name it is started by, and is no server under another one.
	if ! (exec -a redis-server "$work/dragonfly" --version) >/dev/null 2>&1; then
		skip "no redis-check-rdb that is a server, too"
		return
	fi
	(exec -a "$1" "$2" --port 6379 --bind 127.0.0.1 --unixsocket "$work/redis.sock" --unixsocketperm 770 --save '' \
		--dir "$work" >"$work/redis.log" 2>&1) &
	held=$!
	wait_until 10 redis-cli -p 6379 ping || { wrong "$(cat "$work/redis.log")"; return; }
	look 6379
	expect_line "tcp host 127.0.0.1:6379 guarded $held" "unix host $work/redis.sock 0770 uid=0 gid=0 $held"
	expect_text "$work/seen" "^process $held $3 "
	# On another port it is Dragonfly's to be told, and not Redis's.
	look 6400
	expect_lines "$4" "^tcp host 127.0.0.1:6379 $held$"
	redis-cli -p 6379 shutdown nosave
	wait "$held"
}
ln -sf "$(command -v redis-check-rdb)" "$work/redis-server"
t "a Redis that is started as dragonfly" a_server redis-server "$work/dragonfly" dragonfly 1
t "a Redis that is started as redis-server" a_server redis-server "$work/redis-server" redis 0

that_end() {
	local round rounds=100
	hold_by churn "$listeners" churn 6379 || return
	[ -z "${DFLYGUARD_TEST_LONG:-}" ] || rounds=1000
	for ((round = 0; round < rounds; round++)); do
		"$listeners" read networks long 6379 2>/dev/null
	done >"$work/seen"
	# What ends while it is looked at is not there: neither unknown, nor half known, nor a socket of nobody.
	expect_no_text "$work/seen" 'unknown|^read|it ended'
	expect_equal "looks" "$rounds" "$(grep -c '^network host' "$work/seen")"
	release churn
}
t "processes that end while they are looked at are left out" that_end

# As nobody, with a copy of the helper that everybody may run.
unprivileged() {
	local nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all) mine theirs
	chmod 711 "$work"
	install -m 755 "$listeners" "$work/listeners"
	if ! "${nobody[@]}" true 2>/dev/null; then
		skip "one user only in this namespace: run as root"
		return
	fi
	ip netns add inner
	hold rich name:dragonfly 4:127.0.0.1:6379 || return
	theirs=$held
	hold_by poor "${nobody[@]}" "$work/listeners" hold name:dragonfly 4:127.0.0.1:6380 || return
	mine=$held
	"${nobody[@]}" "$work/listeners" read networks long 6379 6380 >"$work/seen" 2>/dev/null || wrong "exit status $?"
	expect_line "tcp host 127.0.0.1:6379 guarded unknown:not permitted"
	expect_text "$work/seen" "^tcp host 127.0.0.1:6380 guarded unknown:not permitted $mine$" \
		"^process $mine dragonfly in=host command=dragonfly executable=$work/listeners user=(nobody|65534)" \
		"^process $theirs dragonfly command=dragonfly executable=unknown:not permitted user=root" \
		"^process $theirs .* environment=unknown:not permitted" \
		"^read processes [0-9]+ processes: not permitted$" "^read networks [0-9]+ processes: not permitted$"
	# Where /proc hides the others.
	unshare --mount sh -c 'mount -t proc -o hidepid=2 proc /proc && exec "$@"' sh \
		"${nobody[@]}" "$work/listeners" read 6379 6380 >"$work/seen" 2>/dev/null || wrong "exit status $?"
	expect_line "tcp host 127.0.0.1:6379 guarded unknown:processes of others are hidden (hidepid)" \
		"read processes processes of others are hidden (hidepid)"
	# Without /proc.
	unshare --mount sh -c 'mount -t tmpfs none /proc && exec "$@"' sh "$work/listeners" read 6379 >"$work/seen" 2>/dev/null
	expect_line "tcp host 127.0.0.1:6379 guarded unknown:/proc is not mounted" "read processes /proc is not mounted"
	release rich
	release poor
	ip netns del inner
}
t "without privileges, what may not be read is unknown, and never an error" unprivileged

many() {
	local processes=1500 sockets=15000
	[ -z "${DFLYGUARD_TEST_LONG:-}" ] || processes=10000 sockets=100000
	hold_by crowd "$listeners" crowd "$processes" "$sockets" || {
		rm -f "$work/case.failed"
		skip "so many processes and sockets are not permitted here: $(cat "$work/crowd.out")"
		return
	}
	hold server name:dragonfly 4:127.0.0.1:6379 || return
	look 6379
	cp "$work/look.err" "$work/time"
	expect_line "tcp host 127.0.0.1:6379 guarded $held"
	expect_lines 1 '^tcp'
	expect_no_text "$work/seen" '^read|^truncated'
	# A guarded port of which there are very many.
	look networks 6379 20000
	expect_lines "$((sockets / 1000 + 1))" '^tcp .* guarded [0-9]+$'
	echo "$processes processes and $sockets sockets: $(cat "$work/time")" >"$work/many"
	release server
	release crowd
}
t "many processes and sockets" many
[ ! -e "$work/many" ] || sed 's/^/# /' "$work/many"
finish
