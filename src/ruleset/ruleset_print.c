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
static const struct word directions[] = {{0, "original"}, {1, "reply"}, {0, NULL}};
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
	case SELECT_CT_DIRECTION:
		return directions;
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
	case SELECT_CT_LABEL:
	case SELECT_FIRST_BYTE:
	case SELECT_FIRST_VERSION:
	case SELECT_FIRST_BYTES:
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

/* Labels are written by the number of their bit. */
static unsigned int lowest_bit(struct value value)
{
	unsigned int bit = 0;

	while (bit < 127 && !((bit < 64 ? value.lo >> bit : value.hi >> (bit - 64)) & 1))
		bit++;
	return bit;
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
	case SELECT_CT_LABEL:
		text_printf(text, "%u", lowest_bit(value));
		return;
	case SELECT_FIRST_BYTE:
	case SELECT_FIRST_VERSION:
	case SELECT_FIRST_BYTES:
		text_printf(text, "0x%" PRIx64, value.lo);
		return;
	case SELECT_IIF:
	case SELECT_NFPROTO:
	case SELECT_L4PROTO:
	case SELECT_TCP_SPORT:
	case SELECT_TCP_DPORT:
	case SELECT_CT_STATE:
	case SELECT_CT_STATUS:
	case SELECT_CT_DIRECTION:
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
	case TEST_AT_LEAST:
		text_append(text, ">= ");
		break;
	case TEST_ANY_BIT:
		if (term->selector == SELECT_CT_LABEL) {
			print_value(term->selector, term->mask, text);
			return;
		}
		print_bits(term->selector, term->mask.lo, ",", text);
		return;
	case TEST_NO_BIT:
		text_append(text, "! ");
		print_bits(term->selector, term->mask.lo, ",", text);
		return;
	case TEST_MASKED_EQUAL:
		if (!selector_words(term->selector)) {
			text_printf(text, "& 0x%" PRIx64 " == ", term->mask.lo);
			break;
		}
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

/* The parts of an element's key, as nft writes them. */
static void print_key(const struct term *term, struct text *text)
{
	char buffer[INTERVAL_TEXT];
	enum width width = selector_info(term->selector)->size == 4 ? WIDTH_IPV4 : WIDTH_IPV6;

	text_append(text, selector_info(term->selector)->text);
	switch (term->key) {
	case KEY_NONE:
		abort();
	case KEY_SOURCE:
		if (value_compare(term->mask, value_zero()) != 0)
			text_printf(text, " & %s", value_format(width, term->mask, buffer));
		return;
	case KEY_SOURCE_REASON:
		text_printf(text, " . 0x%08" PRIx64, term->value.lo);
		return;
	case KEY_FIRST_BYTE:
		text_append(text, " . tcp sport . tcp sequence");
		return;
	case KEY_NEXT_BYTE:
		text_append(text, " . tcp dport . tcp ackseq");
		return;
	}
}

static const char *update_word(enum update update)
{
	switch (update) {
	case UPDATE_ADD:
		return "add";
	case UPDATE_TOUCH:
		return "update";
	case UPDATE_DELETE:
		return "delete";
	}
	abort();
}

/* Whether a term reads the TCP header, or the IP header of `family` (2 or 10). */
static bool reads_tcp(const struct term *term)
{
	switch (term->kind) {
	case TERM_TEST:
	case TERM_LOOKUP:
	case TERM_MAP:
		return term->selector == SELECT_TCP_SPORT || term->selector == SELECT_TCP_DPORT ||
		       term->selector == SELECT_TCP_FLAGS;
	case TERM_UPDATE:
	case TERM_KNOWN:
		return term->key == KEY_FIRST_BYTE || term->key == KEY_NEXT_BYTE;
	case TERM_TURN_RESET:
		return true;
	case TERM_COUNTER:
	case TERM_VERDICT:
	case TERM_REJECT_RESET:
	case TERM_SET_LABEL:
	case TERM_LIMIT:
	case TERM_LOG:
		return false;
	}
	abort();
}

static bool reads_ip(const struct term *term, uint64_t family)
{
	bool selects = term->kind == TERM_TEST || term->kind == TERM_LOOKUP || term->kind == TERM_MAP ||
		       term->kind == TERM_UPDATE || term->kind == TERM_KNOWN;

	if (!selects)
		return false;
	if (family == 2)
		return term->selector == SELECT_IP_SADDR || term->selector == SELECT_IP_DADDR;
	return term->selector == SELECT_IP6_SADDR || term->selector == SELECT_IP6_DADDR;
}

static bool tests_equal(const struct rule *rule, size_t index, enum selector selector)
{
	const struct term *term = &rule->terms[index];

	return index < rule->term_count && term->kind == TERM_TEST && term->test == TEST_EQUAL &&
	       term->selector == selector;
}

/* nft adds these tests by itself where the next term needs them, and leaves them out when it lists. */
static bool is_implied(const struct rule *rule, size_t index)
{
	size_t next = index + 1;

	if (tests_equal(rule, index, SELECT_L4PROTO) && rule->terms[index].value.lo == 6)
		return next < rule->term_count && reads_tcp(&rule->terms[next]);
	if (!tests_equal(rule, index, SELECT_NFPROTO))
		return false;
	if (next < rule->term_count && tests_equal(rule, next, SELECT_L4PROTO))
		next++;
	return next < rule->term_count && reads_ip(&rule->terms[next], rule->terms[index].value.lo);
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
	case TERM_SET_LABEL:
		text_printf(text, "ct label set %u", lowest_bit(term->value));
		return;
	case TERM_TURN_RESET:
		text_append(text, "tcp flags set rst | ack");
		return;
	case TERM_LIMIT:
		text_printf(
			text, "limit rate %" PRIu64 "/second burst %" PRIu64 " packets", term->value.lo, term->mask.lo);
		return;
	case TERM_LOG:
		text_printf(text, "log prefix \"%s\" group %" PRIu64, term->name, term->value.lo);
		if (term->mask.lo)
			text_printf(text, " snaplen %" PRIu64, term->mask.lo);
		return;
	case TERM_UPDATE:
		text_printf(text, "%s @%s { ", update_word(term->update), term->name);
		print_key(term, text);
		if (term->connections)
			text_printf(text, " ct count over %u", term->connections);
		text_append(text, " }");
		return;
	case TERM_KNOWN:
		print_key(term, text);
		text_printf(text, " @%s", term->name);
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
		if (is_implied(rule, i))
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

static void print_time(uint64_t milliseconds, struct text *text)
{
	static const struct {
		uint64_t milliseconds;
		const char *unit;
	} units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
	size_t unit = 0;

	while (milliseconds % units[unit].milliseconds)
		unit++;
	text_printf(text, " timeout %" PRIu64 "%s;", milliseconds / units[unit].milliseconds, units[unit].unit);
}

static void print_bounds(const struct set *set, const char *flags, struct text *text)
{
	text_printf(text, " size %u; flags %s%s;", set->size, flags, set->timeout ? ",timeout" : "");
	if (set->timeout)
		print_time(set->timeout, text);
}

static void print_dynamic(const struct set *set, struct text *text)
{
	bool ipv4 = set->elements.width == WIDTH_IPV4;

	switch (set->key) {
	case KEY_NONE:
		abort();
	case KEY_SOURCE:
		text_printf(text, "type %s;", ipv4 ? "ipv4_addr" : "ipv6_addr");
		break;
	case KEY_SOURCE_REASON:
		text_printf(text, "type %s . mark;", ipv4 ? "ipv4_addr" : "ipv6_addr");
		break;
	case KEY_FIRST_BYTE:
	case KEY_NEXT_BYTE:
		text_printf(text, "typeof %s . tcp sport . tcp sequence;", ipv4 ? "ip saddr" : "ip6 saddr");
		break;
	}
	print_bounds(set, "dynamic", text);
	switch (set->meter) {
	case METER_NONE:
		return;
	case METER_COUNTER:
		text_append(text, " counter;");
		return;
	case METER_CONNECTIONS:
		text_printf(text, " ct count over %u;", set->meter_limit);
		return;
	case METER_RATE:
		text_printf(text, " limit rate over %u/second burst %u packets;", set->meter_limit, set->meter_burst);
		return;
	}
	abort();
}

void set_print_head(const struct set *set, struct text *text)
{
	static const char *const types[] = {
		[WIDTH_PORT] = "inet_service", [WIDTH_IPV4] = "ipv4_addr", [WIDTH_IPV6] = "ipv6_addr"};

	if (set->opaque) {
		text_printf(text, "[ %s ]", set->opaque);
		return;
	}
	if (set->key != KEY_NONE) {
		print_dynamic(set, text);
		return;
	}
	text_printf(text, "type %s%s;", types[set->elements.width], set->map ? " : verdict" : "");
	if (set_is_state(set))
		print_bounds(set, "interval", text);
	else if (set->interval)
		text_append(text, " flags interval;");
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
