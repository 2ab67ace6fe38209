/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Messages to the model. Attributes are read here and not by libnftnl, for two reasons: what it does not know it leaves
 * out, and a comparison that cannot see an attribute cannot see it change; and it ends the process where an attribute
 * is not as it expects. Here whatever is unknown, surplus or of another size makes the object opaque.
 */

#include <endian.h>
#include <errno.h>
#include <string.h>

#include <libnftnl/udata.h>

#include "nft_private.h"

/* How much of an opaque object is shown. */
#define OPAQUE_LIMIT 400

static const void *payload(const struct nlmsghdr *message)
{
	return mnl_nlmsg_get_payload_offset(message, sizeof(struct nfgenmsg));
}

static size_t payload_length(const struct nlmsghdr *message)
{
	size_t length = mnl_nlmsg_get_payload_len(message);

	return length < sizeof(struct nfgenmsg) ? 0 : length - MNL_ALIGN(sizeof(struct nfgenmsg));
}

static bool is_inet(const struct nlmsghdr *message)
{
	const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);

	return mnl_nlmsg_get_payload_len(message) >= sizeof(*header) && header->nfgen_family == NFPROTO_INET;
}

/* Ours: inet and of this table. */
static bool is_ours(const struct nlmsghdr *message, const struct nlattr *table)
{
	const char *name = netlink_string(table);

	return is_inet(message) && name && strcmp(name, TABLE_NAME) == 0;
}

/* Attributes of a message. Others than we know are let pass here: newer kernels add some that only inform (a set's
 * type and count), and what changes an object's meaning shows in its flags or in its expressions, which are strict. */
static bool message_attributes(const struct nlmsghdr *message, const struct nlattr **table, size_t count)
{
	netlink_attributes(payload(message), payload_length(message), table, count);
	/* A cut one could be missing from the table without a trace. */
	return netlink_well_formed(payload(message), payload_length(message));
}

static bool is_whole_nest(const struct nlattr *nest)
{
	return netlink_well_formed(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest));
}

char *decode_comment(const struct nlattr *userdata, uint8_t type)
{
	const uint8_t *bytes = userdata ? mnl_attr_get_payload(userdata) : NULL;
	size_t length = userdata ? mnl_attr_get_payload_len(userdata) : 0;

	/* struct nftnl_udata: type, length, value. */
	while (length >= 2 && bytes[1] <= length - 2) {
		if (bytes[0] == type && bytes[1] > 0 && bytes[1 + bytes[1]] == '\0')
			return mem_string((const char *)bytes + 2);
		length -= 2u + bytes[1];
		bytes += 2 + bytes[1];
	}
	return NULL;
}

/* Attributes as they are, for what we have no words for: "1=0a000000 2={1=06}". */
static void dump_attributes(const void *data, size_t length, unsigned int depth, struct text *text)
{
	const struct nlattr *attribute = data;
	int left = (int)length;
	const char *between = "";

	for (; mnl_attr_ok(attribute, left) && text->length < OPAQUE_LIMIT;
		left -= (int)MNL_ALIGN(attribute->nla_len), attribute = mnl_attr_next(attribute)) {
		const uint8_t *bytes = mnl_attr_get_payload(attribute);
		size_t size = mnl_attr_get_payload_len(attribute);

		text_printf(text, "%s%u=", between, mnl_attr_get_type(attribute));
		between = " ";
		if ((attribute->nla_type & NLA_F_NESTED) && depth < 4) {
			text_append(text, "{");
			dump_attributes(bytes, size, depth + 1, text);
			text_append(text, "}");
			continue;
		}
		for (size_t i = 0; i < size && i < 32; i++)
			text_printf(text, "%02x", bytes[i]);
		if (size > 32)
			text_append(text, "...");
	}
}

/* --- tables and objects --- */

int decode_table(struct ruleset *ruleset, const struct nlmsghdr *message)
{
	const struct nlattr *table[NFTA_TABLE_MAX + 1];
	uint32_t flags = 0;

	if (!message_attributes(message, table, ARRAY_SIZE(table)))
		return -EBADMSG;
	if (!is_ours(message, table[NFTA_TABLE_NAME]))
		return 0;
	if (!netlink_u32(table[NFTA_TABLE_FLAGS], &flags))
		return -EBADMSG;
	ruleset->present = true;
	ruleset->flags = flags;
	ruleset->owner = 0;
	netlink_u32(table[NFTA_TABLE_OWNER], &ruleset->owner);
	netlink_u64(table[NFTA_TABLE_HANDLE], &ruleset->handle);
	free(ruleset->comment);
	ruleset->comment = decode_comment(table[NFTA_TABLE_USERDATA], NFTNL_UDATA_TABLE_COMMENT);
	return 0;
}

int decode_counter(struct ruleset *ruleset, const struct nlmsghdr *message)
{
	const struct nlattr *table[NFTA_OBJ_MAX + 1];
	const struct nlattr *data[NFTA_COUNTER_MAX + 1];
	struct counter *counter;
	uint32_t type;

	if (!message_attributes(message, table, ARRAY_SIZE(table)))
		return -EBADMSG;
	if (!is_ours(message, table[NFTA_OBJ_TABLE]))
		return 0;
	const char *name = netlink_string(table[NFTA_OBJ_NAME]);

	if (!name || !netlink_u32(table[NFTA_OBJ_TYPE], &type))
		return -EBADMSG;
	if (type != NFT_OBJECT_COUNTER) {
		struct other *other = ruleset_add_other(ruleset, OTHER_OBJECT, name);
		_cleanup_text_ struct text text = {0};

		text_printf(&text, "object of type %u: ", type);
		if (table[NFTA_OBJ_DATA])
			dump_attributes(mnl_attr_get_payload(table[NFTA_OBJ_DATA]),
				mnl_attr_get_payload_len(table[NFTA_OBJ_DATA]), 0, &text);
		other->type = type;
		other->opaque = text_take(&text);
		return 0;
	}
	counter = ruleset_add_counter(ruleset, name);
	netlink_u64(table[NFTA_OBJ_HANDLE], &counter->handle);
	netlink_nest(table[NFTA_OBJ_DATA], data, ARRAY_SIZE(data));
	netlink_u64(data[NFTA_COUNTER_PACKETS], &counter->packets);
	netlink_u64(data[NFTA_COUNTER_BYTES], &counter->bytes);
	counter->comment = decode_comment(table[NFTA_OBJ_USERDATA], NFTNL_UDATA_OBJ_COMMENT);
	return 0;
}

int decode_flowtable(struct ruleset *ruleset, const struct nlmsghdr *message)
{
	const struct nlattr *table[NFTA_FLOWTABLE_MAX + 1];

	if (!message_attributes(message, table, ARRAY_SIZE(table)))
		return -EBADMSG;
	if (!is_ours(message, table[NFTA_FLOWTABLE_TABLE]))
		return 0;
	const char *name = netlink_string(table[NFTA_FLOWTABLE_NAME]);

	if (!name)
		return -EBADMSG;
	ruleset_add_other(ruleset, OTHER_FLOWTABLE, name)->opaque =
		mem_string("flowtable: packets of its connections pass by all chains");
	return 0;
}

/* --- chains --- */

static bool decode_hook(struct chain *chain, const struct nlattr *nest)
{
	const struct nlattr *table[NFTA_HOOK_MAX + 1];
	uint32_t number;
	uint32_t priority;

	if (!netlink_nest(nest, table, ARRAY_SIZE(table)) || table[NFTA_HOOK_DEV] || table[NFTA_HOOK_DEVS] ||
		!netlink_u32(table[NFTA_HOOK_HOOKNUM], &number) || !netlink_u32(table[NFTA_HOOK_PRIORITY], &priority))
		return false;
	chain->priority = (int)priority;
	switch (number) {
	case NF_INET_PRE_ROUTING:
		chain->hook = HOOK_PREROUTING;
		return true;
	case NF_INET_LOCAL_IN:
		chain->hook = HOOK_INPUT;
		return true;
	case NF_INET_FORWARD:
		chain->hook = HOOK_FORWARD;
		return true;
	case NF_INET_LOCAL_OUT:
		chain->hook = HOOK_OUTPUT;
		return true;
	case NF_INET_POST_ROUTING:
		chain->hook = HOOK_POSTROUTING;
		return true;
	default:
		return false;
	}
}

