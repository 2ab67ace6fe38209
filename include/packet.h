/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* packet: what the first bytes of an IP packet say. They come from whoever sent the packet, and only some of them were
 * kept, so every number in them may be a lie: nothing is read behind the end, and nothing takes long. */

#include "interval.h"

#define PACKET_PAYLOAD 16

struct packet {
	enum width width; /* WIDTH_IPV4 or WIDTH_IPV6 */
	struct value source, destination;
	uint32_t length;  /* of the whole packet, by its own word: bytes from the IP header on */
	uint8_t protocol; /* behind the extension headers of IPv6; 6 = TCP */
	bool has_ports;	  /* the first four bytes of TCP or UDP are there */
	uint16_t source_port, destination_port;
	bool has_flags; /* of TCP */
	uint8_t flags;
	/* What follows TCP's header: as much as was kept, up to PACKET_PAYLOAD bytes. */
	uint8_t payload_length;
	uint8_t payload[PACKET_PAYLOAD];
};

/* Reads the `size` bytes that are left of an IP packet. 0, or -EBADMSG where not even addresses can be read; then *ret
 * is untouched. Where only what comes later is missing or absurd, what comes before it is told. */
int packet_parse(const void *bytes, size_t size, struct packet *ret);

/* Append: the payload with C's escapes (printable ASCII stays, `"` and `\` are escaped, the rest is \r, \n, \t or
 * \xNN); the flags as nft writes them, "syn" or "psh,ack"; "192.0.2.1:80" or "[2001:db8::1]:80", or without port the
 * address. */
void packet_payload_text(const struct packet *packet, struct text *text);
void packet_flags_text(const struct packet *packet, struct text *text);
void packet_source_text(const struct packet *packet, struct text *text);
void packet_destination_text(const struct packet *packet, struct text *text);
