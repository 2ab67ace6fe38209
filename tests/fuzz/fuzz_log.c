/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Any bytes as what comes to the log: as a packet, and as a datagram of the kernel's. Nothing may crash, leak or take
 * long, and whatever came, what is shown is one line of printable ASCII. `fuzz_log --make-corpus DIR` writes packets
 * and datagrams.
 */

#include <errno.h>
#include <linux/netlink.h>

#include "logged.h"
#include "nft.h"
#include "replay.h"
#include "report.h"

/* --- a kernel that agrees to be asked, and then says what it is told --- */

struct script {
	const uint8_t *data;
	size_t size;
	uint32_t sequence; /* of the question, 0 = answered */
};

static ssize_t script_send(void *data, const void *bytes, size_t length)
{
	struct script *script = data;

	script->sequence = ((const struct nlmsghdr *)bytes)->nlmsg_seq;
	return (ssize_t)length;
}

static ssize_t script_receive(
	void *data, void *buffer, size_t size, bool wait _unused_, bool *truncated, bool *from_kernel)
{
	struct script *script = data;
	size_t length = script->size < size ? script->size : size;

	*truncated = false;
	*from_kernel = true;
	if (script->sequence) {
		struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

		mnl_nlmsg_put_extra_header(message, sizeof(struct nlmsgerr));
		message->nlmsg_type = NLMSG_ERROR;
		message->nlmsg_seq = script->sequence;
		script->sequence = 0;
		return message->nlmsg_len;
	}
	if (!script->data)
		return -EAGAIN;
	if (length)
		memcpy(buffer, script->data, length);
	script->data = NULL;
	return (ssize_t)length;
}

/* --- what is shown --- */

static void check_shown(const struct packet *packet, const char *reason, const char *interface, bool payload)
{
	for (unsigned int json = 0; json < 2; json++) {
		char *text = NULL;
		size_t length = 0;
		struct report_style style = {
			.stream = open_memstream(&text, &length), .verbose = true, .lines = true, .command = "log"};

		report_renderer(json ? "json" : "text")
			->refusal(&style, &(struct report_refusal){.time = 1,
						  .reason = reason,
						  .show_payload = payload,
						  .packet = packet,
						  .interface = interface});
		fclose(style.stream);
		require(length > 0 && text[length - 1] == '\n');
		for (size_t i = 0; i + 1 < length; i++)
			require(text[i] >= 0x20 && text[i] < 0x7f);
		free(text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Opened once, since that loads a library. */
	static struct script script;
	static struct nft_log *log;
	struct nft_log_event event;
	struct packet packet;
	struct err err = {0};
	int r;

	if (packet_parse(data, size, &packet) == 0) {
		require(packet.payload_length <= PACKET_PAYLOAD && packet.payload_length <= size);
		require(!packet.has_flags || packet.has_ports);
		require(!packet.payload_length || packet.has_flags);
		check_shown(&packet, "plaintext", NULL, true);
	}
	if (!log) {
		static const struct transport transport = {
			.send = script_send, .receive = script_receive, .data = &script};

		require(nft_log_open_transport(&transport, LOGGED_GROUP, &log, &err) == 0);
	}
	script = (struct script){.data = data, .size = size};
	while ((r = nft_log_next(log, &event, &err)) > 0) {
		require(event.ours || (!event.name[0] && !event.reason));
		require(memchr(event.name, '\0', sizeof(event.name)) != NULL);
		if (event.ours)
			check_shown(event.readable ? &event.packet : NULL, event.name,
				event.interface[0] ? event.interface : NULL, event.reason == REASON_PLAINTEXT);
	}
	require(r == 0);
	return 0;
}

#ifndef FUZZING_ENGINE
/* 10.66.0.10:51234 to 10.20.0.5:6379, with an option of IPv4, and a ping. */
static const uint8_t ping4[] =
	"\x46\0\0\x36\0\0\0\0\x40\x06\0\0\x0a\x42\0\x0a\x0a\x14\0\x05\x01\x01\x01\0\xc8\x22\x18\xeb"
	"\0\0\0\1\0\0\0\2\x50\x18\xff\xff\0\0\0\0PING\r\n\x1b[2J";
/* The same in IPv6, behind hop-by-hop and destination options. */
static const uint8_t ping6[] =
	"\x60\0\0\0\0\x2a\0\x40\x20\x01\x0d\xb8\0\x66\0\0\0\0\0\0\0\0\0\x10\x20\x01\x0d\xb8\0\x20\0\0"
	"\0\0\0\0\0\0\0\x05\x3c\0\1\4\0\0\0\0\6\0\1\4\0\0\0\0\xc8\x22\x18\xeb"
	"\0\0\0\1\0\0\0\2\x50\x18\xff\xff\0\0\0\0PING\r\n";

static int make_corpus(const char *directory)
{
	char buffer[4096] = {0};
	struct logged logged = {.prefix = "dflyguard plaintext", .interface = 1, .numbered = true};
	size_t used = 0;

	write_bytes(directory, "packet", 4, ping4, sizeof(ping4) - 1);
	write_bytes(directory, "packet", 6, ping6, sizeof(ping6) - 1);
	write_bytes(directory, "cut", 4, ping4, 37);
	write_bytes(directory, "cut", 6, ping6, 53);
	logged.payload = ping4;
	logged.payload_length = sizeof(ping4) - 1;
	used += logged_put(buffer + used, &logged);
	write_bytes(directory, "datagram", 1, buffer, used);
	logged.payload = ping6;
	logged.payload_length = sizeof(ping6) - 1;
	logged.prefix = "dflyguard \033[2J\a\n";
	logged.sequence = 1000;
	used += logged_put(buffer + used, &logged);
	logged.prefix = "dflyguard source";
	logged.prefix_open = true;
	logged.interface = 0xffffffff;
	logged.seconds = logged.microseconds = UINT64_MAX;
	used += logged_put(buffer + used, &logged);
	logged.payload_length = 3;
	logged.sequence = 3;
	logged.prefix = "somebody else";
	used += logged_put(buffer + used, &logged);
	write_bytes(directory, "datagram", 4, buffer, used);
	write_bytes(directory, "datagram-cut", 4, buffer, used - 7);
	return 0;
}

int main(int count, char **arguments)
{
	if (count == 3 && strcmp(arguments[1], "--make-corpus") == 0)
		return make_corpus(arguments[2]);
	return replay_main(count, arguments);
}
#endif
