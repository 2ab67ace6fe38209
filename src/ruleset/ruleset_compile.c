/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * From a policy to the table. What a packet meets:
 *
 *   prerouting (before dstnat) -> arriving:   addressed to this host, with the port that the outside sees
 *   input, forward (after dstnat) -> translated, forwarded: the second look, with the port that it was translated to
 *   arriving, translated, forwarded -> judge -> plaintext | tls | admin | memcached -> clients | admins | ... -> gate
 *   and from any of them -> refuse_REASON
 *
 * A chain that comes to its end, or returns, has nothing against the packet; other tables may still have.
 */

#include <string.h>

#include "ruleset_private.h"

/* include/uapi/linux/netfilter_ipv4.h: NF_IP_PRI_MANGLE comes after conntrack (-200) and before dstnat (-100). */
#define PRIORITY_MANGLE (-150)
#define PRIORITY_FILTER 0

static struct chain *add_base_chain(
	struct compiler *c, const char *name, enum hook hook, int priority, const char *comment)
{
	struct chain *chain = add_chain(c, name, c->environment->origin, comment);

	chain->base = true;
	chain->hook = hook;
	chain->priority = priority;
	return chain;
}

/* All of them, also those that this policy never counts: their names are what monitoring knows. */
static void add_counters(struct compiler *c)
{
	for (unsigned int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
		_cleanup_free_ char *name = mem_format("refused_%s", reason_name(i));
		struct counter *counter = ruleset_add_counter(c->ruleset, name);

		counter->comment = mem_string(reason_text(i));
		counter->origin = c->environment->origin;
	}
}

static void add_port(struct set *set, uint16_t port, uint32_t origin)
{
	struct interval item = {{0, port}, {0, port}, origin};

	if (port)
		intervals_add(&set->elements, item);
}

static struct set *add_port_set(struct compiler *c, const char *name, const char *comment)
{
	struct set *set = ruleset_add_set(c->ruleset, name, WIDTH_PORT);

	set->comment = mem_string(comment);
	set->origin = c->policy->service.origin;
	return set;
}

/* --- chains --- */

static void add_plaintext(struct compiler *c)
{
	const struct environment *e = c->environment;
	struct chain *chain =
		add_chain(c, "plaintext", c->policy->service.port_origin, "the port where the server speaks plaintext");

	add_jump(chain, VERDICT_JUMP, "clients", e->clients.origin);
	if (e->tls == TLS_REQUIRED)
		add_refusal(c,
			add_rule(chain, e->tls_origin ? e->tls_origin : e->origin,
				"closed: the policy says tls = required"),
			REASON_CLOSED);
	else
		add_limits(c, chain);
}

static void add_tls(struct compiler *c)
{
	const struct environment *e = c->environment;
	struct chain *chain =
		add_chain(c, "tls", c->policy->service.tls_port_origin, "the port where the server speaks TLS");

	add_jump(chain, VERDICT_JUMP, "clients", e->clients.origin);
	if (e->tls == TLS_OFF)
		add_refusal(c, add_rule(chain, e->tls_origin, "closed: the policy says tls = off"), REASON_CLOSED);
	else
		add_gate(c, chain, e->tls_origin);
}

/* A list that is not written is nobody, and the environment is to blame. */
static uint32_t list_origin(const struct compiler *c, const struct source_list *list)
{
	return list->origin ? list->origin : c->environment->origin;
}

static void add_admin(struct compiler *c)
{
	const struct environment *e = c->environment;
	struct chain *chain = add_chain(c, "admin", c->policy->service.admin_port_origin, "the admin port");

	add_jump(chain, VERDICT_JUMP, "admins", list_origin(c, &e->admins));
	if (e->admin_tls == ADMIN_TLS_REQUIRED)
		add_gate(c, chain, e->admin_tls_origin);
	else
		add_limits(c, chain);
}

static void add_memcached(struct compiler *c)
{
	const struct environment *e = c->environment;
	struct chain *chain = add_chain(c, "memcached", c->policy->service.memcached_port_origin,
		"the memcached port, which asks for no password");

	add_jump(chain, VERDICT_JUMP, "memcached_clients", list_origin(c, &e->memcached_clients));
	if (e->tls == TLS_REQUIRED)
		add_gate(c, chain, e->tls_origin);
	else
		add_limits(c, chain);
}

