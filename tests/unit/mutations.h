/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What can happen to a table behind our back, as changes to a copy of the ruleset that it should be (policy
 * "everything"). test_ruleset.c asks which differences are found, test_nft.c whether they are mended.
 */

#include "testing.h"

static inline struct set *mutable_set(struct ruleset *r, const char *name)
{
	return &r->sets[ruleset_set(r, name) - r->sets];
}

static inline struct chain *mutable_chain(struct ruleset *r, const char *name)
{
	return &r->chains[ruleset_chain(r, name) - r->chains];
}

static inline void delete_set(struct ruleset *r, const char *name)
{
	struct ruleset *rest = ruleset_new();
	struct set *set = mutable_set(r, name);

	/* Freed by way of a ruleset of its own. */
	ruleset_add_set(rest, "", WIDTH_PORT);
	free(rest->sets[0].name);
	rest->sets[0] = *set;
	memmove(set, set + 1, (size_t)(&r->sets[r->set_count] - set - 1) * sizeof(*set));
	r->set_count--;
	ruleset_free(rest);
}

static inline void delete_chain(struct ruleset *r, const char *name)
{
	struct ruleset *rest = ruleset_new();
	struct chain *chain = mutable_chain(r, name);

	ruleset_add_chain(rest, "");
	free(rest->chains[0].name);
	rest->chains[0] = *chain;
	memmove(chain, chain + 1, (size_t)(&r->chains[r->chain_count] - chain - 1) * sizeof(*chain));
	r->chain_count--;
	ruleset_free(rest);
}

static inline struct rule *insert_rule(struct chain *chain, size_t at)
{
	struct rule *last = chain_add_rule(chain);

	memmove(&chain->rules[at + 1], &chain->rules[at], (size_t)(last - &chain->rules[at]) * sizeof(*last));
	chain->rules[at] = (struct rule){0};
	return &chain->rules[at];
}

static inline void delete_rule(struct chain *chain, size_t at)
{
	rule_done(&chain->rules[at]);
	memmove(&chain->rules[at], &chain->rules[at + 1], (--chain->rule_count - at) * sizeof(*chain->rules));
}

static inline void add_verdict_term(struct rule *rule, enum verdict verdict, const char *chain)
{
	rule_add_term(rule, &(struct term){.kind = TERM_VERDICT, .verdict = verdict}, chain);
}

static inline struct interval ip_interval(const char *text)
{
	struct interval item = {0};
	char why[INTERVAL_WHY];
	enum width width;

	assert_int_equal(interval_parse(text, &width, &item, why), 0);
	return item;
}

/* "10.0.0.0/8 10.1.2.3-10.1.2.9" instead of what a set held. */
static inline void refill(struct set *set, const char *text)
{
	_cleanup_free_ char *copy = mem_string(text);
	char *rest = copy;

	intervals_done(&set->elements);
	for (char *word; (word = strsep(&rest, " "));)
		if (*word)
			intervals_add(&set->elements, ip_interval(word));
}

static inline void mutate_nothing(struct ruleset *r)
{
	(void)r;
}

static inline void mutate_dormant(struct ruleset *r)
{
	r->flags = TABLE_DORMANT;
}

/* A watch owns it, or owned it: no difference. */
static inline void mutate_owned(struct ruleset *r)
{
	r->flags = TABLE_OWNED;
	r->owner = 4711;
}

static inline void mutate_left(struct ruleset *r)
{
	r->flags = TABLE_PERSIST;
}

/* It will be gone with its owner. */
static inline void mutate_owned_only(struct ruleset *r)
{
	r->flags = TABLE_OWNER;
	r->owner = 4711;
}

static inline void mutate_left_dormant(struct ruleset *r)
{
	r->flags = TABLE_PERSIST | TABLE_DORMANT;
}

/* Flags that nobody knows. */
static inline void mutate_strange_flags(struct ruleset *r)
{
	r->flags = TABLE_OWNED | 0x50;
}

static inline void mutate_counter_gone(struct ruleset *r)
{
	/* With the rules that count in it, since the kernel keeps what is referred to. */
	for (size_t i = 0; i < r->counter_count; i++)
		if (strcmp(r->counters[i].name, "refused_loopback") == 0) {
			free(r->counters[i].name);
			free(r->counters[i].comment);
			r->counters[i] = r->counters[--r->counter_count];
		}
	delete_rule(mutable_chain(r, "refuse_loopback"), mutable_chain(r, "refuse_loopback")->rule_count - 1);
}

