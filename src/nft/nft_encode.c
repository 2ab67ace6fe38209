/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The model to messages. Objects go through libnftnl; elements are packed here, because libnftnl cuts a list of
 * elements at 64 KiB without a word (netlink-pitfalls 5.13) and keeps 100,000 of them as 100,000 objects.
 */

#include <endian.h>
#include <string.h>

#include <libnftnl/batch.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#include "nft_private.h"

/* One message holds one object, or one list of elements, whose attribute has a 16-bit length. */
#define MESSAGE_ROOM (2 * 64 * 1024)
/* Where a list of elements ends: below 65,535 by more than the largest pair of elements (with two names of 255). */
#define ELEMENTS_LIMIT 63000
/* nft's own limit for comments is 128 with NUL; the length byte of userdata ends at 255. */
#define COMMENT_LIMIT 127

/* The first data register, as nft uses it; the kernel answers with its number in units of 32 bits. */
#define REGISTER NFT_REG_1

/* --- batch --- */

static void *batch_reserve(struct batch *batch)
{
	if (batch->capacity - batch->used < MESSAGE_ROOM) {
		/* By half: the buffer is moved by remap, and the pages behind `used` are never touched. */
		batch->capacity = batch->capacity + batch->capacity / 2 + 2 * MESSAGE_ROOM;
		batch->data = mem_resize(batch->data, batch->capacity, 1);
	}
	return batch->data + batch->used;
}

static uint32_t batch_next(struct batch *batch, const char *what, const char *name, uint32_t origin)
{
	ARRAY_GROW(batch->notes, batch->note_count, batch->note_capacity);
	batch->notes[batch->note_count++] = (struct batch_note){what, name, origin};
	return netlink_sequence(batch->netlink);
}

static struct nlmsghdr *message_begin(
	struct batch *batch, uint16_t type, uint16_t flags, const char *what, const char *name, uint32_t origin)
{
	uint32_t sequence = batch_next(batch, what, name, origin);

	return nftnl_nlmsg_build_hdr(batch_reserve(batch), type, NFPROTO_INET, flags, sequence);
}

static void message_finish(struct batch *batch, const struct nlmsghdr *message)
{
	batch->used += MNL_ALIGN(message->nlmsg_len);
}

void batch_begin(struct batch *batch, struct netlink *netlink, uint32_t generation)
{
	struct nlmsghdr *message;

	batch->netlink = netlink;
	batch->first_sequence = batch_next(batch, "transaction", NULL, 0);
	message = nftnl_batch_begin(batch_reserve(batch), batch->first_sequence);
	/* 0 would mean "whatever the generation is". */
	if (generation)
		mnl_attr_put_u32(message, NFNL_BATCH_GENID, htobe32(generation));
	message_finish(batch, message);
}

void batch_end(struct batch *batch)
{
	uint32_t sequence = batch_next(batch, "transaction", NULL, 0);

	message_finish(batch, nftnl_batch_end(batch_reserve(batch), sequence));
}

void batch_done(struct batch *batch)
{
	free(batch->data);
	free(batch->notes);
	*batch = (struct batch){0};
}

/* --- objects --- */

/* One short attribute in a buffer that is large enough: libnftnl 1.2.4 checks the room wrongly (pitfalls 5.20). */
static struct nftnl_udata_buf *comment_userdata(const char *comment, uint8_t type)
{
	char cut[COMMENT_LIMIT + 1];
	struct nftnl_udata_buf *buffer = nftnl_udata_buf_alloc(256);

	if (!buffer)
		abort();
	snprintf(cut, sizeof(cut), "%s", comment);
	nftnl_udata_put_strz(buffer, type, cut);
	return buffer;
}

static void *checked(void *object)
{
	if (!object)
		abort(); /* libnftnl returns NULL only where memory has run out or an expression has no name */
	return object;
}

static void free_table(struct nftnl_table **table)
{
	nftnl_table_free(*table);
}

void batch_add_table(struct batch *batch, const struct ruleset *ruleset)
{
	_cleanup_(free_table) struct nftnl_table *table = checked(nftnl_table_alloc());
	struct nlmsghdr *message = message_begin(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE, "table", TABLE_NAME, 0);

	nftnl_table_set_str(table, NFTNL_TABLE_NAME, TABLE_NAME);
	nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, ruleset->flags);
	if (ruleset->comment) {
		struct nftnl_udata_buf *userdata = comment_userdata(ruleset->comment, NFTNL_UDATA_TABLE_COMMENT);

		nftnl_table_set_data(
			table, NFTNL_TABLE_USERDATA, nftnl_udata_buf_data(userdata), nftnl_udata_buf_len(userdata));
		nftnl_udata_buf_free(userdata);
	}
	nftnl_table_nlmsg_build_payload(message, table);
	message_finish(batch, message);
}

