/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A packet of which not everything is known, on its way through rules of which not everything is understood. Each match
 * says yes, no or maybe; a rule that may apply is followed both ways. What is certain at the end is certain for every
 * packet that fits; everything else is said to be undecided, never guessed.
 */

#include <endian.h>
#include <string.h>

#include <linux/if_arp.h>
#include <linux/in.h>
#include <linux/rtnetlink.h>

#include "nft_foreign.h"

/* NFT_JUMP_STACK_SIZE in the kernel's include/net/netfilter/nf_tables.h. */
#define WALK_DEPTH 16u

/* Offsets in the headers (RFC 791, 8200, 9293). */
#define IPV4_FRAGMENT	 6u
#define IPV4_PROTOCOL	 9u
#define IPV4_SOURCE	 12u
#define IPV4_DESTINATION 16u
#define IPV6_NEXT	 6u
#define IPV6_SOURCE	 8u
#define IPV6_DESTINATION 24u
#define TCP_DESTINATION	 2u
#define TCP_FLAGS	 13u
#define TCP_SYN		 0x02
#define TCP_ACK		 0x10

#define CT_STATE_NEW	     8u
#define CT_STATE_ESTABLISHED 2u
#define CT_STATUS_DNAT	     0x20u

void image_put(struct image *image, size_t offset, const void *bytes, size_t length)
{
	if (offset > IMAGE_BYTES || length > IMAGE_BYTES - offset)
		return;
	memcpy(image->data + offset, bytes, length);
	memset(image->mask + offset, 0xff, length);
}

void image_forget(struct image *image, size_t offset, size_t length)
{
	if (offset > IMAGE_BYTES || length > IMAGE_BYTES - offset)
		return;
	memset(image->data + offset, 0, length);
	memset(image->mask + offset, 0, length);
}

void packet_set_port(struct walked *packet, uint16_t first, uint16_t last)
{
	uint8_t bytes[2] = {(uint8_t)(first >> 8), (uint8_t)first};

	packet->port_first = first;
	packet->port_last = last;
	if (first == last)
		image_put(&packet->transport, TCP_DESTINATION, bytes, sizeof(bytes));
	else
		image_forget(&packet->transport, TCP_DESTINATION, sizeof(bytes));
}

struct walked packet_make(enum width width, const struct value *source, const struct value *destination)
{
	struct walked packet = {.family = width == WIDTH_IPV4 ? NFPROTO_IPV4 : NFPROTO_IPV6,
		.to_us = KNOWN_YES,
		.translated = KNOWN_NO,
		.state = CT_STATE_NEW};
	bool v4 = width == WIDTH_IPV4;
	uint8_t bytes[16];

	if (v4) {
		image_put(&packet.network, 0, &(uint8_t){0x45}, 1);
		/* No fragment; whether it may become one is not known. */
		packet.network.mask[IPV4_FRAGMENT] = 0x3f;
		packet.network.mask[IPV4_FRAGMENT + 1] = 0xff;
	}
	image_put(&packet.network, v4 ? IPV4_PROTOCOL : IPV6_NEXT, &(uint8_t){IPPROTO_TCP}, 1);
	if (source) {
		value_to_bytes(width, *source, bytes);
		image_put(&packet.network, v4 ? IPV4_SOURCE : IPV6_SOURCE, bytes, width_bits(width) / 8);
	}
	if (destination) {
		value_to_bytes(width, *destination, bytes);
		image_put(&packet.network, v4 ? IPV4_DESTINATION : IPV6_DESTINATION, bytes, width_bits(width) / 8);
	}
	image_put(&packet.transport, TCP_FLAGS, &(uint8_t){TCP_SYN}, 1);
	packet_set_port(&packet, 0, UINT16_MAX);
	return packet;
}

void packet_establish(struct walked *packet)
{
	packet->state = CT_STATE_ESTABLISHED;
	packet->translated = KNOWN_MAYBE;
	image_put(&packet->transport, TCP_FLAGS, &(uint8_t){TCP_ACK}, 1);
}

void packet_any(struct walked *packet)
{
	packet->state = 0;
	packet->translated = KNOWN_MAYBE;
	packet->to_us = KNOWN_MAYBE;
	image_forget(&packet->transport, TCP_FLAGS, 1);
}

/* --- registers --- */

/* Where a register's bytes are; false where they are none of ours. */
static bool register_at(const struct expression *x, unsigned int type, size_t length, size_t *ret)
{
	uint32_t reg;

	if (!netlink_u32(x->table[type], &reg))
		return false;
	if (reg >= NFT_REG_1 && reg <= NFT_REG_4)
		*ret = (reg - NFT_REG_1) * 16;
	else if (reg >= NFT_REG32_00 && reg <= NFT_REG32_15)
		*ret = (reg - NFT_REG32_00) * 4;
	else
		return false;
	return length <= IMAGE_BYTES - *ret;
}

static bool is_verdict_register(const struct expression *x, unsigned int type)
{
	uint32_t reg;

	return netlink_u32(x->table[type], &reg) && reg == NFT_REG_VERDICT;
}