static inline void mutate_counter_extra(struct ruleset *r)
{
	ruleset_add_counter(r, "more");
}

static inline void mutate_counter_referred(struct ruleset *r)
{
	ruleset_add_counter(r, "more");
	rule_add_term(insert_rule(mutable_chain(r, "tls"), 0), &(struct term){.kind = TERM_COUNTER}, "more");
}

static inline void mutate_set_gone(struct ruleset *r)
{
	delete_rule(mutable_chain(r, "clients"), 0);
	delete_set(r, "clients_v4");
}

static inline void mutate_set_extra(struct ruleset *r)
{
	ruleset_add_set(r, "more", WIDTH_IPV4);
}

/* A set that must go, in a chain that stays and a rule that must go as well. */
static inline void mutate_set_extra_referred(struct ruleset *r)
{
	ruleset_add_set(r, "more", WIDTH_IPV4);
	rule_add_term(insert_rule(mutable_chain(r, "judge"), 1),
		&(struct term){.kind = TERM_LOOKUP, .selector = SELECT_IP_SADDR}, "more");
	add_verdict_term(&mutable_chain(r, "judge")->rules[1], VERDICT_ACCEPT, NULL);
}

/* The chain that looks it up must be emptied, although it does not differ. */
static inline void mutate_set_shape(struct ruleset *r)
{
	struct set *set = mutable_set(r, "clients_v4");

	set->interval = false;
	refill(set, "10.20.0.1 10.20.0.2");
}

static inline void mutate_set_width(struct ruleset *r)
{
	delete_set(r, "bind_v6");
	ruleset_add_set(r, "bind_v6", WIDTH_IPV4)->interval = true;
}

static inline void mutate_set_opaque(struct ruleset *r)
{
	mutable_set(r, "clients_v4")->opaque = mem_string("key type 7 of 4 bytes, flags 0x14, with a timeout");
}

static inline void mutate_map_to_set(struct ruleset *r)
{
	struct set *set = mutable_set(r, "services");

	for (size_t i = 0; i < set->elements.count; i++)
		free(set->targets[i].chain);
	free(set->targets);
	set->targets = NULL;
	set->target_capacity = 0;
	set->map = false;
	/* Nothing can look up a verdict in it. */
	delete_rule(mutable_chain(r, "judge"), 3);
}

static inline void mutate_irregular(struct ruleset *r)
{
	mutable_set(r, "clients_v4")->irregular = true;
}

static inline void mutate_irregular_and_more(struct ruleset *r)
{
	mutable_set(r, "clients_v4")->irregular = true;
	refill(mutable_set(r, "clients_v4"), "10.0.0.0/8");
}

static inline void mutate_elements_gone(struct ruleset *r)
{
	refill(mutable_set(r, "clients_v4"), "10.20.0.0/24 10.30.7.0/24");
}

static inline void mutate_elements_all_gone(struct ruleset *r)
{
	refill(mutable_set(r, "clients_v4"), "");
}

static inline void mutate_elements_added(struct ruleset *r)
{
	refill(mutable_set(r, "clients_v4"), "10.20.0.0/24 10.20.1.10-10.20.1.20 10.30.7.0/24 192.168.0.0/16");
}

static inline void mutate_elements_widened(struct ruleset *r)
{
	refill(mutable_set(r, "clients_v4"), "10.20.0.0/16 10.30.7.0/24");
}

static inline void mutate_elements_everybody(struct ruleset *r)
{
	refill(mutable_set(r, "clients_v4"), "0.0.0.0/0");
}

static inline void mutate_elements_halves(struct ruleset *r)
{
	refill(mutable_set(r, "clients_v4"), "0.0.0.0/1 128.0.0.0/1");
}

static inline void mutate_elements_split(struct ruleset *r)
{
	refill(mutable_set(r, "clients_v4"),
		"10.20.0.0/25 10.20.0.128/25 10.20.1.10-10.20.1.15 10.20.1.16-10.20.1.20 10.30.7.0/24");
}

static inline void mutate_elements_moved_border(struct ruleset *r)
{
	refill(mutable_set(r, "clients_v4"), "10.20.0.0/25 10.20.0.128-10.20.1.0 10.20.1.10-10.20.1.20 10.30.7.0/24");
}

