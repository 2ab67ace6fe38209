#!/bin/bash
# `export --to systemd`: systemd understands the drop-in, and with it a server starts only where the firewall is in force
# and its flags ask for what the policy allows; its sockets then speak with the policy's sources only.
# shellcheck disable=SC2016 # scenarios are expanded inside
. "$(dirname "$0")/../lib/guard.sh"
. "$root/tests/lib/system.sh"
cd "$root" || exit 2
why=$(system_possible) && system_possible >/dev/null

# --------------------------------------------------------------------------------------------- as systemd reads it ---
verify() { # verify POLICY...: the export of each beside a unit like Dragonfly's own
	command -v systemd-analyze >/dev/null || { skip "systemd-analyze is not installed"; return; }
	local file units=$work/verified
	for file; do
		rm -rf "$units"
		mkdir -p "$units/dragonfly.service.d"
		printf '[Service]\nExecStart=/bin/true --flagfile=/etc/dragonfly/dragonfly.conf\nRestart=always\n' \
			>"$units/dragonfly.service"
		expect_exit 0 "$dflyguard" --policy "$file" export --to systemd
		sed "s|=+/usr/sbin/dflyguard |=+$dflyguard |" "$out" >"$units/dragonfly.service.d/50-dflyguard.conf"
		# A variable of its own says where the unit is looked for, and where it is not.
		SYSTEMD_UNIT_PATH="$units:" systemd-analyze verify --man=no "$units/dragonfly.service" >"$work/said" 2>&1 ||
			wrong "systemd-analyze verify fails for $file"
		grep -E 'dragonfly|dflyguard' "$work/said" >"$work/said.ours"
		expect_same "what systemd-analyze says of $file" /dev/null "$work/said.ours"
	done
}
verified() {
	local file copies=$work/golden
	mkdir "$copies"
	for file in tests/golden/ruleset/*.conf; do
		cat "$file" >"$copies/$(basename "$file")"
	done
	verify "$copies"/*.conf
	[ "$(ls "$copies" | wc -l)" -ge 15 ] || wrong "the golden policies were not found"
}
t "systemd-analyze verify has nothing to say of the drop-in of any policy" verified

long_list() {
	environment "tls = optional clients = { $(awk 'BEGIN {
		for (i = 0; i < 5000; i++) printf "\"10.%d.%d.8\",", i % 256, i / 256
		for (i = 0; i < 4999; i++) printf "\"2001:db8:%x::/64\"%s", i * 2, i < 4998 ? "," : "" }') }"
	verify "$policy_file"
	environment "tls = optional clients = { $(awk 'BEGIN {
		for (i = 0; i < 10001; i++) printf "\"10.%d.%d.8\"%s", i % 256, i / 256, i < 10000 ? "," : "" }') }"
	verify "$policy_file"
	expect_text "$errors" 'too many sources'
}
t "nor of a long list; one that is too long is left out, and that is said" long_list

strange_path() { # what systemd starts has the path as it is
	local folder=$work/"a b%n \$HOME \${HOME} \"q\" \\ 'x' ä"
	mkdir "$folder"
	environment 'tls = off clients = {}'
	mv "$policy_file" "$folder/policy.conf"
	verify "$folder/policy.conf"
	# Relative, it is made absolute.
	(cd "$folder" && "$dflyguard" --policy policy.conf export --to systemd) | grep '^ExecStartPre' >"$work/relative"
	"$dflyguard" --policy "$folder/policy.conf" export --to systemd | grep '^ExecStartPre' >"$work/absolute"
	[ -s "$work/absolute" ] || wrong "there is no ExecStartPre="
	expect_same "relative and absolute" "$work/absolute" "$work/relative"
}
t "a path may hold whatever it likes, and is absolute" strange_path

# ------------------------------------------------------------------------------------------------- in a real systemd ---
# A server of the test's own: it listens where its flags say, as far as this needs it.
booted() { # booted FLAG...: or skip the case; the flags are the flagfile's
	[ -z "$why" ] || { skip "$why"; return 1; }
	system=$system_base/changes
	# What is made here is the system's, for its users.
	umask 022
	system_prepare || { wrong "make install failed"; return 1; }
	policy "$system/etc/dflyguard/policy.conf" <<-'END'
		default_environment = production
		service { tls_port = 6380 }
		environment production { tls = optional clients = {"10.20.0.0/24"} bind = {"10.20.0.5"} }
	END
	mkdir -p "$system"/usr/bin "$system"/etc/{dragonfly,systemd/system}
	printf '%s\n' "$@" >"$system/etc/dragonfly/dragonfly.conf"
	cat >"$system/usr/bin/dragonfly" <<-'END'
		#!/bin/sh
		echo "started $*"
		exec nc -lk ${LISTEN:-10.20.0.5 6379}
	END
	chmod 755 "$system/usr/bin/dragonfly"
	cat >"$system/etc/systemd/system/dragonfly.service" <<-'END'
		[Unit]
		Description=A server
		[Service]
		User=nobody
		CapabilityBoundingSet=CAP_SETGID CAP_SETUID CAP_SYS_RESOURCE
		NoNewPrivileges=yes
		ProtectSystem=full
		PrivateTmp=yes
		RuntimeDirectory=dragonfly
		StateDirectory=dragonfly
		Restart=always
		EnvironmentFile=-/etc/dragonfly/environment
		ExecStart=/usr/bin/dragonfly --flagfile=/etc/dragonfly/dragonfly.conf $MORE
		StandardOutput=append:/result/server
		StandardError=append:/result/server
	END
	cat >"$system/usr/bin/prepare" <<-'END'
		ip link set lo up
		for address in 10.20.0.5 10.20.0.10 10.66.0.10; do ip address add $address/32 dev lo; done
		mkdir -p /etc/systemd/system/dragonfly.service.d
		dflyguard export --to systemd >/etc/systemd/system/dragonfly.service.d/50-dflyguard.conf || echo "no export"
		systemctl daemon-reload
		# Faster than a person would have it.
		mkdir -p /run/systemd/system/dragonfly.service.d
		printf '[Service]\nRestartSec=100ms\n' >/run/systemd/system/dragonfly.service.d/90-test.conf
		systemctl daemon-reload
		wait_for() { for _ in $(seq 500); do "$@" >/dev/null 2>&1 && return; sleep 0.02; done; echo "in vain: $*"; return 1; }
		start() { systemctl start dragonfly.service >/dev/null 2>&1; echo "start $?"; }
	END
}
run_system() { # run_system UNIT...: the scenario from standard input
	{ echo '. /usr/bin/prepare'; cat; } >"$work/scenario"
	system_run "$@" <"$work/scenario" || wrong "the system did not end well"
}
said() { # said REGEX...: by the server's unit
	expect_text "$system_base/result/server" "$@"
}

starts() {
	booted --bind=10.20.0.5 || return 0
	run_system dflyguard.service <<-'END'
		start
		wait_for nc -z -s 10.20.0.10 10.20.0.5 6379 && echo reached
		systemctl is-active dragonfly.service
		systemctl show -P After -P Wants dragonfly.service | grep -o 'dflyguard.service'
		systemctl stop dflyguard.service # leaves both alone
		systemctl is-active dragonfly.service
	END
	expect_equal "what happened" "start 0 reached active dflyguard.service dflyguard.service active" "$(paste -sd' ' "$out")"
	said '^started --flagfile=/etc/dragonfly/dragonfly.conf' 'pass .* start.binding'
}
t "the firewall is in force, and the flags are good: the server starts" starts

strange() { # what stands in the drop-in is what systemd calls
	booted --bind=10.20.0.5 || return 0
	run_system dflyguard.service <<-'END'
		folder='/etc/dflyguard/a b%n $HOME ${HOME} "q" \ ä'
		mkdir "$folder"
		cp /etc/dflyguard/policy.conf "$folder"
		cd "$folder"
		dflyguard --policy policy.conf export --to systemd >/etc/systemd/system/dragonfly.service.d/50-dflyguard.conf
		systemctl daemon-reload
		mv /etc/dflyguard/policy.conf /etc/dflyguard/elsewhere.conf
		start
	END
	expect_equal "what happened" "start 0" "$(paste -sd' ' "$out")"
	said 'environment production, /etc/dflyguard/a b%n \$HOME \$\{HOME\} "q" \\ ' '^started'
}
t "a policy by a strange path is found" strange

brings_firewall() { # Wants= and After=, where nobody enabled it
	booted --bind=10.20.0.5 || return 0
	run_system <<-'END'
		dflyguard status -q; echo "status $?"
		start
		dflyguard status -q; echo "status $?"
	END
	expect_equal "what happened" "status 1 start 0 status 0" "$(paste -sd' ' "$out")"
}
t "to start the server puts the firewall in force" brings_firewall

waits_for_firewall() {
	booted --bind=10.20.0.5 || return 0
	mkdir "$system/etc/systemd/system/dflyguard.service.d"
	printf '[Service]\nExecStart=\nExecStart=/bin/false\n' >"$system/etc/systemd/system/dflyguard.service.d/fails.conf"
	run_system <<-'END'
		start
		grep -c '^started' /result/server
		# More often than the limit of starts that a unit has by default.
		wait_for sh -c '[ "$(systemctl show -P NRestarts dragonfly.service)" -ge 8 ]'
		dflyguard apply -q; echo "apply $?"
		wait_for nc -z 10.20.0.5 6379 && echo reached
		systemctl stop dragonfly.service
		nft flush chain inet dflyguard judge
		start
		systemctl stop dragonfly.service
		grep -c '^started' /result/server
	END
	expect_equal "what happened" "start 1 0 apply 0 reached start 1 1" "$(paste -sd' ' "$out")"
	said 'fail +critical +firewall.in_force' 'fail +critical +firewall.drift' 'to mend it: .*dflyguard apply'
}
t "no firewall, or another than the policy's: it does not start, and comes up by itself once it is in force" waits_for_firewall

by_hand() { # a person reads the files; what systemd starts is what it has read of them
	booted --bind=10.20.0.5 || return 0
	sed -i 's/ \$MORE//' "$system/etc/systemd/system/dragonfly.service"
	run_system dflyguard.service <<-'END'
		dflyguard audit --before-start; echo "by hand $?"
		dflyguard audit --before-start --format json | grep -E '"(conforming|id|outcome)"'
		# One that runs is not read again until it is told so.
		start
		sed -i 's/^ExecStart=.*/& --bind=0.0.0.0/' /etc/systemd/system/dragonfly.service
		dflyguard audit --before-start -q; echo "changed $?"
		systemctl restart dragonfly.service 2>/dev/null; echo "restart $?"
		systemctl daemon-reload
		systemctl restart dragonfly.service 2>/dev/null; echo "restart $?"
		systemctl stop dragonfly.service
		sed -i 's/tls_port = 6380/& unit = "absent.service"/' /etc/dflyguard/policy.conf
		dflyguard audit --before-start; echo "absent $?"
		setpriv --reuid=65534 --clear-groups --bounding-set=-all --inh-caps=-all \
			dflyguard audit --before-start; echo "unprivileged $?"
	END
	expect_text "$out" '^by hand 0' '"conforming": true' '"id": "start.binding"' '^absent 2' 'unknown .* absent.service' \
		'^unprivileged 2'
	expect_equal "what happened" "start 0 changed 1 restart 0 restart 1" "$(grep -E '^(changed|restart|start) [0-9]' "$out" | paste -sd' ')"
}
t "asked by hand it reads the unit's files; what is started is what systemd has read of them" by_hand