int decode_chain(struct ruleset *ruleset, const struct nlmsghdr *message)
{
	const struct nlattr *table[NFTA_CHAIN_MAX + 1];
	struct chain *chain;
	uint32_t flags = 0;
	uint32_t policy = NF_ACCEPT;
	bool plain = true;

	if (!message_attributes(message, table, ARRAY_SIZE(table)))
		return -EBADMSG;
	if (!is_ours(message, table[NFTA_CHAIN_TABLE]))
		return 0;
	const char *name = netlink_string(table[NFTA_CHAIN_NAME]);

	if (!name)
		return -EBADMSG;
	if (table[NFTA_CHAIN_FLAGS] && !netlink_u32(table[NFTA_CHAIN_FLAGS], &flags))
		return -EBADMSG;
	/* The body of a `jump { ... }`: comes and goes with the rule that holds it. */
	if (flags & NFT_CHAIN_BINDING)
		return 0;
	chain = ruleset_add_chain(ruleset, name);
	netlink_u64(table[NFTA_CHAIN_HANDLE], &chain->handle);
	chain->comment = decode_comment(table[NFTA_CHAIN_USERDATA], NFTNL_UDATA_CHAIN_COMMENT);
	if (table[NFTA_CHAIN_HOOK]) {
		const char *type = netlink_string(table[NFTA_CHAIN_TYPE]);

		chain->base = true;
		plain = type && strcmp(type, "filter") == 0 && decode_hook(chain, table[NFTA_CHAIN_HOOK]) &&
			netlink_u32(table[NFTA_CHAIN_POLICY], &policy) && policy <= NF_ACCEPT;
		chain->drop_policy = policy == NF_DROP;
	}
	/* Counters of a base chain are none of ours, and do no harm. */
	if (!plain || (flags & ~(uint32_t)NFT_CHAIN_BASE)) {
		_cleanup_text_ struct text text = {0};

		text_printf(&text, "chain of type %s: ",
			netlink_string(table[NFTA_CHAIN_TYPE]) ? netlink_string(table[NFTA_CHAIN_TYPE]) : "none");
		if (table[NFTA_CHAIN_HOOK])
			dump_attributes(mnl_attr_get_payload(table[NFTA_CHAIN_HOOK]),
				mnl_attr_get_payload_len(table[NFTA_CHAIN_HOOK]), 0, &text);
		chain->opaque = text_take(&text);
	}
	return 0;
}

/* --- rules --- */

static bool is_named(const struct expression *expression, const char *name)
{
	return strcmp(expression->name, name) == 0;
}

/* True where the expression has attributes of no other types than those in `allowed` (bits). */
static bool has_only(const struct expression *expression, uint32_t allowed)
{
	for (size_t i = 0; i < EXPRESSION_ATTRIBUTES; i++)
		if (expression->table[i] && !(allowed & 1u << i))
			return false;
	return true;
}

#define BIT(type) (1u << (type))

static bool number(const struct expression *expression, unsigned int type, uint32_t *ret)
{
	return netlink_u32(expression->table[type], ret);
}

/* The kernel names the register that nft calls 1 by its first 32-bit part. */
static bool is_register(const struct expression *expression, unsigned int type)
{
	uint32_t reg;

	return number(expression, type, &reg) && (reg == NFT_REG_1 || reg == NFT_REG32_00);
}

static bool is_this_register(const struct expression *expression, unsigned int type, uint32_t wanted)
{
	uint32_t reg;

	if (wanted == NFT_REG_1)
		return is_register(expression, type);
	return number(expression, type, &reg) && reg == wanted;
}

static bool is_one_bit(struct value value)
{
	uint64_t bits = value.hi ? value.hi : value.lo;

	return bits && (bits & (bits - 1)) == 0 && !(value.hi && value.lo);
}

static bool is_verdict_register(const struct expression *expression, unsigned int type)
{
	uint32_t reg;

	return number(expression, type, &reg) && reg == NFT_REG_VERDICT;
}

/* A NFTA_DATA_VALUE of exactly `size` bytes. */
static bool data_value(const struct nlattr *nest, size_t size, const uint8_t **ret)
{
	const struct nlattr *table[NFTA_DATA_MAX + 1];

	if (!netlink_nest(nest, table, ARRAY_SIZE(table)) || table[NFTA_DATA_VERDICT] || !table[NFTA_DATA_VALUE] ||
		mnl_attr_get_payload_len(table[NFTA_DATA_VALUE]) != size)
		return false;
	*ret = mnl_attr_get_payload(table[NFTA_DATA_VALUE]);
	return true;
}

static bool decode_verdict(const struct nlattr *nest, enum verdict *ret, const char **ret_chain)
{
	const struct nlattr *data[NFTA_DATA_MAX + 1];
	const struct nlattr *table[NFTA_VERDICT_MAX + 1];
	uint32_t code;

	if (!netlink_nest(nest, data, ARRAY_SIZE(data)) || data[NFTA_DATA_VALUE] ||
		!netlink_nest(data[NFTA_DATA_VERDICT], table, ARRAY_SIZE(table)) ||
		!netlink_u32(table[NFTA_VERDICT_CODE], &code))
		return false;
	*ret_chain = netlink_string(table[NFTA_VERDICT_CHAIN]);
	switch ((int32_t)code) {
	case NF_ACCEPT:
		*ret = VERDICT_ACCEPT;
		return !*ret_chain;
	case NF_DROP:
		*ret = VERDICT_DROP;
		return !*ret_chain;
	case NFT_RETURN:
		*ret = VERDICT_RETURN;
		return !*ret_chain;
	case NFT_JUMP:
		*ret = VERDICT_JUMP;
		return *ret_chain;
	case NFT_GOTO:
		*ret = VERDICT_GOTO;
		return *ret_chain;
	default:
		return false;
	}
}

static bool decode_meta(const struct expression *expression, enum selector *ret)
{
	uint32_t key;

	if (!has_only(expression, BIT(NFTA_META_DREG) | BIT(NFTA_META_KEY)) ||
		!is_register(expression, NFTA_META_DREG) || !number(expression, NFTA_META_KEY, &key))
		return false;
	switch (key) {
	case NFT_META_IIF:
		*ret = SELECT_IIF;
		return true;
	case NFT_META_OIFKIND:
		*ret = SELECT_OIFKIND;
		return true;
	case NFT_META_NFPROTO:
		*ret = SELECT_NFPROTO;
		return true;
	case NFT_META_L4PROTO:
		*ret = SELECT_L4PROTO;
		return true;
	default:
		return false;
	}
}

static const uint32_t payload_load =
	BIT(NFTA_PAYLOAD_DREG) | BIT(NFTA_PAYLOAD_BASE) | BIT(NFTA_PAYLOAD_OFFSET) | BIT(NFTA_PAYLOAD_LEN);

/* Whether a payload expression is about these bytes. */
static bool is_about(const struct expression *expression, uint32_t base, uint32_t offset, uint32_t length)
{
	uint32_t found[3];

	return number(expression, NFTA_PAYLOAD_BASE, &found[0]) && number(expression, NFTA_PAYLOAD_OFFSET, &found[1]) &&
	       number(expression, NFTA_PAYLOAD_LEN, &found[2]) && found[0] == base && found[1] == offset &&
	       found[2] == length;
}

