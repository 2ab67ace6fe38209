/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * segments: a TCP client that does what no real one can be asked for: it sends one segment after the other as told.
 *
 *   segments NS SOURCE ADDRESS PORT STEP...
 *   segments spray NS SOURCE COUNT ADDRESS PORT   a SYN from each of so many addresses, from SOURCE on (IPv4)
 *
 * STEP is one of:
 * syn              a SYN; the same one each time
 * syn-hello        the same with the first 100 bytes of a ClientHello
 * accept           waits for the SYN-ACK
 * ack              an ACK without data, that of the handshake for example
 * hello FROM TO    these bytes of a ClientHello that is 3000 bytes long
 * text FROM TEXT   a plaintext that begins at this byte
 * forged FROM TEXT the same, with a wrong checksum
 * keepalive        an ACK for the byte before the first
 * garbage          the same with one byte in it, as some systems do
 * old-ack N        an ACK with the number of N bytes before the first
 * old-hello N      the first 100 bytes of a ClientHello, N bytes before the first byte
 * fin              the end, before the first byte
 * flags NUMBER     one segment with these flags, such as 0x03 for SYN|FIN
 * answer COUNT     waits until so many bytes have come back
 * reset            waits for a reset
 * silence MS       nothing but ACKs may come for so long
 *
 * Exit 1 where something else came than was waited for. The kernel of NS must be kept from answering for us: it knows
 * nothing of our connections. See own_segments() in tls.sh, which knows ours by their mark.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PORT   20000 /* ours are these and the next 10,000 */
#define MARK	     0x5e9
#define HELLO_LENGTH 3000
#define PATIENCE_MS  4000
#define WINDOW	     60000

static int descriptor = -1;
static struct sockaddr_storage local, remote;
static socklen_t address_length;
static uint16_t local_port, remote_port;
static uint32_t first, next_expected; /* our first byte's number; the number of the next byte of theirs */
static bool accepted, was_reset, other;
static size_t answered;
static unsigned char hello[HELLO_LENGTH] = {0x16, 0x03, 0x01, (HELLO_LENGTH - 5) >> 8, (HELLO_LENGTH - 5) & 0xff, 0x01,
	0x00, (HELLO_LENGTH - 9) >> 8, (HELLO_LENGTH - 9) & 0xff, 0x03, 0x03};

static void __attribute__((noreturn, format(printf, 2, 3))) die(int status, const char *format, ...)
{
	va_list arguments;

	fputs("segments: ", stdout);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	exit(status);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void enter(const char *name)
{
	char path[PATH_MAX];
	int file;

	if (strcmp(name, "host") == 0)
		return;
	snprintf(path, sizeof(path), "/run/netns/%s", name);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0 || setns(file, CLONE_NEWNET) < 0)
		die(2, "cannot enter %s: %s", path, strerror(errno));
	close(file);
}

/* Only numbers, never a resolver. The port of a raw socket's address must be 0. */
static void address_parse(const char *text, struct sockaddr_storage *storage)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
	struct addrinfo *found;

	if (getaddrinfo(text, NULL, &hints, &found) != 0)
		die(2, "not an address: %s", text);
	memcpy(storage, found->ai_addr, found->ai_addrlen);
	address_length = found->ai_addrlen;
	freeaddrinfo(found);
}

static uint32_t checksum_add(uint32_t sum, const void *bytes, size_t length)
{
	const uint8_t *byte = bytes;

	for (size_t i = 0; i < length; i++)
		sum += i % 2 ? byte[i] : (uint32_t)byte[i] << 8;
	return sum;
}

static uint32_t checksum_add_address(uint32_t sum, const struct sockaddr_storage *storage)
{
	if (storage->ss_family == AF_INET)
		return checksum_add(sum, &((const struct sockaddr_in *)storage)->sin_addr, 4);
	return checksum_add(sum, &((const struct sockaddr_in6 *)storage)->sin6_addr, 16);
}

