#!/bin/bash
# What the commands really write as JSON, good and bad, is what docs/schema.json says.
. "$(dirname "$0")/../lib/guard.sh"
ip link set lo up
validator=$root/tests/lib/json_schema.pl
goldens=("$root"/tests/golden/report/*.json)
"$validator" "${goldens[0]}" >"$work/first"
[ $? != 77 ] || { cat "$work/first"; exit 77; }
written=$work/written
mkdir "$written"

count=0
writes() { # writes STATUS COMMAND...: its JSON, which is kept to be validated
	local wanted=$1
	shift
	expect_exit "$wanted" guard --format json "$@"
	count=$((count + 1))
	cp "$out" "$written/$count.json"
}
good='tls = required clients = {"10.20.0.0/24", "2001:db8:20::/64"}'

policies() {
	environment "$good"
	writes 0 check
	environment "$good" '} network unused { sources = {"10.1.0.0/16", "10.1.1.0/24"} '
	writes 0 --verbose check
	environment "$good" '} expect { from = any to_port = 6379 speaks = plaintext verdict = allow '
	writes 1 check
	writes 2 apply
	environment "$good" 'unknown = 1'
	writes 2 check
	writes 2 plan
	writes 2 explain --from 10.20.0.7 --port 6380
	{ for _ in {1..201}; do echo 'mistake = 1'; done; } | policy
	writes 2 check
	environment "$good"
	writes 2 --environment none check
	writes 2 mystery
	writes 2
	writes 2 plan --heal
	writes 2 export --to nft
}
t "policies, good and bad, and usage" policies

changes() {
	environment "$good"
	writes 1 plan
	writes 1 status
	writes 1 audit
	writes 0 apply
	writes 0 plan
	writes 0 apply
	nft 'add element inet dflyguard clients_v4 { 192.0.2.0/24 }; insert rule inet dflyguard judge accept'
	nft 'add table inet dflyguard { flags dormant; }'
	writes 1 plan --full
	writes 1 audit
	writes 1 audit --heal --dry-run
	writes 0 audit --heal
	writes 0 audit
	writes 1 confirm
	environment 'tls = optional clients = {"10.1.0.1"}'
	writes 0 apply --confirm 100
	writes 0 status
	writes 0 confirm
	writes 0 rollback
	nft -f - <<-'END'
		table inet mine {
			chain pre { type nat hook prerouting priority -100; tcp dport 7000 redirect to :6380; }
			chain in { type filter hook input priority 0; limit rate over 5/second drop; }
		}
	END
	environment "$good"
	writes 1 audit
	nft delete table inet mine
	# Packets of these sources were refused, for the reasons of these numbers; nobody knows the last one.
	nft 'add element inet dflyguard refused_v4 { 10.20.0.10 . 2, 10.20.0.10 . 6, 10.66.0.10 . 1, 10.66.0.10 . 99 }'
	writes 0 ban 10.66.0.10
	writes 0 ban 2001:db8:66::1 --for 10s
	writes 0 ban 10.66.0.10 --for 1m
	writes 2 ban ::/0
	writes 0 status
	writes 0 unban 10.66.0.10
	writes 1 unban 10.66.0.10
	writes 0 unban --all
	writes 0 apply --boot
	writes 0 checks
}
t "plan, apply, audit, status, confirm, rollback" changes

explains() {
	writes 0 explain --from 10.20.0.7 --port 6380
	writes 1 explain --from 10.66.0.1 --port 6380
	writes 1 explain --from 10.20.0.7 --port 6380 --plaintext --live
	writes 0 explain --from 10.20.0.7 --port 1
	writes 0 explain --from 2001:db8:20::1 --port 7000 --dnat '[2001:db8:17::2]:6380'
	writes 0 explain --local --from 127.0.0.1 --port 6379
	nft 'insert rule inet dflyguard judge tcp sport 1-2 ip ttl 3 drop'
	writes 2 explain --from 10.20.0.7 --port 6380 --live
	writes 0 apply
	writes 2 explain --from nowhere --port 6380
}
t "explain" explains

unprivileged() {
	local drop=(setpriv --bounding-set=-all --inh-caps=-all)
	"${drop[@]}" true 2>/dev/null || { skip "setpriv cannot drop capabilities here"; return; }
	expect_exit 2 "${drop[@]}" "$dflyguard" --policy "$policy_file" --format json audit
	cp "$out" "$written/unprivileged.audit.json"
	expect_exit 2 "${drop[@]}" "$dflyguard" --policy "$policy_file" --format json status
	cp "$out" "$written/unprivileged.status.json"
	expect_exit 2 "${drop[@]}" "$dflyguard" --policy "$policy_file" --format json watch
	cp "$out" "$written/unprivileged.watch.json"
}
t "without privileges" unprivileged

watches() {
	local file=$written/watch.json
	"$dflyguard" --policy "$policy_file" --format json watch --events --heal >"$file" &
	wait_until 10 grep -q '"start"' "$file" || wrong "watch did not start"
	nft insert rule inet dflyguard judge accept
	wait_until 10 grep -q '"healed"' "$file" || wrong "watch did not heal"
	nft -f - <<<'table ip raw { chain pre { type filter hook prerouting priority raw; notrack; }; }'
	wait_until 10 grep -q '"finding"' "$file" || wrong "watch found nothing"
	nft delete table ip raw
	wait_until 10 grep -q '"resolved"' "$file" || wrong "nothing was resolved"
	environment 'tls = required clients = {"10.21.0.0/24"}'
	wait_until 10 grep -q '"event": "policy"' "$file" || wrong "the policy was not followed"
	kill $!
	wait $!
	expect_text "$file" '"event": "drift".*"process": \{' '"event": "stop"'
}
t "watch" watches

logs() {
	environment "$good"
	nft -f - <<-'END'
		table inet logging {
			chain prerouting {
				type filter hook prerouting priority -150;
				tcp dport 6379 log prefix "dflyguard source" group 6379 drop
				udp dport 6379 log prefix "dflyguard something_new" group 6379 drop
			}
		}
	END
	"$dflyguard" --policy "$policy_file" --format json log --count 2 >"$written/log.json" 2>"$work/log.errors" &
	wait_until 10 grep -q 'waiting for' "$work/log.errors" || wrong "the log did not begin: $(cat "$work/log.errors")"
	"$netprobe" raw host 127.0.0.1 127.0.0.1 6379 0x02
	echo x >/dev/udp/127.0.0.1/6379
	wait $!
	nft delete table inet logging
	expect_equal "packets" 2 "$(wc -l <"$written/log.json")"
}
t "log" logs

ends() {
	writes 1 remove --dry-run
	writes 0 remove
	writes 0 remove
}
t "remove" ends

validates() {
	cd "$written" || return # short names
	expect_exit 0 "$validator" ./*.json
	expect_text "$out" '^[0-9]{2,} objects$'
	# Every command has been there.
	expect_equal "commands" "apply audit ban check checks confirm explain export log plan remove rollback status unban watch " \
		"$(sed -n 's/.*"command": "\([a-z]*\)".*/\1/p' ./*.json | sort -u | tr '\n' ' ')"
}
t "all of it is valid" validates
finish