void batch_try_table(struct batch *batch, const char *name, uint32_t flags)
{
	struct nlmsghdr *message = message_begin(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE, "table", name, 0);

	mnl_attr_put_strz(message, NFTA_TABLE_NAME, name);
	mnl_attr_put_u32(message, NFTA_TABLE_FLAGS, htobe32(flags));
	message_finish(batch, message);
}

void batch_update_table(struct batch *batch, uint32_t flags)
{
	batch_try_table(batch, TABLE_NAME, flags);
}

void batch_delete_table(struct batch *batch)
{
	struct nlmsghdr *message = message_begin(batch, NFT_MSG_DELTABLE, 0, "table", TABLE_NAME, 0);

	mnl_attr_put_strz(message, NFTA_TABLE_NAME, TABLE_NAME);
	message_finish(batch, message);
}

static void free_object(struct nftnl_obj **object)
{
	nftnl_obj_free(*object);
}

void batch_add_counter(struct batch *batch, const struct counter *counter)
{
	_cleanup_(free_object) struct nftnl_obj *object = checked(nftnl_obj_alloc());
	struct nlmsghdr *message = message_begin(
		batch, NFT_MSG_NEWOBJ, NLM_F_CREATE | NLM_F_EXCL, "counter", counter->name, counter->origin);

	nftnl_obj_set_str(object, NFTNL_OBJ_TABLE, TABLE_NAME);
	nftnl_obj_set_str(object, NFTNL_OBJ_NAME, counter->name);
	nftnl_obj_set_u32(object, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
	if (counter->comment) {
		struct nftnl_udata_buf *userdata = comment_userdata(counter->comment, NFTNL_UDATA_OBJ_COMMENT);

		nftnl_obj_set_data(
			object, NFTNL_OBJ_USERDATA, nftnl_udata_buf_data(userdata), nftnl_udata_buf_len(userdata));
		nftnl_udata_buf_free(userdata);
	}
	nftnl_obj_nlmsg_build_payload(message, object);
	message_finish(batch, message);
}

void batch_delete_object(struct batch *batch, const char *name, uint32_t type)
{
	struct nlmsghdr *message = message_begin(batch, NFT_MSG_DELOBJ, 0, "object", name, 0);

	mnl_attr_put_strz(message, NFTA_OBJ_TABLE, TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_OBJ_NAME, name);
	mnl_attr_put_u32(message, NFTA_OBJ_TYPE, htobe32(type));
	message_finish(batch, message);
}

void batch_delete_flowtable(struct batch *batch, const char *name)
{
	struct nlmsghdr *message = message_begin(batch, NFT_MSG_DELFLOWTABLE, 0, "flowtable", name, 0);

	mnl_attr_put_strz(message, NFTA_FLOWTABLE_TABLE, TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_FLOWTABLE_NAME, name);
	message_finish(batch, message);
}

static uint32_t hook_number(enum hook hook)
{
	switch (hook) {
	case HOOK_PREROUTING:
		return NF_INET_PRE_ROUTING;
	case HOOK_INPUT:
		return NF_INET_LOCAL_IN;
	case HOOK_FORWARD:
		return NF_INET_FORWARD;
	case HOOK_OUTPUT:
		return NF_INET_LOCAL_OUT;
	case HOOK_POSTROUTING:
		return NF_INET_POST_ROUTING;
	}
	abort();
}

static void free_chain(struct nftnl_chain **chain)
{
	nftnl_chain_free(*chain);
}

void batch_add_chain(struct batch *batch, const struct chain *model)
{
	_cleanup_(free_chain) struct nftnl_chain *chain = checked(nftnl_chain_alloc());
	/* No EXCL: on a chain that is there this changes its policy, and nothing else. */
	struct nlmsghdr *message =
		message_begin(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE, "chain", model->name, model->origin);

	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, TABLE_NAME);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, model->name);
	if (model->base) {
		nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook_number(model->hook));
		nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, model->priority);
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, model->drop_policy ? NF_DROP : NF_ACCEPT);
	}
	if (model->comment) {
		struct nftnl_udata_buf *userdata = comment_userdata(model->comment, NFTNL_UDATA_CHAIN_COMMENT);

		nftnl_chain_set_data(
			chain, NFTNL_CHAIN_USERDATA, nftnl_udata_buf_data(userdata), nftnl_udata_buf_len(userdata));
		nftnl_udata_buf_free(userdata);
	}
	nftnl_chain_nlmsg_build_payload(message, chain);
	message_finish(batch, message);
}

