/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fake_kernel.h"
#include "mutations.h"
#include "policies.h"

/* --- the codec law: what is encoded and decoded is what it was --- */

static void assert_same(const char *what, const struct ruleset *expected, const struct ruleset *observed)
{
	struct changeset *changes = ruleset_diff(expected, observed);

	if (changes->count) {
		_cleanup_text_ struct text object = {0};
		_cleanup_text_ struct text wanted = {0};
		_cleanup_text_ struct text found = {0};

		change_object_text(&changes->changes[0], &object);
		change_expected_text(&changes->changes[0], &wanted);
		change_observed_text(&changes->changes[0], &found);
		fail_msg("%s: %zu changes, the first: %s %s: expected '%s', observed '%s'", what, changes->count,
			change_kind_name(changes->changes[0].kind), text_string(&object), text_string(&wanted),
			text_string(&found));
	}
	changeset_free(changes);
}

static void assert_same_string(const char *a, const char *b)
{
	if (a && b)
		assert_string_equal(a, b);
	else
		assert_true(a == b);
}

/* What the comparison leaves out, but a listing shows. */
static void assert_same_comments(const struct ruleset *a, const struct ruleset *b)
{
	assert_same_string(a->comment, b->comment);
	assert_same_string(a->environment, b->environment);
	assert_int_equal(a->since, b->since);
	for (size_t i = 0; i < a->counter_count; i++)
		assert_same_string(a->counters[i].comment, ruleset_counter(b, a->counters[i].name)->comment);
	for (size_t i = 0; i < a->set_count; i++)
		assert_same_string(a->sets[i].comment, ruleset_set(b, a->sets[i].name)->comment);
	for (size_t i = 0; i < a->chain_count; i++) {
		const struct chain *chain = ruleset_chain(b, a->chains[i].name);

		assert_same_string(a->chains[i].comment, chain->comment);
		for (size_t k = 0; k < a->chains[i].rule_count; k++)
			assert_same_string(a->chains[i].rules[k].comment, chain->rules[k].comment);
	}
}

static void check_codec(const char *what, const struct ruleset *ruleset)
{
	struct netlink *netlink = codec_netlink();
	struct batch batch = {0};
	struct ruleset *decoded;
	const struct nlmsghdr *message;
	int left;

	codec_encode(&batch, netlink, ruleset);
	/* As it was sent, and with the kernel's own habits. */
	for (unsigned int all = 0; all < 2; all++) {
		assert_int_equal(codec_decode(batch.data, batch.used, all, &decoded), 0);
		assert_same(what, ruleset, decoded);
		assert_same(what, decoded, ruleset);
		assert_same_comments(ruleset, decoded);
		ruleset_free(decoded);
	}
	/* One note for each message, in its place; and no sequence number twice. */
	left = (int)batch.used;
	message = (const struct nlmsghdr *)batch.data;
	for (size_t i = 0; i < batch.note_count; i++, message = mnl_nlmsg_next(message, &left)) {
		assert_true(netlink_message_ok(message, left));
		assert_int_equal(message->nlmsg_seq, batch.first_sequence + i);
	}
	assert_int_equal(left, 0);
	batch_done(&batch);
	netlink_close(netlink);
}

static void test_codec_golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden_policies); i++) {
		struct compiled compiled = compile_golden(golden_policies[i]);

		check_codec(golden_policies[i], compiled.ruleset);
		compiled_done(&compiled);
	}
}

/* Many messages for one set: nothing is lost where one ends and the next begins (netlink-pitfalls 5.13). */
static void test_codec_long(void **state)
{
	_cleanup_free_ char *text = long_policy(RULESET_PART_LIMIT * 5, "");
	struct compiled compiled = compile_text("long.conf", text, NULL);
	struct ruleset *single = ruleset_new();
	static const enum width widths[] = {WIDTH_PORT, WIDTH_IPV4, WIDTH_IPV6};

	(void)state;
	check_codec("parts", compiled.ruleset);
	single->present = true;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		struct set *set = ruleset_add_set(single, i == 0 ? "ports" : i == 1 ? "v4" : "v6", widths[i]);

		set->interval = true;
		for (uint64_t v = 0; v < 30000; v++)
			intervals_add(&set->elements, (struct interval){{0, v * 2}, {0, v * 2}, 1});
	}
	check_codec("30,000 in one set", single);
	ruleset_free(single);
	compiled_done(&compiled);
}

/* Whatever the mutations of the model say has a form on the wire. */
static void test_codec_mutations(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mutations); i++) {
		struct compiled compiled = compile_golden("everything");

		if (!mutations[i].model_only) {
			apply_mutation(&mutations[i], compiled.ruleset);
			check_codec(mutations[i].name, compiled.ruleset);
		}
		compiled_done(&compiled);
	}
}

/* All selectors with all tests. */
static void test_codec_terms(void **state)
{
	struct ruleset *ruleset = ruleset_new();
	struct chain *chain = ruleset_add_chain(ruleset, "terms");

	(void)state;
	ruleset->present = true;
	for (unsigned int s = 0; s < SELECT_COUNT; s++) {
		unsigned int bits = selector_info((enum selector)s)->size * 8;
		struct value one = {0, 1};
		struct value top = {0, 0};

		if (bits == 128)
			top = (struct value){0x8123456789abcdef, 0xfedcba9876543210};
		else
			top.lo = (uint64_t)1 << (bits - 1) | 2;
		for (unsigned int t = TEST_EQUAL; t <= TEST_AT_LEAST; t++)
			for (unsigned int k = 0; k < 2; k++) {
				/* What has no words is not written, either. */
				if ((s == SELECT_CT_LABEL && (t != TEST_ANY_BIT || k)) ||
					(t == TEST_AT_LEAST &&
						selector_info((enum selector)s)->layout != LAYOUT_NETWORK))
					continue;
				struct term term = {
					.kind = TERM_TEST, .selector = (enum selector)s, .test = (enum test)t};

				if (t != TEST_ANY_BIT && t != TEST_NO_BIT)
					term.value = k ? top : one;
				if (t >= TEST_ANY_BIT && t <= TEST_MASKED_EQUAL)
					term.mask = k ? top : one;
				rule_add_term(chain_add_rule(chain), &term, NULL);
			}
		for (unsigned int k = 0; k < 3; k++)
			rule_add_term(chain_add_rule(chain),
				&(struct term){.kind = k == 2 ? TERM_MAP : TERM_LOOKUP,
					.selector = (enum selector)s,
					.inverted = k == 1},
				"some.set_v4_10.0.0.0_9");
	}
	for (unsigned int v = VERDICT_ACCEPT; v <= VERDICT_GOTO; v++)
		add_verdict_term(chain_add_rule(chain), (enum verdict)v, v >= VERDICT_JUMP ? "terms" : NULL);
	rule_add_term(chain_add_rule(chain), &(struct term){.kind = TERM_COUNTER}, "some");
	rule_add_term(chain_add_rule(chain), &(struct term){.kind = TERM_REJECT_RESET}, NULL);
	for (unsigned int bit = 0; bit < 128; bit += 13)
		rule_add_term(chain_add_rule(chain),
			&(struct term){.kind = TERM_SET_LABEL,
				.value = bit < 64 ? (struct value){0, (uint64_t)1 << bit}
						  : (struct value){(uint64_t)1 << (bit - 64), 0}},
			NULL);
	rule_add_term(chain_add_rule(chain), &(struct term){.kind = TERM_TURN_RESET}, NULL);
	rule_add_term(chain_add_rule(chain),
		&(struct term){.kind = TERM_LIMIT, .value = {0, UINT64_C(0x123456789)}, .mask = {0, 7}}, NULL);
	rule_add_term(chain_add_rule(chain), &(struct term){.kind = TERM_LOG, .value = {0, 65535}, .mask = {0, 128}},
		"some prefix");
	rule_add_term(chain_add_rule(chain), &(struct term){.kind = TERM_LOG}, "p");
	for (unsigned int key = KEY_SOURCE; key <= KEY_NEXT_BYTE; key++)
		for (unsigned int family = 0; family < 2; family++)
			for (unsigned int update = UPDATE_ADD; update <= UPDATE_DELETE; update++) {
				struct term term = {.kind = TERM_UPDATE,
					.key = (enum key)key,
					.update = (enum update)update,
					.selector = family ? SELECT_IP6_SADDR : SELECT_IP_SADDR};

				if (key == KEY_NEXT_BYTE)
					term.selector = family ? SELECT_IP6_DADDR : SELECT_IP_DADDR;
				if (key == KEY_SOURCE_REASON)
					term.value.lo = 0x12345678;
				if (key == KEY_SOURCE && update == UPDATE_TOUCH)
					term.mask.lo = 0xffffff00;
				rule_add_term(chain_add_rule(chain), &term, "some");
				term.kind = TERM_KNOWN;
				term.update = UPDATE_ADD;
				if (key != KEY_SOURCE)
					rule_add_term(chain_add_rule(chain), &term, "some");
			}
	check_codec("terms", ruleset);
	ruleset_free(ruleset);
}

/* Comments longer than nft's own limit are cut, and do no harm. */
static void test_codec_comments(void **state)
{
	struct ruleset *ruleset = ruleset_new();
	struct netlink *netlink = codec_netlink();
	struct batch batch = {0};
	struct ruleset *decoded;
	char comment[400];

	(void)state;
	memset(comment, 'x', sizeof(comment));
	comment[sizeof(comment) - 1] = '\0';
	ruleset->present = true;
	ruleset->comment = mem_string(comment);
	ruleset_add_chain(ruleset, "c")->comment = mem_string(comment);
	ruleset_add_counter(ruleset, "c")->comment = mem_string("");
	codec_encode(&batch, netlink, ruleset);
	assert_int_equal(codec_decode(batch.data, batch.used, true, &decoded), 0);
	assert_int_equal(strlen(decoded->comment), 127);
	assert_int_equal(strlen(decoded->chains[0].comment), 127);
	assert_string_equal(decoded->counters[0].comment, "");
	ruleset_free(decoded);
	batch_done(&batch);
	netlink_close(netlink);
	ruleset_free(ruleset);
}

/* --- messages written by hand --- */

/*
 * Attributes as text: "1=0a000000" (bytes), "2='name'" (with its NUL), "2=~'name'" (without), "4={1=... 2=...}" (a
 * nest), "4=[name(1=..) name()]" (a list of expressions), "4=#8" (eight bytes of zero). Appended to the message.
 */
static const char *put_attributes(struct nlmsghdr *message, const char *text);

static const char *put_expressions(struct nlmsghdr *message, const char *text)
{
	while (*text && *text != ']') {
		char name[32];
		size_t length = strcspn(text, "( ]");
		struct nlattr *item = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
		struct nlattr *data;

		snprintf(name, sizeof(name), "%.*s", (int)length, text);
		mnl_attr_put_strz(message, NFTA_EXPR_NAME, name);
		text += length;
		if (*text == '(') {
			data = mnl_attr_nest_start(message, NFTA_EXPR_DATA);
			text = put_attributes(message, text + 1);
			assert_int_equal(*text, ')');
			text++;
			mnl_attr_nest_end(message, data);
		}
		mnl_attr_nest_end(message, item);
		text += *text == ' ';
	}
	return text;
}

static const char *put_attributes(struct nlmsghdr *message, const char *text)
{
	while (*text && *text != '}' && *text != ')') {
		char *end;
		uint16_t type = (uint16_t)strtoul(text, &end, 10);
		uint8_t bytes[256] = {0};
		size_t length = 0;

		assert_int_equal(*end, '=');
		text = end + 1;
		if (*text == '{' || *text == '[') {
			struct nlattr *nest = mnl_attr_nest_start(message, type);

			text = *text == '{' ? put_attributes(message, text + 1) : put_expressions(message, text + 1);
			assert_true(*text == '}' || *text == ']');
			text++;
			mnl_attr_nest_end(message, nest);
		} else if (*text == '\'' || *text == '~') {
			bool terminated = *text == '\'';

			text += terminated ? 1 : 2;
			length = strcspn(text, "'");
			memcpy(bytes, text, length);
			text += length + 1;
			mnl_attr_put(message, type, length + terminated, bytes);
		} else if (*text == '#') {
			length = strtoul(text + 1, &end, 10);
			text = end;
			mnl_attr_put(message, type, length, bytes);
		} else {
			unsigned int byte;

			for (; sscanf(text, "%2x", &byte) == 1 && text[0] != ' '; text += 2)
				bytes[length++] = (uint8_t)byte;
			mnl_attr_put(message, type, length, bytes);
		}
		text += *text == ' ';
	}
	return text;
}

static struct nlmsghdr *message_of(char *buffer, uint16_t type, const char *attributes)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	*header = (struct nfgenmsg){.nfgen_family = NFPROTO_INET};
	assert_int_equal(*put_attributes(message, attributes), '\0');
	return message;
}

#define OURS   "1='dflyguard' "
#define DPORT  "payload(1=00000001 2=00000002 3=00000002 4=00000002)"
#define SADDR  "payload(1=00000001 2=00000001 3=0000000c 4=00000004)"
#define STATE  "ct(2=00000000 1=00000001)"
#define DROP   "immediate(1=00000000 2={2={1=00000000}})"
#define ACCEPT "immediate(1=00000000 2={2={1=00000001}})"
#define IS_80  "cmp(1=00000001 2=00000000 3={1=0050})"