static bool decode_payload(const struct expression *expression, enum selector *ret)
{
	static const struct {
		uint32_t base;
		uint32_t offset;
		uint32_t length;
		enum selector selector;
	} known[] = {
		{NFT_PAYLOAD_NETWORK_HEADER, 12, 4, SELECT_IP_SADDR},
		{NFT_PAYLOAD_NETWORK_HEADER, 16, 4, SELECT_IP_DADDR},
		{NFT_PAYLOAD_NETWORK_HEADER, 8, 16, SELECT_IP6_SADDR},
		{NFT_PAYLOAD_NETWORK_HEADER, 24, 16, SELECT_IP6_DADDR},
		{NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, SELECT_TCP_SPORT},
		{NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, SELECT_TCP_DPORT},
		{NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, SELECT_TCP_FLAGS},
		{NFT_PAYLOAD_INNER_HEADER, 0, 1, SELECT_FIRST_BYTE},
		{NFT_PAYLOAD_INNER_HEADER, 2, 1, SELECT_FIRST_VERSION},
		{NFT_PAYLOAD_INNER_HEADER, 0, 6, SELECT_FIRST_BYTES},
	};

	if (!has_only(expression, payload_load) || !is_register(expression, NFTA_PAYLOAD_DREG))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (!is_about(expression, known[i].base, known[i].offset, known[i].length))
			continue;
		*ret = known[i].selector;
		return true;
	}
	return false;
}

static bool decode_ct(const struct expression *expression, enum selector *ret)
{
	uint32_t key;

	if (!has_only(expression, BIT(NFTA_CT_DREG) | BIT(NFTA_CT_KEY)) || !is_register(expression, NFTA_CT_DREG) ||
		!number(expression, NFTA_CT_KEY, &key))
		return false;
	if (key == NFT_CT_STATE)
		*ret = SELECT_CT_STATE;
	else if (key == NFT_CT_STATUS)
		*ret = SELECT_CT_STATUS;
	else if (key == NFT_CT_DIRECTION)
		*ret = SELECT_CT_DIRECTION;
	else if (key == NFT_CT_LABELS)
		*ret = SELECT_CT_LABEL;
	else
		return false;
	return true;
}

static bool decode_fib(const struct expression *expression, enum selector *ret)
{
	uint32_t result;
	uint32_t flags;

	if (!has_only(expression, BIT(NFTA_FIB_DREG) | BIT(NFTA_FIB_RESULT) | BIT(NFTA_FIB_FLAGS)) ||
		!is_register(expression, NFTA_FIB_DREG) || !number(expression, NFTA_FIB_RESULT, &result) ||
		!number(expression, NFTA_FIB_FLAGS, &flags))
		return false;
	*ret = SELECT_FIB_DADDR_TYPE;
	return result == NFT_FIB_RESULT_ADDRTYPE && flags == NFTA_FIB_F_DADDR;
}

/* The twin of load_selector() in nft_encode.c. */
static bool decode_load(const struct expression *expression, enum selector *ret)
{
	if (is_named(expression, "meta"))
		return decode_meta(expression, ret);
	if (is_named(expression, "payload"))
		return decode_payload(expression, ret);
	if (is_named(expression, "ct"))
		return decode_ct(expression, ret);
	if (is_named(expression, "fib"))
		return decode_fib(expression, ret);
	return false;
}

static struct value register_value(enum selector selector, const uint8_t *bytes)
{
	const struct selector_info *info = selector_info(selector);
	uint8_t wide[16] = {0};

	for (unsigned int i = 0; i < info->size; i++) {
		bool swapped = info->layout == LAYOUT_HOST && htobe16(1) != 1;

		wide[swapped ? sizeof(wide) - 1 - i : sizeof(wide) - info->size + i] = bytes[i];
	}
	return value_from_bytes(WIDTH_IPV6, wide);
}

/* reg 1 = ( reg 1 & MASK ) ^ XOR, `size` bytes of each. */
static bool decode_bitwise(
	const struct expression *expression, uint32_t size, const uint8_t **ret_mask, const uint8_t **ret_xor)
{
	uint32_t length;
	uint32_t operation = 0;

	return is_named(expression, "bitwise") &&
	       has_only(expression, BIT(NFTA_BITWISE_SREG) | BIT(NFTA_BITWISE_DREG) | BIT(NFTA_BITWISE_LEN) |
					    BIT(NFTA_BITWISE_MASK) | BIT(NFTA_BITWISE_XOR) | BIT(NFTA_BITWISE_OP)) &&
	       is_register(expression, NFTA_BITWISE_SREG) && is_register(expression, NFTA_BITWISE_DREG) &&
	       number(expression, NFTA_BITWISE_LEN, &length) && length == size &&
	       (!expression->table[NFTA_BITWISE_OP] ||
		       (number(expression, NFTA_BITWISE_OP, &operation) && operation == NFT_BITWISE_BOOL)) &&
	       data_value(expression->table[NFTA_BITWISE_MASK], size, ret_mask) &&
	       data_value(expression->table[NFTA_BITWISE_XOR], size, ret_xor);
}

static bool decode_mask(const struct expression *expression, uint32_t size, const uint8_t **ret)
{
	static const uint8_t zero[16];
	const uint8_t *xor_bytes;

	return decode_bitwise(expression, size, ret, &xor_bytes) && memcmp(xor_bytes, zero, size) == 0;
}

static bool decode_compare(const struct expression *expression, const struct selector_info *info,
	uint32_t *ret_comparison, const uint8_t **ret)
{
	return is_named(expression, "cmp") &&
	       has_only(expression, BIT(NFTA_CMP_SREG) | BIT(NFTA_CMP_OP) | BIT(NFTA_CMP_DATA)) &&
	       is_register(expression, NFTA_CMP_SREG) && number(expression, NFTA_CMP_OP, ret_comparison) &&
	       data_value(expression->table[NFTA_CMP_DATA], info->size, ret);
}

static bool decode_lookup(const struct expression *expression, struct term *term, const char **ret_name)
{
	uint32_t flags = 0;

	if (!is_named(expression, "lookup") ||
		!has_only(expression, BIT(NFTA_LOOKUP_SET) | BIT(NFTA_LOOKUP_SREG) | BIT(NFTA_LOOKUP_DREG) |
					      BIT(NFTA_LOOKUP_FLAGS) | BIT(NFTA_LOOKUP_SET_ID)) ||
		!is_register(expression, NFTA_LOOKUP_SREG))
		return false;
	*ret_name = netlink_string(expression->table[NFTA_LOOKUP_SET]);
	if (expression->table[NFTA_LOOKUP_FLAGS] && !number(expression, NFTA_LOOKUP_FLAGS, &flags))
		return false;
	term->kind = expression->table[NFTA_LOOKUP_DREG] ? TERM_MAP : TERM_LOOKUP;
	term->inverted = flags == NFT_LOOKUP_F_INV;
	if (term->kind == TERM_MAP && (term->inverted || !is_verdict_register(expression, NFTA_LOOKUP_DREG)))
		return false;
	return *ret_name && flags <= NFT_LOOKUP_F_INV;
}

/* A load and what is done with the register. Returns how many expressions the term took, 0 where it is none. */
static size_t decode_selected(const struct expression *list, size_t count, struct term *term, const char **ret_name)
{
	const struct selector_info *info;
	const uint8_t *mask = NULL;
	const uint8_t *bytes;
	uint32_t comparison;
	size_t next = 1;

	if (count < 2 || !decode_load(&list[0], &term->selector))
		return 0;
	info = selector_info(term->selector);
	if (decode_lookup(&list[1], term, ret_name))
		return 2;
	if (decode_mask(&list[1], info->size, &mask))
		next = 2;
	if (next >= count || !decode_compare(&list[next], info, &comparison, &bytes))
		return 0;
	term->kind = TERM_TEST;
	term->value = register_value(term->selector, bytes);
	/* The kernel compares bytes from the left, which is the order of numbers only in network order. */
	if (comparison == NFT_CMP_GTE && !mask && info->layout == LAYOUT_NETWORK) {
		term->test = TEST_AT_LEAST;
		return 2;
	}
	if (comparison != NFT_CMP_EQ && comparison != NFT_CMP_NEQ)
		return 0;
	if (!mask) {
		term->test = comparison == NFT_CMP_EQ ? TEST_EQUAL : TEST_NOT_EQUAL;
		return 2;
	}
	term->mask = register_value(term->selector, mask);
	bool zero = value_compare(term->value, value_zero()) == 0;

	if (comparison == NFT_CMP_NEQ && !zero)
		return 0;
	term->test = comparison == NFT_CMP_NEQ ? TEST_ANY_BIT : zero ? TEST_NO_BIT : TEST_MASKED_EQUAL;
	/* A label has words for one bit, nothing else. */
	if (term->selector == SELECT_CT_LABEL && (term->test != TEST_ANY_BIT || !is_one_bit(term->mask)))
		return 0;
	return 3;
}