void batch_delete_chain(struct batch *batch, const struct chain *chain)
{
	struct nlmsghdr *message = message_begin(batch, NFT_MSG_DELCHAIN, 0, "chain", chain->name, chain->origin);

	mnl_attr_put_strz(message, NFTA_CHAIN_TABLE, TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_CHAIN_NAME, chain->name);
	message_finish(batch, message);
}

void batch_flush_chain(struct batch *batch, const struct chain *chain)
{
	struct nlmsghdr *message =
		message_begin(batch, NFT_MSG_DELRULE, 0, "rules of chain", chain->name, chain->origin);

	mnl_attr_put_strz(message, NFTA_RULE_TABLE, TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_RULE_CHAIN, chain->name);
	message_finish(batch, message);
}

/* --- rules --- */

static struct nftnl_expr *add_expression(struct nftnl_rule *rule, const char *name)
{
	struct nftnl_expr *expression = checked(nftnl_expr_alloc(name));

	nftnl_rule_add_expr(rule, expression);
	return expression;
}

/* meta load KEY => reg 1 */
static void load_meta(struct nftnl_rule *rule, uint32_t key)
{
	struct nftnl_expr *expression = add_expression(rule, "meta");

	nftnl_expr_set_u32(expression, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_META_DREG, REGISTER);
}

/* payload load LENGTHb @ BASE header + OFFSET => reg TO */
static void load_payload_to(struct nftnl_rule *rule, uint32_t to, uint32_t base, uint32_t offset, uint32_t length)
{
	struct nftnl_expr *expression = add_expression(rule, "payload");

	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_DREG, to);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_LEN, length);
}

static void load_payload(struct nftnl_rule *rule, uint32_t base, uint32_t offset, uint32_t length)
{
	load_payload_to(rule, REGISTER, base, offset, length);
}

/* ct load KEY => reg 1 */
static void load_ct(struct nftnl_rule *rule, uint32_t key)
{
	struct nftnl_expr *expression = add_expression(rule, "ct");

	nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_DREG, REGISTER);
}

/* fib daddr type => reg 1 */
static void load_fib(struct nftnl_rule *rule)
{
	struct nftnl_expr *expression = add_expression(rule, "fib");

	nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_DREG, REGISTER);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
}

/* Offsets: RFC 791 3.1, RFC 8200 3, RFC 9293 3.1. The twin of this switch is decode_load() in nft_decode.c. */
static void load_selector(struct nftnl_rule *rule, enum selector selector)
{
	switch (selector) {
	case SELECT_IIF:
		load_meta(rule, NFT_META_IIF);
		return;
	case SELECT_OIFKIND:
		load_meta(rule, NFT_META_OIFKIND);
		return;
	case SELECT_NFPROTO:
		load_meta(rule, NFT_META_NFPROTO);
		return;
	case SELECT_L4PROTO:
		load_meta(rule, NFT_META_L4PROTO);
		return;
	case SELECT_IP_SADDR:
		load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, 12, 4);
		return;
	case SELECT_IP_DADDR:
		load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, 16, 4);
		return;
	case SELECT_IP6_SADDR:
		load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, 8, 16);
		return;
	case SELECT_IP6_DADDR:
		load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, 24, 16);
		return;
	case SELECT_TCP_SPORT:
		load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2);
		return;
	case SELECT_TCP_DPORT:
		load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
		return;
	case SELECT_TCP_FLAGS:
		load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1);
		return;
	case SELECT_CT_STATE:
		load_ct(rule, NFT_CT_STATE);
		return;
	case SELECT_CT_STATUS:
		load_ct(rule, NFT_CT_STATUS);
		return;
	case SELECT_CT_DIRECTION:
		load_ct(rule, NFT_CT_DIRECTION);
		return;
	case SELECT_CT_LABEL:
		load_ct(rule, NFT_CT_LABELS);
		return;
	case SELECT_FIB_DADDR_TYPE:
		load_fib(rule);
		return;
	case SELECT_FIRST_BYTE:
		load_payload(rule, NFT_PAYLOAD_INNER_HEADER, 0, 1);
		return;
	case SELECT_FIRST_VERSION:
		load_payload(rule, NFT_PAYLOAD_INNER_HEADER, 2, 1);
		return;
	case SELECT_FIRST_BYTES:
		load_payload(rule, NFT_PAYLOAD_INNER_HEADER, 0, 6);
		return;
	case SELECT_COUNT:
		break;
	}
	abort();
}

