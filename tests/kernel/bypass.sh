#!/bin/bash
# Guarantee 1: no way around the guard: address translation to a container and to this host, IPv6 and v4-mapped, routes
# into a container, foreign tables that accept earlier or later. Each way is first shown to be open without our table.
. "$(dirname "$0")/../lib/guard.sh"
network
redis host 6379 6380
redis container 6379 6380
environment 'tls = optional clients = {"10.20.0.0/24", "2001:db8:20::/64"}'

# What must be open before `apply` and must be refused afterwards, for the same peers; clients pass both times.
way() { # way PORT SPEAK ADDRESS ADDRESS6 [ADDRESS-FROM-OUTSIDE ADDRESS6-FROM-OUTSIDE]
	local port=$1 speak=$2 four=$3 six=$4 far4=${5:-$3} far6=${6:-$4} outcome
	expect_exit 0 guard remove
	for outcome in passes timeout; do
		expect_traffic <<-END
			allowed $four $port $speak passes
			allowed $six  $port $speak passes
			outside $far4 $port $speak $outcome
			outside $far6 $port $speak $outcome
		END
		[ "$outcome" = passes ] || break
		apply
	done
	[ "$(counted refused_source)" -ge 2 ] || wrong "refused_source counted $(counted refused_source) packets"
	nft delete table inet other
}

# As docker -p: dnat in prerouting at dstnat, for what comes to an address of this host.
published() { # published PORT CONTAINER-PORT [PRIORITY]
	nft -f - <<-END
		table inet other {
			chain translate {
				type nat hook prerouting priority ${3:-dstnat}
				fib daddr type local tcp dport $1 meta nfproto ipv4 dnat ip to 172.17.0.2:$2
				fib daddr type local tcp dport $1 meta nfproto ipv6 dnat ip6 to [fd00:17::2]:$2
			}
			chain hide {
				type nat hook postrouting priority srcnat
				ip saddr 172.17.0.0/16 oifname != "docker0" masquerade
			}
		}
	END
	way "$1" "${4:-ping}" 10.20.0.5 2001:db8:20::5 10.66.0.5 2001:db8:66::5
}
redirected() { # redirected PORT HOST-PORT [PRIORITY]
	nft -f - <<-END
		table inet other {
			chain translate {
				type nat hook prerouting priority ${3:-dstnat}
				tcp dport $1 redirect to :$2
			}
		}
	END
	way "$1" "${4:-ping}" 10.20.0.5 2001:db8:20::5 10.66.0.5 2001:db8:66::5
}
t "dnat 6379 to a container's 6379" published 6379 6379
t "dnat 16379 to a container's 6379" published 16379 6379
t "dnat 16380 to a container's TLS port 6380" published 16380 6380 dstnat tls
t "redirect 7000 to this host's 6379" redirected 7000 6379
t "redirect 7000 to this host's TLS port 6380" redirected 7000 6380 dstnat tls
t "dnat at priority -199, before all filters but raw" published 16379 6379 -199
t "dnat at priority -151, just before our first chain" published 16379 6379 -151
t "dnat at priority -149, just after our first chain" published 16379 6379 -149
t "dnat at priority 300, after everything" published 16379 6379 300
t "redirect at priority -199" redirected 7000 6379 -199
t "redirect at priority 300" redirected 7000 6379 300

redirect_away() { # the port that the outside sees is guarded even if nothing behind it is
	serve host tcp :: 7100
	nft -f - <<-END
		table inet other {
			chain translate {
				type nat hook prerouting priority dstnat
				tcp dport 6379 redirect to :7100
			}
		}
	END
	way 6379 ping 10.20.0.5 2001:db8:20::5 10.66.0.5 2001:db8:66::5
}
t "redirect 6379 to a port without a guard" redirect_away

dnat_local() { # to an address of this host that is not the one asked for
	nft -f - <<-END
		table inet other {
			chain translate {
				type nat hook prerouting priority dstnat
				tcp dport 7000 meta nfproto ipv4 dnat ip to 10.20.0.6:6379
				tcp dport 7000 meta nfproto ipv6 dnat ip6 to [2001:db8:20::6]:6379
			}
		}
	END
	way 7000 ping 10.20.0.5 2001:db8:20::5 10.66.0.5 2001:db8:66::5
}
t "dnat 7000 to another address of this host" dnat_local

dnat_loopback() { # route_localnet: the server listens on 127.0.0.1 only, and dnat brings the world to it
	redis host 6479 0 --bind 127.0.0.1
	policy <<-END
		service { port = 6479 }
		environment test { tls = off clients = {"10.20.0.0/24"} }
	END
	echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
	nft -f - <<-END
		table inet other {
			chain translate {
				type nat hook prerouting priority dstnat
				ip protocol tcp tcp dport 7000 dnat ip to 127.0.0.1:6479
			}
		}
	END
	expect_exit 0 guard remove
	expect_traffic <<-END
		outside 10.66.0.5 7000 ping passes
	END
	apply --environment test
	expect_traffic <<-END
		outside 10.66.0.5 7000 ping timeout
		allowed 10.20.0.5 7000 ping passes
	END
	nft delete table inet other
	echo 0 >/proc/sys/net/ipv4/conf/all/route_localnet
	environment 'tls = optional clients = {"10.20.0.0/24", "2001:db8:20::/64"}'
}
t "dnat to 127.0.0.1 with route_localnet" dnat_loopback

