/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A ruleset to messages and back, without a kernel. */

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "nft/nft_private.h"

static inline struct netlink *codec_netlink(void)
{
	static const struct transport nobody;

	return netlink_open_transport(&nobody);
}

/* All of a ruleset as one transaction on an empty kernel. The caller calls batch_done(). */
static inline void codec_encode(struct batch *batch, struct netlink *netlink, const struct ruleset *ruleset)
{
	batch_begin(batch, netlink, 1);
	batch_add_table(batch, ruleset);
	for (size_t i = 0; i < ruleset->counter_count; i++)
		batch_add_counter(batch, &ruleset->counters[i]);
	for (size_t i = 0; i < ruleset->chain_count; i++)
		batch_add_chain(batch, &ruleset->chains[i]);
	for (size_t i = 0; i < ruleset->set_count; i++)
		batch_add_set(batch, &ruleset->sets[i], (uint32_t)i + 1);
	for (size_t i = 0; i < ruleset->set_count; i++)
		batch_add_elements(batch, &ruleset->sets[i], NULL);
	for (size_t i = 0; i < ruleset->chain_count; i++)
		batch_add_rules(batch, &ruleset->chains[i]);
	batch_end(batch);
}

static inline uint16_t codec_type(const struct nlmsghdr *message)
{
	return message->nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES ? message->nlmsg_type & 0xff : UINT16_MAX;
}

static inline const struct nlattr *codec_find(const struct nlmsghdr *message, uint16_t type)
{
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, message, sizeof(struct nfgenmsg)) if (mnl_attr_get_type(attribute) == type)
		return attribute;
	return NULL;
}

/* What a list of messages leaves behind. Elements are collected by set, as nft_read() does it. */
struct decoder {
	struct ruleset *ruleset;
	struct elements *elements; /* one for each set */
	size_t set_count;
};

static inline int decoder_hear(struct decoder *decoder, const struct nlmsghdr *message)
{
	struct ruleset *ruleset = decoder->ruleset;
	const struct nlattr *name;
	const char *text;

	switch (codec_type(message)) {
	case NFT_MSG_NEWTABLE:
		return decode_table(ruleset, message);
	case NFT_MSG_NEWOBJ:
		return decode_counter(ruleset, message);
	case NFT_MSG_NEWFLOWTABLE:
		return decode_flowtable(ruleset, message);
	case NFT_MSG_NEWCHAIN:
		return decode_chain(ruleset, message);
	case NFT_MSG_NEWSET:
		return decode_set(ruleset, message);
	case NFT_MSG_NEWRULE:
		return decode_rule(ruleset, message);
	case NFT_MSG_NEWSETELEM:
		break;
	default:
		return 0;
	}
	if (decoder->set_count != ruleset->set_count) {
		/* All sets come before the first element, as in a reading of the kernel. */
		decoder->elements = mem_resize(decoder->elements, ruleset->set_count, sizeof(*decoder->elements));
		for (size_t i = decoder->set_count; i < ruleset->set_count; i++)
			decoder->elements[i] =
				(struct elements){.keys.width = ruleset->sets[i].elements.width};
		decoder->set_count = ruleset->set_count;
		for (size_t i = 0; i < decoder->set_count; i++)
			decoder->elements[i].set = &ruleset->sets[i];
	}
	name = codec_find(message, NFTA_SET_ELEM_LIST_SET);
	text = netlink_string(name);
	for (size_t i = 0; text && i < decoder->set_count; i++)
		if (strcmp(ruleset->sets[i].name, text) == 0 && !ruleset->sets[i].opaque)
			return decode_elements(&decoder->elements[i], message);
	return 0;
}

/* The ruleset, which is the caller's. The decoder is empty again. */
static inline struct ruleset *decoder_finish(struct decoder *decoder)
{
	struct ruleset *ruleset = decoder->ruleset;

	for (size_t i = 0; i < decoder->set_count; i++) {
		elements_finish(&decoder->elements[i]);
		elements_done(&decoder->elements[i]);
	}
	free(decoder->elements);
	ruleset_unlabel(ruleset);
	*decoder = (struct decoder){0};
	return ruleset;
}

/* Decodes messages that lie one behind the other; 0 or the first error, with *ret in either case. */
static inline int codec_decode(const void *bytes, size_t length, struct ruleset **ret)
{
	struct decoder decoder = {.ruleset = ruleset_new()};
	const struct nlmsghdr *message = bytes;
	int left = (int)length;
	int r = 0;

	for (; mnl_nlmsg_ok(message, left) && r == 0; message = mnl_nlmsg_next(message, &left))
		r = decoder_hear(&decoder, message);
	*ret = decoder_finish(&decoder);
	return r;
}
