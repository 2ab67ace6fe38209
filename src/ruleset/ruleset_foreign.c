/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "foreign.h"
#include "policy.h"

/* --- the question --- */

static bool is_loopback(enum width width, struct value a)
{
	return width == WIDTH_IPV4 ? a.lo >> 24 == 127 : a.hi == 0 && a.lo == 1;
}

static void add_probes(struct foreign_question *question, const struct intervals *sources,
	const struct intervals *destinations, uint16_t port, uint32_t origin)
{
	size_t indexes[] = {0, sources->count / 2, sources->count ? sources->count - 1 : 0};

	for (size_t i = 0; i < ARRAY_SIZE(indexes) && indexes[i] < sources->count; i++) {
		struct interval item = intervals_get(sources, indexes[i]);
		struct foreign_probe probe = {
			.port = port, .width = sources->width, .source = item.first, .origin = origin};

		if ((i > 0 && indexes[i] == indexes[i - 1]) || question->probe_count == FOREIGN_PROBES)
			continue;
		/* The first address of a network is nobody's. */
		if (value_compare(item.first, item.last) < 0)
			probe.source = value_next(item.first);
		if (is_loopback(probe.width, probe.source))
			continue;
		for (size_t k = 0; k < destinations->count && !probe.destination_known; k++) {
			probe.destination = intervals_get(destinations, k).first;
			probe.destination_known = !is_loopback(probe.width, probe.destination);
		}
		/* Where the destination is asked and none is of this family, nobody may connect. */
		if (!destinations->capacity || probe.destination_known)
			question->probes[question->probe_count++] = probe;
	}
}

static void ask_list(struct foreign_question *question, const struct policy *policy, const struct source_list *list,
	const struct source_list *bind, uint16_t port)
{
	struct intervals sources[] = {{.width = WIDTH_IPV4}, {.width = WIDTH_IPV6}};
	struct intervals destinations[] = {{.width = WIDTH_IPV4}, {.width = WIDTH_IPV6}};

	if (!port || !list->given)
		return;
	policy_resolve(policy, list, &sources[0], &sources[1], NULL, NULL);
	if (bind->given)
		policy_resolve(policy, bind, &destinations[0], &destinations[1], NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		if (!bind->given || destinations[i].count)
			add_probes(question, &sources[i], &destinations[i], port, list->origin);
		intervals_done(&sources[i]);
		intervals_done(&destinations[i]);
	}
}

static void ask_port(struct foreign_question *question, uint16_t port)
{
	for (size_t i = 0; i < question->port_count; i++)
		if (question->ports[i] == port)
			return;
	if (port)
		question->ports[question->port_count++] = port;
}

void foreign_ask(const struct policy *policy, const struct environment *e, struct foreign_question *ret)
{
	const struct service *s = &policy->service;
	const struct source_list *admin_bind = e->admin_bind.given ? &e->admin_bind : &e->bind;

	*ret = (struct foreign_question){0};
	ask_port(ret, s->port);
	ask_port(ret, s->tls_port);
	ask_port(ret, s->admin_port);
	ask_port(ret, s->memcached_port);
	if (s->port != s->tls_port && e->tls != TLS_REQUIRED)
		ask_list(ret, policy, &e->clients, &e->bind, s->port);
	if (e->tls != TLS_OFF)
		ask_list(ret, policy, &e->clients, &e->bind, s->tls_port);
	ask_list(ret, policy, &e->admins, admin_bind, s->admin_port);
	ask_list(ret, policy, &e->memcached_clients, &e->bind, s->memcached_port);
}

/* --- the answer --- */

struct foreign *foreign_new(void)
{
	return mem_zero(1, sizeof(struct foreign));
}

static void fact_done(struct foreign_fact *fact)
{
	free(fact->to_address);
	free(fact->table);
	free(fact->chain);
	free(fact->rule);
}

void foreign_free(struct foreign *foreign)
{
	if (!foreign)
		return;
	for (size_t i = 0; i < foreign->count; i++)
		fact_done(&foreign->facts[i]);
	free(foreign->facts);
	free(foreign->incomplete);
	free(foreign->owners);
	free(foreign->managers);
	free(foreign->legacy_tables);
	free(foreign->legacy_why);
	free(foreign);
}

static bool same_fact(const struct foreign_fact *a, const struct foreign_fact *b)
{
	return a->kind == b->kind && a->port == b->port && a->handle == b->handle && a->to_port == b->to_port &&
	       same_string(a->table, b->table) && same_string(a->chain, b->chain);
}

void foreign_add(struct foreign *foreign, struct foreign_fact *fact)
{
	for (size_t i = 0; i < foreign->count; i++) {
		struct foreign_fact *known = &foreign->facts[i];

		if (!same_fact(known, fact))
			continue;
		/* For one packet certain is certain. */
		if (fact->certain && !known->certain) {
			known->certain = true;
			known->probe = fact->probe;
		}
		fact_done(fact);
		return;
	}
	if (foreign->count == FOREIGN_FACTS) {
		foreign->more++;
		fact_done(fact);
		return;
	}
	ARRAY_GROW(foreign->facts, foreign->count, foreign->capacity);
	foreign->facts[foreign->count++] = *fact;
}