early_accept() { # early_accept PRIORITY: foreign chains on all three hooks that accept everything
	nft -f - <<-END
		table inet other {
			chain prerouting { type filter hook prerouting priority $1; accept; }
			chain input { type filter hook input priority $1; accept; }
			chain forward { type filter hook forward priority $1; accept; }
			chain translate {
				type nat hook prerouting priority dstnat
				tcp dport 16379 meta nfproto ipv4 dnat ip to 172.17.0.2:6379
				tcp dport 16379 meta nfproto ipv6 dnat ip6 to [fd00:17::2]:6379
			}
		}
	END
	expect_exit 0 guard remove
	apply
	expect_traffic <<-END
		outside 10.66.0.5      6379  ping timeout
		outside 2001:db8:66::5 6379  ping timeout
		outside 10.66.0.5      16379 ping timeout
		outside 2001:db8:66::5 16379 ping timeout
		allowed 10.20.0.5      6379  ping passes
		allowed 2001:db8:20::5 16379 ping passes
	END
	nft delete table inet other
}
t "a foreign table that accepts before ours, at -300" early_accept -300
t "a foreign table that accepts after ours, at 300" early_accept 300

accepted_first() { # loaded before ours at the very same priority: in the kernel's list it stands in front
	expect_exit 0 guard remove
	nft -f - <<-END
		table inet other {
			chain prerouting { type filter hook prerouting priority mangle; accept; }
			chain input { type filter hook input priority filter; accept; }
			chain forward { type filter hook forward priority filter; accept; }
		}
	END
	way 6379 ping 10.20.0.5 2001:db8:20::5 10.66.0.5 2001:db8:66::5
}
t "a foreign table at the same priority that was there first" accepted_first

later_drop() { # ours accepts nothing on behalf of others: their drop still counts
	apply
	nft -f - <<-END
		table inet other {
			chain input { type filter hook input priority 10; tcp dport 6379 drop; }
		}
	END
	expect_traffic <<-END
		allowed 10.20.0.5 6379 ping timeout
		allowed 10.20.0.5 6380 tls  passes
	END
	nft delete table inet other
}
t "a foreign table's drop still counts for our clients" later_drop

translated_source() { # a source that a foreign table rewrites only on the way out is judged by what it is
	nft -f - <<-END
		table inet other {
			chain translate {
				type nat hook prerouting priority dstnat
				tcp dport 16379 meta nfproto ipv4 dnat ip to 172.17.0.2:6379
				tcp dport 16379 meta nfproto ipv6 dnat ip6 to [fd00:17::2]:6379
			}
			chain hide { type nat hook postrouting priority srcnat; oifname "docker0" masquerade; }
		}
	END
	way 16379 ping 10.20.0.5 2001:db8:20::5 10.66.0.5 2001:db8:66::5
}
t "a published port with masquerade towards the container" translated_source

mapped() { # one socket on [::] hears IPv4 as ::ffff:10.66.0.10
	serve host tcp :: 6579
	policy <<-END
		service { port = 6579 }
		environment test { tls = off clients = {"10.20.0.0/24"} }
		environment mapped { tls = off clients = {"2001:db8:20::/64"} }
	END
	expect_exit 0 guard remove
	expect_traffic <<-END
		outside ::ffff:10.66.0.5 6579 ping passes
	END
	apply --environment test
	expect_traffic <<-END
		allowed 10.20.0.5        6579 ping passes
		allowed ::ffff:10.20.0.5 6579 ping passes
		allowed 2001:db8:20::5   6579 ping timeout
		outside 10.66.0.5        6579 ping timeout
		outside ::ffff:10.66.0.5 6579 ping timeout
		outside 2001:db8:66::5   6579 ping timeout
	END
	apply --environment mapped
	expect_traffic <<-END
		allowed 10.20.0.5        6579 ping timeout
		allowed ::ffff:10.20.0.5 6579 ping timeout
		allowed 2001:db8:20::5   6579 ping passes
	END
	environment 'tls = optional clients = {"10.20.0.0/24", "2001:db8:20::/64"}'
}
t "v4-mapped: a dual-stack server is reached by IPv4 only for IPv4 clients" mapped

link_local() {
	local host
	host=$(ip -o -6 addr show dev out0 scope link | awk '{ sub("/.*", "", $4); print $4 }')
	expect_exit 0 guard remove
	# A link-local address is tentative until it is known to be nobody else's.
	wait_until 10 link_local_probe "$host" passes || wrong "fe80:: is not reachable without our table"
	apply
	link_local_probe "$host" timeout || wrong "an outsider passes by fe80::"
}
link_local_probe() {
	echo "outside $1%eth0 6379 ping $2" | "$netprobe" matrix
}
t "link-local addresses are no way in" link_local