/* immediate reg `to` BYTES */
static bool decode_immediate(const struct expression *expression, uint32_t to, size_t size, const uint8_t **ret)
{
	return is_named(expression, "immediate") &&
	       has_only(expression, BIT(NFTA_IMMEDIATE_DREG) | BIT(NFTA_IMMEDIATE_DATA)) &&
	       is_this_register(expression, NFTA_IMMEDIATE_DREG, to) &&
	       data_value(expression->table[NFTA_IMMEDIATE_DATA], size, ret);
}

/* payload load LENGTHb @ transport header + OFFSET => reg `to` */
static bool is_load_of(const struct expression *expression, uint32_t to, uint32_t offset, uint32_t length)
{
	return is_named(expression, "payload") && has_only(expression, payload_load) &&
	       is_this_register(expression, NFTA_PAYLOAD_DREG, to) &&
	       is_about(expression, NFT_PAYLOAD_TRANSPORT_HEADER, offset, length);
}

/* Port and number behind an address. */
static bool decode_byte_key(const struct expression *list, const struct key_registers *registers, struct term *term)
{
	bool source = term->selector == SELECT_IP_SADDR || term->selector == SELECT_IP6_SADDR;

	term->key = source ? KEY_FIRST_BYTE : KEY_NEXT_BYTE;
	return is_load_of(&list[0], registers->second, source ? TCP_SPORT_OFFSET : TCP_DPORT_OFFSET, 2) &&
	       is_load_of(&list[1], registers->third, source ? TCP_SEQUENCE_OFFSET : TCP_ACKNOWLEDGE_OFFSET, 4);
}

/* The twin of load_key() in nft_encode.c. Returns how many expressions the key takes, 0 where it is none. */
static size_t decode_key(const struct expression *list, size_t count, struct term *term)
{
	const struct key_registers *registers;
	const uint8_t *bytes;
	uint32_t constant;

	if (count < 2 || !decode_load(&list[0], &term->selector))
		return 0;
	if (term->selector != SELECT_IP_SADDR && term->selector != SELECT_IP6_SADDR &&
		term->selector != SELECT_IP_DADDR && term->selector != SELECT_IP6_DADDR)
		return 0;
	registers = key_registers(selector_info(term->selector)->size);
	if (count >= 3 && decode_byte_key(list + 1, registers, term))
		return 3;
	if (term->selector != SELECT_IP_SADDR && term->selector != SELECT_IP6_SADDR)
		return 0;
	if (decode_immediate(&list[1], registers->second, sizeof(constant), &bytes)) {
		memcpy(&constant, bytes, sizeof(constant));
		term->key = KEY_SOURCE_REASON;
		term->value = (struct value){0, constant};
		return 2;
	}
	term->key = KEY_SOURCE;
	if (!decode_mask(&list[1], selector_info(term->selector)->size, &bytes))
		return 1;
	term->mask = register_value(term->selector, bytes);
	/* No mask at all is written without one. */
	return value_compare(term->mask, value_zero()) ? 2 : 0;
}

/* What is kept with each element of a dynamic set: an expression inside another, or inside a set. */
static bool decode_inner(const struct nlattr *nest, struct expression *ret)
{
	const struct nlattr *table[NFTA_EXPR_MAX + 1];

	if (!netlink_nest(nest, table, ARRAY_SIZE(table)) || !table[NFTA_EXPR_NAME] || !table[NFTA_EXPR_DATA] ||
		!netlink_nest(table[NFTA_EXPR_DATA], ret->table, EXPRESSION_ATTRIBUTES))
		return false;
	ret->name = netlink_string(table[NFTA_EXPR_NAME]);
	return ret->name;
}

static bool decode_connlimit(const struct expression *expression, uint32_t *ret_limit)
{
	uint32_t flags;

	return is_named(expression, "connlimit") &&
	       has_only(expression, BIT(NFTA_CONNLIMIT_COUNT) | BIT(NFTA_CONNLIMIT_FLAGS)) &&
	       number(expression, NFTA_CONNLIMIT_COUNT, ret_limit) &&
	       number(expression, NFTA_CONNLIMIT_FLAGS, &flags) && flags == NFT_CONNLIMIT_F_INV;
}

static bool decode_dynset(const struct expression *expression, struct term *term, const char **ret_name)
{
	uint32_t operation;
	uint32_t flags = 0;
	uint64_t timeout = 0;

	if (!is_named(expression, "dynset") ||
		!has_only(expression, BIT(NFTA_DYNSET_SET_NAME) | BIT(NFTA_DYNSET_SET_ID) | BIT(NFTA_DYNSET_OP) |
					      BIT(NFTA_DYNSET_SREG_KEY) | BIT(NFTA_DYNSET_TIMEOUT) |
					      BIT(NFTA_DYNSET_PAD) | BIT(NFTA_DYNSET_FLAGS) | BIT(NFTA_DYNSET_EXPR)) ||
		!is_register(expression, NFTA_DYNSET_SREG_KEY) || !number(expression, NFTA_DYNSET_OP, &operation))
		return false;
	if ((expression->table[NFTA_DYNSET_FLAGS] && !number(expression, NFTA_DYNSET_FLAGS, &flags)) ||
		(expression->table[NFTA_DYNSET_TIMEOUT] &&
			!netlink_u64(expression->table[NFTA_DYNSET_TIMEOUT], &timeout)) ||
		flags || timeout)
		return false;
	if (expression->table[NFTA_DYNSET_EXPR]) {
		struct expression inner = {0};

		/* No limit at all is written without one. */
		if (!decode_inner(expression->table[NFTA_DYNSET_EXPR], &inner) ||
			!decode_connlimit(&inner, &term->connections) || term->connections == 0)
			return false;
	}
	*ret_name = netlink_string(expression->table[NFTA_DYNSET_SET_NAME]);
	term->kind = TERM_UPDATE;
	switch (operation) {
	case NFT_DYNSET_OP_ADD:
		term->update = UPDATE_ADD;
		break;
	case NFT_DYNSET_OP_UPDATE:
		term->update = UPDATE_TOUCH;
		break;
	case NFT_DYNSET_OP_DELETE:
		term->update = UPDATE_DELETE;
		break;
	default:
		return false;
	}
	return *ret_name;
}

/* A key and what is done with it in a dynamic set. A plain source that is looked up is decode_selected()'s. */
static size_t decode_element_use(const struct expression *list, size_t count, struct term *term, const char **ret_name)
{
	size_t next = decode_key(list, count, term);

	if (next == 0 || next >= count)
		return 0;
	if (decode_dynset(&list[next], term, ret_name))
		return next + 1;
	if (term->key == KEY_SOURCE || !decode_lookup(&list[next], term, ret_name) || term->kind != TERM_LOOKUP ||
		term->inverted)
		return 0;
	term->kind = TERM_KNOWN;
	return next + 1;
}

