#!/bin/bash
# What the policy waives does not count, until its day is over; environments that are weaker than production; both, and
# all else that audit finds, as SARIF.
. "$(dirname "$0")/../lib/guard.sh"
ip link set lo up
tomorrow=$(date -u -d tomorrow +%F)
yesterday=$(date -u -d yesterday +%F)

waivers() { # waivers TEXT...: a policy whose other tables lead two ports to a guarded one, with these waivers
	environment 'tls = required clients = {"10.20.0.0/24"} server = optional' '}' "$@" \
		'environment other { clients = {"10.20.0.0/24"} server = optional'
}
waivers
apply
nft -f - <<-'END'
	table inet mine {
		chain pre {
			type nat hook prerouting priority -100
			tcp dport 7000 redirect to :6380
			tcp dport 7001 redirect to :6380
		}
	}
END
# Without the machine's other processes, of which more may be known.
alone() { # alone [OPTION...] audit...
	unshare --pid --fork --mount-proc "$dflyguard" --policy "$policy_file" "$@"
}
nat() { # nat FIRST SECOND: what the two findings are, and nothing else of that check
	expect_equal "findings of firewall.foreign_nat" "$1" \
		"$(awk '$1 == "fail" || $1 == "waived" { if ($3 == "firewall.foreign_nat") print $1 }' "$out" | tr '\n' ' ')"
}
unshare --pid --fork --mount-proc true 2>/dev/null || { echo "1..0 # SKIP no namespace for processes"; exit 77; }

counts() {
	expect_exit 1 alone audit
	nat 'fail fail '
	waivers "waive firewall.foreign_nat { reason = \"a proxy, until tomorrow\" until = $tomorrow }"
	expect_exit 0 alone audit
	nat 'waived waived '
	expect_text "$out" "^      until $tomorrow: a proxy, until tomorrow +.*policy.conf:[0-9]+$" '2 waived, [0-9]+ passed\.$' \
		"^  pass +policy.waiver +firewall.foreign_nat: waives 2 findings until $tomorrow\$"
	expect_no_text "$out" 'mend it'
	expect_exit 0 alone --format json audit
	expect_text "$out" '"waived": \{' '"reason": "a proxy, until tomorrow"' "\"until\": \"$tomorrow\"" '"outcome": "fail"'
	# Today is the last day.
	waivers "waive firewall.foreign_nat { reason = \"a proxy\" until = $(date -u +%F) }"
	[ "$(date -u -d tomorrow +%F)" = "$tomorrow" ] || { skip "midnight came in between"; return; }
	expect_exit 0 alone audit
	expect_exit 0 alone audit --metrics "$work/metrics"
	expect_text "$work/metrics" '^dflyguard_findings\{severity="warning",outcome="fail"\} 0$' \
		'^dflyguard_findings_waived\{severity="warning"\} 2$'
}
t "what is waived is shown, and does not count" counts

one() {
	local handle
	handle=$(nft -a list chain inet mine pre | sed -n 's/.*dport 7001 .*# handle //p')
	waivers "waive firewall.foreign_nat { reason = x until = $tomorrow subject = \"*chain pre handle $handle\" }"
	expect_exit 1 alone audit
	nat 'fail waived '
	waivers "waive firewall.foreign_nat { reason = x until = $tomorrow environment = other }"
	expect_exit 1 alone audit
	nat 'fail fail '
	expect_exit 1 alone --environment other audit
	nat 'waived waived ' # but another environment is in force
}
t "one subject, one environment" one

over() {
	waivers "waive firewall.foreign_nat { reason = \"a proxy\" until = $yesterday }"
	expect_exit 0 guard check
	expect_exit 1 alone audit
	nat 'fail fail '
	expect_text "$out" "fail +warning +policy.waiver +firewall.foreign_nat: expired with $yesterday, and what it waived counts"
	waivers "waive firewall.legacy { reason = x until = $tomorrow } waive firewall.foreign_nat { reason = x until = $tomorrow }"
	expect_exit 0 alone audit
	expect_text "$out" 'fail +info +policy.waiver +firewall.legacy: waives nothing now'
	expect_exit 1 alone audit --fail-on info
}
t "a waiver that is over, or waives nothing, is a finding" over

