#!/bin/bash
# The evaluator (`dflyguard explain`) against the kernel: random policies, random connections, real packets. They agree on
# each: allowed or refused, how, and by which reason. DFLYGUARD_TEST_SEED repeats a run; it is in the log.
. "$(dirname "$0")/../lib/guard.sh"
differential=$build/tests/kernel/differential
[ -x "$differential" ] || { echo "$differential is missing: make build-kernel-tests" >&2; exit 2; }
network
more_addresses() { # more_addresses NS IPV4-PREFIX IPV6-PREFIX LENGTH FIRST LAST: who may speak
	local number
	for number in $(seq "$5" "$6"); do
		echo "addr replace $2.$number/$4 dev eth0"
		echo "addr replace $3:$(printf %x "$number")/64 dev eth0 nodad"
	done | ip -n "$1" -batch -
}
more_addresses allowed 10.20.0 2001:db8:20: 24 10 29
more_addresses outside 10.66.0 2001:db8:66: 24 10 29
more_addresses container 172.17.0 fd00:17: 16 2 21
kind=()
if network_elsewhere; then
	more_addresses elsewhere 10.77.0 2001:db8:77: 24 10 29
	kind=("$(ip -d link show up0 | grep -oE '^ +(vlan|tun) ' | tr -d ' ')")
fi
# A port that was used before is taken for the old connection as long as connection tracking remembers that: not for long
# here, and from many ports.
echo 1 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close
for ns in host allowed outside container; do
	inside "$ns" sh -c 'echo 20000 64999 >/proc/sys/net/ipv4/ip_local_port_range'
done
connections=2200
[ -z "${DFLYGUARD_TEST_LONG:-}" ] || connections=20000

agreement() {
	"$differential" "$dflyguard" "$work" "$connections" "${kind[@]}" >"$work/differential" 2>&1 ||
		wrong "they disagree, or it could not be tried"
	cat "$work/differential"
	tail -n 30 "$work/differential" | grep -qE '^[0-9]+ connections under [0-9]+ policies .*: 0 disagreements$' ||
		wrong "no agreement was reported"
}
t "the evaluator and the kernel agree on random connections under random policies" agreement
sed 's/^/# /' "$work/differential" | tail -n 8
finish
