#!/bin/bash
# The units of systemd/: they are valid, hardened, call what there is; and a systemd of the test's own boots with them.
# shellcheck disable=SC2016 # scenarios are expanded inside
. "$(dirname "$0")/../lib/guard.sh"
. "$root/tests/lib/system.sh"
cd "$root" || exit 2

installed=$work/installed
install_units() {
	make -s install DESTDIR="$installed" SYSTEMDUNITDIR=/lib/systemd/system || wrong "make install failed"
	# verify looks for what is to be started in the system itself.
	mkdir "$work/units"
	local unit
	for unit in "$installed"/lib/systemd/system/*; do
		sed "s|/usr/sbin/dflyguard|$dflyguard|" "$unit" >"$work/units/$(basename "$unit")"
	done
	expect_equal "installed units" "$(ls systemd)" "$(ls "$work/units")"
}
t "make install puts every unit into DESTDIR" install_units

uninstall_units() {
	local elsewhere=$work/elsewhere
	make -s install DESTDIR="$elsewhere" PREFIX=/usr/local SYSTEMDUNITDIR=/etc/systemd/system
	expect_equal "calls of /usr/sbin" "" "$(grep -rE '^Exec.*=/usr/sbin' "$elsewhere/etc/systemd/system")"
	[ "$(grep -rlE '^Exec.*=/usr/local/sbin/dflyguard ' "$elsewhere/etc/systemd/system" | wc -l)" = 3 ] ||
		wrong "the units do not follow PREFIX"
	make -s uninstall DESTDIR="$elsewhere" PREFIX=/usr/local SYSTEMDUNITDIR=/etc/systemd/system
	expect_equal "files left" "" "$(find "$elsewhere" -type f)"
}
t "units follow PREFIX, and make uninstall leaves none" uninstall_units

verified() {
	command -v systemd-analyze >/dev/null || { skip "systemd-analyze is not installed"; return; }
	systemd-analyze verify --man=no "$work"/units/* >"$work/verify" 2>&1 || wrong "systemd-analyze verify failed"
	# What it says of other units of this system is not ours.
	grep dflyguard "$work/verify" >"$work/verify.ours"
	expect_same "what systemd-analyze says" /dev/null "$work/verify.ours"
}
t "systemd-analyze verify has nothing to say" verified

exposed() {
	command -v systemd-analyze >/dev/null || { skip "systemd-analyze is not installed"; return; }
	local unit level
	for unit in "$work"/units/*.service; do
		# In tenths. Those that audit see who listens, which takes CAP_SYS_PTRACE.
		systemd-analyze security --no-pager --offline=true --threshold=20 "$unit" >"$work/security" 2>&1 ||
			wrong "$(basename "$unit"): $(tail -n 1 "$work/security")"
		level=$(sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p' "$work/security")
		[ -n "$level" ] || wrong "$(basename "$unit"): no exposure level was told"
	done
}
t "systemd-analyze security: the exposure of each service is at most 2.0" exposed

called() { # the commands and options of Exec lines exist
	local line arguments count=0
	while read -r line; do
		read -ra arguments <<<"${line#Exec*=}"
		count=$((count + 1))
		"$dflyguard" "${arguments[1]}" --help >/dev/null 2>&1 ||
			wrong "there is no command '${arguments[1]}', which a unit calls"
		[[ $line = *--boot* ]] || continue
		expect_exit 0 "$dflyguard" apply --boot --help
	done < <(grep -hE '^Exec[A-Za-z]*=.*/dflyguard ' systemd/*.service)
	[ $count -ge 4 ] || wrong "only $count Exec lines were found"
}
t "what the units call is what the program has" called

# --------------------------------------------------------------------------------- booted, by a systemd of our own ---
why=$(system_possible) && system_possible >/dev/null
good_policy='default_environment = production
service { tls_port = 6380 }
environment production { tls = optional clients = {"10.20.0.0/24"} server = optional }
environment staging { tls = optional clients = {} }'
bad_policy='default_environment = production
service { port = 7001 tls_port = 7002 }
environment production { tls = optional clients = {nobody_knows} }'

