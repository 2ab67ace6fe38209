#!/bin/bash
# dflyguard-probe, the program that reads hostile bytes: what it is left with, what becomes of an audit when it fails, and
# that no server makes it more than unknown.
. "$(dirname "$0")/../lib/guard.sh"
. "$root/tests/lib/findings.sh"
ip link set lo up
for address in 10.20.0.5 10.20.0.6; do ip address add "$address/32" dev lo; done
chmod 755 "$work"
mkdir -m 755 "$work/bin"
for program in "$build/tests/kernel/ask" "$build/dflyguard-probe" "$dflyguard"; do
	install -m 755 "$program" "$work/bin"
done
ask=$work/bin/ask
probe=$work/bin/dflyguard-probe
dflyguard=$work/bin/dflyguard
is_real_root() { [ "$(awk '{print $3}' /proc/self/uid_map)" = 4294967295 ]; }

asked() { # asked ARGUMENT...: its answer is $out
	expect_exit 0 "$ask" "$@"
}
field() { # field NAME: of /proc/PID/status
	sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"
}

# ---------------------------------------------------------------------------------------------------- the sandbox ---
by_hand() {
	expect_exit 2 "$probe"
	expect_text "$errors" 'started by dflyguard'
	expect_exit 2 "$probe" 0 0 </dev/null
	expect_exit 2 "$probe" --help
	# With a file, but no questions.
	expect_exit 4 "$probe" 65534 65534 </etc/passwd
	expect_equal "what it says" "" "$(cat "$out")"
}
t "started by hand it says who starts it" by_hand

# The program, while it waits for a server that says nothing.
waits() {
	pid=
	"$ask" plaintext milliseconds=30000 fd:127.0.0.1:7001 >"$work/waits" 2>&1 &
	asks=$!
	wait_until 10 is_waiting || { wrong "it does not wait: $(cat "$work/waits")"; return 1; }
}
is_waiting() {
	pid=$(pgrep -P "$asks") && [ "$(sed -n 's/^Seccomp:[[:space:]]*//p' "/proc/$pid/status")" = 2 ]
}
privileges() {
	local name
	doors 127.0.0.1,7001,silent && waits || return
	for name in CapInh CapPrm CapEff CapBnd CapAmb; do
		expect_equal "$name" 0000000000000000 "$(field $name)"
	done
	expect_equal NoNewPrivs 1 "$(field NoNewPrivs)"
	expect_equal Seccomp 2 "$(field Seccomp)"
	expect_equal Threads 1 "$(field Threads)"
	if is_real_root; then
		for name in Uid Gid; do
			field $name | grep -qE '^([1-9][0-9]*)[[:space:]]\1[[:space:]]\1[[:space:]]\1$' || wrong "$name: $(field $name)"
		done
		expect_equal Groups "" "$(field Groups | tr -d ' ')"
	fi
	expect_text "/proc/$pid/limits" '^Max core file size +0 +0' '^Max processes +0 +0' '^Max file size +4194304 +4194304' \
		'^Max address space +[0-9]+ +[0-9]+ '
	expect_equal environment "LC_ALL=C" "$(tr '\0' '\n' <"/proc/$pid/environ")"
	expect_equal "working directory" / "$(readlink "/proc/$pid/cwd")"
	expect_equal files "0 1 2 3" "$(find "/proc/$pid/fd" -mindepth 1 -printf '%f\n' | sort -n | paste -sd' ')"
	[[ $(readlink "/proc/$pid/fd/0") = *dflyguard-questions* ]] || wrong "0 is $(readlink "/proc/$pid/fd/0")"
	[[ $(readlink "/proc/$pid/fd/1") = pipe:* ]] || wrong "1 is $(readlink "/proc/$pid/fd/1")"
	expect_equal "standard error" /dev/null "$(readlink "/proc/$pid/fd/2")"
	[[ $(readlink "/proc/$pid/fd/3") = socket:* ]] || wrong "3 is $(readlink "/proc/$pid/fd/3")"
	# It does not outlive who started it.
	kill -KILL "$asks"
	wait "$asks" 2>/dev/null
	wait_until 5 is_gone || wrong "it lives on"
	stop
}
is_gone() { [ ! -e "/proc/$pid" ]; }
t "it has no privilege, another user, a filter, and only the files that it was given; and ends with its parent" privileges

refused_calls() {
	asked self
	expect_text "$out" '^self .* open=1 socket=1 unix=1 connect=1 access=1$'
	is_real_root || return 0
	expect_no_text "$out" 'uid=0|gid=0'
}
t "it can open neither a file nor a socket" refused_calls

