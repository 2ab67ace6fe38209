/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The words that the compiler writes rules with. */

#include <string.h>

#include "ruleset_private.h"

void add_test(struct rule *rule, enum selector selector, enum test test, uint64_t value)
{
	struct term term = {.kind = TERM_TEST, .selector = selector, .test = test};

	if (test == TEST_ANY_BIT || test == TEST_NO_BIT)
		term.mask.lo = value;
	else
		term.value.lo = value;
	rule_add_term(rule, &term, NULL);
}

void add_test_masked(struct rule *rule, enum selector selector, uint64_t mask, uint64_t value)
{
	rule_add_term(rule,
		&(struct term){.kind = TERM_TEST,
			.selector = selector,
			.test = TEST_MASKED_EQUAL,
			.value = {0, value},
			.mask = {0, mask}},
		NULL);
}

void add_test_string(struct rule *rule, enum selector selector, const char *string)
{
	char bytes[16] = {0};

	memcpy(bytes, string, strnlen(string, sizeof(bytes)));
	rule_add_term(rule,
		&(struct term){.kind = TERM_TEST,
			.selector = selector,
			.test = TEST_EQUAL,
			.value = value_from_bytes(WIDTH_IPV6, bytes)},
		NULL);
}

void add_tcp(struct rule *rule)
{
	add_test(rule, SELECT_L4PROTO, TEST_EQUAL, PROTOCOL_TCP);
}

/* The network header may be read only after this. */
static void add_family(struct rule *rule, enum width width)
{
	add_test(rule, SELECT_NFPROTO, TEST_EQUAL, width == WIDTH_IPV4 ? NFPROTO_4 : NFPROTO_6);
}

void add_lookup(struct rule *rule, enum term_kind kind, enum selector selector, const char *name)
{
	if (selector == SELECT_IP_SADDR || selector == SELECT_IP_DADDR)
		add_family(rule, WIDTH_IPV4);
	else if (selector == SELECT_IP6_SADDR || selector == SELECT_IP6_DADDR)
		add_family(rule, WIDTH_IPV6);
	else
		add_tcp(rule);
	rule_add_term(rule, &(struct term){.kind = kind, .selector = selector}, name);
}

void add_verdict(struct rule *rule, enum verdict verdict, const char *chain)
{
	rule_add_term(rule, &(struct term){.kind = TERM_VERDICT, .verdict = verdict}, chain);
}

void add_counter(struct rule *rule, const char *name)
{
	rule_add_term(rule, &(struct term){.kind = TERM_COUNTER}, name);
}

void add_element(struct rule *rule, enum width width, struct term term, const char *base)
{
	_cleanup_free_ char *name = mem_format("%s_%s", base, width == WIDTH_IPV4 ? "v4" : "v6");

	add_family(rule, width);
	if (term.key == KEY_FIRST_BYTE || term.key == KEY_NEXT_BYTE)
		add_tcp(rule);
	if (term.key == KEY_NEXT_BYTE)
		term.selector = width == WIDTH_IPV4 ? SELECT_IP_DADDR : SELECT_IP6_DADDR;
	else
		term.selector = width == WIDTH_IPV4 ? SELECT_IP_SADDR : SELECT_IP6_SADDR;
	rule_add_term(rule, &term, name);
}

static struct value label_bit(const struct compiler *c, enum label label)
{
	unsigned int bit = c->policy->service.conntrack_label + (unsigned int)label;

	return bit < 64 ? (struct value){0, UINT64_C(1) << bit} : (struct value){UINT64_C(1) << (bit - 64), 0};
}

void add_label_test(const struct compiler *c, struct rule *rule, enum label label)
{
	rule_add_term(rule,
		&(struct term){.kind = TERM_TEST,
			.selector = SELECT_CT_LABEL,
			.test = TEST_ANY_BIT,
			.mask = label_bit(c, label)},
		NULL);
}

void add_label_set(const struct compiler *c, struct rule *rule, enum label label)
{
	rule_add_term(rule, &(struct term){.kind = TERM_SET_LABEL, .value = label_bit(c, label)}, NULL);
}

void add_opening_test(struct rule *rule)
{
	add_tcp(rule);
	add_test_masked(rule, SELECT_TCP_FLAGS, TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK, TCP_SYN);
	add_test(rule, SELECT_CT_STATE, TEST_ANY_BIT, CT_STATE_NEW);
}

struct chain *add_chain(struct compiler *c, const char *name, uint32_t origin, const char *comment)
{
	struct chain *chain = ruleset_add_chain(c->ruleset, name);

	chain->origin = origin;
	chain->comment = mem_string(comment);
	return chain;
}

struct rule *add_rule(struct chain *chain, uint32_t origin, const char *comment)
{
	struct rule *rule = chain_add_rule(chain);

	rule->origin = origin;
	rule->comment = mem_string(comment);
	return rule;
}

void add_jump(struct chain *chain, enum verdict verdict, const char *target, uint32_t origin)
{
	add_verdict(add_rule(chain, origin, NULL), verdict, target);
}

void add_routed(struct chain *chain, uint32_t origin)
{
	struct rule *rule = add_rule(chain, origin, "routed through this host: see chain forwarded");

	add_test(rule, SELECT_FIB_DADDR_TYPE, TEST_NOT_EQUAL, ROUTE_LOCAL);
	add_verdict(rule, VERDICT_RETURN, NULL);
}

void add_refusal(struct compiler *c, struct rule *rule, enum reason reason)
{
	_cleanup_free_ char *chain = mem_format("refuse_%s", reason_name(reason));

	c->refuses[reason] = true;
	add_verdict(rule, VERDICT_GOTO, chain);
}