static uint16_t checksum_end(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void send_segment(uint8_t flags, uint32_t sequence, const void *data, size_t length, bool forged)
{
	unsigned char segment[sizeof(struct tcphdr) + HELLO_LENGTH] = {0};
	struct tcphdr *header = (struct tcphdr *)segment;
	size_t total = sizeof(*header) + length;
	uint32_t sum = IPPROTO_TCP + (uint32_t)total;

	header->source = htons(local_port);
	header->dest = htons(remote_port);
	header->seq = htonl(sequence);
	header->ack_seq = htonl(flags & TH_ACK ? next_expected : 0);
	header->doff = sizeof(*header) / 4;
	header->th_flags = flags;
	header->window = htons(WINDOW);
	if (length > 0)
		memcpy(segment + sizeof(*header), data, length);
	sum = checksum_add_address(sum, &local);
	sum = checksum_add_address(sum, &remote);
	sum = checksum_add(sum, segment, total);
	header->check = checksum_end(sum) ^ (forged ? 1 : 0);
	if (sendto(descriptor, segment, total, 0, (struct sockaddr *)&remote, address_length) < 0)
		die(2, "cannot send: %s", strerror(errno));
}

/* Waits for one segment of the connection, until `deadline`. False: none came. */
static bool receive(int64_t deadline)
{
	static unsigned char packet[65536];
	struct pollfd polled = {.fd = descriptor, .events = POLLIN};
	const struct tcphdr *header;
	size_t skipped = 0, length;
	ssize_t got;
	int64_t left = deadline - now_ms();

	if (left <= 0 || poll(&polled, 1, (int)left) <= 0)
		return false;
	got = recv(descriptor, packet, sizeof(packet), MSG_DONTWAIT);
	/* Only for IPv4 the packet begins with its own header. */
	if (remote.ss_family == AF_INET)
		skipped = (size_t)((struct iphdr *)packet)->ihl * 4;
	if (got < (ssize_t)(skipped + sizeof(*header)))
		return true;
	header = (const struct tcphdr *)(packet + skipped);
	if (header->source != htons(remote_port) || header->dest != htons(local_port))
		return true;
	length = (size_t)got - skipped - header->doff * 4;
	if (header->th_flags & TH_RST) {
		was_reset = true;
	} else if (header->th_flags & TH_SYN) {
		next_expected = ntohl(header->seq) + 1;
		accepted = true;
	} else if (length > 0 && ntohl(header->seq) == next_expected) {
		next_expected += (uint32_t)length;
		answered += length;
		send_segment(TH_ACK, first + HELLO_LENGTH, NULL, 0, false);
	} else if (header->th_flags & TH_FIN) {
		other = true;
	}
	return true;
}

static size_t number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);

	if (*text == '\0' || *end != '\0' || value > 100000)
		die(2, "not a number: %s", text);
	return value;
}

/* Performs the step that `step` begins with; returns how many words it has. */
static int perform(char **step, int count)
{
	const char *verb = step[0];
	int64_t deadline = now_ms() + PATIENCE_MS;
	int words = 1;

	if (strcmp(verb, "syn") == 0) {
		send_segment(TH_SYN, first - 1, NULL, 0, false);
	} else if (strcmp(verb, "syn-hello") == 0) {
		send_segment(TH_SYN, first - 1, hello, 100, false);
	} else if (strcmp(verb, "accept") == 0) {
		while (!accepted && !was_reset)
			if (!receive(deadline))
				break;
		if (!accepted)
			die(1, "no SYN-ACK came%s", was_reset ? ", but a reset" : "");
	} else if (strcmp(verb, "ack") == 0) {
		send_segment(TH_ACK, first, NULL, 0, false);
	} else if (strcmp(verb, "keepalive") == 0) {
		send_segment(TH_ACK, first - 1, NULL, 0, false);
	} else if (strcmp(verb, "garbage") == 0) {
		send_segment(TH_ACK, first - 1, "", 1, false);
	} else if (strcmp(verb, "fin") == 0) {
		send_segment(TH_ACK | TH_FIN, first, NULL, 0, false);
	} else if (strcmp(verb, "reset") == 0) {
		while (!was_reset)
			if (!receive(deadline))
				die(1, "no reset came; %zu bytes did", answered);
	} else if (count >= 2 && strcmp(verb, "old-ack") == 0) {
		send_segment(TH_ACK, first - (uint32_t)number(step[1]), NULL, 0, false);
		words = 2;
	} else if (count >= 2 && strcmp(verb, "old-hello") == 0) {
		send_segment(TH_ACK | TH_PUSH, first - (uint32_t)number(step[1]), hello, 100, false);
		words = 2;
	} else if (count >= 2 && strcmp(verb, "flags") == 0) {
		send_segment((uint8_t)number(step[1]), first - 1, NULL, 0, false);
		words = 2;
	} else if (count >= 2 && strcmp(verb, "answer") == 0) {
		while (answered < number(step[1]))
			if (was_reset || other || !receive(deadline))
				die(1, "%s bytes should have come back, %zu did%s", step[1], answered,
					was_reset ? ", and a reset" : "");
		words = 2;
	} else if (count >= 2 && strcmp(verb, "silence") == 0) {
		size_t before = answered;

		deadline = now_ms() + (int64_t)number(step[1]);
		while (receive(deadline))
			if (was_reset || answered > before)
				die(1, "silence was broken by %s", was_reset ? "a reset" : "data");
		words = 2;
	} else if (count >= 3 && strcmp(verb, "hello") == 0) {
		size_t from = number(step[1]), to = number(step[2]);

		if (from >= to || to > HELLO_LENGTH)
			die(2, "not a part of the ClientHello: %s to %s", step[1], step[2]);
		send_segment(TH_ACK | TH_PUSH, first + (uint32_t)from, hello + from, to - from, false);
		words = 3;
	} else if (count >= 3 && (strcmp(verb, "text") == 0 || strcmp(verb, "forged") == 0)) {
		send_segment(
			TH_ACK | TH_PUSH, first + (uint32_t)number(step[1]), step[2], strlen(step[2]), *verb == 'f');
		words = 3;
	} else {
		die(2, "not a step: %s", verb);
	}
	return words;
}

