# A private network namespace for everything that touches the kernel's firewall; to be sourced by a script that is
# started as a file. `private_namespace "$@"` starts the script again inside; when it returns, we are inside, with a
# network, mounts and process numbers of our own and an empty /run. Works for root and, by a user namespace, for
# everybody else. Nothing here ever runs on in the namespace it came from.
# shellcheck shell=bash

# Why namespaces are not permitted, as precisely as the system tells.
namespace_refusal() {
	local setting value
	for setting in user.max_user_namespaces user.max_net_namespaces user.max_mnt_namespaces user.max_pid_namespaces; do
		value=$(cat "/proc/sys/${setting/.//}" 2>/dev/null) || continue
		if [ "$value" = 0 ]; then
			echo "the setting $setting is 0: sysctl $setting=10000 permits them, or run this as root"
			return
		fi
	done
	if [ "$(id -u)" = 0 ]; then
		echo "root here lacks CAP_SYS_ADMIN (a container? start it with --cap-add SYS_ADMIN --cap-add NET_ADMIN," \
			"or --privileged)"
	elif [ "$(cat /proc/sys/kernel/unprivileged_userns_clone 2>/dev/null)" = 0 ]; then
		echo "the setting kernel.unprivileged_userns_clone is 0: sysctl kernel.unprivileged_userns_clone=1" \
			"permits them, or run this as root"
	elif [ "$(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null)" = 1 ]; then
		echo "the setting kernel.apparmor_restrict_unprivileged_userns is 1: sysctl" \
			"kernel.apparmor_restrict_unprivileged_userns=0 permits them, or run this as root"
	else
		echo "unshare says: $(unshare --user --map-root-user --net true 2>&1 | head -n 1)" \
			"(a seccomp filter, as containers have it? run this as root)"
	fi
}

private_namespace() { # private_namespace "$@": returns inside; exits 77 with the reason where that cannot be
	local options way ways
	if [ -z "${DFLYGUARD_TEST_OUTSIDE:-}" ]; then
		# What inside must not be: our own network, and where it can be seen the first process's.
		DFLYGUARD_TEST_OUTSIDE="$(readlink /proc/self/ns/net) $(readlink /proc/1/ns/net 2>/dev/null || true)"
		export DFLYGUARD_TEST_OUTSIDE
		ways=("--mount-proc" "" "--user --map-root-user --mount-proc" "--user --map-root-user")
		[ "$(id -u)" = 0 ] || ways=("${ways[@]:2}")
		for way in "${ways[@]}"; do
			read -ra options <<<"--net --mount --pid --fork --kill-child $way"
			unshare "${options[@]}" true 2>/dev/null || continue
			# shellcheck disable=SC2093 # what comes after is for those who found no way
			exec unshare "${options[@]}" "$BASH" "$0" "$@"
		done
		echo "cannot make a private network namespace: $(namespace_refusal)" >&2
		exit 77
	fi
	local here
	here=$(readlink /proc/self/ns/net)
	# Positive proof only: process number 1 of a new process namespace, in a network that nobody named above has.
	if [ $$ -ne 1 ] || [ -z "$here" ] || [[ " $DFLYGUARD_TEST_OUTSIDE " = *" $here "* ]]; then
		echo "$0: refuses to run outside a private network namespace" >&2
		exit 2
	fi
	if [ -n "$(ip -o link show up 2>/dev/null)" ]; then
		echo "$0: refuses to run: this network namespace is in use already" >&2
		exit 2
	fi
	unset DFLYGUARD_TEST_OUTSIDE
	# `ip netns` keeps its names below /run; ours must not be seen outside, and an ordinary user cannot write there.
	mount -t tmpfs -o mode=0755 tmpfs /run
	# Process number 1 ignores what it does not handle.
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}