/* immediate reg 1 BITS, ct set label with reg 1 */
static size_t decode_set_label(const struct expression *list, size_t count, struct term *term)
{
	const uint8_t *bytes;
	uint32_t key;

	if (count < 2 || !decode_immediate(&list[0], NFT_REG_1, selector_info(SELECT_CT_LABEL)->size, &bytes) ||
		!is_named(&list[1], "ct") || !has_only(&list[1], BIT(NFTA_CT_SREG) | BIT(NFTA_CT_KEY)) ||
		!is_register(&list[1], NFTA_CT_SREG) || !number(&list[1], NFTA_CT_KEY, &key) || key != NFT_CT_LABELS)
		return 0;
	term->kind = TERM_SET_LABEL;
	term->value = register_value(SELECT_CT_LABEL, bytes);
	return is_one_bit(term->value) ? 2 : 0;
}

/* The twin of encode_turn_reset() in nft_encode.c. */
static size_t decode_turn_reset(const struct expression *list, size_t count, struct term *term)
{
	static const uint8_t keep[] = {0xff, 0x00};
	static const uint8_t flags[] = {0x00, 0x14};
	const uint8_t *mask;
	const uint8_t *xor_bytes;
	uint32_t checksum[3] = {0};

	if (count < 3 || !is_named(&list[0], "payload") || !has_only(&list[0], payload_load) ||
		!is_register(&list[0], NFTA_PAYLOAD_DREG) ||
		!is_about(&list[0], NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS_OFFSET, TCP_FLAGS_LENGTH) ||
		!decode_bitwise(&list[1], sizeof(keep), &mask, &xor_bytes) || memcmp(mask, keep, sizeof(keep)) != 0 ||
		memcmp(xor_bytes, flags, sizeof(flags)) != 0)
		return 0;
	if (!is_named(&list[2], "payload") ||
		!has_only(&list[2], BIT(NFTA_PAYLOAD_SREG) | BIT(NFTA_PAYLOAD_BASE) | BIT(NFTA_PAYLOAD_OFFSET) |
					    BIT(NFTA_PAYLOAD_LEN) | BIT(NFTA_PAYLOAD_CSUM_TYPE) |
					    BIT(NFTA_PAYLOAD_CSUM_OFFSET) | BIT(NFTA_PAYLOAD_CSUM_FLAGS)) ||
		!is_register(&list[2], NFTA_PAYLOAD_SREG) ||
		!is_about(&list[2], NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS_OFFSET, TCP_FLAGS_LENGTH) ||
		!number(&list[2], NFTA_PAYLOAD_CSUM_TYPE, &checksum[0]) ||
		!number(&list[2], NFTA_PAYLOAD_CSUM_OFFSET, &checksum[1]) ||
		(list[2].table[NFTA_PAYLOAD_CSUM_FLAGS] && !number(&list[2], NFTA_PAYLOAD_CSUM_FLAGS, &checksum[2])))
		return 0;
	term->kind = TERM_TURN_RESET;
	return checksum[0] == NFT_PAYLOAD_CSUM_INET && checksum[1] == TCP_CHECKSUM_OFFSET && checksum[2] == 0 ? 3 : 0;
}

/* limit rate RATE/second burst BURST packets, with `flags` as they must be. */
static bool decode_limit(const struct expression *expression, uint32_t flags, uint64_t *ret_rate, uint32_t *ret_burst)
{
	uint64_t unit;
	uint32_t type;
	uint32_t found;

	return is_named(expression, "limit") &&
	       has_only(expression, BIT(NFTA_LIMIT_RATE) | BIT(NFTA_LIMIT_UNIT) | BIT(NFTA_LIMIT_BURST) |
					    BIT(NFTA_LIMIT_TYPE) | BIT(NFTA_LIMIT_FLAGS) | BIT(NFTA_LIMIT_PAD)) &&
	       netlink_u64(expression->table[NFTA_LIMIT_RATE], ret_rate) &&
	       netlink_u64(expression->table[NFTA_LIMIT_UNIT], &unit) && unit == 1 &&
	       number(expression, NFTA_LIMIT_BURST, ret_burst) && number(expression, NFTA_LIMIT_TYPE, &type) &&
	       type == NFT_LIMIT_PKTS && number(expression, NFTA_LIMIT_FLAGS, &found) && found == flags;
}

static bool decode_log(const struct expression *expression, struct term *term, const char **ret_name)
{
	const struct nlattr *group = expression->table[NFTA_LOG_GROUP];
	uint32_t bytes = 0;

	if (!is_named(expression, "log") ||
		!has_only(expression, BIT(NFTA_LOG_PREFIX) | BIT(NFTA_LOG_GROUP) | BIT(NFTA_LOG_SNAPLEN)) || !group ||
		mnl_attr_get_payload_len(group) != sizeof(uint16_t) ||
		(expression->table[NFTA_LOG_SNAPLEN] && !number(expression, NFTA_LOG_SNAPLEN, &bytes)))
		return false;
	*ret_name = netlink_string(expression->table[NFTA_LOG_PREFIX]);
	term->kind = TERM_LOG;
	term->value = (struct value){0, be16toh(mnl_attr_get_u16(group))};
	term->mask = (struct value){0, bytes};
	return *ret_name;
}

/* What takes more than one expression, or one that is no verdict. */
static size_t decode_terms(const struct expression *list, size_t count, struct term *term, const char **ret_name)
{
	static size_t (*const readers[])(const struct expression *, size_t, struct term *) = {
		decode_set_label, decode_turn_reset};
	uint64_t rate;
	uint32_t burst;
	size_t taken = decode_element_use(list, count, term, ret_name);

	if (taken)
		return taken;
	*term = (struct term){0};
	*ret_name = NULL;
	taken = decode_selected(list, count, term, ret_name);
	for (size_t i = 0; i < ARRAY_SIZE(readers) && !taken; i++) {
		*term = (struct term){0};
		*ret_name = NULL;
		taken = readers[i](list, count, term);
	}
	if (taken)
		return taken;
	*term = (struct term){0};
	if (decode_limit(&list[0], 0, &rate, &burst)) {
		*term = (struct term){.kind = TERM_LIMIT, .value = {0, rate}, .mask = {0, burst}};
		return 1;
	}
	return decode_log(&list[0], term, ret_name);
}

static bool decode_statement(const struct expression *expression, struct term *term, const char **ret_name)
{
	uint32_t type;
	uint8_t code = 0;

	if (is_named(expression, "immediate")) {
		term->kind = TERM_VERDICT;
		return has_only(expression, BIT(NFTA_IMMEDIATE_DREG) | BIT(NFTA_IMMEDIATE_DATA)) &&
		       is_verdict_register(expression, NFTA_IMMEDIATE_DREG) &&
		       decode_verdict(expression->table[NFTA_IMMEDIATE_DATA], &term->verdict, ret_name);
	}
	if (is_named(expression, "objref")) {
		term->kind = TERM_COUNTER;
		*ret_name = netlink_string(expression->table[NFTA_OBJREF_IMM_NAME]);
		return has_only(expression, BIT(NFTA_OBJREF_IMM_TYPE) | BIT(NFTA_OBJREF_IMM_NAME)) && *ret_name &&
		       number(expression, NFTA_OBJREF_IMM_TYPE, &type) && type == NFT_OBJECT_COUNTER;
	}
	if (is_named(expression, "reject")) {
		const struct nlattr *attribute = expression->table[NFTA_REJECT_ICMP_CODE];

		if (attribute && mnl_attr_get_payload_len(attribute) == 1)
			code = mnl_attr_get_u8(attribute);
		term->kind = TERM_REJECT_RESET;
		return has_only(expression, BIT(NFTA_REJECT_TYPE) | BIT(NFTA_REJECT_ICMP_CODE)) &&
		       number(expression, NFTA_REJECT_TYPE, &type) && type == NFT_REJECT_TCP_RST && code == 0;
	}
	return false;
}

/* Appends an expression as it is, behind what could be decoded so far. */
static void show_expression(struct rule *rule, const struct expression *expression, struct text *shown)
{
	_cleanup_text_ struct text attributes = {0};

	if (rule->term_count) {
		text_append(shown, shown->length ? " " : "");
		rule_print(rule, shown);
		rule_done(rule);
	}
	if (shown->length > OPAQUE_LIMIT)
		return;
	if (expression->data)
		dump_attributes(mnl_attr_get_payload(expression->data), mnl_attr_get_payload_len(expression->data), 0,
			&attributes);
	text_printf(shown, "%s%s(%s)", shown->length ? " " : "", expression->name, text_string(&attributes));
}

