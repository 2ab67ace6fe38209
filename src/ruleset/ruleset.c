/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "ruleset.h"

static const struct selector_info selectors[] = {
	[SELECT_IIF] = {"iif", 4, LAYOUT_HOST},
	[SELECT_OIFKIND] = {"meta oifkind", 16, LAYOUT_STRING},
	[SELECT_NFPROTO] = {"meta nfproto", 1, LAYOUT_NETWORK},
	[SELECT_L4PROTO] = {"meta l4proto", 1, LAYOUT_NETWORK},
	[SELECT_IP_SADDR] = {"ip saddr", 4, LAYOUT_NETWORK},
	[SELECT_IP_DADDR] = {"ip daddr", 4, LAYOUT_NETWORK},
	[SELECT_IP6_SADDR] = {"ip6 saddr", 16, LAYOUT_NETWORK},
	[SELECT_IP6_DADDR] = {"ip6 daddr", 16, LAYOUT_NETWORK},
	[SELECT_TCP_SPORT] = {"tcp sport", 2, LAYOUT_NETWORK},
	[SELECT_TCP_DPORT] = {"tcp dport", 2, LAYOUT_NETWORK},
	[SELECT_TCP_FLAGS] = {"tcp flags", 1, LAYOUT_NETWORK},
	[SELECT_CT_STATE] = {"ct state", 4, LAYOUT_HOST},
	[SELECT_CT_STATUS] = {"ct status", 4, LAYOUT_HOST},
	[SELECT_CT_DIRECTION] = {"ct direction", 1, LAYOUT_NETWORK},
	[SELECT_CT_LABEL] = {"ct label", 16, LAYOUT_HOST},
	[SELECT_FIB_DADDR_TYPE] = {"fib daddr type", 4, LAYOUT_HOST},
	[SELECT_FIRST_BYTE] = {"@ih,0,8", 1, LAYOUT_NETWORK},
	[SELECT_FIRST_VERSION] = {"@ih,16,8", 1, LAYOUT_NETWORK},
	[SELECT_FIRST_BYTES] = {"@ih,0,48", 6, LAYOUT_NETWORK},
};

_Static_assert(ARRAY_SIZE(selectors) == SELECT_COUNT, "each selector has a row");

const struct selector_info *selector_info(enum selector selector)
{
	return &selectors[selector];
}

static const struct {
	const char *name;
	const char *text;
} reasons[] = {
	[REASON_SOURCE] = {"source", "no list of the policy names the source"},
	[REASON_ADDRESS] = {"address", "the destination is not in bind"},
	[REASON_CLOSED] = {"closed", "the port is closed by the policy's tls option"},
	[REASON_STATE] = {"state", "connection tracking calls it invalid or untracked"},
	[REASON_LOOPBACK] = {"loopback", "from this host, which the policy's loopback option forbids"},
	[REASON_PLAINTEXT] = {"plaintext", "what the client sent first is not a TLS ClientHello"},
	[REASON_CONNECTIONS] = {"connections", "the source has max_connections_per_source open"},
	[REASON_RATE] = {"rate", "the source is over new_connections_per_second"},
	[REASON_BANNED] = {"banned", "the source is banned for a time"},
};

_Static_assert(ARRAY_SIZE(reasons) == REASON_COUNT, "each reason has a row");

const char *reason_name(unsigned int reason)
{
	return reason < REASON_COUNT ? reasons[reason].name : NULL;
}

const char *reason_text(unsigned int reason)
{
	return reason < REASON_COUNT ? reasons[reason].text : NULL;
}

enum reason reason_find(const char *name)
{
	for (unsigned int i = REASON_NONE + 1; i < REASON_COUNT; i++)
		if (strcmp(reasons[i].name, name) == 0)
			return (enum reason)i;
	return REASON_NONE;
}

struct ruleset *ruleset_new(void)
{
	return mem_zero(1, sizeof(struct ruleset));
}

void rule_done(struct rule *rule)
{
	for (size_t i = 0; i < rule->term_count; i++)
		free(rule->terms[i].name);
	free(rule->terms);
	free(rule->comment);
	free(rule->opaque);
	*rule = (struct rule){0};
}