static inline void mutate_elements_adjacent(struct ruleset *r)
{
	refill(mutable_set(r, "clients_v4"), "10.20.0.0/24 10.20.1.0-10.20.1.9 10.20.1.10-10.20.1.20 10.30.7.0/24");
}

static inline void mutate_elements_ipv6(struct ruleset *r)
{
	refill(mutable_set(r, "clients_v6"), "::1 2001:db8:20::/63");
}

static inline void mutate_port_added(struct ruleset *r)
{
	intervals_add(&mutable_set(r, "guarded_ports")->elements, (struct interval){{0, 22}, {0, 22}, 0});
	intervals_sort(&mutable_set(r, "guarded_ports")->elements);
}

static inline void mutate_target(struct ruleset *r)
{
	struct set *set = mutable_set(r, "services");

	free(set->targets[1].chain);
	set->targets[1].chain = mem_string("memcached");
}

static inline void mutate_target_accept(struct ruleset *r)
{
	struct set *set = mutable_set(r, "services");

	free(set->targets[0].chain);
	set->targets[0] = (struct target){.verdict = VERDICT_ACCEPT};
}

static inline void mutate_target_key(struct ruleset *r)
{
	intervals_set(&mutable_set(r, "services")->elements, 0, (struct interval){{0, 22}, {0, 22}, 0});
}

static inline void mutate_target_extra(struct ruleset *r)
{
	set_add_target(mutable_set(r, "services"), (struct interval){{0, 65535}, {0, 65535}, 0}, VERDICT_DROP, NULL);
}

/* The map must be emptied before the chain that it leads to can go. */
static inline void mutate_target_chain(struct ruleset *r)
{
	ruleset_add_chain(r, "more");
	mutate_target(r);
	free(mutable_set(r, "services")->targets[1].chain);
	mutable_set(r, "services")->targets[1].chain = mem_string("more");
}

static inline void mutate_chain_gone(struct ruleset *r)
{
	delete_chain(r, "forward");
}

static inline void mutate_chain_extra(struct ruleset *r)
{
	struct chain *chain = ruleset_add_chain(r, "more");

	add_verdict_term(chain_add_rule(chain), VERDICT_ACCEPT, NULL);
}

static inline void mutate_chain_extra_referred(struct ruleset *r)
{
	mutate_chain_extra(r);
	add_verdict_term(insert_rule(mutable_chain(r, "tls"), 0), VERDICT_JUMP, "more");
}

static inline void mutate_chain_extra_hook(struct ruleset *r)
{
	struct chain *chain = ruleset_add_chain(r, "early");

	chain->base = true;
	chain->hook = HOOK_PREROUTING;
	chain->priority = -400;
	chain->drop_policy = true;
}

static inline void mutate_hook(struct ruleset *r)
{
	mutable_chain(r, "prerouting")->hook = HOOK_OUTPUT;
}

static inline void mutate_priority(struct ruleset *r)
{
	mutable_chain(r, "prerouting")->priority = 300;
}

static inline void mutate_policy(struct ruleset *r)
{
	mutable_chain(r, "input")->drop_policy = true;
}

static inline void mutate_policy_and_rule(struct ruleset *r)
{
	mutable_chain(r, "input")->drop_policy = true;
	add_verdict_term(insert_rule(mutable_chain(r, "input"), 1), VERDICT_ACCEPT, NULL);
}

/* A chain of ours that has become a hook of its own: whoever jumps to it must let go. */
static inline void mutate_chain_to_base(struct ruleset *r)
{
	struct chain *chain = mutable_chain(r, "judge");

	chain->base = true;
	chain->hook = HOOK_INPUT;
	chain->priority = 5;
}

static inline void mutate_chain_opaque(struct ruleset *r)
{
	mutable_chain(r, "input")->opaque = mem_string("chain of type nat: 1=00000001 2=00000000");
}

static inline void mutate_rule_first(struct ruleset *r)
{
	add_verdict_term(insert_rule(mutable_chain(r, "clients"), 0), VERDICT_ACCEPT, NULL);
}

static inline void mutate_rule_before_label(struct ruleset *r)
{
	add_verdict_term(insert_rule(mutable_chain(r, "prerouting"), 0), VERDICT_ACCEPT, NULL);
}