static int spray(const char *source, size_t count, const char *address, const char *port)
{
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
	} packet = {.ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP}};
	uint32_t sum, from;

	address_parse(source, &local);
	address_parse(address, &remote);
	if (local.ss_family != AF_INET || remote.ss_family != AF_INET)
		die(2, "spray knows IPv4 only");
	from = ntohl(((struct sockaddr_in *)&local)->sin_addr.s_addr);
	packet.ip.daddr = ((struct sockaddr_in *)&remote)->sin_addr.s_addr;
	packet.ip.tot_len = htons(sizeof(packet));
	packet.tcp.dest = htons((uint16_t)number(port));
	packet.tcp.doff = sizeof(packet.tcp) / 4;
	packet.tcp.th_flags = TH_SYN;
	packet.tcp.window = htons(WINDOW);
	/* With IPPROTO_RAW the header is ours; the kernel fills in its checksum. */
	descriptor = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (descriptor < 0)
		die(2, "raw socket: %s", strerror(errno));
	for (size_t i = 0; i < count; i++) {
		packet.ip.saddr = htonl(from + (uint32_t)i);
		packet.tcp.source = htons((uint16_t)(FIRST_PORT + i % 10000));
		packet.tcp.seq = htonl((uint32_t)i * 100000);
		packet.tcp.check = 0;
		sum = IPPROTO_TCP + sizeof(packet.tcp);
		sum = checksum_add(sum, &packet.ip.saddr, 8);
		packet.tcp.check = checksum_end(checksum_add(sum, &packet.tcp, sizeof(packet.tcp)));
		/* What the line does not take is lost. */
		if (sendto(descriptor, &packet, sizeof(packet), 0, (struct sockaddr *)&remote, address_length) < 0 &&
			errno != ENOBUFS)
			die(2, "cannot send: %s", strerror(errno));
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint32_t mark = MARK;

	if (argc == 7 && strcmp(argv[1], "spray") == 0) {
		enter(argv[2]);
		return spray(argv[3], number(argv[4]), argv[5], argv[6]);
	}
	if (argc < 6)
		die(2, "usage: segments NS SOURCE ADDRESS PORT STEP...");
	enter(argv[1]);
	address_parse(argv[2], &local);
	address_parse(argv[3], &remote);
	remote_port = (uint16_t)number(argv[4]);
	local_port = (uint16_t)(FIRST_PORT + getpid() % 10000);
	if (getrandom(&first, sizeof(first), 0) != sizeof(first))
		die(2, "no random number");
	descriptor = socket(remote.ss_family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	if (descriptor < 0)
		die(2, "raw socket: %s", strerror(errno));
	if (setsockopt(descriptor, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0 ||
		bind(descriptor, (struct sockaddr *)&local, address_length) < 0)
		die(2, "cannot speak from %s: %s", argv[2], strerror(errno));
	for (int i = 5; i < argc;)
		i += perform(argv + i, argc - i);
	return 0;
}
