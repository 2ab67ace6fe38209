/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What becomes of a connection whose source may connect: the limits, and the gate that lets nothing pass but TLS; and
 * how a packet is refused, for whatever reason.
 *
 * The gate. A connection is judged by the first bytes that its client sends, once:
 *
 * - A SYN may carry no data. The first one: LABEL_JUDGE. (Connection tracking also calls a connection new that it picks
 *   up in the middle, and that one was judged, or is older than the table.)
 * - The server's SYN-ACK acknowledges the number of the client's first byte: into set unjudged, and LABEL_ANSWERED. The
 *   client's own packets do not tell it: whoever writes them by hand could name another.
 * - Data at that number: a ClientHello gets LABEL_CLEARED. Anything else gets LABEL_REFUSED: the segment becomes the
 *   reset that the server sees, and what the client sends next is answered with one.
 * - Data at another number came before the first byte (a lost or late segment; some ClientHellos fill two), or pretends
 *   to: dropped, its retransmission finds the connection cleared or refused.
 * - A SYN of a connection that was judged begins another one, which connection tracking takes for the same: dropped,
 *   until the old one is forgotten.
 *
 * Where the set was full, the first data that comes is judged. Where connection tracking forgot the connection, the set
 * still knows that it has said nothing yet.
 */

#include "ruleset_private.h"

/* How many elements a dynamic set may hold: bounded memory, about 10 MB each at the most. What finds no room is not
 * limited, not listed, or judged by its first packet: none of that opens the gate. */
#define LIMIT_SOURCES	 65536
#define UNJUDGED_SIZE	 65536
#define REFUSED_SOURCES	 4096
#define UNJUDGED_TIMEOUT 3600000 /* milliseconds, as the next two */
#define RATE_TIMEOUT	 60000
#define REFUSED_TIMEOUT	 86400000
/* log = sampled: packets a second for each reason, and at once. */
#define LOG_RATE  10
#define LOG_BURST 20
/* Headers, and the beginning of what they carry. */
#define LOG_BYTES 128

/* A TLS record (RFC 8446 5.1) with a ClientHello (4.1.2, 4): type 22, version 3.x, a length below 16,384, message type
 * 1. The version's minor number is 1 to 3 in what clients send; 0 is SSL 3. */
#define CLIENT_HELLO_MASK  UINT64_C(0xfffffcc000ff)
#define CLIENT_HELLO_VALUE UINT64_C(0x160300000001)

static const enum width widths[] = {WIDTH_IPV4, WIDTH_IPV6};

/* The two sets of a kind, one for each family. */
static void add_dynamic(
	struct compiler *c, const char *base, const struct set *model, uint32_t origin, const char *comment)
{
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		_cleanup_free_ char *name = mem_format("%s_%s", base, widths[i] == WIDTH_IPV4 ? "v4" : "v6");
		struct set *set = ruleset_add_set(c->ruleset, name, widths[i]);

		set->key = model->key;
		set->size = model->size;
		set->timeout = model->timeout;
		set->meter = model->meter;
		set->meter_limit = model->meter_limit;
		set->meter_burst = model->meter_burst;
		set->origin = origin;
		set->comment = mem_string(comment);
	}
}

/* --- limits --- */

void add_limits(struct compiler *c, struct chain *chain)
{
	struct rule *rule;

	if (!c->limits)
		return;
	rule = add_rule(chain, c->environment->origin, "what begins");
	add_opening_test(rule);
	add_verdict(rule, VERDICT_JUMP, "admit");
}

/* `IP6 & mask`: all of a prefix is one source. */
static struct value source_mask(const struct compiler *c, enum width width)
{
	unsigned int length = c->environment->ipv6_source_prefix;

	if (width == WIDTH_IPV4 || length == width_bits(WIDTH_IPV6))
		return value_zero();
	return value_mask_low(WIDTH_IPV6, value_max(WIDTH_IPV6), length);
}

static void add_limit(struct compiler *c, struct chain *chain, enum update update, const char *base,
	uint32_t connections, uint32_t origin, enum reason reason)
{
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		struct rule *rule = add_rule(chain, origin, NULL);

		add_element(rule, widths[i],
			(struct term){.kind = TERM_UPDATE,
				.update = update,
				.key = KEY_SOURCE,
				.connections = connections,
				.mask = source_mask(c, widths[i])},
			base);
		add_refusal(c, rule, reason);
	}
}