static inline void mutate_rule_middle(struct ruleset *r)
{
	add_verdict_term(insert_rule(mutable_chain(r, "clients"), 1), VERDICT_RETURN, NULL);
}

static inline void mutate_rule_last(struct ruleset *r)
{
	struct chain *chain = mutable_chain(r, "clients");

	add_verdict_term(insert_rule(chain, chain->rule_count), VERDICT_ACCEPT, NULL);
}

static inline void mutate_rule_gone(struct ruleset *r)
{
	delete_rule(mutable_chain(r, "clients"), 2);
}

static inline void mutate_rule_label_gone(struct ruleset *r)
{
	delete_rule(mutable_chain(r, "prerouting"), 0);
}

static inline void mutate_rules_gone(struct ruleset *r)
{
	for (size_t i = 0; i < r->chain_count; i++)
		while (r->chains[i].rule_count)
			delete_rule(&r->chains[i], 0);
}

static inline void mutate_rule_moved(struct ruleset *r)
{
	struct chain *chain = mutable_chain(r, "clients");
	struct rule last = chain->rules[2];

	chain->rules[2] = chain->rules[1];
	chain->rules[1] = chain->rules[0];
	chain->rules[0] = last;
}

static inline void mutate_rules_swapped(struct ruleset *r)
{
	struct chain *chain = mutable_chain(r, "judge");
	struct rule first = chain->rules[2];

	chain->rules[2] = chain->rules[3];
	chain->rules[3] = first;
}

static inline void mutate_rule_edited(struct ruleset *r)
{
	struct rule *rule = &mutable_chain(r, "clients")->rules[2];

	rule_done(rule);
	add_verdict_term(rule, VERDICT_ACCEPT, NULL);
}

static inline void mutate_rule_mask(struct ruleset *r)
{
	mutable_chain(r, "judge")->rules[2].terms[0].mask.lo = 1;
}

static inline void mutate_rule_inverted(struct ruleset *r)
{
	mutable_chain(r, "clients")->rules[0].terms[1].inverted = true;
}

static inline void mutate_rule_doubled(struct ruleset *r)
{
	struct rule *rule = insert_rule(mutable_chain(r, "judge"), 3);
	const struct rule *first = &mutable_chain(r, "judge")->rules[2];

	for (size_t i = 0; i < first->term_count; i++)
		rule_add_term(rule, &first->terms[i], first->terms[i].name);
}

static inline void mutate_rule_opaque(struct ruleset *r)
{
	struct rule *rule = insert_rule(mutable_chain(r, "judge"), 0);

	rule->opaque = mem_string("limit(1=0000000000000001) accept");
}

static inline void mutate_rule_became_opaque(struct ruleset *r)
{
	struct rule *rule = &mutable_chain(r, "judge")->rules[2];

	rule_done(rule);
	rule->opaque = mem_string("ct state invalid,untracked counter name \"refused_state\" log() drop");
}

/* The first term of a kind, in any chain. */
static inline struct term *mutable_term(struct ruleset *r, enum term_kind kind)
{
	for (size_t c = 0; c < r->chain_count; c++)
		for (size_t i = 0; i < r->chains[c].rule_count; i++)
			for (size_t t = 0; t < r->chains[c].rules[i].term_count; t++)
				if (r->chains[c].rules[i].terms[t].kind == kind)
					return &r->chains[c].rules[i].terms[t];
	abort();
}

static inline void mutate_label_bit(struct ruleset *r)
{
	mutable_term(r, TERM_SET_LABEL)->value = (struct value){0, 1};
}

static inline void mutate_hello(struct ruleset *r)
{
	mutable_chain(r, "gate_judge")->rules[0].terms[0].value.lo ^= 1;
}

static inline void mutate_hello_mask(struct ruleset *r)
{
	mutable_chain(r, "gate_judge")->rules[0].terms[0].mask.lo = 0xff0000000000;
	mutable_chain(r, "gate_judge")->rules[0].terms[0].value.lo = 0x160000000000;
}

static inline void mutate_log_group(struct ruleset *r)
{
	mutable_term(r, TERM_LOG)->value.lo++;
}

static inline void mutate_log_prefix(struct ruleset *r)
{
	free(mutable_term(r, TERM_LOG)->name);
	mutable_term(r, TERM_LOG)->name = mem_string("dflyguard nothing");
}

