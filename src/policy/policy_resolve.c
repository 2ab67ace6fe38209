/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "policy_private.h"

struct redundancy {
	policy_redundant_note *note;
	void *data;
	enum width width;
};

static void pass_note(void *data, struct interval kept, struct interval absorbed)
{
	const struct redundancy *redundancy = data;

	redundancy->note(redundancy->data, redundancy->width, kept, absorbed);
}

static void append(struct intervals *to, const struct intervals *from)
{
	for (size_t i = 0; i < from->count; i++)
		intervals_add(to, intervals_get(from, i));
}

static void merge(struct intervals *list, policy_redundant_note *note, void *data)
{
	struct redundancy redundancy = {note, data, list->width};

	intervals_merge(list, note ? pass_note : NULL, &redundancy);
}

/* Networks to visit: each once, however many ways lead to it. */
struct visit {
	bool *met;
	uint32_t *queue;
	size_t queued;
	size_t done;
};

static struct visit visit_new(const struct policy *policy)
{
	return (struct visit){.met = mem_zero(policy->network_count, sizeof(bool)),
		.queue = mem_resize(NULL, policy->network_count, sizeof(uint32_t))};
}

static void visit_done(struct visit *visit)
{
	free(visit->met);
	free(visit->queue);
}

static void visit_list(struct visit *visit, const struct policy *policy, const struct source_list *list)
{
	for (size_t i = 0; i < list->reference_count; i++) {
		uint32_t network = list->references[i].network;

		/* Out of range while a policy is being checked: the name is unknown, which is reported elsewhere. */
		if (network >= policy->network_count || visit->met[network])
			continue;
		visit->met[network] = true;
		visit->queue[visit->queued++] = network;
	}
}

static const struct source_list *visit_next(struct visit *visit, const struct policy *policy)
{
	const struct source_list *sources;

	if (visit->done == visit->queued)
		return NULL;
	sources = &policy->networks[visit->queue[visit->done++]].sources;
	visit_list(visit, policy, sources);
	return sources;
}

void policy_resolve(const struct policy *policy, const struct source_list *list, struct intervals *v4,
	struct intervals *v6, policy_redundant_note *note, void *data)
{
	append(v4, &list->v4);
	append(v6, &list->v6);
	if (list->reference_count) {
		_cleanup_(visit_done) struct visit visit = visit_new(policy);
		const struct source_list *sources;

		visit_list(&visit, policy, list);
		while ((sources = visit_next(&visit, policy))) {
			append(v4, &sources->v4);
			append(v6, &sources->v6);
		}
	}
	merge(v4, note, data);
	merge(v6, note, data);
}

void policy_never_banned(
	const struct policy *policy, const struct environment *e, struct intervals *v4, struct intervals *v6)
{
	const struct source_list *lists[] = {&e->never_ban, &e->admins, &e->bind, &e->admin_bind};
	uint32_t origin = e->loopback_origin ? e->loopback_origin : e->origin;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		policy_resolve(policy, lists[i], v4, v6, NULL, NULL);
	/* RFC 1122 3.2.1.3 (g), RFC 4291 2.5.3. */
	intervals_add(v4, (struct interval){{0, 0x7f000000}, {0, 0x7fffffff}, origin});
	intervals_add(v6, (struct interval){{0, 1}, {0, 1}, origin});
	intervals_merge(v4, NULL, NULL);
	intervals_merge(v6, NULL, NULL);
}

/* --- notes --- */

static void note_redundant(void *data, enum width width, struct interval kept, struct interval absorbed)
{
	struct reader *reader = data;
	char one[INTERVAL_TEXT];
	char other[INTERVAL_TEXT];

	/* What only overlaps is needed for the rest of it. */
	if (value_compare(kept.first, absorbed.first) > 0 || value_compare(kept.last, absorbed.last) < 0)
		return;
	struct srcloc place = policy_place(reader->policy, kept.origin);
	size_t length = strlen(interval_format(width, absorbed, one));

	/* A source is named once, however many lists show it. */
	for (size_t i = 0; i < reader->mistake_count; i++)
		if (reader->mistakes[i].origin == absorbed.origin &&
			strncmp(reader->mistakes[i].message, one, length) == 0 &&
			reader->mistakes[i].message[length] == ' ')
			return;
	mistake_add(reader, absorbed.origin, "%s is redundant: %s in %s:%u covers it", one,
		interval_format(width, kept, other), place.file, place.line);
}

/* Sources that a list itself makes redundant, without what its networks hold. */
static void note_own(struct reader *reader, const struct source_list *list)
{
	struct intervals v4;
	struct intervals v6;

	intervals_copy(&v4, &list->v4);
	intervals_copy(&v6, &list->v6);
	merge(&v4, note_redundant, reader);
	merge(&v6, note_redundant, reader);
	intervals_done(&v4);
	intervals_done(&v6);
}