static void set_done(struct set *set)
{
	for (size_t i = 0; set->targets && i < set->elements.count; i++)
		free(set->targets[i].chain);
	free(set->targets);
	intervals_done(&set->elements);
	free(set->name);
	free(set->comment);
	free(set->opaque);
}

static void chain_done(struct chain *chain)
{
	for (size_t i = 0; i < chain->rule_count; i++)
		rule_done(&chain->rules[i]);
	free(chain->rules);
	free(chain->name);
	free(chain->comment);
	free(chain->opaque);
}

void ruleset_free(struct ruleset *ruleset)
{
	if (!ruleset)
		return;
	for (size_t i = 0; i < ruleset->counter_count; i++) {
		free(ruleset->counters[i].name);
		free(ruleset->counters[i].comment);
	}
	for (size_t i = 0; i < ruleset->set_count; i++)
		set_done(&ruleset->sets[i]);
	for (size_t i = 0; i < ruleset->chain_count; i++)
		chain_done(&ruleset->chains[i]);
	for (size_t i = 0; i < ruleset->other_count; i++) {
		free(ruleset->others[i].name);
		free(ruleset->others[i].opaque);
	}
	free(ruleset->counters);
	free(ruleset->sets);
	free(ruleset->chains);
	free(ruleset->others);
	free(ruleset->comment);
	free(ruleset->environment);
	free(ruleset);
}

struct counter *ruleset_add_counter(struct ruleset *ruleset, const char *name)
{
	ARRAY_GROW(ruleset->counters, ruleset->counter_count, ruleset->counter_capacity);
	struct counter *counter = &ruleset->counters[ruleset->counter_count++];

	*counter = (struct counter){.name = mem_string(name)};
	return counter;
}

struct set *ruleset_add_set(struct ruleset *ruleset, const char *name, enum width width)
{
	ARRAY_GROW(ruleset->sets, ruleset->set_count, ruleset->set_capacity);
	struct set *set = &ruleset->sets[ruleset->set_count++];

	*set = (struct set){.name = mem_string(name), .elements.width = width};
	return set;
}

struct chain *ruleset_add_chain(struct ruleset *ruleset, const char *name)
{
	ARRAY_GROW(ruleset->chains, ruleset->chain_count, ruleset->chain_capacity);
	struct chain *chain = &ruleset->chains[ruleset->chain_count++];

	*chain = (struct chain){.name = mem_string(name)};
	return chain;
}

struct other *ruleset_add_other(struct ruleset *ruleset, enum other_kind kind, const char *name)
{
	ARRAY_GROW(ruleset->others, ruleset->other_count, ruleset->other_capacity);
	struct other *other = &ruleset->others[ruleset->other_count++];

	*other = (struct other){.kind = kind, .name = mem_string(name)};
	return other;
}

struct rule *chain_add_rule(struct chain *chain)
{
	ARRAY_GROW(chain->rules, chain->rule_count, chain->rule_capacity);
	struct rule *rule = &chain->rules[chain->rule_count++];

	*rule = (struct rule){0};
	return rule;
}

void rule_add_term(struct rule *rule, const struct term *term, const char *name)
{
	rule->terms = mem_resize(rule->terms, rule->term_count + 1, sizeof(*rule->terms));
	rule->terms[rule->term_count] = *term;
	rule->terms[rule->term_count++].name = mem_string(name);
}

void set_add_target(struct set *set, struct interval key, enum verdict verdict, const char *chain)
{
	ARRAY_GROW(set->targets, set->elements.count, set->target_capacity);
	set->targets[set->elements.count] = (struct target){.verdict = verdict, .chain = mem_string(chain)};
	intervals_add(&set->elements, key);
}

bool set_is_state(const struct set *set)
{
	return set->key != KEY_NONE || set->timeout;
}

const struct counter *ruleset_counter(const struct ruleset *ruleset, const char *name)
{
	for (size_t i = 0; i < ruleset->counter_count; i++)
		if (strcmp(ruleset->counters[i].name, name) == 0)
			return &ruleset->counters[i];
	return NULL;
}

const struct set *ruleset_set(const struct ruleset *ruleset, const char *name)
{
	for (size_t i = 0; i < ruleset->set_count; i++)
		if (strcmp(ruleset->sets[i].name, name) == 0)
			return &ruleset->sets[i];
	return NULL;
}

