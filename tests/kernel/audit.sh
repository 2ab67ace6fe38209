#!/bin/bash
# audit: exit statuses, --fail-on, --quiet, --heal and its dry run, without privileges, and as JSON.
. "$(dirname "$0")/../lib/guard.sh"
ip link set lo up
environment 'tls = required clients = {"10.20.0.0/24", "10.30.0.0/24"}'
apply

clean() {
	expect_exit 0 guard audit
	expect_text "$out" '^environment test, ' '^  pass +firewall.drift' '^8 passed\.$'
	expect_exit 0 guard --format json audit
	expect_text "$out" '"conforming": true' '"drift": \[\]' '"healed": \[\]' '"outcome": "pass"'
	expect_exit 0 guard --quiet audit --fail-on info
	expect_same "what --quiet prints" /dev/null "$out"
}
t "all is as it should be" clean

drift() {
	nft add element inet dflyguard clients_v4 '{ 192.0.2.0/24 }'
	nft insert rule inet dflyguard judge accept
	expect_exit 1 guard audit --fail-on critical
	expect_text "$out" '^  fail +critical +firewall.drift +table inet dflyguard: 2 differences' \
		'^      - element of clients_v4 +192.0.2.0/24 +.*policy.conf:[0-9]+$' '^      - chain judge rule 1 +accept' \
		'to mend it: dflyguard audit --heal' '^1 failed \(1 critical\), 7 passed\.$'
	expect_exit 1 guard --format json audit
	expect_text "$out" '"conforming": false' '"object": "chain judge rule 1"' '"observed": "192.0.2.0/24"' '"policy": ".*policy.conf:[0-9]+"'
	expect_exit 1 guard --quiet audit
	expect_same "what --quiet prints" /dev/null "$out"
}
t "what differs is shown as plan shows it" drift

dry_run() {
	local before
	before=$(generation)
	listing >"$work/before"
	expect_exit 1 guard audit --heal --dry-run
	expect_text "$out" '--heal would do: 2 to remove' 'Nothing was changed'
	expect_exit 1 guard --format json audit --heal --dry-run
	expect_text "$out" '"dry_run": true' '"conforming": false'
	listing >"$work/after"
	expect_same "our table" "$work/before" "$work/after"
	expect_equal "the generation" "$before" "$(generation)"
}
t "a dry run of healing changes nothing" dry_run

heal() {
	expect_exit 0 guard audit --heal
	expect_text "$out" '^Healed in one transaction' '^  - chain judge rule 1 +accept' '^  pass +firewall.drift'
	expect_exit 0 guard audit
	expect_no_text "$out" 'Healed|fail'
	nft delete set inet dflyguard clients_v6 2>/dev/null && wrong "a set in use was deleted"
	nft flush chain inet dflyguard prerouting
	expect_exit 0 guard --format json audit --heal
	expect_text "$out" '"conforming": true' '"object": "chain prerouting rule 1"'
	local before
	before=$(generation)
	expect_exit 0 guard audit --heal
	expect_no_text "$out" Healed
	expect_equal "the generation after healing nothing" "$before" "$(generation)"
}
t "--heal mends, the second audit is clean, and then nothing is sent" heal

gone() {
	nft delete table inet dflyguard
	expect_exit 1 guard audit
	expect_text "$out" 'fail +critical +firewall.in_force .*there is no table' 'fail +critical +firewall.drift'
	expect_exit 0 guard --quiet audit --heal
	expect_exit 0 guard audit
	nft 'add table inet dflyguard { flags dormant; }'
	expect_exit 1 guard audit
	expect_text "$out" 'fail +critical +firewall.in_force .*dormant'
	expect_exit 0 guard audit --heal
}
t "a table that is gone or asleep" gone

fail_on() {
	nft -f - <<<'table inet mine { chain pre { type nat hook prerouting priority -100; tcp dport 7000 redirect to :6380; }; }'
	expect_exit 1 guard audit
	expect_exit 1 guard audit --fail-on info
	expect_exit 1 guard audit --fail-on warning
	expect_exit 0 guard audit --fail-on critical
	expect_text "$out" 'fail +warning +firewall.foreign_nat'
	# Healing has no hand in it.
	nft flush chain inet dflyguard judge
	expect_exit 1 guard audit --heal
	expect_text "$out" '^Healed'
	expect_exit 0 guard audit --heal --fail-on critical
	nft delete table inet mine
	nft -f - <<<'table inet mine { chain in { type filter hook input priority 0; limit rate over 5/second drop; }; }'
	expect_exit 0 guard audit
	expect_text "$out" 'unknown +info +firewall.foreign_drop'
	expect_exit 2 guard audit --fail-on info
	nft delete table inet mine
}
t "--fail-on says what counts, and unknown is no pass" fail_on

usage() {
	expect_exit 2 guard audit --dry-run
	expect_text "$errors" '--dry-run only with --heal'
	expect_exit 2 guard audit --fail-on severe
	expect_text "$errors" "there is no severity 'severe'" 'to mend it: --fail-on info, warning or critical'
	expect_exit 2 guard plan --heal
	expect_text "$errors" 'does not take --heal'
	expect_exit 2 guard apply --fail-on info
	expect_text "$errors" 'does not take --fail-on'
	expect_exit 2 "$dflyguard" --policy "$work/none" audit
}
t "usage, and no policy" usage

unprivileged() {
	command -v capsh >/dev/null || command -v setpriv >/dev/null || { skip "setpriv is not installed"; return; }
	local drop=(setpriv --bounding-set=-all --inh-caps=-all)
	"${drop[@]}" true 2>/dev/null || { skip "setpriv cannot drop capabilities here"; return; }
	expect_exit 2 "${drop[@]}" "$dflyguard" --policy "$policy_file" audit
	expect_text "$out" 'unknown +critical +firewall.in_force .*Operation not permitted' 'unknown +critical +firewall.drift' \
		'unknown +warning +firewall.foreign_drop' '^  unknown +warning +bind.server' '^10 unknown, 0 passed\.$'
	expect_exit 2 "${drop[@]}" "$dflyguard" --policy "$policy_file" --format json audit
	expect_text "$out" '"conforming": null' '"outcome": "unknown"'
	expect_exit 2 "${drop[@]}" "$dflyguard" --policy "$policy_file" audit --heal
	expect_exit 0 "${drop[@]}" "$dflyguard" checks
}
t "without privileges nothing is known, and nothing passes" unprivileged

checks() {
	expect_exit 0 "$dflyguard" checks
	local id
	"$dflyguard" --format json checks | awk -F'"' '$2 == "id" { id = $4 } $2 == "watch_only" { print id, $3 }' >"$work/all"
	sed -n 's/ : false,$//p' "$work/all" >"$work/ids"
	[ "$(wc -l <"$work/ids")" -ge 8 ] || wrong "there are fewer than eight checks"
	guard --format json audit | sed -n 's/^ *"id": "\(.*\)",/\1/p' | sort -u >"$work/audited"
	expect_same "ids" <(sort "$work/ids") "$work/audited"
	expect_equal "checks of watch alone" "policy.bad watch.fight watch.handshake watch.own watch.log " \
		"$(sed -n 's/ : true,$//p' "$work/all" | tr '\n' ' ')"
	expect_text "$out" '^watch.fight  critical  .* \(watch only\)$'
	expect_no_text "$out" '^firewall.*watch only'
	while read -r id; do expect_text "$out" "^$id  (info|warning|critical)  [A-Za-z]"; done <"$work/ids"
	expect_text "$out" '^    to mend it: '
}
t "checks lists every check, and audit runs each that is not of watch alone" checks
finish
