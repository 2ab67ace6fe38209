/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whether a policy keeps what it promises of itself. */

#include <string.h>

#include "evaluate.h"
#include "policy.h"

/* Where one list of the ruleset begins or ends: addresses between two neighbouring edges are alike to every rule. */
struct edges {
	struct value *items;
	size_t count, capacity;
};

/* One expectation in one family. */
struct trials {
	const struct ruleset *ruleset;
	struct evaluator *evaluator;
	const struct edges *edges;
	struct proof *proof;
	size_t done;
};

static int compare_values(const void *a, const void *b)
{
	return value_compare(*(const struct value *)a, *(const struct value *)b);
}

static void add_edge(struct edges *edges, struct value at)
{
	ARRAY_GROW(edges->items, edges->count, edges->capacity);
	edges->items[edges->count++] = at;
}

static void add_interval(struct edges *edges, enum width width, struct interval item)
{
	add_edge(edges, item.first);
	if (value_compare(item.last, value_max(width)) != 0)
		add_edge(edges, value_next(item.last));
}

/* Rules that test an address themselves are none of ours. */
static void add_test_edges(struct edges *edges, enum width width, const struct rule *rule)
{
	enum selector selector = width == WIDTH_IPV4 ? SELECT_IP_SADDR : SELECT_IP6_SADDR;

	for (size_t i = 0; i < rule->term_count; i++)
		if (rule->terms[i].kind == TERM_TEST && rule->terms[i].selector == selector)
			add_interval(edges, width, (struct interval){rule->terms[i].value, rule->terms[i].value, 0});
}

static void find_edges(const struct ruleset *ruleset, enum width width, struct edges *edges)
{
	for (size_t i = 0; i < ruleset->set_count; i++) {
		const struct set *set = &ruleset->sets[i];

		if (set->key != KEY_NONE || set->elements.width != width)
			continue;
		for (size_t k = 0; k < set->elements.count; k++)
			add_interval(edges, width, intervals_get(&set->elements, k));
	}
	for (size_t i = 0; i < ruleset->chain_count; i++)
		for (size_t k = 0; k < ruleset->chains[i].rule_count; k++)
			add_test_edges(edges, width, &ruleset->chains[i].rules[k]);
	if (edges->count)
		qsort(edges->items, edges->count, sizeof(*edges->items), compare_values);
}