/* Each row is one rule of the kernel's; what it is to us. */
static const struct {
	const char *expressions;
	const char *text; /* "[" in front: opaque */
} rules[] = {
	{DPORT " " IS_80 " " DROP, "tcp dport 80 drop"},
	/* The kernel's names for the register that nft calls 1. */
	{"payload(1=00000008 2=00000002 3=00000002 4=00000002) cmp(1=00000008 2=00000000 3={1=0050}) " DROP,
		"tcp dport 80 drop"},
	{DPORT " cmp(1=00000001 2=00000001 3={1=0050}) " ACCEPT, "tcp dport != 80 accept"},
	{SADDR " lookup(1='s' 2=00000001)", "ip saddr @s"},
	/* Flags that are there and zero. */
	{SADDR " lookup(1='s' 2=00000001 5=00000000)", "ip saddr @s"},
	{SADDR " lookup(1='s' 2=00000008 5=00000000)", "ip saddr @s"},
	{SADDR " lookup(1='s' 2=00000001 4=00000007)", "ip saddr @s"},
	{SADDR " lookup(1='s' 2=00000001 5=00000001)", "ip saddr != @s"},
	{DPORT " lookup(1='m' 2=00000001 3=00000000)", "tcp dport vmap @m"},
	{"ct(2=00000000 1=00000001) bitwise(1=00000001 2=00000001 3=00000004 4={1=#4} 5={1=#4})"
	 " cmp(1=00000001 2=00000001 3={1=#4})",
		"ct state 0x0"},
	{"payload(1=00000001 2=00000002 3=0000000d 4=00000001) bitwise(1=00000001 2=00000001 3=00000001 4={1=17} "
	 "5={1=00}) cmp(1=00000001 2=00000000 3={1=02})",
		"tcp flags & (fin | syn | rst | ack) == syn"},
	/* The operation that the kernel adds: 0 is the one that we mean. */
	{"payload(1=00000001 2=00000002 3=0000000d 4=00000001) bitwise(1=00000001 2=00000001 3=00000001 6=00000000 "
	 "4={1=02} 5={1=00}) cmp(1=00000001 2=00000001 3={1=00})",
		"tcp flags syn"},
	{"payload(1=00000001 2=00000002 3=0000000d 4=00000001) bitwise(1=00000001 2=00000001 3=00000001 6=00000000 "
	 "4={1=02} 5={1=00}) cmp(1=00000001 2=00000000 3={1=00})",
		"tcp flags ! syn"},
	{"reject(1=00000001)", "reject with tcp reset"},
	{"reject(1=00000001 2=00)", "reject with tcp reset"},
	{"objref(1=00000001 2='c')", "counter name \"c\""},
	{"immediate(1=00000000 2={2={1=fffffffd 2='c'}})", "jump c"},
	{"immediate(1=00000000 2={2={1=fffffffc 2='c'}})", "goto c"},
	{"immediate(1=00000000 2={2={1=fffffffb}})", "return"},
	{"fib(1=00000001 2=00000003 3=00000002) cmp(1=00000001 2=00000000 3={1=02000000})", "fib daddr type local"},
	{"", ""},
	/* An attribute of a newer kernel: zero says that nobody asked for it, anything else that somebody did. */
	{"payload(1=00000001 2=00000002 3=00000002 4=00000002 20=00000000) " IS_80, "tcp dport 80"},
	{"payload(1=00000001 2=00000002 3=00000002 4=00000002 20=00000001) " IS_80,
		"[payload(1=00000001 2=00000002 3=00000002 4=00000002 20=00000001) "
		"cmp(1=00000001 2=00000000 3={1=0050})"},
	/* Everything that is nearly one of ours, and is not. */
	{"payload(1=00000002 2=00000002 3=00000002 4=00000002) " IS_80, "[payload("},
	{"payload(1=00000009 2=00000002 3=00000002 4=00000002) " IS_80, "[payload("},
	{"payload(1=00000001 2=00000002 3=00000002 4=00000004) " IS_80, "[payload("},
	{"payload(1=00000001 2=00000002 3=00000004 4=00000002) " IS_80, "[payload("},
	{"payload(1=00000001 2=00000003 3=00000002 4=00000002) " IS_80, "[payload("},
	{"payload(1=00000001 2=00000002 3=00000002) " IS_80, "[payload("},
	{"payload(1=01 2=00000002 3=00000002 4=00000002) " IS_80, "[payload("},
	/* Writes to the packet. */
	{"payload(5=00000001 2=00000002 3=00000002 4=00000002)", "[payload("},
	{DPORT " cmp(1=00000001 2=00000002 3={1=0050})", "[payload("},
	{DPORT " cmp(1=00000009 2=00000000 3={1=0050})", "[payload("},
	{DPORT " cmp(1=00000001 2=00000000 3={1=00500000})", "[payload("},
	{DPORT " cmp(1=00000001 2=00000000 3={1=50})", "[payload("},
	{DPORT " cmp(1=00000001 2=00000000 3={2={1=00000000}})", "[payload("},
	{DPORT " cmp(1=00000001 2=00000000 3={1=0050 1=0051})", "[payload("},
	{DPORT " cmp(1=00000001 2=00000000)", "[payload("},
	{DPORT " cmp(1=00000001 2=00000000 3={1=0050} 7=00000000)", "[payload("},
	{DPORT, "[payload("},
	{DPORT " " DROP, "[payload(1=00000001 2=00000002 3=00000002 4=00000002) drop"},
	{IS_80, "[cmp("},
	{"range(1=00000001 2=00000000 3={1=0050} 4={1=0051})", "[range("},
	{SADDR " lookup(1='s' 2=00000001 5=00000002)", "[payload("},
	{SADDR " lookup(1='s' 2=00000001 5=00)", "[payload("},
	{SADDR " lookup(1='s' 2=00000009)", "[payload("},
	{SADDR " lookup(1='s' 2=00000001 3=00000001)", "[payload("},
	{SADDR " lookup(1='s' 2=00000001 3=00000000 5=00000001)", "[payload("},
	{SADDR " lookup(2=00000001)", "[payload("},
	{SADDR " lookup(1=~'s' 2=00000001)", "[payload("},
	{STATE " bitwise(1=00000001 2=00000001 3=00000004 4={1=00000001} 5={1=00000001}) "
	       "cmp(1=00000001 2=00000001 3={1=#4})",
		"[ct("},
	{STATE " bitwise(1=00000001 2=00000001 3=00000004 4={1=00000001} 5={1=#4} 6=00000001) "
	       "cmp(1=00000001 2=00000001 3={1=#4})",
		"[ct("},
	{STATE " bitwise(1=00000001 2=00000001 3=00000002 4={1=00000001} 5={1=#4}) "
	       "cmp(1=00000001 2=00000001 3={1=#4})",
		"[ct("},
	{STATE " bitwise(1=00000001 2=00000001 3=00000004 4={1=0001} 5={1=#4}) cmp(1=00000001 2=00000001 3={1=#4})",
		"[ct("},
	{STATE " bitwise(1=00000001 2=00000009 3=00000004 4={1=00000001} 5={1=#4}) "
	       "cmp(1=00000001 2=00000001 3={1=#4})",
		"[ct("},
	/* Masked, compared with something, and inverted: no test of ours. */
	{STATE " bitwise(1=00000001 2=00000001 3=00000004 4={1=01000000} 5={1=#4}) "
	       "cmp(1=00000001 2=00000001 3={1=01000000})",
		"[ct("},
	{STATE " bitwise(1=00000001 2=00000001 3=00000004 4={1=01000000} 5={1=#4})", "[ct("},
	{"ct(2=00000000 1=00000001 3=00) cmp(1=00000001 2=00000000 3={1=01000000})", "[ct("},
	{"ct(2=00000003 1=00000001) cmp(1=00000001 2=00000000 3={1=01000000})", "[ct("},
	{"meta(2=00000003 1=00000001) cmp(1=00000001 2=00000000 3={1=01000000})", "[meta("},
	{"meta(2=00000004 3=00000001) cmp(1=00000001 2=00000000 3={1=01000000})", "[meta("},
	{"fib(1=00000001 2=00000003 3=00000001) cmp(1=00000001 2=00000000 3={1=02000000})", "[fib("},
	{"fib(1=00000001 2=00000003 3=00000012) cmp(1=00000001 2=00000000 3={1=02000000})", "[fib("},
	{"fib(1=00000001 2=00000001 3=00000002) cmp(1=00000001 2=00000000 3={1=02000000})", "[fib("},
	{"reject(1=00000000)", "[reject("},
	{"reject(1=00000001 2=03)", "[reject("},
	{"objref(1=00000002 2='c')", "[objref("},
	{"objref(3=00000001 4='s')", "[objref("},
	{"objref(1=00000001 2=~'c')", "[objref("},
	{"counter(1=0000000000000000 2=0000000000000000)", "[counter("},
	{"immediate(1=00000001 2={1=00000001})", "[immediate("},
	{"immediate(1=00000001 2={2={1=00000001}})", "[immediate("},
	{"immediate(1=00000000 2={2={1=00000003}})", "[immediate("},
	{"immediate(1=00000000 2={2={1=00000000 2='c'}})", "[immediate("},
	{"immediate(1=00000000 2={2={1=fffffffd}})", "[immediate("},
	{"immediate(1=00000000 2={2={1=00}})", "[immediate("},
	{"immediate(1=00000000)", "[immediate("},
	{"log(2='dflyguard')", "[log("},
	{"log", "[log()"},
	/* What could be read is shown as we write it, and what could not as it is. */
	{DPORT " " IS_80 " log(1=0005) " ACCEPT, "[tcp dport 80 log(1=0005) accept"},
};

static struct ruleset *ruleset_with_chain(void)
{
	struct ruleset *ruleset = ruleset_new();

	ruleset->present = true;
	ruleset_add_chain(ruleset, "c");
	return ruleset;
}

static void test_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		struct ruleset *ruleset = ruleset_with_chain();
		_cleanup_free_ char *attributes =
			mem_format(OURS "2='c' 3=0000000000000007 4=[%s]", rules[i].expressions);
		char buffer[4096] = {0};
		const struct rule *rule;
		_cleanup_text_ struct text text = {0};

		assert_int_equal(decode_rule(ruleset, message_of(buffer, NFT_MSG_NEWRULE, attributes)), 0);
		assert_int_equal(ruleset->chains[0].rule_count, 1);
		rule = &ruleset->chains[0].rules[0];
		assert_int_equal(rule->handle, 7);
		if (*rules[i].text == '[') {
			size_t length = strlen(rules[i].text + 1);

			if (!rule->opaque)
				fail_msg("%s: not opaque", rules[i].expressions);
			if (strncmp(rule->opaque, rules[i].text + 1, length) != 0)
				fail_msg("%s: %s", rules[i].expressions, rule->opaque);
			assert_int_equal(rule->term_count, 0);
			assert_false(rule_equal(rule, rule));
		} else {
			if (rule->opaque)
				fail_msg("%s: %s", rules[i].expressions, rule->opaque);
			rule_print(rule, &text);
			assert_string_equal(text_string(&text), rules[i].text);
		}
		ruleset_free(ruleset);
	}
}

