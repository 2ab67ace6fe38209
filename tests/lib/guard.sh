# What every kernel test begins with; to be sourced first: `. "$(dirname "$0")/../lib/guard.sh"`. Enters a private
# namespace (and refuses to go on elsewhere), then gives the program, the helpers, and the sights of its table.
# shellcheck shell=bash
set -u
LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL PATH
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-$root/build}
case $build in /*) ;; *) build=$root/$build ;; esac
dflyguard=${DFLYGUARD:-$build/dflyguard}
netprobe=$build/tests/kernel/netprobe
segments=$build/tests/kernel/segments
nftgen=$build/tests/kernel/nftgen
for needed in "$dflyguard" "$netprobe" "$segments" "$nftgen"; do
	[ -x "$needed" ] || { echo "$needed is missing: make build-kernel-tests" >&2; exit 2; }
done
# shellcheck source=tests/lib/namespace.sh
. "$root/tests/lib/namespace.sh"
private_namespace "$@"
umask 077 # a policy that others can write is refused
unset DFLYGUARD_ENVIRONMENT DFLYGUARD_POLICY
# shellcheck source=tests/lib/tap.sh
. "$root/tests/lib/tap.sh"
# shellcheck source=tests/lib/net.sh
. "$root/tests/lib/net.sh"
policy_file=$work/policy.conf
# What the program remembers stays with the test.
STATE_DIRECTORY=$work/state RUNTIME_DIRECTORY=$work/run
export STATE_DIRECTORY RUNTIME_DIRECTORY

# shellcheck disable=SC2120 # most write the usual file
policy() { # policy [FILE]: writes the policy from standard input
	cat >"${1:-$policy_file}"
}
environment() { # environment TEXT...: writes a policy with the usual ports and this one environment
	local server='server = optional'
	# Most tests have none, and what is wrong with those that are there most do not ask.
	[[ $* != *server* ]] || server=
	policy <<-END
		default_environment = test
		service {
			port = 6379
			tls_port = 6380
			admin_port = 9999
			memcached_port = 11211
		}
		environment test {
			$server
			$*
		}
	END
}
guard() { # guard [OPTION...] COMMAND...: the program on the policy above
	"$dflyguard" --policy "$policy_file" "$@"
}
apply() { # apply [OPTION...]: puts the policy in force and proves that nothing is left to do
	expect_exit 0 guard "$@" apply
	cp "$out" "$work/applied"
	expect_exit 0 guard "$@" plan
}

# Our table as a text that can be compared: without counters' values and the time it is in force since, its blocks in the
# order of their names, because the kernel lists them in the order of their making.
listing() { # listing [NS]
	inside "${1:-host}" nft -s list table inet dflyguard 2>/dev/null | sed 's/20[0-9-]*T[0-9:]*Z/TIME/' | awk '
		/^\t[^\t}]/ { block = $0; next }
		# What packets put into a set is state.
		/^\t}/ { if (block ~ /flags dynamic/) sub(/\034\t\telements = .*/, "", block); print block "\034" $0; block = ""; next }
		/^\t\t/ { block = block "\034" $0; next }
		NF { print "\001" $0 }' | sort | tr '\034' '\n' | tr -d '\001' | sed '/^[^\t]*}$/d'
}
# Everything that is not ours, byte for byte, handles included.
foreign() {
	nft -a list ruleset | awk '/^table inet dflyguard /{ours = 1} !ours {print} /^}/{ours = 0}'
}
handles() { # handles KIND...: our table with handles, only of lines like `chain`, `set`, `rule`
	nft -a -s list table inet dflyguard | grep 'handle'
}
counted() { # counted NAME: packets of one of our counters
	nft list counter inet dflyguard "$1" | sed -n 's/.*packets \([0-9]*\) .*/\1/p'
}
generation() {
	"$nftgen"
}

# What nf_tables does while a command runs: `watched FILE COMMAND...` leaves the events in FILE. A table of our own marks
# the beginning and the end, so that neither is a matter of time.
watched() {
	local file=$1 status=0 monitor
	shift
	nft monitor >"$work/monitor" 2>&1 &
	monitor=$!
	watched_begin || wrong "nft monitor shows nothing"
	"$@" || status=$?
	nft 'add table inet watched_end'
	wait_until 10 grep -q 'watched_end' "$work/monitor" || wrong "nft monitor stopped"
	kill "$monitor"
	wait "$monitor" 2>/dev/null
	nft 'delete table inet watched_end'
	# `create` is an `add` that insists on being the first.
	grep -Ev 'watched_(begin|end)|^# new generation' "$work/monitor" | sed 's/^create /add /' >"$file"
	return "$status"
}
watched_begin() {
	local delay
	# Longer and longer: every transaction of ours makes the monitor read a long ruleset from the beginning again.
	for delay in 0.02 0.05 0.1 0.2 0.4 0.8 1.6 3.2 6.4; do
		sleep "$delay"
		nft 'add table inet watched_begin; delete table inet watched_begin'
		for _ in 1 2 3 4 5; do
			grep -q 'delete table inet watched_begin' "$work/monitor" && return
			sleep 0.01
		done
	done
	return 1
}

kept_head() { # kept_head ENVIRONMENT: what stands in front of a policy that is kept as the one in force last
	printf '# dflyguard state 1\n# environment %s\n# applied 2026-11-23T11:20:00Z\n# path /etc/dflyguard/policy.conf\n' "$1"
	printf '# fingerprint 0123456789abcdef\n# digest 0123456789abcdef\n#\n'
}
