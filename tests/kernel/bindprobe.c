/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What bind(2) answers, for tests/kernel/bind_guard.sh.
 *
 *   bindprobe 4|6 ADDRESS PORT [OPTION...]
 *       binds and listens; prints the address that the socket then has, or the name of the error. Options: v6only,
 *       reuseport, freebind, transparent, mptcp, udp, unspec (the family in the address is AF_UNSPEC). SO_REUSEADDR is
 *       set, as servers do.
 *   bindprobe cookie
 *       prints the cookie of the network namespace.
 *   bindprobe hammer PORT
 *       binds 0.0.0.0, :: and ::ffff:0.0.0.0 in turn until standard input ends; then prints "tried N bound N refused N"
 *       (EPERM). Says "ready" when it has begun.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t fill(union address *address, int family, const char *text, unsigned short port)
{
	*address = (union address){0};
	if (family == AF_INET) {
		address->v4.sin_family = AF_INET;
		address->v4.sin_port = htons(port);
		if (inet_pton(AF_INET, text, &address->v4.sin_addr) != 1)
			exit(2);
		return sizeof(address->v4);
	}
	address->v6.sin6_family = AF_INET6;
	address->v6.sin6_port = htons(port);
	if (inet_pton(AF_INET6, text, &address->v6.sin6_addr) != 1)
		exit(2);
	return sizeof(address->v6);
}

static void set(int one, int level, int option)
{
	int yes = 1;

	if (setsockopt(one, level, option, &yes, sizeof(yes)) < 0) {
		printf("setsockopt %s\n", strerrorname_np(errno));
		exit(0);
	}
}

static bool has(char **options, const char *option)
{
	for (; *options; options++)
		if (strcmp(*options, option) == 0)
			return true;
	return false;
}

static int try(int family, const char *text, unsigned short port, char **options)
{
	int type = has(options, "udp") ? SOCK_DGRAM : SOCK_STREAM;
	int one = socket(family, type, has(options, "mptcp") ? IPPROTO_MPTCP : 0);
	char buffer[INET6_ADDRSTRLEN];
	union address address;
	socklen_t length = fill(&address, family, text, port);
	int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;

	if (one < 0) {
		printf("socket %s\n", strerrorname_np(errno));
		return 0;
	}
	if (has(options, "v6only"))
		set(one, IPPROTO_IPV6, IPV6_V6ONLY);
	if (has(options, "reuseport"))
		set(one, SOL_SOCKET, SO_REUSEPORT);
	set(one, SOL_SOCKET, SO_REUSEADDR);
	if (has(options, "freebind"))
		set(one, level, family == AF_INET ? IP_FREEBIND : IPV6_FREEBIND);
	if (has(options, "transparent"))
		set(one, level, family == AF_INET ? IP_TRANSPARENT : IPV6_TRANSPARENT);
	if (has(options, "unspec"))
		address.any.sa_family = AF_UNSPEC;
	if (bind(one, &address.any, length) < 0 || (type == SOCK_STREAM && listen(one, 1) < 0)) {
		puts(strerrorname_np(errno));
		return 0;
	}
	length = sizeof(address);
	if (getsockname(one, &address.any, &length) < 0)
		return 1;
	puts(inet_ntop(family, family == AF_INET ? (void *)&address.v4.sin_addr : (void *)&address.v6.sin6_addr, buffer,
		sizeof(buffer)));
	return 0;
}

static int hammer(unsigned short port)
{
	static const char *const texts[] = {"0.0.0.0", "::", "::ffff:0.0.0.0"};
	struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
	unsigned long tried = 0;
	unsigned long bound = 0;
	unsigned long refused = 0;

	puts("ready");
	fflush(stdout);
	while (poll(&end, 1, 0) == 0) {
		const char *text = texts[tried++ % 3];
		int family = strchr(text, ':') ? AF_INET6 : AF_INET;
		int one = socket(family, SOCK_STREAM, 0);
		union address address;
		socklen_t length = fill(&address, family, text, port);

		if (one < 0)
			return 1;
		set(one, SOL_SOCKET, SO_REUSEADDR);
		if (bind(one, &address.any, length) == 0)
			bound++;
		else
			refused += errno == EPERM;
		close(one);
	}
	printf("tried %lu bound %lu refused %lu\n", tried, bound, refused);
	return 0;
}

static int cookie(void)
{
	int any = socket(AF_UNIX, SOCK_DGRAM, 0);
	uint64_t number;
	socklen_t length = sizeof(number);

	if (getsockopt(any, SOL_SOCKET, SO_NETNS_COOKIE, &number, &length) < 0)
		return 1;
	printf("%" PRIu64 "\n", number);
	return 0;
}

int main(int count, char **arguments)
{
	if (count == 2 && strcmp(arguments[1], "cookie") == 0)
		return cookie();
	if (count == 3 && strcmp(arguments[1], "hammer") == 0)
		return hammer((unsigned short)atoi(arguments[2]));
	if (count < 4)
		return 2;
	return try(arguments[1][0] == '4' ? AF_INET : AF_INET6, arguments[2], (unsigned short)atoi(arguments[3]),
		arguments + 4);
}