/* One message of each kind, and what becomes of it. `cut` bytes are missing at its end. */
static const struct {
	const char *name;
	uint16_t type;
	const char *attributes;
	unsigned int cut;
	int code;
	const char *text;
} objects[] = {
	{"table", NFT_MSG_NEWTABLE, OURS "2=00000000 3=00000004 4=0000000000000009", 0, 0, "table flags 0"},
	{"table dormant", NFT_MSG_NEWTABLE, OURS "2=00000001", 0, 0, "table flags 1"},
	{"table with a comment", NFT_MSG_NEWTABLE, OURS "2=00000000 6=0003616200", 0, 0, "table flags 0 comment ab"},
	{"table owned", NFT_MSG_NEWTABLE, OURS "2=00000006 7=00001267", 0, 0, "table flags 6 owner 4711"},
	{"table owned by a high port", NFT_MSG_NEWTABLE, OURS "2=00000002 7=c8aaaaaa", 0, 0,
		"table flags 2 owner 3366628010"},
	{"table left by its owner", NFT_MSG_NEWTABLE, OURS "2=00000004", 0, 0, "table flags 4"},
	{"table with a flag of tomorrow", NFT_MSG_NEWTABLE, OURS "2=00000008", 0, 0, "table flags 8"},
	{"table with half an owner", NFT_MSG_NEWTABLE, OURS "2=00000006 7=1267", 0, 0, "table flags 6"},
	{"table without flags", NFT_MSG_NEWTABLE, OURS, 0, -EBADMSG, NULL},
	{"table with short flags", NFT_MSG_NEWTABLE, OURS "2=0000", 0, -EBADMSG, NULL},
	{"table cut", NFT_MSG_NEWTABLE, OURS "2=00000000 3=00000004", 4, -EBADMSG, NULL},
	{"table of a newer kernel", NFT_MSG_NEWTABLE, OURS "2=00000000 77=01", 0, 0, "table flags 0"},
	{"table of somebody else", NFT_MSG_NEWTABLE, "1='dflyguards' 2=00000000", 0, 0, ""},
	{"table without a name", NFT_MSG_NEWTABLE, "2=00000000", 0, 0, ""},
	{"table with an unterminated name", NFT_MSG_NEWTABLE, "1=~'dflyguard' 2=00000000", 0, 0, ""},
	{"counter", NFT_MSG_NEWOBJ, OURS "2='c' 3=00000001 4={1=0000000000000100 2=0000000000000003} 8=0003616200", 0,
		0, "counter c 3 256 comment ab"},
	{"counter of a newer kernel", NFT_MSG_NEWOBJ, OURS "2='c' 3=00000001 4={9=01} 88=01", 0, 0, "counter c 0 0"},
	{"counter without a name", NFT_MSG_NEWOBJ, OURS "3=00000001", 0, -EBADMSG, NULL},
	{"counter with an unterminated name", NFT_MSG_NEWOBJ, OURS "2=~'c' 3=00000001", 0, -EBADMSG, NULL},
	{"object without a type", NFT_MSG_NEWOBJ, OURS "2='c'", 0, -EBADMSG, NULL},
	{"quota", NFT_MSG_NEWOBJ, OURS "2='q' 3=00000002 4={1=0000000000000100}", 0, 0,
		"other q 2 object of type 2: 1=0000000000000100"},
	{"flowtable", NFT_MSG_NEWFLOWTABLE, OURS "2='f'", 0, 0,
		"other f 0 flowtable: packets of its connections pass by all chains"},
	{"flowtable without a name", NFT_MSG_NEWFLOWTABLE, OURS, 0, -EBADMSG, NULL},
	{"chain", NFT_MSG_NEWCHAIN, OURS "3='n' 2=0000000000000005 6=00000001", 0, 0, "chain n regular chain"},
	{"chain with an id", NFT_MSG_NEWCHAIN, OURS "3='n' 10=00000000 11=00000001", 0, 0, "chain n regular chain"},
	{"hook", NFT_MSG_NEWCHAIN, OURS "3='n' 4={1=00000000 2=ffffff6a} 5=00000001 7='filter' 10=00000001", 0, 0,
		"chain n type filter hook prerouting priority -150; policy accept;"},
	{"hook that counts", NFT_MSG_NEWCHAIN,
		OURS "3='n' 4={1=00000004 2=7fffffff} 5=00000000 7='filter' 8={1=#8 2=#8}", 0, 0,
		"chain n type filter hook postrouting priority 2147483647; policy drop;"},
	{"hook of type nat", NFT_MSG_NEWCHAIN, OURS "3='n' 4={1=00000000 2=00000000} 5=00000001 7='nat'", 0, 0,
		"chain n [ chain of type nat: 1=00000000 2=00000000 ]"},
	{"hook without a type", NFT_MSG_NEWCHAIN, OURS "3='n' 4={1=00000000 2=00000000} 5=00000001", 0, 0,
		"chain n [ chain of type none: 1=00000000 2=00000000 ]"},
	{"hook of a device", NFT_MSG_NEWCHAIN, OURS "3='n' 4={1=00000000 2=00000000 3='lo'} 5=00000001 7='filter'", 0,
		0, "chain n [ chain of type filter: 1=00000000 2=00000000 3=6c6f00 ]"},
	{"hook ingress", NFT_MSG_NEWCHAIN, OURS "3='n' 4={1=00000005 2=00000000} 5=00000001 7='filter'", 0, 0,
		"chain n [ chain of type filter: 1=00000005 2=00000000 ]"},
	{"hook without a policy", NFT_MSG_NEWCHAIN, OURS "3='n' 4={1=00000000 2=00000000} 7='filter'", 0, 0,
		"chain n [ chain of type filter: 1=00000000 2=00000000 ]"},
	{"hook with a strange policy", NFT_MSG_NEWCHAIN, OURS "3='n' 4={1=00000000 2=00000000} 5=00000003 7='filter'",
		0, 0, "chain n [ chain of type filter: 1=00000000 2=00000000 ]"},
	{"hook with half a priority", NFT_MSG_NEWCHAIN, OURS "3='n' 4={1=00000000 2=0000} 5=00000001 7='filter'", 0, 0,
		"chain n [ chain of type filter: 1=00000000 2=0000 ]"},
	{"chain offloaded", NFT_MSG_NEWCHAIN, OURS "3='n' 10=00000002", 0, 0, "chain n [ chain of type none:  ]"},
	{"chain of a rule", NFT_MSG_NEWCHAIN, OURS "3='__chain0' 10=00000004", 0, 0, ""},
	{"chain with half its flags", NFT_MSG_NEWCHAIN, OURS "3='n' 10=0000", 0, -EBADMSG, NULL},
	{"chain without a name", NFT_MSG_NEWCHAIN, OURS "2=0000000000000005", 0, -EBADMSG, NULL},
	{"chain cut", NFT_MSG_NEWCHAIN, OURS "3='n' 4={1=00000000 2=ffffff6a}", 4, -EBADMSG, NULL},
	{"set", NFT_MSG_NEWSET, OURS "2='s' 3=00000004 4=00000007 5=00000004 9={} 16=0000000000000003", 0, 0,
		"set s type ipv4_addr; flags interval;"},
	{"set of a newer kernel", NFT_MSG_NEWSET, OURS "2='s' 3=00000000 4=0000000d 5=00000002 19='rbtree' 20=00000001",
		0, 0, "set s type inet_service;"},
	{"map", NFT_MSG_NEWSET, OURS "2='s' 3=00000008 4=00000008 5=00000010 6=ffffff00 7=00000010", 0, 0,
		"set s type ipv6_addr : verdict;"},
	{"map to marks", NFT_MSG_NEWSET, OURS "2='s' 3=00000008 4=0000000d 5=00000002 6=00000013 7=00000004", 0, 0,
		"set s [ key type 13 of 2 bytes, flags 0x8 ]"},
	{"set with timeouts", NFT_MSG_NEWSET, OURS "2='s' 3=00000010 4=00000007 5=00000004 11=0000000000001000", 0, 0,
		"set s [ key type 7 of 4 bytes, flags 0x10, with a timeout ]"},
	{"set that is constant", NFT_MSG_NEWSET, OURS "2='s' 3=00000006 4=00000007 5=00000004", 0, 0,
		"set s [ key type 7 of 4 bytes, flags 0x6 ]"},
	{"set that packets fill", NFT_MSG_NEWSET, OURS "2='s' 3=00000020 4=00000007 5=00000004", 0, 0,
		"set s type ipv4_addr; size 0; flags dynamic;"},
	{"set that packets fill, with all that ours have", NFT_MSG_NEWSET,
		OURS "2='s' 3=00000030 4=00000007 5=00000004 9={1=00010000} 11=000000000000ea60 17={1='limit' "
		     "2={1=0000000000000032 2=0000000000000001 3=00000032 4=00000000 5=00000001}}",
		0, 0,
		"set s type ipv4_addr; size 65536; flags dynamic,timeout; timeout 1m; limit rate over 50/second burst "
		"50 packets;"},
	{"set that counts connections", NFT_MSG_NEWSET,
		OURS
		"2='s' 3=00000020 4=00000008 5=00000010 9={1=00010000} 17={1='connlimit' 2={1=00000005 2=00000001}}",
		0, 0, "set s type ipv6_addr; size 65536; flags dynamic; ct count over 5;"},
	{"set that counts connections, the wrong way round", NFT_MSG_NEWSET,
		OURS
		"2='s' 3=00000020 4=00000008 5=00000010 9={1=00010000} 17={1='connlimit' 2={1=00000005 2=00000000}}",
		0, 0, "set s [ key type 8 of 16 bytes, flags 0x20 ]"},
	{"set that counts bytes", NFT_MSG_NEWSET,
		OURS "2='s' 3=00000020 4=00000007 5=00000004 9={1=00010000} 17={1='quota' 2={1=0000000000000005}}", 0,
		0, "set s [ key type 7 of 4 bytes, flags 0x20 ]"},
	{"set with two meters", NFT_MSG_NEWSET,
		OURS "2='s' 3=00000020 4=00000007 5=00000004 9={1=00010000} 18=[counter(1=#8 2=#8) counter(1=#8 2=#8)]",
		0, 0, "set s [ key type 7 of 4 bytes, flags 0x20 ]"},
	{"set of sources and reasons", NFT_MSG_NEWSET,
		OURS "2='s' 3=00000020 4=000001d3 5=00000008 9={1=00001000} 17={1='counter' 2={1=#8 2=#8}}", 0, 0,
		"set s type ipv4_addr . mark; size 4096; flags dynamic; counter;"},
	{"set of first bytes", NFT_MSG_NEWSET,
		OURS "2='s' 3=00000030 4=00008344 5=00000018 9={1=00010000} 11=000000000036ee80", 0, 0,
		"set s typeof ip6 saddr . tcp sport . tcp sequence; size 65536; flags dynamic,timeout; timeout 1h;"},
	{"set of first bytes, of another length", NFT_MSG_NEWSET,
		OURS "2='s' 3=00000030 4=00008344 5=00000010 9={1=00010000} 11=000000000036ee80", 0, 0,
		"set s [ key type 33604 of 16 bytes, flags 0x30, with a timeout ]"},
	{"set that says timeout and has none", NFT_MSG_NEWSET,
		OURS "2='s' 3=00000030 4=00000007 5=00000004 9={1=00010000}", 0, 0,
		"set s [ key type 7 of 4 bytes, flags 0x30 ]"},
	{"set that packets fill with intervals", NFT_MSG_NEWSET,
		OURS "2='s' 3=00000024 4=00000007 5=00000004 9={1=00010000}", 0, 0,
		"set s [ key type 7 of 4 bytes, flags 0x24 ]"},
	{"set of limited size", NFT_MSG_NEWSET, OURS "2='s' 4=00000007 5=00000004 9={1=00000010}", 0, 0,
		"set s [ key type 7 of 4 bytes, flags 0x0 ]"},
	{"set with counters", NFT_MSG_NEWSET, OURS "2='s' 4=00000007 5=00000004 17={1='counter'}", 0, 0,
		"set s [ key type 7 of 4 bytes, flags 0x0 ]"},
	{"set of another key", NFT_MSG_NEWSET, OURS "2='s' 4=00000007 5=00000008", 0, 0,
		"set s [ key type 7 of 8 bytes, flags 0x0 ]"},
	{"set of marks", NFT_MSG_NEWSET, OURS "2='s' 4=00000013 5=00000004", 0, 0,
		"set s [ key type 19 of 4 bytes, flags 0x0 ]"},
	{"set without a key", NFT_MSG_NEWSET, OURS "2='s'", 0, 0, "set s [ key type 0 of 0 bytes, flags 0x0 ]"},
	{"set of a rule", NFT_MSG_NEWSET, OURS "2='__set0' 3=00000003 4=00000007 5=00000004", 0, 0, ""},
	{"set with half its flags", NFT_MSG_NEWSET, OURS "2='s' 3=0000 4=00000007 5=00000004", 0, -EBADMSG, NULL},
	{"set without a name", NFT_MSG_NEWSET, OURS "3=00000000", 0, -EBADMSG, NULL},
	{"set cut", NFT_MSG_NEWSET, OURS "2='s' 4=00000007 5=00000004 3=00000004", 4, -EBADMSG, NULL},
	{"rule of another chain", NFT_MSG_NEWRULE, OURS "2='other' 4=[" DROP "]", 0, 0, ""},
	{"rule without a chain", NFT_MSG_NEWRULE, OURS "4=[" DROP "]", 0, -EBADMSG, NULL},
	{"rule of another table", NFT_MSG_NEWRULE, "1='x' 2='c' 4=[" DROP "]", 0, 0, ""},
	{"rule cut", NFT_MSG_NEWRULE, OURS "2='c' 4=[" DROP " " DROP "]", 40, -EBADMSG, NULL},
	{"rule with a comment", NFT_MSG_NEWRULE, OURS "2='c' 4=[" DROP "] 7=00056162636400", 0, 0,
		"rule drop comment abcd"},
	/* Userdata that is not what it says. */
	{"comment longer than it is", NFT_MSG_NEWRULE, OURS "2='c' 4=[" DROP "] 7=00ff616200", 0, 0, "rule drop"},
	{"comment unterminated", NFT_MSG_NEWRULE, OURS "2='c' 4=[" DROP "] 7=00026162", 0, 0, "rule drop"},
	{"comment of no length", NFT_MSG_NEWRULE, OURS "2='c' 4=[" DROP "] 7=0000", 0, 0, "rule drop"},
	{"comment of one byte", NFT_MSG_NEWRULE, OURS "2='c' 4=[" DROP "] 7=00", 0, 0, "rule drop"},
	{"comment second", NFT_MSG_NEWRULE, OURS "2='c' 4=[" DROP "] 7=0102ffff00026100", 0, 0, "rule drop comment a"},
};

static char *describe(const struct ruleset *r)
{
	struct text text = {0};
	const char *comment = NULL;

	if (r->comment || r->handle || !r->present) {
		text_printf(&text, "table flags %u", r->flags);
		if (r->owner)
			text_printf(&text, " owner %u", r->owner);
		comment = r->comment;
	}
	for (size_t i = 0; i < r->counter_count; i++) {
		text_printf(&text, "counter %s %u %u", r->counters[i].name, (unsigned int)r->counters[i].packets,
			(unsigned int)r->counters[i].bytes);
		comment = r->counters[i].comment;
	}
	for (size_t i = 0; i < r->other_count; i++)
		text_printf(&text, "other %s %u %s", r->others[i].name, r->others[i].type, r->others[i].opaque);
	for (size_t i = 1; i < r->chain_count; i++) {
		text_printf(&text, "chain %s ", r->chains[i].name);
		chain_print_head(&r->chains[i], &text);
	}
	for (size_t i = 0; i < r->set_count; i++) {
		text_printf(&text, "set %s ", r->sets[i].name);
		set_print_head(&r->sets[i], &text);
	}
	for (size_t i = 0; i < r->chains[0].rule_count; i++) {
		text_append(&text, "rule ");
		rule_print(&r->chains[0].rules[i], &text);
		comment = r->chains[0].rules[i].comment;
	}
	if (comment)
		text_printf(&text, " comment %s", comment);
	return text_take(&text);
}

static void test_objects(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		struct decoder decoder = {.ruleset = ruleset_with_chain()};
		char buffer[4096] = {0};
		struct nlmsghdr *message = message_of(buffer, objects[i].type, objects[i].attributes);
		bool table = objects[i].type == NFT_MSG_NEWTABLE;
		int code;

		message->nlmsg_len -= objects[i].cut;
		decoder.ruleset->present = !table;
		code = decoder_hear(&decoder, message);
		if (code != objects[i].code)
			fail_msg("%s: %d", objects[i].name, code);
		if (code == 0 && table) {
			assert_true(decoder.ruleset->present == (*objects[i].text != '\0'));
			/* So that it is described. */
			decoder.ruleset->handle = decoder.ruleset->present;
			decoder.ruleset->present = true;
		}
		if (code == 0) {
			_cleanup_free_ char *text = describe(decoder.ruleset);

			if (strcmp(text, objects[i].text) != 0)
				fail_msg("%s: %s", objects[i].name, text);
		}
		ruleset_free(decoder_finish(&decoder));
	}
}

/* Messages of another family, and ones that have no room for a header, are none of ours and are not read beyond. */
static void test_not_ours(void **state)
{
	static const uint16_t types[] = {NFT_MSG_NEWTABLE, NFT_MSG_NEWOBJ, NFT_MSG_NEWCHAIN, NFT_MSG_NEWSET,
		NFT_MSG_NEWRULE, NFT_MSG_NEWFLOWTABLE};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct decoder decoder = {.ruleset = ruleset_new()};
		char buffer[256] = {0};
		struct nlmsghdr *message =
			message_of(buffer, types[i], OURS "2='c' 3='c' 4=00000007 5=00000004 10=00000000");

		((struct nfgenmsg *)mnl_nlmsg_get_payload(message))->nfgen_family = NFPROTO_IPV4;
		assert_int_equal(decoder_hear(&decoder, message), 0);
		message->nlmsg_len = NLMSG_HDRLEN;
		assert_int_equal(decoder_hear(&decoder, message), 0);
		message->nlmsg_len = NLMSG_HDRLEN + 3;
		assert_int_equal(decoder_hear(&decoder, message), 0);
		assert_false(decoder.ruleset->present);
		assert_int_equal(decoder.ruleset->chain_count + decoder.ruleset->set_count +
					 decoder.ruleset->counter_count + decoder.ruleset->other_count,
			0);
		ruleset_free(decoder_finish(&decoder));
	}
}

/* --- elements --- */

