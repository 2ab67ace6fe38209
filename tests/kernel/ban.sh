#!/bin/bash
# Bans, with real packets: who is banned is refused on all guarded ports, on old connections too, and nobody else; whom
# the policy protects is not; bans end by themselves, and survive what does not concern them.
. "$(dirname "$0")/../lib/guard.sh"
network
redis host 6379 6380
redis container 6379 6380
serve host tcp '*' 9999
serve host tcp '*' 11211
ip -n allowed addr add 10.20.0.12/24 dev eth0
ip -n allowed addr add 2001:db8:20::12/64 dev eth0 nodad
session_begin
everybody='"10.20.0.0/24", "2001:db8:20::/64"'
others="memcached_clients = {$everybody} admins = {\"10.20.0.10\", \"2001:db8:20::10\"}"
usual() { # usual [TEXT]: the policy, with more options
	environment "tls = optional clients = {$everybody} $others admin_tls = off $*"
}
banned_are() { # banned_are SOURCE...: exactly these, by nft, which shares no code with us
	local family
	for family in v4 v6; do nft list set inet dflyguard banned_$family; done | tr ',{}' '\n\n\n' |
		sed -nE 's/^[ \t]*(elements = )?([0-9a-f:.\/-]+) (timeout .*)?expires.*/\2/p' | sort >"$work/banned"
	printf '%s\n' "$@" | sed '/^$/d' | sort >"$work/banned.expected"
	expect_same "banned sources" "$work/banned.expected" "$work/banned"
}