/* A value as it stands in a register; returns the number of bytes. `bytes` holds 16. */
static uint32_t register_bytes(enum selector selector, struct value value, uint8_t *bytes)
{
	const struct selector_info *info = selector_info(selector);
	uint8_t wide[16];

	switch (info->layout) {
	case LAYOUT_HOST:
		value_to_bytes(WIDTH_IPV6, value, wide);
		for (unsigned int i = 0; i < info->size; i++)
			bytes[i] = wide[htobe16(1) == 1 ? sizeof(wide) - info->size + i : sizeof(wide) - 1 - i];
		return info->size;
	case LAYOUT_NETWORK:
	case LAYOUT_STRING:
		value_to_bytes(WIDTH_IPV6, value, wide);
		memcpy(bytes, wide + sizeof(wide) - info->size, info->size);
		return info->size;
	}
	abort();
}

static void add_compare(struct nftnl_rule *rule, uint32_t comparison, const uint8_t *bytes, uint32_t size)
{
	struct nftnl_expr *expression = add_expression(rule, "cmp");

	nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_SREG, REGISTER);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_OP, comparison);
	nftnl_expr_set_data(expression, NFTNL_EXPR_CMP_DATA, bytes, size);
}

/* bitwise reg 1 = ( reg 1 & MASK ) ^ XOR; NULL: ^ 0 */
static void add_mask(struct nftnl_rule *rule, const uint8_t *mask, const uint8_t * xor, uint32_t size)
{
	static const uint8_t zero[16];
	struct nftnl_expr *expression = add_expression(rule, "bitwise");

	nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_SREG, REGISTER);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_DREG, REGISTER);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_LEN, size);
	nftnl_expr_set_data(expression, NFTNL_EXPR_BITWISE_MASK, mask, size);
	nftnl_expr_set_data(expression, NFTNL_EXPR_BITWISE_XOR, xor? xor : zero, size);
}

static void encode_test(struct nftnl_rule *rule, const struct term *term)
{
	uint8_t value[16];
	uint8_t mask[16];
	uint32_t size = register_bytes(term->selector, term->value, value);

	register_bytes(term->selector, term->mask, mask);
	load_selector(rule, term->selector);
	switch (term->test) {
	case TEST_EQUAL:
		add_compare(rule, NFT_CMP_EQ, value, size);
		return;
	case TEST_NOT_EQUAL:
		add_compare(rule, NFT_CMP_NEQ, value, size);
		return;
	case TEST_AT_LEAST:
		add_compare(rule, NFT_CMP_GTE, value, size);
		return;
	case TEST_ANY_BIT:
		add_mask(rule, mask, NULL, size);
		add_compare(rule, NFT_CMP_NEQ, value, size);
		return;
	case TEST_NO_BIT:
	case TEST_MASKED_EQUAL:
		add_mask(rule, mask, NULL, size);
		add_compare(rule, NFT_CMP_EQ, value, size);
		return;
	}
	abort();
}

static void encode_lookup(struct nftnl_rule *rule, const struct term *term)
{
	struct nftnl_expr *expression;

	load_selector(rule, term->selector);
	expression = add_expression(rule, "lookup");
	nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_SREG, REGISTER);
	nftnl_expr_set_str(expression, NFTNL_EXPR_LOOKUP_SET, term->name);
	if (term->kind == TERM_MAP)
		nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
	if (term->inverted)
		nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

/* immediate reg TO BYTES */
static void add_immediate(struct nftnl_rule *rule, uint32_t to, const void *bytes, uint32_t size)
{
	struct nftnl_expr *expression = add_expression(rule, "immediate");

	nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_DREG, to);
	nftnl_expr_set_data(expression, NFTNL_EXPR_IMM_DATA, bytes, size);
}

const struct key_registers *key_registers(unsigned int address_bytes)
{
	/* As nft counts them: 1 to 4 have 16 bytes, NFT_REG32_00 and on 4 each, and the kernel calls one that begins at
	 * 16 bytes by the first kind of name. */
	static const struct key_registers ipv4 = {NFT_REG32_01, NFT_REG32_02};
	static const struct key_registers ipv6 = {NFT_REG_2, NFT_REG32_05};

	return address_bytes == 4 ? &ipv4 : &ipv6;
}

/* The parts of a key, one register behind the other. The twin of this is decode_key() in nft_decode.c. */
static void load_key(struct nftnl_rule *rule, const struct term *term)
{
	const struct key_registers *registers = key_registers(selector_info(term->selector)->size);
	uint32_t constant = (uint32_t)term->value.lo;
	uint8_t mask[16];

	load_selector(rule, term->selector);
	switch (term->key) {
	case KEY_NONE:
		break;
	case KEY_SOURCE:
		if (value_compare(term->mask, value_zero()) != 0)
			add_mask(rule, mask, NULL, register_bytes(term->selector, term->mask, mask));
		return;
	case KEY_SOURCE_REASON:
		/* A mark: in host order. */
		add_immediate(rule, registers->second, &constant, sizeof(constant));
		return;
	case KEY_FIRST_BYTE:
		load_payload_to(rule, registers->second, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_SPORT_OFFSET, 2);
		load_payload_to(rule, registers->third, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_SEQUENCE_OFFSET, 4);
		return;
	case KEY_NEXT_BYTE:
		load_payload_to(rule, registers->second, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_DPORT_OFFSET, 2);
		load_payload_to(rule, registers->third, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_ACKNOWLEDGE_OFFSET, 4);
		return;
	}
	abort();
}