void add_limit_chains(struct compiler *c)
{
	const struct environment *e = c->environment;
	struct chain *chain;

	if (!c->limits)
		return;
	chain = add_chain(c, "admit", e->origin, "what begins: is its source over a limit?");
	add_label_test(
		c, add_rule(chain, e->origin, "asked at the first look, or before a retransmission"), LABEL_ADMITTED);
	add_verdict(&chain->rules[0], VERDICT_RETURN, NULL);
	if (e->new_connections_per_second) {
		add_dynamic(c, "new_connections",
			&(struct set){.key = KEY_SOURCE,
				.size = LIMIT_SOURCES,
				.timeout = RATE_TIMEOUT,
				.meter = METER_RATE,
				.meter_limit = e->new_connections_per_second,
				.meter_burst = e->new_connections_per_second},
			e->new_connections_origin, "new connections a second, by source");
		add_limit(c, chain, UPDATE_TOUCH, "new_connections", 0, e->new_connections_origin, REASON_RATE);
	}
	if (e->max_connections_per_source) {
		_cleanup_free_ char *name = mem_format("connections_over_%u", e->max_connections_per_source);

		add_dynamic(c, name, &(struct set){.key = KEY_SOURCE, .size = LIMIT_SOURCES}, e->max_connections_origin,
			"open connections, by source");
		add_limit(c, chain, UPDATE_ADD, name, e->max_connections_per_source, e->max_connections_origin,
			REASON_CONNECTIONS);
	}
	add_label_set(c, add_rule(chain, e->origin, NULL), LABEL_ADMITTED);
}

/* --- the gate --- */

void add_gate(struct compiler *c, struct chain *chain, uint32_t origin)
{
	add_jump(chain, VERDICT_GOTO, "gate", origin ? origin : c->environment->origin);
}

/* For each family: a rule that does something with the element of set unjudged that stands for this segment. */
static void add_unjudged(struct compiler *c, struct chain *chain, enum term_kind kind, enum update update,
	bool needs_data, const char *go_on)
{
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		struct rule *rule = add_rule(chain, c->environment->origin, NULL);

		if (needs_data)
			add_test(rule, SELECT_FIRST_BYTE, TEST_AT_LEAST, 0);
		add_element(rule, widths[i], (struct term){.kind = kind, .update = update, .key = KEY_FIRST_BYTE},
			"unjudged");
		if (go_on)
			add_verdict(rule, VERDICT_GOTO, go_on);
	}
}

static void add_forget(struct compiler *c, struct chain *chain)
{
	add_unjudged(c, chain, TERM_UPDATE, UPDATE_DELETE, false, NULL);
}

static void add_gate_entry(struct compiler *c, uint32_t origin)
{
	struct chain *chain = add_chain(c, "gate", origin, "nothing but TLS: judges what a client sends first");
	struct rule *rule;

	rule = add_rule(chain, origin, "it began with a ClientHello");
	add_label_test(c, rule, LABEL_CLEARED);
	add_tcp(rule);
	add_test(rule, SELECT_TCP_FLAGS, TEST_NO_BIT, TCP_SYN);
	add_verdict(rule, VERDICT_RETURN, NULL);

	rule = add_rule(chain, origin, "resets harm nobody, and one of them may be ours");
	add_tcp(rule);
	add_test(rule, SELECT_TCP_FLAGS, TEST_ANY_BIT, TCP_RST);
	add_verdict(rule, VERDICT_GOTO, "gate_end");

	rule = add_rule(chain, origin, NULL);
	add_tcp(rule);
	add_test(rule, SELECT_TCP_FLAGS, TEST_ANY_BIT, TCP_SYN);
	add_verdict(rule, VERDICT_GOTO, "gate_begin");

	rule = add_rule(chain, origin, "refused before: now the client gets its reset");
	add_label_test(c, rule, LABEL_REFUSED);
	add_tcp(rule);
	rule_add_term(rule, &(struct term){.kind = TERM_REJECT_RESET}, NULL);

	rule = add_rule(chain, origin, NULL);
	add_label_test(c, rule, LABEL_JUDGE);
	add_verdict(rule, VERDICT_GOTO, "gate_listen");

	/* Connection tracking picked it up in the middle, or it is older than the table. */
	add_unjudged(c, chain, TERM_KNOWN, UPDATE_ADD, true, "gate_judge");
}

