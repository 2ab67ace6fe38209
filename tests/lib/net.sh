# The network of the traffic tests and of the demonstration; to be sourced after namespace.sh, which makes `host`, our
# own namespace: dflyguard runs there, and the server. $work is a folder for what is started, $netprobe the helper.
#
#   allowed    10.20.0.10 .11  2001:db8:20::10 ::11 ---- alw0 10.20.0.5 .6  2001:db8:20::5 ::6
#   outside    10.66.0.10 .11  2001:db8:66::10 ::11 ---- out0 10.66.0.5     2001:db8:66::5       host
#   container  172.17.0.2      fd00:17::2           ---- docker0 172.17.0.1 fd00:17::1
#   elsewhere  10.77.0.10      2001:db8:77::10      ---- up0 10.77.0.5      2001:db8:77::5
#
# `elsewhere` is another machine behind an uplink that is neither a bridge nor a veth; only network_elsewhere adds it.
# shellcheck shell=bash
: "${work:?}" # set by who sources this, as netprobe is by who uses what needs it
netprobe=${netprobe:-}

wait_until() { # wait_until SECONDS COMMAND...: repeats it until it succeeds
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.02
	done
}

network() {
	local ns
	network_settings host
	for ns in allowed outside container; do
		ip netns add "$ns"
		network_settings "$ns"
	done
	ip -batch - <<-END
		link set lo up
		link add alw0 type veth peer name eth0 netns allowed
		link add out0 type veth peer name eth0 netns outside
		link add docker0 type bridge forward_delay 0
		link add ctr0 type veth peer name eth0 netns container
		link set ctr0 master docker0
		addr add 10.20.0.5/24 dev alw0
		addr add 10.20.0.6/24 dev alw0
		addr add 2001:db8:20::5/64 dev alw0 nodad
		addr add 2001:db8:20::6/64 dev alw0 nodad
		addr add 10.66.0.5/24 dev out0
		addr add 2001:db8:66::5/64 dev out0 nodad
		addr add 172.17.0.1/16 dev docker0
		addr add fd00:17::1/64 dev docker0 nodad
		link set alw0 up
		link set out0 up
		link set ctr0 up
		link set docker0 up
	END
	network_end allowed 10.20.0 2001:db8:20: 24
	network_end outside 10.66.0 2001:db8:66: 24
	network_end container 172.17.0 fd00:17: 16
	# The kernel takes up to a second to notice that both ends are up, and sends nothing to whom it has not met before.
	for ns in host allowed outside container; do
		wait_until 5 links_are_up "$ns" || { echo "the links of $ns do not come up" >&2; exit 1; }
	done
}
links_are_up() { # links_are_up NS
	[ "$(inside "$1" ip -oneline link show up | grep -vc -e ': lo: ' -e ' state UP ')" = 0 ]
}
# No waiting until link-local addresses are known to be unique: IPv6 is not forwarded before. And `host` is a router.
network_settings() { # network_settings NS
	# shellcheck disable=SC2016 # expanded inside
	inside "$1" sh -c 'cd /proc/sys/net && echo 0 >ipv6/conf/default/accept_dad || exit
		[ "$1" != host ] || { echo 1 >ipv4/ip_forward && echo 1 >ipv6/conf/all/forwarding; }' sh "$1" 2>/dev/null && return
	echo "cannot prepare the network: /proc/sys/net is not writable here, or there is no IPv6" >&2
	exit 77
}

network_end() { # network_end NS IPV4-PREFIX IPV6-PREFIX LENGTH: the far end of a link, routing by the host
	local gateway=5 first=10 second=11
	if [ "$1" = container ]; then
		gateway=1 first=2 second=3
	fi
	ip -n "$1" -batch - <<-END
		link set lo up
		addr add $2.$first/$4 dev eth0
		addr add $2.$second/$4 dev eth0
		addr add $3:$first/64 dev eth0 nodad
		addr add $3:$second/64 dev eth0 nodad
		link set eth0 up
		route add default via $2.$gateway
		route add default via $3:$gateway
	END
}

network_elsewhere() { # fails where neither a VLAN nor a tun device can be made
	ip netns add elsewhere
	network_settings elsewhere
	if ip link add wire0 type veth peer name wire0 netns elsewhere &&
		ip link add link wire0 name up0 type vlan id 7 2>/dev/null; then
		ip -n elsewhere link add link wire0 name eth0 type vlan id 7
		ip link set wire0 up
		ip -n elsewhere link set wire0 up
	else
		start "$work/cable" "$netprobe" cable host up0 elsewhere eth0 || return 1
	fi
	ip -batch - <<-END
		addr add 10.77.0.5/24 dev up0
		addr add 2001:db8:77::5/64 dev up0 nodad
		link set up0 up
	END
	network_end elsewhere 10.77.0 2001:db8:77: 24
}

