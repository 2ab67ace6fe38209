/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A foreign rule in words like nft's, for people who look for it. What has no words here stands in [ ] by its name. */

#include <endian.h>
#include <string.h>

#include "nft_foreign.h"

#define TEXT_LIMIT 300

/* What a register holds, in words. */
struct holding {
	char words[64];
	enum kind { HOLDS_BYTES, HOLDS_PORT, HOLDS_IPV4, HOLDS_IPV6, HOLDS_TEXT, HOLDS_HOST, HOLDS_STATE } kind;
	bool masked;
	const uint8_t *bytes; /* a constant */
	size_t length;
};

struct writer {
	uint8_t family;
	struct holding holds[16];
	struct text *text;
};

static size_t slot(const struct expression *x, unsigned int type)
{
	uint32_t reg = 0;

	netlink_u32(x->table[type], &reg);
	if (reg >= NFT_REG_1 && reg <= NFT_REG_4)
		return (reg - NFT_REG_1) * 4;
	return reg >= NFT_REG32_00 && reg <= NFT_REG32_15 ? reg - NFT_REG32_00 : 0;
}

static void word(struct writer *w, const char *string)
{
	if (w->text->length)
		text_append_char(w->text, ' ');
	text_append(w->text, string);
}

static void hold(struct writer *w, size_t at, enum kind kind, const char *words)
{
	w->holds[at] = (struct holding){.kind = kind};
	snprintf(w->holds[at].words, sizeof(w->holds[at].words), "%s", words);
}

static void load_payload(struct writer *w, const struct expression *x)
{
	static const struct {
		uint8_t family;
		uint32_t base, offset, length;
		enum kind kind;
		const char *words;
	} fields[] = {
		{NFPROTO_IPV4, NFT_PAYLOAD_NETWORK_HEADER, 12, 4, HOLDS_IPV4, "ip saddr"},
		{NFPROTO_IPV4, NFT_PAYLOAD_NETWORK_HEADER, 16, 4, HOLDS_IPV4, "ip daddr"},
		{NFPROTO_IPV6, NFT_PAYLOAD_NETWORK_HEADER, 8, 16, HOLDS_IPV6, "ip6 saddr"},
		{NFPROTO_IPV6, NFT_PAYLOAD_NETWORK_HEADER, 24, 16, HOLDS_IPV6, "ip6 daddr"},
		{NFPROTO_UNSPEC, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, HOLDS_PORT, "tcp sport"},
		{NFPROTO_UNSPEC, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, HOLDS_PORT, "tcp dport"},
	};
	uint32_t base = 0;
	uint32_t offset = 0;
	uint32_t length = 0;
	char other[64];

	netlink_u32(x->table[NFTA_PAYLOAD_BASE], &base);
	netlink_u32(x->table[NFTA_PAYLOAD_OFFSET], &offset);
	netlink_u32(x->table[NFTA_PAYLOAD_LEN], &length);
	snprintf(other, sizeof(other), "@%s,%u,%u",
		base == NFT_PAYLOAD_NETWORK_HEADER     ? "nh"
		: base == NFT_PAYLOAD_TRANSPORT_HEADER ? "th"
						       : "other",
		offset * 8, length * 8);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].base != base || fields[i].offset != offset || fields[i].length != length ||
			(fields[i].family != NFPROTO_UNSPEC && fields[i].family != w->family))
			continue;
		if (!x->table[NFTA_PAYLOAD_SREG])
			hold(w, slot(x, NFTA_PAYLOAD_DREG), fields[i].kind, fields[i].words);
		snprintf(other, sizeof(other), "%s", fields[i].words);
		break;
	}
	if (x->table[NFTA_PAYLOAD_SREG]) {
		const struct holding *from = &w->holds[slot(x, NFTA_PAYLOAD_SREG)];

		word(w, other);
		text_append(w->text, " set");
		if (from->bytes && from->length == 2)
			text_printf(w->text, " %u", from->bytes[0] << 8 | from->bytes[1]);
	} else if (other[0] == '@') {
		hold(w, slot(x, NFTA_PAYLOAD_DREG), HOLDS_BYTES, other);
	}
}