static void add_services(struct compiler *c)
{
	const struct service *s = &c->policy->service;
	const struct {
		uint16_t port;
		uint32_t origin;
		const char *chain;
	} all[] = {
		{s->port == s->tls_port ? 0 : s->port, s->port_origin, "plaintext"},
		{s->tls_port, s->tls_port_origin, "tls"},
		{s->admin_port, s->admin_port_origin, "admin"},
		{s->memcached_port, s->memcached_port_origin, "memcached"},
	};
	struct set *services = add_port_set(c, "services", "which chain judges which port");
	uint32_t previous = 0;

	services->map = true;
	/* A map's elements are added in ascending order; four of them need no sorting machinery. */
	for (size_t round = 0; round < ARRAY_SIZE(all); round++) {
		size_t next = ARRAY_SIZE(all);

		for (size_t i = 0; i < ARRAY_SIZE(all); i++)
			if (all[i].port > previous && (next == ARRAY_SIZE(all) || all[i].port < all[next].port))
				next = i;
		if (next == ARRAY_SIZE(all))
			break;
		previous = all[next].port;
		set_add_target(services, (struct interval){{0, previous}, {0, previous}, all[next].origin},
			VERDICT_GOTO, all[next].chain);
	}
}

/*
 * The set that every packet is asked for first, and the last one to be filled. Newer kernels (seen on 6.18) switch to a
 * transaction's rules first and show the new contents of interval sets a moment later, one set after the other. Until
 * then a set that is new is empty, and a guard that asks it refuses everybody. This one is an interval set because of
 * that, and stands last: as long as it is empty too, no packet is asked anything.
 */
static void add_guarded_ports(struct compiler *c)
{
	const struct service *s = &c->policy->service;
	struct set *set = add_port_set(c, GUARDED_PORTS, "the ports that the policy names");

	set->interval = true;
	add_port(set, s->port, s->port_origin);
	if (s->tls_port != s->port)
		add_port(set, s->tls_port, s->tls_port_origin);
	add_port(set, s->admin_port, s->admin_port_origin);
	add_port(set, s->memcached_port, s->memcached_port_origin);
	intervals_merge(&set->elements, NULL, NULL);
}

/* What stays open to this host with loopback = tls. */
static void add_loopback_ports(struct compiler *c)
{
	const struct service *s = &c->policy->service;
	const struct environment *e = c->environment;
	struct set *set;

	if (e->loopback != LOOPBACK_TLS || !c->gate)
		return;
	set = add_port_set(c, "loopback_ports", "where this host may connect: TLS is spoken there");
	set->origin = e->loopback_origin;
	if (e->tls != TLS_OFF)
		add_port(set, s->tls_port, e->loopback_origin);
	if (e->admin_tls == ADMIN_TLS_REQUIRED)
		add_port(set, s->admin_port, e->loopback_origin);
	if (e->tls == TLS_REQUIRED)
		add_port(set, s->memcached_port, e->loopback_origin);
	intervals_sort(&set->elements);
}

static void add_loopback(struct compiler *c, struct chain *chain)
{
	const struct environment *e = c->environment;
	uint32_t origin = e->loopback_origin ? e->loopback_origin : e->origin;
	struct rule *rule;

	/* Where TLS is spoken nowhere, `tls` is as good as `deny`. */
	if (e->loopback == LOOPBACK_ALLOW || (e->loopback == LOOPBACK_TLS && c->gate)) {
		rule = add_rule(chain, origin, "this host");
		add_test(rule, SELECT_IIF, TEST_EQUAL, INTERFACE_LOOPBACK);
		if (e->loopback == LOOPBACK_TLS) {
			add_lookup(rule, TERM_LOOKUP, SELECT_TCP_DPORT, "loopback_ports");
			add_verdict(rule, VERDICT_GOTO, "loopback");
		} else {
			add_verdict(rule, VERDICT_RETURN, NULL);
		}
	}
	if (e->loopback != LOOPBACK_ALLOW) {
		rule = add_rule(chain, origin, "this host: refused by the policy's loopback option");
		add_test(rule, SELECT_IIF, TEST_EQUAL, INTERFACE_LOOPBACK);
		add_refusal(c, rule, REASON_LOOPBACK);
	}
}