strange_units() { # whose drop-in asks about another one
	booted --bind=10.20.0.5 || return 0
	run_system dflyguard.service <<-'END'
		sed -i 's/tls_port = 6380/& unit = "absent.service"/' /etc/dflyguard/policy.conf
		start
		systemctl stop dragonfly.service
		printf '[Service]\nType=oneshot\nExecStart=/usr/bin/dragonfly\nExecStart=/usr/bin/dragonfly\n' >/run/systemd/system/absent.service
		systemctl daemon-reload
		start
		systemctl stop dragonfly.service
		grep '^started' /result/server
	END
	expect_equal "what happened" "start 1 start 1" "$(paste -sd' ' "$out")"
	said 'absent.service has no ExecStart=, or is no unit' 'absent.service has more than one ExecStart='
}
t "a unit that is not there, or has two commands: not known, which is no pass" strange_units

refuses() {
	booted --bind=0.0.0.0 || return 0
	run_system dflyguard.service <<-'END'
		start
		echo --bind=10.20.0.5 >/etc/dragonfly/dragonfly.conf
		wait_for nc -z 10.20.0.5 6379 && echo "mended"
		systemctl stop dragonfly.service
		for more in 'MORE=--bind=:: --port 6379' DFLY_admin_port=7000 MORE=--port=7000 MORE=--memcached_port=6380 'MORE="--bind 10.66.0.10"'; do
			echo "$more" >/etc/dragonfly/environment
			start
			systemctl stop dragonfly.service
		done
		echo 'MORE=--port=6380' >/etc/dragonfly/environment
		start
		wait_for grep '^started.*--port=6380' /result/server
		systemctl stop dragonfly.service
		# Nobody may know what comes of this.
		rm /etc/dragonfly/environment
		sed -i 's|^ExecStart=.*|ExecStart=/bin/sh -c "exec /usr/bin/dragonfly --flagfile=/etc/dragonfly/dragonfly.conf"|' /etc/systemd/system/dragonfly.service
		systemctl daemon-reload
		start
		systemctl stop dragonfly.service
		grep -c '^started' /result/server
	END
	expect_equal "what happened" "start 1 mended start 1 start 1 start 1 start 1 start 1 start 0 start 1 2" "$(paste -sd' ' "$out")"
	said 'port 6379 would be open at 0.0.0.0, .* bind is 10.20.0.5: --bind=.0.0.0.0. in /etc/dragonfly/dragonfly.conf, line 1' \
		'to mend it: write --bind=10.20.0.5' 'at ::' 'DFLY_admin_port|admin_port would be 7000' 'port would be 7000' \
		'memcached_port would be 6380' '10.66.0.10' "ExecStart= starts '/bin/sh'"
}
t "flags that ask for another address or port, wherever they stand, or cannot be told: it does not start" refuses

