# What the tests of the TLS gate share; to be sourced after guard.sh.
# shellcheck shell=bash
# shellcheck disable=SC2034 # for who sources this
: "${work:?}"
everybody='{"10.20.0.0/24", "2001:db8:20::/64"}'
required="tls = required clients = $everybody admins = $everybody memcached_clients = $everybody"

# What is not TLS, in the words of netprobe.c.
others=(ping resp resp-fin http memcached byte byte-tls pieces change-cipher alert server-hello data heartbeat
	sslv2 sslv3 tls-1.3-record tls-2 too-long)
# What is; a real server answers only the first three.
hellos=(tls tls-large tls-halves tls-1.0 tls-1.2 tls-longest)

heard() { # heard NS PORT: how often its server heard anything
	grep -c ^heard "$work/serve.$1.tcp.$2"
}
plaintext_heard() { # the same for all servers and only plaintext: what begins as RESP, HTTP, memcached, a byte, an alert
	grep -hcE '^heard.*0x(2a|50|47|67|0a|15)$' <(cat "$work"/serve.*)
}
sockets() { # sockets NS PORT: the connections that its server has, and halves of connections
	inside "$1" ss -Htn state connected exclude time-wait "sport = :$2" | awk '{ print $4, $5 }' | sort
}
sockets_are() { # sockets_are NS PORT FILE
	sockets "$1" "$2" | cmp -s "$3" -
}
expect_nothing_left() { # expect_nothing_left NS PORT: nothing but what was there when `sockets` filled $work/sockets
	wait_until 3 sockets_are "$1" "$2" "$work/sockets" && return
	sockets "$1" "$2" >"$work/sockets.after"
	expect_same "sockets of port $2 in $1" "$work/sockets" "$work/sockets.after"
}
try() { # try OUTCOME PORT "WORD..." NS[@SOURCE],ADDRESS...: lines for expect_traffic
	local outcome=$1 port=$2 words=$3 target word
	shift 3
	for target; do
		for word in $words; do echo "${target%,*} ${target#*,} $port $word $outcome"; done
	done
}
# refused NS SERVER-PORT PORT TARGET...: everything that is not TLS is cut off, and the server in NS hears nothing of it.
refused() {
	local ns=$1 server=$2 port=$3 before counted=0 log=$work/serve.$1.tcp.$2
	shift 3
	[ ! -e "$log" ] || before=$(heard "$ns" "$server")
	counted=$(counted refused_plaintext)
	sockets "$ns" "$server" >"$work/sockets"
	{
		try cut "$port" "${others[*]}" "$@"
		try reset "$port" "resp-on-syn tls-on-syn" "$@"
	} >"$work/probes"
	expect_traffic <"$work/probes"
	[ ! -e "$log" ] || expect_equal "what $server in $ns heard" "$before" "$(heard "$ns" "$server")"
	expect_nothing_left "$ns" "$server"
	# Once each, retransmissions or not.
	expect_equal refused_plaintext $((counted + $(wc -l <"$work/probes"))) "$(counted refused_plaintext)"
}
passes() { # passes PORT TARGET...: TLS does
	local port=$1
	shift
	try passes "$port" "${hellos[*]}" "$@" | expect_traffic
}

# TLS sessions that last, with the real server on 6380.
declare -A session_input
tls_open() { # tls_open NAME NS ADDRESS PORT [OPTION...]
	local name=$1 ns=$2 to=$3 port=$4 input
	shift 4
	mkfifo "$work/$name.in"
	exec {input}<>"$work/$name.in"
	session_input[$name]=$input
	inside "$ns" openssl s_client -quiet "$@" -connect "[$to]:$port" <"$work/$name.in" >"$work/$name.out" \
		2>"$work/$name.err" &
	tls_lives "$name"
}
tls_ask() { # tls_ask NAME: sets $word, which the server will say again
	word=w$((++words)).
	printf 'ECHO %s\r\n' "$word" >&"${session_input[$1]}"
}
tls_lives() { # tls_lives NAME...
	local name
	for name; do
		tls_ask "$name"
		wait_until 8 grep -qF "$word" "$work/$name.out" || wrong "TLS session $name: no answer; $(cat "$work/$name.err")"
	done
}
words=0

# 200 kB there and back, in TLS 1.2 and 1.3.
# shellcheck disable=SC2016 # RESP has dollar signs
transfer() { # transfer ADDRESS PORT
	local version
	[ -e "$work/blob" ] || head -c 150000 /dev/urandom | base64 -w 0 >"$work/blob"
	for version in 1_2 1_3; do
		{
			printf '*3\r\n$3\r\nSET\r\n$4\r\nblob\r\n$200000\r\n'
			cat "$work/blob"
			printf '\r\n*2\r\n$3\r\nGET\r\n$4\r\nblob\r\n*1\r\n$4\r\nQUIT\r\n'
		} | timeout 20 nsenter --net=/run/netns/allowed openssl s_client -quiet "-tls$version" -connect "[$1]:$2" \
			>"$work/answer" 2>"$work/errors"
		printf '+OK\r\n$200000\r\n%s\r\n+OK\r\n' "$(cat "$work/blob")" >"$work/wanted"
		cmp -s "$work/wanted" "$work/answer" ||
			wrong "TLS $version to $1 port $2: $(wc -c <"$work/answer") bytes came back; $(cat "$work/errors")"
	done
}
