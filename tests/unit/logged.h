/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the kernel's nfnetlink_log sends (net/netfilter/nfnetlink_log.c), to be put into a buffer. */

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include "netlink.h"

#define LOGGED_GROUP 6379u

/* One message; what is 0 or NULL is left out. */
struct logged {
	uint16_t type;	/* 0: a packet */
	uint16_t group; /* 0: ours */
	const char *prefix;
	bool prefix_open; /* without its final NUL */
	const void *payload;
	size_t payload_length;
	bool numbered;
	uint32_t sequence;
	uint64_t seconds, microseconds;
	uint32_t interface;
};

/* Appends it to the buffer, which has room; returns its length. */
static inline size_t logged_put(char *buffer, const struct logged *what)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	message->nlmsg_type = what->type ? what->type : NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
	*header = (struct nfgenmsg){.nfgen_family = AF_INET, .res_id = htons(what->group ? what->group : LOGGED_GROUP)};
	mnl_attr_put(message, NFULA_PACKET_HDR, sizeof(struct nfulnl_msg_packet_hdr),
		&(struct nfulnl_msg_packet_hdr){.hw_protocol = htons(0x0800)});
	if (what->prefix)
		mnl_attr_put(message, NFULA_PREFIX, strlen(what->prefix) + !what->prefix_open, what->prefix);
	if (what->interface)
		mnl_attr_put_u32(message, NFULA_IFINDEX_INDEV, htonl(what->interface));
	if (what->seconds)
		mnl_attr_put(message, NFULA_TIMESTAMP, sizeof(struct nfulnl_msg_packet_timestamp),
			&(struct nfulnl_msg_packet_timestamp){
				.sec = htobe64(what->seconds), .usec = htobe64(what->microseconds)});
	if (what->numbered)
		mnl_attr_put_u32(message, NFULA_SEQ, htonl(what->sequence));
	if (what->payload)
		mnl_attr_put(message, NFULA_PAYLOAD, what->payload_length, what->payload);
	return MNL_ALIGN(message->nlmsg_len);
}