static void add_gate_begin(struct compiler *c, uint32_t origin)
{
	struct chain *chain = add_chain(c, "gate_begin", origin, "a SYN, the first or a later one");
	struct rule *rule;

	rule = add_rule(chain, origin, "data on a SYN (TCP fast open)");
	add_test(rule, SELECT_FIRST_BYTE, TEST_AT_LEAST, 0);
	add_verdict(rule, VERDICT_GOTO, "refuse_fast_open");

	/* Labels cannot be taken away. So it waits until connection tracking forgets the connection of before, which
	 * the server reset: 10 seconds (nf_conntrack_tcp_timeout_close). Its client tries again by itself. */
	rule = add_rule(chain, origin, "judged already: another connection, from the same port");
	add_label_test(c, rule, LABEL_CLEARED);
	add_verdict(rule, VERDICT_DROP, NULL);
	rule = add_rule(chain, origin, "the same, where it was refused");
	add_label_test(c, rule, LABEL_REFUSED);
	add_verdict(rule, VERDICT_DROP, NULL);

	rule = add_rule(chain, origin, "not the first: its answer was lost");
	add_test(rule, SELECT_CT_STATE, TEST_NO_BIT, CT_STATE_NEW);
	add_verdict(rule, VERDICT_RETURN, NULL);

	if (c->limits) {
		rule = add_rule(chain, origin, "the limits are for other hosts");
		add_test(rule, SELECT_IIF, TEST_NOT_EQUAL, INTERFACE_LOOPBACK);
		add_verdict(rule, VERDICT_JUMP, "admit");
	}
	add_label_set(c, add_rule(chain, origin, NULL), LABEL_JUDGE);
}

static void add_gate_listen(struct compiler *c, uint32_t origin)
{
	struct chain *chain = add_chain(c, "gate_listen", origin, "the client has said nothing yet");
	struct rule *rule;

	rule = add_rule(chain, origin, "now it does");
	add_test(rule, SELECT_FIRST_BYTE, TEST_AT_LEAST, 0);
	add_verdict(rule, VERDICT_GOTO, "gate_data");

	rule = add_rule(chain, origin, "it ends without a word");
	add_tcp(rule);
	add_test(rule, SELECT_TCP_FLAGS, TEST_ANY_BIT, TCP_FIN);
	add_verdict(rule, VERDICT_GOTO, "gate_end");
}

/* What a server answers passes by here: of this host, or of a container. Of all packets but these the first test is the
 * last. */
void add_answers(struct compiler *c, struct chain *chain)
{
	struct rule *rule;

	if (!c->gate)
		return;
	rule = add_rule(chain, c->environment->origin, "the server's answer to a SYN");
	add_tcp(rule);
	add_test_masked(rule, SELECT_TCP_FLAGS, TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK, TCP_SYN | TCP_ACK);
	add_test(rule, SELECT_CT_DIRECTION, TEST_EQUAL, CT_DIRECTION_REPLY);
	add_label_test(c, rule, LABEL_JUDGE);
	add_verdict(rule, VERDICT_JUMP, "gate_answer");
}

static void add_gate_answer(struct compiler *c, uint32_t origin)
{
	struct chain *chain = add_chain(c, "gate_answer", origin, "it tells the number of the client's first byte");

	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		struct rule *rule = add_rule(chain, origin, NULL);

		add_element(rule, widths[i],
			(struct term){.kind = TERM_UPDATE, .update = UPDATE_ADD, .key = KEY_NEXT_BYTE}, "unjudged");
		add_label_set(c, rule, LABEL_ANSWERED);
	}
}

static void add_gate_data(struct compiler *c, uint32_t origin)
{
	struct chain *chain = add_chain(c, "gate_data", origin, "data of a connection that is not judged yet");
	struct rule *rule;

	add_unjudged(c, chain, TERM_KNOWN, UPDATE_ADD, false, "gate_judge");
	rule = add_rule(chain, origin, "not the first byte: it will come again, behind that");
	add_label_test(c, rule, LABEL_ANSWERED);
	add_verdict(rule, VERDICT_DROP, NULL);
	add_jump(chain, VERDICT_GOTO, "gate_judge", origin);
}

static void add_gate_judge(struct compiler *c, uint32_t origin)
{
	struct chain *chain = add_chain(c, "gate_judge", origin, "the first bytes: a ClientHello?");
	struct rule *rule = add_rule(chain, origin, "a handshake record of TLS, and in it a ClientHello");

	add_test_masked(rule, SELECT_FIRST_BYTES, CLIENT_HELLO_MASK, CLIENT_HELLO_VALUE);
	add_test(rule, SELECT_FIRST_VERSION, TEST_NOT_EQUAL, 0);
	add_verdict(rule, VERDICT_GOTO, "gate_clear");
	add_refusal(c, add_rule(chain, origin, NULL), REASON_PLAINTEXT);

	chain = add_chain(c, "gate_clear", origin, "it speaks TLS: what follows passes");
	add_label_set(c, add_rule(chain, origin, NULL), LABEL_CLEARED);
	add_forget(c, chain);

	chain = add_chain(c, "gate_end", origin, "it ends: nothing is left to judge");
	add_forget(c, chain);
}