/* The index of the first edge behind `at`. */
static size_t edge_behind(const struct edges *edges, struct value at)
{
	size_t low = 0;
	size_t high = edges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (value_compare(edges->items[middle], at) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* --- one connection --- */

static struct journey make_journey(const struct proof *proof)
{
	bool tls = proof->expectation->speaks == SPEAKS_TLS;

	return (struct journey){.family = proof->family,
		.source = proof->source,
		.destination = proof->destination,
		.port = proof->expectation->to_port,
		.data = tls ? speech_tls : speech_plaintext,
		.length = tls ? speech_tls_length : speech_plaintext_length};
}

/* Once more, with its steps: which line decided. */
static void find_origin(const struct trials *trials)
{
	struct proof *proof = trials->proof;
	struct journey journey = make_journey(proof);
	struct trace trace = {0};
	size_t length;

	evaluator_forget(trials->evaluator);
	evaluate_journey(trials->evaluator, &journey, &trace);
	for (size_t i = 0; i < trace.count; i++) {
		const struct step *step = &trace.steps[i];
		const char *list = step->set && !step->set->map && step->element != SIZE_MAX
					   ? set_source_list(step->set->name, &length)
					   : NULL;

		if (list && proof->arrival.decision == DECISION_ALLOW) {
			proof->list = list;
			proof->origin = step_element_origin(step, trials->ruleset);
		}
		/* The rule that goes to a refusal says which line of the policy refuses. */
		if (step->target && strncmp(step->target, "refuse_", 7) == 0)
			proof->origin = step->rule->origin;
	}
	trace_done(&trace);
}

/* False: the expectation is not met, and the proof shows it. */
static bool try_source(struct trials *trials, struct value source)
{
	struct proof *proof = trials->proof;
	enum decision wanted = proof->expectation->verdict == EXPECT_ALLOW ? DECISION_ALLOW : DECISION_REFUSE;
	struct trace trace = {.silent = true};
	struct journey journey;

	if (++trials->done > EXPECT_TRIALS_AT_MOST) {
		proof->too_many = true;
		return false;
	}
	proof->source = source;
	journey = make_journey(proof);
	evaluator_forget(trials->evaluator);
	proof->arrival = evaluate_journey(trials->evaluator, &journey, &trace);
	trace_done(&trace);
	if (proof->arrival.decision == wanted)
		return true;
	find_origin(trials);
	return false;
}

static bool try_interval(struct trials *trials, struct interval from)
{
	const struct edges *edges = trials->edges;

	if (!try_source(trials, from.first))
		return false;
	for (size_t i = edge_behind(edges, from.first);
		i < edges->count && value_compare(edges->items[i], from.last) <= 0; i++)
		if (value_compare(edges->items[i], edges->items[i - (i > 0)]) != 0 || i == 0)
			if (!try_source(trials, edges->items[i]))
				return false;
	return true;
}

static bool try_sources(struct trials *trials, const struct intervals *from)
{
	for (size_t i = 0; i < from->count; i++)
		if (!try_interval(trials, intervals_get(from, i)))
			return false;
	return true;
}

/* `to` NULL: destinations are not asked. */
static bool try_destinations(struct trials *trials, const struct intervals *from, const struct intervals *to)
{
	struct proof *proof = trials->proof;

	proof->any_address = !to;
	proof->destination = value_zero();
	if (!to)
		return try_sources(trials, from);
	for (size_t i = 0; i < to->count; i++) {
		struct interval item = intervals_get(to, i);

		for (proof->destination = item.first;; proof->destination = value_next(proof->destination)) {
			if (!try_sources(trials, from))
				return false;
			if (value_compare(proof->destination, item.last) == 0)
				break;
		}
	}
	return true;
}

/* --- one expectation --- */

/* The list that the policy means where `to` is not written; NULL: there is none. */
static const struct source_list *destinations(
	const struct policy *policy, const struct environment *environment, const struct expectation *expectation)
{
	bool admin = expectation->to_port == policy->service.admin_port;

	if (expectation->to.given)
		return &expectation->to;
	if (admin && environment->admin_bind.given)
		return &environment->admin_bind;
	return environment->bind.given ? &environment->bind : NULL;
}

static void try_expectation(
	const struct policy *policy, struct trials *trials, const struct edges *edges_v4, const struct edges *edges_v6)
{
	struct proof *proof = trials->proof;
	const struct source_list *to = destinations(policy, proof->environment, proof->expectation);
	struct intervals from_v4 = {.width = WIDTH_IPV4};
	struct intervals from_v6 = {.width = WIDTH_IPV6};
	struct intervals to_v4 = {.width = WIDTH_IPV4};
	struct intervals to_v6 = {.width = WIDTH_IPV6};

	policy_resolve(policy, &proof->expectation->from, &from_v4, &from_v6, NULL, NULL);
	if (to)
		policy_resolve(policy, to, &to_v4, &to_v6, NULL, NULL);
	proof->family = WIDTH_IPV4;
	trials->edges = edges_v4;
	proof->met = try_destinations(trials, &from_v4, to ? &to_v4 : NULL);
	if (proof->met) {
		proof->family = WIDTH_IPV6;
		trials->edges = edges_v6;
		proof->met = try_destinations(trials, &from_v6, to ? &to_v6 : NULL);
	}
	intervals_done(&from_v4);
	intervals_done(&from_v6);
	intervals_done(&to_v4);
	intervals_done(&to_v6);
}

static bool concerns(
	const struct policy *policy, const struct environment *environment, const struct expectation *expectation)
{
	return expectation->environment == POLICY_EVERY_ENVIRONMENT ||
	       &policy->environments[expectation->environment] == environment;
}

void ruleset_expect(const struct policy *policy, const struct environment *environment, const struct ruleset *ruleset,
	struct proofs *ret)
{
	struct edges v4 = {0};
	struct edges v6 = {0};
	struct evaluator *evaluator = NULL;

	for (size_t i = 0; i < policy->expectation_count; i++) {
		const struct expectation *expectation = &policy->expectations[i];

		if (!concerns(policy, environment, expectation))
			continue;
		if (!evaluator) {
			evaluator = evaluator_new(ruleset);
			find_edges(ruleset, WIDTH_IPV4, &v4);
			find_edges(ruleset, WIDTH_IPV6, &v6);
		}
		ARRAY_GROW(ret->items, ret->count, ret->capacity);
		struct proof *proof = &ret->items[ret->count++];
		struct trials trials = {.ruleset = ruleset, .evaluator = evaluator, .proof = proof};

		*proof = (struct proof){.environment = environment, .expectation = expectation};
		try_expectation(policy, &trials, &v4, &v6);
		ret->unmet += !proof->met;
	}
	evaluator_free(evaluator);
	free(v4.items);
	free(v6.items);
}

/* --- words --- */

static const char *decision_word(enum decision decision)
{
	switch (decision) {
	case DECISION_ALLOW:
		return "allowed";
	case DECISION_REFUSE:
		return "refused";
	case DECISION_UNKNOWN:
		return "neither known to be allowed nor refused";
	}
	abort();
}

void proof_text(const struct policy *policy, const struct proof *proof, struct text *text)
{
	const struct expectation *expectation = proof->expectation;
	struct srcloc where = proof->origin ? policy_place(policy, proof->origin) : (struct srcloc){0};
	char buffer[INTERVAL_TEXT];

	text_printf(text, "expected verdict = %s for port %u speaking %s in environment %s, but ",
		expect_verdict_name(expectation->verdict), expectation->to_port, speaks_mode_name(expectation->speaks),
		proof->environment->name);
	if (proof->too_many) {
		text_append(text, "it has too many sources to try them all");
		return;
	}
	text_append(text, value_format(proof->family, proof->source, buffer));
	if (!proof->any_address)
		text_printf(text, " to %s", value_format(proof->family, proof->destination, buffer));
	text_printf(text, " is %s", decision_word(proof->arrival.decision));
	if (proof->arrival.decision == DECISION_REFUSE && proof->arrival.reason != REASON_NONE)
		text_printf(text, " (%s)", reason_text(proof->arrival.reason));
	if (where.file)
		text_printf(text, ": %s:%u", where.file, where.line);
	if (where.file && proof->list)
		text_printf(text, " (%s)", proof->list);
}