static void clear_tags(struct evaluation *e, size_t offset, size_t length)
{
	for (size_t i = offset / 4; i < ARRAY_SIZE(e->tags) && i * 4 < offset + length; i++)
		e->tags[i] = (struct tag){0};
}

/* The kernel fills a register's last four bytes with zeros. */
static void store(struct evaluation *e, size_t offset, const uint8_t *data, const uint8_t *mask, size_t length)
{
	size_t whole = (length + 3) / 4 * 4;

	if (offset > IMAGE_BYTES || whole > IMAGE_BYTES - offset)
		return;
	clear_tags(e, offset, whole);
	memset(e->registers.data + offset, 0, whole);
	memset(e->registers.mask + offset, 0xff, whole);
	for (size_t i = 0; i < length; i++) {
		e->registers.mask[offset + i] = mask ? mask[i] : 0xff;
		e->registers.data[offset + i] = data[i] & e->registers.mask[offset + i];
	}
}

/* All that an expression may have written is not known any more. */
static void store_unknown(struct evaluation *e, const struct expression *x, unsigned int type, size_t length)
{
	size_t offset;

	if (!register_at(x, type, 0, &offset))
		return;
	if (length > IMAGE_BYTES - offset)
		length = IMAGE_BYTES - offset;
	clear_tags(e, offset, length);
	image_forget(&e->registers, offset, length);
}

static void store_not(struct evaluation *e, const struct expression *x, unsigned int type, const void *not_value,
	uint8_t length, size_t size)
{
	size_t offset;

	store_unknown(e, x, type, size);
	if (!register_at(x, type, size, &offset))
		return;
	e->tags[offset / 4] = (struct tag){.kind = TAG_NOT, .length = length};
	memcpy(e->tags[offset / 4].not_value, not_value, length);
}

static void store_known(
	struct evaluation *e, const struct expression *x, unsigned int type, const void *bytes, size_t length)
{
	size_t offset;

	if (register_at(x, type, length, &offset))
		store(e, offset, bytes, NULL, length);
}

/* --- loads --- */

static enum known load_meta(struct evaluation *e, const struct expression *x)
{
	const uint16_t ether = htobe16(e->packet.family == NFPROTO_IPV4 ? 0x0800 : 0x86dd);
	uint32_t key = UINT32_MAX;

	if (x->table[NFTA_META_SREG])
		return KNOWN_YES;
	netlink_u32(x->table[NFTA_META_KEY], &key);
	switch (key) {
	case NFT_META_NFPROTO:
		store_known(e, x, NFTA_META_DREG, &e->packet.family, 1);
		break;
	case NFT_META_L4PROTO:
		store_known(e, x, NFTA_META_DREG, &(uint8_t){IPPROTO_TCP}, 1);
		break;
	case NFT_META_PROTOCOL:
		store_known(e, x, NFTA_META_DREG, &ether, sizeof(ether));
		break;
	case NFT_META_PKTTYPE:
		store_known(e, x, NFTA_META_DREG, &(uint8_t){0}, 1); /* PACKET_HOST */
		break;
	case NFT_META_IIF:
		store_not(e, x, NFTA_META_DREG, &(uint32_t){1}, sizeof(uint32_t), sizeof(uint32_t));
		break;
	case NFT_META_IIFNAME:
		store_not(e, x, NFTA_META_DREG, "lo", sizeof("lo"), 16);
		break;
	case NFT_META_IIFTYPE:
		store_not(e, x, NFTA_META_DREG, &(uint16_t){ARPHRD_LOOPBACK}, sizeof(uint16_t), sizeof(uint16_t));
		break;
	default:
		store_unknown(e, x, NFTA_META_DREG, 16);
		break;
	}
	return KNOWN_YES;
}

static enum known load_ct(struct evaluation *e, const struct expression *x)
{
	uint32_t key = UINT32_MAX;
	uint32_t status[2] = {0};
	size_t offset;

	if (x->table[NFTA_CT_SREG])
		return KNOWN_YES;
	netlink_u32(x->table[NFTA_CT_KEY], &key);
	switch (key) {
	case NFT_CT_STATE:
		if (e->packet.state)
			store_known(e, x, NFTA_CT_DREG, &e->packet.state, sizeof(uint32_t));
		else
			store_unknown(e, x, NFTA_CT_DREG, sizeof(uint32_t));
		break;
	case NFT_CT_DIRECTION:
		store_known(e, x, NFTA_CT_DREG, &(uint8_t){0}, 1);
		break;
	case NFT_CT_STATUS:
		status[0] = e->packet.translated == KNOWN_YES ? CT_STATUS_DNAT : 0;
		status[1] = e->packet.translated == KNOWN_MAYBE ? 0 : CT_STATUS_DNAT;
		if (register_at(x, NFTA_CT_DREG, sizeof(uint32_t), &offset))
			store(e, offset, (uint8_t *)&status[0], (uint8_t *)&status[1], sizeof(uint32_t));
		break;
	default:
		store_unknown(e, x, NFTA_CT_DREG, 16);
		break;
	}
	return KNOWN_YES;
}