const struct chain *ruleset_chain(const struct ruleset *ruleset, const char *name)
{
	for (size_t i = 0; i < ruleset->chain_count; i++)
		if (strcmp(ruleset->chains[i].name, name) == 0)
			return &ruleset->chains[i];
	return NULL;
}

/* The same element of the same dynamic set. */
static bool same_element(const struct term *a, const struct term *b)
{
	return a->selector == b->selector && a->key == b->key && value_compare(a->value, b->value) == 0 &&
	       value_compare(a->mask, b->mask) == 0 && same_string(a->name, b->name);
}

bool term_equal(const struct term *a, const struct term *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case TERM_TEST:
		return a->selector == b->selector && a->test == b->test && value_compare(a->value, b->value) == 0 &&
		       value_compare(a->mask, b->mask) == 0;
	case TERM_LOOKUP:
		return a->selector == b->selector && a->inverted == b->inverted && same_string(a->name, b->name);
	case TERM_MAP:
		return a->selector == b->selector && same_string(a->name, b->name);
	case TERM_COUNTER:
		return same_string(a->name, b->name);
	case TERM_VERDICT:
		return a->verdict == b->verdict && same_string(a->name, b->name);
	case TERM_REJECT_RESET:
	case TERM_TURN_RESET:
		return true;
	case TERM_SET_LABEL:
		return value_compare(a->value, b->value) == 0;
	case TERM_LIMIT:
		return value_compare(a->value, b->value) == 0 && value_compare(a->mask, b->mask) == 0;
	case TERM_LOG:
		return value_compare(a->value, b->value) == 0 && value_compare(a->mask, b->mask) == 0 &&
		       same_string(a->name, b->name);
	case TERM_UPDATE:
		return same_element(a, b) && a->update == b->update && a->connections == b->connections;
	case TERM_KNOWN:
		return same_element(a, b);
	}
	abort();
}

bool rule_equal(const struct rule *a, const struct rule *b)
{
	if (a->opaque || b->opaque || a->term_count != b->term_count)
		return false;
	for (size_t i = 0; i < a->term_count; i++)
		if (!term_equal(&a->terms[i], &b->terms[i]))
			return false;
	return true;
}

/* --- the label --- */

#define LABEL_PREFIX "environment "
#define LABEL_SINCE  ", in force since "

char *ruleset_label(const char *environment, uint64_t since)
{
	char when[32];
	time_t seconds = (time_t)since;
	struct tm broken_down;

	gmtime_r(&seconds, &broken_down);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &broken_down);
	return mem_format(LABEL_PREFIX "%s" LABEL_SINCE "%s", environment, when);
}

void ruleset_unlabel(struct ruleset *ruleset)
{
	const struct chain *chain = ruleset_chain(ruleset, "prerouting");

	const char *comment = NULL;

	/* Not only the first: somebody may have put a rule in front of it, and that rule is then the difference. */
	for (size_t i = 0; chain && i < chain->rule_count && !comment; i++)
		if (chain->rules[i].comment &&
			strncmp(chain->rules[i].comment, LABEL_PREFIX, strlen(LABEL_PREFIX)) == 0)
			comment = chain->rules[i].comment + strlen(LABEL_PREFIX);
	const char *since = comment ? strstr(comment, LABEL_SINCE) : NULL;
	struct tm broken_down = {0};

	if (!since)
		return;
	free(ruleset->environment);
	ruleset->environment = mem_stringn(comment, (size_t)(since - comment));
	if (strptime(since + strlen(LABEL_SINCE), "%Y-%m-%dT%H:%M:%SZ", &broken_down))
		ruleset->since = (uint64_t)timegm(&broken_down);
}

const char *ruleset_why_not_in_force(const struct ruleset *observed)
{
	static const char *const hooks[] = {"prerouting", "input", "forward"};

	if (!observed->present)
		return "there is no table inet " TABLE_NAME " in this network namespace";
	if (observed->flags & TABLE_DORMANT)
		return "table inet " TABLE_NAME " is dormant: the kernel runs none of its chains";
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		const struct chain *chain = ruleset_chain(observed, hooks[i]);

		if (!chain || !chain->base || chain->opaque || strcmp(hook_name(chain->hook), hooks[i]) != 0 ||
			chain->rule_count == 0)
			return "one of its hooks (prerouting, input, forward) is missing or empty";
	}
	return NULL;
}