/*
 * "s10.0.0.0 e11.0.0.0": the start and the end of an interval, in the order given; "s10.0.0.0+4=..." with an attribute
 * more, "c" the catch-all, "k" an element without a key.
 */
static void put_elements(struct nlmsghdr *message, const char *text, enum width width)
{
	_cleanup_free_ char *copy = mem_string(text);
	char *rest = copy;
	struct nlattr *list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);

	for (char *word; (word = strsep(&rest, " "));) {
		char *more = strchr(word, '+');
		struct nlattr *element;
		uint8_t bytes[16];

		if (!*word)
			continue;
		element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
		if (more)
			*more++ = '\0';
		if (*word == 's' || *word == 'e') {
			struct nlattr *key = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);

			value_to_bytes(width, ip_interval(word + 1).first, bytes);
			mnl_attr_put(message, NFTA_DATA_VALUE, width_bits(width) / 8, bytes);
			mnl_attr_nest_end(message, key);
		}
		if (*word == 'e')
			mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htobe32(NFT_SET_ELEM_INTERVAL_END));
		if (*word == 'c')
			mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htobe32(NFT_SET_ELEM_CATCHALL));
		if (more) {
			/* Blanks end a word here, so nests are written with a dash. */
			for (char *byte = more; *byte; byte++)
				if (*byte == '_')
					*byte = ' ';
			put_attributes(message, more);
		}
		mnl_attr_nest_end(message, element);
	}
	mnl_attr_nest_end(message, list);
}

#define IPV6_MAX "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static const struct {
	const char *name;
	const char *elements; /* "|" between messages */
	const char *coverage;
	const char *kind; /* "", "irregular", "opaque", "bad" */
} element_rows[] = {
	{"nothing", "", "", ""},
	{"ascending", "s10.0.0.0 e11.0.0.0 s12.0.0.0 e12.0.0.1", "10.0.0.0/8 12.0.0.0", ""},
	{"descending", "e12.0.0.1 s12.0.0.0 e11.0.0.0 s10.0.0.0", "10.0.0.0/8 12.0.0.0", ""},
	{"any order", "s12.0.0.0 e11.0.0.0 e12.0.0.1 s10.0.0.0", "10.0.0.0/8 12.0.0.0", ""},
	{"in two messages", "e12.0.0.1 s12.0.0.0 e11.0.0.0|s10.0.0.0", "10.0.0.0/8 12.0.0.0", ""},
	{"leading end, as nft writes it", "e0.0.0.0 s10.0.0.0 e11.0.0.0", "10.0.0.0/8", ""},
	{"leading end, descending", "e11.0.0.0 s10.0.0.0 e0.0.0.0", "10.0.0.0/8", ""},
	{"leading end elsewhere", "e1.0.0.0 s10.0.0.0 e11.0.0.0", "10.0.0.0/8", ""},
	{"no end", "s240.0.0.0", "240.0.0.0/4", ""},
	{"no end, behind another", "s10.0.0.0 e11.0.0.0 s240.0.0.0", "10.0.0.0/8 240.0.0.0/4", ""},
	{"end wrapped around, as systemd writes it", "s240.0.0.0 e0.0.0.0", "240.0.0.0/4", ""},
	{"end wrapped around, behind another", "s10.0.0.0 e11.0.0.0 s240.0.0.0 e0.0.0.0", "10.0.0.0/8 240.0.0.0/4", ""},
	{"everything", "s0.0.0.0", "0.0.0.0/0", ""},
	{"everything, wrapped around", "s0.0.0.0 e0.0.0.0", "0.0.0.0/0", ""},
	{"the highest", "s255.255.255.255", "255.255.255.255", ""},
	{"the lowest", "s0.0.0.0 e0.0.0.1", "0.0.0.0", ""},
	{"neighbours with their own ends", "s10.0.0.0 e11.0.0.0 s11.0.0.0 e12.0.0.0", "10.0.0.0/8 11.0.0.0/8", ""},
	{"neighbours with their own ends, descending", "e12.0.0.0 s11.0.0.0 e11.0.0.0 s10.0.0.0",
		"10.0.0.0/8 11.0.0.0/8", ""},
	{"neighbours, start before end", "s10.0.0.0 s11.0.0.0 e11.0.0.0 e12.0.0.0", "10.0.0.0/8 11.0.0.0/8", ""},
	{"neighbours with one end", "s10.0.0.0 s11.0.0.0 e12.0.0.0", "10.0.0.0/8 11.0.0.0/8", "irregular"},
	{"two ends", "s10.0.0.0 e11.0.0.0 e12.0.0.0", "10.0.0.0/8", "irregular"},
	{"two leading ends", "e0.0.0.0 e1.0.0.0 s10.0.0.0 e11.0.0.0", "10.0.0.0/8", "irregular"},
	{"a start twice", "s10.0.0.0 s10.0.0.0 e11.0.0.0", "10.0.0.0/8", "irregular"},
	{"zero twice", "s0.0.0.0 s0.0.0.0 e11.0.0.0", "0.0.0.0-10.255.255.255", "irregular"},
	{"only an end", "e11.0.0.0", "", ""},
	{"catch-all", "c", "0.0.0.0/0", "irregular"},
	{"catch-all and more", "s10.0.0.0 e11.0.0.0 c", "0.0.0.0/0", "irregular"},
	{"timeout", "s10.0.0.0+4=0000000000001000 e11.0.0.0", "10.0.0.0/8", "opaque"},
	{"timeout of zero is a timeout", "s10.0.0.0+4=0000000000000000 e11.0.0.0", "10.0.0.0/8", "opaque"},
	{"comment", "s10.0.0.0+6=0003616200 e11.0.0.0", "10.0.0.0/8", ""},
	{"counter", "s10.0.0.0+7={1='counter'} e11.0.0.0", "10.0.0.0/8", "opaque"},
	{"several expressions", "s10.0.0.0+11={1={1='counter'}} e11.0.0.0", "10.0.0.0/8", "opaque"},
	{"object", "s10.0.0.0+9='c' e11.0.0.0", "10.0.0.0/8", "opaque"},
	{"end in the same element", "s10.0.0.0+10={1=0b000000} e11.0.0.0", "10.0.0.0/8", "opaque"},
	{"flags of zero", "s10.0.0.0+3=00000000 e11.0.0.0", "10.0.0.0/8", ""},
	{"flags that nobody knows", "s10.0.0.0+3=00000008 e11.0.0.0", "10.0.0.0/8", "opaque"},
	{"half the flags", "s10.0.0.0+3=0001 e11.0.0.0", NULL, "bad"},
	{"unknown attribute, zero", "s10.0.0.0+30=00000000 e11.0.0.0", "10.0.0.0/8", ""},
	{"unknown attribute", "s10.0.0.0+30=00000001 e11.0.0.0", "10.0.0.0/8", "opaque"},
	{"no key", "k", NULL, "bad"},
	{"key of another size", "k+1={1=0a00}", NULL, "bad"},
	{"key too long", "k+1={1=0a00000000}", NULL, "bad"},
	{"key that is a verdict", "k+1={2={1=00000000}}", NULL, "bad"},
	{"key twice", "s10.0.0.0+1={1=0b000000} e11.0.0.0", "10.0.0.0/8", "opaque"},
	{"empty key", "k+1={}", NULL, "bad"},
};

static char *coverage_text(const struct set *set)
{
	struct text text = {0};
	char buffer[INTERVAL_TEXT];

	for (size_t i = 0; i < set->elements.count; i++)
		text_printf(&text, "%s%s", i ? " " : "",
			interval_format(set->elements.width, intervals_get(&set->elements, i), buffer));
	return text_take(&text);
}

static int decode_words(struct set *set, const char *words, struct elements *elements)
{
	_cleanup_free_ char *copy = mem_string(words);
	char *rest = copy;
	int code = 0;

	*elements = (struct elements){.set = set, .keys.width = set->elements.width};
	for (char *part; code == 0 && (part = strsep(&rest, "|"));) {
		char buffer[4096] = {0};
		struct nlmsghdr *message = message_of(buffer, NFT_MSG_NEWSETELEM, OURS "2='s'");

		put_elements(message, part, set->elements.width);
		code = decode_elements(elements, message);
	}
	return code;
}

static void test_elements(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(element_rows); i++) {
		struct ruleset *ruleset = ruleset_new();
		struct set *set = ruleset_add_set(ruleset, "s", WIDTH_IPV4);
		struct elements elements;
		int code;

		set->interval = true;
		code = decode_words(set, element_rows[i].elements, &elements);
		if (strcmp(element_rows[i].kind, "bad") == 0) {
			if (code != -EBADMSG)
				fail_msg("%s: %d", element_rows[i].name, code);
		} else {
			_cleanup_free_ char *text = NULL;

			assert_int_equal(code, 0);
			elements_finish(&elements);
			text = coverage_text(set);
			if (strcmp(text, element_rows[i].coverage) != 0)
				fail_msg("%s: %s", element_rows[i].name, text);
			if ((set->opaque != NULL) != (strcmp(element_rows[i].kind, "opaque") == 0))
				fail_msg("%s: opaque: %s", element_rows[i].name, set->opaque ? set->opaque : "no");
			if (!set->opaque && set->irregular != (strcmp(element_rows[i].kind, "irregular") == 0))
				fail_msg("%s: irregular: %d", element_rows[i].name, set->irregular);
		}
		elements_done(&elements);
		ruleset_free(ruleset);
	}
}

/* The same in IPv6, where arithmetic has a carry between its halves. */
static void test_elements_ipv6(void **state)
{
	static const char *const rows[][2] = {
		{"s2001:db8:: e2001:db9::", "2001:db8::/32"},
		{"s2001:db8:: e2001:db8:0:1::", "2001:db8::/64"},
		{"s::1:0:0:0:0 e::1:0:0:0:1", "0:0:0:1::"},
		{"s" IPV6_MAX, IPV6_MAX},
		{"s:: e::", "::/0"},
		{"s::", "::/0"},
		{"e:: sff00::", "ff00::/8"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ruleset *ruleset = ruleset_new();
		struct set *set = ruleset_add_set(ruleset, "s", WIDTH_IPV6);
		struct elements elements;
		_cleanup_free_ char *text = NULL;

		set->interval = true;
		assert_int_equal(decode_words(set, rows[i][0], &elements), 0);
		elements_finish(&elements);
		text = coverage_text(set);
		assert_string_equal(text, rows[i][1]);
		assert_false(set->irregular);
		elements_done(&elements);
		ruleset_free(ruleset);
	}
}

/* Single values, and maps to verdicts. */
static void test_elements_map(void **state)
{
	static const struct {
		const char *elements;
		bool interval;
		const char *text;
		bool opaque;
	} rows[] = {
		{"s10.0.0.1+2={2={1=00000000}} s10.0.0.0+2={2={1=fffffffc_2='c'}}", false,
			"10.0.0.0 : goto c, 10.0.0.1 : drop", false},
		{"e0.0.0.0 s10.0.0.0+2={2={1=fffffffd_2='c'}} e11.0.0.0", true, "10.0.0.0/8 : jump c", false},
		{"s10.0.0.0+2={2={1=00000001}} e11.0.0.0 s11.0.0.0+2={2={1=fffffffb}} e12.0.0.0", true,
			"10.0.0.0/8 : accept, 11.0.0.0/8 : return", false},
		{"s10.0.0.0 e11.0.0.0", true, "10.0.0.0/8 : drop", true},
		{"s10.0.0.0+2={1=00000001} e11.0.0.0", true, "10.0.0.0/8 : drop", true},
		{"s10.0.0.0+2={2={1=00000005}} e11.0.0.0", true, "10.0.0.0/8 : drop", true},
		{"s10.0.0.0+2={2={1=fffffffd_2=~'c'}} e11.0.0.0", true, "10.0.0.0/8 : drop", true},
		{"c+2={2={1=00000001}}", true, "", true},
		{"s10.0.0.0+2={2={1=00000000}} s10.0.0.0+2={2={1=00000001}} e11.0.0.0", true, NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ruleset *ruleset = ruleset_new();
		struct set *set = ruleset_add_set(ruleset, "s", WIDTH_IPV4);
		struct elements elements;
		_cleanup_text_ struct text text = {0};

		set->map = true;
		set->interval = rows[i].interval;
		assert_int_equal(decode_words(set, rows[i].elements, &elements), 0);
		elements_finish(&elements);
		for (size_t k = 0; k < set->elements.count; k++) {
			text_append(&text, k ? ", " : "");
			element_print(set, k, &text);
		}
		if (rows[i].text)
			assert_string_equal(text_string(&text), rows[i].text);
		else
			assert_true(set->irregular);
		assert_true((set->opaque != NULL) == rows[i].opaque);
		elements_done(&elements);
		ruleset_free(ruleset);
	}
}

/* A list that was cut in its middle is not taken for a shorter one. */
static void test_elements_cut(void **state)
{
	(void)state;
	for (unsigned int cut = 1; cut < 60; cut++) {
		struct ruleset *ruleset = ruleset_new();
		struct set *set = ruleset_add_set(ruleset, "s", WIDTH_IPV4);
		struct elements elements = {.set = set, .keys.width = WIDTH_IPV4};
		char buffer[4096] = {0};
		struct nlmsghdr *message = message_of(buffer, NFT_MSG_NEWSETELEM, OURS "2='s'");
		struct nlattr *list = mnl_nlmsg_get_payload_tail(message);

		set->interval = true;
		put_elements(message, "s10.0.0.0 e11.0.0.0 s12.0.0.0 e13.0.0.0", WIDTH_IPV4);
		/* Cut off with its lengths unchanged, and with the list's own length adapted. */
		message->nlmsg_len -= cut;
		assert_int_equal(decode_elements(&elements, message), -EBADMSG);
		list->nla_len = (uint16_t)(list->nla_len - cut);
		/* Whole elements may be missing: that cannot be seen from here. */
		if (cut != 24 && cut != 40)
			assert_int_equal(decode_elements(&elements, message), -EBADMSG);
		elements_done(&elements);
		ruleset_free(ruleset);
	}
}

/* --- against a kernel that keeps what it is sent --- */

static const struct err no_error;

static struct ruleset *read_back(struct nft *nft)
{
	struct snapshot snapshot = {0};
	struct err err = {0};

	if (nft_read(nft, &snapshot, &err) < 0)
		fail_msg("%s", err.message);
	return snapshot.ruleset;
}

/* One transaction mends any mutation, in an order that the kernel accepts, and sends nothing that need not move. */
static void test_mend(void **state)
{
	struct compiled expected = compile_golden("everything");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mutations); i++) {
		struct compiled observed = compile_golden("everything");
		struct fake fake;
		struct nft *nft;
		struct snapshot snapshot = {0};
		struct changeset *changes;
		struct err err = {0};
		struct ruleset *after;

		if (mutations[i].model_only || mutations[i].long_list) {
			compiled_done(&observed);
			continue;
		}
		apply_mutation(&mutations[i], observed.ruleset);
		fake_begin(&fake);
		fake_load(&fake, observed.ruleset);
		nft = fake_open(&fake);
		assert_int_equal(nft_read(nft, &snapshot, &err), 0);
		assert_int_equal(snapshot.generation, fake.generation);
		assert_same(mutations[i].name, observed.ruleset, snapshot.ruleset);
		changes = ruleset_diff(expected.ruleset, snapshot.ruleset);
		if (changes->count) {
			/* A trial leaves everything as it is. */
			if (nft_commit(nft, changes, snapshot.generation, COMMIT_VERIFY, NULL, NULL, &err) < 0)
				fail_msg("%s: %s", mutations[i].name, err.message);
			assert_int_equal(fake.generation, snapshot.generation);
			if (changes->table_replace) {
				if (nft_commit(nft, changes, snapshot.generation, COMMIT_PREPARE, NULL, NULL, &err) < 0)
					fail_msg("%s: %s", mutations[i].name, err.message);
				changeset_free(changes);
				ruleset_free(snapshot.ruleset);
				assert_int_equal(nft_read(nft, &snapshot, &err), 0);
				changes = ruleset_diff(expected.ruleset, snapshot.ruleset);
				assert_false(changes->table_replace);
			}
			if (nft_commit(nft, changes, snapshot.generation, COMMIT_ALL, NULL, NULL, &err) < 0)
				fail_msg("%s: %s", mutations[i].name, err.message);
			assert_int_equal(fake.generation, snapshot.generation + 1);
		}
		after = read_back(nft);
		assert_same(mutations[i].name, expected.ruleset, after);
		ruleset_free(after);
		changeset_free(changes);
		ruleset_free(snapshot.ruleset);
		nft_close(nft);
		fake_done(&fake);
		compiled_done(&observed);
	}
	compiled_done(&expected);
}