static enum known write_payload(
	struct evaluation *e, const struct expression *x, uint32_t base, uint32_t offset, uint32_t length)
{
	struct effect effect = {.kind = FOREIGN_REWRITE, .port_changes = true};
	size_t at;

	if (base != NFT_PAYLOAD_TRANSPORT_HEADER || offset > TCP_DESTINATION || length > 4 ||
		offset + length < TCP_DESTINATION + 2 || !register_at(x, NFTA_PAYLOAD_SREG, length, &at))
		return KNOWN_YES;
	at += TCP_DESTINATION - offset;
	if (e->registers.mask[at] == 0xff && e->registers.mask[at + 1] == 0xff)
		effect.to_port = (uint16_t)(e->registers.data[at] << 8 | e->registers.data[at + 1]);
	evaluation_effect(e, &effect);
	return KNOWN_YES;
}

static enum known load_payload(struct evaluation *e, const struct expression *x)
{
	const struct image *image = NULL;
	uint32_t base = UINT32_MAX;
	uint32_t offset = UINT32_MAX;
	uint32_t length = 0;
	size_t at;

	netlink_u32(x->table[NFTA_PAYLOAD_BASE], &base);
	netlink_u32(x->table[NFTA_PAYLOAD_OFFSET], &offset);
	netlink_u32(x->table[NFTA_PAYLOAD_LEN], &length);
	if (x->table[NFTA_PAYLOAD_SREG])
		return write_payload(e, x, base, offset, length);
	if (base == NFT_PAYLOAD_NETWORK_HEADER)
		image = &e->packet.network;
	else if (base == NFT_PAYLOAD_TRANSPORT_HEADER)
		image = &e->packet.transport;
	if (!image || offset >= IMAGE_BYTES || length == 0 || length > IMAGE_BYTES - offset ||
		!register_at(x, NFTA_PAYLOAD_DREG, length, &at)) {
		store_unknown(e, x, NFTA_PAYLOAD_DREG, length > IMAGE_BYTES ? IMAGE_BYTES : length);
		return KNOWN_YES;
	}
	store(e, at, image->data + offset, image->mask + offset, length);
	if (base == NFT_PAYLOAD_TRANSPORT_HEADER && offset == TCP_DESTINATION && length == 2)
		e->tags[at / 4].kind = TAG_PORT;
	return KNOWN_YES;
}

static enum known load_fib(struct evaluation *e, const struct expression *x)
{
	uint32_t result = 0;
	uint32_t flags = 0;

	netlink_u32(x->table[NFTA_FIB_RESULT], &result);
	netlink_u32(x->table[NFTA_FIB_FLAGS], &flags);
	if (result == NFT_FIB_RESULT_ADDRTYPE && flags == NFTA_FIB_F_DADDR && e->packet.to_us != KNOWN_MAYBE)
		store_known(e, x, NFTA_FIB_DREG, &(uint32_t){e->packet.to_us == KNOWN_YES ? RTN_LOCAL : RTN_UNICAST},
			sizeof(uint32_t));
	/* Who is allowed comes by the way that leads back to it. */
	else if (result == NFT_FIB_RESULT_OIF && (flags & NFTA_FIB_F_SADDR) && (flags & NFTA_FIB_F_PRESENT))
		store_known(e, x, NFTA_FIB_DREG, &(uint8_t){1}, 1);
	else if (result == NFT_FIB_RESULT_OIF && (flags & NFTA_FIB_F_SADDR))
		store_not(e, x, NFTA_FIB_DREG, &(uint32_t){0}, sizeof(uint32_t), sizeof(uint32_t));
	else
		store_unknown(e, x, NFTA_FIB_DREG, 16);
	return KNOWN_YES;
}

static bool data_bytes(const struct nlattr *nest, const uint8_t **ret, size_t *ret_length)
{
	const struct nlattr *table[NFTA_DATA_MAX + 1];

	netlink_nest(nest, table, ARRAY_SIZE(table));
	if (!table[NFTA_DATA_VALUE])
		return false;
	*ret = mnl_attr_get_payload(table[NFTA_DATA_VALUE]);
	*ret_length = mnl_attr_get_payload_len(table[NFTA_DATA_VALUE]);
	return *ret_length > 0 && *ret_length <= IMAGE_BYTES;
}

static enum known apply_bitwise(struct evaluation *e, const struct expression *x)
{
	uint32_t length = IMAGE_BYTES;
	uint32_t operation = NFT_BITWISE_BOOL;
	uint8_t data[IMAGE_BYTES];
	uint8_t mask[IMAGE_BYTES];
	const uint8_t *and_bits;
	const uint8_t *xor_bits;
	size_t lengths[2];
	size_t from;
	size_t to;