# What dflyguard, which holds the privilege, is linked with. Its probe has the rest.
linked() {
	local library
	readelf -d "$dflyguard" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libasan|libubsan|libgcc_s|ld-linux)' >"$work/needed"
	while read -r library; do
		case $library in
		libnftnl.so.* | libmnl.so.* | libconfuse.so.* | libc.so.* | libm.so.*) ;;
		*) wrong "dflyguard is linked with $library" ;;
		esac
	done <"$work/needed"
	expect_text "$work/needed" libnftnl
	readelf -d "$probe" >"$work/needed"
	expect_text "$work/needed" 'libcrypto' 'libhiredis' 'libseccomp'
	expect_no_text "$work/needed" 'libnftnl|libmnl'
}
t "dflyguard is linked with nothing that reads hostile bytes" linked

# ------------------------------------------------------------------------------------------ without it, or with a bad one ---
server_policy() { # server_policy TEXT...: with a server on 10.20.0.5:6380
	policy <<-END
		default_environment = test
		service { port = 6379 tls_port = 6380 admin_port = 9999 memcached_port = 11211 flagfile = "$work/flags" }
		environment test { tls = required clients = {"10.20.0.0/24"} bind = {"10.20.0.5"} password = required $* }
	END
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 400 -subj /CN=db \
	-addext subjectAltName=IP:10.20.0.5 -keyout "$work/server.key" -out "$work/server.crt" 2>/dev/null
printf '%s\n' --port=6380 --bind=10.20.0.5 --tls "--tls_cert_file=$work/server.crt" "--tls_key_file=$work/server.key" \
	--requirepass=correct-horse-battery-staple-17 >"$work/flags"
tls_flags=("--flagfile=$work/flags")
export CERTIFICATE=$work/server.crt KEY=$work/server.key VERSIONS=1.2-1.3
server_policy
apply
# Of all that was not found out nothing is a pass.
unknown_all() { # unknown_all PATTERN
	local check
	look
	for check in tls.handshake tls.versions tls.ciphers tls.plaintext tls.files auth.open auth.http exposure.console; do
		row unknown "$check" "$1"
		no_row pass "$check"
	done
	[ "$looked" != 0 ] || wrong "exit status 0"
	# The rest of the audit is whole.
	row pass firewall.drift ''
	row pass bind.wildcard ''
}

with_it() {
	doors 10.20.0.5,6380,tls -- "${tls_flags[@]}" || return
	look
	row pass tls.handshake 'succeeds'
	row pass tls.plaintext refused
	row pass auth.open 'asks for a password'
	row pass tls.key_match "certificate's"
	expect_no_text "$work/look" 'correct-horse'
	stop
}
t "with it, a server's answers are known" with_it

missing() {
	local mode
	# Where it is installed there may be one.
	[ ! -e /usr/libexec/dflyguard/dflyguard-probe ] || { skip "dflyguard-probe is installed on this host"; return; }
	doors 10.20.0.5,6380,tls -- "${tls_flags[@]}" || return
	mv "$probe" "$probe.away"
	unknown_all 'dflyguard-probe is not there, neither beside dflyguard nor in'
	mv "$probe.away" "$probe"
	for mode in 775 757; do
		chmod $mode "$probe"
		unknown_all 'dflyguard-probe is not trusted: others could have written it'
	done
	chmod 755 "$probe"
	stop
}
t "missing, or writable by others: unknown, and the audit says why" missing

instead() { # instead PROGRAM PATTERN: this one in its place; test_probe.c has more of them, that crash and lie
	install -m 755 "$(type -P "$1")" "$probe"
	unknown_all "$2"
}
bad_ones() {
	doors 10.20.0.5,6380,tls -- "${tls_flags[@]}" || return
	mv "$probe" "$probe.away"
	instead false 'ended with status 1'
	instead true 'does not speak the language: it is cut off'
	instead echo 'does not speak the language: a field without'
	instead yes 'said more than [0-9]+ bytes'
	# A script would be read again by its name, which it does not have.
	printf '#!/bin/sh\nexit 0\n' >"$probe"
	unknown_all 'could not be started'
	mv "$probe.away" "$probe"
	stop
}
t "another program, which fails, is silent or floods: unknown, and the audit is whole" bad_ones

# Nothing else is wrong: 2, since what is not known is no pass.
only_unknown() {
	server_policy 'self_signed = allow'
	apply
	doors 10.20.0.5,6380,tls -- "${tls_flags[@]}" || return
	look --fail-on critical
	expect_equal "exit status with it: $(grep -v ^pass "$findings")" 0 "$looked"
	chmod 775 "$probe"
	look --fail-on critical
	expect_equal "exit status" 2 "$looked"
	chmod 755 "$probe"
	stop
	server_policy
	apply
}
t "where only that is not known, exit status 2" only_unknown

# ------------------------------------------------------------------------------------------------ hostile servers ---
# BEHAVIOUR QUESTION EXPECTED: of one answer; whatever a server does, it is told or unknown, in time and in memory.
hostile() {
	local behaviour question expected port=7100
	while read -r behaviour question expected; do
		port=$((port + 1))
		doors "127.0.0.1,$port,$behaviour" || return
		local options=(milliseconds=400)
		[[ $question != *-tls ]] || options+=(tls=1)
		[[ $question != http* ]] || options+=(path=/)
		asked "${question%-tls}" "${options[@]}" "fd:127.0.0.1:$port"
		grep -qE -- "$expected" "$out" || wrong "$behaviour, $question: $(cat "$out")"
		stop
	done <<-'END'
		silent     plaintext     ^plaintext.*outcome=silent$
		reset      plaintext     ^plaintext.*outcome=(reset|closed)$
		garbage    plaintext     ^plaintext.*outcome=said.said=
		endless    plaintext     ^plaintext.*outcome=said.said=x+$
		slow       plaintext     ^plaintext.*outcome=said.said=
		silent     handshake     ^handshake.*outcome=silent
		reset      handshake     ^handshake.*outcome=(reset|closed)
		garbage    handshake     ^handshake.*outcome=(plaintext|refused)
		endless    handshake     ^handshake.*outcome=(plaintext|refused)
		helloing   handshake     ^handshake.*outcome=endless
		noauth     handshake     ^handshake.*outcome=plaintext
		tls        handshake     ^handshake.*outcome=accepted.version=TLSv1.3
		mutual     handshake     ^handshake.*outcome=certificate-required
		silent     server        ^ping.*outcome=silent$
		cut        server        ^ping.*outcome=silent$
		slow       server        ^ping.*outcome=silent$
		reset      server        ^ping.*outcome=closed$
		garbage    server        ^ping.*outcome=not-resp$
		endless    server        ^ping.*outcome=not-resp$
		nested     server        ^ping.*outcome=not-resp$
		bulk       server        ^ping.*outcome=not-resp$
		array      server        ^ping.*outcome=not-resp$
		negative   server        ^ping.*outcome=not-resp$
		tls        server        ^ping.*outcome=wants-tls.said=ERR%20Bad%20TLS|^ping.*outcome=wants-tls.said=ERR.Bad.TLS
		tls        server-tls    ^ping.*outcome=noauth
		tls-open   server-tls    ^ping.*outcome=pong
		silent     server-tls    ^ping.*outcome=silent$
		helloing   server-tls    ^ping.*outcome=silent$
		reset      server-tls    ^ping.*outcome=no-tls$
		silent     http          ^failed.*nothing.came
		http       http          ^http.*status=200
		noauth     http          ^http.*status=0
		endless    http          ^http.*status=0
		tls        http          ^failed.*wants.TLS
		silent     memcached     ^failed.*nothing.came
		memcached  memcached     ^memcached.*outcome=served
		noauth     memcached     ^memcached.*outcome=refused
		tls        memcached     ^failed.*wants.TLS
		silent     memcached-tls ^failed.*no.handshake
	END
}
t "whatever a server does, the program tells it or does not know, in time" hostile

liar() {
	doors 127.0.0.1,7301,liar || return
	asked server milliseconds=3000 fd:127.0.0.1:7301
	expect_text "$out" '^failed .*more than is looked at|^ping .*outcome=pong'
	stop
}
t "a server that lies about all breaks nothing" liar

# One that floods does not make others unknown.
neighbour() {
	doors 10.20.0.5,6380,tls 10.20.0.6,6380,liar 127.0.0.1,6379,endless 127.0.0.1,9999,silent -- "${tls_flags[@]}" || return
	look
	row pass auth.open '10.20.0.5:6380: it asks for a password'
	row pass tls.handshake '10.20.0.5:6380: a handshake'
	row unknown auth.admin '127.0.0.1:9999: it says nothing'
	row unknown auth.open '127.0.0.1:6379: it does not speak RESP'
	no_row pass auth.open '10.20.0.6:6380'
	expect_no_text "$work/look" $'\x1b'
	stop
}
t "a hostile server beside a good one: the good one is known" neighbour

# ------------------------------------------------------------------------------------------ whom a password is given ---
monitor() {
	echo s3cret >"$work/monitor"
	chmod 600 "$work/monitor"
	server_policy "monitor_password_file = \"$work/monitor\""
	apply
	doors 10.20.0.5,6380,tls -- "${tls_flags[@]}" || return
	look
	row unknown auth.users 'not let in: NOAUTH'
	chmod 644 "$work/monitor"
	look
	row unknown auth.users 'that nobody else may read'
	chmod 600 "$work/monitor"
	stop
	is_real_root || { skip "there is no other user here: half of it was seen"; return; }
	# A stranger who listens where the server is not.
	doors_as='setpriv --reuid 65534 --regid 65534 --clear-groups' doors 10.20.0.5,6380,noauth -- --port=6380 || return
	look
	row unknown auth.users 'not known to be of dragonfly.service, and anybody could be there'
	stop
}
t "the monitor's password is given to the server alone" monitor
finish
