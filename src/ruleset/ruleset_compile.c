/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * From a policy to the table. What a packet meets:
 *
 *   prerouting (before dstnat) -> arriving:   addressed to this host, with the port that the outside sees
 *   input, forward (after dstnat) -> translated, forwarded: the second look, with the port that it was translated to
 *   arriving, translated, forwarded -> judge -> plaintext | tls | admin | memcached -> clients | admins | ...
 *
 * A chain that comes to its end, or returns, has nothing against the packet; other tables may still have.
 */

#include <string.h>

#include "policy.h"
#include "ruleset.h"

/* include/uapi/linux/netfilter/nf_conntrack_common.h: NF_CT_STATE_INVALID_BIT, NF_CT_STATE_UNTRACKED_BIT, IPS_DST_NAT
 */
#define CT_STATE_INVALID   0x01
#define CT_STATE_UNTRACKED 0x40
#define CT_STATUS_DNAT	   0x20
/* include/uapi/linux/rtnetlink.h: RTN_LOCAL. include/uapi/linux/netfilter.h: NFPROTO_IPV4, NFPROTO_IPV6. */
#define ROUTE_LOCAL  2
#define NFPROTO_4    2
#define NFPROTO_6    10
#define PROTOCOL_TCP 6
/* The loopback interface is the first of its namespace: LOOPBACK_IFINDEX in include/net/net_namespace.h. */
#define INTERFACE_LOOPBACK 1
/* include/uapi/linux/netfilter_ipv4.h: NF_IP_PRI_MANGLE comes after conntrack (-200) and before dstnat (-100). */
#define PRIORITY_MANGLE (-150)
#define PRIORITY_FILTER 0

struct compiler {
	const struct policy *policy;
	const struct environment *environment;
	struct ruleset *ruleset;
	bool bind;	 /* destinations are asked for */
	bool admin_bind; /* and other ones for the admin port */
};

/* --- terms --- */

static void add_test(struct rule *rule, enum selector selector, enum test test, uint64_t value)
{
	struct term term = {.kind = TERM_TEST, .selector = selector, .test = test};

	if (test == TEST_ANY_BIT || test == TEST_NO_BIT)
		term.mask.lo = value;
	else
		term.value.lo = value;
	rule_add_term(rule, &term, NULL);
}

static void add_test_string(struct rule *rule, enum selector selector, const char *string)
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

/* The transport header may be read only after this. */
static void add_tcp(struct rule *rule)
{
	add_test(rule, SELECT_L4PROTO, TEST_EQUAL, PROTOCOL_TCP);
}

/* `selector` in the set or map `name`, with the test that makes the selector's header readable in front. */
static void add_lookup(struct rule *rule, enum term_kind kind, enum selector selector, const char *name)
{
	if (selector == SELECT_IP_SADDR || selector == SELECT_IP_DADDR)
		add_test(rule, SELECT_NFPROTO, TEST_EQUAL, NFPROTO_4);
	else if (selector == SELECT_IP6_SADDR || selector == SELECT_IP6_DADDR)
		add_test(rule, SELECT_NFPROTO, TEST_EQUAL, NFPROTO_6);
	else
		add_tcp(rule);
	rule_add_term(rule, &(struct term){.kind = kind, .selector = selector}, name);
}

static void add_verdict(struct rule *rule, enum verdict verdict, const char *chain)
{
	rule_add_term(rule, &(struct term){.kind = TERM_VERDICT, .verdict = verdict}, chain);
}

static void add_counter(struct rule *rule, const char *name)
{
	rule_add_term(rule, &(struct term){.kind = TERM_COUNTER}, name);
}

/* --- objects --- */

static struct chain *add_chain(struct compiler *c, const char *name, uint32_t origin, const char *comment)
{
	struct chain *chain = ruleset_add_chain(c->ruleset, name);

	chain->origin = origin;
	chain->comment = mem_string(comment);
	return chain;
}

static struct chain *add_base_chain(
	struct compiler *c, const char *name, enum hook hook, int priority, const char *comment)
{
	struct chain *chain = add_chain(c, name, c->environment->origin, comment);