static void load_meta(struct writer *w, const struct expression *x)
{
	static const struct {
		uint32_t key;
		enum kind kind;
		const char *words;
	} keys[] = {
		{NFT_META_IIFNAME, HOLDS_TEXT, "iifname"},
		{NFT_META_OIFNAME, HOLDS_TEXT, "oifname"},
		{NFT_META_IIF, HOLDS_HOST, "iif"},
		{NFT_META_OIF, HOLDS_HOST, "oif"},
		{NFT_META_MARK, HOLDS_HOST, "meta mark"},
		{NFT_META_L4PROTO, HOLDS_BYTES, "meta l4proto"},
		{NFT_META_NFPROTO, HOLDS_BYTES, "meta nfproto"},
		{NFT_META_PKTTYPE, HOLDS_BYTES, "pkttype"},
	};
	uint32_t key = UINT32_MAX;

	netlink_u32(x->table[NFTA_META_KEY], &key);
	if (x->table[NFTA_META_SREG]) {
		word(w, "[meta set]");
		return;
	}
	hold(w, slot(x, NFTA_META_DREG), HOLDS_BYTES, "[meta]");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].key == key)
			hold(w, slot(x, NFTA_META_DREG), keys[i].kind, keys[i].words);
}

static void load_ct(struct writer *w, const struct expression *x)
{
	uint32_t key = UINT32_MAX;

	netlink_u32(x->table[NFTA_CT_KEY], &key);
	if (x->table[NFTA_CT_SREG])
		word(w, "[ct set]");
	else if (key == NFT_CT_STATE)
		hold(w, slot(x, NFTA_CT_DREG), HOLDS_STATE, "ct state");
	else
		hold(w, slot(x, NFTA_CT_DREG), HOLDS_BYTES, "[ct]");
}

static bool data_bytes(const struct nlattr *nest, const uint8_t **ret, size_t *ret_length)
{
	const struct nlattr *table[NFTA_DATA_MAX + 1];

	netlink_nest(nest, table, ARRAY_SIZE(table));
	if (!table[NFTA_DATA_VALUE])
		return false;
	*ret = mnl_attr_get_payload(table[NFTA_DATA_VALUE]);
	*ret_length = mnl_attr_get_payload_len(table[NFTA_DATA_VALUE]);
	return true;
}

static void print_value(struct writer *w, enum kind kind, const uint8_t *bytes, size_t length)
{
	static const char *const states[] = {"invalid", "established", "related", "new", "", "", "untracked"};
	char buffer[INTERVAL_TEXT];
	uint32_t host;

	if (kind == HOLDS_PORT && length == 2) {
		text_printf(w->text, "%u", bytes[0] << 8 | bytes[1]);
		return;
	}
	if ((kind == HOLDS_IPV4 && length == 4) || (kind == HOLDS_IPV6 && length == 16)) {
		enum width width = length == 4 ? WIDTH_IPV4 : WIDTH_IPV6;

		text_append(w->text, value_format(width, value_from_bytes(width, bytes), buffer));
		return;
	}
	if (kind == HOLDS_TEXT) {
		text_printf(w->text, "\"%.*s\"%s", (int)strnlen((const char *)bytes, length), (const char *)bytes,
			length < 16 && !memchr(bytes, '\0', length) ? "*" : "");
		return;
	}
	if ((kind == HOLDS_STATE || kind == HOLDS_HOST) && length == 4) {
		const char *between = "";

		memcpy(&host, bytes, sizeof(host));
		if (kind == HOLDS_HOST || host == 0 || host >> ARRAY_SIZE(states)) {
			text_printf(w->text, "%u", host);
			return;
		}
		for (size_t i = 0; i < ARRAY_SIZE(states); i++)
			if (host & 1u << i) {
				text_printf(w->text, "%s%s", between, states[i]);
				between = ",";
			}
		return;
	}
	if (length == 1) {
		text_printf(w->text, "%u", bytes[0]);
		return;
	}
	text_append(w->text, "0x");
	for (size_t i = 0; i < length && i < 16; i++)
		text_printf(w->text, "%02x", bytes[i]);
}