	netlink_u32(x->table[NFTA_BITWISE_LEN], &length);
	netlink_u32(x->table[NFTA_BITWISE_OP], &operation);
	if (operation != NFT_BITWISE_BOOL || length > IMAGE_BYTES ||
		!register_at(x, NFTA_BITWISE_SREG, length, &from) || !register_at(x, NFTA_BITWISE_DREG, length, &to) ||
		!data_bytes(x->table[NFTA_BITWISE_MASK], &and_bits, &lengths[0]) ||
		!data_bytes(x->table[NFTA_BITWISE_XOR], &xor_bits, &lengths[1]) || lengths[0] < length ||
		lengths[1] < length) {
		store_unknown(e, x, NFTA_BITWISE_DREG, IMAGE_BYTES);
		return KNOWN_YES;
	}
	for (size_t i = 0; i < length; i++) {
		mask[i] = e->registers.mask[from + i] | (uint8_t)~and_bits[i];
		data[i] = (uint8_t)((e->registers.data[from + i] & and_bits[i]) ^ xor_bits[i]) & mask[i];
	}
	store(e, to, data, mask, length);
	return KNOWN_YES;
}

static enum known apply_byteorder(struct evaluation *e, const struct expression *x)
{
	uint32_t length = 0;
	uint32_t size = 0;
	uint8_t data[IMAGE_BYTES];
	uint8_t mask[IMAGE_BYTES];
	size_t from;
	size_t to;

	netlink_u32(x->table[NFTA_BYTEORDER_LEN], &length);
	netlink_u32(x->table[NFTA_BYTEORDER_SIZE], &size);
	if (length == 0 || length > IMAGE_BYTES || (size != 2 && size != 4 && size != 8) || length % size ||
		!register_at(x, NFTA_BYTEORDER_SREG, length, &from) ||
		!register_at(x, NFTA_BYTEORDER_DREG, length, &to)) {
		store_unknown(e, x, NFTA_BYTEORDER_DREG, IMAGE_BYTES);
		return KNOWN_YES;
	}
	for (size_t i = 0; i < length; i++) {
		size_t other = BYTE_ORDER == LITTLE_ENDIAN ? i / size * size + size - 1 - i % size : i;

		data[i] = e->registers.data[from + other];
		mask[i] = e->registers.mask[from + other];
	}
	store(e, to, data, mask, length);
	return KNOWN_YES;
}

/* --- matches --- */

enum known evaluation_port(struct evaluation *e, uint16_t first, uint16_t last, bool inverted)
{
	uint16_t low = e->packet.port_first;
	uint16_t high = e->packet.port_last;

	if (first > high || last < low)
		return known_bool(inverted);
	if (first <= low && high <= last)
		return known_bool(!inverted);
	if (!inverted)
		packet_set_port(&e->packet, first > low ? first : low, last < high ? last : high);
	else if (first <= low)
		packet_set_port(&e->packet, (uint16_t)(last + 1), high);
	else if (last >= high)
		packet_set_port(&e->packet, low, (uint16_t)(first - 1));
	return KNOWN_MAYBE;
}

/* Compares a register with bytes: -1, 0, 1, or 2 where that is not known, and 3 where they differ in any case. */
static int compare_register(const struct evaluation *e, size_t at, const uint8_t *bytes, size_t length)
{
	bool differs = false;

	for (size_t i = 0; i < length; i++) {
		if (e->registers.mask[at + i] != 0xff) {
			for (size_t k = i; k < length; k++)
				differs =
					differs || ((e->registers.data[at + k] ^ bytes[k]) & e->registers.mask[at + k]);
			return differs ? 3 : 2;
		}
		if (e->registers.data[at + i] != bytes[i])
			return e->registers.data[at + i] < bytes[i] ? -1 : 1;
	}
	return 0;
}

static enum known compare_port(struct evaluation *e, uint32_t operation, uint16_t value)
{
	switch (operation) {
	case NFT_CMP_EQ:
	case NFT_CMP_NEQ:
		return evaluation_port(e, value, value, operation == NFT_CMP_NEQ);
	case NFT_CMP_LT:
		return value == 0 ? KNOWN_NO : evaluation_port(e, 0, (uint16_t)(value - 1), false);
	case NFT_CMP_LTE:
		return evaluation_port(e, 0, value, false);
	case NFT_CMP_GT:
		return value == UINT16_MAX ? KNOWN_NO : evaluation_port(e, (uint16_t)(value + 1), UINT16_MAX, false);
	case NFT_CMP_GTE:
		return evaluation_port(e, value, UINT16_MAX, false);
	default:
		return KNOWN_MAYBE;
	}
}

static bool is_excluded(const struct evaluation *e, size_t at, const uint8_t *bytes, size_t length)
{
	const struct tag *tag = &e->tags[at / 4];

	return at % 4 == 0 && tag->kind == TAG_NOT && length >= tag->length &&
	       memcmp(tag->not_value, bytes, tag->length) == 0;
}

static enum known match_cmp(struct evaluation *e, const struct expression *x)
{
	uint32_t operation = UINT32_MAX;
	const uint8_t *bytes;
	size_t length;
	size_t at;
	int order;