static inline void mutate_log_length(struct ruleset *r)
{
	mutable_term(r, TERM_LOG)->mask.lo = 0;
}

static inline void mutate_log_rate(struct ruleset *r)
{
	mutable_term(r, TERM_LIMIT)->value.lo = 1;
}

static inline void mutate_log_burst(struct ruleset *r)
{
	mutable_term(r, TERM_LIMIT)->mask.lo = 5;
}

static inline void mutate_turn_gone(struct ruleset *r)
{
	struct chain *chain = mutable_chain(r, "refuse_plaintext");

	delete_rule(chain, chain->rule_count - 1);
}

static inline void mutate_update(struct ruleset *r)
{
	mutable_chain(r, "gate_clear")->rules[1].terms[2].update = UPDATE_ADD;
}

static inline void mutate_update_reason(struct ruleset *r)
{
	mutable_chain(r, "refuse_source")->rules[0].terms[1].value.lo = REASON_STATE;
}

static inline void mutate_limit_mask(struct ruleset *r)
{
	mutable_chain(r, "admit")->rules[2].terms[1].mask = (struct value){UINT64_MAX << 16, 0};
}

static inline void mutate_limit_whole(struct ruleset *r)
{
	mutable_chain(r, "admit")->rules[2].terms[1].mask = value_zero();
}

static inline void mutate_known_set(struct ruleset *r)
{
	free(mutable_term(r, TERM_KNOWN)->name);
	mutable_term(r, TERM_KNOWN)->name = mem_string("refused_v4");
}

static inline void mutate_meter_limit(struct ruleset *r)
{
	mutable_set(r, "new_connections_v4")->meter_limit = 1000000;
}

static inline void mutate_meter_burst(struct ruleset *r)
{
	mutable_set(r, "new_connections_v6")->meter_burst *= 2;
}

static inline void mutate_meter(struct ruleset *r)
{
	mutable_set(r, "refused_v4")->meter = METER_NONE;
}

static inline void mutate_dynamic_size(struct ruleset *r)
{
	mutable_set(r, "unjudged_v4")->size = 1;
}

static inline void mutate_dynamic_timeout(struct ruleset *r)
{
	mutable_set(r, "refused_v6")->timeout = 1000;
}

static inline void mutate_dynamic_key(struct ruleset *r)
{
	mutable_set(r, "unjudged_v6")->key = KEY_SOURCE_REASON;
}

static inline void mutate_bans_size(struct ruleset *r)
{
	mutable_set(r, "banned_v4")->size = 16;
}

static inline void mutate_bans_for_ever(struct ruleset *r)
{
	mutable_set(r, "banned_v6")->timeout = 0;
	mutable_set(r, "banned_v6")->size = 0;
}

static inline void mutate_dynamic_static(struct ruleset *r)
{
	struct set *set = mutable_set(r, "connections_over_256_v4");

	set->key = KEY_NONE;
	set->size = 0;
	set->meter = METER_NONE;
	set->meter_limit = 0;
}

static inline void mutate_dynamic_gone(struct ruleset *r)
{
	delete_rule(mutable_chain(r, "admit"), 3);
	delete_set(r, "connections_over_256_v4");
}

static inline void mutate_comments(struct ruleset *r)
{
	free(r->comment);
	r->comment = mem_string("something else");
	free(r->counters[0].comment);
	r->counters[0].comment = NULL;
	free(mutable_set(r, "clients_v4")->comment);
	mutable_set(r, "clients_v4")->comment = mem_string("everybody");
	free(mutable_chain(r, "judge")->comment);
	mutable_chain(r, "judge")->comment = mem_string("no judge");
	free(mutable_chain(r, "judge")->rules[2].comment);
	mutable_chain(r, "judge")->rules[2].comment = mem_string("accepts all");
}

static inline void relabel(struct ruleset *r, const char *environment, uint64_t since)
{
	struct rule *rule = &mutable_chain(r, "prerouting")->rules[0];

	free(rule->comment);
	rule->comment = environment ? ruleset_label(environment, since) : NULL;
}

static inline void mutate_since(struct ruleset *r)
{
	relabel(r, "production", 1);
}

static inline void mutate_environment(struct ruleset *r)
{
	relabel(r, "staging", GOLDEN_SINCE);
}

static inline void mutate_no_environment(struct ruleset *r)
{
	relabel(r, NULL, 0);
}