/* From any policy to any other one. */
static void test_switch(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden_policies); i++)
		for (size_t k = 0; k < ARRAY_SIZE(golden_policies); k++) {
			if (!testing_thorough() && (i + k) % 4 != 0)
				continue;
			struct compiled from = compile_golden(golden_policies[i]);
			struct compiled to = compile_golden(golden_policies[k]);
			struct fake fake;
			struct nft *nft;
			struct snapshot snapshot = {0};
			struct changeset *changes;
			struct err err = {0};
			struct ruleset *after;

			fake_begin(&fake);
			fake_load(&fake, from.ruleset);
			nft = fake_open(&fake);
			assert_int_equal(nft_read(nft, &snapshot, &err), 0);
			changes = ruleset_diff(to.ruleset, snapshot.ruleset);
			if (nft_commit(nft, changes, snapshot.generation, COMMIT_ALL, NULL, NULL, &err) < 0)
				fail_msg("%s to %s: %s", golden_policies[i], golden_policies[k], err.message);
			after = read_back(nft);
			assert_same(golden_policies[k], to.ruleset, after);
			ruleset_free(after);
			changeset_free(changes);
			ruleset_free(snapshot.ruleset);
			nft_close(nft);
			fake_done(&fake);
			compiled_done(&from);
			compiled_done(&to);
		}
}

/* How many messages a change may cost: guarantee 9. */
static void test_traffic(void **state)
{
	static const struct {
		void (*mutate)(struct ruleset *r);
		size_t messages;
	} rows[] = {
		{mutate_elements_added, 1},   /* delete the element */
		{mutate_elements_gone, 1},    /* add it */
		{mutate_elements_widened, 2}, /* delete, add */
		{mutate_target, 2},
		{mutate_rule_first, 4}, /* empty the chain, three rules */
		{mutate_policy, 1},
		{mutate_dormant, 1},
		{mutate_counter_extra, 1},
		{mutate_chain_extra, 2},
		{mutate_chain_gone, 3}, /* the chain, two rules */
		{mutate_environment, 2},
	};
	struct compiled expected = compile_golden("everything");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct compiled observed = compile_golden("everything");
		struct fake fake;
		struct nft *nft;
		struct snapshot snapshot = {0};
		struct changeset *changes;
		struct err err = {0};

		apply_mutation(&(struct mutation){.mutate = rows[i].mutate}, observed.ruleset);
		fake_begin(&fake);
		fake_load(&fake, observed.ruleset);
		nft = fake_open(&fake);
		assert_int_equal(nft_read(nft, &snapshot, &err), 0);
		changes = ruleset_diff(expected.ruleset, snapshot.ruleset);
		assert_int_equal(nft_commit(nft, changes, snapshot.generation, COMMIT_ALL, NULL, NULL, &err), 0);
		assert_int_equal(fake.largest_batch, rows[i].messages);
		changeset_free(changes);
		ruleset_free(snapshot.ruleset);
		nft_close(nft);
		fake_done(&fake);
		compiled_done(&observed);
	}
	compiled_done(&expected);
}

/* Bytes that only the kernel can have: a foreign rule and a foreign set, which must go with what refers to them. */
static void test_mend_opaque(void **state)
{
	static const struct {
		uint16_t type;
		const char *key;
		const char *attributes;
	} strangers[] = {
		{NFT_MSG_NEWRULE, "judge", OURS "2='judge' 4=[limit(1=0000000000000003) " ACCEPT "]"},
		{NFT_MSG_NEWSET, "strange", OURS "2='strange' 3=00000010 4=00000007 5=00000004"},
		{NFT_MSG_NEWRULE, "clients",
			OURS "2='clients' 4=[" SADDR " lookup(1='strange' 2=00000001) " ACCEPT "]"},
		{NFT_MSG_NEWOBJ, "quota", OURS "2='quota' 3=00000002 4={1=0000000000000100}"},
		{NFT_MSG_NEWFLOWTABLE, "fast", OURS "2='fast'"},
		{NFT_MSG_NEWCHAIN, "nat", OURS "3='nat' 4={1=00000000 2=00000000} 5=00000001 7='nat'"},
		{NFT_MSG_NEWRULE, "nat", OURS "2='nat' 4=[nat(1=00000000)]"},
	};
	struct compiled expected = compile_golden("everything");
	struct fake fake;
	struct nft *nft;
	struct snapshot snapshot = {0};
	struct changeset *changes;
	struct err err = {0};
	struct ruleset *after;

	(void)state;
	fake_begin(&fake);
	fake_load(&fake, expected.ruleset);
	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
		char buffer[1024] = {0};
		const struct nlmsghdr *message = message_of(buffer, strangers[i].type, strangers[i].attributes);

		store_add(&fake.store, strangers[i].type, strangers[i].key, message, message->nlmsg_len);
	}
	nft = fake_open(&fake);
	assert_int_equal(nft_read(nft, &snapshot, &err), 0);
	changes = ruleset_diff(expected.ruleset, snapshot.ruleset);
	/* The rule of a chain that must go is not reported apart. */
	assert_int_equal(changes->count, ARRAY_SIZE(strangers) - 1);
	if (nft_commit(nft, changes, snapshot.generation, COMMIT_ALL, NULL, NULL, &err) < 0)
		fail_msg("%s", err.message);
	after = read_back(nft);
	assert_same("strangers", expected.ruleset, after);
	ruleset_free(after);
	changeset_free(changes);
	ruleset_free(snapshot.ruleset);
	nft_close(nft);
	fake_done(&fake);
	compiled_done(&expected);
}

/* --- reading, when the kernel does what it does once a year --- */

static const struct read_row {
	const char *name;
	struct fault fault;
	int code;
	const char *message; /* part of what is said */
	size_t attempts;     /* how often the generation was asked for to begin with; 0 = any number */
	const char *hint;
} read_rows[] = {
	{"nothing goes wrong", {FAULT_NONE, 0, 0, 0}, 0, NULL, 2, NULL},
	{"torn dump of chains, flagged", {FAULT_TEAR_FLAG, NFT_MSG_GETCHAIN, 0, 1}, 0, NULL, 3, NULL},
	{"torn dump of rules, flagged", {FAULT_TEAR_FLAG, NFT_MSG_GETRULE, 0, 2}, 0, NULL, 4, NULL},
	{"torn dump of sets, flagged", {FAULT_TEAR_FLAG, NFT_MSG_GETSET, 0, 1}, 0, NULL, 3, NULL},
	{"torn dump of counters, flagged", {FAULT_TEAR_FLAG, NFT_MSG_GETOBJ, 0, 1}, 0, NULL, 3, NULL},
	{"torn dump of elements, flagged", {FAULT_TEAR_FLAG, NFT_MSG_GETSETELEM, 0, 1}, 0, NULL, 3, NULL},
	{"torn dump of elements, without a flag", {FAULT_TEAR_GENERATION, NFT_MSG_GETSETELEM, 0, 1}, 0, NULL, 3, NULL},
	{"torn dump of rules, without a flag", {FAULT_TEAR_GENERATION, NFT_MSG_GETRULE, 0, 3}, 0, NULL, 5, NULL},
	{"somebody commits after the table", {FAULT_MOVE, NFT_MSG_GETTABLE, 0, 1}, 0, NULL, 3, NULL},
	{"somebody commits after the rules", {FAULT_MOVE, NFT_MSG_GETRULE, 0, 1}, 0, NULL, 3, NULL},
	{"somebody commits after the last element", {FAULT_MOVE, NFT_MSG_GETSETELEM, 0, 1}, 0, NULL, 3, NULL},
	{"somebody commits all the time", {FAULT_MOVE, NFT_MSG_GETTABLE, 0, FOREVER}, -EAGAIN,
		"changed during every attempt to read it, for 15 seconds", 0, "nft monitor"},
	{"dumps are torn all the time", {FAULT_TEAR_FLAG, NFT_MSG_GETRULE, 0, FOREVER}, -EAGAIN,
		"changed during every attempt", 0, "nft monitor"},
	{"DONE says ENOMEM", {FAULT_DONE_CODE, NFT_MSG_GETRULE, -ENOMEM, 1}, -ENOMEM,
		"the kernel answered: Cannot allocate memory", 1, NULL},
	{"DONE of the elements says ENOMEM", {FAULT_DONE_CODE, NFT_MSG_GETSETELEM, -ENOMEM, 1}, -ENOMEM,
		"the kernel answered: Cannot allocate memory", 1, NULL},
	{"DONE says EINTR", {FAULT_DONE_CODE, NFT_MSG_GETRULE, -EINTR, 1}, 0, NULL, 3, NULL},
	{"DONE says something that is no error", {FAULT_DONE_CODE, NFT_MSG_GETRULE, 5, 1}, -EBADMSG, "Bad message", 1,
		NULL},
	{"an error inside a dump", {FAULT_ERROR_INSIDE, NFT_MSG_GETSETELEM, -EIO, 1}, -EIO, "Input/output error", 1,
		NULL},
	{"no privilege", {FAULT_ERROR_INSIDE, NFT_MSG_GETGEN, -EPERM, 1}, -EPERM,
		"reading nf_tables: the kernel answered: Operation not permitted", 1, "run as root"},
	{"no privilege for dumps", {FAULT_ERROR_INSIDE, NFT_MSG_GETCHAIN, -EPERM, 1}, -EPERM, "Operation not permitted",
		1, "run as root"},
	{"no nf_tables", {FAULT_ERROR_INSIDE, NFT_MSG_GETGEN, -EINVAL, 1}, -EINVAL, "Invalid argument", 1, "modprobe"},
	{"no nf_tables, in other words", {FAULT_ERROR_INSIDE, NFT_MSG_GETGEN, -EOPNOTSUPP, 1}, -EOPNOTSUPP,
		"not supported", 1, "modprobe"},
	{"a set is gone before its elements are read", {FAULT_ERROR_INSIDE, NFT_MSG_GETSETELEM, -ENOENT, 1}, 0, NULL, 2,
		NULL},
	{"a chain's table is gone", {FAULT_ERROR_INSIDE, NFT_MSG_GETRULE, -ENOENT, 1}, 0, NULL, 2, NULL},
	{"EINTR from receive", {FAULT_RECEIVE, NFT_MSG_GETRULE, -EINTR, 3}, 0, NULL, 2, NULL},
	{"EINTR from receive in a dump", {FAULT_RECEIVE_INSIDE, NFT_MSG_GETRULE, -EINTR, 1}, 0, NULL, 2, NULL},
	{"ENOBUFS before a dump", {FAULT_RECEIVE, NFT_MSG_GETRULE, -ENOBUFS, 1}, 0, NULL, 2, NULL},
	{"ENOBUFS in a dump", {FAULT_RECEIVE_INSIDE, NFT_MSG_GETRULE, -ENOBUFS, 1}, 0, NULL, 2, NULL},
	{"ENOBUFS in a dump of elements, twice", {FAULT_RECEIVE_INSIDE, NFT_MSG_GETSETELEM, -ENOBUFS, 2}, 0, NULL, 3,
		NULL},
	{"ENOBUFS always", {FAULT_RECEIVE, NFT_MSG_GETRULE, -ENOBUFS, FOREVER}, -EAGAIN, "every attempt", 0,
		"nft monitor"},
	{"overrun", {FAULT_OVERRUN, NFT_MSG_GETRULE, 0, 1}, 0, NULL, 2, NULL},
	{"receive fails", {FAULT_RECEIVE, NFT_MSG_GETRULE, -ENOMEM, 1}, -ENOMEM, "cannot receive from the kernel", 1,
		NULL},
	{"send fails", {FAULT_SEND, NFT_MSG_GETRULE, -ENETDOWN, 1}, -ENETDOWN, "cannot send to the kernel", 1, NULL},
	{"send finds no memory", {FAULT_SEND, NFT_MSG_GETRULE, -ENOBUFS, 1}, -ENOMEM, "cannot send to the kernel", 1,
		NULL},
	{"send is interrupted", {FAULT_SEND, NFT_MSG_GETRULE, -EINTR, 2}, 0, NULL, 2, NULL},
	{"a datagram is truncated", {FAULT_TRUNCATED, NFT_MSG_GETSETELEM, 0, 1}, -EMSGSIZE,
		"larger than 69632 bytes: please report this", 1, NULL},
	{"somebody else says that there is no table", {FAULT_FOREIGN_SENDER, NFT_MSG_GETTABLE, 0, 1}, 0, NULL, 2, NULL},
	{"an answer for another port", {FAULT_FOREIGN_PORT, NFT_MSG_GETTABLE, 0, 1}, 0, NULL, 2, NULL},
	{"an answer to an earlier request", {FAULT_STALE, NFT_MSG_GETTABLE, 0, 1}, 0, NULL, 2, NULL},
	{"the same for the generation", {FAULT_STALE, NFT_MSG_GETGEN, 0, 2}, 0, NULL, 2, NULL},
	{"bytes that are no message", {FAULT_GARBAGE, NFT_MSG_GETRULE, 0, 1}, 0, NULL, 2, NULL},
	{"no answer", {FAULT_SILENCE, NFT_MSG_GETRULE, 0, 1}, -ETIMEDOUT, "did not answer within 10 seconds", 1, NULL},
	{"no answer at all", {FAULT_SILENCE, NFT_MSG_GETGEN, 0, 1}, -ETIMEDOUT, "reading nf_tables: the kernel did not",
		1, NULL},
	{"no end of an answer", {FAULT_NO_END, NFT_MSG_GETSETELEM, 0, 1}, -ETIMEDOUT, "did not answer", 1, NULL},
	{"no acknowledgement of the table", {FAULT_NO_END, NFT_MSG_GETTABLE, 0, 1}, -ETIMEDOUT, "did not answer", 1,
		NULL},
	{"a message of another subsystem", {FAULT_SUBSYSTEM, NFT_MSG_GETRULE, 0, 1}, -EBADMSG, "was not understood", 1,
		NULL},
	{"a message of another subsystem for the generation", {FAULT_SUBSYSTEM, NFT_MSG_GETGEN, 0, 1}, -EBADMSG,
		"gave no generation", 1, NULL},
	{"a message without its header", {FAULT_SHORT, NFT_MSG_GETRULE, 0, 1}, -EBADMSG, "was not understood", 1, NULL},
	{"generation 0", {FAULT_ZERO_GENERATION, NFT_MSG_GETGEN, 0, 1}, -EBADMSG, "gave no generation", 1, NULL},
	{"no generation", {FAULT_NO_GENERATION, NFT_MSG_GETGEN, 0, 1}, -EBADMSG, "gave no generation", 1, NULL},
	{"a positive error", {FAULT_ERROR_INSIDE, NFT_MSG_GETRULE, 7, 1}, -EBADMSG, "Bad message", 1, NULL},
};

