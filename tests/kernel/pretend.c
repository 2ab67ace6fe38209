/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * pretend: a server for listening.sh, copied to the name that it is to have, as `dragonfly` or `docker-proxy`, and
 * started with whatever arguments that one would have; it reads none of them. It opens what PRETEND names, prints
 * "ready", and asks whoever connects for a password, until it is ended; with SILENT in its environment it says nothing.
 * PRETEND is a list of words: ADDRESS,PORT (IPv6 without IPV6_V6ONLY), only,ADDRESS,PORT (with it), and unix,PATH,MODE.
 */

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKETS 64

static struct pollfd sockets[SOCKETS];
static nfds_t socket_count;

static void __attribute__((noreturn)) die(const char *word)
{
	fprintf(stderr, "pretend: %s: %m\n", word);
	exit(2);
}

static void keep(int descriptor)
{
	if (socket_count == SOCKETS)
		die("too many sockets");
	sockets[socket_count++] = (struct pollfd){.fd = descriptor, .events = POLLIN};
}

/* Whatever comes: nobody is served, and nobody waits. */
static void answer(int listening)
{
	static const char noauth[] = "-NOAUTH Authentication required.\r\n";
	int connection = accept(listening, NULL, NULL);
	char heard[512];

	if (connection < 0)
		return;
	if (recv(connection, heard, sizeof(heard), 0) > 0)
		send(connection, noauth, sizeof(noauth) - 1, MSG_NOSIGNAL);
	close(connection);
}

static void open_unix(const char *path, const char *mode)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		chmod(path, (mode_t)strtoul(mode, NULL, 8)) < 0 || listen(descriptor, 8) < 0)
		die(path);
	keep(descriptor);
}

static void open_tcp(const char *address, const char *port, int only)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	int on = 1;
	int descriptor;

	if (getaddrinfo(address, port, &hints, &found) != 0)
		die(address);
	descriptor = socket(found->ai_family, SOCK_STREAM, 0);
	setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (found->ai_family == AF_INET6)
		setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	if (bind(descriptor, found->ai_addr, found->ai_addrlen) < 0 || listen(descriptor, 8) < 0)
		die(address);
	keep(descriptor);
	freeaddrinfo(found);
}

int main(void)
{
	const char *list = getenv("PRETEND");
	char *words = strdup(list ? list : "");
	char *rest = words;

	for (char *word; (word = strsep(&rest, " "));) {
		char *first = strsep(&word, ",");
		char *second = strsep(&word, ",");
		char *third = strsep(&word, ",");

		if (!*first)
			continue;
		if (!second || (third ? strcmp(first, "unix") != 0 && strcmp(first, "only") != 0 : 0))
			die("a word that is not understood");
		if (third && strcmp(first, "unix") == 0)
			open_unix(second, third);
		else if (third)
			open_tcp(second, third, 1);
		else
			open_tcp(first, second, 0);
	}
	puts("ready");
	fflush(stdout);
	while (getenv("SILENT"))
		pause();
	while (poll(sockets, socket_count, -1) >= 0)
		for (nfds_t i = 0; i < socket_count; i++)
			if (sockets[i].revents)
				answer(sockets[i].fd);
	return 0;
}