bool expressions_read(const struct nlattr *nest, struct expression **ret, size_t *ret_count)
{
	const struct nlattr *item;
	size_t capacity = 0;
	bool known = !nest || is_whole_nest(nest);

	*ret = NULL;
	*ret_count = 0;
	if (!nest)
		return true;
	mnl_attr_for_each_nested(item, nest)
	{
		const struct nlattr *table[NFTA_EXPR_MAX + 1];
		struct expression expression = {0};

		known = netlink_nest(item, table, ARRAY_SIZE(table)) && known;
		expression.name = netlink_string(table[NFTA_EXPR_NAME]);
		if (!expression.name)
			return false;
		expression.data = table[NFTA_EXPR_DATA];
		/* An attribute that we have no room for is one that we do not know: no name fits any more. */
		if (expression.data && !netlink_nest(expression.data, expression.table, EXPRESSION_ATTRIBUTES))
			known = false;
		ARRAY_GROW(*ret, *ret_count, capacity);
		(*ret)[(*ret_count)++] = expression;
	}
	return known;
}

static void decode_expressions(struct rule *rule, const struct nlattr *nest)
{
	_cleanup_free_ struct expression *list = NULL;
	_cleanup_text_ struct text shown = {0};
	size_t count = 0;
	bool known = expressions_read(nest, &list, &count);
	bool opaque = !known;

	for (size_t i = 0; i < count;) {
		struct term term = {0};
		const char *name = NULL;
		size_t taken = known ? decode_terms(&list[i], count - i, &term, &name) : 0;

		if (taken == 0) {
			term = (struct term){0};
			name = NULL;
			taken = known && decode_statement(&list[i], &term, &name) ? 1 : 0;
		}
		if (taken) {
			rule_add_term(rule, &term, name);
			i += taken;
			continue;
		}
		opaque = true;
		show_expression(rule, &list[i++], &shown);
	}
	if (!opaque)
		return;
	if (rule->term_count) {
		text_append(&shown, shown.length ? " " : "");
		rule_print(rule, &shown);
		rule_done(rule);
	}
	rule->opaque = text_take(&shown);
}

int decode_rule(struct ruleset *ruleset, const struct nlmsghdr *message)
{
	const struct nlattr *table[NFTA_RULE_MAX + 1];
	struct chain *chain = NULL;
	struct rule *rule;

	if (!message_attributes(message, table, ARRAY_SIZE(table)))
		return -EBADMSG;
	if (!is_ours(message, table[NFTA_RULE_TABLE]))
		return 0;
	const char *name = netlink_string(table[NFTA_RULE_CHAIN]);

	if (!name)
		return -EBADMSG;
	/* Rules come chain by chain: it most likely is the one that the last rule went into. */
	for (size_t i = 0; i < ruleset->chain_count && !chain; i++)
		if (strcmp(ruleset->chains[i].name, name) == 0)
			chain = &ruleset->chains[i];
	if (!chain)
		return 0; /* of an anonymous chain, see decode_chain() */
	rule = chain_add_rule(chain);
	decode_expressions(rule, table[NFTA_RULE_EXPRESSIONS]);
	netlink_u64(table[NFTA_RULE_HANDLE], &rule->handle);
	rule->comment = decode_comment(table[NFTA_RULE_USERDATA], NFTNL_UDATA_RULE_COMMENT);
	return 0;
}

/* --- sets --- */

/* What a set may be keyed by. The type's number matters to nft alone, but a wrong one would be shown wrongly. */
static bool decode_set_key(struct set *set, bool dynamic, uint32_t type, uint32_t length)
{
	static const enum width widths[] = {WIDTH_PORT, WIDTH_IPV4, WIDTH_IPV6};
	static const enum key keys[] = {KEY_NONE, KEY_SOURCE, KEY_SOURCE_REASON, KEY_FIRST_BYTE};

	for (size_t w = 0; w < ARRAY_SIZE(widths); w++)
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
			struct set wanted = {.elements.width = widths[w], .key = keys[k]};
			struct set_key key = set_key(&wanted);

			if (dynamic != (keys[k] != KEY_NONE) || (dynamic && widths[w] == WIDTH_PORT) ||
				key.type != type || key.length != length)
				continue;
			set->elements.width = widths[w];
			set->key = keys[k];
			return true;
		}
	return false;
}

/* A set's description: the size it is limited to, and the fields of a concatenation, which ours do not have. */
static bool decode_description(const struct nlattr *nest, uint32_t *ret_size)
{
	const struct nlattr *table[NFTA_SET_DESC_MAX + 1];

	if (!nest || mnl_attr_get_payload_len(nest) == 0)
		return true;
	return netlink_nest(nest, table, ARRAY_SIZE(table)) && !table[NFTA_SET_DESC_CONCAT] &&
	       netlink_u32(table[NFTA_SET_DESC_SIZE], ret_size);
}

static bool decode_meter(struct set *set, const struct nlattr *nest)
{
	struct expression expression = {0};
	uint64_t rate;

	if (!nest)
		return true;
	if (!decode_inner(nest, &expression))
		return false;
	if (is_named(&expression, "counter")) {
		set->meter = METER_COUNTER;
		return has_only(
			&expression, BIT(NFTA_COUNTER_BYTES) | BIT(NFTA_COUNTER_PACKETS) | BIT(NFTA_COUNTER_PAD));
	}
	if (is_named(&expression, "connlimit")) {
		set->meter = METER_CONNECTIONS;
		return decode_connlimit(&expression, &set->meter_limit);
	}
	set->meter = METER_RATE;
	if (!decode_limit(&expression, NFT_LIMIT_F_INV, &rate, &set->meter_burst) || rate > UINT32_MAX)
		return false;
	set->meter_limit = (uint32_t)rate;
	return true;
}

/* What our sets may say of themselves. False: this one is not like ours. */
static bool decode_shape(
	struct set *set, const struct nlattr *const *table, uint32_t flags, uint32_t type, uint32_t length)
{
	bool dynamic = flags & NFT_SET_EVAL;
	uint32_t data_type = 0;

	if (flags & ~(uint32_t)(NFT_SET_INTERVAL | NFT_SET_MAP | NFT_SET_EVAL | NFT_SET_TIMEOUT) ||
		!decode_set_key(set, dynamic, type, length) || table[NFTA_SET_EXPRESSIONS] || table[NFTA_SET_OBJ_TYPE])
		return false;
	if ((flags & NFT_SET_MAP) &&
		(!netlink_u32(table[NFTA_SET_DATA_TYPE], &data_type) || data_type != (uint32_t)NFT_DATA_VERDICT))
		return false;
	if (!decode_description(table[NFTA_SET_DESC], &set->size) ||
		(table[NFTA_SET_TIMEOUT] && !netlink_u64(table[NFTA_SET_TIMEOUT], &set->timeout)) ||
		!(flags & NFT_SET_TIMEOUT) != !set->timeout)
		return false;
	if (dynamic)
		return !(flags & (NFT_SET_INTERVAL | NFT_SET_MAP)) && decode_meter(set, table[NFTA_SET_EXPR]);
	/* Bans are intervals of addresses with a time; what else a command fills has neither. */
	if (set->timeout && (!set->interval || set->map || set->elements.width == WIDTH_PORT))
		return false;
	return !table[NFTA_SET_EXPR] && (set->timeout || !set->size);
}