static void note_resolved(struct reader *reader, const struct source_list *list)
{
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};

	policy_resolve(reader->policy, list, &v4, &v6, note_redundant, reader);
	intervals_done(&v4);
	intervals_done(&v6);
}

/* `last_list[n]` is the number of the list that named network n last. */
static void note_references(
	struct reader *reader, const struct source_list *list, uint32_t *last_list, uint32_t list_number)
{
	for (size_t i = 0; i < list->reference_count; i++) {
		const struct network_reference *reference = &list->references[i];

		if (last_list[reference->network] == list_number)
			mistake_add(reader, reference->origin, "'%s' is redundant: the list names it already",
				reference->name);
		last_list[reference->network] = list_number;
	}
}

/* A list whose port does not exist has no effect. */
static void note_without_port(struct reader *reader, const struct environment *environment,
	const struct source_list *list, const char *option, uint16_t port, const char *port_option)
{
	if (port == 0 && list->v4.count + list->v6.count + list->reference_count > 0)
		mistake_add(reader, list->origin, "'%s' of environment '%s' has no effect: %s is 0", option,
			environment->name, port_option);
}

static void note_environment(struct reader *reader, const struct environment *environment, struct visit *used,
	uint32_t *last_list, uint32_t *list_number)
{
	const struct source_list *lists[] = {&environment->clients, &environment->admins,
		&environment->memcached_clients, &environment->never_ban, &environment->bind, &environment->admin_bind};
	const struct service *service = &reader->policy->service;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		note_resolved(reader, lists[i]);
		note_references(reader, lists[i], last_list, ++*list_number);
		visit_list(used, reader->policy, lists[i]);
	}
	note_without_port(reader, environment, &environment->admins, "admins", service->admin_port, "admin_port");
	note_without_port(
		reader, environment, &environment->admin_bind, "admin_bind", service->admin_port, "admin_port");
	note_without_port(reader, environment, &environment->memcached_clients, "memcached_clients",
		service->memcached_port, "memcached_port");
}

/* Whether a list holds addresses of a family. Looks no further than to the first. */
static bool reaches(const struct policy *policy, const struct source_list *list, enum width width)
{
	_cleanup_(visit_done) struct visit visit = visit_new(policy);
	const struct source_list *sources = list;

	visit_list(&visit, policy, list);
	while (sources && (width == WIDTH_IPV4 ? sources->v4.count : sources->v6.count) == 0)
		sources = visit_next(&visit, policy);
	return sources != NULL;
}

static void note_expectation(struct reader *reader, const struct expectation *expectation, struct visit *used,
	uint32_t *last_list, uint32_t list_number)
{
	const struct policy *policy = reader->policy;
	const struct source_list *from = &expectation->from;
	const struct source_list *to = &expectation->to;
	bool v4 = reaches(policy, from, WIDTH_IPV4);
	bool v6 = reaches(policy, from, WIDTH_IPV6);

	note_own(reader, from);
	note_own(reader, to);
	note_references(reader, from, last_list, list_number);
	visit_list(used, policy, from);
	if (!v4 && !v6)
		mistake_add(reader, from->origin, "'from' holds no address, so that nothing is expected");
	else if (to->given && !(v4 && to->v4.count) && !(v6 && to->v6.count))
		mistake_add(reader, to->origin,
			"'to' holds no address of the family of 'from', so that nothing is expected");
}

void policy_notes(const struct policy *policy, struct diagnostics *notes)
{
	_cleanup_free_ uint32_t *last_list = mem_zero(policy->network_count, sizeof(*last_list));
	_cleanup_(visit_done) struct visit used = visit_new(policy);
	/* Notes are collected and sorted as mistakes are. The policy is only read, whatever the type allows. */
	struct reader reader = {.policy = (struct policy *)(uintptr_t)policy};
	uint32_t list_number = 0;

	for (size_t i = 0; i < policy->network_count; i++) {
		note_own(&reader, &policy->networks[i].sources);
		note_references(&reader, &policy->networks[i].sources, last_list, ++list_number);
	}
	for (size_t i = 0; i < policy->environment_count; i++)
		note_environment(&reader, &policy->environments[i], &used, last_list, &list_number);
	for (size_t i = 0; i < policy->expectation_count; i++)
		note_expectation(&reader, &policy->expectations[i], &used, last_list, ++list_number);
	while (visit_next(&used, policy))
		;
	for (size_t i = 0; i < policy->network_count; i++)
		if (!used.met[i])
			mistake_add(&reader, policy->networks[i].origin, "network '%s' is not used by any environment",
				policy->networks[i].name);
	mistakes_deliver(&reader, notes, POLICY_MAX_REPORTED);
	free(reader.mistakes);
}