booted() { # booted POLICY: or skip the case; $system is what may be changed before
	[ -z "$why" ] || { skip "$why"; return 1; }
	system=$system_base/changes
	system_prepare || { wrong "make install failed"; return 1; }
	echo "$1" >"$system/etc/dflyguard/policy.conf"
}
kept() { # kept ENVIRONMENT POLICY: as the policy in force before the reboot
	mkdir -p "$system/var/lib/dflyguard"
	chmod 700 "$system/var/lib/dflyguard"
	{ kept_head "$1"; echo "$2"; } >"$system/var/lib/dflyguard/current"
}
run_system() { # run_system UNIT...: the scenario from standard input
	system_run "$@" || wrong "the system did not end well"
}
show='systemctl show -P Result -P ExecMainStatus -P ActiveState dflyguard.service | paste -sd" "; dflyguard status -q; echo "status $?"; dflyguard status'

at_boot() {
	booted "$good_policy" || return 0
	run_system dflyguard.service <<-END
		$show
		systemctl show -P ActiveEnterTimestampMonotonic dflyguard.service network-pre.target |
			grep . | sort -nc && echo ordered
		stat -c '%n %a %U' /var/lib/dflyguard /run/dflyguard
		systemctl is-active network-pre.target
	END
	expect_text "$out" '^success 0 active' '^status 0' 'environment +production' 'as /etc/dflyguard/policy.conf says' \
		'^ordered' '^/var/lib/dflyguard 700 root' '^/run/dflyguard 700 root' '^active'
}
t "enabled: at boot the policy is in force before network-pre.target" at_boot

from_environment() {
	booted "$good_policy" || return 0
	echo DFLYGUARD_ENVIRONMENT=staging >"$system/etc/default/dflyguard"
	run_system dflyguard.service <<<"$show"
	expect_text "$out" '^success 0 active' 'environment +staging'
}
t "/etc/default/dflyguard chooses the environment" from_environment

reload_and_stop() {
	booted "$good_policy" || return 0
	run_system dflyguard.service <<-END
		sed -i 's/10.20.0.0/10.30.0.0/' /etc/dflyguard/policy.conf
		systemctl reload dflyguard; echo "reload \$?"
		nft list set inet dflyguard clients_v4 | grep -o '10.30.0.0/24'
		echo nonsense >/etc/dflyguard/policy.conf
		systemctl reload dflyguard; echo "reload \$?"
		systemctl is-active dflyguard
		systemctl stop dflyguard; echo "stop \$?"
		nft list set inet dflyguard clients_v4 | grep -o '10.30.0.0/24'
	END
	expect_equal "what happened" "reload 0 10.30.0.0/24 reload 1 active stop 0 10.30.0.0/24" "$(grep -vE '^(Job|See)' "$out" | paste -sd' ')"
}
t "reload applies a good policy, and keeps what is in force for a bad one; stop opens no port" reload_and_stop

with_nftables() {
	booted "$good_policy" || return 0
	[ -e /lib/systemd/system/nftables.service ] || { skip "there is no nftables.service"; return; }
	printf '#!/usr/sbin/nft -f\nflush ruleset\ntable inet filter { }\n' >"$system/etc/nftables.conf"
	run_system dflyguard.service nftables.service <<-'END'
		see() { # the other unit's reload does not wait for ours
			for _ in $(seq 250); do
				dflyguard status -q && [ "$(systemctl is-active dflyguard)" = active ] && echo "in force" && break
				sleep 0.02
			done
			systemctl is-active dflyguard nftables
			nft list tables | sort
		}
		see
		systemctl restart nftables; see
		systemctl reload nftables; see
	END
	local once='in force active active table inet dflyguard table inet filter'
	expect_equal "what is there" "$once $once $once" "$(paste -sd' ' "$out")"
}
t "beside nftables.service, which flushes every table: in force after boot, restart and reload" with_nftables