static void encode_known(struct nftnl_rule *rule, const struct term *term)
{
	struct nftnl_expr *expression;

	load_key(rule, term);
	expression = add_expression(rule, "lookup");
	nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_SREG, REGISTER);
	nftnl_expr_set_str(expression, NFTNL_EXPR_LOOKUP_SET, term->name);
}

static uint32_t update_operation(enum update update)
{
	switch (update) {
	case UPDATE_ADD:
		return NFT_DYNSET_OP_ADD;
	case UPDATE_TOUCH:
		return NFT_DYNSET_OP_UPDATE;
	case UPDATE_DELETE:
		return NFT_DYNSET_OP_DELETE;
	}
	abort();
}

/* Goes on over `limit`. */
static struct nftnl_expr *connection_meter(uint32_t limit)
{
	struct nftnl_expr *expression = checked(nftnl_expr_alloc("connlimit"));

	nftnl_expr_set_u32(expression, NFTNL_EXPR_CONNLIMIT_COUNT, limit);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
	return expression;
}

static void encode_update(struct nftnl_rule *rule, const struct term *term)
{
	struct nftnl_expr *expression;

	load_key(rule, term);
	expression = add_expression(rule, "dynset");
	nftnl_expr_set_u32(expression, NFTNL_EXPR_DYNSET_SREG_KEY, REGISTER);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_DYNSET_OP, update_operation(term->update));
	nftnl_expr_set_str(expression, NFTNL_EXPR_DYNSET_SET_NAME, term->name);
	if (term->connections)
		nftnl_expr_add_expr(expression, NFTNL_EXPR_DYNSET_EXPRESSIONS, connection_meter(term->connections));
}

static void encode_set_label(struct nftnl_rule *rule, const struct term *term)
{
	struct nftnl_expr *expression;
	uint8_t bytes[16];

	add_immediate(rule, REGISTER, bytes, register_bytes(SELECT_CT_LABEL, term->value, bytes));
	expression = add_expression(rule, "ct");
	nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_KEY, NFT_CT_LABELS);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_SREG, REGISTER);
}

/* Bytes 12 and 13 of the TCP header: its length stays, the flags become RST and ACK, and the checksum follows. */
static void encode_turn_reset(struct nftnl_rule *rule)
{
	static const uint8_t keep[] = {0xff, 0x00};
	static const uint8_t flags[] = {0x00, 0x14};
	struct nftnl_expr *expression;

	load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS_OFFSET, TCP_FLAGS_LENGTH);
	add_mask(rule, keep, flags, sizeof(keep));
	expression = add_expression(rule, "payload");
	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_SREG, REGISTER);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET, TCP_FLAGS_OFFSET);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_LEN, TCP_FLAGS_LENGTH);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_CSUM_OFFSET, TCP_CHECKSUM_OFFSET);
}

static void fill_limit(struct nftnl_expr *expression, uint64_t rate, uint32_t burst, uint32_t flags)
{
	nftnl_expr_set_u64(expression, NFTNL_EXPR_LIMIT_RATE, rate);
	nftnl_expr_set_u64(expression, NFTNL_EXPR_LIMIT_UNIT, 1); /* second */
	nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_BURST, burst);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_FLAGS, flags);
}

static uint32_t verdict_code(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_ACCEPT:
		return NF_ACCEPT;
	case VERDICT_DROP:
		return NF_DROP;
	case VERDICT_RETURN:
		return (uint32_t)NFT_RETURN;
	case VERDICT_JUMP:
		return (uint32_t)NFT_JUMP;
	case VERDICT_GOTO:
		return (uint32_t)NFT_GOTO;
	}
	abort();
}

