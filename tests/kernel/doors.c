/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * doors: a server for probe.sh and tls_files.sh, copied to the name `dragonfly` and started with whatever arguments
 * that one would have; it reads none of them. It opens what DOORS names, a list of ADDRESS,PORT,BEHAVIOUR, prints
 * "ready", and behaves until it is ended. For TLS: CERTIFICATE and KEY (PEM), VERSIONS (such as "1.0-1.2"), CIPHERS.
 */

#include <netdb.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_DOORS 64

struct door;
struct peer {
	int descriptor;
	SSL *ssl;
	const struct door *door;
};

struct behaviour {
	const char *name;
	void (*behave)(struct peer *peer);
	bool tls, client_certificate;
	const char *pong; /* what PING is answered with */
};

struct door {
	int listening;
	const struct behaviour *behaviour;
};

static void __attribute__((noreturn)) die(const char *word)
{
	fprintf(stderr, "doors: %s: %m\n", word);
	exit(2);
}

static bool say_bytes(struct peer *peer, const void *bytes, size_t length)
{
	return peer->ssl ? SSL_write(peer->ssl, bytes, (int)length) > 0
			 : send(peer->descriptor, bytes, length, MSG_NOSIGNAL) > 0;
}

static bool say(struct peer *peer, const char *text)
{
	return say_bytes(peer, text, strlen(text));
}

static ssize_t hear(struct peer *peer, char *buffer, size_t size)
{
	ssize_t length =
		peer->ssl ? SSL_read(peer->ssl, buffer, (int)size - 1) : recv(peer->descriptor, buffer, size - 1, 0);

	buffer[length > 0 ? length : 0] = '\0';
	return length;
}

static void say_without_end(struct peer *peer, const void *bytes, size_t length)
{
	while (say_bytes(peer, bytes, length))
		;
}

/* --- behaviours --- */

static void be_silent(struct peer *peer)
{
	(void)peer;
	pause();
}