bad_at_boot() {
	booted "$bad_policy" || return 0
	run_system dflyguard.service <<<"$show"$'\nnft list set inet dflyguard guarded_ports\nsystemctl is-active network-pre.target sysinit.target'
	expect_text "$out" '^exit-code 1 failed' 'environment +closed' '7001-7002' '^active'
	booted "$bad_policy" || return 0
	echo BOOT_OPTIONS=--on-failure=open >"$system/etc/default/dflyguard"
	run_system dflyguard.service <<<"$show"
	expect_text "$out" '^exit-code 2 failed' 'not in force'
}
t "a bad policy and none before: the unit fails, the ports are closed (or open, if so chosen), the boot goes on" bad_at_boot

last_at_boot() {
	booted "$bad_policy" || return 0
	kept staging "$good_policy"
	run_system dflyguard.service <<<"$show"
	expect_text "$out" '^success 0 active' 'environment +staging' 'not compared: the policy cannot be used'
}
t "a bad policy and one before: that one, with its environment, and the unit is active" last_at_boot

# What `apply` keeps, under the restrictions of the unit, is what the next boot finds.
kept_by_unit() {
	booted "$good_policy" || return 0
	run_system dflyguard.service <<-END
		nft delete table inet dflyguard
		rm -rf /run/dflyguard # as a reboot does
		echo '$bad_policy' >/etc/dflyguard/policy.conf
		systemctl restart dflyguard.service
		$show
	END
	expect_text "$out" '^success 0 active' 'environment +production'
}
t "what a unit put in force is what it finds after a reboot with a bad policy" kept_by_unit

audit_by_timer() {
	booted "$good_policy" || return 0
	run_system dflyguard.service dflyguard-audit.timer <<-'END'
		systemctl is-active dflyguard-audit.timer
		systemctl start dflyguard-audit.service; echo "audit $?"
		systemctl is-failed dflyguard-audit.service
		nft flush chain inet dflyguard judge
		systemctl start dflyguard-audit.service 2>/dev/null; echo "audit $?"
		systemctl is-failed dflyguard-audit.service
		systemctl show -P ExecMainStatus dflyguard-audit.service
		echo AUDIT_OPTIONS=--heal >/etc/default/dflyguard
		systemctl start dflyguard-audit.service; echo "audit $?"
		dflyguard status -q; echo "status $?"
	END
	expect_equal "what happened" "active audit 0 inactive audit 1 failed 1 audit 0 status 0" "$(paste -sd' ' "$out")"
}
t "the timer is active; audit fails on drift, and heals where it is told to" audit_by_timer

watched_by_unit() {
	booted "$good_policy" || return 0
	mkdir -p "$system/var/lib/prometheus/node-exporter"
	echo 'WATCH_OPTIONS="--heal --events --metrics /var/lib/prometheus/node-exporter/dflyguard.prom"' >"$system/etc/default/dflyguard"
	run_system dflyguard.service dflyguard-watch.service <<-'END'
		wait_for() { for _ in $(seq 250); do "$@" >/dev/null && return; sleep 0.02; done; echo "in vain: $*"; }
		wait_for systemctl is-active dflyguard-watch.service
		systemctl reload dflyguard-watch.service; echo "reload $?"
		nft delete table inet dflyguard
		wait_for dflyguard status -q && echo healed
		wait_for test -s /var/lib/prometheus/node-exporter/dflyguard.prom && echo measured
		systemctl stop dflyguard-watch.service
		systemctl show -P Result -P NRestarts dflyguard-watch.service | paste -sd" "
	END
	expect_equal "what happened" "reload 0 healed measured success 0" "$(paste -sd' ' "$out")"
}
t "watch is ready, heals, writes metrics, and ends well" watched_by_unit
finish
