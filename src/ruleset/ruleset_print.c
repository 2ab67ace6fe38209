/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The model in nft's language: what `nft list` would say of it, and a file that `nft -f` loads. */

#include <inttypes.h>
#include <string.h>

#include "ruleset.h"

const char *hook_name(enum hook hook)
{
	switch (hook) {
	case HOOK_PREROUTING:
		return "prerouting";
	case HOOK_INPUT:
		return "input";
	case HOOK_FORWARD:
		return "forward";
	case HOOK_OUTPUT:
		return "output";
	case HOOK_POSTROUTING:
		return "postrouting";
	}
	abort();
}

/* Words for numbers and bits, as nft has them. */
struct word {
	uint64_t number;
	const char *text;
};

static const struct word interfaces[] = {{1, "\"lo\""}, {0, NULL}};
static const struct word families[] = {{2, "ipv4"}, {10, "ipv6"}, {0, NULL}};
static const struct word protocols[] = {
	{1, "icmp"}, {6, "tcp"}, {17, "udp"}, {58, "ipv6-icmp"}, {132, "sctp"}, {0, NULL}};
static const struct word states[] = {
	{1, "invalid"}, {2, "established"}, {4, "related"}, {8, "new"}, {64, "untracked"}, {0, NULL}};
static const struct word statuses[] = {{1, "expected"}, {2, "seen-reply"}, {4, "assured"}, {8, "confirmed"},
	{16, "snat"}, {32, "dnat"}, {512, "dying"}, {0, NULL}};
static const struct word route_types[] = {{1, "unicast"}, {2, "local"}, {3, "broadcast"}, {4, "anycast"},
	{5, "multicast"}, {6, "blackhole"}, {7, "unreachable"}, {8, "prohibit"}, {0, NULL}};
static const struct word tcp_flags[] = {
	{1, "fin"}, {2, "syn"}, {4, "rst"}, {8, "psh"}, {16, "ack"}, {32, "urg"}, {64, "ecn"}, {128, "cwr"}, {0, NULL}};

static const struct word *selector_words(enum selector selector)
{
	switch (selector) {
	case SELECT_IIF:
		return interfaces;
	case SELECT_NFPROTO:
		return families;
	case SELECT_L4PROTO:
		return protocols;
	case SELECT_CT_STATE:
		return states;
	case SELECT_CT_STATUS:
		return statuses;
	case SELECT_FIB_DADDR_TYPE:
		return route_types;
	case SELECT_TCP_FLAGS:
		return tcp_flags;
	case SELECT_OIFKIND:
	case SELECT_IP_SADDR:
	case SELECT_IP_DADDR:
	case SELECT_IP6_SADDR:
	case SELECT_IP6_DADDR:
	case SELECT_TCP_SPORT:
	case SELECT_TCP_DPORT:
	case SELECT_COUNT:
		return NULL;
	}
	abort();
}

static void print_number(enum selector selector, uint64_t number, struct text *text)
{
	for (const struct word *word = selector_words(selector); word && word->text; word++)
		if (word->number == number) {
			text_append(text, word->text);
			return;
		}
	text_printf(text, "%" PRIu64, number);
}

static void print_bits(enum selector selector, uint64_t bits, const char *separator, struct text *text)
{
	const char *between = "";

	for (const struct word *word = selector_words(selector); word && word->text; word++) {
		if (!(bits & word->number))
			continue;
		text_printf(text, "%s%s", between, word->text);
		between = separator;
		bits &= ~word->number;
	}
	if (bits || !*between)
		text_printf(text, "%s0x%" PRIx64, between, bits);
}

static void print_string(struct value value, struct text *text)
{
	char bytes[17] = {0};

	value_to_bytes(WIDTH_IPV6, value, bytes);
	text_append_char(text, '"');
	for (const char *byte = bytes; *byte; byte++)
		text_append_char(text, *byte >= ' ' && *byte != '"' && *byte < 0x7f ? *byte : '?');
	text_append_char(text, '"');
}