filtered() { # whoever is not in the policy is not heard, even without a firewall
	booted --bind=10.20.0.5 || return 0
	run_system dflyguard.service <<-'END'
		start
		wait_for nc -z -s 10.20.0.10 10.20.0.5 6379
		nft flush ruleset
		# Of one that may speak with nobody.
		printf '[Service]\nType=oneshot\nIPAddressDeny=any\nExecStart=/bin/nc -z -w 1 10.20.0.5 6379\n' >/run/systemd/system/probe.service
		systemctl daemon-reload
		systemctl start probe.service 2>/dev/null && echo "no filter"
		wait_for nc -z -s 10.20.0.10 10.20.0.5 6379 && echo "10.20.0.10 heard"
		nc -z -w 1 -s 10.66.0.10 10.20.0.5 6379 || echo "10.66.0.10 not heard"
		rm -r /etc/systemd/system/dragonfly.service.d; systemctl daemon-reload
		systemctl restart dragonfly.service
		wait_for nc -z -s 10.66.0.10 10.20.0.5 6379 && echo "without: heard"
	END
	! grep -q 'no filter' "$out" || { skip "this kernel has no IP filter for control groups"; return; }
	expect_equal "what happened" "start 0 10.20.0.10 heard 10.66.0.10 not heard without: heard" "$(paste -sd' ' "$out")"
}
t "its sockets speak with the policy's sources only, whatever becomes of the firewall" filtered

bound() {
	[ -z "$why" ] || { skip "$why"; return; }
	systemctl --version | grep -q '+BPF_FRAMEWORK' || { skip "this systemd is built without BPF_FRAMEWORK"; return; }
	booted --bind=10.20.0.5 || return 0
	run_system dflyguard.service <<-'END'
		printf 'LISTEN=10.20.0.5 7000' >/etc/dragonfly/environment
		start
		wait_for grep -i 'not permitted' /result/server && echo refused
	END
	expect_equal "what happened" "start 0 refused" "$(paste -sd' ' "$out")"
}
t "it may be bound to guarded ports only" bound
finish