static void encode_term(struct nftnl_rule *rule, const struct term *term)
{
	struct nftnl_expr *expression;

	switch (term->kind) {
	case TERM_TEST:
		encode_test(rule, term);
		return;
	case TERM_LOOKUP:
	case TERM_MAP:
		encode_lookup(rule, term);
		return;
	case TERM_COUNTER:
		expression = add_expression(rule, "objref");
		nftnl_expr_set_u32(expression, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
		nftnl_expr_set_str(expression, NFTNL_EXPR_OBJREF_IMM_NAME, term->name);
		return;
	case TERM_VERDICT:
		expression = add_expression(rule, "immediate");
		nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
		nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_VERDICT, verdict_code(term->verdict));
		if (term->name)
			nftnl_expr_set_str(expression, NFTNL_EXPR_IMM_CHAIN, term->name);
		return;
	case TERM_REJECT_RESET:
		expression = add_expression(rule, "reject");
		nftnl_expr_set_u32(expression, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
		nftnl_expr_set_u8(expression, NFTNL_EXPR_REJECT_CODE, 0);
		return;
	case TERM_SET_LABEL:
		encode_set_label(rule, term);
		return;
	case TERM_TURN_RESET:
		encode_turn_reset(rule);
		return;
	case TERM_LIMIT:
		fill_limit(add_expression(rule, "limit"), term->value.lo, (uint32_t)term->mask.lo, 0);
		return;
	case TERM_LOG:
		expression = add_expression(rule, "log");
		nftnl_expr_set_str(expression, NFTNL_EXPR_LOG_PREFIX, term->name);
		nftnl_expr_set_u16(expression, NFTNL_EXPR_LOG_GROUP, (uint16_t)term->value.lo);
		if (term->mask.lo)
			nftnl_expr_set_u32(expression, NFTNL_EXPR_LOG_SNAPLEN, (uint32_t)term->mask.lo);
		return;
	case TERM_UPDATE:
		encode_update(rule, term);
		return;
	case TERM_KNOWN:
		encode_known(rule, term);
		return;
	}
	abort();
}

static void free_rule(struct nftnl_rule **rule)
{
	nftnl_rule_free(*rule);
}

static void batch_add_rule(struct batch *batch, const struct chain *chain, const struct rule *model)
{
	_cleanup_(free_rule) struct nftnl_rule *rule = checked(nftnl_rule_alloc());
	/* Without APPEND the kernel puts a rule in front of the others (pitfalls 5.12). */
	struct nlmsghdr *message = message_begin(
		batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, "rule in chain", chain->name, model->origin);

	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, TABLE_NAME);
	nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain->name);
	for (size_t i = 0; i < model->term_count; i++)
		encode_term(rule, &model->terms[i]);
	if (model->comment) {
		struct nftnl_udata_buf *userdata = comment_userdata(model->comment, NFTNL_UDATA_RULE_COMMENT);

		nftnl_rule_set_data(
			rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(userdata), nftnl_udata_buf_len(userdata));
		nftnl_udata_buf_free(userdata);
	}
	nftnl_rule_nlmsg_build_payload(message, rule);
	message_finish(batch, message);
}

void batch_add_rules(struct batch *batch, const struct chain *chain)
{
	for (size_t i = 0; i < chain->rule_count; i++)
		batch_add_rule(batch, chain, &chain->rules[i]);
}

/* --- sets --- */

static void free_set(struct nftnl_set **set)
{
	nftnl_set_free(*set);
}

struct set_key set_key(const struct set *set)
{
	static const uint32_t types[] = {
		[WIDTH_PORT] = DATATYPE_SERVICE, [WIDTH_IPV4] = DATATYPE_IPV4, [WIDTH_IPV6] = DATATYPE_IPV6};
	uint32_t type = types[set->elements.width];
	uint32_t length = width_bits(set->elements.width) / 8;

	switch (set->key) {
	case KEY_NONE:
	case KEY_SOURCE:
		return (struct set_key){type, length};
	case KEY_SOURCE_REASON:
		return (struct set_key){type << DATATYPE_BITS | DATATYPE_MARK, length + 4};
	case KEY_FIRST_BYTE:
	case KEY_NEXT_BYTE:
		/* Each part takes whole registers. */
		return (struct set_key){
			type << 2 * DATATYPE_BITS | DATATYPE_SERVICE << DATATYPE_BITS | DATATYPE_INTEGER, length + 8};
	}
	abort();
}

/*
 * Userdata that lets nft show a key of address, port and sequence number, and read it again: NFTNL_UDATA_SET_KEY_TYPEOF
 * as nft 1.0.6 writes it for `typeof ip saddr . tcp sport . tcp sequence` (concat_expr_build_udata() in its
 * src/expression.c): a concatenation of payload expressions, each with its protocol's description and field.
 */