static void print_value(enum selector selector, struct value value, struct text *text)
{
	char buffer[INTERVAL_TEXT];

	switch (selector) {
	case SELECT_OIFKIND:
		print_string(value, text);
		return;
	case SELECT_IP_SADDR:
	case SELECT_IP_DADDR:
		text_append(text, value_format(WIDTH_IPV4, value, buffer));
		return;
	case SELECT_IP6_SADDR:
	case SELECT_IP6_DADDR:
		text_append(text, value_format(WIDTH_IPV6, value, buffer));
		return;
	case SELECT_TCP_FLAGS:
		print_bits(selector, value.lo, " | ", text);
		return;
	case SELECT_IIF:
	case SELECT_NFPROTO:
	case SELECT_L4PROTO:
	case SELECT_TCP_SPORT:
	case SELECT_TCP_DPORT:
	case SELECT_CT_STATE:
	case SELECT_CT_STATUS:
	case SELECT_FIB_DADDR_TYPE:
		print_number(selector, value.lo, text);
		return;
	case SELECT_COUNT:
		break;
	}
	abort();
}

static void print_test(const struct term *term, struct text *text)
{
	text_printf(text, "%s ", selector_info(term->selector)->text);
	switch (term->test) {
	case TEST_EQUAL:
		break;
	case TEST_NOT_EQUAL:
		text_append(text, "!= ");
		break;
	case TEST_ANY_BIT:
		print_bits(term->selector, term->mask.lo, ",", text);
		return;
	case TEST_NO_BIT:
		text_append(text, "! ");
		print_bits(term->selector, term->mask.lo, ",", text);
		return;
	case TEST_MASKED_EQUAL:
		text_append(text, "& (");
		print_bits(term->selector, term->mask.lo, " | ", text);
		text_append(text, ") == ");
		break;
	}
	print_value(term->selector, term->value, text);
}

static void print_verdict(enum verdict verdict, const char *chain, struct text *text)
{
	switch (verdict) {
	case VERDICT_ACCEPT:
		text_append(text, "accept");
		return;
	case VERDICT_DROP:
		text_append(text, "drop");
		return;
	case VERDICT_RETURN:
		text_append(text, "return");
		return;
	case VERDICT_JUMP:
		text_printf(text, "jump %s", chain);
		return;
	case VERDICT_GOTO:
		text_printf(text, "goto %s", chain);
		return;
	}
	abort();
}

/* nft adds these tests by itself where the next term needs them, and leaves them out when it lists. */
static bool is_implied(const struct term *term, const struct term *next)
{
	if (!next || term->kind != TERM_TEST || term->test != TEST_EQUAL ||
		(next->kind != TERM_TEST && next->kind != TERM_LOOKUP && next->kind != TERM_MAP))
		return false;
	if (term->selector == SELECT_L4PROTO && term->value.lo == 6)
		return next->selector == SELECT_TCP_SPORT || next->selector == SELECT_TCP_DPORT ||
		       next->selector == SELECT_TCP_FLAGS;
	if (term->selector == SELECT_NFPROTO && term->value.lo == 2)
		return next->selector == SELECT_IP_SADDR || next->selector == SELECT_IP_DADDR;
	if (term->selector == SELECT_NFPROTO && term->value.lo == 10)
		return next->selector == SELECT_IP6_SADDR || next->selector == SELECT_IP6_DADDR;
	return false;
}

static void print_term(const struct term *term, struct text *text)
{
	switch (term->kind) {
	case TERM_TEST:
		print_test(term, text);
		return;
	case TERM_LOOKUP:
		text_printf(
			text, "%s %s@%s", selector_info(term->selector)->text, term->inverted ? "!= " : "", term->name);
		return;
	case TERM_MAP:
		text_printf(text, "%s vmap @%s", selector_info(term->selector)->text, term->name);
		return;
	case TERM_COUNTER:
		text_printf(text, "counter name \"%s\"", term->name);
		return;
	case TERM_VERDICT:
		print_verdict(term->verdict, term->name, text);
		return;
	case TERM_REJECT_RESET:
		text_append(text, "reject with tcp reset");
		return;
	}
	abort();
}

void rule_print(const struct rule *rule, struct text *text)
{
	const char *between = "";

	if (rule->opaque) {
		text_printf(text, "[ %s ]", rule->opaque);
		return;
	}
	for (size_t i = 0; i < rule->term_count; i++) {
		if (is_implied(&rule->terms[i], i + 1 < rule->term_count ? &rule->terms[i + 1] : NULL))
			continue;
		text_append(text, between);
		print_term(&rule->terms[i], text);
		between = " ";
	}
}