int decode_set(struct ruleset *ruleset, const struct nlmsghdr *message)
{
	const struct nlattr *table[NFTA_SET_MAX + 1];
	uint32_t flags = 0;
	uint32_t type = 0;
	uint32_t length = 0;
	struct set *set;

	if (!message_attributes(message, table, ARRAY_SIZE(table)))
		return -EBADMSG;
	if (!is_ours(message, table[NFTA_SET_TABLE]))
		return 0;
	const char *name = netlink_string(table[NFTA_SET_NAME]);

	if (!name)
		return -EBADMSG;
	if (table[NFTA_SET_FLAGS] && !netlink_u32(table[NFTA_SET_FLAGS], &flags))
		return -EBADMSG;
	/* Belongs to one rule, and goes with it. */
	if (flags & NFT_SET_ANONYMOUS)
		return 0;
	netlink_u32(table[NFTA_SET_KEY_TYPE], &type);
	netlink_u32(table[NFTA_SET_KEY_LEN], &length);
	set = ruleset_add_set(ruleset, name, WIDTH_PORT);
	set->interval = flags & NFT_SET_INTERVAL;
	set->map = flags & NFT_SET_MAP;
	netlink_u64(table[NFTA_SET_HANDLE], &set->handle);
	set->comment = decode_comment(table[NFTA_SET_USERDATA], NFTNL_UDATA_SET_COMMENT);
	if (!decode_shape(set, table, flags, type, length))
		set->opaque = mem_format("key type %u of %u bytes, flags 0x%x%s", type, length, flags,
			table[NFTA_SET_TIMEOUT] ? ", with a timeout" : "");
	return 0;
}

/*
 * The two forms that nearly all elements of our lists have: a key, or a key and flags. Reading them by their layout
 * instead of by tables of attributes makes reading a list of 100,000 a fifth faster. False: look at it closely.
 */
static bool decode_plain_element(struct elements *elements, const struct nlattr *item, size_t size)
{
	const uint8_t *bytes = mnl_attr_get_payload(item);
	size_t length = mnl_attr_get_payload_len(item);
	size_t key_length = 2 * sizeof(struct nlattr) + MNL_ALIGN(size);
	struct nlattr head[3];
	uint32_t flags = 0;

	if (size % MNL_ALIGNTO || elements->set->map ||
		(length != key_length && length != key_length + sizeof(struct nlattr) + sizeof(flags)))
		return false;
	memcpy(head, bytes, 2 * sizeof(*head));
	if ((head[0].nla_type & NLA_TYPE_MASK) != NFTA_SET_ELEM_KEY || head[0].nla_len != key_length ||
		(head[1].nla_type & NLA_TYPE_MASK) != NFTA_DATA_VALUE || head[1].nla_len != sizeof(*head) + size)
		return false;
	if (length > key_length) {
		memcpy(&head[2], bytes + key_length, sizeof(*head));
		memcpy(&flags, bytes + key_length + sizeof(*head), sizeof(flags));
		flags = be32toh(flags);
		if ((head[2].nla_type & NLA_TYPE_MASK) != NFTA_SET_ELEM_FLAGS ||
			head[2].nla_len != sizeof(*head) + sizeof(flags) || flags != NFT_SET_ELEM_INTERVAL_END)
			return false;
	}
	struct value key = value_from_bytes(elements->keys.width, bytes + 2 * sizeof(*head));

	intervals_add(&elements->keys, (struct interval){key, key, flags ? 0 : 1});
	return true;
}

int decode_elements(struct elements *elements, const struct nlmsghdr *message)
{
	const struct nlattr *table[NFTA_SET_ELEM_LIST_MAX + 1];
	const struct nlattr *item;
	enum width width = elements->set->elements.width;
	size_t size = width_bits(width) / 8;
	const uint32_t known_flags = NFT_SET_ELEM_INTERVAL_END;

	if (!message_attributes(message, table, ARRAY_SIZE(table)))
		return -EBADMSG;
	if (!is_ours(message, table[NFTA_SET_ELEM_LIST_TABLE]) || !table[NFTA_SET_ELEM_LIST_ELEMENTS])
		return 0;
	if (!is_whole_nest(table[NFTA_SET_ELEM_LIST_ELEMENTS]))
		return -EBADMSG;
	mnl_attr_for_each_nested(item, table[NFTA_SET_ELEM_LIST_ELEMENTS])
	{
		if (decode_plain_element(elements, item, size))
			continue;
		const struct nlattr *element[NFTA_SET_ELEM_MAX + 1];
		bool known = netlink_nest(item, element, ARRAY_SIZE(element));
		const uint8_t *key;
		uint32_t flags = 0;
		struct target target = {0};
		const char *chain = NULL;

		if (element[NFTA_SET_ELEM_FLAGS] && !netlink_u32(element[NFTA_SET_ELEM_FLAGS], &flags))
			return -EBADMSG;
		if (flags & NFT_SET_ELEM_CATCHALL) {
			elements->catch_all = true;
			continue;
		}
		if (!data_value(element[NFTA_SET_ELEM_KEY], size, &key))
			return -EBADMSG;
		if (!known || (flags & ~known_flags) || element[NFTA_SET_ELEM_TIMEOUT] || element[NFTA_SET_ELEM_EXPR] ||
			element[NFTA_SET_ELEM_EXPRESSIONS] || element[NFTA_SET_ELEM_OBJREF] ||
			element[NFTA_SET_ELEM_KEY_END])
			elements->strange = true;
		struct value value = value_from_bytes(width, key);
		bool end = flags & NFT_SET_ELEM_INTERVAL_END;

		intervals_add(&elements->keys, (struct interval){value, value, end ? 0 : 1});
		if (end || !elements->set->map)
			continue;
		if (!decode_verdict(element[NFTA_SET_ELEM_DATA], &target.verdict, &chain)) {
			elements->strange = true;
			target.verdict = VERDICT_DROP;
		}
		target.chain = mem_string(chain);
		ARRAY_GROW(elements->targets, elements->target_count, elements->target_capacity);
		elements->targets[elements->target_count++] = (struct element_target){value, target};
	}
	return 0;
}

static int compare_targets(const void *left, const void *right)
{
	return value_compare(((const struct element_target *)left)->key, ((const struct element_target *)right)->key);
}

/*
 * From starts and ends to intervals, by the rule of the kernel's own lookup (nft_set_rbtree.c): a value belongs to the
 * set if the nearest element at or below it is a start. So a start without an end reaches to the next element, or to
 * the highest value.
 */
static void pair_up(struct elements *elements)
{
	struct set *set = elements->set;
	const struct intervals *keys = &elements->keys;
	struct value max = value_max(set->elements.width);

	for (size_t i = 0; i < keys->count; i++) {
		struct interval key = intervals_get(keys, i);
		struct interval item = {key.first, key.first, 0};

		if (key.origin == 0) {
			/* nft writes an end in front of the first interval; others stand behind one. */
			if (i > 0 && intervals_get(keys, i - 1).origin == 0)
				set->irregular = true;
			continue;
		}
		if (set->interval) {
			bool last = i + 1 == keys->count;
			struct interval next = last ? (struct interval){0} : intervals_get(keys, i + 1);

			item.last = last ? max : value_previous(next.first);
			if (!last && (next.origin == 1 || value_compare(next.first, key.first) == 0))
				set->irregular = true;
			if (value_compare(item.last, item.first) < 0 ||
				(!last && value_compare(next.first, key.first) == 0))
				continue;
		}
		intervals_add(&set->elements, item);
	}
}