static void write_cmp(struct writer *w, const struct expression *x)
{
	static const char *const operators[] = {"", "!= ", "< ", "<= ", "> ", ">= "};
	const struct holding *held = &w->holds[slot(x, NFTA_CMP_SREG)];
	uint32_t operation = 0;
	const uint8_t *bytes;
	size_t length;

	netlink_u32(x->table[NFTA_CMP_OP], &operation);
	if (!data_bytes(x->table[NFTA_CMP_DATA], &bytes, &length))
		return;
	/* As nft does, where the next match says it, too. */
	if (strcmp(held->words, "meta l4proto") == 0 && operation == NFT_CMP_EQ && length == 1 && bytes[0] == 6)
		return;
	if (strcmp(held->words, "meta nfproto") == 0)
		return;
	word(w, held->words[0] ? held->words : "[?]");
	text_append_char(w->text, ' ');
	/* A mask and "is not 0" say which bits are asked. */
	if (held->masked && held->bytes && operation == NFT_CMP_NEQ) {
		print_value(w, held->kind, held->bytes, held->length);
		return;
	}
	text_append(w->text, operation < ARRAY_SIZE(operators) ? operators[operation] : "? ");
	print_value(w, held->kind, bytes, length);
	if (held->masked && held->bytes && (held->kind == HOLDS_IPV4 || held->kind == HOLDS_IPV6)) {
		unsigned int bits = 0;

		for (size_t i = 0; i < held->length; i++)
			bits += (unsigned int)__builtin_popcount(held->bytes[i]);
		text_printf(w->text, "/%u", bits);
	}
}

static void write_range(struct writer *w, const struct expression *x)
{
	const struct holding *held = &w->holds[slot(x, NFTA_RANGE_SREG)];
	uint32_t operation = 0;
	const uint8_t *bytes;
	size_t length;

	netlink_u32(x->table[NFTA_RANGE_OP], &operation);
	word(w, held->words);
	text_append(w->text, operation == NFT_RANGE_NEQ ? " != " : " ");
	if (data_bytes(x->table[NFTA_RANGE_FROM_DATA], &bytes, &length))
		print_value(w, held->kind, bytes, length);
	text_append_char(w->text, '-');
	if (data_bytes(x->table[NFTA_RANGE_TO_DATA], &bytes, &length))
		print_value(w, held->kind, bytes, length);
}

static void write_verdict(struct writer *w, const struct nlattr *nest)
{
	const struct nlattr *data[NFTA_DATA_MAX + 1];
	const struct nlattr *table[NFTA_VERDICT_MAX + 1];
	const char *chain;
	uint32_t code = 0;

	netlink_nest(nest, data, ARRAY_SIZE(data));
	netlink_nest(data[NFTA_DATA_VERDICT], table, ARRAY_SIZE(table));
	netlink_u32(table[NFTA_VERDICT_CODE], &code);
	chain = netlink_string(table[NFTA_VERDICT_CHAIN]);
	switch ((int32_t)code) {
	case NF_ACCEPT:
		word(w, "accept");
		break;
	case NF_DROP:
		word(w, "drop");
		break;
	case NFT_RETURN:
		word(w, "return");
		break;
	case NFT_JUMP:
	case NFT_GOTO:
		word(w, (int32_t)code == NFT_JUMP ? "jump" : "goto");
		word(w, chain ? chain : "?");
		break;
	default:
		word(w, "[verdict]");
		break;
	}
}

static void write_immediate(struct writer *w, const struct expression *x)
{
	uint32_t reg = UINT32_MAX;
	struct holding *held;

	netlink_u32(x->table[NFTA_IMMEDIATE_DREG], &reg);
	if (reg == NFT_REG_VERDICT) {
		write_verdict(w, x->table[NFTA_IMMEDIATE_DATA]);
		return;
	}
	held = &w->holds[slot(x, NFTA_IMMEDIATE_DREG)];
	*held = (struct holding){0};
	if (!data_bytes(x->table[NFTA_IMMEDIATE_DATA], &held->bytes, &held->length))
		held->bytes = NULL;
}

static void write_lookup(struct writer *w, const struct expression *x)
{
	const struct holding *held = &w->holds[slot(x, NFTA_LOOKUP_SREG)];
	const char *set = netlink_string(x->table[NFTA_LOOKUP_SET]);
	uint32_t flags = 0;
	uint32_t reg = UINT32_MAX;

	netlink_u32(x->table[NFTA_LOOKUP_FLAGS], &flags);
	if (x->table[NFTA_LOOKUP_DREG])
		netlink_u32(x->table[NFTA_LOOKUP_DREG], &reg);
	word(w, held->words[0] ? held->words : "[?]");
	/* The sets of a rule alone have names that nobody gave. */
	text_printf(w->text, "%s%s %s%s", flags & NFT_LOOKUP_F_INV ? " !=" : "",
		reg == UINT32_MAX	 ? ""
		: reg == NFT_REG_VERDICT ? " vmap"
					 : " map",
		set && strncmp(set, "__", 2) == 0 ? "" : "@",
		!set			     ? "?"
		: strncmp(set, "__", 2) == 0 ? "{...}"
					     : set);
}

static void write_target(
	struct writer *w, const struct expression *x, const char *words, unsigned int address, unsigned int port)
{
	const struct holding *held;
	char buffer[INTERVAL_TEXT];

