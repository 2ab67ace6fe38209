#!/bin/bash
# Guarantee 4: the server listens on everything, and only the addresses in `bind` (for admins `admin_bind`) are reached.
. "$(dirname "$0")/../lib/guard.sh"
network
redis host 6379 6380
redis container 6379
serve host tcp :: 9999
serve host tcp :: 11211
everybody='clients = {"10.20.0.0/24", "2001:db8:20::/64", "10.66.0.0/24", "2001:db8:66::/64"}'
lists="$everybody admins = {\"10.20.0.0/24\", \"2001:db8:20::/64\"} memcached_clients = {\"10.20.0.0/24\"}"

not_asked() {
	environment "tls = optional $lists"
	apply
	expect_traffic <<-END
		allowed 10.20.0.5      6379 ping passes
		allowed 10.20.0.6      6379 ping passes
		allowed 10.66.0.5      6379 ping passes
		allowed 2001:db8:20::6 6379 ping passes
		outside 10.20.0.6      6379 ping passes
		outside 2001:db8:20::6 6379 ping passes
		outside 172.17.0.1     6379 ping passes
	END
}
t "without bind every address of this host is reached" not_asked

only_bind() {
	environment "tls = optional $lists bind = {\"10.20.0.5\", \"2001:db8:20::5\", \"127.0.0.1\"}"
	apply
	expect_traffic <<-END
		allowed 10.20.0.5      6379  ping passes
		allowed 10.20.0.5      6380  tls  passes
		allowed 10.20.0.5      9999  tls  passes
		allowed 10.20.0.5      11211 tls  passes
		allowed 2001:db8:20::5 6379  ping passes
		allowed 2001:db8:20::5 9999  tls  passes
		allowed 10.20.0.6      6379  ping refused
		allowed 10.20.0.6      6380  tls  refused
		allowed 10.20.0.6      9999  tls  refused
		allowed 10.20.0.6      11211 tls  refused
		allowed 2001:db8:20::6 6379  ping refused
		allowed 2001:db8:20::6 9999  tls  refused
	END
	[ "$(counted refused_address)" -ge 6 ] || wrong "refused_address counted $(counted refused_address)"
	expect_equal refused_source 0 "$(counted refused_source)"
}
t "only the addresses in bind are reached" only_bind

weak_host() { # an address of another interface: Linux answers for all its addresses on all its interfaces
	expect_traffic <<-END
		outside 10.20.0.5      6379 ping passes
		outside 2001:db8:20::5 6379 ping passes
		outside 10.66.0.5      6379 ping refused
		outside 2001:db8:66::5 6379 ping refused
		outside 10.20.0.6      6379 ping refused
		outside 172.17.0.1     6379 ping refused
		outside fd00:17::1     6379 ping refused
		allowed 10.66.0.5      6379 ping refused
		allowed 2001:db8:66::5 6379 ping refused
	END
}
t "whichever interface a packet comes in by" weak_host

this_host() {
	expect_traffic <<-END
		host 127.0.0.1      6379 ping passes
		host ::1            6379 ping passes
		host 10.66.0.5      6379 ping passes
		host 2001:db8:20::6 6379 ping passes
	END
}
t "this host is not asked" this_host

admin() {
	environment "tls = optional $lists bind = {\"10.20.0.5\", \"2001:db8:20::5\"} admin_bind = {\"10.20.0.6\"}"
	apply
	expect_traffic <<-END
		allowed 10.20.0.5      6379  ping passes
		allowed 10.20.0.5      11211 tls  passes
		allowed 10.20.0.6      9999  tls  passes
		allowed 10.20.0.5      9999  tls  refused
		allowed 10.20.0.6      6379  ping refused
		allowed 10.20.0.6      11211 tls  refused
		allowed 2001:db8:20::5 6379  ping passes
		allowed 2001:db8:20::5 9999  tls  refused
		allowed 2001:db8:20::6 9999  tls  refused
	END
}
t "admin_bind is for admin_port, bind for the others" admin

one_family() {
	environment "tls = optional $lists bind = {\"10.20.0.5\"}"
	apply
	expect_traffic <<-END
		allowed 10.20.0.5      6379 ping passes
		allowed 2001:db8:20::5 6379 ping refused
		allowed 2001:db8:20::6 6380 tls  refused
	END
}
t "bind with IPv4 only closes IPv6" one_family

published() { # the second look, after translation, must not ask for bind: the destination is the container's by then
	nft -f - <<-END
		table inet docker {
			chain translate {
				type nat hook prerouting priority dstnat
				tcp dport 16379 meta nfproto ipv4 dnat ip to 172.17.0.2:6379
				ip daddr 10.20.0.5 tcp dport 6379 dnat ip to 172.17.0.2:6379
				tcp dport 7000 redirect to :6379
			}
		}
	END
	environment "tls = optional $lists bind = {\"10.20.0.5\"}"
	expect_exit 0 guard remove
	apply
	expect_traffic <<-END
		allowed 10.20.0.5 16379 ping passes
		allowed 10.20.0.5 6379  ping passes
		allowed 10.20.0.5 7000  ping passes
		outside 10.66.0.5 6379  ping refused
	END
	expect_equal "refused_address, which must count only the last one" 1 "$(counted refused_address)"
	# redirect goes to the first address of the interface, which is not the one in bind.
	environment "tls = optional $lists bind = {\"10.20.0.6\"}"
	apply
	expect_traffic <<-END
		allowed 10.20.0.6 7000  ping passes
		allowed 10.20.0.6 16379 ping passes
		allowed 10.20.0.6 6379  ping passes
		allowed 10.20.0.5 6380  tls  refused
	END
	nft delete table inet docker
}
t "a published port is not asked again for its new destination" published

moved() { # a change of bind takes effect for connections, too
	session_begin
	environment "tls = optional $lists bind = {\"10.20.0.5\", \"10.20.0.6\"}"
	apply
	expect_equal "connection five" connected "$(session open five allowed 10.20.0.5 6379)"
	expect_equal "connection six" connected "$(session open six allowed 10.20.0.6 6379)"
	expect_lives five six
	environment "tls = optional $lists bind = {\"10.20.0.5\"}"
	apply
	expect_lives five
	expect_dead six
}
t "an address taken out of bind is cut" moved

only_loopback() {
	environment "tls = optional $lists bind = {\"127.0.0.1\"}"
	apply
	expect_traffic <<-END
		allowed 10.20.0.5      6379 ping refused
		allowed 2001:db8:20::5 6379 ping refused
		outside 10.66.0.5      6380 tls  refused
		host    127.0.0.1      6379 ping passes
	END
}
t "bind = 127.0.0.1 closes it to everybody but this host" only_loopback
finish
