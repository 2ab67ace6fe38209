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

	mnl_attr_for_each(
		attribute, message, sizeof(struct nfgenmsg)) if (mnl_attr_get_type(attribute) == type) return attribute;
	return NULL;
}

/* Where an expression's registers are, by its name. */
static inline bool codec_is_register(const char *name, uint16_t type)
{
	static const struct {
		const char *name;
		uint16_t types[2];
	} registers[] = {
		{"meta", {NFTA_META_DREG, 0}},
		{"payload", {NFTA_PAYLOAD_DREG, NFTA_PAYLOAD_SREG}},
		{"ct", {NFTA_CT_DREG, NFTA_CT_SREG}},
		{"immediate", {NFTA_IMMEDIATE_DREG, 0}},
		{"dynset", {NFTA_DYNSET_SREG_KEY, 0}},
		{"fib", {NFTA_FIB_DREG, 0}},
		{"cmp", {NFTA_CMP_SREG, 0}},
		{"bitwise", {NFTA_BITWISE_SREG, NFTA_BITWISE_DREG}},
		{"lookup", {NFTA_LOOKUP_SREG, 0}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(registers); i++)
		if (strcmp(registers[i].name, name) == 0)
			return registers[i].types[0] == type || registers[i].types[1] == type;
	return false;
}

/*
 * A rule as the kernel lists it, which is not quite as it was sent: libnftnl sends the name of a counter without its
 * NUL, the kernel has it. With `all` as well what kernel 6.18 does: register 1 comes back as 8, flags of a lookup and
 * the operation of a bitwise expression are there and zero.
 */
static inline struct nlmsghdr *codec_normalise(char *buffer, const struct nlmsghdr *rule, bool all)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	const struct nlattr *attribute, *item, *data;

	memcpy(message, rule, sizeof(*message) + sizeof(struct nfgenmsg));
	message->nlmsg_len = sizeof(*message) + sizeof(struct nfgenmsg);
	mnl_attr_for_each(attribute, rule, sizeof(struct nfgenmsg))
	{
		struct nlattr *list;

		if (mnl_attr_get_type(attribute) != NFTA_RULE_EXPRESSIONS) {
			mnl_attr_put(message, mnl_attr_get_type(attribute), mnl_attr_get_payload_len(attribute),
				mnl_attr_get_payload(attribute));
			continue;
		}
		list = mnl_attr_nest_start(message, NFTA_RULE_EXPRESSIONS);
		mnl_attr_for_each_nested(item, attribute)
		{
			const struct nlattr *table[NFTA_EXPR_MAX + 1];
			struct nlattr *expression = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
			struct nlattr *nest;
			const char *name;
			bool flags = false;

			netlink_nest(item, table, ARRAY_SIZE(table));
			name = netlink_string(table[NFTA_EXPR_NAME]);
			mnl_attr_put_strz(message, NFTA_EXPR_NAME, name);
			nest = mnl_attr_nest_start(message, NFTA_EXPR_DATA);
			mnl_attr_for_each_nested(data, table[NFTA_EXPR_DATA])
			{
				uint16_t type = mnl_attr_get_type(data);
				size_t length = mnl_attr_get_payload_len(data);
				char copy[256] = {0};

				memcpy(copy, mnl_attr_get_payload(data), length);
				if (strcmp(name, "objref") == 0 && type == NFTA_OBJREF_IMM_NAME && copy[length - 1])
					length++;
				flags = flags || type == NFTA_LOOKUP_FLAGS;
				if (all && codec_is_register(name, type) && length == sizeof(uint32_t) &&
					memcmp(copy, &(uint32_t){htobe32(NFT_REG_1)}, sizeof(uint32_t)) == 0)
					memcpy(copy, &(uint32_t){htobe32(NFT_REG32_00)}, sizeof(uint32_t));
				mnl_attr_put(message, data->nla_type, length, copy);
			}
			if (all && strcmp(name, "lookup") == 0 && !flags)
				mnl_attr_put_u32(message, NFTA_LOOKUP_FLAGS, 0);
			if (all && strcmp(name, "bitwise") == 0)
				mnl_attr_put_u32(message, NFTA_BITWISE_OP, 0);
			mnl_attr_nest_end(message, nest);
			mnl_attr_nest_end(message, expression);
		}
		mnl_attr_nest_end(message, list);
	}
	return message;
}

/* What a list of messages leaves behind. Elements are collected by set, as nft_read() does it. */
struct decoder {
	struct ruleset *ruleset;
	struct elements *elements; /* one for each set */
	size_t set_count;
};

/* Elements for all sets that there are by now. The array of sets may have moved. */
static inline void decoder_sets(struct decoder *decoder)
{
	struct ruleset *ruleset = decoder->ruleset;

	if (decoder->set_count == ruleset->set_count)
		return;
	decoder->elements = mem_resize(decoder->elements, ruleset->set_count, sizeof(*decoder->elements));
	for (size_t i = decoder->set_count; i < ruleset->set_count; i++)
		decoder->elements[i] = (struct elements){.keys.width = ruleset->sets[i].elements.width};
	decoder->set_count = ruleset->set_count;
	for (size_t i = 0; i < decoder->set_count; i++)
		decoder->elements[i].set = &ruleset->sets[i];
}

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
	decoder_sets(decoder);
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

	decoder_sets(decoder);
	for (size_t i = 0; i < decoder->set_count; i++) {
		if (!ruleset->sets[i].opaque)
			elements_finish(&decoder->elements[i]);
		elements_done(&decoder->elements[i]);
	}
	free(decoder->elements);
	ruleset_unlabel(ruleset);
	*decoder = (struct decoder){0};
	return ruleset;
}

/* Decodes messages that lie one behind the other, as the kernel would list them; 0 or the first error, with *ret in
 * either case. */
static inline int codec_decode(const void *bytes, size_t length, bool all, struct ruleset **ret)
{
	char buffer[8192];
	struct decoder decoder = {.ruleset = ruleset_new()};
	const struct nlmsghdr *message = bytes;
	int left = (int)length;
	int r = 0;

	for (; netlink_message_ok(message, left) && r == 0; message = mnl_nlmsg_next(message, &left))
		r = decoder_hear(&decoder,
			codec_type(message) == NFT_MSG_NEWRULE ? codec_normalise(buffer, message, all) : message);
	*ret = decoder_finish(&decoder);
	return r;
}
