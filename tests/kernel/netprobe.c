/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * netprobe: real traffic for the tests in this folder. One process speaks from many network namespaces, because a
 * socket keeps the namespace in which it was made; so a whole matrix of probes costs one time-out and not their sum.
 *
 *   netprobe matrix          reads lines `NS[@SOURCE] ADDRESS PORT SPEAK EXPECTED`, tries all at once, prints one line
 *                            for each that came out otherwise; exit 1 if any did. `#` begins a comment.
 *                            SPEAK: ping (wants an answer), tls (a ClientHello, wants a TLS record), connect
 *                            (only the handshake), udp, and the words of the table `speeches` below.
 *                            EXPECTED: passes, refused, or outcomes joined by `|`: answer connected silent closed cut
 *                            reset timeout unreachable. `cut` alone must come soon after the last word.
 *   netprobe session         a long-lived party, one command a line, one outcome a line:
 *                            `open NAME NS[@SOURCE] ADDRESS PORT MS`, `ping MS NAME...` (all at once), `close NAME`,
 *                            `say MS SPEAK NAME` (wants any answer).
 *   netprobe storm MS TARGET...  a new connection to each TARGET (`NS[@SOURCE],ADDRESS,PORT`) every MS milliseconds
 *                            until standard input ends; then `TARGET tried N connected N reset N timeout N` lines.
 *   netprobe serve NS tcp|udp ADDRESS PORT [defer]   answers whatever it hears with the same, and prints a line for
 *                            each time it hears; `::` also hears IPv4. `defer`: TCP_DEFER_ACCEPT.
 *   netprobe raw NS SOURCE ADDRESS PORT FLAGS [COUNT]   one TCP segment (IPv4) with these flags, such as 0x03 for
 *                            SYN|FIN, or COUNT of them. See segments.c for more.
 *   netprobe cable NS DEVICE NS DEVICE       two tun devices joined: a link that is neither a bridge nor a veth.
 *   netprobe hear PATH                       a service manager: prints each datagram that comes to this unix socket.
 *
 * NS is the name of a namespace below /run/netns, or `host`: where netprobe was started.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 4096
#define MAX_TARGETS	16
#define MAX_SESSIONS	64
#define EXPECTED_LENGTH 64
#define REFUSAL_MS	400  /* a SYN that has no answer by now was dropped: its next try comes after 1000 ms */
#define PATIENCE_MS	8000 /* for what should come; only a failing test waits so long */
#define CUT_MS		1500 /* for a reset after what was said: a retransmission (200 ms) brings it */
#define STORM_LIFE_MS	900  /* below the first retransmission of a SYN: each connection asks exactly once */

static int home_namespace = -1;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list arguments;

	fputs("netprobe: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(2);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sockets made from here on belong to the namespace called `name`. */
static void enter(const char *name)
{
	static char current[64] = "host";
	char path[PATH_MAX];
	int descriptor;

	if (strcmp(name, current) == 0)
		return;
	if (strcmp(name, "host") == 0) {
		if (setns(home_namespace, CLONE_NEWNET) < 0)
			die("cannot go back to the host's namespace: %m");
	} else {
		snprintf(path, sizeof(path), "/run/netns/%s", name);
		descriptor = open(path, O_RDONLY | O_CLOEXEC);
		if (descriptor < 0 || setns(descriptor, CLONE_NEWNET) < 0)
			die("cannot enter %s: %m", path);
		close(descriptor);
	}
	snprintf(current, sizeof(current), "%s", name);
}

/* Fills `storage`; `port` may be NULL. Only numbers, never a resolver. */
static socklen_t address_parse(const char *address, const char *port, struct sockaddr_storage *storage)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found;
	socklen_t length;

	if (getaddrinfo(address, port, &hints, &found) != 0)
		die("not an address and port: %s %s", address, port ? port : "");
	memcpy(storage, found->ai_addr, found->ai_addrlen);
	length = found->ai_addrlen;
	freeaddrinfo(found);
	return length;
}

/* A ClientHello for TLS 1.2 that any OpenSSL 3 server answers. */
static const unsigned char client_hello[] = {0x16, 0x03, 0x01, 0x00, 0x57, 0x01, 0x00, 0x00, 0x53, 0x03, 0x03,
	/* random */ 'd', 'f', 'l', 'y', 'g', 'u', 'a', 'r', 'd', ' ', 't', 'e', 's', 't', 's', ' ', 'd', 'f', 'l', 'y',
	'g', 'u', 'a', 'r', 'd', ' ', 't', 'e', 's', 't', 's', '.',
	/* session */ 0x00, /* ciphers */ 0x00, 0x08, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30,
	/* compression */ 0x01, 0x00, /* extensions */ 0x00, 0x22,
	/* groups */ 0x00, 0x0a, 0x00, 0x06, 0x00, 0x04, 0x00, 0x1d, 0x00, 0x17,
	/* point formats */ 0x00, 0x0b, 0x00, 0x02, 0x01, 0x00,
	/* signatures */ 0x00, 0x0d, 0x00, 0x0e, 0x00, 0x0c, 0x04, 0x03, 0x08, 0x04, 0x04, 0x01, 0x05, 0x03, 0x05, 0x01,
	0x02, 0x03};

