/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * pretend: a server for listening.sh, copied to the name that it is to have, as `dragonfly` or `docker-proxy`, and
 * started with whatever arguments that one would have; it reads none of them. It opens what PRETEND names, prints
 * "ready", and waits to be ended. PRETEND is a list of words: ADDRESS,PORT (IPv6 without IPV6_V6ONLY),
 * only,ADDRESS,PORT (with it), and unix,PATH,MODE.
 */

#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void __attribute__((noreturn)) die(const char *word)
{
	fprintf(stderr, "pretend: %s: %m\n", word);
	exit(2);
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
	for (;;)
		pause();
}