void chain_print_head(const struct chain *chain, struct text *text)
{
	if (chain->opaque)
		text_printf(text, "[ %s ]", chain->opaque);
	else if (!chain->base)
		text_append(text, "regular chain");
	else
		text_printf(text, "type filter hook %s priority %d; policy %s;", hook_name(chain->hook),
			chain->priority, chain->drop_policy ? "drop" : "accept");
}

void set_print_head(const struct set *set, struct text *text)
{
	static const char *const types[] = {
		[WIDTH_PORT] = "inet_service", [WIDTH_IPV4] = "ipv4_addr", [WIDTH_IPV6] = "ipv6_addr"};

	if (set->opaque) {
		text_printf(text, "[ %s ]", set->opaque);
		return;
	}
	text_printf(text, "type %s%s;%s", types[set->elements.width], set->map ? " : verdict" : "",
		set->interval ? " flags interval;" : "");
}

void element_print(const struct set *set, size_t index, struct text *text)
{
	char buffer[INTERVAL_TEXT];

	text_append(text, interval_format(set->elements.width, intervals_get(&set->elements, index), buffer));
	if (!set->targets)
		return;
	text_append(text, " : ");
	print_verdict(set->targets[index].verdict, set->targets[index].chain, text);
}

static void print_comment(const char *comment, struct text *text)
{
	if (comment)
		text_printf(text, "comment \"%s\"\n", comment);
}

static void print_set(const struct set *set, FILE *stream)
{
	_cleanup_text_ struct text head = {0};
	size_t count = set->elements.count;

	text_printf(&head, "\t%s %s {\n\t\t", set->map ? "map" : "set", set->name);
	set_print_head(set, &head);
	text_append(&head, "\n");
	if (set->comment)
		text_append(&head, "\t\t");
	print_comment(set->comment, &head);
	fputs(text_string(&head), stream);
	for (size_t i = 0; i < count; i++) {
		_cleanup_text_ struct text element = {0};

		element_print(set, i, &element);
		fprintf(stream, "%s%s%s", i == 0 ? "\t\telements = { " : "\t\t\t     ", text_string(&element),
			i + 1 < count ? ",\n" : " }\n");
	}
	fputs("\t}\n\n", stream);
}

static void print_chain(const struct chain *chain, FILE *stream)
{
	_cleanup_text_ struct text text = {0};

	text_printf(&text, "\tchain %s {\n", chain->name);
	if (chain->comment)
		text_append(&text, "\t\t");
	print_comment(chain->comment, &text);
	if (chain->base) {
		text_append(&text, "\t\t");
		chain_print_head(chain, &text);
		text_append(&text, "\n");
	}
	for (size_t i = 0; i < chain->rule_count; i++) {
		text_append(&text, "\t\t");
		rule_print(&chain->rules[i], &text);
		if (chain->rules[i].comment)
			text_printf(&text, " comment \"%s\"", chain->rules[i].comment);
		text_append(&text, "\n");
	}
	text_append(&text, "\t}\n\n");
	fputs(text_string(&text), stream);
}

bool ruleset_print_nft(const struct ruleset *ruleset, FILE *stream)
{
	/* Add, delete, add: the idiom that replaces a table whether or not it is there, in one transaction. */
	fprintf(stream, "table inet %s\ndelete table inet %s\n\ntable inet %s {\n", TABLE_NAME, TABLE_NAME, TABLE_NAME);
	if (ruleset->comment)
		fprintf(stream, "\tcomment \"%s\"\n\n", ruleset->comment);
	for (size_t i = 0; i < ruleset->counter_count; i++) {
		const struct counter *counter = &ruleset->counters[i];

		fprintf(stream, "\tcounter %s {\n", counter->name);
		if (counter->comment)
			fprintf(stream, "\t\tcomment \"%s\"\n", counter->comment);
		fputs("\t}\n\n", stream);
	}
	for (size_t i = 0; i < ruleset->set_count; i++)
		print_set(&ruleset->sets[i], stream);
	for (size_t i = 0; i < ruleset->chain_count; i++)
		print_chain(&ruleset->chains[i], stream);
	fputs("}\n", stream);
	return fflush(stream) == 0 && !ferror(stream);
}