	chain->base = true;
	chain->hook = hook;
	chain->priority = priority;
	return chain;
}

static struct rule *add_rule(struct chain *chain, uint32_t origin, const char *comment)
{
	struct rule *rule = chain_add_rule(chain);

	rule->origin = origin;
	rule->comment = mem_string(comment);
	return rule;
}

static void add_jump(struct chain *chain, enum verdict verdict, const char *target, uint32_t origin)
{
	add_verdict(add_rule(chain, origin, NULL), verdict, target);
}

static void add_refuse_drop(struct chain *chain, const char *counter, uint32_t origin, const char *comment)
{
	struct rule *rule = add_rule(chain, origin, comment);

	add_counter(rule, counter);
	add_verdict(rule, VERDICT_DROP, NULL);
}

/* For peers that the policy knows: an answer at once instead of a time-out. `rule` may hold tests already. */
static void add_refuse_reset(struct rule *rule, const char *counter)
{
	add_tcp(rule);
	add_counter(rule, counter);
	rule_add_term(rule, &(struct term){.kind = TERM_REJECT_RESET}, NULL);
}

static void add_counters(struct compiler *c)
{
	static const struct {
		const char *name;
		const char *comment;
	} counters[] = {
		{"refused_source", "no list of the policy names the source"},
		{"refused_address", "the destination is not in bind"},
		{"refused_closed", "the port is closed by the policy's tls option"},
		{"refused_state", "connection tracking calls it invalid or untracked"},
		{"refused_loopback", "from this host, which the policy's loopback option forbids"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		struct counter *counter = ruleset_add_counter(c->ruleset, counters[i].name);

		counter->comment = mem_string(counters[i].comment);
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

/* --- lists of addresses --- */

/* A list of addresses as it is looked up: a chain that returns for those in the list and refuses the others. */
struct list {
	const char *name; /* "clients" */
	const char *comment;
	const struct source_list *sources;
	bool destination;
	const char *counter; /* counts the refused */
	uint32_t origin;
};

/* "clients_v4_10.128.0.0_9", "clients_v6_2001.0db8_32": names that nft can read. */
static char *part_name(const struct list *list, enum width width, struct value first, unsigned int length)
{
	_cleanup_text_ struct text name = {0};
	uint8_t bytes[16];

	value_to_bytes(width, first, bytes);
	text_printf(&name, "%s_%s_", list->name, width == WIDTH_IPV4 ? "v4" : "v6");
	if (width == WIDTH_IPV4)
		text_printf(&name, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
	for (unsigned int i = 0; width == WIDTH_IPV6 && i < (length + 15) / 16; i++)
		text_printf(&name, "%s%02x%02x", i ? "." : "", bytes[2 * i], bytes[2 * i + 1]);
	text_printf(&name, "_%u", length);
	return text_take(&name);
}

static enum selector address_selector(bool destination, enum width width)
{
	if (width == WIDTH_IPV4)
		return destination ? SELECT_IP_DADDR : SELECT_IP_SADDR;
	return destination ? SELECT_IP6_DADDR : SELECT_IP6_SADDR;
}

static void add_listed(struct chain *chain, enum selector selector, const char *set, uint32_t origin)
{
	struct rule *rule = add_rule(chain, origin, NULL);

	add_lookup(rule, TERM_LOOKUP, selector, set);
	add_verdict(rule, VERDICT_RETURN, NULL);
}

struct parts {
	struct compiler *compiler;
	const struct list *list;
	enum width width;
	const struct intervals *all;
	char *map;
};

static void add_part(const struct parts *parts, struct interval range, unsigned int length, size_t first, size_t last)
{
	struct ruleset *ruleset = parts->compiler->ruleset;
	const struct list *list = parts->list;
	_cleanup_free_ char *name = part_name(list, parts->width, range.first, length);
	struct set *set = ruleset_add_set(ruleset, name, parts->width);
	struct set *map;

	set->interval = true;
	set->comment = mem_format("part of %s", list->name);
	set->origin = list->origin;
	for (size_t i = first; i < last; i++) {
		struct interval item = intervals_get(parts->all, i);

		/* What crosses the border of a part is cut there; its other piece is in the next one. */
		if (value_compare(item.first, range.first) < 0)
			item.first = range.first;
		if (value_compare(item.last, range.last) > 0)
			item.last = range.last;
		intervals_add(&set->elements, item);
	}
	struct chain *chain = add_chain(parts->compiler, name, list->origin, NULL);

	add_listed(chain, address_selector(list->destination, parts->width), name, list->origin);
	add_refuse_drop(chain, list->counter, list->origin, NULL);
	map = &ruleset->sets[0];
	while (strcmp(map->name, parts->map) != 0)
		map++;
	set_add_target(map, (struct interval){range.first, range.last, list->origin}, VERDICT_GOTO, name);
}

/*
 * Halves a prefix until no part holds more than RULESET_PART_LIMIT intervals. Which parts there are depends on nothing
 * but the intervals inside each, so one changed source moves at most one border. [first, last) are the intervals that
 * touch the prefix.
 */
static void split(const struct parts *parts, struct interval range, unsigned int length, size_t first, size_t last)
{
	if (first == last)
		return;
	if (last - first <= RULESET_PART_LIMIT) {
		add_part(parts, range, length, first, last);
		return;
	}
	struct interval low = {range.first, value_fill_low(parts->width, range.first, length + 1), 0};
	struct interval high = {value_next(low.last), range.last, 0};
	size_t low_last = first;
	size_t high_first;
	size_t end = last;

	/* The first interval that begins behind the lower half. */
	while (low_last < end) {
		size_t middle = low_last + (end - low_last) / 2;

		if (value_compare(intervals_get(parts->all, middle).first, low.last) <= 0)
			low_last = middle + 1;
		else
			end = middle;
	}
	high_first = low_last;
	if (low_last > first && value_compare(intervals_get(parts->all, low_last - 1).last, low.last) > 0)
		high_first--;
	split(parts, low, length + 1, first, low_last);
	split(parts, high, length + 1, high_first, last);
}

/* Single addresses, which have no need of an interval set and of its late filling (see add_guarded_ports). */
static void add_addresses(struct set *set, const struct intervals *all)
{
	for (size_t i = 0; i < all->count; i++) {
		struct interval item = intervals_get(all, i);

		for (struct value address = item.first;; address = value_next(address)) {
			intervals_add(&set->elements, (struct interval){address, address, item.origin});
			if (value_compare(address, item.last) == 0)
				break;
		}
	}
}

/* The sets of one list in one family. */
static void add_family(struct compiler *c, const struct list *list, const struct intervals *all)
{
	const char *family = all->width == WIDTH_IPV4 ? "v4" : "v6";
	_cleanup_free_ char *name = mem_format("%s_%s", list->name, family);

	if (all->count <= RULESET_PART_LIMIT) {
		struct set *set = ruleset_add_set(c->ruleset, name, all->width);

		set->comment = mem_string(list->comment);
		set->origin = list->origin;
		if (list->destination) {
			add_addresses(set, all);
			return;
		}
		set->interval = true;
		intervals_copy(&set->elements, all);
		return;
	}
	_cleanup_free_ char *map_name = mem_format("%s_parts", name);
	struct set *map = ruleset_add_set(c->ruleset, map_name, all->width);
	struct parts parts = {c, list, all->width, all, map_name};

	map->interval = true;
	map->map = true;
	map->comment = mem_format("%s: where to look, by leading bits", list->comment);
	map->origin = list->origin;
	split(&parts, (struct interval){value_zero(), value_max(all->width), 0}, 0, 0, all->count);
}

static void add_family_rule(struct compiler *c, struct chain *chain, const struct list *list, enum width width)
{
	const char *family = width == WIDTH_IPV4 ? "v4" : "v6";
	enum selector selector = address_selector(list->destination, width);
	_cleanup_free_ char *name = mem_format("%s_%s", list->name, family);
	_cleanup_free_ char *map = mem_format("%s_parts", name);

	if (ruleset_set(c->ruleset, map))
		add_lookup(add_rule(chain, list->origin, NULL), TERM_MAP, selector, map);
	else
		add_listed(chain, selector, name, list->origin);
}

static void add_list(struct compiler *c, const struct list *list)
{
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};
	struct chain *chain;

	policy_resolve(c->policy, list->sources, &v4, &v6, NULL, NULL);
	add_family(c, list, &v4);
	add_family(c, list, &v6);
	intervals_done(&v4);
	intervals_done(&v6);
	chain = add_chain(c, list->name, list->origin, list->comment);
	add_family_rule(c, chain, list, WIDTH_IPV4);
	add_family_rule(c, chain, list, WIDTH_IPV6);
	add_refuse_drop(chain, list->counter, list->origin, NULL);
}

/* --- chains --- */

static void add_plaintext(struct compiler *c)
{
	const struct environment *e = c->environment;
	struct chain *chain =
		add_chain(c, "plaintext", c->policy->service.port_origin, "the port where the server speaks plaintext");

	add_jump(chain, VERDICT_JUMP, "clients", e->clients.origin);
	if (e->tls == TLS_REQUIRED)
		add_refuse_reset(add_rule(chain, e->tls_origin ? e->tls_origin : e->origin,
					 "closed: the policy says tls = required"),
			"refused_closed");
}

static void add_tls(struct compiler *c)
{
	const struct environment *e = c->environment;
	struct chain *chain =
		add_chain(c, "tls", c->policy->service.tls_port_origin, "the port where the server speaks TLS");

	add_jump(chain, VERDICT_JUMP, "clients", e->clients.origin);
	if (e->tls == TLS_OFF)
		add_refuse_reset(add_rule(chain, e->tls_origin, "closed: the policy says tls = off"), "refused_closed");
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
	struct set *set = add_port_set(c, "guarded_ports", "the ports that the policy names");

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

	if (e->loopback != LOOPBACK_TLS)
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

	if (e->loopback != LOOPBACK_DENY) {
		rule = add_rule(chain, origin, "this host");
		add_test(rule, SELECT_IIF, TEST_EQUAL, INTERFACE_LOOPBACK);
		if (e->loopback == LOOPBACK_TLS)
			add_lookup(rule, TERM_LOOKUP, SELECT_TCP_DPORT, "loopback_ports");
		add_verdict(rule, VERDICT_RETURN, NULL);
	}
	if (e->loopback != LOOPBACK_ALLOW) {
		rule = add_rule(chain, origin, "this host: refused by the policy's loopback option");
		add_test(rule, SELECT_IIF, TEST_EQUAL, INTERFACE_LOOPBACK);
		add_refuse_reset(rule, "refused_loopback");
	}
}

static void add_destinations(struct compiler *c, struct chain *chain)
{
	const struct environment *e = c->environment;
	uint16_t admin_port = c->policy->service.admin_port;
	struct rule *rule;

	if (c->admin_bind) {
		rule = add_rule(chain, e->admin_bind.origin, NULL);
		add_tcp(rule);
		add_test(rule, SELECT_TCP_DPORT, TEST_EQUAL, admin_port);
		add_verdict(rule, VERDICT_JUMP, "admin_bind");
	}
	if (c->bind) {
		rule = add_rule(chain, e->bind.origin, NULL);
		if (c->admin_bind) {
			add_tcp(rule);
			add_test(rule, SELECT_TCP_DPORT, TEST_NOT_EQUAL, admin_port);
		}
		add_verdict(rule, VERDICT_JUMP, "bind");
	}
}

static void add_looks(struct compiler *c)
{
	const struct environment *e = c->environment;
	struct chain *chain =
		add_chain(c, "arriving", e->origin, "first look: before any translation of the destination");
	struct rule *rule;

	add_loopback(c, chain);
	rule = add_rule(chain, e->origin, "routed through this host: see chain forwarded");
	add_test(rule, SELECT_FIB_DADDR_TYPE, TEST_NOT_EQUAL, ROUTE_LOCAL);
	add_verdict(rule, VERDICT_RETURN, NULL);
	add_destinations(c, chain);
	add_jump(chain, VERDICT_GOTO, "judge", e->origin);

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
	rule = add_rule(chain, e->origin, "what cannot be tracked cannot be judged");
	add_test(rule, SELECT_CT_STATE, TEST_ANY_BIT, CT_STATE_INVALID | CT_STATE_UNTRACKED);
	add_counter(rule, "refused_state");
	add_verdict(rule, VERDICT_DROP, NULL);
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
	add_lookup(rule, TERM_LOOKUP, SELECT_TCP_DPORT, "guarded_ports");
	add_verdict(rule, VERDICT_JUMP, "arriving");

	chain = add_base_chain(c, "input", HOOK_INPUT, PRIORITY_FILTER, "what was redirected to this host");
	rule = add_rule(chain, e->origin, NULL);
	add_test(rule, SELECT_CT_STATUS, TEST_ANY_BIT, CT_STATUS_DNAT);
	add_lookup(rule, TERM_LOOKUP, SELECT_TCP_DPORT, "guarded_ports");
	add_verdict(rule, VERDICT_JUMP, "translated");

	chain = add_base_chain(c, "forward", HOOK_FORWARD, PRIORITY_FILTER, "what goes on to a container");
	rule = add_rule(chain, e->origin, NULL);
	add_lookup(rule, TERM_LOOKUP, SELECT_TCP_DPORT, "guarded_ports");
	add_verdict(rule, VERDICT_JUMP, "forwarded");
}

/* A list that is not written is nobody, and the environment is to blame. */
static uint32_t list_origin(const struct compiler *c, const struct source_list *list)
{
	return list->origin ? list->origin : c->environment->origin;
}

struct ruleset *ruleset_compile(const struct policy *policy, const struct environment *e, uint64_t since)
{
	const struct service *s = &policy->service;
	struct compiler c = {.policy = policy,
		.environment = e,
		.ruleset = ruleset_new(),
		.bind = e->bind.given,
		.admin_bind = s->admin_port && e->admin_bind.given};

	c.ruleset->present = true;
	c.ruleset->comment = mem_string("kept by dflyguard: change the policy, not this table");
	c.ruleset->environment = mem_string(e->name);
	c.ruleset->since = since;

	add_counters(&c);
	add_services(&c);
	add_loopback_ports(&c);
	add_hooks(&c);
	add_looks(&c);
	if (s->port != s->tls_port)
		add_plaintext(&c);
	if (s->tls_port)
		add_tls(&c);
	if (s->admin_port) {
		struct chain *chain = add_chain(&c, "admin", s->admin_port_origin, "the admin port");

		add_jump(chain, VERDICT_JUMP, "admins", list_origin(&c, &e->admins));
	}
	if (s->memcached_port) {
		struct chain *chain = add_chain(
			&c, "memcached", s->memcached_port_origin, "the memcached port, which asks for no password");

		add_jump(chain, VERDICT_JUMP, "memcached_clients", list_origin(&c, &e->memcached_clients));
	}

	add_list(&c,
		&(struct list){"clients", "who may connect", &e->clients, false, "refused_source", e->clients.origin});
	if (s->admin_port)
		add_list(&c, &(struct list){"admins", "who may administer", &e->admins, false, "refused_source",
				     list_origin(&c, &e->admins)});
	if (s->memcached_port)
		add_list(
			&c, &(struct list){"memcached_clients", "who may use the memcached port", &e->memcached_clients,
				    false, "refused_source", list_origin(&c, &e->memcached_clients)});
	if (c.bind)
		add_list(&c, &(struct list){"bind", "where the server may be reached", &e->bind, true,
				     "refused_address", e->bind.origin});
	if (c.admin_bind)
		add_list(&c, &(struct list){"admin_bind", "where the admin port may be reached", &e->admin_bind, true,
				     "refused_address", e->admin_bind.origin});
	add_guarded_ports(&c);
	return c.ruleset;
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