inside() { # inside NS COMMAND...
	local ns=$1
	shift
	if [ "$ns" = host ]; then "$@"; else nsenter --net="/run/netns/$ns" -- "$@"; fi
}

start() { # start LOG COMMAND...: a helper in the background, running when it says `ready`; its process is $started
	local log=$1
	shift
	: >"$log"
	"$@" >"$log" 2>&1 &
	started=$!
	wait_until 10 started_said "$log" && grep -q '^ready' "$log" && return
	echo "did not start: $*" >&2
	cat "$log" >&2
	return 1
}
started_said() { [ -s "$1" ] || ! kill -0 "$started" 2>/dev/null; }

serve() { # serve NS tcp|udp ADDRESS PORT [defer]: answers with what it hears; a line for each time in $work/serve.NS.tcp.PORT
	start "$work/serve.$1.$2.$4" "$netprobe" serve "$@"
}

certificate() { # $work/server.crt and .key, made once
	[ -e "$work/server.crt" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
		-subj /CN=dflyguard-test -keyout "$work/server.key" -out "$work/server.crt" 2>"$work/openssl.log" || {
		cat "$work/openssl.log" >&2
		return 1
	}
}

redis() { # redis NS PORT [TLS-PORT] [OPTION...]: a real server on all addresses; its process is $redis
	local ns=$1 port=$2 tls=${3:-0} options=()
	shift 2
	[ $# -eq 0 ] || shift
	# Debian's redis-tools holds the server's binary under this name; it looks at the name it is started by.
	ln -sf "$(command -v redis-check-rdb)" "$work/redis-server"
	if [ "$tls" != 0 ]; then
		certificate || return 1
		options=(--tls-port "$tls" --tls-cert-file "$work/server.crt" --tls-key-file "$work/server.key"
			--tls-auth-clients no)
	fi
	inside "$ns" "$work/redis-server" --port "$port" "${options[@]}" --protected-mode no --save '' --appendonly no \
		--dir "$work" --loglevel warning "$@" >"$work/redis.$ns.$port" 2>&1 &
	# shellcheck disable=SC2034 # for who sources this
	redis=$!
	wait_until 10 inside "$ns" redis-cli -p "$port" ping && return
	echo "redis-server in $ns did not start" >&2
	cat "$work/redis.$ns.$port" >&2
	return 1
}

expect_traffic() { # reads the lines that netprobe.c describes: NS[@SOURCE] ADDRESS PORT SPEAK EXPECTED
	local seen
	seen=$("$netprobe" matrix) || wrong "traffic:"$'\n'"$seen"
}

# New connections without pause, while something else goes on. storm_end leaves a line for each target in $storm:
# `TARGET tried N connected N reset N timeout N`.
storm_begin() { # storm_begin MS NS[@SOURCE],ADDRESS,PORT...
	storm=$work/storm
	[ -p "$work/storm.end" ] || mkfifo "$work/storm.end"
	exec 9<>"$work/storm.end"
	"$netprobe" storm "$@" <&9 >"$storm" &
	storm_process=$!
}
storm_end() {
	echo >&9
	wait "$storm_process" || wrong "netprobe storm ended with $?"
	exec 9<&-
	rm "$work/storm.end"
}

# A party with connections that last: opened before a change, asked again after it.
session_begin() {
	coproc SESSION { exec "$netprobe" session; }
}
session() { # session open NAME NS ADDRESS PORT | ping MS NAME... | say MS SPEAK NAME | close NAME; prints the outcomes
	local outcome
	case $1 in
	open) echo "$* 8000" >&"${SESSION[1]}" ;;
	*) echo "$*" >&"${SESSION[1]}" ;;
	esac
	read -r -t 20 outcome <&"${SESSION[0]}" || outcome="the session died"
	echo "$outcome"
}
expect_lives() { # expect_lives NAME...: these connections still carry data both ways
	local name outcomes
	read -ra outcomes <<<"$(session ping 8000 "$@")"
	for name; do
		expect_equal "connection $name" answer "${outcomes[0]}"
		outcomes=("${outcomes[@]:1}")
	done
}
expect_dead() { # expect_dead NAME...: these do not
	local name outcomes
	read -ra outcomes <<<"$(session ping 500 "$@")"
	for name; do
		[[ ${outcomes[0]} =~ ^(timeout|cut|reset|closed|unreachable)$ ]] ||
			wrong "connection $name: expected to be dead, seen '${outcomes[0]}'"
		outcomes=("${outcomes[@]:1}")
	done
}