void add_gate_chains(struct compiler *c)
{
	const struct environment *e = c->environment;
	uint32_t origin = e->tls_origin ? e->tls_origin : e->origin;

	if (!c->gate)
		return;
	add_dynamic(c, "unjudged",
		&(struct set){.key = KEY_FIRST_BYTE, .size = UNJUDGED_SIZE, .timeout = UNJUDGED_TIMEOUT}, origin,
		"who has said nothing yet, and where the first byte will be");
	add_gate_entry(c, origin);
	add_gate_begin(c, origin);
	add_gate_answer(c, origin);
	add_gate_listen(c, origin);
	add_gate_data(c, origin);
	add_gate_judge(c, origin);
}

/* --- refusals --- */

/* What is told of each refused packet: by source in the sets of refused sources, to NFLOG, and in a counter. */
static void add_telling(struct compiler *c, struct chain *chain, enum reason reason)
{
	const struct environment *e = c->environment;

	for (size_t i = 0; i < ARRAY_SIZE(widths); i++)
		add_element(add_rule(chain, chain->origin, NULL), widths[i],
			(struct term){.kind = TERM_UPDATE,
				.update = UPDATE_TOUCH,
				.key = KEY_SOURCE_REASON,
				.value = {0, reason}},
			"refused");
	if (e->log != LOG_NONE) {
		struct rule *rule = add_rule(chain, e->log_origin ? e->log_origin : e->origin, NULL);
		_cleanup_free_ char *prefix = mem_format(LOG_PREFIX "%s", reason_name(reason));

		if (e->log == LOG_SAMPLED)
			rule_add_term(rule,
				&(struct term){.kind = TERM_LIMIT, .value = {0, LOG_RATE}, .mask = {0, LOG_BURST}},
				NULL);
		rule_add_term(rule,
			&(struct term){
				.kind = TERM_LOG, .value = {0, c->policy->service.log_group}, .mask = {0, LOG_BYTES}},
			prefix);
	}
}

static void add_counted(struct rule *rule, enum reason reason)
{
	_cleanup_free_ char *counter = mem_format("refused_%s", reason_name(reason));

	add_counter(rule, counter);
}

/* Strangers hear nothing, and neither does who must slow down: its SYN comes again. For those whom the policy knows, an
 * answer at once instead of a time-out. */
static bool answers(enum reason reason)
{
	return reason == REASON_CLOSED || reason == REASON_LOOPBACK || reason == REASON_CONNECTIONS;
}

static void add_end(struct chain *chain, enum reason reason, bool reset)
{
	struct rule *rule = add_rule(chain, chain->origin, NULL);

	if (reset)
		add_tcp(rule);
	add_counted(rule, reason);
	if (reset)
		rule_add_term(rule, &(struct term){.kind = TERM_REJECT_RESET}, NULL);
	else
		add_verdict(rule, VERDICT_DROP, NULL);
}

static void add_refuse_plaintext(struct compiler *c, uint32_t origin)
{
	struct chain *chain =
		add_chain(c, "refuse_plaintext", origin, "not TLS: the segment becomes the server's reset");
	struct rule *rule;

	add_label_set(c, add_rule(chain, origin, "the client's reset answers what it sends next"), LABEL_REFUSED);
	add_forget(c, chain);
	add_telling(c, chain, REASON_PLAINTEXT);
	rule = add_rule(chain, origin, NULL);
	add_counted(rule, REASON_PLAINTEXT);
	add_tcp(rule);
	rule_add_term(rule, &(struct term){.kind = TERM_TURN_RESET}, NULL);

	chain = add_chain(
		c, "refuse_fast_open", origin, "data on a SYN, which the server would get before it is judged");
	add_telling(c, chain, REASON_PLAINTEXT);
	add_end(chain, REASON_PLAINTEXT, true);
}

void add_refusals(struct compiler *c)
{
	uint32_t origin = c->environment->origin;

	add_dynamic(c, "refused",
		&(struct set){.key = KEY_SOURCE_REASON,
			.size = REFUSED_SOURCES,
			.timeout = REFUSED_TIMEOUT,
			.meter = METER_COUNTER},
		origin, "who was refused, and the number of the reason");
	for (unsigned int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
		_cleanup_free_ char *name = mem_format("refuse_%s", reason_name(reason));
		struct chain *chain;

		if (!c->refuses[reason] || reason == REASON_PLAINTEXT)
			continue;
		chain = add_chain(c, name, origin, reason_text(reason));
		add_telling(c, chain, (enum reason)reason);
		add_end(chain, (enum reason)reason, answers((enum reason)reason));
	}
	if (c->gate)
		add_refuse_plaintext(c, origin);
}
