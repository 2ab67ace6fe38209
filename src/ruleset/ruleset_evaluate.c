/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What the chains do with one packet, after net/netfilter/nf_tables_core.c: a rule is left at the first term that does
 * not apply, and what its earlier terms did stays done; `goto` returns to where its chain was jumped from; the end of
 * a base chain is its policy.
 */

#include <string.h>

#include "evaluate.h"

/* include/net/netfilter/nf_tables.h: a jump deeper than that drops the packet. */
#define NFT_JUMP_STACK_SIZE 16
/* More rules than that for one packet is a loop, which the kernel would not have taken. */
#define RULES_AT_MOST 100000u

/* NFT_TABLE_F_DORMANT, NFT_TABLE_F_OWNER and NFT_TABLE_F_PERSIST: who may change the table is nothing to packets. */
#define TABLE_FLAGS_KNOWN 7u

#define NFPROTO_4    2
#define NFPROTO_6    10
#define PROTOCOL_TCP 6
#define TCP_RST	     0x04
#define TCP_ACK	     0x10

struct element {
	const struct set *set;
	struct value source;
	uint64_t second; /* the rest of the key: reason, or port and sequence number */
	uint64_t count;	 /* connections, or updates */
};

struct evaluator {
	const struct ruleset *ruleset;
	/* By name, and the base chains by priority. */
	const struct chain **chains;
	const struct set **sets;
	const struct chain **bases;
	size_t base_count;
	/* What the dynamic sets hold. */
	struct element *elements;
	size_t element_count, element_capacity;
};

/* --- the evaluator --- */