static void test_read(void **state)
{
	struct compiled compiled = compile_golden("everything");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(read_rows); i++) {
		const struct read_row *row = &read_rows[i];
		struct ruleset *untouched = (struct ruleset *)0x1;
		struct snapshot snapshot = {.ruleset = untouched, .generation = 77};
		struct err err = {0};
		struct fake fake;
		struct nft *nft;
		int code;

		fake_begin(&fake);
		fake_load(&fake, compiled.ruleset);
		fake_fault(&fake, row->fault);
		nft = fake_open(&fake);
		code = nft_read(nft, &snapshot, &err);
		if (code != row->code)
			fail_msg("%s: %d %s", row->name, code, err.message);
		if (code == 0) {
			assert_memory_equal(&err, &no_error, sizeof(err));
			assert_same(row->name, compiled.ruleset, snapshot.ruleset);
			assert_int_equal(snapshot.generation, fake.generation);
			ruleset_free(snapshot.ruleset);
		} else {
			assert_int_equal(err.code, -code);
			assert_int_equal(err.stage, ERR_NETLINK);
			assert_ptr_equal(snapshot.ruleset, untouched);
			assert_int_equal(snapshot.generation, 77);
			if (!strstr(err.message, row->message))
				fail_msg("%s: %s", row->name, err.message);
			if (row->hint ? !strstr(err.hint, row->hint) : *err.hint)
				fail_msg("%s: hint %s", row->name, err.hint);
		}
		if (row->attempts && row->attempts != fake.requests[NFT_MSG_GETGEN] &&
			/* Where it is not the last one that fails, each attempt asks before and after. */
			row->attempts + 1 != fake.requests[NFT_MSG_GETGEN])
			fail_msg("%s: asked %zu times for the generation", row->name, fake.requests[NFT_MSG_GETGEN]);
		/* After a failure the same socket still serves. */
		if (code < 0 && row->fault.times != FOREVER) {
			fake.fault = (struct fault){0};
			struct ruleset *again = read_back(nft);

			assert_same(row->name, compiled.ruleset, again);
			ruleset_free(again);
		}
		nft_close(nft);
		fake_done(&fake);
	}
	compiled_done(&compiled);
}

/* A table that is not there is an answer. */
static void test_read_absent(void **state)
{
	struct fake fake;
	struct nft *nft;
	struct snapshot snapshot = {0};
	struct err err = {0};

	(void)state;
	fake_begin(&fake);
	nft = fake_open(&fake);
	assert_int_equal(nft_read(nft, &snapshot, &err), 0);
	assert_false(snapshot.ruleset->present);
	assert_int_equal(snapshot.generation, 0x12345);
	/* And nothing more was asked. */
	assert_int_equal(fake.requests[NFT_MSG_GETCHAIN], 0);
	ruleset_free(snapshot.ruleset);
	/* But only where nothing changed meanwhile. */
	fake_fault(&fake, (struct fault){FAULT_MOVE, NFT_MSG_GETTABLE, 0, FOREVER});
	assert_int_equal(nft_read(nft, &snapshot, &err), -EAGAIN);
	nft_close(nft);
	fake_done(&fake);
}

/* The kernel goes on with a dump that nobody wants any more, and begins no other one until it is fetched. */
static void test_read_drains(void **state)
{
	_cleanup_free_ char *text = long_policy(1000, "");
	struct compiled compiled = compile_text("long.conf", text, NULL);
	static const struct fault faults[] = {
		{FAULT_TEAR_GENERATION, NFT_MSG_GETRULE, 0, 1},
		{FAULT_SUBSYSTEM, NFT_MSG_GETSETELEM, 0, 1},
		{FAULT_TRUNCATED, NFT_MSG_GETSETELEM, 0, 1},
		{FAULT_RECEIVE_INSIDE, NFT_MSG_GETSETELEM, -ENOBUFS, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct fake fake;
		struct nft *nft;
		struct snapshot snapshot = {0};
		struct ruleset *again;

		fake_begin(&fake);
		fake_load(&fake, compiled.ruleset);
		fake_fault(&fake, faults[i]);
		nft = fake_open(&fake);
		if (nft_read(nft, &snapshot, NULL) == 0)
			ruleset_free(snapshot.ruleset);
		assert_int_equal(fake.pending.count, 0);
		again = read_back(nft);
		assert_same("drained", compiled.ruleset, again);
		ruleset_free(again);
		nft_close(nft);
		fake_done(&fake);
	}
	compiled_done(&compiled);
}

/* After a transaction of ours only the lists that it touched are asked for; after anybody else's, all. */
static void test_read_back(void **state)
{
	static const struct {
		const char *name;
		void (*mutate)(struct ruleset *r);
		unsigned int others; /* transactions of others behind ours */
		size_t asked;	     /* for elements of sets, of 15 */
	} rows[] = {
		{"one list", mutate_elements_added, 0, 2},
		{"no list", mutate_rule_first, 0, 1},
		{"two lists", mutate_port_added, 0, 2},
		{"a list made anew", mutate_set_shape, 0, 2},
		{"a map, which is always read", mutate_target, 0, 1},
		{"somebody else came behind", mutate_elements_added, 1, 15},
		{"others came behind", mutate_elements_added, 7, 15},
	};
	struct compiled expected = compile_golden("everything");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct compiled observed = compile_golden("everything");
		struct fake fake;
		struct nft *nft;
		struct snapshot before = {0};
		struct snapshot after = {0};
		struct changeset *changes;
		struct err err = {0};

		apply_mutation(&(struct mutation){.mutate = rows[i].mutate}, observed.ruleset);
		fake_begin(&fake);
		fake_load(&fake, observed.ruleset);
		nft = fake_open(&fake);
		assert_int_equal(nft_read(nft, &before, &err), 0);
		assert_int_equal(fake.requests[NFT_MSG_GETSETELEM], 15);
		changes = ruleset_diff(expected.ruleset, before.ruleset);
		assert_int_equal(nft_commit(nft, changes, before.generation, COMMIT_ALL, NULL, NULL, &err), 0);
		if (rows[i].others) {
			/* What they did to a list that we left alone must be seen. */
			store_delete_all(&fake.store, NFT_MSG_NEWSETELEM, "admins_v4");
			fake.generation += rows[i].others;
		}
		fake.requests[NFT_MSG_GETSETELEM] = 0;
		assert_int_equal(nft_read_back(nft, &before, changes, &after, &err), 0);
		if (fake.requests[NFT_MSG_GETSETELEM] != rows[i].asked)
			fail_msg("%s: asked for %zu lists", rows[i].name, fake.requests[NFT_MSG_GETSETELEM]);
		if (rows[i].others)
			assert_int_equal(ruleset_set(after.ruleset, "admins_v4")->elements.count, 0);
		else
			assert_same(rows[i].name, expected.ruleset, after.ruleset);
		ruleset_free(after.ruleset);
		changeset_free(changes);
		ruleset_free(before.ruleset);
		nft_close(nft);
		fake_done(&fake);
		compiled_done(&observed);
	}
	compiled_done(&expected);
}

static void test_read_presence(void **state)
{
	struct compiled compiled = compile_golden("everything");
	struct fake fake;
	struct nft *nft;
	struct snapshot snapshot = {0};
	struct err err = {0};

	(void)state;
	fake_begin(&fake);
	nft = fake_open(&fake);
	assert_int_equal(nft_read_presence(nft, &snapshot, &err), 0);
	assert_false(snapshot.ruleset->present);
	ruleset_free(snapshot.ruleset);
	fake_load(&fake, compiled.ruleset);
	/* It keeps its promise about one state, too. */
	fake_fault(&fake, (struct fault){FAULT_MOVE, NFT_MSG_GETTABLE, 0, 2});
	assert_int_equal(nft_read_presence(nft, &snapshot, &err), 0);
	assert_true(snapshot.ruleset->present);
	assert_int_equal(snapshot.generation, fake.generation);
	assert_int_equal(fake.requests[NFT_MSG_GETTABLE], 4);
	assert_int_equal(fake.requests[NFT_MSG_GETCHAIN] + fake.requests[NFT_MSG_GETSET], 0);
	ruleset_free(snapshot.ruleset);
	nft_close(nft);
	fake_done(&fake);
	compiled_done(&compiled);
}

/* --- the same where somebody commits all the time: then it matters what it is about --- */

static struct nft *open_listening(struct fake *fake)
{
	struct nft *nft;

	fake->audible = true;
	nft = fake_open(fake);
	nft->disturbed = NFT_PATIENCE;
	return nft;
}

/* A transaction falls into each reading, before, between and behind its requests; but none of them is about our table.
 */
static void test_listen_harmless(void **state)
{
	static const uint16_t when[] = {NFT_MSG_GETGEN, NFT_MSG_GETTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE,
		NFT_MSG_GETSET, NFT_MSG_GETOBJ, NFT_MSG_GETFLOWTABLE, NFT_MSG_GETSETELEM};
	struct compiled compiled = compile_golden("everything");

	(void)state;
	for (unsigned int m = 0; m < MOVE_HARMLESS_END; m++)
		for (size_t i = 0; i < ARRAY_SIZE(when); i++) {
			struct snapshot snapshot = {0};
			struct err err = {0};
			struct fake fake;
			struct nft *nft;

			fake_begin(&fake);
			/* Past 0, sooner or later. */
			fake.generation = i % 2 ? UINT32_MAX - 4 : 0xffffu - 4;
			fake_load(&fake, compiled.ruleset);
			fake.audible = true;
			fake.move = (enum move)m;
			fake_fault(&fake, (struct fault){FAULT_MOVE, when[i], 0, FOREVER});
			nft = fake_open(&fake);
			if (nft_read(nft, &snapshot, &err) < 0)
				fail_msg("%u, %u: %s", m, when[i], err.message);
			assert_same("harmless", compiled.ruleset, snapshot.ruleset);
			assert_int_equal(snapshot.generation, fake.generation);
			/* Patience at first; then one reading is enough. */
			assert_int_equal(fake.requests[NFT_MSG_GETTABLE], NFT_PATIENCE + 1);
			assert_true(fake.listening);
			/* The fence before it, and the one behind. */
			assert_int_equal(fake.fences, 2);
			assert_int_equal(fake.batches, 0);
			ruleset_free(snapshot.ruleset);
			nft_close(nft);
			fake_done(&fake);
		}
	compiled_done(&compiled);
}

/* Some of them are: then all begins anew. */
static void test_listen_ours(void **state)
{
	struct compiled compiled = compile_golden("everything");

	(void)state;
	for (unsigned int m = MOVE_HARMLESS_END + 1; m < MOVE_END; m++)
		for (unsigned int late = 0; late < 2; late++) {
			struct snapshot snapshot = {0};
			struct err err = {0};
			struct fake fake;
			struct nft *nft;

			fake_begin(&fake);
			fake_load(&fake, compiled.ruleset);
			fake.move = (enum move)m;
			fake.late = late;
			fake_fault(&fake, (struct fault){FAULT_MOVE, NFT_MSG_GETSETELEM, 0, 3});
			nft = open_listening(&fake);
			if (nft_read(nft, &snapshot, &err) < 0)
				fail_msg("%u: %s", m, err.message);
			/* Each is heard at once; those that come late, by the fence, and then all three are there. */
			if (fake.requests[NFT_MSG_GETTABLE] != (late ? 2 : 4))
				fail_msg("move %u, late %u: read %zu times", m, late, fake.requests[NFT_MSG_GETTABLE]);
			if (snapshot.generation != fake.generation)
				fail_msg("move %u, late %u: generation %x", m, late, snapshot.generation);
			ruleset_free(snapshot.ruleset);
			/* Always: given up, and said who it was. */
			fake.late = false;
			fake_fault(&fake, (struct fault){FAULT_MOVE, NFT_MSG_GETTABLE, 0, FOREVER});
			assert_int_equal(nft_read(nft, &snapshot, &err), -EAGAIN);
			assert_non_null(strstr(err.message, "changed during every attempt to read it, for 15 seconds"));
			if (m == MOVE_OURS)
				assert_string_equal(err.hint,
					"the last to change table inet dflyguard was process 4242 (sixteen-bytes-n): "
					"`nft monitor` shows what");
			nft_close(nft);
			fake_done(&fake);
		}
	compiled_done(&compiled);
}