static void add_untracked(struct compiler *c, struct chain *chain, uint32_t origin)
{
	struct rule *rule = add_rule(chain, origin, "what cannot be tracked cannot be judged");

	add_test(rule, SELECT_CT_STATE, TEST_ANY_BIT, CT_STATE_INVALID | CT_STATE_UNTRACKED);
	add_refusal(c, rule, REASON_STATE);
}

/* This host's own connections with loopback = tls. */
static void add_loopback_chain(struct compiler *c)
{
	const struct environment *e = c->environment;
	struct chain *chain;

	if (e->loopback != LOOPBACK_TLS || !c->gate)
		return;
	chain = add_chain(c, "loopback", e->loopback_origin, "this host to itself, where TLS is spoken");
	add_untracked(c, chain, e->loopback_origin);
	add_jump(chain, VERDICT_GOTO, "gate", e->loopback_origin);
}

/* What is addressed to this host goes on to be judged, where the destination may be one. */
static void add_destinations(struct compiler *c, struct chain *chain)
{
	const struct environment *e = c->environment;
	struct rule *rule;

	if (c->admin_bind) {
		rule = add_rule(chain, e->admin_bind.origin, NULL);
		add_tcp(rule);
		add_test(rule, SELECT_TCP_DPORT, TEST_EQUAL, c->policy->service.admin_port);
		add_verdict(rule, VERDICT_GOTO, "admin_bind");
	}
	if (c->bind) {
		add_jump(chain, VERDICT_GOTO, "bind", e->bind.origin);
		return;
	}
	add_routed(chain, e->origin);
	add_jump(chain, VERDICT_GOTO, "judge", e->origin);
}

static void add_looks(struct compiler *c)
{
	const struct environment *e = c->environment;
	struct chain *chain =
		add_chain(c, "arriving", e->origin, "first look: before any translation of the destination");
	struct rule *rule;

	add_loopback(c, chain);
	add_destinations(c, chain);

	chain = add_chain(c, "translated", e->origin, "second look: another port was redirected to a guarded one");
	add_loopback(c, chain);
	add_jump(chain, VERDICT_GOTO, "judge", e->origin);

	chain = add_chain(c, "forwarded", e->routed_origin ? e->routed_origin : e->origin,
		"second look: on the way to a container, or to another host");
	if (e->routed == ROUTED_ALL) {
		add_jump(chain, VERDICT_GOTO, "judge", e->routed_origin);
	} else {
		rule = add_rule(chain, e->origin, "published: the destination was translated");
		add_test(rule, SELECT_CT_STATUS, TEST_ANY_BIT, CT_STATUS_DNAT);
		add_verdict(rule, VERDICT_GOTO, "judge");
	}
	if (e->routed == ROUTED_CONTAINERS) {
		static const char *const kinds[] = {"bridge", "veth"};

		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			rule = add_rule(chain, e->routed_origin ? e->routed_origin : e->origin, "into a container");
			add_test_string(rule, SELECT_OIFKIND, kinds[i]);
			add_verdict(rule, VERDICT_GOTO, "judge");
		}
	}

	chain = add_chain(c, "judge", e->origin, "every packet to a guarded port");
	add_untracked(c, chain, e->origin);
	add_lookup(add_rule(chain, e->origin, NULL), TERM_MAP, SELECT_TCP_DPORT, "services");
}

static void add_hooks(struct compiler *c)
{
	const struct environment *e = c->environment;
	struct chain *chain;
	struct rule *rule;

	chain = add_base_chain(
		c, "prerouting", HOOK_PREROUTING, PRIORITY_MANGLE, "what arrives, as the outside sees it");
	rule = add_rule(chain, e->origin, NULL);
	rule->comment = ruleset_label(e->name, c->ruleset->since);
	add_lookup(rule, TERM_LOOKUP, SELECT_TCP_DPORT, GUARDED_PORTS);
	add_verdict(rule, VERDICT_JUMP, "arriving");

	chain = add_base_chain(c, "input", HOOK_INPUT, PRIORITY_FILTER, "what was redirected to this host");
	rule = add_rule(chain, e->origin, NULL);
	add_test(rule, SELECT_CT_STATUS, TEST_ANY_BIT, CT_STATUS_DNAT);
	add_lookup(rule, TERM_LOOKUP, SELECT_TCP_DPORT, GUARDED_PORTS);
	add_verdict(rule, VERDICT_JUMP, "translated");

	chain = add_base_chain(c, "forward", HOOK_FORWARD, PRIORITY_FILTER, "what goes on to a container");
	rule = add_rule(chain, e->origin, NULL);
	add_lookup(rule, TERM_LOOKUP, SELECT_TCP_DPORT, GUARDED_PORTS);
	add_verdict(rule, VERDICT_JUMP, "forwarded");
	add_answers(c, chain);

	if (!c->gate)
		return;
	chain = add_base_chain(c, "output", HOOK_OUTPUT, PRIORITY_FILTER, "what servers of this host answer");
	add_answers(c, chain);
}