static inline void mutate_others(struct ruleset *r)
{
	ruleset_add_other(r, OTHER_FLOWTABLE, "fast")->opaque =
		mem_string("flowtable: packets of its connections pass by all chains");
	struct other *other = ruleset_add_other(r, OTHER_OBJECT, "few");

	other->type = 4;
	other->opaque = mem_string("object of type 4: 1=0000000000000003");
}

static inline void mutate_everything(struct ruleset *r)
{
	mutate_dormant(r);
	mutate_counter_extra(r);
	mutate_set_extra_referred(r);
	mutate_elements_widened(r);
	mutate_elements_ipv6(r);
	mutate_port_added(r);
	mutate_target_accept(r);
	mutate_chain_extra_hook(r);
	mutate_priority(r);
	mutate_policy_and_rule(r);
	mutate_rule_doubled(r);
	delete_rule(mutable_chain(r, "admins"), 1);
	mutate_environment(r);
	mutate_comments(r);
}

static inline void mutate_ten_thousand(struct ruleset *r)
{
	struct chain *chain = mutable_chain(r, "judge");

	for (unsigned int i = 0; i < 10000; i++)
		add_verdict_term(insert_rule(chain, 1), i % 2 ? VERDICT_ACCEPT : VERDICT_DROP, NULL);
}