/* The same with padding (RFC 7685): more than two segments. */
#define LARGE_HELLO 3200
static unsigned char large_hello[LARGE_HELLO];

static void put16(unsigned char *place, size_t value)
{
	place[0] = (unsigned char)(value >> 8);
	place[1] = (unsigned char)value;
}

static void large_hello_make(void)
{
	size_t length = sizeof(client_hello);

	memcpy(large_hello, client_hello, length);
	large_hello[length + 1] = 0x15;
	put16(large_hello + length + 2, LARGE_HELLO - length - 4);
	put16(large_hello + 3, LARGE_HELLO - 5);
	put16(large_hello + 7, LARGE_HELLO - 9);
	put16(large_hello + 56, LARGE_HELLO - 58);
}

#define PARTS 2
struct part {
	int pause_ms; /* before it is said */
	const void *bytes;
	size_t length;
};
#define SAY(pause, string)                                                                                             \
	{                                                                                                              \
		pause, string, sizeof(string) - 1                                                                      \
	}
#define RESP   "*1\r\n$4\r\nPING\r\n"
#define LATE   2200 /* later than the first retransmission of a SYN-ACK, which ends TCP_DEFER_ACCEPT */
#define RECORD "\x01\x00\x00\x53\x03\x03 what would be a ClientHello"

/* What a client says, in parts. The first two are told apart where they are used. */
static const struct speech {
	const char *word;
	bool tls;    /* only a TLS record is an answer */
	bool on_syn; /* the first part goes with the SYN (TCP fast open), or the answer does not count */
	bool fin;    /* the last part's segment also ends the connection */
	struct part parts[PARTS];
} speeches[] = {
	{.word = "connect"},
	{.word = "udp", .parts = {SAY(0, "PING\r\n")}},
	{.word = "ping", .parts = {SAY(0, "PING\r\n")}},
	{.word = "tls", .tls = true, .parts = {{0, client_hello, sizeof(client_hello)}}},
	{.word = "tls-large", .tls = true, .parts = {{0, large_hello, LARGE_HELLO}}},
	{.word = "tls-late", .tls = true, .parts = {{LATE, client_hello, sizeof(client_hello)}}},
	{.word = "tls-halves",
		.tls = true,
		.parts = {{0, client_hello, 6}, {50, client_hello + 6, sizeof(client_hello) - 6}}},
	{.word = "tls-on-syn", .tls = true, .on_syn = true, .parts = {{0, client_hello, sizeof(client_hello)}}},
	{.word = "tls-1.0", .parts = {SAY(0, "\x16\x03\x01\x00\x57" RECORD)}},
	{.word = "tls-1.2", .parts = {SAY(0, "\x16\x03\x03\x00\x57" RECORD)}},
	{.word = "tls-longest", .parts = {SAY(0, "\x16\x03\x03\x3f\xff" RECORD)}},
	{.word = "resp", .parts = {SAY(0, RESP)}},
	{.word = "resp-late", .parts = {SAY(LATE, RESP)}},
	{.word = "resp-fin", .fin = true, .parts = {SAY(0, RESP)}},
	{.word = "resp-on-syn", .on_syn = true, .parts = {SAY(0, RESP)}},
	{.word = "http", .parts = {SAY(0, "GET / HTTP/1.1\r\nHost: dragonfly\r\n\r\n")}},
	{.word = "memcached", .parts = {SAY(0, "get something\r\n")}},
	{.word = "byte", .parts = {SAY(0, "\n")}},
	{.word = "byte-tls", .parts = {{0, client_hello, 1}}},
	{.word = "pieces", .parts = {{0, client_hello, 5}, {50, client_hello + 5, sizeof(client_hello) - 5}}},
	{.word = "change-cipher", .parts = {SAY(0, "\x14\x03\x03\x00\x01\x01")}},
	{.word = "alert", .parts = {SAY(0, "\x15\x03\x01\x00\x02\x01\x00")}},
	{.word = "server-hello", .parts = {SAY(0, "\x16\x03\x03\x00\x57\x02\x00\x00\x53\x03\x03")}},
	{.word = "data", .parts = {SAY(0, "\x17\x03\x03\x00\x57" RECORD)}},
	{.word = "heartbeat", .parts = {SAY(0, "\x18\x03\x02\x00\x03\x01\x40\x00")}},
	{.word = "sslv2", .parts = {SAY(0, "\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10\x01\x00\x80")}},
	{.word = "sslv3", .parts = {SAY(0, "\x16\x03\x00\x00\x57" RECORD)}},
	{.word = "tls-1.3-record", .parts = {SAY(0, "\x16\x03\x04\x00\x57" RECORD)}},
	{.word = "tls-2", .parts = {SAY(0, "\x16\x04\x01\x00\x57" RECORD)}},
	{.word = "too-long", .parts = {SAY(0, "\x16\x03\x01\x40\x00" RECORD)}},
};
#define SPEECH_CONNECT (&speeches[0])
#define SPEECH_UDP     (&speeches[1])
#define SPEECH_PING    (&speeches[2])

