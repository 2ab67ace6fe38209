# A systemd of the test's own: process number 1 of namespaces of its own, on a copy of this system that is gone
# afterwards (an overlay), with dflyguard installed, and no unit of the host's. To be sourced after guard.sh. Nothing of
# the host's systemd is asked or told, and its network is an empty one.
# shellcheck shell=bash
: "${work:?}" "${root:?}"
system_base=$work/system # its parts: changes (the upper layer), result (what a scenario leaves)

# Fails, and says why, where no such systemd can run.
system_possible() {
	local mounted own why
	[ -x /lib/systemd/systemd ] || { echo "systemd is not installed"; return 1; }
	mounted=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	own=$(sed -n 's/^0:://p' /proc/self/cgroup)
	[ -n "$mounted" ] || { echo "no systemd runs here: there is no cgroup2"; return 1; }
	# A part of our own group, which a systemd of the host leaves alone.
	system_group=${mounted%/}${own%/}/dflyguard-test-$RANDOM$RANDOM
	mkdir "$system_group" 2>/dev/null ||
		{ echo "no systemd runs here: control groups cannot be made below ${system_group%/*}"; return 1; }
	rmdir "$system_group"
	# What system_boot needs, without the systemd: that one has to work, then.
	why=$(unshare --mount --pid --fork --net --uts --ipc --cgroup --kill-child sh -ec '
		mount --make-rprivate /
		mount -t tmpfs tmpfs "$1"
		mkdir "$1/upper" "$1/work" "$1/tree"
		mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/tree"
		mount -t proc proc "$1/tree/proc"
		mount -t sysfs sysfs "$1/tree/sys"
		mount -t cgroup2 cgroup2 "$1/tree/sys/fs/cgroup"
		mount -t devpts -o newinstance devpts "$1/tree/dev"' sh /mnt 2>&1) ||
		{ echo "no systemd runs here: ${why##*$'\n'}"; return 1; }
}

# system_prepare: a fresh copy, to be changed in $system_base/changes before system_run. Units are enabled as a user does.
system_prepare() {
	rm -rf "${system_base:?}"
	mkdir -p "$system_base"/{changes,result}
	make -s -C "$root" install DESTDIR="$system_base/changes" SYSTEMDUNITDIR=/etc/systemd/system >&2 || return
	install -m 0755 "${dflyguard:?}" "$system_base/changes/usr/sbin/dflyguard"
	mkdir -p "$system_base/changes/etc/default"
}

# system_run [UNIT...]: boots with these units enabled, runs the scenario on standard input in it (sh; what it prints is
# $out) when what boots is done, and ends. The exit status is that of the systemd: 0.
system_run() {
	local status=0
	out=$system_base/result/out
	{ echo 'set -u; exec 2>&1'; cat; } >"$system_base/result/scenario"
	printf '%s\n' "$@" >"$system_base/result/enabled"
	mkdir "$system_group" || return
	(
		echo "$BASHPID" >"$system_group/cgroup.procs" || exit
		exec timeout -s KILL 60 unshare --mount --pid --fork --net --uts --ipc --cgroup --kill-child \
			"$BASH" -c "$(declare -f system_boot)"'; system_boot "$1"' system "$system_base" </dev/null
	) >"$system_base/result/console" 2>&1 || status=$?
	find "$system_group" -depth -type d -exec rmdir {} +
	[ -s "$out" ] && return "$status"
	cat "$system_base/result/console"
	return 1
}

system_boot() { # system_boot BASE: in the new namespaces, as the process number 1 that becomes systemd
	set -e
	local base=$1 tree=$1/tree device unit
	mount --make-rprivate /
	mkdir -p "$base/private"
	mount -t tmpfs tmpfs "$base/private"
	mkdir -p "$base/private"/{work,upper} "$tree"
	# The upper layer of an overlay must not be on an overlay itself.
	cp -a "$base/changes/." "$base/private/upper"
	mount -t overlay -o "lowerdir=/,upperdir=$base/private/upper,workdir=$base/private/work" overlay "$tree"
	# What is in force on the host was never in force here.
	rm -rf "$tree/var/lib/dflyguard"
	[ ! -d "$base/changes/var/lib/dflyguard" ] || cp -a "$base/changes/var/lib/dflyguard" "$tree/var/lib"
	mkdir "$tree/result"
	mount --bind "$base/result" "$tree/result"
	mount -t proc proc "$tree/proc"
	mount -t sysfs sysfs "$tree/sys"
	mount -t cgroup2 cgroup2 "$tree/sys/fs/cgroup"
	mount -t tmpfs -o mode=0755 tmpfs "$tree/run"
	mount -t tmpfs -o mode=0755 tmpfs "$tree/dev"
	mkdir "$tree/dev/shm" "$tree/dev/pts"
	for device in null zero full random urandom tty; do
		: >"$tree/dev/$device"
		mount --bind "/dev/$device" "$tree/dev/$device"
	done
	mount -t devpts -o newinstance,ptmxmode=0666 devpts "$tree/dev/pts"
	ln -s pts/ptmx "$tree/dev/ptmx"
	cd "$tree"
	# Of this system's own units only those that ours and the boot need.
	rm -rf lib/systemd/system/*.wants etc/systemd/system/*.wants
	while read -r unit; do
		[ -z "$unit" ] || systemctl --quiet --root="$tree" enable "$unit"
	done <"$base/result/enabled"
	cat >etc/systemd/system/scenario.service <<-'END'
		[Unit]
		DefaultDependencies=no
		Wants=sysinit.target network-pre.target multi-user.target timers.target
		After=sysinit.target network-pre.target
		[Service]
		Type=oneshot
		StandardOutput=file:/result/out
		StandardError=file:/result/out
		ExecStart=-/bin/sh /result/scenario
		ExecStart=systemctl exit 0
	END
	mkdir old
	pivot_root . old
	umount -l /old
	mount --make-rshared /
	exec env -i container=dflyguard-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		/lib/systemd/systemd --system --unit=scenario.service --show-status=no
}