static void be_gone(struct peer *peer)
{
	struct linger linger = {.l_onoff = 1};
	char byte;

	recv(peer->descriptor, &byte, 1, 0);
	setsockopt(peer->descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* As a Dragonfly that wants a password, or as one that does not. */
static void be_server(struct peer *peer)
{
	char buffer[4096];

	while (hear(peer, buffer, sizeof(buffer)) > 0)
		if (!say(peer, peer->door->behaviour->pong))
			return;
}

/* And as one that wants TLS. */
static void be_tls(struct peer *peer)
{
	char first = 0;
	SSL_CTX *context;

	if (recv(peer->descriptor, &first, 1, MSG_PEEK) == 1 && first != 0x16) {
		say(peer, "-ERR Bad TLS header, double check if you enabled TLS for your client.\r\n");
		return;
	}
	context = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_cipher_list(context, getenv("CIPHERS") ? getenv("CIPHERS") : "DEFAULT:@SECLEVEL=0");
	if (getenv("VERSIONS")) {
		const char *range = getenv("VERSIONS");

		SSL_CTX_set_min_proto_version(context, TLS1_VERSION + range[2] - '0');
		SSL_CTX_set_max_proto_version(context, TLS1_VERSION + range[6] - '0');
	}
	SSL_CTX_set_dh_auto(context, 1);
	SSL_CTX_use_certificate_chain_file(context, getenv("CERTIFICATE"));
	SSL_CTX_use_PrivateKey_file(context, getenv("KEY"), SSL_FILETYPE_PEM);
	if (peer->door->behaviour->client_certificate)
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	peer->ssl = SSL_new(context);
	SSL_set_fd(peer->ssl, peer->descriptor);
	if (SSL_accept(peer->ssl) == 1)
		be_server(peer);
	SSL_shutdown(peer->ssl);
}

static void be_garbage(struct peer *peer)
{
	say_bytes(peer, "\x00\xff\x16\x03\r\n\x1b[2J\r\n", 12);
}

static void be_endless(struct peer *peer)
{
	static char block[65536];

	memset(block, 'x', sizeof(block));
	say_without_end(peer, block, sizeof(block));
}

/* HelloRequest, which a client may leave aside. */
static void be_helloing(struct peer *peer)
{
	static char block[9 * 1000];

	for (size_t i = 0; i < sizeof(block); i += 9)
		memcpy(block + i, "\x16\x03\x03\x00\x04\x00\x00\x00\x00", 9);
	say_without_end(peer, block, sizeof(block));
}

static void be_nested(struct peer *peer)
{
	static char block[40000];

	for (size_t i = 0; i < sizeof(block); i += 4)
		memcpy(block + i, "*1\r\n", 4);
	say_without_end(peer, block, sizeof(block));
}

static void be_huge_bulk(struct peer *peer)
{
	say(peer, "$2147483640\r\n");
	be_endless(peer);
}

static void be_huge_array(struct peer *peer)
{
	say(peer, "*2147483640\r\n");
	say_without_end(peer, ":1\r\n:2\r\n:3\r\n", 12);
}

static void be_negative(struct peer *peer)
{
	say(peer, "*-5\r\n$-7\r\n$99999999999999999999\r\n");
	pause();
}

static void be_slow(struct peer *peer)
{
	while (say(peer, "+"))
		usleep(100000);
}

static void be_cut(struct peer *peer)
{
	say(peer, "-NOAU");
	pause();
}

/* Answers all, and each badly. */
static void be_liar(struct peer *peer)
{
	char buffer[4096];
	static char long_name[100000];

	memset(long_name, 'u', sizeof(long_name) - 1);
	while (hear(peer, buffer, sizeof(buffer)) > 0) {
		if (strstr(buffer, "PING"))
			say_bytes(peer, "+PONG\0\x1b\r\n", 9);
		else if (strstr(buffer, "INFO"))
			say_bytes(peer, "$40\r\nrole:\0\0\xff\r\nredis_version:\x1b[2J%0A\n\r\n::::\n\r\n", 48);
		else if (strstr(buffer, "CONFIG"))
			say(peer, "*5\r\n$-1\r\n:7\r\n$11\r\nrequirepass\r\n*0\r\n$3\r\ntls\r\n");
		else if (strstr(buffer, "LIST")) {
			say(peer, "*300\r\n");
			for (int i = 0; i < 300; i++) {
				char head[64];

				snprintf(head, sizeof(head), "$%d\r\nuser ", 5 + 3000);
				say(peer, head);
				say_bytes(peer, long_name, 3000);
				say(peer, "\r\n");
			}
		} else {
			say(peer, "*2\r\n*3\r\n$6\r\nreason\r\n$-1\r\n+x\r\n*0\r\n");
		}
	}
}

static void be_http(struct peer *peer)
{
	char buffer[4096];

	while (hear(peer, buffer, sizeof(buffer)) > 0)
		say(peer, strncmp(buffer, "GET ", 4) == 0 ? "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
							  : peer->door->behaviour->pong);
}

#define NOAUTH "-NOAUTH Authentication required.\r\n"

static const struct behaviour behaviours[] = {
	{.name = "silent", .behave = be_silent},
	{.name = "reset", .behave = be_gone},
	{.name = "noauth", .behave = be_server, .pong = NOAUTH},
	{.name = "open", .behave = be_server, .pong = "+PONG\r\n"},
	{.name = "loading", .behave = be_server, .pong = "-LOADING still\r\n"},
	{.name = "tls", .behave = be_tls, .tls = true, .pong = NOAUTH},
	{.name = "tls-open", .behave = be_tls, .tls = true, .pong = "+PONG\r\n"},
	{.name = "mutual", .behave = be_tls, .tls = true, .client_certificate = true, .pong = NOAUTH},
	{.name = "garbage", .behave = be_garbage},
	{.name = "endless", .behave = be_endless},
	{.name = "helloing", .behave = be_helloing},
	{.name = "nested", .behave = be_nested},
	{.name = "bulk", .behave = be_huge_bulk},
	{.name = "array", .behave = be_huge_array},
	{.name = "negative", .behave = be_negative},
	{.name = "slow", .behave = be_slow},
	{.name = "cut", .behave = be_cut},
	{.name = "liar", .behave = be_liar},
	{.name = "http", .behave = be_http, .pong = NOAUTH},
	{.name = "memcached", .behave = be_server, .pong = "VERSION 1.6.0\r\n"},
	{.name = "memcached-noperm", .behave = be_server, .pong = "SERVER_ERROR -NOPERM default has none\r\n"},
};

static int open_tcp(const char *address, const char *port)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	int on = 1;
	int descriptor;

	if (getaddrinfo(address, port, &hints, &found) != 0)
		die(address);
	descriptor = socket(found->ai_family, SOCK_STREAM, 0);
	setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(descriptor, found->ai_addr, found->ai_addrlen) < 0 || listen(descriptor, 64) < 0)
		die(address);
	freeaddrinfo(found);
	return descriptor;
}

static const struct behaviour *find(const char *name)
{
	for (size_t i = 0; i < sizeof(behaviours) / sizeof(behaviours[0]); i++)
		if (name && strcmp(behaviours[i].name, name) == 0)
			return &behaviours[i];
	die("a behaviour that is not known");
}

static void take(const struct door *door)
{
	struct peer peer = {.door = door, .descriptor = accept(door->listening, NULL, NULL)};

	if (peer.descriptor < 0)
		return;
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int descriptor = 3; descriptor < peer.descriptor; descriptor++)
			close(descriptor);
		door->behaviour->behave(&peer);
		_exit(0);
	}
	close(peer.descriptor);
}

int main(void)
{
	char *words = strdup(getenv("DOORS") ? getenv("DOORS") : "");
	struct door doors[MAX_DOORS];
	struct pollfd polled[MAX_DOORS];
	nfds_t count = 0;

	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (char *word; (word = strsep(&words, " \n"));) {
		char *address = strsep(&word, ",");
		char *port = strsep(&word, ",");

		if (!*address)
			continue;
		if (!port || count == MAX_DOORS)
			die("a word that is not understood");
		doors[count].behaviour = find(word);
		doors[count].listening = open_tcp(address, port);
		polled[count] = (struct pollfd){.fd = doors[count].listening, .events = POLLIN};
		count++;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		poll(polled, count, -1);
		for (nfds_t i = 0; i < count; i++)
			if (polled[i].revents)
				take(&doors[i]);
	}
}