static const struct speech *speech_parse(const char *word)
{
	for (size_t i = 0; i < sizeof(speeches) / sizeof(speeches[0]); i++)
		if (strcmp(speeches[i].word, word) == 0)
			return &speeches[i];
	die("cannot speak '%s'", word);
}

enum outcome {
	PENDING,
	ANSWER,
	CONNECTED,
	SILENT,
	CLOSED,
	CUT,
	RESET,
	TIMEOUT,
	UNREACHABLE,
	OUTCOME_COUNT,
};

static const char *const outcome_names[OUTCOME_COUNT] = {
	"pending", "answer", "connected", "silent", "closed", "cut", "reset", "timeout", "unreachable"};

struct connection {
	int descriptor;
	const struct speech *speech;
	bool established;
	enum outcome outcome;
	int patience_ms; /* from the last part that was said */
	int64_t deadline;
	int said;	 /* parts of the speech */
	int first_heard; /* the first byte of all that was heard; -1: nothing yet */
	int64_t next_ms; /* when the next part is due */
};

static enum outcome outcome_of_error(int error, bool established)
{
	switch (error) {
	case ECONNREFUSED:
		return RESET;
	case ECONNRESET:
	case EPIPE:
		return established ? CUT : RESET;
	case ETIMEDOUT:
		return TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EACCES:
	case EPERM:
	case ENOPROTOOPT:
	case EADDRNOTAVAIL:
		return UNREACHABLE;
	default:
		die("unexpected error: %s", strerror(error));
	}
}

static void connection_settle(struct connection *connection, enum outcome outcome)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	connection->outcome = outcome;
	/* No connection may linger in a state that a later probe could meet. */
	setsockopt(connection->descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(connection->descriptor);
	connection->descriptor = -1;
}