static const struct mutation {
	const char *name;
	void (*mutate)(struct ruleset *r);
	bool model_only; /* what cannot be said in the model cannot be encoded */
	bool equal;	 /* no difference */
	bool long_list;	 /* too long for a golden text */
} mutations[] = {
	{.name = "nothing", .mutate = mutate_nothing, .equal = true},
	{.name = "dormant", .mutate = mutate_dormant},
	{.name = "owned", .mutate = mutate_owned, .model_only = true, .equal = true},
	{.name = "left by its owner", .mutate = mutate_left, .equal = true},
	{.name = "owned, and gone with its owner", .mutate = mutate_owned_only, .model_only = true},
	{.name = "left by its owner, dormant", .mutate = mutate_left_dormant, .model_only = true},
	{.name = "flags of tomorrow", .mutate = mutate_strange_flags, .model_only = true},
	{.name = "counter gone", .mutate = mutate_counter_gone},
	{.name = "counter extra", .mutate = mutate_counter_extra},
	{.name = "counter extra, referred to", .mutate = mutate_counter_referred},
	{.name = "set gone", .mutate = mutate_set_gone},
	{.name = "set extra", .mutate = mutate_set_extra},
	{.name = "set extra, referred to", .mutate = mutate_set_extra_referred},
	{.name = "set of another shape", .mutate = mutate_set_shape},
	{.name = "set of another width", .mutate = mutate_set_width, .model_only = true},
	{.name = "set opaque", .mutate = mutate_set_opaque, .model_only = true},
	{.name = "map became a set", .mutate = mutate_map_to_set},
	{.name = "set irregular, same coverage", .mutate = mutate_irregular, .model_only = true, .equal = true},
	{.name = "set irregular and wider", .mutate = mutate_irregular_and_more, .model_only = true},
	{.name = "element gone", .mutate = mutate_elements_gone},
	{.name = "all elements gone", .mutate = mutate_elements_all_gone},
	{.name = "element added", .mutate = mutate_elements_added},
	{.name = "element widened", .mutate = mutate_elements_widened},
	{.name = "element 0.0.0.0/0", .mutate = mutate_elements_everybody},
	{.name = "element 0.0.0.0/0 as two halves", .mutate = mutate_elements_halves},
	{.name = "elements split", .mutate = mutate_elements_split, .equal = true},
	{.name = "elements split and one wider", .mutate = mutate_elements_moved_border},
	{.name = "element added between two", .mutate = mutate_elements_adjacent},
	{.name = "elements of IPv6", .mutate = mutate_elements_ipv6},
	{.name = "port added", .mutate = mutate_port_added},
	{.name = "target of a map", .mutate = mutate_target},
	{.name = "target of a map accepts", .mutate = mutate_target_accept},
	{.name = "key of a map", .mutate = mutate_target_key},
	{.name = "bans: room for fewer", .mutate = mutate_bans_size},
	{.name = "bans: for ever", .mutate = mutate_bans_for_ever},
	{.name = "element of a map extra", .mutate = mutate_target_extra},
	{.name = "target of a map is an extra chain", .mutate = mutate_target_chain},
	{.name = "chain gone", .mutate = mutate_chain_gone},
	{.name = "chain extra", .mutate = mutate_chain_extra},
	{.name = "chain extra, referred to", .mutate = mutate_chain_extra_referred},
	{.name = "hook extra", .mutate = mutate_chain_extra_hook},
	{.name = "chain at another hook", .mutate = mutate_hook},
	{.name = "chain of another priority", .mutate = mutate_priority},
	{.name = "chain of another policy", .mutate = mutate_policy},
	{.name = "chain of another policy, with a rule", .mutate = mutate_policy_and_rule},
	{.name = "chain became a hook", .mutate = mutate_chain_to_base, .model_only = true},
	{.name = "chain opaque", .mutate = mutate_chain_opaque, .model_only = true},
	{.name = "rule first", .mutate = mutate_rule_first},
	{.name = "rule before the label", .mutate = mutate_rule_before_label},
	{.name = "rule in the middle", .mutate = mutate_rule_middle},
	{.name = "rule last", .mutate = mutate_rule_last},
	{.name = "rule gone", .mutate = mutate_rule_gone},
	{.name = "rule with the label gone", .mutate = mutate_rule_label_gone},
	{.name = "all rules gone", .mutate = mutate_rules_gone},
	{.name = "rule moved", .mutate = mutate_rule_moved},
	{.name = "rules swapped", .mutate = mutate_rules_swapped},
	{.name = "rule edited", .mutate = mutate_rule_edited},
	{.name = "rule with another mask", .mutate = mutate_rule_mask},
	{.name = "rule inverted", .mutate = mutate_rule_inverted},
	{.name = "rule doubled", .mutate = mutate_rule_doubled},
	{.name = "rule opaque", .mutate = mutate_rule_opaque, .model_only = true},
	{.name = "rule became opaque", .mutate = mutate_rule_became_opaque, .model_only = true},
	{.name = "label: another bit", .mutate = mutate_label_bit},
	{.name = "first bytes: another value", .mutate = mutate_hello},
	{.name = "first bytes: a wider mask", .mutate = mutate_hello_mask},
	{.name = "log: another group", .mutate = mutate_log_group},
	{.name = "log: another prefix", .mutate = mutate_log_prefix},
	{.name = "log: whole packets", .mutate = mutate_log_length},
	{.name = "log: another rate", .mutate = mutate_log_rate},
	{.name = "log: another burst", .mutate = mutate_log_burst},
	{.name = "the server's reset is gone", .mutate = mutate_turn_gone},
	{.name = "update: adds what it should delete", .mutate = mutate_update},
	{.name = "update: another reason", .mutate = mutate_update_reason},
	{.name = "limit: a wider prefix", .mutate = mutate_limit_mask},
	{.name = "limit: whole addresses", .mutate = mutate_limit_whole},
	{.name = "known: in another set", .mutate = mutate_known_set},
	{.name = "meter: another limit", .mutate = mutate_meter_limit},
	{.name = "meter: another burst", .mutate = mutate_meter_burst},
	{.name = "meter: none", .mutate = mutate_meter},
	{.name = "dynamic set: another size", .mutate = mutate_dynamic_size},
	{.name = "dynamic set: another timeout", .mutate = mutate_dynamic_timeout},
	{.name = "dynamic set: another key", .mutate = mutate_dynamic_key},
	{.name = "dynamic set: not dynamic", .mutate = mutate_dynamic_static},
	{.name = "dynamic set: gone", .mutate = mutate_dynamic_gone},
	{.name = "comments", .mutate = mutate_comments, .equal = true},
	{.name = "since", .mutate = mutate_since, .equal = true},
	{.name = "another environment", .mutate = mutate_environment},
	{.name = "no environment", .mutate = mutate_no_environment},
	{.name = "objects that have no words", .mutate = mutate_others, .model_only = true},
	{.name = "everything at once", .mutate = mutate_everything},
	{.name = "ten thousand rules", .mutate = mutate_ten_thousand, .long_list = true},
};

static inline void apply_mutation(const struct mutation *mutation, struct ruleset *r)
{
	mutation->mutate(r);
	/* The label is where the rules say. */
	free(r->environment);
	r->environment = NULL;
	r->since = 0;
	ruleset_unlabel(r);
}