/* Whether any port's first bytes are judged. */
static bool has_gate(const struct compiler *c)
{
	const struct service *s = &c->policy->service;
	const struct environment *e = c->environment;

	return (s->tls_port && e->tls != TLS_OFF) || (s->admin_port && e->admin_tls == ADMIN_TLS_REQUIRED) ||
	       (s->memcached_port && e->tls == TLS_REQUIRED);
}

struct ruleset *ruleset_compile(const struct policy *policy, const struct environment *e, uint64_t since)
{
	const struct service *s = &policy->service;
	struct compiler c = {.policy = policy,
		.environment = e,
		.ruleset = ruleset_new(),
		.bind = e->bind.given,
		.admin_bind = s->admin_port && e->admin_bind.given,
		.limits = e->max_connections_per_source || e->new_connections_per_second};

	c.gate = has_gate(&c);

	c.ruleset->present = true;
	c.ruleset->comment = mem_string("kept by dflyguard: change the policy, not this table");
	c.ruleset->environment = mem_string(e->name);
	c.ruleset->since = since;
	c.ruleset->origin = e->origin;

	add_counters(&c);
	add_services(&c);
	add_loopback_ports(&c);
	add_hooks(&c);
	add_looks(&c);
	add_loopback_chain(&c);
	if (s->port != s->tls_port)
		add_plaintext(&c);
	if (s->tls_port)
		add_tls(&c);
	if (s->admin_port)
		add_admin(&c);
	if (s->memcached_port)
		add_memcached(&c);
	add_gate_chains(&c);
	add_limit_chains(&c);

	add_list(
		&c, &(struct list){"clients", "who may connect", &e->clients, false, REASON_SOURCE, e->clients.origin});
	if (s->admin_port)
		add_list(&c, &(struct list){"admins", "who may administer", &e->admins, false, REASON_SOURCE,
				     list_origin(&c, &e->admins)});
	if (s->memcached_port)
		add_list(
			&c, &(struct list){"memcached_clients", "who may use the memcached port", &e->memcached_clients,
				    false, REASON_SOURCE, list_origin(&c, &e->memcached_clients)});
	if (c.bind)
		add_list(&c, &(struct list){"bind", "where the server may be reached", &e->bind, true, REASON_ADDRESS,
				     e->bind.origin});
	if (c.admin_bind)
		add_list(&c, &(struct list){"admin_bind", "where the admin port may be reached", &e->admin_bind, true,
				     REASON_ADDRESS, e->admin_bind.origin});
	add_refusals(&c);
	add_guarded_ports(&c);
	return c.ruleset;
}

void ruleset_guard_also(struct ruleset *ruleset, uint16_t port)
{
	for (size_t i = 0; i < ruleset->set_count; i++) {
		struct set *set = &ruleset->sets[i];

		if (strcmp(set->name, "services") == 0) {
			set_add_target(
				set, (struct interval){{0, port}, {0, port}, set->origin}, VERDICT_GOTO, "plaintext");
		} else if (strcmp(set->name, GUARDED_PORTS) == 0) {
			add_port(set, port, set->origin);
			intervals_merge(&set->elements, NULL, NULL);
		}
	}
}

const char *set_source_list(const char *name, size_t *length)
{
	static const char *const lists[] = {"clients", "admins", "memcached_clients"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		size_t bytes = strlen(lists[i]);

		if (strncmp(name, lists[i], bytes) != 0 || name[bytes] != '_' || name[bytes + 1] != 'v')
			continue;
		*length = bytes;
		return lists[i];
	}
	return NULL;
}

size_t ruleset_source_count(const struct ruleset *ruleset)
{
	size_t count = 0;
	size_t ignored;

	for (size_t i = 0; i < ruleset->set_count; i++)
		if (!ruleset->sets[i].map && set_source_list(ruleset->sets[i].name, &ignored))
			count += ruleset->sets[i].elements.count;
	return count;
}