	word(w, words);
	if (!(address && x->table[address]) && !x->table[port])
		return;
	text_append(w->text, " to ");
	held = address && x->table[address] ? &w->holds[slot(x, address)] : NULL;
	if (held && held->bytes && held->length == 4)
		text_append(w->text, value_format(WIDTH_IPV4, value_from_bytes(WIDTH_IPV4, held->bytes), buffer));
	else if (held && held->bytes && held->length == 16)
		text_printf(
			w->text, "[%s]", value_format(WIDTH_IPV6, value_from_bytes(WIDTH_IPV6, held->bytes), buffer));
	else if (held)
		text_append(w->text, "[?]");
	held = x->table[port] ? &w->holds[slot(x, port)] : NULL;
	if (held && held->bytes && held->length == 2)
		text_printf(w->text, ":%u", held->bytes[0] << 8 | held->bytes[1]);
	else if (held)
		text_append(w->text, ":[?]");
}

static void write_nat(struct writer *w, const struct expression *x)
{
	uint32_t type = 0;

	netlink_u32(x->table[NFTA_NAT_TYPE], &type);
	write_target(w, x, type == NFT_NAT_DNAT ? "dnat" : "snat", NFTA_NAT_REG_ADDR_MIN, NFTA_NAT_REG_PROTO_MIN);
}

static void write_bitwise(struct writer *w, const struct expression *x)
{
	size_t from = slot(x, NFTA_BITWISE_SREG);
	size_t to = slot(x, NFTA_BITWISE_DREG);

	w->holds[to] = w->holds[from];
	w->holds[to].masked = data_bytes(x->table[NFTA_BITWISE_MASK], &w->holds[to].bytes, &w->holds[to].length);
	if (!w->holds[to].masked)
		w->holds[to].bytes = NULL;
}

static void write_extension(struct writer *w, const struct expression *x)
{
	const char *name = netlink_string(x->table[NFTA_MATCH_NAME]);

	word(w, "[xt ");
	text_append(w->text, name ? name : "?");
	text_append_char(w->text, ']');
}

static void write_expression(struct writer *w, const struct expression *x)
{
	static const char *const plain[] = {"counter", "log", "notrack", "reject", "masquerade", "queue"};

	if (strcmp(x->name, "payload") == 0)
		load_payload(w, x);
	else if (strcmp(x->name, "meta") == 0)
		load_meta(w, x);
	else if (strcmp(x->name, "ct") == 0)
		load_ct(w, x);
	else if (strcmp(x->name, "cmp") == 0)
		write_cmp(w, x);
	else if (strcmp(x->name, "range") == 0)
		write_range(w, x);
	else if (strcmp(x->name, "immediate") == 0)
		write_immediate(w, x);
	else if (strcmp(x->name, "lookup") == 0)
		write_lookup(w, x);
	else if (strcmp(x->name, "bitwise") == 0)
		write_bitwise(w, x);
	else if (strcmp(x->name, "nat") == 0)
		write_nat(w, x);
	else if (strcmp(x->name, "redir") == 0)
		write_target(w, x, "redirect", 0, NFTA_REDIR_REG_PROTO_MIN);
	else if (strcmp(x->name, "tproxy") == 0)
		write_target(w, x, "tproxy", NFTA_TPROXY_REG_ADDR, NFTA_TPROXY_REG_PORT);
	else if (strcmp(x->name, "match") == 0 || strcmp(x->name, "target") == 0)
		write_extension(w, x);
	else if (strcmp(x->name, "flow_offload") == 0) {
		const char *name = netlink_string(x->table[NFTA_FLOW_TABLE_NAME]);

		word(w, "flow add @");
		text_append(w->text, name ? name : "?");
	} else {
		for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
			if (strcmp(x->name, plain[i]) == 0) {
				word(w, plain[i]);
				return;
			}
		word(w, "[");
		text_append(w->text, x->name);
		text_append_char(w->text, ']');
	}
}

void foreign_rule_text(const struct foreign_rule *rule, uint8_t family, struct text *text)
{
	_cleanup_free_ struct expression *list = NULL;
	struct writer writer = {.family = family, .text = text};
	size_t count = 0;

	expressions_read(rule->expressions, &list, &count);
	for (size_t i = 0; i < count; i++) {
		if (text->length > TEXT_LIMIT) {
			text_append(text, " ...");
			return;
		}
		write_expression(&writer, &list[i]);
	}
}