never() {
	local id
	nft insert rule inet dflyguard judge accept
	for id in firewall.drift firewall.in_force policy.waiver; do
		waivers "waive $id { reason = x until = $tomorrow }"
		expect_exit 2 guard check
		expect_text "$errors" "policy.conf:[0-9]+: $id cannot be waived: "
		expect_exit 1 alone audit
		expect_text "$out" 'fail +critical +firewall.drift' "fail +warning +policy.waiver +$id: $id cannot be waived"
		expect_no_text "$out" '^  waived'
	done
	# A mistake in it closes nobody out: the firewall does not depend on it.
	waivers "waive firewall.foreign_nta { reason = x until = $tomorrow }"
	expect_exit 2 guard check
	expect_text "$errors" "there is no check 'firewall.foreign_nta': did you mean 'firewall.foreign_nat'\\?"
	expect_exit 0 guard apply
	expect_exit 1 alone audit
	expect_text "$out" "policy.waiver +firewall.foreign_nta: there is no check"
}
t "what cannot be waived is not" never

weaker() {
	policy <<-END
		default_environment = production
		service { tls_port = 6380 }
		environment production { tls = required clients = {"10.20.0.0/24"} server = optional }
		environment staging {
			tls = optional
			clients = {"10.20.0.0/24", "10.30.0.0/24"}
		}
	END
	nft delete table inet mine
	expect_exit 0 guard apply
	expect_exit 0 guard check
	expect_text "$out" 'policy.conf:5: note: environment staging is weaker: tls = optional, and production has tls = required' \
		'policy.conf:6: note: environment staging is weaker: clients has 10.30.0.0/24, which production does not let in'
	expect_exit 0 guard --environment production check
	expect_no_text "$out" weaker
	expect_exit 0 alone audit
	expect_exit 1 alone audit --all-environments
	expect_text "$out" 'fail +warning +environments.weaker +environment staging: tls = optional.*policy.conf:5$' \
		'fail +warning +environments.weaker +environment staging: clients has 10.30.0.0/24.*policy.conf:6$' '^2 failed, '
	expect_exit 2 guard plan --all-environments
}
t "environments are compared with production" weaker

sarif() {
	local validator=$root/tests/lib/json_schema.pl
	expect_exit 1 alone --format sarif audit --all-environments
	cp "$out" "$work/audit.sarif"
	expect_text "$out" '"ruleId": "environments.weaker"' '"level": "warning"' '"startLine": 5' '"version": "2.1.0"' \
		"\"uri\": \"file://$policy_file\""
	nft insert rule inet dflyguard judge accept
	waivers "waive environments.weaker { reason = x until = $tomorrow }"
	expect_exit 1 alone audit --format=sarif
	cp "$out" "$work/drift.sarif"
	expect_text "$out" '"drift": \[' '"observed": "accept"' '"level": "error"'
	expect_exit 2 "$dflyguard" --policy "$work/none" --format sarif audit
	cp "$out" "$work/trouble.sarif"
	expect_text "$out" '"executionSuccessful": false'
	echo 'mistake' | policy "$work/bad.conf"
	expect_exit 2 "$dflyguard" --policy "$work/bad.conf" --format sarif audit
	cp "$out" "$work/bad.sarif"
	local command
	for command in check plan apply status checks; do
		expect_exit 2 guard --format sarif $command
		expect_text "$errors" "$command has no --format sarif"
		expect_same "what it prints" /dev/null "$out"
	done
	"$validator" --sarif "$work/audit.sarif" >"$work/first"
	[ $? != 77 ] || { skip "$(cat "$work/first")"; return; }
	expect_exit 0 "$validator" --sarif "$work"/*.sarif
	expect_text "$out" '^4 objects$'
}
t "as SARIF" sarif
finish