/* `from` is NS or NS@SOURCE. Never blocks; failures at once settle the connection. */
static void connection_start(struct connection *connection, const char *from, const char *address, const char *port,
	const struct speech *speech, int timeout_ms)
{
	struct sockaddr_storage target, source;
	char namespace_name[64];
	const char *at = strchr(from, '@');
	socklen_t length;

	snprintf(namespace_name, sizeof(namespace_name), "%.*s", at ? (int)(at - from) : (int)strlen(from), from);
	enter(namespace_name);
	length = address_parse(address, port, &target);
	connection->descriptor = socket(
		target.ss_family, (speech == SPEECH_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connection->descriptor < 0)
		die("socket: %m");
	*connection = (struct connection){.descriptor = connection->descriptor,
		.speech = speech,
		.outcome = PENDING,
		.first_heard = -1,
		.patience_ms = timeout_ms,
		.deadline = now_ms() + timeout_ms};
	if (at) {
		socklen_t source_length = address_parse(at + 1, NULL, &source);

		if (bind(connection->descriptor, (struct sockaddr *)&source, source_length) < 0)
			die("cannot speak from %s in %s: %m", at + 1, namespace_name);
	}
	if (speech->on_syn) {
		const struct part *part = &speech->parts[connection->said++];
		ssize_t sent = sendto(connection->descriptor, part->bytes, part->length, MSG_FASTOPEN,
			(struct sockaddr *)&target, length);

		if (sent < 0)
			connection_settle(connection, errno == EINPROGRESS ? SILENT : outcome_of_error(errno, false));
	} else if (connect(connection->descriptor, (struct sockaddr *)&target, length) < 0 && errno != EINPROGRESS) {
		connection_settle(connection, outcome_of_error(errno, false));
	}
}

/* Says the next part of the speech. */
static void connection_say(struct connection *connection)
{
	const struct speech *speech = connection->speech;
	const struct part *part = &speech->parts[connection->said++];
	bool last = connection->said == PARTS || speech->parts[connection->said].length == 0;
	int on = 1;

	/* A corked segment waits, and is sent together with the end. */
	if (last && speech->fin)
		setsockopt(connection->descriptor, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
	if (send(connection->descriptor, part->bytes, part->length, MSG_NOSIGNAL) < 0) {
		connection_settle(connection, outcome_of_error(errno, true));
		return;
	}
	if (last && speech->fin)
		shutdown(connection->descriptor, SHUT_WR);
}

/* When the next part is due; INT64_MAX where all is said. */
static int64_t connection_next(const struct connection *connection)
{
	if (!connection->established || connection->said == PARTS ||
		connection->speech->parts[connection->said].length == 0)
		return INT64_MAX;
	return connection->next_ms;
}

/* When the next part is due, and how long to wait after it. */
static void connection_pause(struct connection *connection)
{
	connection->next_ms = now_ms();
	if (connection->said < PARTS)
		connection->next_ms += connection->speech->parts[connection->said].pause_ms;
	connection->deadline = connection->next_ms + connection->patience_ms;
}

static void connection_go_on(struct connection *connection)
{
	while (connection->outcome == PENDING && connection_next(connection) <= now_ms()) {
		connection_say(connection);
		connection_pause(connection);
	}
}

static void connection_established(struct connection *connection)
{
	connection->established = true;
	if (connection->speech == SPEECH_CONNECT) {
		connection_settle(connection, CONNECTED);
		return;
	}
	connection_pause(connection);
	connection_go_on(connection);
}

/* Did the server take data with the SYN? */
static bool connection_fast(const struct connection *connection)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	getsockopt(connection->descriptor, IPPROTO_TCP, TCP_INFO, &info, &size);
	return info.tcpi_options & TCPI_OPT_SYN_DATA;
}

static void connection_event(struct connection *connection)
{
	unsigned char buffer[512];
	ssize_t length;
	bool right;

	if (!connection->established) {
		int error = 0;
		socklen_t size = sizeof(error);

		getsockopt(connection->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
		if (error)
			connection_settle(connection, outcome_of_error(error, false));
		else
			connection_established(connection);
		return;
	}
	length = recv(connection->descriptor, buffer, sizeof(buffer), MSG_DONTWAIT);
	if (length > 0 && connection->first_heard < 0)
		connection->first_heard = buffer[0];
	/* An answer counts when all is said. */
	if (length > 0 && connection_next(connection) != INT64_MAX)
		return;
	if (length < 0) {
		if (errno != EAGAIN)
			connection_settle(connection, outcome_of_error(errno, connection->speech != SPEECH_UDP));
	} else if (length == 0) {
		connection_settle(connection, CLOSED);
	} else {
		right = !connection->speech->tls || connection->first_heard == 0x16 || connection->first_heard == 0x15;
		if (connection->speech->on_syn && !connection_fast(connection))
			right = false;
		connection_settle(connection, right ? ANSWER : SILENT);
	}
}

static void connection_expire(struct connection *connection)
{
	bool heard = connection->established && connection->speech != SPEECH_UDP;

	connection_settle(connection, heard ? SILENT : TIMEOUT);
}

/* One round: waits for events until `until` at the latest, handles them. Returns how many are still pending. */
static int connections_round(struct connection *connections, int count, int64_t until)
{
	static struct pollfd polled[MAX_CONNECTIONS];
	static int index_of[MAX_CONNECTIONS];
	int pending = 0;
	int64_t now = now_ms();
	int64_t wake = until;

	for (int i = 0; i < count; i++) {
		if (connections[i].outcome != PENDING)
			continue;
		if (connections[i].deadline < wake)
			wake = connections[i].deadline;
		if (connection_next(&connections[i]) < wake)
			wake = connection_next(&connections[i]);
		polled[pending].fd = connections[i].descriptor;
		polled[pending].events = connections[i].established ? POLLIN : POLLOUT;
		polled[pending].revents = 0;
		index_of[pending++] = i;
	}
	if (poll(polled, (nfds_t)pending, wake > now ? (int)(wake - now) : 0) < 0 && errno != EINTR)
		die("poll: %m");
	now = now_ms();
	for (int i = 0; i < pending; i++) {
		struct connection *connection = &connections[index_of[i]];

		if (polled[i].revents)
			connection_event(connection);
		connection_go_on(connection);
		if (connection->outcome == PENDING && connection->deadline <= now)
			connection_expire(connection);
	}
	pending = 0;
	for (int i = 0; i < count; i++)
		pending += connections[i].outcome == PENDING;
	return pending;
}

/* Is the outcome among the words of `expected`? */
static bool outcome_expected(enum outcome outcome, const struct speech *speech, const char expected[EXPECTED_LENGTH])
{
	char words[EXPECTED_LENGTH], *rest = words, *word;

	memcpy(words, expected, sizeof(words));
	while ((word = strsep(&rest, "|"))) {
		if (strcmp(word, "passes") == 0) {
			if (outcome == (speech == SPEECH_CONNECT ? CONNECTED : ANSWER))
				return true;
		} else if (strcmp(word, "refused") == 0) {
			if (outcome == TIMEOUT || outcome == RESET || outcome == UNREACHABLE)
				return true;
		} else {
			int known = 1;

			while (known < OUTCOME_COUNT && strcmp(word, outcome_names[known]) != 0)
				known++;
			if (known == OUTCOME_COUNT)
				die("cannot expect '%s'", word);
			if (outcome == (enum outcome)known)
				return true;
		}
	}
	return false;
}

static int run_matrix(void)
{
	static struct connection connections[MAX_CONNECTIONS];
	static char *lines[MAX_CONNECTIONS];
	static char expected[MAX_CONNECTIONS][EXPECTED_LENGTH];
	char *line = NULL;
	size_t capacity = 0;
	int count = 0, wrong = 0;

	while (getline(&line, &capacity, stdin) > 0) {
		char from[64], address[64], port[16], speak[16], rest[8] = "";
		int patience = PATIENCE_MS;
		int fields;

		line[strcspn(line, "#\n")] = '\0';
		if (line[strspn(line, " \t")] == '\0')
			continue;
		if (count == MAX_CONNECTIONS)
			die("more than %d probes", MAX_CONNECTIONS);
		fields =
			sscanf(line, "%63s %63s %15s %15s %63s %7s", from, address, port, speak, expected[count], rest);
		if (fields != 5)
			die("not a probe: %s", line);
		if (strstr(expected[count], "refused") || strstr(expected[count], "timeout") ||
			strstr(expected[count], "silent"))
			patience = REFUSAL_MS;
		else if (strcmp(expected[count], "cut") == 0)
			patience = CUT_MS;
		lines[count] = strdup(line + strspn(line, " \t"));
		connection_start(&connections[count], from, address, port, speech_parse(speak), patience);
		count++;
	}
	free(line);
	if (count == 0)
		die("no probes");
	while (connections_round(connections, count, now_ms() + PATIENCE_MS) > 0)
		continue;
	for (int i = 0; i < count; i++) {
		if (!outcome_expected(connections[i].outcome, connections[i].speech, expected[i])) {
			printf("%s: expected %s, seen %s\n", lines[i], expected[i],
				outcome_names[connections[i].outcome]);
			wrong++;
		}
		free(lines[i]);
	}
	return wrong ? 1 : 0;
}

struct session {
	char name[32];
	char word[32]; /* what was asked last */
	int descriptor;
};

/* Sends a word that was never sent before and waits until it comes back: an old answer cannot be taken for a new one.
 * In two halves, so that many can be asked before the first is heard. Returns PENDING or why it could not be sent. */
static enum outcome session_ask(struct session *session)
{
	static unsigned int serial;
	char request[64];

	/* The full stop keeps w1 from being found in w12. */
	snprintf(session->word, sizeof(session->word), "w%u-%u.", (unsigned int)getpid(), ++serial);
	snprintf(request, sizeof(request), "ECHO %s\r\n", session->word);
	if (send(session->descriptor, request, strlen(request), MSG_NOSIGNAL) < 0)
		return outcome_of_error(errno, true);
	return PENDING;
}

static enum outcome session_hear(const struct session *session, int64_t deadline)
{
	static char heard[65536];
	size_t length = 0;

	for (;;) {
		struct pollfd polled = {.fd = session->descriptor, .events = POLLIN};
		int64_t left = deadline - now_ms();
		ssize_t got;

		if (poll(&polled, 1, left > 0 ? (int)left : 0) <= 0) {
			if (left <= 0)
				return TIMEOUT;
			continue;
		}
		got = recv(session->descriptor, heard + length, sizeof(heard) - 1 - length, 0);
		if (got < 0) {
			if (errno == EAGAIN || errno == EINTR)
				continue;
			return outcome_of_error(errno, true);
		}
		if (got == 0)
			return CLOSED;
		length += (size_t)got;
		heard[length] = '\0';
		if (strstr(heard, session->word))
			return ANSWER;
		if (length == sizeof(heard) - 1)
			length = 0;
	}
}

/* The outcomes of all that `names` names, asked at once, in one line. */
static void sessions_ping(struct session *sessions, int count, int timeout_ms, char *names)
{
	enum outcome outcomes[MAX_SESSIONS];
	struct session *asked[MAX_SESSIONS];
	int64_t deadline = now_ms() + timeout_ms;
	int asked_count = 0;
	char *name;

	while ((name = strsep(&names, " \n"))) {
		int found = 0;

		if (*name == '\0')
			continue;
		while (found < count && strcmp(sessions[found].name, name) != 0)
			found++;
		if (found == count || asked_count == MAX_SESSIONS)
			die("no such session: %s", name);
		asked[asked_count] = &sessions[found];
		outcomes[asked_count++] = session_ask(&sessions[found]);
	}
	for (int i = 0; i < asked_count; i++) {
		if (outcomes[i] == PENDING)
			outcomes[i] = session_hear(asked[i], deadline);
		printf("%s%s", i ? " " : "", outcome_names[outcomes[i]]);
	}
	putchar('\n');
}

/* Says the first part of a speech and waits for any answer. */
static enum outcome session_say(struct session *sessions, int count, int timeout_ms, const char *word, const char *name)
{
	const struct part *part = &speech_parse(word)->parts[0];
	struct pollfd polled = {.events = POLLIN};
	static char heard[65536];
	ssize_t got;
	int found = 0;

	while (found < count && strcmp(sessions[found].name, name) != 0)
		found++;
	if (found == count)
		die("no such session: %s", name);
	polled.fd = sessions[found].descriptor;
	if (send(polled.fd, part->bytes, part->length, MSG_NOSIGNAL) < 0)
		return outcome_of_error(errno, true);
	if (poll(&polled, 1, timeout_ms) == 0)
		return TIMEOUT;
	got = recv(polled.fd, heard, sizeof(heard), 0);
	if (got < 0)
		return outcome_of_error(errno, true);
	return got == 0 ? CLOSED : ANSWER;
}

static int run_session(void)
{
	static struct session sessions[MAX_SESSIONS];
	char *line = NULL;
	size_t capacity = 0;
	int count = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (getline(&line, &capacity, stdin) > 0) {
		char verb[16], name[32], from[64], address[64], port[16];
		int milliseconds = 0, found = 0;
		int fields =
			sscanf(line, "%15s %31s %63s %63s %15s %d", verb, name, from, address, port, &milliseconds);

		if (fields == 4 && strcmp(verb, "say") == 0) {
			puts(outcome_names[session_say(sessions, count, atoi(name), from, address)]);
			continue;
		}
		while (fields >= 2 && found < count && strcmp(sessions[found].name, name) != 0)
			found++;
		if (fields == 6 && strcmp(verb, "open") == 0) {
			struct connection connection;

			if (count == MAX_SESSIONS || found < count)
				die("too many sessions, or one opened twice: %s", name);
			connection_start(&connection, from, address, port, SPEECH_PING, milliseconds);
			/* As connections_round(), but the connection stays. */
			while (connection.outcome == PENDING && !connection.established) {
				struct pollfd polled = {.fd = connection.descriptor, .events = POLLOUT};
				int64_t left = connection.deadline - now_ms();
				int error = 0;
				socklen_t size = sizeof(error);

				if (left <= 0) {
					connection_settle(&connection, TIMEOUT);
					break;
				}
				if (poll(&polled, 1, (int)left) <= 0)
					continue;
				getsockopt(connection.descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
				if (error)
					connection_settle(&connection, outcome_of_error(error, false));
				else
					connection.established = true;
			}
			if (connection.established) {
				snprintf(sessions[count].name, sizeof(sessions[count].name), "%s", name);
				sessions[count++].descriptor = connection.descriptor;
				puts("connected");
			} else {
				puts(outcome_names[connection.outcome]);
			}
		} else if (fields >= 3 && strcmp(verb, "ping") == 0) {
			char *rest = line;

			strsep(&rest, " ");
			strsep(&rest, " ");
			sessions_ping(sessions, count, atoi(name), rest);
		} else if (fields == 2 && strcmp(verb, "close") == 0) {
			if (found < count) {
				close(sessions[found].descriptor);
				sessions[found] = sessions[--count];
			}
			puts("gone");
		} else {
			die("not a command: %s", line);
		}
	}
	free(line);
	return 0;
}

static int run_storm(int interval_ms, char **targets, int target_count)
{
	static struct connection connections[MAX_CONNECTIONS];
	static int target_of[MAX_CONNECTIONS];
	static unsigned long tally[MAX_TARGETS][OUTCOME_COUNT], tried[MAX_TARGETS];
	char from[MAX_TARGETS][64], address[MAX_TARGETS][64], port[MAX_TARGETS][16];
	int count = 0;
	int64_t next = now_ms();
	bool more = true;

	if (target_count > MAX_TARGETS)
		die("more than %d targets", MAX_TARGETS);
	for (int i = 0; i < target_count; i++) {
		if (sscanf(targets[i], "%63[^,],%63[^,],%15s", from[i], address[i], port[i]) != 3)
			die("not a target: %s", targets[i]);
	}
	while (more || count > 0) {
		int kept = 0;
		struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

		for (int i = 0; more && now_ms() >= next && i < target_count && count < MAX_CONNECTIONS; i++) {
			target_of[count] = i;
			tried[i]++;
			connection_start(
				&connections[count++], from[i], address[i], port[i], SPEECH_CONNECT, STORM_LIFE_MS);
			if (i == target_count - 1)
				next = now_ms() + interval_ms;
		}
		connections_round(connections, count, more ? next : now_ms() + STORM_LIFE_MS);
		for (int i = 0; i < count; i++) {
			if (connections[i].outcome != PENDING) {
				tally[target_of[i]][connections[i].outcome]++;
				continue;
			}
			connections[kept] = connections[i];
			target_of[kept++] = target_of[i];
		}
		count = kept;
		if (poll(&input, 1, 0) > 0)
			more = false;
	}
	for (int i = 0; i < target_count; i++)
		printf("%s tried %lu connected %lu reset %lu timeout %lu\n", targets[i], tried[i], tally[i][CONNECTED],
			tally[i][RESET], tally[i][TIMEOUT] + tally[i][UNREACHABLE]);
	return 0;
}

static void __attribute__((noreturn))
run_serve(const char *namespace_name, const char *protocol, const char *address, const char *port, bool defer)
{
	static struct pollfd polled[MAX_CONNECTIONS];
	bool stream = strcmp(protocol, "tcp") == 0;
	struct sockaddr_storage local;
	socklen_t length = address_parse(address, port, &local);
	int on = 1, off = 0, listener;
	nfds_t count = 1;
	char buffer[4096];

	enter(namespace_name);
	listener = socket(local.ss_family, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	if (listener < 0)
		die("socket: %m");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (defer)
		setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof(on));
	if (local.ss_family == AF_INET6)
		setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(listener, (struct sockaddr *)&local, length) < 0 || (stream && listen(listener, 1024) < 0))
		die("cannot serve %s %s %s in %s: %m", protocol, address, port, namespace_name);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	polled[0] = (struct pollfd){.fd = listener, .events = POLLIN};
	for (;;) {
		if (poll(polled, count, -1) < 0)
			continue;
		for (nfds_t i = count; i-- > 1;) {
			ssize_t got;

			if (!polled[i].revents)
				continue;
			got = recv(polled[i].fd, buffer, sizeof(buffer), MSG_DONTWAIT);
			if (got > 0)
				printf("heard %zd bytes, the first 0x%02x\n", got, (unsigned char)buffer[0]);
			if (got > 0 && send(polled[i].fd, buffer, (size_t)got, MSG_NOSIGNAL) == got)
				continue;
			if (got < 0 && errno == EAGAIN)
				continue;
			close(polled[i].fd);
			polled[i] = polled[--count];
		}
		if (polled[0].revents && stream) {
			int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

			if (accepted >= 0 && count < MAX_CONNECTIONS)
				polled[count++] = (struct pollfd){.fd = accepted, .events = POLLIN};
			else if (accepted >= 0)
				close(accepted);
		} else if (polled[0].revents) {
			struct sockaddr_storage peer;
			socklen_t peer_length = sizeof(peer);
			ssize_t got = recvfrom(
				listener, buffer, sizeof(buffer), MSG_DONTWAIT, (struct sockaddr *)&peer, &peer_length);

			if (got >= 0)
				sendto(listener, buffer, (size_t)got, 0, (struct sockaddr *)&peer, peer_length);
		}
	}
}

static uint16_t internet_checksum(const void *bytes, size_t length, uint32_t sum)
{
	const uint8_t *byte = bytes;

	for (size_t i = 0; i + 1 < length; i += 2)
		sum += (uint32_t)byte[i] << 8 | byte[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static int run_raw(const char *namespace_name, const char *source, const char *address, const char *port,
	const char *flags, int count)
{
	struct sockaddr_storage from, to;
	struct sockaddr_in *from4 = (struct sockaddr_in *)&from, *to4 = (struct sockaddr_in *)&to;
	struct tcphdr segment = {0};
	uint32_t sum, a, b;
	int descriptor;

	address_parse(source, NULL, &from);
	address_parse(address, port, &to);
	if (from.ss_family != AF_INET || to.ss_family != AF_INET)
		die("raw knows IPv4 only");
	enter(namespace_name);
	descriptor = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	if (descriptor < 0)
		die("raw socket: %m");
	segment.source = htons((uint16_t)(20000 + getpid() % 10000));
	segment.dest = to4->sin_port;
	segment.seq = htonl(1);
	segment.doff = 5;
	segment.window = htons(1024);
	((uint8_t *)&segment)[13] = (uint8_t)strtoul(flags, NULL, 0);
	a = ntohl(from4->sin_addr.s_addr);
	b = ntohl(to4->sin_addr.s_addr);
	sum = (a >> 16) + (a & 0xffff) + (b >> 16) + (b & 0xffff) + IPPROTO_TCP + sizeof(segment);
	segment.check = internet_checksum(&segment, sizeof(segment), sum);
	to4->sin_port = 0;
	if (bind(descriptor, (struct sockaddr *)from4, sizeof(*from4)) < 0)
		die("cannot speak from %s: %m", source);
	for (int i = 0; i < count; i++)
		if (sendto(descriptor, &segment, sizeof(segment), 0, (struct sockaddr *)to4, sizeof(*to4)) < 0)
			die("cannot send: %m");
	return 0;
}

static int tun_open(const char *namespace_name, const char *device)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int descriptor;

	enter(namespace_name);
	descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (descriptor < 0)
		die("/dev/net/tun: %m");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	if (ioctl(descriptor, TUNSETIFF, &request) < 0)
		die("cannot make %s in %s: %m", device, namespace_name);
	return descriptor;
}

static void __attribute__((noreturn)) run_cable(char **ends)
{
	static char frame[65536];
	struct pollfd polled[2] = {{.fd = tun_open(ends[0], ends[1]), .events = POLLIN},
		{.fd = tun_open(ends[2], ends[3]), .events = POLLIN}};

	puts("ready");
	fflush(stdout);
	for (;;) {
		if (poll(polled, 2, -1) < 0)
			continue;
		for (int i = 0; i < 2; i++) {
			ssize_t got = polled[i].revents ? read(polled[i].fd, frame, sizeof(frame)) : 0;

			/* A frame that the other end cannot take is lost, as on a real cable. */
			if (got > 0 && write(polled[1 - i].fd, frame, (size_t)got) < 0)
				continue;
		}
	}
}

static void __attribute__((noreturn)) run_hear(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char datagram[8192];

	if (strlen(path) >= sizeof(address.sun_path))
		die("%s is too long", path);
	memcpy(address.sun_path, path, strlen(path));
	if (bind(descriptor, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("%s: %m", path);
	puts("ready");
	for (;;) {
		ssize_t got;

		fflush(stdout);
		got = recv(descriptor, datagram, sizeof(datagram), 0);
		if (got > 0)
			fwrite(datagram, 1, (size_t)got, stdout);
		if (got > 0 && datagram[got - 1] != '\n')
			putchar('\n');
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	large_hello_make();
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	home_namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home_namespace < 0)
		die("/proc/self/ns/net: %m");
	if (argc == 2 && strcmp(argv[1], "matrix") == 0)
		return run_matrix();
	if (argc == 2 && strcmp(argv[1], "session") == 0)
		return run_session();
	if (argc >= 4 && strcmp(argv[1], "storm") == 0)
		return run_storm(atoi(argv[2]), argv + 3, argc - 3);
	if ((argc == 6 || (argc == 7 && strcmp(argv[6], "defer") == 0)) && strcmp(argv[1], "serve") == 0)
		run_serve(argv[2], argv[3], argv[4], argv[5], argc == 7);
	if ((argc == 7 || argc == 8) && strcmp(argv[1], "raw") == 0)
		return run_raw(argv[2], argv[3], argv[4], argv[5], argv[6], argc == 8 ? atoi(argv[7]) : 1);
	if (argc == 6 && strcmp(argv[1], "cable") == 0)
		run_cable(argv + 2);
	if (argc == 3 && strcmp(argv[1], "hear") == 0)
		run_hear(argv[2]);
	die("usage: netprobe matrix | session | storm MS TARGET... | serve NS tcp|udp ADDRESS PORT [defer] |\n"
	    "       raw NS SOURCE ADDRESS PORT FLAGS [COUNT] | cable NS DEVICE NS DEVICE |\n"
	    "       hear PATH");
}