	netlink_u32(x->table[NFTA_CMP_OP], &operation);
	if (!data_bytes(x->table[NFTA_CMP_DATA], &bytes, &length) || !register_at(x, NFTA_CMP_SREG, length, &at))
		return KNOWN_MAYBE;
	if (at % 4 == 0 && e->tags[at / 4].kind == TAG_PORT && length == 2)
		return compare_port(e, operation, (uint16_t)(bytes[0] << 8 | bytes[1]));
	if (is_excluded(e, at, bytes, length) && (operation == NFT_CMP_EQ || operation == NFT_CMP_NEQ))
		return known_bool(operation == NFT_CMP_NEQ);
	order = compare_register(e, at, bytes, length);
	switch (operation) {
	case NFT_CMP_EQ:
		return order == 2 ? KNOWN_MAYBE : known_bool(order == 0);
	case NFT_CMP_NEQ:
		return order == 2 ? KNOWN_MAYBE : known_bool(order != 0);
	case NFT_CMP_LT:
		return order >= 2 ? KNOWN_MAYBE : known_bool(order < 0);
	case NFT_CMP_LTE:
		return order >= 2 ? KNOWN_MAYBE : known_bool(order <= 0);
	case NFT_CMP_GT:
		return order >= 2 ? KNOWN_MAYBE : known_bool(order > 0);
	case NFT_CMP_GTE:
		return order >= 2 ? KNOWN_MAYBE : known_bool(order >= 0);
	default:
		return KNOWN_MAYBE;
	}
}

static enum known match_range(struct evaluation *e, const struct expression *x)
{
	uint32_t operation = UINT32_MAX;
	const uint8_t *from;
	const uint8_t *to;
	size_t lengths[2];
	size_t at;
	int low;
	int high;

	netlink_u32(x->table[NFTA_RANGE_OP], &operation);
	if (operation > NFT_RANGE_NEQ || !data_bytes(x->table[NFTA_RANGE_FROM_DATA], &from, &lengths[0]) ||
		!data_bytes(x->table[NFTA_RANGE_TO_DATA], &to, &lengths[1]) || lengths[0] != lengths[1] ||
		!register_at(x, NFTA_RANGE_SREG, lengths[0], &at))
		return KNOWN_MAYBE;
	if (at % 4 == 0 && e->tags[at / 4].kind == TAG_PORT && lengths[0] == 2)
		return evaluation_port(e, (uint16_t)(from[0] << 8 | from[1]), (uint16_t)(to[0] << 8 | to[1]),
			operation == NFT_RANGE_NEQ);
	low = compare_register(e, at, from, lengths[0]);
	high = compare_register(e, at, to, lengths[0]);
	if (low == -1 || high == 1)
		return known_bool(operation == NFT_RANGE_NEQ);
	if (low >= 2 || high >= 2)
		return KNOWN_MAYBE;
	return known_bool(operation == NFT_RANGE_EQ);
}

/* --- verdicts --- */

static void act_verdict(struct evaluation *e, int32_t code, const char *chain)
{
	e->acts = true;
	e->ends = true;
	switch (code) {
	case NF_ACCEPT:
		e->outcome = MAY_ACCEPT;
		return;
	case NF_DROP:
		e->outcome = MAY_DROP;
		return;
	case NFT_RETURN:
		e->outcome = MAY_RETURN;
		return;
	case NFT_JUMP:
	case NFT_GOTO:
		e->goes = code == NFT_GOTO;
		e->outcome = 0;
		snprintf(e->jump, sizeof(e->jump), "%s", chain ? chain : "");
		return;
	case NFT_CONTINUE:
	case NFT_BREAK:
		e->ends = false;
		return;
	default:
		/* To a program (NF_QUEUE), or stolen. */
		e->outcome = MAY_DROP | MAY_ACCEPT;
		return;
	}
}

static bool read_verdict(const struct nlattr *nest, int32_t *ret, const char **ret_chain)
{
	const struct nlattr *data[NFTA_DATA_MAX + 1];
	const struct nlattr *table[NFTA_VERDICT_MAX + 1];
	uint32_t code;

	netlink_nest(nest, data, ARRAY_SIZE(data));
	netlink_nest(data[NFTA_DATA_VERDICT], table, ARRAY_SIZE(table));
	if (!netlink_u32(table[NFTA_VERDICT_CODE], &code))
		return false;
	*ret = (int32_t)code;
	*ret_chain = netlink_string(table[NFTA_VERDICT_CHAIN]);
	return true;
}

static enum known run_immediate(struct evaluation *e, const struct expression *x)
{
	const uint8_t *bytes;
	const char *chain;
	size_t length;
	int32_t code;