/* Before we listen there is nothing to hear; where we may not, all is as it was. */
static void test_listen_refused(void **state)
{
	struct compiled compiled = compile_golden("everything");
	struct snapshot snapshot = {0};
	struct err err = {0};
	struct fake fake;
	struct nft *nft;

	(void)state;
	fake_begin(&fake);
	fake_load(&fake, compiled.ruleset);
	fake_fault(&fake, (struct fault){FAULT_MOVE, NFT_MSG_GETRULE, 0, 5});
	nft = fake_open(&fake);
	assert_int_equal(nft_read(nft, &snapshot, &err), 0);
	assert_int_equal(fake.requests[NFT_MSG_GETTABLE], 6);
	assert_int_equal(fake.fences, 0);
	assert_false(fake.listening);
	ruleset_free(snapshot.ruleset);
	/* Once, and that is nobody in our way. */
	fake.audible = true;
	nft->disturbed = 0;
	fake_fault(&fake, (struct fault){FAULT_MOVE, NFT_MSG_GETRULE, 0, NFT_PATIENCE - 1});
	assert_int_equal(nft_read(nft, &snapshot, &err), 0);
	assert_false(fake.listening);
	ruleset_free(snapshot.ruleset);
	nft_close(nft);
	fake_done(&fake);
	compiled_done(&compiled);
}

/* What happens to a dump in itself, while we listen: it alone is asked for again, and nothing of it is there twice. */
static void test_listen_torn(void **state)
{
	static const struct {
		struct fault fault;
		size_t asked;	 /* for this kind of object */
		size_t readings; /* of everything; 0 = any number */
		int code;
	} rows[] = {
		{{FAULT_TEAR_FLAG, NFT_MSG_GETRULE, 0, 1}, 2, 1, 0},
		{{FAULT_TEAR_FLAG, NFT_MSG_GETCHAIN, 0, 7}, 8, 1, 0},
		{{FAULT_TEAR_GENERATION, NFT_MSG_GETCHAIN, 0, 1}, 2, 1, 0},
		{{FAULT_TEAR_GENERATION, NFT_MSG_GETRULE, 0, 50}, 51, 1, 0},
		{{FAULT_TEAR_GENERATION, NFT_MSG_GETOBJ, 0, 3}, 4, 1, 0},
		{{FAULT_TEAR_FLAG, NFT_MSG_GETSET, 0, 99}, 100, 1, 0},
		{{FAULT_TEAR_FLAG, NFT_MSG_GETSET, 0, 100}, 101, 2, 0},
		{{FAULT_TEAR_FLAG, NFT_MSG_GETSET, 0, FOREVER}, 0, 0, -EAGAIN},
		{{FAULT_DONE_CODE, NFT_MSG_GETRULE, -EINTR, 1}, 2, 1, 0},
		/* The walk of one set: of no interest, if nobody touched it. */
		{{FAULT_TEAR_GENERATION, NFT_MSG_GETSETELEM, 0, 1}, 13, 1, 0},
		{{FAULT_TEAR_GENERATION, NFT_MSG_GETSETELEM, 0, FOREVER}, 13, 1, 0},
		{{FAULT_TEAR_FLAG, NFT_MSG_GETSETELEM, 0, 1}, 14, 2, 0},
		{{FAULT_DONE_CODE, NFT_MSG_GETSETELEM, -EINTR, 1}, 14, 2, 0},
		{{FAULT_DONE_CODE, NFT_MSG_GETRULE, -ENOMEM, 1}, 1, 1, -ENOMEM},
		{{FAULT_SUBSYSTEM, NFT_MSG_GETRULE, 0, 1}, 1, 1, -EBADMSG},
		{{FAULT_RECEIVE_INSIDE, NFT_MSG_GETRULE, -ENOBUFS, 1}, 2, 2, 0},
	};
	struct compiled compiled = compile_golden("everything");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct snapshot snapshot = {0};
		struct err err = {0};
		struct fake fake;
		struct nft *nft;
		int code;

		fake_begin(&fake);
		fake_load(&fake, compiled.ruleset);
		fake_fault(&fake, rows[i].fault);
		nft = open_listening(&fake);
		code = nft_read(nft, &snapshot, &err);
		if (code != rows[i].code)
			fail_msg("row %zu: %d %s", i, code, err.message);
		if (code == 0) {
			assert_same("torn", compiled.ruleset, snapshot.ruleset);
			assert_int_equal(snapshot.generation, fake.generation);
			ruleset_free(snapshot.ruleset);
		}
		if (rows[i].readings && (fake.requests[rows[i].fault.type] < rows[i].asked ||
						fake.requests[NFT_MSG_GETTABLE] != rows[i].readings))
			fail_msg("row %zu: asked %zu times, in %zu readings", i, fake.requests[rows[i].fault.type],
				fake.requests[NFT_MSG_GETTABLE]);
		nft_close(nft);
		fake_done(&fake);
	}
	compiled_done(&compiled);
}

/* A table that changes its shape under our hands is no message that we do not understand. */
static ssize_t send_and_spoil(void *data, const void *bytes, size_t length)
{
	struct fake *fake = data;
	ssize_t sent = fake_send(data, bytes, length);

	if (codec_type(bytes) == NFT_MSG_GETRULE && fake->requests[NFT_MSG_GETRULE] == 1) {
		fake_fault(fake, (struct fault){FAULT_SUBSYSTEM, NFT_MSG_GETSET, 0, 1});
		fake_tell(fake, MOVE_OURS, 1);
	}
	return sent;
}

static void test_listen_misunderstood(void **state)
{
	struct compiled compiled = compile_golden("everything");
	struct snapshot snapshot = {0};
	struct err err = {0};
	struct transport transport;
	struct fake fake;
	struct nft *nft;

	(void)state;
	fake_begin(&fake);
	fake_load(&fake, compiled.ruleset);
	fake.audible = true;
	fake.late = true;
	transport = fake_transport(&fake);
	transport.send = send_and_spoil;
	nft = nft_open_transport(&transport);
	nft->disturbed = NFT_PATIENCE;
	assert_int_equal(nft_read(nft, &snapshot, &err), 0);
	assert_int_equal(fake.requests[NFT_MSG_GETTABLE], 2);
	assert_same("understood", compiled.ruleset, snapshot.ruleset);
	ruleset_free(snapshot.ruleset);
	nft_close(nft);
	fake_done(&fake);
	compiled_done(&compiled);
}

/* Others commit between our reading and our transaction, and between that and reading back. */
static void test_listen_commit(void **state)
{
	static const struct {
		const char *name;
		enum move before, behind;
		unsigned int moves; /* before, in front of as many attempts; and one behind */
		int code;
		size_t batches;
		size_t asked; /* reading back, for elements of sets, of 15 */
		bool alone;
	} rows[] = {
		{"nobody", MOVE_TABLE, MOVE_TABLE, 0, 0, 1, 2, true},
		{"another table", MOVE_TABLE, MOVE_ELEMENTS, 1, 0, 2, 2, true},
		{"another table, without pause", MOVE_TABLE, MOVE_TABLE, 1000, 0, 1001, 2, true},
		{"another table, then ours", MOVE_TABLE, MOVE_OURS_ELEMENTS, 3, 0, 4, 15, false},
		{"another table, then lost", MOVE_TABLE, MOVE_LOST, 3, 0, 4, 15, false},
		{"ours", MOVE_OURS_ELEMENTS, MOVE_TABLE, 1, -ERESTART, 1, 0, false},
		{"lost", MOVE_LOST, MOVE_TABLE, 1, -ERESTART, 1, 0, false},
		{"not understood", MOVE_NAMELESS, MOVE_TABLE, 1, -ERESTART, 1, 0, false},
		{"others without an end", MOVE_TABLE, MOVE_TABLE, FOREVER, -EAGAIN, 0, 0, false},
	};
	struct compiled expected = compile_golden("everything");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct compiled observed = compile_golden("everything");
		struct snapshot before = {0};
		struct snapshot after = {0};
		struct changeset *changes;
		struct err err = {0};
		struct fake fake;
		struct nft *nft;
		int code;

		mutate_elements_added(observed.ruleset);
		fake_begin(&fake);
		fake_load(&fake, observed.ruleset);
		nft = open_listening(&fake);
		assert_int_equal(nft_read(nft, &before, &err), 0);
		assert_false(before.alone);
		changes = ruleset_diff(expected.ruleset, before.ruleset);
		fake.move = rows[i].before;
		if (rows[i].moves)
			fake_fault(&fake, (struct fault){FAULT_OVERTAKE, FAULT_BATCH, 0, rows[i].moves});
		code = nft_commit(nft, changes, before.generation, COMMIT_ALL, NULL, NULL, &err);
		if (code != rows[i].code || (rows[i].batches && fake.batches != rows[i].batches))
			fail_msg("%s: %d, %zu transactions: %s", rows[i].name, code, fake.batches, err.message);
		if (code == -EAGAIN)
			assert_string_equal(err.message,
				"somebody else was faster than each attempt to commit, for 15 seconds, though with "
				"other tables");
		if (code == 0) {
			assert_memory_equal(&err, &no_error, sizeof(err));
			/* Sent against what is no longer there. */
			assert_int_equal(
				nft_commit(nft, changes, before.generation, COMMIT_ALL, NULL, NULL, &err), -ERESTART);
			assert_int_equal(fake.batches, rows[i].batches);
			fake.move = rows[i].behind;
			fake_move(&fake, false);
			if (!rows[i].alone)
				store_delete_all(&fake.store, NFT_MSG_NEWSETELEM, "admins_v4");
			fake.requests[NFT_MSG_GETSETELEM] = 0;
			assert_int_equal(nft_read_back(nft, &before, changes, &after, &err), 0);
			assert_int_equal(after.generation, fake.generation);
			if (fake.requests[NFT_MSG_GETSETELEM] != rows[i].asked || after.alone != rows[i].alone)
				fail_msg("%s: asked for %zu lists, alone %d", rows[i].name,
					fake.requests[NFT_MSG_GETSETELEM], after.alone);
			if (rows[i].alone)
				assert_same(rows[i].name, expected.ruleset, after.ruleset);
			else
				assert_int_equal(ruleset_set(after.ruleset, "admins_v4")->elements.count, 0);
			ruleset_free(after.ruleset);
		}
		changeset_free(changes);
		ruleset_free(before.ruleset);
		nft_close(nft);
		fake_done(&fake);
		compiled_done(&observed);
	}
	compiled_done(&expected);
}

/* What was heard is forgotten by the next reading, even by one that fails: no older snapshot passes for the truth. */
static void test_listen_forgets(void **state)
{
	struct compiled expected = compile_golden("everything");
	struct compiled observed = compile_golden("everything");
	struct snapshot before = {0};
	struct snapshot after = {0};
	struct changeset *changes;
	struct err err = {0};
	struct fake fake;
	struct nft *nft;

	(void)state;
	mutate_elements_added(observed.ruleset);
	fake_begin(&fake);
	fake_load(&fake, observed.ruleset);
	nft = open_listening(&fake);
	assert_int_equal(nft_read(nft, &before, &err), 0);
	changes = ruleset_diff(expected.ruleset, before.ruleset);
	fake.move = MOVE_OURS;
	fake_move(&fake, false);
	fake_fault(&fake, (struct fault){FAULT_ERROR_INSIDE, NFT_MSG_GETSET, -EIO, 1});
	assert_int_equal(nft_read(nft, &after, &err), -EIO);
	assert_int_equal(nft_commit(nft, changes, before.generation, COMMIT_ALL, NULL, NULL, &err), -ERESTART);
	changeset_free(changes);
	ruleset_free(before.ruleset);
	nft_close(nft);
	fake_done(&fake);
	compiled_done(&observed);
	compiled_done(&expected);
}

static void hear_progress(void *data, size_t done)
{
	size_t *last = data;

	assert_true(done >= *last);
	*last = done;
}

/* --- committing --- */

static struct srcloc place_of(void *data, uint32_t origin)
{
	return policy_place(data, origin);
}