routed_in() { # a client that has a route to the container's own address
	way 6379 ping 172.17.0.2 fd00:17::2
	environment 'tls = optional clients = {"10.20.0.0/24", "2001:db8:20::/64"} bind = {"10.20.0.5"}'
	apply
	expect_traffic <<-END
		allowed 172.17.0.2 6379 ping passes
		outside 172.17.0.2 6379 ping timeout
		outside fd00:17::2 6379 ping timeout
	END
	environment 'tls = optional clients = {"10.20.0.0/24", "2001:db8:20::/64"}'
}
nft add table inet other
t "a route straight to the container's address" routed_in

container_itself() { # a container is a source like any other
	expect_exit 0 guard remove
	expect_traffic <<-END
		container 172.17.0.1  6379 ping passes
		container fd00:17::1  6379 ping passes
	END
	apply
	expect_traffic <<-END
		container 172.17.0.1  6379 ping timeout
		container fd00:17::1  6379 ping timeout
		container 10.20.0.5   6379 ping timeout
		host      172.17.0.2  6379 ping passes
		host      fd00:17::2  6379 ping passes
	END
}
t "a container that is no client does not reach this host's server; this host reaches the container's" container_itself

plaintext_published() {
	environment 'tls = required clients = {"10.20.0.0/24", "2001:db8:20::/64"}'
	nft -f - <<-END
		table inet other {
			chain translate {
				type nat hook prerouting priority dstnat
				tcp dport { 6379, 16379 } meta nfproto ipv4 dnat ip to 172.17.0.2:6379
				tcp dport { 6379, 16379 } meta nfproto ipv6 dnat ip6 to [fd00:17::2]:6379
				tcp dport 16380 meta nfproto ipv4 dnat ip to 172.17.0.2:6380
				tcp dport 16380 meta nfproto ipv6 dnat ip6 to [fd00:17::2]:6380
			}
		}
	END
	apply
	expect_traffic <<-END
		allowed 10.20.0.5      6379  ping refused
		allowed 2001:db8:20::5 6379  ping refused
		allowed 10.20.0.5      16379 ping refused
		allowed 2001:db8:20::5 16379 ping refused
		allowed 172.17.0.2     6379  ping refused
		allowed 10.20.0.5      16380 tls  passes
		allowed 2001:db8:20::5 16380 tls  passes
		outside 10.66.0.5      16380 tls  timeout
		outside 2001:db8:66::5 16380 tls  timeout
	END
	nft delete table inet other
	environment 'tls = optional clients = {"10.20.0.0/24", "2001:db8:20::/64"}'
}
t "tls = required holds for published ports too" plaintext_published

# Another machine's server, behind an uplink: what our containers and our routed clients do there is not our business.
elsewhere() {
	network_elsewhere || { skip "neither a VLAN nor a tun device can be made here"; return; }
	serve elsewhere tcp :: 6379
	apply
	expect_traffic <<-END
		container 10.77.0.10      6379 ping passes
		container 2001:db8:77::10 6379 ping passes
		outside   10.77.0.10      6379 ping passes
		outside   2001:db8:77::10 6379 ping passes
		host      10.77.0.10      6379 ping passes
		host      2001:db8:77::10 6379 ping passes
		elsewhere 10.77.0.5       6379 ping timeout
		elsewhere 172.17.0.2      6379 ping timeout
		elsewhere fd00:17::2      6379 ping timeout
	END
}
t "routed = containers: who goes out to another machine's 6379 is untouched" elsewhere

by_veth() { # a container that has no bridge: the host's end of its veth is the way out
	serve allowed tcp :: 6379
	expect_exit 0 guard remove
	expect_traffic <<-END
		outside 10.20.0.10      6379 ping passes
		outside 2001:db8:20::10 6379 ping passes
	END
	environment 'tls = optional clients = {"10.20.0.0/24", "172.17.0.0/16", "fd00:17::/64"}'
	apply
	expect_traffic <<-END
		outside   10.20.0.10      6379 ping timeout
		outside   2001:db8:20::10 6379 ping timeout
		container 10.20.0.10      6379 ping passes
		container 2001:db8:20::10 6379 ping passes
	END
}
t "a route straight to a container behind a veth without a bridge" by_veth

routed() { # routed MODE INTO-CONTAINER OUT
	environment "tls = optional routed = $1 clients = {\"10.20.0.0/24\", \"2001:db8:20::/64\"}"
	apply
	expect_traffic <<-END
		outside   172.17.0.2      6379 ping $2
		outside   fd00:17::2      6379 ping $2
		allowed   172.17.0.2      6379 ping passes
		outside   10.66.0.5       6379 ping timeout
		outside   2001:db8:66::5  6379 ping timeout
	END
	ip netns pids elsewhere 2>/dev/null | grep -q . || return 0
	expect_traffic <<-END
		outside   10.77.0.10      6379 ping $3
		outside   2001:db8:77::10 6379 ping $3
		allowed   10.77.0.10      6379 ping passes
		host      10.77.0.10      6379 ping passes
	END
}
t "routed = all: whatever this host routes to the port is judged" routed all timeout timeout
t "routed = none: what is not translated goes by" routed none passes passes
finish