static void put_typeof(struct nftnl_udata_buf *buffer, bool ipv4)
{
	const uint8_t description = ipv4 ? 0x0c : 0x0d; /* PROTO_DESC_IP, PROTO_DESC_IP6 */
	const uint8_t field = ipv4 ? 0x0b : 0x08;	/* IPHDR_SADDR, IP6HDR_SADDR */
	const uint8_t bytes[] = {0x00, 0x04, 0x0d, 0x00, 0x00, 0x00, 0x01, 0x48, 0x00, 0x14, 0x00, 0x04, 0x07, 0x00,
		0x00, 0x00, 0x01, 0x0c, 0x00, 0x04, description, 0x00, 0x00, 0x00, 0x01, 0x04, field, 0x00, 0x00, 0x00,
		0x01, 0x14, 0x00, 0x04, 0x07, 0x00, 0x00, 0x00, 0x01, 0x0c, 0x00, 0x04, 0x08, 0x00, 0x00, 0x00, 0x01,
		0x04, 0x01, 0x00, 0x00, 0x00, 0x02, 0x1a, 0x00, 0x04, 0x07, 0x00, 0x00, 0x00, 0x01, 0x12, 0x00, 0x04,
		0x08, 0x00, 0x00, 0x00, 0x01, 0x04, 0x03, 0x00, 0x00, 0x00, 0x04, 0x04, 0x20, 0x00, 0x00, 0x00};

	_Static_assert(sizeof(bytes) == 0x50, "as long as nft writes it");
	nftnl_udata_put(buffer, NFTNL_UDATA_SET_KEY_TYPEOF, sizeof(bytes), bytes);
}

static void put_meter(struct nftnl_set *set, const struct set *model)
{
	struct nftnl_expr *expression;

	switch (model->meter) {
	case METER_NONE:
		return;
	case METER_COUNTER:
		expression = checked(nftnl_expr_alloc("counter"));
		break;
	case METER_CONNECTIONS:
		expression = connection_meter(model->meter_limit);
		break;
	case METER_RATE:
		expression = checked(nftnl_expr_alloc("limit"));
		fill_limit(expression, model->meter_limit, model->meter_burst, NFT_LIMIT_F_INV);
		break;
	default:
		abort();
	}
	nftnl_set_add_expr(set, expression);
}

/* The comment, and what nft must know of the key. One buffer of 256 bytes holds both: 82 and 2 + 128. */
static struct nftnl_udata_buf *set_userdata(const struct set *model)
{
	struct nftnl_udata_buf *buffer = checked(nftnl_udata_buf_alloc(256));
	char cut[COMMENT_LIMIT + 1];

	if (model->key == KEY_FIRST_BYTE)
		put_typeof(buffer, model->elements.width == WIDTH_IPV4);
	if (model->comment) {
		snprintf(cut, sizeof(cut), "%s", model->comment);
		nftnl_udata_put_strz(buffer, NFTNL_UDATA_SET_COMMENT, cut);
	}
	return buffer;
}

static uint32_t set_flags(const struct set *model)
{
	return (model->interval ? NFT_SET_INTERVAL : 0u) | (model->map ? NFT_SET_MAP : 0u) |
	       (model->key != KEY_NONE ? NFT_SET_EVAL : 0u) | (model->timeout ? NFT_SET_TIMEOUT : 0u);
}

void batch_add_set(struct batch *batch, const struct set *model, uint32_t id)
{
	struct set_key key = set_key(model);
	_cleanup_(free_set) struct nftnl_set *set = checked(nftnl_set_alloc());
	struct nlmsghdr *message =
		message_begin(batch, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, "set", model->name, model->origin);

	nftnl_set_set_str(set, NFTNL_SET_TABLE, TABLE_NAME);
	nftnl_set_set_str(set, NFTNL_SET_NAME, model->name);
	nftnl_set_set_u32(set, NFTNL_SET_ID, id);
	nftnl_set_set_u32(set, NFTNL_SET_FLAGS, set_flags(model));
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, key.type);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, key.length);
	if (model->map)
		nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, (uint32_t)NFT_DATA_VERDICT);
	if (model->size)
		nftnl_set_set_u32(set, NFTNL_SET_DESC_SIZE, model->size);
	if (model->timeout)
		nftnl_set_set_u64(set, NFTNL_SET_TIMEOUT, model->timeout);
	put_meter(set, model);
	struct nftnl_udata_buf *userdata = set_userdata(model);

	if (nftnl_udata_buf_len(userdata))
		nftnl_set_set_data(
			set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(userdata), nftnl_udata_buf_len(userdata));
	nftnl_udata_buf_free(userdata);
	nftnl_set_nlmsg_build_payload(message, set);
	message_finish(batch, message);
}

void batch_delete_set(struct batch *batch, const struct set *set)
{
	struct nlmsghdr *message = message_begin(batch, NFT_MSG_DELSET, 0, "set", set->name, set->origin);

	mnl_attr_put_strz(message, NFTA_SET_TABLE, TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_SET_NAME, set->name);
	message_finish(batch, message);
}

void batch_flush_set(struct batch *batch, const struct set *set)
{
	struct nlmsghdr *message =
		message_begin(batch, NFT_MSG_DELSETELEM, 0, "elements of set", set->name, set->origin);

	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set->name);
	message_finish(batch, message);
}