static const struct commit_row {
	const char *name;
	struct fault fault;
	struct scripted_refusal refusals[3];
	int code;
	const char *message;
	const char *hint;
	unsigned int line; /* of the policy */
	bool committed;
} commit_rows[] = {
	{.name = "nothing goes wrong", .committed = true},
	{.name = "somebody was faster",
		.fault = {FAULT_OVERTAKE, FAULT_BATCH, 0, 1},
		.code = -ERESTART,
		.message = "the kernel refused the transaction: "},
	{.name = "begin: EPERM",
		.refusals = {{.index = 0, .code = -EPERM}},
		.code = -EPERM,
		.message = "the kernel refused the transaction: Operation not permitted",
		.hint = "run as root"},
	{.name = "one refusal, in the list of clients",
		.refusals = {{.set = "clients_v4", .code = -EEXIST}},
		.code = -EEXIST,
		.message = "the kernel refused the elements of set clients_v4: File exists",
		.line = 5},
	{.name = "two refusals: the first is named",
		.refusals = {{.index = 11, .code = -ENOMEM}, {.index = 13, .code = -ENOENT}},
		.code = -ENOMEM,
		.message = "the kernel refused the chain prerouting: Cannot allocate memory",
		.hint = "not enough memory",
		.line = 3},
	{.name = "with the kernel's words",
		.refusals = {{.index = 2, .code = -EINVAL, .text = "no such thing"}},
		.code = -EINVAL,
		.message = "the kernel refused the counter refused_source: Invalid argument: no such thing",
		.line = 3},
	{.name = "with the kernel's words behind the whole request",
		.refusals = {{.index = 2, .code = -EOPNOTSUPP, .text = "no such thing", .quoted = true}},
		.code = -EOPNOTSUPP,
		.message = "counter refused_source: Operation not supported: no such thing",
		.hint = "modprobe",
		.line = 3},
	{.name = "with words that do not end",
		.refusals = {{.index = 2, .code = -EINVAL, .text = "no such thing", .unterminated = true}},
		.code = -EINVAL,
		.message = "counter refused_source: Invalid argument",
		.line = 3},
	{.name = "too many objects",
		.refusals = {{.index = 2, .code = -EMFILE}},
		.code = -EMFILE,
		.message = "Too many open files",
		.hint = "limit of objects",
		.line = 3},
	{.name = "an acknowledgement that nobody asked for", .refusals = {{.index = 0, .code = 0}}, .committed = true},
	{.name = "an acknowledgement, then a refusal",
		.refusals = {{.index = 0, .code = 0}, {.index = 1, .code = -EBUSY}},
		.code = -EBUSY,
		.message = "the kernel refused the table dflyguard: Device or resource busy"},
	{.name = "an error of an earlier request",
		.refusals = {{.index = 0, .offset = -1, .code = -EIO}},
		/* It says nothing about this transaction, which was dropped without a word: reading back decides. */
		.code = 0},
	{.name = "an error of a request to come",
		.refusals = {{.index = 0, .offset = 100000, .code = -EIO}},
		.code = 0},
	{.name = "a refusal that is no error",
		.refusals = {{.index = 1, .code = 99}},
		.code = -EBADMSG,
		.message = "the kernel refused the table dflyguard: Bad message"},
	{.name = "EMSGSIZE",
		.fault = {FAULT_SEND, FAULT_BATCH, -EMSGSIZE, 1},
		.code = -EMSGSIZE,
		.message = "does not fit into the netlink socket's send buffer",
		.hint = "sysctl -w net.core.wmem_max="},
	{.name = "no memory to send",
		.fault = {FAULT_SEND, FAULT_BATCH, -ENOBUFS, 1},
		.code = -ENOMEM,
		.message = "cannot send to the kernel: Cannot allocate memory"},
	{.name = "send is interrupted", .fault = {FAULT_SEND, FAULT_BATCH, -EINTR, 2}, .committed = true},
	{.name = "send is refused",
		.fault = {FAULT_SEND, FAULT_BATCH, -EPERM, 1},
		.code = -EPERM,
		.message = "cannot send to the kernel: Operation not permitted"},
	{.name = "ENOBUFS, committed",
		.fault = {FAULT_RECEIVE, FAULT_BATCH, -ENOBUFS, 1},
		.code = -ENOBUFS,
		.committed = true},
	{.name = "ENOBUFS, not committed", .fault = {FAULT_LOSE, FAULT_BATCH, -ENOBUFS, 1}, .code = -ENOBUFS},
	{.name = "ENOBUFS, but an error was heard",
		.fault = {FAULT_RECEIVE, FAULT_BATCH, -ENOBUFS, 1},
		.refusals = {{.index = 1, .code = -EBUSY}},
		.code = -EBUSY,
		.message = "table dflyguard: Device or resource busy"},
	/* What cannot be received may have been anything. */
	{.name = "a truncated answer",
		.fault = {FAULT_TRUNCATED, FAULT_BATCH, 0, 1},
		.code = -ENOBUFS,
		.committed = true},
	{.name = "receive fails", .fault = {FAULT_RECEIVE, FAULT_BATCH, -EIO, 1}, .code = -ENOBUFS, .committed = true},
	{.name = "receive is interrupted", .fault = {FAULT_RECEIVE, FAULT_BATCH, -EINTR, 1}, .committed = true},
};

static void test_commit(void **state)
{
	struct compiled compiled = compile_golden("tls-required");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commit_rows); i++) {
		const struct commit_row *row = &commit_rows[i];
		struct ruleset *absent = ruleset_new();
		struct changeset *changes = ruleset_diff(compiled.ruleset, absent);
		struct err err = {0};
		struct fake fake;
		struct nft *nft;
		int code;

		fake_begin(&fake);
		if (row->fault.kind)
			fake_fault(&fake, row->fault);
		for (size_t k = 0; k < ARRAY_SIZE(row->refusals); k++)
			if (row->refusals[k].code || row->refusals[k].text || (k == 0 && strstr(row->name, "acknowl")))
				fake.refusals[fake.refusal_count++] = row->refusals[k];
		nft = fake_open(&fake);
		code = nft_commit(nft, changes, fake.generation, COMMIT_ALL, place_of, compiled.policy, &err);
		if (code != row->code)
			fail_msg("%s: %d %s", row->name, code, err.message);
		assert_int_equal(fake.batches, row->fault.kind == FAULT_SEND && row->code ? 0 : 1);
		if (row->message && !strstr(err.message, row->message))
			fail_msg("%s: %s", row->name, err.message);
		if (row->hint ? !strstr(err.hint, row->hint) : *err.hint)
			fail_msg("%s: hint %s", row->name, err.hint);
		assert_int_equal(err.line, row->line);
		if (row->line)
			assert_string_equal(err.file, "tests/golden/ruleset/tls-required.conf");
		if (code < 0 && code != -ENOBUFS)
			assert_int_equal(err.code, -code);
		if ((store_find(&fake.store, NFT_MSG_NEWTABLE, NULL) != SIZE_MAX) != row->committed)
			fail_msg("%s: committed: %d", row->name, !row->committed);
		nft_close(nft);
		fake_done(&fake);
		changeset_free(changes);
		ruleset_free(absent);
	}
	compiled_done(&compiled);
}

/* Sizes are the kernel's to judge, but the room is asked for before. */
static void note_reserve(void *data, size_t length)
{
	*(size_t *)((struct fake *)data)->store.items = length;
}

static void test_commit_reserves(void **state)
{
	_cleanup_free_ char *text = long_policy(20000, "");
	struct compiled compiled = compile_text("long.conf", text, NULL);
	struct ruleset *absent = ruleset_new();
	struct changeset *changes = ruleset_diff(compiled.ruleset, absent);
	struct fake fake = {.generation = 1, .port = 5};
	struct transport transport = fake_transport(&fake);
	struct err err = {0};
	size_t reserved = 0;
	struct nft *nft;

	(void)state;
	/* The fault keeps the fake kernel from looking into a store that here is but a number. */
	fake.store.items = (struct kept *)&reserved;
	transport.reserve = note_reserve;
	fake_fault(&fake, (struct fault){FAULT_SEND, FAULT_BATCH, -EMSGSIZE, 1});
	nft = nft_open_transport(&transport);
	assert_int_equal(nft_commit(nft, changes, 1, COMMIT_ALL, NULL, NULL, &err), -EMSGSIZE);
	/* 20,000 IPv4 and as many IPv6 intervals, of about 52 and 76 bytes. */
	assert_true(reserved > 2000000 && reserved < 4000000);
	_cleanup_free_ char *number = mem_format("wmem_max=%zu", reserved * 2);

	assert_non_null(strstr(err.hint, number));
	nft_close(nft);
	changeset_free(changes);
	ruleset_free(absent);
	compiled_done(&compiled);
}

/* Somebody's daemon holds the table: NFT_TABLE_F_OWNER. */
static void test_commit_owned(void **state)
{
	struct compiled compiled = compile_golden("tls-required");
	struct compiled observed = compile_golden("tls-required");
	struct changeset *changes;
	struct err err = {0};
	struct fake fake;
	struct nft *nft;

	(void)state;
	observed.ruleset->flags = 2;
	changes = ruleset_diff(compiled.ruleset, observed.ruleset);
	fake_begin(&fake);
	fake.refusals[fake.refusal_count++] = (struct scripted_refusal){.index = 1, .code = -EPERM};
	nft = fake_open(&fake);
	assert_int_equal(nft_commit(nft, changes, fake.generation, COMMIT_ALL, NULL, NULL, &err), -EPERM);
	assert_non_null(strstr(err.hint, "another process owns the table"));
	nft_close(nft);
	fake_done(&fake);
	changeset_free(changes);
	compiled_done(&observed);
	compiled_done(&compiled);
}

/* A trial, which leaves everything as it is; and what it says of kernels that cannot. */
static void test_can_own(void **state)
{
	(void)state;
	for (unsigned int old = 0; old < 2; old++) {
		struct compiled compiled = compile_golden("tls-required");
		struct err err = {0};
		struct fake fake;
		struct nft *nft;
		uint32_t generation;

		fake_begin(&fake);
		fake_load(&fake, compiled.ruleset);
		fake.old = old;
		generation = fake.generation;
		nft = fake_open(&fake);
		assert_int_equal(nft_can_own(nft, &err), old ? -EOPNOTSUPP : 0);
		assert_int_equal(err.code, old ? EOPNOTSUPP : 0);
		assert_int_equal(fake.batches, 1);
		assert_int_equal(fake.generation, generation);
		nft_close(nft);
		fake_done(&fake);
		compiled_done(&compiled);
	}
}

/* From whatever is there to a table of our own: by an update where that can be, else anew; and back to nobody's. */
static void test_own(void **state)
{
	static const struct {
		uint32_t observed, expected, stored;
		bool anew;
		unsigned int transactions;
	} rows[] = {
		{0, TABLE_OWNED, TABLE_OWNED, true, 2},
		{TABLE_DORMANT, TABLE_OWNED, TABLE_OWNED, true, 2},
		{TABLE_PERSIST, TABLE_OWNED, TABLE_OWNED, false, 1},
		{TABLE_PERSIST | TABLE_DORMANT, TABLE_OWNED, TABLE_OWNED, false, 1},
		{TABLE_OWNED, TABLE_OWNED, TABLE_OWNED, false, 0},
		{TABLE_OWNED | TABLE_DORMANT, TABLE_OWNED, TABLE_OWNED, true, 2},
		{TABLE_PERSIST, 0, TABLE_PERSIST, false, 0},
		{TABLE_PERSIST | TABLE_DORMANT, 0, TABLE_PERSIST, false, 1},
		{TABLE_OWNED, 0, TABLE_OWNED, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct compiled compiled = compile_golden("everything");
		struct compiled before = compile_golden("everything");
		unsigned int transactions = 0;
		struct snapshot snapshot = {0};
		struct err err = {0};
		struct fake fake;
		struct nft *nft;

		compiled.ruleset->flags = rows[i].expected;
		before.ruleset->flags = rows[i].observed;
		fake_begin(&fake);
		fake_load(&fake, before.ruleset);
		nft = fake_open(&fake);
		for (;;) {
			struct changeset *changes;
			bool prepare;

			ruleset_free(snapshot.ruleset);
			assert_int_equal(nft_read(nft, &snapshot, &err), 0);
			changes = ruleset_diff(compiled.ruleset, snapshot.ruleset);
			prepare = changeset_needs_preparing(changes);
			assert_int_equal(prepare, rows[i].anew && transactions == 0);
			assert_int_equal(changes->table_replace, prepare);
			if (changes->count && nft_commit(nft, changes, snapshot.generation,
						      prepare ? COMMIT_PREPARE : COMMIT_ALL, NULL, NULL, &err) < 0)
				fail_msg("row %zu: %s", i, err.message);
			/* At no moment does a hook ask an interval set that is new. */
			if (prepare) {
				struct ruleset *between = store_ruleset(&fake.store);
				const struct rule *rule = &ruleset_chain(between, "prerouting")->rules[0];
				const struct set *asked = ruleset_set(between, rule->terms[rule->term_count - 2].name);

				assert_false(asked->interval);
				assert_true(asked->elements.count >= 4);
				assert_int_equal(between->flags, TABLE_OWNED);
				ruleset_free(between);
			}
			bool done = changes->count == 0;

			changeset_free(changes);
			if (done)
				break;
			transactions++;
			assert_true(transactions < 4);
		}
		if (transactions != rows[i].transactions || snapshot.ruleset->flags != rows[i].stored)
			fail_msg("row %zu: %u transactions, flags %u", i, transactions, snapshot.ruleset->flags);
		ruleset_free(snapshot.ruleset);
		nft_close(nft);
		fake_done(&fake);
		compiled_done(&before);
		compiled_done(&compiled);
	}
}

static void test_remove(void **state)
{
	struct compiled compiled = compile_golden("everything");
	struct ruleset *absent = ruleset_new();
	struct changeset *changes = ruleset_diff(absent, compiled.ruleset);
	struct err err = {0};
	struct fake fake;
	struct nft *nft;

	(void)state;
	fake_begin(&fake);
	fake_load(&fake, compiled.ruleset);
	nft = fake_open(&fake);
	assert_int_equal(nft_commit(nft, changes, fake.generation, COMMIT_ALL, NULL, NULL, &err), 0);
	assert_int_equal(fake.largest_batch, 1);
	assert_int_equal(fake.store.count, 0);
	nft_close(nft);
	fake_done(&fake);
	changeset_free(changes);
	ruleset_free(absent);
	compiled_done(&compiled);
}

static void test_progress(void **state)
{
	struct compiled compiled = compile_golden("everything");
	struct fake fake;
	struct nft *nft;
	size_t last = 0;

	(void)state;
	fake_begin(&fake);
	fake_load(&fake, compiled.ruleset);
	nft = fake_open(&fake);
	nft_set_progress(nft, hear_progress, &last);
	ruleset_free(read_back(nft));
	/* Keys, of which an interval has two. */
	assert_true(last > 20);
	nft_close(nft);
	fake_done(&fake);
	compiled_done(&compiled);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codec_golden),
		cmocka_unit_test(test_codec_long),
		cmocka_unit_test(test_codec_mutations),
		cmocka_unit_test(test_codec_terms),
		cmocka_unit_test(test_codec_comments),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_elements),
		cmocka_unit_test(test_elements_ipv6),
		cmocka_unit_test(test_elements_map),
		cmocka_unit_test(test_elements_cut),
		cmocka_unit_test(test_mend),
		cmocka_unit_test(test_switch),
		cmocka_unit_test(test_traffic),
		cmocka_unit_test(test_mend_opaque),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_absent),
		cmocka_unit_test(test_read_drains),
		cmocka_unit_test(test_read_back),
		cmocka_unit_test(test_read_presence),
		cmocka_unit_test(test_listen_harmless),
		cmocka_unit_test(test_listen_ours),
		cmocka_unit_test(test_listen_refused),
		cmocka_unit_test(test_listen_torn),
		cmocka_unit_test(test_listen_misunderstood),
		cmocka_unit_test(test_listen_commit),
		cmocka_unit_test(test_listen_forgets),
		cmocka_unit_test(test_commit),
		cmocka_unit_test(test_commit_reserves),
		cmocka_unit_test(test_commit_owned),
		cmocka_unit_test(test_can_own),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_progress),
	};

	return cmocka_run_group_tests_name("nft", tests, NULL, NULL);
}