	if (is_verdict_register(x, NFTA_IMMEDIATE_DREG)) {
		if (read_verdict(x->table[NFTA_IMMEDIATE_DATA], &code, &chain))
			act_verdict(e, code, chain);
		else
			act_verdict(e, NF_QUEUE, NULL);
	} else if (data_bytes(x->table[NFTA_IMMEDIATE_DATA], &bytes, &length)) {
		store_known(e, x, NFTA_IMMEDIATE_DREG, bytes, length);
	} else {
		store_unknown(e, x, NFTA_IMMEDIATE_DREG, IMAGE_BYTES);
	}
	return KNOWN_YES;
}

/* Undecided, in a map of verdicts: any chain of the table, or any verdict. */
static enum known any_verdict(struct evaluation *e)
{
	e->acts = e->ends = e->anywhere = true;
	e->outcome = MAY_DROP | MAY_ACCEPT | MAY_RETURN;
	return KNOWN_MAYBE;
}

static enum known match_lookup(struct evaluation *e, const struct expression *x)
{
	const char *set = netlink_string(x->table[NFTA_LOOKUP_SET]);
	bool verdict = x->table[NFTA_LOOKUP_DREG] && is_verdict_register(x, NFTA_LOOKUP_DREG);
	struct element element = {.found = KNOWN_MAYBE};
	uint32_t flags = 0;
	size_t length = 0;
	size_t at;

	netlink_u32(x->table[NFTA_LOOKUP_FLAGS], &flags);
	if (e->walk && set)
		length = e->walk->source->key_length(e->walk->source->data, set);
	if (length > 0 && length <= IMAGE_BYTES && register_at(x, NFTA_LOOKUP_SREG, length, &at)) {
		bool known = true;

		for (size_t i = 0; i < length; i++)
			known = known && e->registers.mask[at + i] == 0xff;
		if (known)
			e->walk->source->lookup(e->walk->source->data, set, e->registers.data + at, length, &element);
	}
	if (x->table[NFTA_LOOKUP_DREG] && !verdict) {
		if (element.found == KNOWN_YES && element.data_length)
			store_known(e, x, NFTA_LOOKUP_DREG, element.data, element.data_length);
		else
			store_unknown(e, x, NFTA_LOOKUP_DREG, IMAGE_BYTES);
	}
	if (verdict && element.found == KNOWN_YES && element.has_verdict)
		act_verdict(e, element.verdict, element.chain);
	else if (verdict && element.found != KNOWN_NO)
		return any_verdict(e);
	return flags & NFT_LOOKUP_F_INV ? known_not(element.found) : element.found;
}

/* --- statements that matter --- */

void evaluation_effect(struct evaluation *e, struct effect *effect)
{
	e->acts = true;
	effect->certain = e->match == KNOWN_YES && e->walk && !e->walk->undecided;
	effect->port_first = e->packet.port_first;
	effect->port_last = e->packet.port_last;
	effect->chain = e->chain;
	effect->rule = e->rule;
	if (effect->kind == FOREIGN_NAT || effect->kind == FOREIGN_REWRITE)
		e->maps_ports = true;
	if (e->walk)
		e->walk->source->effect(e->walk->source->data, effect);
}

/* Reads "to where" from the registers. */
static void read_target(struct evaluation *e, const struct expression *x, unsigned int address, unsigned int port,
	struct effect *effect)
{
	size_t length = e->packet.family == NFPROTO_IPV4 ? 4 : 16;
	size_t at;

	effect->width = e->packet.family == NFPROTO_IPV4 ? WIDTH_IPV4 : WIDTH_IPV6;
	if (address && x->table[address]) {
		effect->address_changes = true;
		if (register_at(x, address, length, &at)) {
			effect->address_known = true;
			for (size_t i = 0; i < length; i++)
				effect->address_known = effect->address_known && e->registers.mask[at + i] == 0xff;
			if (effect->address_known)
				effect->address = value_from_bytes(effect->width, e->registers.data + at);
		}
	}
	if (x->table[port]) {
		effect->port_changes = true;
		if (register_at(x, port, 2, &at) && e->registers.mask[at] == 0xff && e->registers.mask[at + 1] == 0xff)
			effect->to_port = (uint16_t)(e->registers.data[at] << 8 | e->registers.data[at + 1]);
	}
}

/* Several ports: which one is not known. */
static void limit_to_one_port(
	struct evaluation *e, const struct expression *x, unsigned int last_port, struct effect *effect)
{
	struct effect last = {0};

	if (!x->table[last_port])
		return;
	read_target(e, x, 0, last_port, &last);
	if (last.to_port != effect->to_port)
		effect->to_port = 0;
}

static enum known run_nat(struct evaluation *e, const struct expression *x)
{
	struct effect effect = {.kind = FOREIGN_NAT};
	uint32_t type = UINT32_MAX;
	const uint32_t family = e->packet.family;
	uint32_t found = family;