static void put_target(struct nlmsghdr *message, const struct target *target)
{
	struct nlattr *data = mnl_attr_nest_start(message, NFTA_SET_ELEM_DATA);
	struct nlattr *verdict = mnl_attr_nest_start(message, NFTA_DATA_VERDICT);

	mnl_attr_put_u32(message, NFTA_VERDICT_CODE, htobe32(verdict_code(target->verdict)));
	if (target->chain)
		mnl_attr_put_strz(message, NFTA_VERDICT_CHAIN, target->chain);
	mnl_attr_nest_end(message, verdict);
	mnl_attr_nest_end(message, data);
}

static void put_key(struct nlmsghdr *message, enum width width, struct value key, bool end)
{
	struct nlattr *nest;
	uint8_t bytes[16];

	if (end)
		mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htobe32(NFT_SET_ELEM_INTERVAL_END));
	value_to_bytes(width, key, bytes);
	nest = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
	mnl_attr_put(message, NFTA_DATA_VALUE, width_bits(width) / 8, bytes);
	mnl_attr_nest_end(message, nest);
}

static void put_element(
	struct nlmsghdr *message, enum width width, struct value key, bool end, const struct target *target)
{
	struct nlattr *element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);

	put_key(message, width, key, end);
	if (target)
		put_target(message, target);
	mnl_attr_nest_end(message, element);
}

static const struct target *find_target(const struct set *set, struct value first)
{
	for (size_t i = 0; set->targets && i < set->elements.count; i++)
		if (value_compare(intervals_get(&set->elements, i).first, first) == 0)
			return &set->targets[i];
	return NULL;
}

static void batch_elements(
	struct batch *batch, const struct set *set, const struct intervals *which, uint16_t type, uint16_t flags)
{
	enum width width = set->elements.width;
	bool add = type == NFT_MSG_NEWSETELEM;
	size_t i = 0;

	while (i < which->count) {
		struct interval item = intervals_get(which, i);
		struct nlmsghdr *message = message_begin(
			batch, type, flags, "elements of set", set->name, item.origin ? item.origin : set->origin);
		struct nlattr *list;

		mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
		mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set->name);
		list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
		/* Both ends of an interval go into one message (pitfalls 5.14). */
		for (; i < which->count && message->nlmsg_len < ELEMENTS_LIMIT; i++) {
			item = intervals_get(which, i);
			put_element(message, width, item.first, false, add ? find_target(set, item.first) : NULL);
			/* Behind the highest value there is nothing that could end it. */
			if (set->interval && value_compare(item.last, value_max(width)) < 0)
				put_element(message, width, value_next(item.last), true, NULL);
		}
		mnl_attr_nest_end(message, list);
		message_finish(batch, message);
	}
}

void batch_add_elements(struct batch *batch, const struct set *set, const struct intervals *which)
{
	batch_elements(batch, set, which ? which : &set->elements, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL);
}

void batch_delete_elements(struct batch *batch, const struct set *set, const struct intervals *which)
{
	batch_elements(batch, set, which, NFT_MSG_DELSETELEM, 0);
}

/* --- bans --- */

/* The time stands with the beginning; the end goes when that does. */
static void put_ban(struct nlmsghdr *message, const struct ban *ban, bool add)
{
	struct nlattr *element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);

	put_key(message, ban->width, ban->source.first, false);
	if (add)
		mnl_attr_put_u64(message, NFTA_SET_ELEM_TIMEOUT,
			htobe64(ban->milliseconds == UINT64_MAX ? 0 : ban->milliseconds));
	mnl_attr_nest_end(message, element);
	if (value_compare(ban->source.last, value_max(ban->width)) < 0)
		put_element(message, ban->width, value_next(ban->source.last), true, NULL);
}

static void batch_bans(struct batch *batch, const struct bans *bans, bool add)
{
	for (size_t i = 0; i < bans->count;) {
		enum width width = bans->items[i].width;
		const char *set = width == WIDTH_IPV4 ? BANNED_SET_V4 : BANNED_SET_V6;
		struct nlmsghdr *message = message_begin(batch, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
			add ? NLM_F_CREATE | NLM_F_EXCL : 0, "elements of set", set, 0);
		struct nlattr *list;

		mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
		mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set);
		list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
		for (; i < bans->count && bans->items[i].width == width && message->nlmsg_len < ELEMENTS_LIMIT; i++)
			put_ban(message, &bans->items[i], add);
		mnl_attr_nest_end(message, list);
		message_finish(batch, message);
	}
}

void batch_change_bans(struct batch *batch, const struct ban_plan *plan)
{
	batch_bans(batch, &plan->remove, false);
	batch_bans(batch, &plan->add, true);
}