static int compare_chains(const void *a, const void *b)
{
	const struct chain *const *left = a;
	const struct chain *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

static int compare_sets(const void *a, const void *b)
{
	const struct set *const *left = a;
	const struct set *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

/* Chains of one priority stay in the order of the table: none of them can undo what another refuses. */
static int compare_bases(const void *a, const void *b)
{
	const struct chain *left = *(const struct chain *const *)a;
	const struct chain *right = *(const struct chain *const *)b;

	if (left->priority != right->priority)
		return left->priority < right->priority ? -1 : 1;
	return left < right ? -1 : left > right;
}

struct evaluator *evaluator_new(const struct ruleset *ruleset)
{
	struct evaluator *evaluator = mem_zero(1, sizeof(*evaluator));

	evaluator->ruleset = ruleset;
	evaluator->chains = mem_zero(ruleset->chain_count + 1, sizeof(struct chain *));
	evaluator->bases = mem_zero(ruleset->chain_count + 1, sizeof(struct chain *));
	evaluator->sets = mem_zero(ruleset->set_count + 1, sizeof(struct set *));
	for (size_t i = 0; i < ruleset->chain_count; i++) {
		evaluator->chains[i] = &ruleset->chains[i];
		if (ruleset->chains[i].base)
			evaluator->bases[evaluator->base_count++] = &ruleset->chains[i];
	}
	for (size_t i = 0; i < ruleset->set_count; i++)
		evaluator->sets[i] = &ruleset->sets[i];
	qsort(evaluator->chains, ruleset->chain_count, sizeof(struct chain *), compare_chains);
	qsort(evaluator->bases, evaluator->base_count, sizeof(struct chain *), compare_bases);
	qsort(evaluator->sets, ruleset->set_count, sizeof(struct set *), compare_sets);
	return evaluator;
}

void evaluator_free(struct evaluator *evaluator)
{
	if (!evaluator)
		return;
	free(evaluator->chains);
	free(evaluator->bases);
	free(evaluator->sets);
	free(evaluator->elements);
	free(evaluator);
}

void evaluator_forget(struct evaluator *evaluator)
{
	evaluator->element_count = 0;
}

static const struct chain *find_chain(const struct evaluator *evaluator, const char *name)
{
	struct chain key = {.name = (char *)(uintptr_t)name};
	const struct chain *wanted = &key;
	const struct chain **found = name ? bsearch(&wanted, evaluator->chains, evaluator->ruleset->chain_count,
						    sizeof(wanted), compare_chains)
					  : NULL;

	return found ? *found : NULL;
}

static const struct set *find_set(const struct evaluator *evaluator, const char *name)
{
	struct set key = {.name = (char *)(uintptr_t)name};
	const struct set *wanted = &key;
	const struct set **found =
		name ? bsearch(&wanted, evaluator->sets, evaluator->ruleset->set_count, sizeof(wanted), compare_sets)
		     : NULL;

	return found ? *found : NULL;
}

/* --- what happened --- */

void trace_done(struct trace *trace)
{
	free(trace->steps);
	*trace = (struct trace){0};
}

static void trace_step(struct trace *trace, const struct step *step)
{
	if (step->rule)
		trace->judged = true;
	if (trace->silent)
		return;
	ARRAY_GROW(trace->steps, trace->count, trace->capacity);
	trace->steps[trace->count] = *step;
	trace->steps[trace->count++].moment = trace->moment;
}

/* --- selectors --- */

/* One packet in one base chain. */
struct pass {
	struct evaluator *evaluator;
	struct segment *packet;
	struct tracking *tracking;
	struct trace *trace;
	enum hook hook;
};

static bool is_tcp(const struct segment *packet)
{
	return packet->protocol == PROTOCOL_TCP;
}

static bool select_data(const struct segment *packet, size_t offset, size_t length, struct value *ret)
{
	if (!is_tcp(packet) || packet->length < offset + length)
		return false;
	*ret = value_zero();
	for (size_t i = 0; i < length; i++)
		ret->lo = ret->lo << 8 | packet->data[offset + i];
	return true;
}

static bool select_string(const char *string, struct value *ret)
{
	char bytes[16] = {0};

	if (!string)
		return false;
	memcpy(bytes, string, strnlen(string, sizeof(bytes)));
	*ret = value_from_bytes(WIDTH_IPV6, bytes);
	return true;
}

static bool select_number(bool there, uint64_t number, struct value *ret)
{
	*ret = (struct value){0, number};
	return there;
}

static bool select_address(const struct segment *packet, enum width family, bool destination, struct value *ret)
{
	*ret = destination ? packet->destination : packet->source;
	return packet->family == family;
}

static bool select_label(const struct tracking *tracking, struct value *ret)
{
	*ret = tracking->labelled ? tracking->label : value_zero();
	return tracking->tracked;
}

/* False: the packet has no such thing, and so the rule does not apply (NFT_BREAK). */
static bool select_value(const struct pass *pass, enum selector selector, struct value *ret)
{
	const struct segment *packet = pass->packet;
	const struct tracking *tracking = pass->tracking;
	bool late = pass->hook == HOOK_FORWARD || pass->hook == HOOK_OUTPUT || pass->hook == HOOK_POSTROUTING;

	switch (selector) {
	case SELECT_IIF:
		return select_number(true, packet->in_index, ret);
	case SELECT_OIFKIND:
		return select_string(late ? packet->out_kind : NULL, ret);
	case SELECT_NFPROTO:
		return select_number(true, packet->family == WIDTH_IPV4 ? NFPROTO_4 : NFPROTO_6, ret);
	case SELECT_L4PROTO:
		return select_number(true, packet->protocol, ret);
	case SELECT_IP_SADDR:
		return select_address(packet, WIDTH_IPV4, false, ret);
	case SELECT_IP_DADDR:
		return select_address(packet, WIDTH_IPV4, true, ret);
	case SELECT_IP6_SADDR:
		return select_address(packet, WIDTH_IPV6, false, ret);
	case SELECT_IP6_DADDR:
		return select_address(packet, WIDTH_IPV6, true, ret);
	case SELECT_TCP_SPORT:
		return select_number(is_tcp(packet), packet->source_port, ret);
	case SELECT_TCP_DPORT:
		return select_number(is_tcp(packet), packet->destination_port, ret);
	case SELECT_TCP_FLAGS:
		return select_number(is_tcp(packet), packet->flags, ret);
	case SELECT_CT_STATE:
		return select_number(true, tracking->state, ret);
	case SELECT_CT_STATUS:
		return select_number(tracking->tracked, tracking->status, ret);
	case SELECT_CT_DIRECTION:
		return select_number(tracking->tracked, packet->answer, ret);
	case SELECT_CT_LABEL:
		return select_label(tracking, ret);
	case SELECT_FIB_DADDR_TYPE:
		return select_number(true, packet->route_type, ret);
	case SELECT_FIRST_BYTE:
		return select_data(packet, 0, 1, ret);
	case SELECT_FIRST_VERSION:
		return select_data(packet, 2, 1, ret);
	case SELECT_FIRST_BYTES:
		return select_data(packet, 0, 6, ret);
	case SELECT_COUNT:
		break;
	}
	abort();
}

/* --- terms --- */

static bool test_applies(const struct term *term, struct value selected)
{
	struct value masked = {selected.hi & term->mask.hi, selected.lo & term->mask.lo};
	bool none = value_compare(masked, value_zero()) == 0;

	switch (term->test) {
	case TEST_EQUAL:
		return value_compare(selected, term->value) == 0;
	case TEST_NOT_EQUAL:
		return value_compare(selected, term->value) != 0;
	case TEST_ANY_BIT:
		return !none;
	case TEST_NO_BIT:
		return none;
	case TEST_MASKED_EQUAL:
		return value_compare(masked, term->value) == 0;
	case TEST_AT_LEAST:
		return value_compare(selected, term->value) >= 0;
	}
	abort();
}

/* The index of the element that holds `value`, or SIZE_MAX. */
static size_t find_element(const struct intervals *list, struct value value)
{
	size_t low = 0;
	size_t high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct interval item = intervals_get(list, middle);

		if (value_compare(item.last, value) < 0)
			low = middle + 1;
		else if (value_compare(item.first, value) > 0)
			high = middle;
		else
			return middle;
	}
	return SIZE_MAX;
}

/* What one term says. */
enum answer { GO_ON, DOES_NOT_APPLY, DECIDED };

static enum answer unknown(struct step *step, const char *why)
{
	step->effect = EFFECT_UNKNOWN;
	step->why = why;
	return DECIDED;
}

static enum answer take_verdict(struct step *step, enum verdict verdict, const char *chain)
{
	static const enum effect effects[] = {[VERDICT_ACCEPT] = EFFECT_ACCEPT,
		[VERDICT_DROP] = EFFECT_DROP,
		[VERDICT_RETURN] = EFFECT_RETURN,
		[VERDICT_JUMP] = EFFECT_JUMP,
		[VERDICT_GOTO] = EFFECT_GOTO};

	step->effect = effects[verdict];
	step->target = verdict == VERDICT_JUMP || verdict == VERDICT_GOTO ? chain : NULL;
	return DECIDED;
}

static enum answer ask_set(const struct pass *pass, const struct term *term, struct step *step)
{
	const struct set *set = find_set(pass->evaluator, term->name);
	struct value value;

	if (!select_value(pass, term->selector, &value))
		return DOES_NOT_APPLY;
	if (!set || set->opaque || set->key != KEY_NONE || set->map != (term->kind == TERM_MAP))
		return unknown(step, "what is in the set that it asks");
	step->set = set;
	step->element = find_element(&set->elements, value);
	if (term->kind == TERM_LOOKUP)
		return (step->element != SIZE_MAX) != term->inverted ? GO_ON : DOES_NOT_APPLY;
	if (step->element == SIZE_MAX)
		return DOES_NOT_APPLY;
	return take_verdict(step, set->targets[step->element].verdict, set->targets[step->element].chain);
}

static void count_packet(struct trace *trace, const char *counter)
{
	static const char prefix[] = "refused_";
	enum reason reason =
		strncmp(counter, prefix, strlen(prefix)) == 0 ? reason_find(counter + strlen(prefix)) : REASON_NONE;

	if (reason != REASON_NONE)
		trace->reason = reason;
}

/* --- dynamic sets --- */

static bool element_key(const struct pass *pass, const struct term *term, struct element *ret)
{
	struct value address;

	if (!select_value(pass, term->selector, &address))
		return false;
	*ret = (struct element){.source = address};
	switch (term->key) {
	case KEY_NONE:
		return false;
	case KEY_SOURCE:
		if (value_compare(term->mask, value_zero()) != 0)
			ret->source = (struct value){address.hi & term->mask.hi, address.lo & term->mask.lo};
		return true;
	case KEY_SOURCE_REASON:
		ret->second = term->value.lo;
		return true;
	case KEY_FIRST_BYTE:
		ret->second = (uint64_t)pass->packet->source_port << 32 | pass->packet->sequence;
		return is_tcp(pass->packet);
	case KEY_NEXT_BYTE:
		ret->second = (uint64_t)pass->packet->destination_port << 32 | pass->packet->acknowledged;
		return is_tcp(pass->packet);
	}
	abort();
}

static struct element *known_element(struct evaluator *evaluator, const struct element *key)
{
	for (size_t i = 0; i < evaluator->element_count; i++) {
		struct element *element = &evaluator->elements[i];

		if (element->set == key->set && element->second == key->second &&
			value_compare(element->source, key->source) == 0)
			return element;
	}
	return NULL;
}

static struct element *add_element(struct evaluator *evaluator, const struct element *key)
{
	size_t held = 0;

	for (size_t i = 0; i < evaluator->element_count; i++)
		held += evaluator->elements[i].set == key->set;
	if (held >= key->set->size)
		return NULL;
	ARRAY_GROW(evaluator->elements, evaluator->element_count, evaluator->element_capacity);
	evaluator->elements[evaluator->element_count] = *key;
	return &evaluator->elements[evaluator->element_count++];
}

void evaluator_remember(
	struct evaluator *evaluator, const char *set, struct value source, uint64_t second, uint64_t count)
{
	struct element key = {.set = find_set(evaluator, set), .source = source, .second = second};
	struct element *element = key.set ? known_element(evaluator, &key) : NULL;

	if (key.set && !element)
		element = add_element(evaluator, &key);
	if (element)
		element->count = count;
}

/* What the set's meter says of one more. */
static bool meter_goes_on(const struct set *set, struct element *element, struct trace *trace)
{
	switch (set->meter) {
	case METER_NONE:
	case METER_COUNTER:
		return true;
	case METER_CONNECTIONS:
		trace->limited = true;
		return ++element->count > set->meter_limit;
	case METER_RATE:
		trace->limited = true;
		return ++element->count > set->meter_burst;
	}
	abort();
}

static enum answer use_element(const struct pass *pass, const struct term *term, struct step *step)
{
	struct element key;
	struct element *element;
	const struct set *set = find_set(pass->evaluator, term->name);

	if (!element_key(pass, term, &key))
		return DOES_NOT_APPLY;
	if (!set || set->opaque || set->key != (term->key == KEY_NEXT_BYTE ? KEY_FIRST_BYTE : term->key))
		return unknown(step, "what is in the set that it asks");
	key.set = set;
	element = known_element(pass->evaluator, &key);
	if (term->kind == TERM_KNOWN)
		return element ? GO_ON : DOES_NOT_APPLY;
	if (term->update == UPDATE_DELETE) {
		/* nft_dynset_eval() goes on whether or not it was there. */
		if (element)
			*element = pass->evaluator->elements[--pass->evaluator->element_count];
		return GO_ON;
	}
	if (!element)
		element = add_element(pass->evaluator, &key);
	if (!element)
		return DOES_NOT_APPLY;
	/* The element keeps what the rule counts, where the rule counts. */
	if (term->connections) {
		pass->trace->limited = true;
		return ++element->count > term->connections ? GO_ON : DOES_NOT_APPLY;
	}
	return meter_goes_on(set, element, pass->trace) ? GO_ON : DOES_NOT_APPLY;
}

/* --- rules and chains --- */

static enum answer take_term(struct pass *pass, const struct term *term, struct step *step)
{
	struct tracking *tracking = pass->tracking;
	struct value selected;

	switch (term->kind) {
	case TERM_TEST:
		return select_value(pass, term->selector, &selected) && test_applies(term, selected) ? GO_ON
												     : DOES_NOT_APPLY;
	case TERM_LOOKUP:
	case TERM_MAP:
		return ask_set(pass, term, step);
	case TERM_COUNTER:
		count_packet(pass->trace, term->name);
		return GO_ON;
	case TERM_VERDICT:
		return take_verdict(step, term->verdict, term->name);
	case TERM_REJECT_RESET:
		step->effect = EFFECT_RESET;
		return DECIDED;
	case TERM_SET_LABEL:
		/* Without an entry, or without room in it, nothing happens and the rule goes on. */
		if (tracking->tracked && tracking->labelled)
			tracking->label = (struct value){
				tracking->label.hi | term->value.hi, tracking->label.lo | term->value.lo};
		return GO_ON;
	case TERM_TURN_RESET:
		if (!is_tcp(pass->packet))
			return DOES_NOT_APPLY;
		pass->packet->flags = TCP_RST | TCP_ACK;
		step->effect = EFFECT_TURN;
		return GO_ON;
	case TERM_LIMIT: /* how much is told of, which changes nothing for the packet */
	case TERM_LOG:
		return GO_ON;
	case TERM_UPDATE:
	case TERM_KNOWN:
		return use_element(pass, term, step);
	}
	abort();
}

/* False: the rule does not apply. */
static bool take_rule(struct pass *pass, const struct rule *rule, struct step *step)
{
	if (rule->opaque) {
		unknown(step, "what this rule does");
		return true;
	}
	for (size_t i = 0; i < rule->term_count; i++) {
		switch (take_term(pass, &rule->terms[i], step)) {
		case GO_ON:
			break;
		case DOES_NOT_APPLY:
			return false;
		case DECIDED:
			return true;
		}
	}
	return true;
}

static enum fate end_of_base(const struct pass *pass, const struct chain *base)
{
	trace_step(pass->trace, &(struct step){.hook = pass->hook,
					.chain = base,
					.effect = base->drop_policy ? EFFECT_POLICY : EFFECT_PASSED});
	return base->drop_policy ? FATE_DROPPED : FATE_PASSES;
}

static enum fate follow(struct pass *pass, const struct chain *base)
{
	struct {
		const struct chain *chain;
		size_t next;
	} stack[NFT_JUMP_STACK_SIZE];
	const struct chain *chain = base;
	unsigned int depth = 0;
	size_t next = 0;

	for (unsigned int rules = 0; rules < RULES_AT_MOST; rules++) {
		if (next >= chain->rule_count) {
			if (depth == 0)
				return end_of_base(pass, base);
			chain = stack[--depth].chain;
			next = stack[depth].next;
			continue;
		}
		struct step step = {.hook = pass->hook,
			.chain = chain,
			.rule = &chain->rules[next],
			.index = next,
			.effect = EFFECT_NEXT};

		next++;
		if (!take_rule(pass, step.rule, &step))
			continue;
		const struct chain *target = step.target ? find_chain(pass->evaluator, step.target) : NULL;

		if ((step.effect == EFFECT_JUMP || step.effect == EFFECT_GOTO) && (!target || target->opaque))
			unknown(&step, "what is in the chain that it goes to");
		trace_step(pass->trace, &step);
		switch (step.effect) {
		case EFFECT_NEXT:
		case EFFECT_TURN:
			continue;
		case EFFECT_JUMP:
			if (depth == NFT_JUMP_STACK_SIZE)
				return FATE_DROPPED;
			stack[depth].chain = chain;
			stack[depth++].next = next;
			chain = target;
			next = 0;
			continue;
		case EFFECT_GOTO:
			chain = target;
			next = 0;
			continue;
		case EFFECT_RETURN:
			next = chain->rule_count;
			continue;
		case EFFECT_ACCEPT:
		case EFFECT_PASSED:
			return FATE_PASSES;
		case EFFECT_DROP:
		case EFFECT_POLICY:
			return FATE_DROPPED;
		case EFFECT_RESET:
			return FATE_RESET;
		case EFFECT_UNKNOWN:
			return FATE_UNKNOWN;
		}
	}
	return FATE_UNKNOWN;
}

enum fate evaluate_hook(struct evaluator *evaluator, enum hook hook, struct segment *packet, struct tracking *tracking,
	struct trace *trace)
{
	const struct ruleset *ruleset = evaluator->ruleset;
	struct pass pass = {evaluator, packet, tracking, trace, hook};

	if (!ruleset->present || ruleset->flags & TABLE_DORMANT)
		return FATE_PASSES;
	if (ruleset->flags & ~TABLE_FLAGS_KNOWN) {
		trace_step(trace,
			&(struct step){.hook = hook, .effect = EFFECT_UNKNOWN, .why = "what the table's flags mean"});
		return FATE_UNKNOWN;
	}
	/* At which hook it stands, and whether it translates addresses, is not in the model. */
	for (size_t i = 0; i < evaluator->base_count; i++)
		if (evaluator->bases[i]->opaque) {
			trace_step(trace, &(struct step){.hook = hook,
						  .chain = evaluator->bases[i],
						  .effect = EFFECT_UNKNOWN,
						  .why = "what this chain does"});
			return FATE_UNKNOWN;
		}
	for (size_t i = 0; i < evaluator->base_count; i++) {
		enum fate fate = FATE_PASSES;

		if (evaluator->bases[i]->hook == hook)
			fate = follow(&pass, evaluator->bases[i]);
		if (fate != FATE_PASSES)
			return fate;
	}
	return FATE_PASSES;
}
