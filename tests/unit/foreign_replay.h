/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What a kernel with other tables answers, from a text of records: two bytes of length (little endian), then a
 * message's payload. Length 0 ends an answer, 0xffff ends it with ENOENT, and so does the end of the text. Requests for
 * the generation are answered without it. So any bytes are answers to nft_read_foreign().
 */

#include <errno.h>
#include <string.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "netlink.h"
#include "nft.h"

#define REPLAY_END   0u
#define REPLAY_NONE  0xffffu
#define REPLAY_LIMIT 32768u

struct replay {
	const uint8_t *bytes;
	size_t left;
	uint32_t sequence;
	uint16_t type; /* of the request */
	bool dump;
	bool ended; /* the answer was given */
	double clock;
	/* Each message is of another generation, and each attempt begins anew. */
	bool torn;
	const uint8_t *begin;
	size_t length;
};

static inline ssize_t replay_send(void *data, const void *bytes, size_t length)
{
	const struct nlmsghdr *request = bytes;
	struct replay *replay = data;

	replay->sequence = request->nlmsg_seq;
	replay->type = request->nlmsg_type & 0xff;
	replay->dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	replay->ended = false;
	if (replay->torn && replay->type == NFT_MSG_GETTABLE) {
		replay->bytes = replay->begin;
		replay->left = replay->length;
	}
	return (ssize_t)length;
}

static inline size_t replay_end(const struct replay *replay, char *buffer, int code)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

	message->nlmsg_seq = replay->sequence;
	if (replay->dump && code == 0) {
		message->nlmsg_type = NLMSG_DONE;
		*(int *)mnl_nlmsg_put_extra_header(message, sizeof(int)) = 0;
	} else {
		message->nlmsg_type = NLMSG_ERROR;
		*(struct nlmsgerr *)mnl_nlmsg_put_extra_header(message, sizeof(struct nlmsgerr)) =
			(struct nlmsgerr){.error = code};
	}
	return message->nlmsg_len;
}

static inline size_t replay_generation(const struct replay *replay, char *buffer)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

	message->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN;
	message->nlmsg_seq = replay->sequence;
	*(struct nfgenmsg *)mnl_nlmsg_put_extra_header(message, sizeof(struct nfgenmsg)) = (struct nfgenmsg){0};
	mnl_attr_put_u32(message, NFTA_GEN_ID, htobe32(1));
	return message->nlmsg_len;
}

static inline ssize_t replay_receive(
	void *data, void *buffer, size_t size, bool wait, bool *truncated, bool *from_kernel)
{
	static const uint16_t replies[] = {[NFT_MSG_GETTABLE] = NFT_MSG_NEWTABLE,
		[NFT_MSG_GETCHAIN] = NFT_MSG_NEWCHAIN,
		[NFT_MSG_GETRULE] = NFT_MSG_NEWRULE,
		[NFT_MSG_GETSET] = NFT_MSG_NEWSET,
		[NFT_MSG_GETSETELEM] = NFT_MSG_NEWSETELEM};
	struct replay *replay = data;
	struct nlmsghdr *message;
	size_t length;

	(void)size;
	(void)wait;
	*truncated = false;
	*from_kernel = true;
	if (replay->ended)
		return -EAGAIN;
	if (replay->type == NFT_MSG_GETGEN) {
		size_t first = replay_generation(replay, buffer);

		replay->ended = true;
		return (ssize_t)(first + replay_end(replay, (char *)buffer + first, 0));
	}
	length = replay->left >= 2 ? replay->bytes[0] | (size_t)replay->bytes[1] << 8 : REPLAY_END;
	replay->bytes += replay->left >= 2 ? 2 : 0;
	replay->left -= replay->left >= 2 ? 2 : replay->left;
	if (length == REPLAY_END || length == REPLAY_NONE || length > REPLAY_LIMIT || length > replay->left) {
		replay->ended = true;
		return (ssize_t)replay_end(replay, buffer, length == REPLAY_NONE ? -ENOENT : 0);
	}
	message = mnl_nlmsg_put_header(buffer);
	message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 |
					 (replay->type < ARRAY_SIZE(replies) ? replies[replay->type] : 0));
	message->nlmsg_seq = replay->sequence;
	memcpy(mnl_nlmsg_put_extra_header(message, length), replay->bytes, length);
	/* Whatever the generation of the recording was. */
	if (length >= sizeof(struct nfgenmsg))
		((struct nfgenmsg *)mnl_nlmsg_get_payload(message))->res_id = htobe16(replay->torn ? 2 : 1);
	replay->bytes += length;
	replay->left -= length;
	return (ssize_t)message->nlmsg_len;
}

static inline double replay_now(void *data)
{
	return ((struct replay *)data)->clock += 1;
}

static inline void replay_pause(void *data, long nanoseconds)
{
	(void)data;
	(void)nanoseconds;
}

/* Reads other tables out of `replay`, once or again and again. *ret is NULL on failure. */
static inline int replay_run(struct replay replay, const struct foreign_question *question, struct foreign **ret)
{
	const struct transport transport = {.send = replay_send,
		.receive = replay_receive,
		.now = replay_now,
		.pause = replay_pause,
		.data = &replay};
	struct nft *nft = nft_open_transport(&transport);
	struct err err = {0};
	int r;

	*ret = NULL;
	r = nft_read_foreign(nft, question, ret, &err);
	nft_close(nft);
	return r;
}

static inline int replay_read(
	const void *bytes, size_t length, const struct foreign_question *question, struct foreign **ret)
{
	return replay_run((struct replay){.bytes = bytes, .left = length}, question, ret);
}

static inline struct foreign_question replay_question(void)
{
	struct foreign_question question = {.ports = {6379, 6380, 9999}, .port_count = 3};
	const struct foreign_probe probes[] = {
		{.port = 6379,
			.width = WIDTH_IPV4,
			.source = {0, 0x0a140001},
			.destination = {0, 0x0a140005},
			.destination_known = true},
		{.port = 6380, .width = WIDTH_IPV6, .source = {0x20010db800200000u, 1}},
		{.port = 9999, .width = WIDTH_IPV4, .source = {0, 0x0a090001}},
	};

	memcpy(question.probes, probes, sizeof(probes));
	question.probe_count = ARRAY_SIZE(probes);
	return question;
}