	netlink_u32(x->table[NFTA_NAT_TYPE], &type);
	netlink_u32(x->table[NFTA_NAT_FAMILY], &found);
	if (found != family)
		return KNOWN_NO;
	if (type == NFT_NAT_DNAT) {
		read_target(e, x, NFTA_NAT_REG_ADDR_MIN, NFTA_NAT_REG_PROTO_MIN, &effect);
		limit_to_one_port(e, x, NFTA_NAT_REG_PROTO_MAX, &effect);
		evaluation_effect(e, &effect);
	}
	act_verdict(e, NF_ACCEPT, NULL);
	return KNOWN_YES;
}

static enum known run_redirect(struct evaluation *e, const struct expression *x)
{
	struct effect effect = {.kind = FOREIGN_NAT};

	read_target(e, x, 0, NFTA_REDIR_REG_PROTO_MIN, &effect);
	limit_to_one_port(e, x, NFTA_REDIR_REG_PROTO_MAX, &effect);
	evaluation_effect(e, &effect);
	act_verdict(e, NF_ACCEPT, NULL);
	return KNOWN_YES;
}

static enum known run_tproxy(struct evaluation *e, const struct expression *x)
{
	struct effect effect = {.kind = FOREIGN_REWRITE, .proxied = true};

	read_target(e, x, NFTA_TPROXY_REG_ADDR, NFTA_TPROXY_REG_PORT, &effect);
	evaluation_effect(e, &effect);
	return KNOWN_MAYBE;
}

static enum known run_effect(struct evaluation *e, enum foreign_kind kind)
{
	evaluation_effect(e, &(struct effect){.kind = kind});
	return KNOWN_YES;
}

static enum known run_notrack(struct evaluation *e, const struct expression *x _unused_)
{
	return run_effect(e, FOREIGN_NOTRACK);
}

static enum known run_flow(struct evaluation *e, const struct expression *x _unused_)
{
	return run_effect(e, FOREIGN_FLOWTABLE);
}

static enum known run_forward(struct evaluation *e, const struct expression *x _unused_)
{
	run_effect(e, FOREIGN_AWAY);
	act_verdict(e, NF_QUEUE, NULL);
	return KNOWN_YES;
}

static enum known run_reject(struct evaluation *e, const struct expression *x _unused_)
{
	act_verdict(e, NF_DROP, NULL);
	return KNOWN_YES;
}

static enum known run_accept(struct evaluation *e, const struct expression *x _unused_)
{
	act_verdict(e, NF_ACCEPT, NULL);
	return KNOWN_YES;
}

static enum known run_queue(struct evaluation *e, const struct expression *x _unused_)
{
	act_verdict(e, NF_QUEUE, NULL);
	return KNOWN_YES;
}

static enum known run_nothing(struct evaluation *e _unused_, const struct expression *x _unused_)
{
	return KNOWN_YES;
}

/* Names an object: one that counts changes nothing; a limit or a quota may say no. */
static enum known run_object(struct evaluation *e _unused_, const struct expression *x)
{
	uint32_t type = NFT_OBJECT_LIMIT;

	netlink_u32(x->table[NFTA_OBJREF_IMM_TYPE], &type);
	return type == NFT_OBJECT_LIMIT || type == NFT_OBJECT_QUOTA || type == NFT_OBJECT_CONNLIMIT ? KNOWN_MAYBE
												    : KNOWN_YES;
}

static enum known run_dynamic(struct evaluation *e _unused_, const struct expression *x)
{
	return x->table[NFTA_DYNSET_EXPR] || x->table[NFTA_DYNSET_EXPRESSIONS] ? KNOWN_MAYBE : KNOWN_YES;
}

static enum known run_target(struct evaluation *e, const struct expression *x)
{
	xt_target(e, x);
	return KNOWN_YES;
}

static const struct {
	const char *name;
	enum known (*run)(struct evaluation *e, const struct expression *x);
} expressions[] = {
	{"meta", load_meta},
	{"payload", load_payload},
	{"cmp", match_cmp},
	{"immediate", run_immediate},
	{"lookup", match_lookup},
	{"ct", load_ct},
	{"bitwise", apply_bitwise},
	{"counter", run_nothing},
	{"log", run_nothing},
	{"last", run_nothing},
	{"match", xt_match},
	{"target", run_target},
	{"range", match_range},
	{"fib", load_fib},
	{"nat", run_nat},
	{"redir", run_redirect},
	{"masq", run_accept},
	{"reject", run_reject},
	{"byteorder", apply_byteorder},
	{"notrack", run_notrack},
	{"flow_offload", run_flow},
	{"fwd", run_forward},
	{"dup", run_nothing},
	{"tproxy", run_tproxy},
	{"queue", run_queue},
	{"synproxy", run_queue},
	{"objref", run_object},
	{"dynset", run_dynamic},
};

/* Limits, quotas, sockets, numbers at random and whatever else there is: perhaps. What it loads is not known. */
static enum known run_expression(struct evaluation *e, const struct expression *x)
{
	for (size_t i = 0; i < ARRAY_SIZE(expressions); i++)
		if (strcmp(expressions[i].name, x->name) == 0)
			return expressions[i].run(e, x);
	memset(&e->registers, 0, sizeof(e->registers));
	memset(e->tags, 0, sizeof(e->tags));
	return KNOWN_MAYBE;
}