refused() {
	usual
	apply
	banned_are
	expect_exit 0 guard status
	expect_no_text "$out" 'banned sources'
	local n=0 target
	for target in 10.20.0.11,10.20.0.5 2001:db8:20::11,2001:db8:20::5 10.20.0.12,10.20.0.5; do
		expect_equal "connection $((++n))" connected "$(session open old$n "allowed@${target%,*}" "${target#*,}" 6379)"
	done
	expect_lives old1 old2 old3
	expect_exit 0 guard ban 10.20.0.11
	expect_text "$out" '^Banned: 10\.20\.0\.11, for 1 h 0 min\.$'
	expect_exit 0 guard --format json ban 2001:db8:20::11/128 --for 10m
	expect_text "$out" '"source": "2001:db8:20::11"' '"changed": true' '"seconds": 600'
	banned_are 10.20.0.11 2001:db8:20::11
	expect_exit 0 guard plan
	expect_dead old1 old2
	expect_lives old3
	expect_traffic <<-END
		allowed@10.20.0.11      10.20.0.5      6379  ping timeout
		allowed@10.20.0.11      10.20.0.6      6380  tls  timeout
		allowed@10.20.0.11      10.20.0.5      11211 connect timeout
		allowed@2001:db8:20::11 2001:db8:20::5 6379  ping timeout
		allowed@2001:db8:20::11 2001:db8:20::6 6380  tls  timeout
		allowed@10.20.0.12      10.20.0.5      6379  ping passes
		allowed@10.20.0.12      10.20.0.5      6380  tls  passes
		allowed@2001:db8:20::12 2001:db8:20::5 6379  ping passes
		host                    127.0.0.1      6379  ping passes
		host                    10.20.0.5      6379  ping passes
	END
	[ "$(counted refused_banned)" -ge 5 ] || wrong "refused_banned counted $(counted refused_banned)"
	expect_equal refused_source 0 "$(counted refused_source)"
}
t "who is banned is refused on all ports, and on old connections; nobody else is" refused

shown() {
	expect_exit 0 guard status
	expect_text "$out" '^  banned sources +ends in$' '^  10\.20\.0\.11 +(59 min|1 h 0 min)$' \
		'^  2001:db8:20::11 +(9|10) min$' '^  10\.20\.0\.11 .* banned$'
	expect_exit 0 guard --format json status
	expect_text "$out" '"bans": \[' '"source": "2001:db8:20::11",' '"expires_in": (600|5[0-9][0-9])$'
	expect_exit 0 guard explain --from 10.20.0.11 --to 10.20.0.5 --port 6379
	expect_exit 1 guard explain --live --from 10.20.0.11 --to 10.20.0.5 --port 6379
	expect_text "$out" 'banned'
	expect_exit 1 guard --format json explain --live --from 2001:db8:20::11 --to 2001:db8:20::5 --port 6379
	expect_text "$out" '"reason": "banned"'
	expect_exit 0 guard explain --live --from 10.20.0.12 --to 10.20.0.5 --port 6379
	expect_exit 0 guard plan --full
	guard audit --full >"$work/audit" 2>&1
	expect_text "$work/audit" 'pass +firewall.drift'
}
t "status lists them, explain --live knows them, and they are no drift" shown

changes() {
	local handle
	handle=$(nft -a list set inet dflyguard banned_v4 | grep -o 'handle [0-9]*')
	usual 'max_connections_per_source = 100 new_connections_per_second = 50'
	apply
	usual 'loopback = tls log = all bind = {"10.20.0.5", "2001:db8:20::5"} ipv6_source_prefix = 56'
	apply
	environment "tls = required clients = {\"10.20.0.0/25\", $everybody} $others admin_tls = off"
	apply
	expect_exit 0 guard rollback
	usual 'routed = all'
	apply
	nft flush chain inet dflyguard judge
	expect_traffic <<<'allowed@10.20.0.11 10.20.0.5 6379 ping passes'
	expect_exit 1 guard plan
	apply
	expect_equal "the set" "$handle" "$(nft -a list set inet dflyguard banned_v4 | grep -o 'handle [0-9]*')"
	banned_are 10.20.0.11 2001:db8:20::11
	echo 'allowed@10.20.0.11 10.20.0.5 6379 ping timeout' | expect_traffic
}
t "they survive changes of limits, lists, TLS, a rollback and what apply puts back" changes

published() {
	usual
	apply
	nft -f - <<-END
		table inet other {
			chain translate {
				type nat hook prerouting priority dstnat
				fib daddr type local tcp dport 16379 meta nfproto ipv4 dnat ip to 172.17.0.2:6379
				fib daddr type local tcp dport 7000 redirect to :6379
			}
		}
	END
	expect_traffic <<-END
		allowed@10.20.0.11      10.20.0.5      16379 ping timeout
		allowed@10.20.0.11      10.20.0.5      7000  ping timeout
		allowed@2001:db8:20::11 2001:db8:20::5 7000  ping timeout
		allowed@10.20.0.12      10.20.0.5      16379 ping passes
		allowed@10.20.0.12      10.20.0.5      7000  ping passes
	END
	nft delete table inet other
}
t "behind DNAT and a redirect" published

unbanned() {
	expect_exit 0 guard unban 10.20.0.11
	expect_text "$out" '^10\.20\.0\.11 is not banned any more\.$'
	expect_exit 1 guard unban 10.20.0.11
	expect_text "$out" '^10\.20\.0\.11 is not banned\.$'
	banned_are 2001:db8:20::11
	echo 'allowed@10.20.0.11 10.20.0.5 6379 ping passes' | expect_traffic
	expect_exit 0 guard ban ::ffff:10.20.0.11
	banned_are 10.20.0.11 2001:db8:20::11
	echo 'allowed@10.20.0.11 10.20.0.5 6379 ping timeout' | expect_traffic
	expect_exit 0 guard --format json unban --all
	expect_text "$out" '"source": null' '"changed": true'
	expect_exit 1 guard unban --all
	banned_are
	expect_traffic <<-END
		allowed@10.20.0.11      10.20.0.5      6379 ping passes
		allowed@2001:db8:20::11 2001:db8:20::5 6379 ping passes
	END
}
t "unban, one or all; v4-mapped is IPv4" unbanned

prefixes() {
	expect_exit 0 guard ban 10.20.0.12 --for 1d
	expect_exit 0 guard ban 10.20.0.11/32 --for 1m
	expect_exit 0 guard ban 10.20.0.0/30 --for 2m
	expect_exit 0 guard ban 10.20.0.4-10.20.0.7
	expect_exit 2 guard ban 10.20.0.0/24
	expect_text "$errors" 'policy.conf:[0-9]+: 10\.20\.0\.0/24 cannot be banned: 10\.20\.0\.10 is in admins$'
	expect_exit 0 guard ban 10.20.0.11-10.20.0.255 --for 5m
	banned_are 10.20.0.0/30 10.20.0.4/30 10.20.0.11 10.20.0.12 10.20.0.13-10.20.0.255
	expect_exit 0 guard ban 10.20.0.12
	expect_text "$out" '^10\.20\.0\.12 is banned for longer already\.$'
	expect_exit 0 guard unban 10.20.0.20
	banned_are 10.20.0.0/30 10.20.0.4/30 10.20.0.11 10.20.0.12 10.20.0.13-10.20.0.19 10.20.0.21-10.20.0.255
	expect_traffic <<-END
		allowed@10.20.0.11 10.20.0.5 6379 ping timeout
		allowed@10.20.0.12 10.20.0.5 6379 ping timeout
		allowed@10.20.0.10 10.20.0.5 6379 ping passes
	END
	expect_exit 0 guard unban --all
	environment "tls = off clients = {$everybody, \"2001:db8:66::/64\"} ipv6_source_prefix = 64"
	apply
	expect_exit 0 guard ban 2001:db8:66::10
	expect_text "$out" '^Banned: 2001:db8:66::/64, for 1 h 0 min\.$'
	expect_traffic <<-END
		outside@2001:db8:66::11 2001:db8:20::5 6379 ping timeout
		allowed@2001:db8:20::11 2001:db8:20::5 6379 ping passes
	END
	expect_exit 0 guard unban 2001:db8:66::77
	expect_text "$out" '^2001:db8:66::/64 is not banned any more\.$'
	echo 'outside@2001:db8:66::11 2001:db8:20::5 6379 ping passes' | expect_traffic
	# The longest, to the last address that there is.
	expect_exit 0 guard ban ffff:ffff::/32 --for 7d
	expect_exit 0 guard ban 255.255.0.0/16
	banned_are 255.255.0.0/16 ffff:ffff::/32
	expect_exit 0 guard unban --all
	banned_are
}
t "prefixes, ranges, what overlaps, and the prefix of an IPv6 address" prefixes

ended() {
	local before
	usual
	apply
	expect_exit 0 guard ban 10.20.0.11 --for 2s
	expect_exit 0 guard ban 2001:db8:20::11/128 --for 2s
	echo 'allowed@10.20.0.11 10.20.0.5 6379 ping timeout' | expect_traffic
	wait_until 15 free_again || wrong "the ban does not end"
	expect_traffic <<-END
		allowed@10.20.0.11      10.20.0.5      6379 ping passes
		allowed@2001:db8:20::11 2001:db8:20::5 6379 ping passes
	END
	expect_exit 0 guard plan
	# Whether or not the kernel has cleared them away.
	expect_exit 0 guard ban 10.20.0.8-10.20.0.9 --for 1s
	expect_exit 0 guard ban 10.20.0.11 --for 1s
	wait_until 15 nobody || wrong "the bans do not end"
	expect_exit 0 guard ban 10.20.0.11-10.20.0.15
	expect_exit 0 guard ban 10.20.0.9
	banned_are 10.20.0.9 10.20.0.11-10.20.0.15
	expect_exit 0 guard unban --all
	# Banned again before it ends: from the beginning.
	expect_exit 0 guard ban 10.20.0.11 --for 30s
	expect_exit 0 guard ban 10.20.0.11 --for 1h
	expect_exit 0 guard --format json status
	expect_text "$out" '"expires_in": 3[56][0-9][0-9]$'
	expect_exit 0 guard unban --all
}
free_again() { guard --format json status | grep -q '"bans": \[\]'; }
nobody() { free_again; }
t "they end by themselves, and begin anew" ended

protected() {
	usual 'never_ban = {"10.20.0.12"} bind = {"10.20.0.5", "2001:db8:20::5"}'
	apply
	expect_exit 2 guard ban 10.20.0.12
	expect_text "$errors" 'policy.conf:[0-9]+: 10\.20\.0\.12 cannot be banned: 10\.20\.0\.12 is in never_ban$'
	expect_exit 2 guard ban 10.20.0.10
	expect_text "$errors" 'is in admins$'
	expect_exit 2 guard ban 127.0.0.1
	expect_text "$errors" 'is this host itself$'
	expect_exit 2 guard ban ::1/128
	expect_exit 2 guard ban 10.20.0.5
	expect_text "$errors" 'is in bind, an address of this host$'
	# Some of its /64 is protected: the address alone.
	expect_exit 0 guard ban 2001:db8:20::11
	expect_text "$out" '^Banned: 2001:db8:20::11,'
	expect_exit 2 guard --format json ban 0.0.0.0/0
	expect_text "$out" '0\.0\.0\.0/0 is too much for one ban: a /16 at most' 'clients'
	expect_exit 2 guard ban 2000::/3
	expect_exit 2 guard ban nonsense
	expect_exit 2 guard ban
	expect_exit 2 guard ban 10.20.0.11 --for 8d
	expect_exit 2 guard unban 10.20.0.11 --all
	banned_are 2001:db8:20::11
	# Not even where somebody else puts them there, or they come into the policy later.
	nft 'add element inet dflyguard banned_v4 { 10.20.0.8-10.20.0.13 }'
	nft 'add element inet dflyguard banned_v6 { 2001:db8:20::10 }'
	expect_exit 0 guard plan
	expect_traffic <<-END
		allowed@10.20.0.10      10.20.0.5      6379 ping passes
		allowed@10.20.0.12      10.20.0.5      6379 ping passes
		allowed@10.20.0.11      10.20.0.5      6379 ping timeout
		allowed@2001:db8:20::10 2001:db8:20::5 6379 ping passes
	END
	expect_exit 0 guard explain --live --from 10.20.0.12 --to 10.20.0.5 --port 6379
	usual 'never_ban = {"10.20.0.11"}'
	apply
	expect_traffic <<-END
		allowed@10.20.0.11 10.20.0.5 6379 ping passes
		allowed@10.20.0.12 10.20.0.5 6379 ping timeout
	END
	expect_exit 0 guard unban --all
}
t "whom the policy protects is never banned" protected

full() { # every second address, so that nothing can be joined
	usual
	apply
	awk 'BEGIN { print "add element inet dflyguard banned_v4 {"
		for (i = 0; i < 30000; i++) printf "100.%d.%d.%d timeout 1h,\n", 64 + int(i / 32768), int(i / 128) % 256, i % 128 * 2
		print "}" }' | nft -f - || wrong "30,000 bans do not fit"
	expect_exit 0 guard ban 10.20.0.11
	echo 'allowed@10.20.0.11 10.20.0.5 6379 ping timeout' | expect_traffic
	echo 'allowed@10.20.0.12 10.20.0.5 6379 ping passes' | expect_traffic
	expect_exit 0 guard status
	expect_text "$out" 'and 29,991 more \(--verbose shows all\)'
	awk 'BEGIN { print "add element inet dflyguard banned_v4 {"
		for (i = 0; i < 65536 - 30001; i++) printf "100.%d.%d.%d timeout 1h,\n", 80 + int(i / 32768), int(i / 128) % 256, i % 128 * 2
		print "}" }' | nft -f - 2>"$work/full" || return 0 # where both ends count
	expect_exit 2 guard ban 10.20.0.13
	expect_text "$errors" 'there is no room for more bans' 'unban some'
	expect_exit 0 guard plan
	expect_exit 0 guard unban --all
	banned_are
}
t "a full set is an error that says so, and no way in or out" full

absent() {
	expect_exit 0 guard ban 10.20.0.11
	expect_exit 0 guard remove
	expect_exit 2 guard ban 10.20.0.11
	expect_text "$errors" 'not in force' 'dflyguard apply'
	expect_exit 2 guard unban 10.20.0.11
	expect_exit 1 guard --format json status
	expect_text "$out" '"bans": \[\]'
	apply
	banned_are
}
t "without a table nobody is banned, and a new one bans nobody" absent
finish