void elements_finish(struct elements *elements)
{
	struct set *set = elements->set;
	enum width width = set->elements.width;
	size_t next = 0;

	/* `origin` is the last key to be sorted by: the end at a value comes before the start at the same value. */
	intervals_sort(&elements->keys);
	pair_up(elements);
	set->irregular = set->irregular || elements->strange || elements->catch_all;
	if (elements->catch_all && !set->map) {
		intervals_done(&set->elements);
		intervals_add(&set->elements, (struct interval){value_zero(), value_max(width), 0});
	}
	if (elements->strange || (set->map && elements->catch_all)) {
		/* Not like ours, whatever it covers: all of it must go, so it equals nothing. */
		free(set->opaque);
		set->opaque = mem_string("holds elements with attributes that ours never have");
	}
	if (!set->map)
		return;
	if (elements->target_count)
		qsort(elements->targets, elements->target_count, sizeof(*elements->targets), compare_targets);
	set->targets = mem_zero(set->elements.count, sizeof(*set->targets));
	set->target_capacity = set->elements.count;
	for (size_t i = 0; i < set->elements.count; i++) {
		struct value first = intervals_get(&set->elements, i).first;

		while (next < elements->target_count && value_compare(elements->targets[next].key, first) < 0)
			next++;
		if (next < elements->target_count && value_compare(elements->targets[next].key, first) == 0) {
			set->targets[i] = elements->targets[next].target;
			elements->targets[next++].target.chain = NULL;
		}
	}
}

void elements_done(struct elements *elements)
{
	for (size_t i = 0; i < elements->target_count; i++)
		free(elements->targets[i].target.chain);
	free(elements->targets);
	intervals_done(&elements->keys);
}

/* --- who was refused --- */

/* The packets and bytes of a counter; false where the expression is another one. */
static bool decode_counts(const struct nlattr *nest, struct refusal *refusal)
{
	const struct nlattr *table[NFTA_EXPR_MAX + 1];
	const struct nlattr *data[NFTA_COUNTER_MAX + 1];

	if (!nest)
		return false;
	netlink_nest(nest, table, ARRAY_SIZE(table));
	const char *name = netlink_string(table[NFTA_EXPR_NAME]);

	if (!name || strcmp(name, "counter") != 0 || !table[NFTA_EXPR_DATA])
		return false;
	netlink_nest(table[NFTA_EXPR_DATA], data, ARRAY_SIZE(data));
	return netlink_u64(data[NFTA_COUNTER_PACKETS], &refusal->packets) &&
	       netlink_u64(data[NFTA_COUNTER_BYTES], &refusal->bytes);
}

/* Every refusal begins the element's time anew, so what is missing of it is how long ago that was. The kernel leaves
 * out (seen on 6.18) a timeout that is the set's. */
static uint64_t decode_age(const struct nlattr *const *element, uint64_t timeout)
{
	uint64_t expiration;

	if (!netlink_u64(element[NFTA_SET_ELEM_EXPIRATION], &expiration))
		return REFUSED_UNKNOWN;
	if (element[NFTA_SET_ELEM_TIMEOUT] && !netlink_u64(element[NFTA_SET_ELEM_TIMEOUT], &timeout))
		return REFUSED_UNKNOWN;
	return expiration < timeout ? (timeout - expiration) / 1000 : 0;
}

/* Unlike policy, which must be understood to the last bit: attributes that we do not know are passed over, and what is
 * not told counts as nothing. */
int decode_refusals(struct refused_sources *list, const struct set *set, size_t limit, const struct nlmsghdr *message)
{
	const struct nlattr *table[NFTA_SET_ELEM_LIST_MAX + 1];
	const struct nlattr *item;
	const struct nlattr *inner;
	enum width width = set->elements.width;
	size_t size = width_bits(width) / 8;

	if (!message_attributes(message, table, ARRAY_SIZE(table)))
		return -EBADMSG;
	if (!is_ours(message, table[NFTA_SET_ELEM_LIST_TABLE]) || !table[NFTA_SET_ELEM_LIST_ELEMENTS])
		return 0;
	if (!is_whole_nest(table[NFTA_SET_ELEM_LIST_ELEMENTS]))
		return -EBADMSG;
	mnl_attr_for_each_nested(item, table[NFTA_SET_ELEM_LIST_ELEMENTS])
	{
		const struct nlattr *element[NFTA_SET_ELEM_MAX + 1];
		struct refusal refusal = {.width = width};
		const uint8_t *key;
		uint32_t flags = 0;

		netlink_nest(item, element, ARRAY_SIZE(element));
		netlink_u32(element[NFTA_SET_ELEM_FLAGS], &flags);
		if (flags & NFT_SET_ELEM_CATCHALL)
			continue;
		if (!data_value(element[NFTA_SET_ELEM_KEY], size + sizeof(refusal.reason), &key))
			return -EBADMSG;
		if (list->refusal_count >= limit) {
			list->full = true;
			return 0;
		}
		refusal.address = value_from_bytes(width, key);
		/* As the packet's mark would be: in host order. */
		memcpy(&refusal.reason, key + size, sizeof(refusal.reason));
		if (!decode_counts(element[NFTA_SET_ELEM_EXPR], &refusal) && element[NFTA_SET_ELEM_EXPRESSIONS]) {
			mnl_attr_for_each_nested(inner, element[NFTA_SET_ELEM_EXPRESSIONS])
			{
				if (decode_counts(inner, &refusal))
					break;
			}
		}
		refusal.seconds_ago = decode_age(element, set->timeout);
		ARRAY_GROW(list->refusals, list->refusal_count, list->refusal_capacity);
		list->refusals[list->refusal_count++] = refusal;
	}
	return 0;
}

/* --- who is banned --- */

int decode_bans(struct ban_ends *ends, enum width width, const struct nlmsghdr *message)
{
	const struct nlattr *table[NFTA_SET_ELEM_LIST_MAX + 1];
	const struct nlattr *item;

	if (!message_attributes(message, table, ARRAY_SIZE(table)))
		return -EBADMSG;
	if (!is_ours(message, table[NFTA_SET_ELEM_LIST_TABLE]) || !table[NFTA_SET_ELEM_LIST_ELEMENTS])
		return 0;
	if (!is_whole_nest(table[NFTA_SET_ELEM_LIST_ELEMENTS]))
		return -EBADMSG;
	mnl_attr_for_each_nested(item, table[NFTA_SET_ELEM_LIST_ELEMENTS])
	{
		const struct nlattr *element[NFTA_SET_ELEM_MAX + 1];
		struct ban_end end = {.milliseconds = UINT64_MAX};
		const uint8_t *key;
		uint32_t flags = 0;

		netlink_nest(item, element, ARRAY_SIZE(element));
		netlink_u32(element[NFTA_SET_ELEM_FLAGS], &flags);
		if (flags & NFT_SET_ELEM_CATCHALL)
			continue;
		if (!data_value(element[NFTA_SET_ELEM_KEY], width_bits(width) / 8, &key))
			return -EBADMSG;
		/* Both ends of all that fit, and as many that others put there. */
		if (ends->count >= 4 * BANS_LIMIT)
			return 0;
		end.key = value_from_bytes(width, key);
		end.end = flags & NFT_SET_ELEM_INTERVAL_END;
		netlink_u64(element[NFTA_SET_ELEM_EXPIRATION], &end.milliseconds);
		ARRAY_GROW(ends->items, ends->count, ends->capacity);
		ends->items[ends->count++] = end;
	}
	return 0;
}

/* The end at a value comes before the beginning at the same value. */
static int compare_ends(const void *left, const void *right)
{
	const struct ban_end *a = left;
	const struct ban_end *b = right;
	int order = value_compare(a->key, b->key);

	return order ? order : (int)b->end - (int)a->end;
}

/* An end without a beginning is that of a ban whose time is over, which the kernel shows no more. */
void ban_ends_pair(struct ban_ends *ends, enum width width, struct bans *ret)
{
	if (ends->count)
		qsort(ends->items, ends->count, sizeof(*ends->items), compare_ends);
	for (size_t i = 0; i < ends->count; i++) {
		const struct ban_end *next = i + 1 < ends->count ? &ends->items[i + 1] : NULL;
		struct value first = ends->items[i].key;

		if (ends->items[i].end || (next && value_compare(next->key, first) == 0))
			continue;
		bans_add(ret, &(struct ban){width, {first, next ? value_previous(next->key) : value_max(width), 0},
				      ends->items[i].milliseconds});
	}
}

void ban_ends_done(struct ban_ends *ends)
{
	free(ends->items);
	*ends = (struct ban_ends){0};
}
