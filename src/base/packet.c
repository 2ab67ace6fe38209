/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "packet.h"

/* Protocols (IANA), and what is an extension header of IPv6 among them. */
#define HOP_BY_HOP     0
#define TCP	       6
#define UDP	       17
#define ROUTING	       43
#define FRAGMENT       44
#define AUTHENTICATION 51
#define DESTINATION    60
#define MOBILITY       135
#define HIP	       139
#define SHIM6	       140

/* More of them than any sender of good will needs: each kind once, the destination options twice (RFC 8200 4.1). */
#define MAX_EXTENSIONS 9

/* The kept part of a packet, and how far it was read. */
struct bytes {
	const uint8_t *data;
	size_t size;
	size_t at;
};

static bool has(const struct bytes *bytes, size_t count)
{
	return bytes->size - bytes->at >= count;
}

static uint16_t number16(const struct bytes *bytes, size_t offset)
{
	const uint8_t *data = bytes->data + bytes->at + offset;

	return (uint16_t)(data[0] << 8 | data[1]);
}

/* What lies behind the packet's end by its own word is padding. 0: longer than 16 bits can say (BIG TCP, jumbograms).
 */
static void limit(struct bytes *bytes, size_t length, struct packet *packet)
{
	packet->length = (uint32_t)(length ? length : bytes->size);
	if (packet->length < bytes->size)
		bytes->size = packet->length;
}

static void parse_transport(struct bytes *bytes, struct packet *packet)
{
	if ((packet->protocol != TCP && packet->protocol != UDP) || !has(bytes, 4))
		return;
	packet->has_ports = true;
	packet->source_port = number16(bytes, 0);
	packet->destination_port = number16(bytes, 2);
	if (packet->protocol != TCP || !has(bytes, 14))
		return;
	packet->has_flags = true;
	packet->flags = bytes->data[bytes->at + 13];
	size_t header = (size_t)(bytes->data[bytes->at + 12] >> 4) * 4;

	if (header < 20 || !has(bytes, header))
		return;
	bytes->at += header;
	size_t left = bytes->size - bytes->at;

	packet->payload_length = (uint8_t)(left < PACKET_PAYLOAD ? left : PACKET_PAYLOAD);
	memcpy(packet->payload, bytes->data + bytes->at, packet->payload_length);
}

static int parse_ipv4(struct bytes *bytes, struct packet *packet)
{
	size_t header = (size_t)(bytes->data[0] & 15) * 4;
	size_t total;

	if (!has(bytes, 20) || header < 20)
		return -EBADMSG;
	total = number16(bytes, 2);
	if (total && total < header)
		return -EBADMSG;
	packet->width = WIDTH_IPV4;
	packet->source = value_from_bytes(WIDTH_IPV4, bytes->data + 12);
	packet->destination = value_from_bytes(WIDTH_IPV4, bytes->data + 16);
	packet->protocol = bytes->data[9];
	limit(bytes, total, packet);
	/* Only the first fragment has ports. */
	if ((number16(bytes, 6) & 0x1fff) != 0 || !has(bytes, header))
		return 0;
	bytes->at = header;
	parse_transport(bytes, packet);
	return 0;
}

/* Goes over the extension headers; false where the transport's header is not there. */
static bool skip_extensions(struct bytes *bytes, struct packet *packet)
{
	for (unsigned int i = 0; i < MAX_EXTENSIONS; i++) {
		size_t length;

		switch (packet->protocol) {
		case HOP_BY_HOP:
		case ROUTING:
		case DESTINATION:
		case MOBILITY:
		case HIP:
		case SHIM6:
			if (!has(bytes, 2))
				return false;
			length = ((size_t)bytes->data[bytes->at + 1] + 1) * 8;
			break;
		case AUTHENTICATION:
			if (!has(bytes, 2))
				return false;
			length = ((size_t)bytes->data[bytes->at + 1] + 2) * 4;
			break;
		case FRAGMENT:
			length = 8;
			if (!has(bytes, length))
				return false;
			if ((number16(bytes, 2) & 0xfff8) != 0) {
				packet->protocol = bytes->data[bytes->at];
				return false;
			}
			break;
		default:
			return true;
		}
		if (!has(bytes, length))
			return false;
		packet->protocol = bytes->data[bytes->at];
		bytes->at += length;
	}
	return false;
}

static int parse_ipv6(struct bytes *bytes, struct packet *packet)
{
	size_t payload;

	if (!has(bytes, 40))
		return -EBADMSG;
	payload = number16(bytes, 4);
	packet->width = WIDTH_IPV6;
	packet->source = value_from_bytes(WIDTH_IPV6, bytes->data + 8);
	packet->destination = value_from_bytes(WIDTH_IPV6, bytes->data + 24);
	packet->protocol = bytes->data[6];
	limit(bytes, payload ? payload + 40 : 0, packet);
	bytes->at = 40;
	if (skip_extensions(bytes, packet))
		parse_transport(bytes, packet);
	return 0;
}

int packet_parse(const void *data, size_t size, struct packet *ret)
{
	struct bytes bytes = {.data = data, .size = size};
	struct packet packet = {0};
	unsigned int version = size ? bytes.data[0] >> 4 : 0;
	int r = version == 4 ? parse_ipv4(&bytes, &packet) : version == 6 ? parse_ipv6(&bytes, &packet) : -EBADMSG;

	if (r == 0)
		*ret = packet;
	return r;
}

/* --- text --- */

void packet_payload_text(const struct packet *packet, struct text *text)
{
	for (size_t i = 0; i < packet->payload_length; i++) {
		uint8_t byte = packet->payload[i];

		if (byte == '\r')
			text_append(text, "\\r");
		else if (byte == '\n')
			text_append(text, "\\n");
		else if (byte == '\t')
			text_append(text, "\\t");
		else if (byte < 0x20 || byte >= 0x7f)
			text_printf(text, "\\x%02x", byte);
		else if (byte == '"' || byte == '\\')
			text_printf(text, "\\%c", byte);
		else
			text_append_char(text, (char)byte);
	}
}

void packet_flags_text(const struct packet *packet, struct text *text)
{
	static const char *const names[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"};
	const char *between = "";

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(packet->flags >> i & 1))
			continue;
		text_printf(text, "%s%s", between, names[i]);
		between = ",";
	}
}

static void end_text(const struct packet *packet, struct value address, uint16_t port, struct text *text)
{
	char buffer[INTERVAL_TEXT];
	bool brackets = packet->has_ports && packet->width == WIDTH_IPV6;

	value_format(packet->width, address, buffer);
	text_printf(text, "%s%s%s", brackets ? "[" : "", buffer, brackets ? "]" : "");
	if (packet->has_ports)
		text_printf(text, ":%u", port);
}

void packet_source_text(const struct packet *packet, struct text *text)
{
	end_text(packet, packet->source, packet->source_port, text);
}

void packet_destination_text(const struct packet *packet, struct text *text)
{
	end_text(packet, packet->destination, packet->destination_port, text);
}