static void evaluate(struct evaluation *e)
{
	_cleanup_free_ struct expression *list = NULL;
	size_t count = 0;

	e->match = KNOWN_YES;
	if (!expressions_read(e->rule->expressions, &list, &count))
		e->match = KNOWN_MAYBE;
	for (size_t i = 0; i < count && !e->ends; i++) {
		enum known known = run_expression(e, &list[i]);

		if (known < e->match)
			e->match = known;
		if (e->match == KNOWN_NO)
			return;
	}
}

/* --- chains --- */

static void note_drop(struct walk *walk, const struct foreign_chain *chain, const struct foreign_rule *rule)
{
	if (!walk->dropped) {
		walk->first_chain = chain;
		walk->first_rule = rule;
	}
	walk->dropped = true;
	walk->last_chain = chain;
	walk->last_rule = rule;
}

static unsigned int walk_to(struct walk *walk, const char *name, const struct walked *packet)
{
	const struct foreign_chain *chain =
		walk->depth < WALK_DEPTH ? walk->source->chain(walk->source->data, name) : NULL;

	return chain ? walk_chain(walk, chain, packet) : MAY_DROP | MAY_ACCEPT | MAY_RETURN;
}

static unsigned int walk_anywhere(struct walk *walk, const struct walked *packet)
{
	unsigned int outcome = MAY_RETURN;
	const char *name;

	/* Once is enough: from there on all of them have been seen. */
	if (walk->everywhere)
		return MAY_DROP | MAY_ACCEPT | MAY_RETURN;
	walk->everywhere = true;
	for (size_t i = 0; walk->budget && (name = walk->source->regular(walk->source->data, i)); i++)
		outcome |= walk_to(walk, name, packet);
	return outcome;
}

/* What a rule that applies, or may, does to the packet. */
static unsigned int follow(struct walk *walk, struct evaluation *e)
{
	unsigned int outcome = e->outcome;
	bool undecided = walk->undecided;

	if (e->match == KNOWN_MAYBE)
		walk->undecided = true;
	if (outcome & MAY_DROP)
		note_drop(walk, e->chain, e->rule);
	if (e->jump[0]) {
		outcome |= walk_to(walk, e->jump, &e->packet);
		/* A chain that could not be had may drop. */
		if ((outcome & MAY_DROP) && !walk->dropped)
			note_drop(walk, e->chain, e->rule);
	}
	if (e->anywhere)
		outcome |= walk_anywhere(walk, &e->packet);
	/* What came back took one of several ways. */
	walk->undecided = undecided || (outcome & (outcome - 1)) != 0 || e->match == KNOWN_MAYBE;
	return outcome;
}

unsigned int walk_chain(struct walk *walk, const struct foreign_chain *chain, const struct walked *packet)
{
	unsigned int possible = 0;

	walk->depth++;
	for (size_t i = 0; i < chain->count; i++) {
		struct evaluation e = {.walk = walk, .chain = chain, .rule = &chain->rules[i], .packet = *packet};
		unsigned int outcome;
		bool undecided = walk->undecided;

		if (walk->budget == 0) {
			walk->depth--;
			return MAY_DROP | MAY_ACCEPT | MAY_RETURN;
		}
		walk->budget--;
		evaluate(&e);
		if (e.match == KNOWN_NO || !e.ends)
			continue;
		outcome = follow(walk, &e);
		/* A rule that only may apply leaves the way open; one that does not act on the rest leaves it as it
		 * was. */
		if (e.match == KNOWN_MAYBE && outcome == MAY_RETURN && e.jump[0])
			walk->undecided = undecided;
		/* A return at the end of a jump goes on behind it; anywhere else it leaves this chain. */
		bool goes_on = e.match == KNOWN_MAYBE || e.anywhere || (e.jump[0] && !e.goes && (outcome & MAY_RETURN));

		possible |= e.jump[0] && !e.goes ? outcome & ~(unsigned int)MAY_RETURN : outcome;
		if (!goes_on) {
			walk->depth--;
			return possible;
		}
	}
	walk->depth--;
	return possible | MAY_RETURN;
}

bool walk_rule_matters(const struct foreign_rule *rule, const struct walked *packets, size_t count, bool nat,
	const uint16_t *ports, size_t port_count, bool *ret_names_port)
{
	bool matters = false;

	for (size_t i = 0; i < count; i++) {
		struct evaluation e = {.rule = rule, .packet = packets[i]};

		evaluate(&e);
		if (e.match == KNOWN_NO || !e.acts)
			continue;
		if (e.maps_ports || (nat && (e.jump[0] || e.anywhere)))
			matters = true;
		for (size_t k = 0; k < port_count; k++)
			if (e.packet.port_first <= ports[k] && ports[k] <= e.packet.port_last) {
				matters = true;
				if (e.packet.port_first > 0 || e.packet.port_last < UINT16_MAX)
					*ret_names_port = true;
			}
	}
	return matters;
}
